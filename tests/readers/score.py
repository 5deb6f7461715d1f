"""dbt-score: rules on the models of manifest.json."""

import json
import subprocess
import sys
from pathlib import Path

project = Path(sys.argv[1])
command = [str(Path(sys.executable).with_name("dbt-score")), "lint", "--manifest", str(project / "target/manifest.json")]
done = subprocess.run([*command, "--format", "json", "--fail-project-under", "0", "--fail-any-item-under", "0"],
                      cwd=project, capture_output=True, text=True, check=True)
report = json.loads(done.stdout)
manifest = json.loads((project / "target/manifest.json").read_text())
models = {node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "model"}
scored = set(report.get("evaluables", report.get("models", {})))
assert all(any(name in key for key in scored) for name in models), models - scored
print(f"{len(scored)} resources, project score {report['project']['score']:.1f}")
