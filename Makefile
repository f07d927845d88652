# The door to the house: `make` lists what it can do. Each target installs what it needs, and
# builds again only what has changed.

export PIP_DISABLE_PIP_VERSION_CHECK := 1
PYTHON ?= python3
# One environment for each interpreter, so that `make test PYTHON=python3.13` finds no modules
# built for another.
VENV ?= $(if $(filter python3,$(PYTHON)),.venv,.venv-$(notdir $(PYTHON)))
# For Autobahn's suite alone.
PYTHON2 ?= python2.7
AUTOBAHN_VENV ?= .venv-autobahn
HOST ?= 127.0.0.1
PORT ?= 8000
# More for pytest, for instance: make test ARGS="-k keep_alive --loop weft"
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet
STAMPS := $(VENV)/stamps
mark = @mkdir -p $(@D) && touch $@
# What tests/ecosystem needs; empty leaves it out, where those libraries cannot be installed.
ECOSYSTEM ?= $(STAMPS)/ecosystem
# The rooms that `make checked` runs: those that work the loop and its transports hard.
CHECKED := tests/loop tests/transports tests/ecosystem tests/stress
PURE := -p weft-reactor -p weft-protocol -p weft-supervisor

# pip builds in the tree, so its release build, `cargo test` and clippy share one target
# directory, and the dependencies are compiled once for each profile.
export CARGO_TARGET_DIR ?= $(CURDIR)/target
# The interpreter that PyO3 is built for; for the wheel, maturin says it.
lint docs: export PYO3_PYTHON := $(abspath $(BIN)/python)

# What the wheel is made of. Folders are listed too: their time changes when a file goes away.
SOURCES := Cargo.toml Cargo.lock README.md LICENSE-MIT LICENSE-APACHE pyproject.toml \
	$(shell find crates/*/src python -not -path '*/__pycache__*' \( -type d -o -name '*.rs' \
		-o -name '*.py' -o -name '*.pyi' -o -name py.typed \)) $(wildcard crates/*/Cargo.toml)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test test-rust test-python autobahn stress checked conformance lint fmt wheel \
	docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMPS)/weft ## build weft and install it into the environment

run: $(STAMPS)/weft $(STAMPS)/examples ## serve examples/conversations at http://127.0.0.1:8000
	$(BIN)/weft --app-dir examples --host $(HOST) --port $(PORT) conversations.app:app

test: test-rust test-python ## every test: the pure crates, then all else through the wheel

test-rust:
	cargo test --locked --quiet $(PURE)

test-python: $(STAMPS)/weft $(STAMPS)/examples $(STAMPS)/dev $(ECOSYSTEM)
	$(BIN)/pytest $(ARGS)

autobahn: $(STAMPS)/weft $(STAMPS)/examples $(STAMPS)/dev $(AUTOBAHN_VENV)/bin/wstest ## Autobahn's WebSocket suite; needs PYTHON2
	WEFT_WSTEST=$(abspath $(AUTOBAHN_VENV)/bin/wstest) $(BIN)/pytest -m stress tests/stress/test_autobahn.py $(ARGS)

# virtualenv 20.21 is the last that makes environments for Python 2.7.
$(AUTOBAHN_VENV)/bin/wstest: tests/stress/autobahn.txt
	$(PYTHON2) -m pip --quiet install --target $(AUTOBAHN_VENV)/maker 'virtualenv<20.22'
	PYTHONPATH=$(AUTOBAHN_VENV)/maker $(PYTHON2) -m virtualenv $(AUTOBAHN_VENV)
	$(AUTOBAHN_VENV)/bin/pip --quiet install -r $<

stress: $(STAMPS)/weft $(STAMPS)/examples $(STAMPS)/dev $(ECOSYSTEM) ## the tests that take minutes
	$(BIN)/pytest -m stress $(ARGS)

# A build of its own in an environment of its own. Python's allocator checks the edges of its
# blocks and fills what is freed, so that a use after free does not pass unnoticed.
checked: export MATURIN_PEP517_ARGS := --profile checked
checked: export PYTHONMALLOC := debug
checked: ## loop tests with debug assertions, overflow and allocator checks
	$(MAKE) test-python VENV=.venv-checked ARGS="$(or $(ARGS),$(CHECKED) --loop weft)"

conformance: $(STAMPS)/weft ## the interpreter's own asyncio tests on weft's loop, as a table
	$(BIN)/python -m tests.conformance $(ARGS)

lint: $(STAMPS)/weft $(STAMPS)/examples $(STAMPS)/dev ## formats, lints and types; a warning is an error
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/stubtest weft._core

fmt: $(STAMPS)/dev ## rewrite the sources in the house's format
	cargo fmt --all
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

include benches/Makefile.inc

wheel: $(STAMPS)/venv ## build a wheel into dist/
	$(PIP) wheel --no-deps --wheel-dir dist .

docs: $(STAMPS)/venv ## the Rust documentation, private items too, into target/doc
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

clean: ## remove everything that make has made
	rm -rf $(VENV) .venv-checked .venv-sid $(BENCH_VENV) $(AUTOBAHN_VENV) dist .pytest_cache .mypy_cache .ruff_cache
	cargo clean

$(STAMPS)/venv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "weft needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade 'pip>=25.1'  # the first that knows --group
	$(mark)

$(STAMPS)/weft: $(SOURCES) | $(STAMPS)/venv
	$(PIP) install .
	$(mark)

$(STAMPS)/dev: pyproject.toml | $(STAMPS)/venv
	$(PIP) install --group dev
	$(mark)

$(STAMPS)/ecosystem: pyproject.toml | $(STAMPS)/venv
	$(PIP) install --group ecosystem
	$(mark)

$(STAMPS)/examples: examples/requirements.txt | $(STAMPS)/venv
	$(PIP) install -r $<
	$(mark)


