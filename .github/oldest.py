"""The lower ends of pyproject.toml's ranges as constraints for pip: `make environment PACKAGES=oldest`."""

import pathlib
import re
import tomllib

project = tomllib.loads((pathlib.Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
for line in sorted(project["dependencies"]):
    name, version = re.match(r"([\w.-]+)>=([\w.]+)", line).groups()
    version += ".0" * (not version.count("."))  # 3 is 3.0.*, not the latest of 3
    print(f"{name}=={version}.*" if version.count(".") < 2 else f"{name}=={version}")
