select * from nowhere where x in ('{{ target.user }}', '{{ target.get("password") }}', '{{ target.items() | list | join(",") | replace("'", "") }}')
