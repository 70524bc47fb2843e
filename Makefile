# Every target makes what it needs, on a machine that has Python >= 3.11 and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.stamp

.DEFAULT_GOAL := help
.PHONY: help venv lock demo test soak bench check servers clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1\t/' | expand -t 18

venv: $(STAMP)  ## make .venv from requirements.lock

# A half-made environment is never taken for a whole one: the stamp comes last.
$(STAMP): requirements.lock pyproject.toml tools/make_venv.sh
	PYTHON="$(PYTHON)" tools/make_venv.sh $(VENV)
	@touch $@

lock: $(STAMP)  ## remake requirements.lock from pyproject.toml
	tools/make_lock.sh $(BIN)/uv

demo: $(STAMP)  ## a month of flights, on the embedded default
	$(BIN)/python -m examples.flight_delays.demo

# Servers are prepared where their toolchains are; elsewhere the tests find servers
# otherwise or say how to get them (CONTRIBUTING.md, Servers).
# Each test starts processes of its own: no more at a time than there are cores.
WORKERS ?= $(shell getconf _NPROCESSORS_ONLN)
test: $(STAMP)  ## the tests, on real servers where they can be had
	@if { command -v java && command -v mvn && command -v go; } >/dev/null; then \
	  $(MAKE) --no-print-directory servers; \
	else echo "make servers: left out, needs java, mvn and go"; fi
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

SECONDS ?= 300
soak: $(STAMP)  ## look for what breaks a guarantee, for SECONDS in each of two ways
	$(BIN)/python -m tests.simulation --plants
	$(BIN)/python -m tests.simulation --seconds $(SECONDS)
	$(BIN)/python -m tests.chaos --seconds $(SECONDS)

bench: $(STAMP)  ## how fast it is, beside what bounds it; minutes, with BENCH_ARGS=--all an hour
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

servers: $(STAMP)  ## fetch Kafka and an S3 server into the cache for tests
	$(BIN)/python -m tests.servers.provision

check: $(STAMP)  ## format, lint, types, import layers, file sizes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/check_file_sizes.py

clean:  ## remove what the targets above made in the tree
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
