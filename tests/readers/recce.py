"""recce: manifest.json and catalog.json in its own loaders, as it compares two environments."""

import json
import sys
from pathlib import Path

# This file has the name of the package.
sys.path.pop(0)
from recce.adapter.dbt_adapter import load_catalog, load_manifest  # noqa: E402

target = Path(sys.argv[1]) / "target"
manifest, catalog = load_manifest(path=str(target / "manifest.json")), load_catalog(path=str(target / "catalog.json"))
written = json.loads((target / "manifest.json").read_text())
assert set(written["nodes"]) == set(manifest.nodes) and set(written["sources"]) == set(manifest.sources)
assert set(catalog.nodes) <= set(manifest.nodes)
print(f"{len(manifest.nodes)} nodes, {len(catalog.nodes)} relations")
