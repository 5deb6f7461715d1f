#!/usr/bin/env python3
"""Whether two manifests hold the same resources: node_ids.py OURS.json THEIRS.json. Ends with 1 if not. Standard library only."""
import json
import sys
from pathlib import Path

SECTIONS = ("nodes", "sources", "exposures")


def ids(path):
    manifest = json.loads(Path(path).read_text())
    package = manifest["metadata"].get("project_name")
    # Only the project's own: what each program brings along with it is its own affair.
    return {id for section in SECTIONS for id in manifest.get(section) or {} if package is None or id.split(".")[1] == package}


ours, theirs = (ids(path) for path in sys.argv[1:3])
print(f"resources: {len(ours)} and {len(theirs)}, of which {len(ours & theirs)} in both")
for name, only in (("first", ours - theirs), ("second", theirs - ours)):
    for id in sorted(only)[:20]:
        print(f"  only in the {name}: {id}")
sys.exit(ours != theirs)
