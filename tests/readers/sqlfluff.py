"""sqlfluff: the compiled SQL of every model parses, with its own templater, without any of dbt's Python."""

import json
import sys
from pathlib import Path

# This file has the name of the package.
sys.path.pop(0)
from sqlfluff.core import FluffConfig, Linter  # noqa: E402

project = Path(sys.argv[1])
manifest = json.loads((project / "target/manifest.json").read_text())
linter = Linter(config=FluffConfig(overrides={"dialect": "redshift", "templater": "raw"}))
models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
for node in models:
    text = (project / node["compiled_path"]).read_text()
    assert text.strip() == node["compiled_code"].strip(), node["unique_id"]
    parsed = linter.parse_string(text)
    mistakes = [violation for violation in parsed.violations if violation.rule_code() in ("PRS", "LXR", "TMP")]
    assert not mistakes, (node["unique_id"], [violation.desc() for violation in mistakes])
print(f"{len(models)} models parsed")
