"""dbt-coverage: how much of the columns is documented and tested, from manifest.json and catalog.json."""

import json
import subprocess
import sys
from pathlib import Path

target = Path(sys.argv[1]) / "target"
command = Path(sys.executable).with_name("dbt-coverage")
shares = {}
for kind in ("doc", "test"):
    report = target / f"coverage_{kind}.json"
    arguments = ["compute", kind, "--run-artifacts-dir", target, "--cov-report", report]
    subprocess.run([command, *map(str, arguments)], check=True, cwd=sys.argv[1])
    whole = json.loads(report.read_text())
    assert whole["total"] > 100 and 0 < whole["covered"] <= whole["total"], whole["total"]
    shares[kind] = f"{kind} {whole['covered']}/{whole['total']}"
print(", ".join(shares.values()))
