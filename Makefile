# Everything a contributor runs. Nothing is needed but Python 3.11 or newer; `make help` lists the targets.

PYTHON ?= python3
# Test processes: as many as there are cores, but no more than this.
TEST_PROCESSES ?= 2

BIN := .venv/bin
STAMP := .venv/installed
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check fast lint docs pytest bench install clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) \
	  | awk -F'|' '{printf "%-15s %s\n", $$1, $$2}'

demo: $(STAMP) ## train a small model, evaluate it and draw its pictures
	@$(BIN)/vaekit demo

test: lint docs pytest ## every check: lint, types, documentation, tests

check: lint fast ## lint, types and a fast part of the tests, in a minute and a half

fast: $(STAMP)
	@OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto --maxprocesses $(TEST_PROCESSES) -m 'fast and not slow'

lint: $(STAMP) ## ruff (rules and format) and pyright
	@echo "ruff check"
	@$(BIN)/ruff check --quiet .
	@echo "ruff format"
	@$(BIN)/ruff format --check --quiet . \
	  || { echo "make: some files are not formatted; run: $(BIN)/ruff format ." >&2; exit 1; }
	@echo "pyright"
	@$(BIN)/pyright

docs: $(STAMP) ## the documentation, with warnings as errors, into docs/_build/html
	@echo "docs"
	@$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

# One thread per process: the processes share the cores. The last line of pytest is the last line of `make test`.
pytest: $(STAMP) ## the tests alone
	@OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto --maxprocesses $(TEST_PROCESSES)

# In a quiet hour: every program that is compared wants the machine for itself. What fails does not stop the rest.
ROUNDS ?= 3
GIGABYTES ?= 4
bench: $(STAMP) ## measure speed beside peers and limits (half an hour, a quiet machine): docs/speed.md
	-@$(BIN)/python benchmarks/training.py --rounds $(ROUNDS) --save
	-@$(BIN)/python benchmarks/step.py --save
	-@$(BIN)/python benchmarks/convolutions.py --rounds $(ROUNDS) --save
	-@$(BIN)/python benchmarks/processes.py --rounds $(ROUNDS) --save
	-@$(BIN)/python benchmarks/vamp.py --rounds $(ROUNDS) --save
	-@$(BIN)/python benchmarks/rounding.py --save
	-@$(BIN)/python benchmarks/likelihood.py --rounds $(ROUNDS) --save
	-@$(BIN)/python benchmarks/streaming.py --rounds $(ROUNDS) --seconds 10 --gigabytes $(GIGABYTES) --save
	-@$(BIN)/python benchmarks/to_a_bound.py --rounds 3 --save
	-@$(BIN)/python benchmarks/gpu.py --save
	@$(BIN)/python docs/make_speed.py
	@echo "docs/speed.md"

install: $(STAMP) ## create or refresh .venv and nothing else

# The interpreter is checked before anything is made. A .venv that is there and new enough is kept and brought up
# to date; one that is broken or too old is made again. A failed installation leaves no stamp.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c '' 2>/dev/null || { \
	  echo "make: vaekit needs Python 3.11 or newer, but '$(PYTHON)' cannot be run." >&2; \
	  echo "hint: name an interpreter: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: vaekit needs Python 3.11 or newer, but '$(PYTHON)' is `$(PYTHON) --version 2>&1`." >&2; \
	  echo "hint: name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "make: '$(PYTHON)' cannot make virtual environments: its module venv or ensurepip is missing." >&2; \
	  echo "hint: install the package python3-venv of your system." >&2; exit 1; }
	@$(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || $(PYTHON) -m venv --clear .venv
	@printf 'Installing vaekit and its tools into .venv (minutes the first time):'
	@printf ' pip'; $(PIP) install -c constraints.txt pip setuptools
	@printf ', torch'; $(PIP) install -c constraints.txt torch
	@printf ', the rest'; $(PIP) install -c constraints.txt --no-build-isolation -e '.[dev]'
	@echo ', done.'
	@touch $@

clean: ## remove what the tools leave behind (not .venv, not your runs)
	@rm -rf docs/_build build dist src/*.egg-info .pytest_cache .ruff_cache .hypothesis .coverage
	@find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
