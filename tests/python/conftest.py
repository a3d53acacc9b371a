"""What every test starts from: one seed, default printing, and a GPU only where one can be had."""

import os
import re
import sys
from pathlib import Path

# Before the first import of rgrad: processor-made adapters count as "cuda" only when asked for.
os.environ.setdefault("RGRAD_GPU", "software")
sys.path.insert(0, str(Path(__file__).parent))

import pytest
from hypothesis import HealthCheck, settings

import rgrad as torch
from support import GOLDEN

# No unseeded randomness: the same examples on every run.
settings.register_profile(
    "rgrad",
    derandomize=True,
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
settings.load_profile("rgrad")


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="write tests/golden/*.txt from this run"
    )


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "error")
    config.addinivalue_line("markers", "gpu: needs an adapter; skips by name where there is none")


def pytest_collection_modifyitems(items):
    for item in items:
        if "gpu" in item.fixturenames:
            item.add_marker("gpu")


@pytest.fixture(autouse=True)
def fresh_state():
    """Seed, printing and default class are the only global state; each test starts from theirs."""
    torch.manual_seed(0)
    yield
    torch.set_printoptions(profile="default")


@pytest.fixture(scope="session")
def gpu():
    """Skips, by name, where no adapter answers."""
    if not torch.cuda.is_available():
        pytest.skip(f"no GPU adapter for RGRAD_GPU={os.environ['RGRAD_GPU']}")
    return 0


class GoldenFile:
    """One text file of `name: text` lines; `--update-golden` rewrites what a run has seen."""

    def __init__(self, path, update):
        self.path, self.update = path, update
        lines = path.read_text().splitlines() if path.exists() else []
        self.kept = dict(line.split(": ", 1) for line in lines if ": " in line)

    def check(self, name, text):
        text = re.sub(r"0x[0-9a-f]+", "0x...", text).replace("\n", "\\n")
        if self.update:
            self.kept[name] = text
            body = "".join(f"{key}: {self.kept[key]}\n" for key in sorted(self.kept))
            self.path.write_text(body)
        assert self.kept.get(name) == text, f"{self.path.name}, {name}: run with --update-golden"


@pytest.fixture(scope="session")
def golden_errors(request):
    return GoldenFile(GOLDEN / "errors.txt", request.config.getoption("--update-golden"))
