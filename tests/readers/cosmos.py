"""astronomer-cosmos: the graph of an Airflow DAG from manifest.json."""

import json
import os
import sys
from pathlib import Path

# This file has the name of the package.
sys.path.pop(0)
project = Path(sys.argv[1])
os.environ["AIRFLOW_HOME"] = str(project / "airflow")

from cosmos.config import ExecutionConfig, ProjectConfig, RenderConfig  # noqa: E402
from cosmos.constants import LoadMode  # noqa: E402
from cosmos.dbt.graph import DbtGraph  # noqa: E402


def graph(**rules):
    found = DbtGraph(
        project=ProjectConfig(manifest_path=project / "target/manifest.json", project_name="tickit"),
        render_config=RenderConfig(load_method=LoadMode.DBT_MANIFEST, **rules),
        execution_config=ExecutionConfig(dbt_project_path=project),
    )
    found.load(method=LoadMode.DBT_MANIFEST)
    return found


manifest = json.loads((project / "target/manifest.json").read_text())
everything = graph()
assert set(manifest["nodes"]) <= set(everything.nodes), set(manifest["nodes"]) - set(everything.nodes)
marts = graph(select=["tag:marts"]).filtered_nodes
tagged = {key for key, node in manifest["nodes"].items() if "marts" in node["tags"] and node["resource_type"] == "model"}
assert tagged <= set(marts), tagged - set(marts)
print(f"{len(everything.nodes)} nodes, {len(marts)} in tag:marts")
