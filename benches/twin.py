#!/usr/bin/env python3
"""Writes a twin of example_project that dbt-core runs on DuckDB: twin.py EXAMPLE_PROJECT DATA_FOLDER OUT [THREADS]

Models, tests, seeds, macros and analyses are copied as they are. Only the sources differ: an `external:` block becomes what
dbt-duckdb reads files by, a `read_csv` with the same declared types. Standard library only: the sources file is read line by
line, in the form example_project keeps it in."""
import re
import shutil
import sys
from pathlib import Path

SOURCES = Path("models/staging/tickit/_tickit__sources.yml")


def tables(lines):
    """(name, [(column, type)]) of each table, in order."""
    found = []
    for line in lines:
        if name := re.match(r"      - name: (\w+)$", line):
            found.append((name[1], []))
        elif column := re.match(r"          - name: (\w+)$", line):
            found[-1][1].append([column[1], None])
        elif data_type := re.match(r"            data_type: (.+)$", line):
            found[-1][1][-1][1] = data_type[1]
    return found


def location(data, table, columns):
    types = ", ".join(f"'{name}': '{data_type}'" for name, data_type in columns)
    # dbt renders the text as Jinja and dbt-duckdb formats it as Python does: the braces of the struct need both escapes.
    struct = "{% raw %}{{" + types + "}}{% endraw %}"
    return f"read_csv('{data}/{table}/*', delim='|', header=true, columns={struct})"


def twin_sources(text, data):
    lines = text.splitlines()
    columns = dict(tables(lines))
    out, table, skipping = [], None, False
    for line in lines:
        if name := re.match(r"      - name: (\w+)$", line):
            table = name[1]
        if line == "        external:":
            skipping = True
            out += ["        config:", "          meta:", f'            external_location: "{location(data, table, columns[table])}"']
        elif skipping and re.match(r" {0,8}\S", line):
            skipping = False
        if not skipping:
            out.append(line)
    return "\n".join(out) + "\n"


def main():
    example, data, out = (Path(argument).resolve() for argument in sys.argv[1:4])
    threads = sys.argv[4] if len(sys.argv) > 4 else "4"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(example, out, ignore=shutil.ignore_patterns("data", "target", "warehouse", "logs", "dbt_packages", ".*"))
    (out / SOURCES).write_text(twin_sources((example / SOURCES).read_text(), data))
    project = out / "dbt_project.yml"
    project.write_text(project.read_text() + "\nprofile: tickit\nflags:\n  send_anonymous_usage_stats: false\n")
    (out / "profiles.yml").write_text(
        f"tickit:\n  target: dev\n  outputs:\n    dev: {{type: duckdb, path: tickit.duckdb, threads: {threads}}}\n"
    )


main()
