# Two commands on a fresh Debian machine: `make demo` and `make test`. Both set up what they need.

PYTHON ?= python3
BIN := .venv/bin
DISTS := core providers/platforms providers/filesystems providers/static_unmount providers/lvm2 providers/jfs2 providers/remote providers/fssnap executors/dask storage frontends/cli tests

.PHONY: help setup demo test lint bench torture clean

help:
	@echo "make demo     image a real volume, change it, image it again, restore it, prove it"
	@echo "make test     lint, then every test (a seeded tenth of the long random ones)"
	@echo "make torture  every long random test in full; writes docs/explanation/reliability.md"
	@echo "make bench    the measurements behind docs/explanation/performance.md"
	@echo "make lint     ruff, mypy --strict, import-linter"

setup: .venv/ready

.venv/ready: constraints.txt pyproject.toml $(addsuffix /pyproject.toml,$(DISTS))
	@./setup.sh "$(PYTHON)" $(DISTS)
	@touch $@

demo: setup
	@$(BIN)/python docs/tutorial/demo.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	@for d in $(DISTS); do $(BIN)/mypy --strict $$d/src || exit 1; done

test: lint
	@tests/tools.sh
	$(BIN)/python -m pytest

torture: setup
	@tests/tools.sh
	HOLDSTILL_TORTURE=full $(BIN)/python tests/torture.py

bench: setup
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
