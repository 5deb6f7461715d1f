"""dbt-artifacts-parser: the artifacts as typed objects; a key that dbt's schemas do not have is an error."""

import json
import sys
from pathlib import Path

from dbt_artifacts_parser.parser import parse_catalog, parse_manifest, parse_run_results, parse_sources

target = Path(sys.argv[1]) / "target"


def read(name, parse):
    return parse(json.loads((target / name).read_text()))


manifest = read("manifest.json", parse_manifest)
results = read("run_results.json", parse_run_results)
catalog = read("catalog.json", parse_catalog)
sources = read("sources.json", parse_sources)
kinds = [type(artifact).__name__ for artifact in (manifest, results, catalog, sources)]
assert kinds == ["ManifestV12", "RunResultsV6", "CatalogV1", "SourcesV3"], kinds
known = {**manifest.nodes, **manifest.exposures, **manifest.unit_tests}
missing = [result.unique_id for result in results.results if result.unique_id not in known]
assert not missing, missing
assert set(catalog.nodes) <= set(manifest.nodes) and set(catalog.sources) <= set(manifest.sources)
print(f"{len(manifest.nodes)} nodes, {len(results.results)} results, {len(catalog.nodes)} relations")
