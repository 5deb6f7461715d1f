#!/usr/bin/env python3
"""Gives the sources of a generated project all their columns, with types: type_sources.py PROJECT

Every raw table of the generator has the same columns; its property files name two of them. Standard library only."""
import re
import sys
from pathlib import Path

TYPES = {
    "id": "bigint", "customer_id": "bigint", "status_code": "varchar", "region_code": "varchar",
    "amount_cents": "bigint", "qty": "bigint", "created_ts": "timestamp", "updated_ts": "timestamp",
}

for path in Path(sys.argv[1]).glob("models/**/*__sources.yml"):
    columns = "".join(f"          - name: {name}\n            data_type: {kind}\n" for name, kind in TYPES.items())
    text = re.sub(r"(?m)^        columns:\n(?:          .*\n)+", lambda _: f"        columns:\n{columns}", path.read_text())
    path.write_text(text)
