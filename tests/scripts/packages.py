"""Prints the packages of the named groups of pyproject.toml, one a line."""

import sys
import tomllib
from pathlib import Path

with Path("pyproject.toml").open("rb") as file:
    groups = tomllib.load(file)["dependency-groups"]
for name in sys.argv[1:]:
    print(*groups[name], sep="\n")
