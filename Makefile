# Everything a developer types. `make demo` and `make test` set up a fresh machine themselves:
# a virtual environment, the packages, the wheel, and a software Vulkan driver for the GPU tests.
#
# One optimised profile (`fast`) serves `cargo test` and the wheel, so that wgpu, gemm and the others
# are compiled once. Clippy only checks, and has a folder of its own: it asks PyO3 for other settings
# than maturin does, and in one folder each would make the other start again.

PYTHON ?= python3
PROFILE ?= fast
WORKERS ?= 2
# `make test GPU=auto` runs the GPU tests on the machine's own adapter instead of the software driver.
GPU ?=

VENV := .venv
PY := $(VENV)/bin/python
CARGO_TEST := cargo test --locked --profile $(PROFILE)
CLIPPY := CARGO_TARGET_DIR=target/lint cargo clippy --locked --profile $(PROFILE) --all-targets
RUST_SOURCES := $(shell find src shaders -type f 2>/dev/null) Cargo.toml Cargo.lock
SOURCES := $(RUST_SOURCES) $(shell find python -type f -not -path '*/__pycache__/*') pyproject.toml
WITH_GPU := $(if $(GPU),export RGRAD_GPU=$(GPU);,. $(VENV)/driver.env;)
BENCH_VENV := target/bench-$(subst /,-,$(PYTHON))

.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo demo-gpu test test-rust test-python test-examples stubs lint bench engine ulp wheel driver clean

help:
	@echo "make demo      the tutorial's graph and a classifier of handwritten digits, on the CPU"
	@echo "make demo-gpu  the classifier through WGSL"
	@echo "make test      every test"
	@echo "make lint      format, lints, sizes"
	@echo "make bench     ratios against other libraries; ONLY=matmul, PYTHON=/usr/bin/python3"
	@echo "make engine    instructions per graph node, with callgrind"
	@echo "make ulp       errors of the functions of floats, over all of them; ONLY=sin"
	@echo "make wheel     the release wheel, in dist/"
	@echo "make clean     removes what was built"

# --- what a person sees first -------------------------------------------------------------------

demo: $(VENV)/installed $(VENV)/demo-packages
	@mkdir -p out
	@RGRAD_GPU=off $(PY) examples/tutorial.py
	@RGRAD_GPU=off $(PY) examples/digits.py
	@echo
	@echo "The pictures are in out/: $$(cd out && ls *.svg *.png 2>/dev/null | tr '\n' ' ')"
	@echo "The same classifier through WGSL: make demo-gpu"

# A real adapter where there is one; otherwise the software driver shows the same, slowly.
demo-gpu: $(VENV)/installed $(VENV)/demo-packages
	@mkdir -p out
	@if RGRAD_GPU=auto $(PY) -c 'import rgrad, sys; sys.exit(not rgrad.cuda.is_available())'; then \
	    RGRAD_GPU=auto $(PY) examples/digits.py --gpu; \
	else \
	    $(MAKE) --no-print-directory $(VENV)/driver.env && \
	    { $(WITH_GPU) $(PY) examples/digits.py --gpu; }; \
	fi

# --- tests ----------------------------------------------------------------------------------------

test: test-rust test-python stubs test-examples
	@echo "== all tests passed"

test-rust: $(VENV)/driver.env
	@echo "== Rust tests without the GPU and without Python"
	@$(CARGO_TEST) --no-default-features
	@echo "== schedules of threads on one graph"
	@$(CARGO_TEST) --no-default-features --features model --test model
	@echo "== Rust tests"
	@$(WITH_GPU) $(CARGO_TEST)

test-python: $(VENV)/installed $(VENV)/driver.env
	@echo "== Python tests"
	@$(WITH_GPU) $(PY) -m pytest -q -n $(WORKERS) $(ARGS)

