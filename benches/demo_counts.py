#!/usr/bin/env python3
"""Whether a run of the demo project did all of it: demo_counts.py TARGET_FOLDER. Ends with 1 if not. Standard library only."""
import collections
import json
import sys
from pathlib import Path

target = Path(sys.argv[1])
manifest = json.loads((target / "manifest.json").read_text())
results = json.loads((target / "run_results.json").read_text())["results"]

kinds = collections.Counter()
for node in manifest["nodes"].values():
    kinds[node["config"]["materialized"] if node["resource_type"] == "model" else node["resource_type"]] += 1
kinds["source"] = len(manifest["sources"])
kinds["exposure"] = len(manifest["exposures"])
kinds["compiled analysis"] = len(list((target / "compiled").glob("*/analyses/*.sql")))

wanted = {"source": 7, "view": 9, "table": 4, "test": 56, "analysis": 6, "exposure": 1, "compiled analysis": 6}
bad = [result for result in results if result["status"] not in ("success", "pass", "no-op")]
for kind, count in wanted.items():
    print(f"{kind:20}{kinds[kind]:4} of {count}")
for result in bad:
    print(f"{result['status']}: {result['unique_id']}: {result['message']}")
sys.exit(bool(bad) or any(kinds[kind] != count for kind, count in wanted.items()))
