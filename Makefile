# Every target but lab works without root. Each set-up is done once and again when pyproject.toml changes.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
# The first of these that starts and is new enough; override with `make PYTHON=/path/to/python3 ...`.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.10; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo "$$p" && break; done)
PIP := $(VENV_PYTHON) -m pip --disable-pip-version-check install --quiet
PYTEST_ARGS ?=
HOSTS ?= 4
SEED ?= $(shell date +%s)

.PHONY: help demo test lint format bench chaos loggers lab clean

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 10

demo: $(VENV)/.runtime  ## train a digits classifier on 2 nodes x 2 processes, here, and show its output
	@if [ -z "$$RUNNER_WORKSPACE" ] && [ ! -d .runner ]; then $(VENV_PYTHON) -m runner init; fi
	$(VENV_PYTHON) -m runner submit configs/digits-mpi.yml --show-output

test: $(VENV)/.test  ## run every test that this machine can run, and name the ones it cannot
	$(VENV_PYTHON) -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.lint  ## check the format, the rules and the types
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m mypy --strict runner sidecar $$(find tests/doubles -name '*.py' 2>/dev/null)
	@# What runs inside a job ships as a folder of its own, so its imports start there.
	MYPYPATH=sidecar/injob/site $(VENV_PYTHON) -m mypy --strict $$(find sidecar/injob -name '*.py')

format: $(VENV)/.lint  ## put everything into the format that lint asks for
	$(VENV_PYTHON) -m ruff format .
	$(VENV_PYTHON) -m ruff check --fix .

bench: $(VENV)/.test  ## measure against other launchers; a table, and JSON beside it
	$(VENV_PYTHON) -m tests.benchmarks.run

chaos: $(VENV)/.test  ## run the long tests that kill things at random; SEED=n repeats one
	SCRIPTRUN_SEED=$(SEED) $(VENV_PYTHON) -m pytest -m chaos $(PYTEST_ARGS)

loggers: $(VENV)/.test  ## run the tests with MLflow servers, Keras, Lightning and Hugging Face; installs 2 GB
	$(VENV_PYTHON) -m tests.loggers.environments
	SCRIPTRUN_REQUIRE_GROUPS=loggers $(VENV_PYTHON) -m pytest tests/loggers $(PYTEST_ARGS)

lab: $(VENV)/.test  ## start 4 ssh hosts (HOSTS=n) made of namespaces to play with, until Ctrl-C; needs root
	$(VENV_PYTHON) -m tests.lab start --hosts $(HOSTS) --package-index

clean:  ## remove what was built here; runs and their logs stay in .runner
	rm -rf $(VENV) .venv-bench .venv-loggers build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find runner sidecar tests configs -name __pycache__ -type d -prune -exec rm -rf {} +

# A folder without a working pip is what an interrupted set-up leaves: it is made anew.
$(VENV)/.made:
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.10 or newer is needed and was not found." \
		"Try: sudo apt install python3 python3-venv" >&2; exit 1; fi
	@if ! $(VENV_PYTHON) -c 'import pip' 2>/dev/null; then \
		if ! $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null; then \
			echo "$(PYTHON) cannot make virtual environments. Try: sudo apt install python3-venv" >&2; exit 1; fi; \
		echo "making $(VENV) with $(PYTHON)"; $(PYTHON) -m venv --clear $(VENV); fi
	@touch $@

$(VENV)/.runtime: pyproject.toml | $(VENV)/.made
	@echo "installing the runner into $(VENV)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.runtime
	@echo "installing what the tests need into $(VENV)"
	@$(PIP) --editable '.[test]'
	@touch $@

$(VENV)/.lint: pyproject.toml $(VENV)/.runtime
	@echo "installing what lint needs into $(VENV)"
	@$(PIP) --editable '.[lint]'
	@touch $@
