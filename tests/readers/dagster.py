"""dagster-dbt: an asset for every model, seed and snapshot, a check for every test, from manifest.json."""

import json
import sys
from pathlib import Path

# This file has the name of the package.
sys.path.pop(0)
from dagster_dbt import dbt_assets  # noqa: E402

path = Path(sys.argv[1]) / "target/manifest.json"
manifest = json.loads(path.read_text())


@dbt_assets(manifest=path)
def project(context):
    yield


kinds = {"model", "seed", "snapshot"}
built = {node["name"] for node in manifest["nodes"].values() if node["resource_type"] in kinds}
assets = {key.path[-1] for key in project.keys}
assert built <= assets, built - assets
marts = {key.path[-1] for key, tags in project.tags_by_key.items() if any("marts" in tag for tag in tags)}
assert marts and marts < assets, marts
print(f"{len(assets)} assets, {len(list(project.check_specs))} checks, {len(marts)} tagged marts")
