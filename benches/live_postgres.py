#!/usr/bin/env python3
"""Feeds example_project from a live PostgreSQL: live_postgres.py EXAMPLE_PROJECT DATA_FOLDER OUT HOST PORT USER PASSWORD DATABASE

Writes into OUT a copy of the project whose sources have an `ingest:` block in the place of `external:`, its profile, and `load.sql`
for psql, which makes the tables (first column of each: the key; listing and sale have one of that name too) and loads the same files.
Standard library only."""
import re
import shutil
import sys
from pathlib import Path

from twin import SOURCES, tables

KEYS = {"category": "catid", "date": "dateid", "event": "eventid", "listing": "listid", "sale": "saleid", "user": "userid",
        "venue": "venueid"}


def sources(text):
    out, table, skipping = [], None, False
    for line in text.splitlines():
        if name := re.match(r"      - name: (\w+)$", line):
            table = name[1]
        if line == "        external:":
            skipping = True
            out.append(f"        ingest: {{connector: postgres, connection: tickit, table: '\"{table}\"'}}")
        elif skipping and re.match(r" {0,8}\S", line):
            skipping = False
        if not skipping:
            out.append(line)
    return "\n".join(out) + "\n"


def key_of(table, columns):
    names = [name for name, _ in columns]
    wanted = KEYS.get(table)
    return wanted if wanted in names else names[0]


def statements(found, data):
    for table, columns in found:
        listed = ", ".join(f'"{name}" {data_type}' for name, data_type in columns)
        yield f'create table "{table}" ({listed}, primary key ("{key_of(table, columns)}"));'
        for file in sorted((data / table).iterdir()):
            yield f"\\copy \"{table}\" from '{file}' with (format csv, delimiter '|', header true, null '')"


def main():
    example, data, out = (Path(argument).resolve() for argument in sys.argv[1:4])
    host, port, user, password, database = sys.argv[4:9]
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(example, out, ignore=shutil.ignore_patterns("data", "target", "warehouse", "logs", "dbt_packages", ".*"))
    text = (example / SOURCES).read_text()
    (out / SOURCES).write_text(sources(text))
    project = out / "dbt_project.yml"
    project.write_text(project.read_text() + "\nprofile: tickit\n")
    (out / "profiles.yml").write_text(
        "tickit:\n  target: live\n  outputs:\n    live: {type: datafusion, path: warehouse, schema: main}\n  connections:\n"
        f"    tickit: {{type: postgres, host: {host}, port: {port}, user: {user}, password: {password}, dbname: {database}}}\n")
    (out / "load.sql").write_text("\\set ON_ERROR_STOP 1\n" + "\n".join(statements(tables(text.splitlines()), data)) + "\n")


main()
