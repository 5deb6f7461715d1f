select
    '{{ var("scope") }}' as scope,
    '{{ var("absent", "default") }}' as absent,
    {{ var("list") | length }} as n,
    '{{ env_var("PLACE", "nowhere") }}' as place,
    '{{ var("given", "no") }}' as given,
    '{{ target.name }}' as target,
    '{{ this.identifier }}' as self,
    '{{ project_name }}' as project