# On the CPU with no GPU allowed, then the classifier through WGSL; each checks its own results.
test-examples: $(VENV)/installed $(VENV)/demo-packages $(VENV)/driver.env
	@echo "== the examples"
	@export RGRAD_GPU=off; \
	    $(PY) examples/tutorial.py --out target/examples > target/tutorial.log && tail -n 2 target/tutorial.log \
	    || { cat target/tutorial.log; exit 1; }
	@RGRAD_GPU=off $(PY) examples/digits.py --out target/examples
	@$(WITH_GPU) if [ "$$RGRAD_GPU" = off ]; then \
	    echo "the digits through WGSL: skipped, there is no driver"; \
	else \
	    $(PY) examples/digits.py --gpu --out target/examples; \
	fi

stubs: $(VENV)/installed
	@echo "== stubs"
	@$(PY) tests/tools/check_stubs.py

# --- lints ----------------------------------------------------------------------------------------

lint: $(VENV)/packages
	@echo "== rustfmt and clippy"
	@cargo fmt --check
	@$(CLIPPY) --no-default-features -- -D warnings
	@CARGO_TARGET_DIR=target/lint cargo clippy --locked --profile $(PROFILE) --no-default-features --features model --lib --test model -- -D warnings
	@$(CLIPPY) -- -D warnings
	@PYO3_PYTHON=$(abspath $(PY)) $(CLIPPY) --features python -- -D warnings
	@echo "== ruff"
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --check --quiet .
	@echo "== sizes and shaders"
	@$(PY) tests/tools/size_report.py
	@$(PY) tests/tools/check_shaders.py

# --- measurements ---------------------------------------------------------------------------------

bench: $(BENCH_VENV)/packages wheel
	@$(BENCH_VENV)/bin/python -m pip install --quiet --force-reinstall --no-deps dist/rgrad-*.whl
	@$(BENCH_VENV)/bin/python tests/bench/run.py $(ONLY) $(ARGS)

engine:
	@bash tests/bench/engine.sh

# All floats, so it takes some minutes a function; ONLY="sin pow" measures those.
ulp:
	@cargo bench --locked --profile $(PROFILE) --no-default-features --bench ulp -- $(ONLY)

# Without torch: what pip gets is some gigabytes. One installed there by hand is measured too.
$(BENCH_VENV)/packages: pyproject.toml
	@mkdir -p target
	@bash tests/scripts/setup.sh $(PYTHON) $(BENCH_VENV) bench
	@touch $@

# --- builds ---------------------------------------------------------------------------------------

wheel: $(VENV)/packages
	@echo "== release wheel"
	@rm -f dist/rgrad-*.whl
	@$(VENV)/bin/maturin build --quiet --locked --release --out dist
	@ls -l dist/rgrad-*.whl | awk '{ printf "%s, %.1f MiB\n", $$NF, $$5 / 1048576 }'

$(VENV)/packages: pyproject.toml tests/scripts/setup.sh
	@bash tests/scripts/setup.sh $(PYTHON) $(VENV) dev
	@touch $@

$(VENV)/demo-packages: $(VENV)/packages
	@bash tests/scripts/setup.sh $(PYTHON) $(VENV) demo
	@touch $@

$(VENV)/installed: $(VENV)/packages $(SOURCES)
	@echo "== building the extension (the first time takes some minutes)"
	@rm -rf target/wheel
	@mkdir -p target
	@$(VENV)/bin/maturin build --quiet --locked --profile $(PROFILE) --auditwheel skip --out target/wheel \
	    > target/wheel.log 2>&1 || { cat target/wheel.log; exit 1; }
	@$(PY) -m pip install --quiet --force-reinstall --no-deps target/wheel/rgrad-*.whl
	@touch $@

$(VENV)/driver.env: tests/scripts/driver.sh | $(VENV)/packages
	@bash tests/scripts/driver.sh > $@

# Looks again for a software Vulkan driver, after one was installed by hand.
driver: $(VENV)/packages
	@bash tests/scripts/driver.sh > $(VENV)/driver.env

clean:
	@cargo clean --quiet
	@rm -rf $(VENV) dist out .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find python tests examples -name __pycache__ -prune -exec rm -rf {} +
