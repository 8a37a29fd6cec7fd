# Each verb works on a fresh machine with a Rust toolchain, a C compiler, Python 3.10 or newer and the package
# registries: what else it needs is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MATURIN := VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --quiet

.PHONY: demo test bench lint format clean

# The main job, on an SQLite file that it makes itself: ROWS=… changes its size.
demo: $(VENV)/.demo
	$(MATURIN) --release
	$(BIN)/python -m benchmarks.demo

# Everything: format, lints and types, then the tests in Rust and in Python.
test: lint
	cargo test --workspace --exclude industrydb-py --locked # Python tests that crate, which needs no libpython then
	$(BIN)/python -m pytest

# The same read by industrydb and its peers: SCALE=… changes the size, docs/benchmarks.md gets the result.
bench: $(VENV)/.bench
	$(MATURIN) --release
	$(BIN)/python -m benchmarks all

lint: $(VENV)/.test
	cargo fmt --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(MATURIN)
	$(BIN)/ruff check python benchmarks
	$(BIN)/ruff format --check python benchmarks
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest industrydb.industrydb --mypy-config-file pyproject.toml

format: $(VENV)/.test
	cargo fmt
	$(BIN)/ruff check --fix python benchmarks
	$(BIN)/ruff format python benchmarks

# One stamp for each dependency group of pyproject.toml; pip 25.1 is the first that knows groups.
$(VENV)/.%: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group $* polars
	touch $@

clean:
	cargo clean
	rm -rf $(VENV) benchmarks/data
