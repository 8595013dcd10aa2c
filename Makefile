# make run    the whole pipeline: a .venv, the pinned packages, `dvc repro`, and the results
# make test   what a change must pass
# make docs   the documentation, as pages in site/
# make bench  measurements against the budgets of docs/architecture.md
# make clean  remove caches, built pages and unfinished work; keeps .venv, data, models and reports

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.installed-test
WORKERS ?= 2

# Tools that would otherwise ask the network for updates, or draw colours into a log.
export NO_ALBUMENTATIONS_UPDATE := 1
export MLFLOW_DISABLE_TELEMETRY := true
export DVC_NO_ANALYTICS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run test check docs bench clean

help:
	@sed -n 's/^# make/make/p' Makefile

# What `make test` installs, measured: 6.6 GB of packages in .venv, and 2.6 GB of wheels in TMPDIR until they are unpacked.
define not_installed
{ free() { df -Ph "$$1" | awk 'NR == 2 { print $$4 }'; }
echo "make: the packages could not be installed; pip's reason is above. Once it is out of the way, the same command goes on."
echo "      They take 7 GB in $(CURDIR)/$(VENV) ($$(free .) free) and, while they are installed, 3 GB in $${TMPDIR:-/tmp}"
echo "      ($$(free "$${TMPDIR:-/tmp}") free). Short of room: free some, or lend other: TMPDIR=/another/folder make $(MAKECMDGOALS)"
exit 1; } >&2
endef

# A virtual environment is made once; it is made anew when its interpreter has gone.
$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) was not found. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is $$($(PYTHON) -V 2>&1), but 3.11 or newer is needed. Name one: make PYTHON=python3.12" >&2; exit 1; }
	echo "make: creating $(VENV) with $$($(PYTHON) -V)"
	$(PYTHON) -m venv --clear $(VENV) || { echo "make: $(VENV) could not be made; the reason is above. Where the venv module is missing, on Debian: apt-get install python3-venv" >&2; exit 1; }

$(RUN_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "make: installing the pinned packages (a few minutes the first time)"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e . || $(not_installed)
	touch $@

$(TEST_STAMP): $(RUN_STAMP)
	@echo "make: installing what the checks need"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,docs]' || $(not_installed)
	touch $@

run: $(RUN_STAMP)
	@export PATH="$(CURDIR)/$(BIN):$$PATH"
	scm=yes; if [ ! -e .git ] || ! command -v git >/dev/null; then scm=; fi
	if [ ! -d .dvc ]; then if [ -n "$$scm" ]; then dvc init --quiet; else dvc init --quiet --no-scm; fi; fi
	if [ -z "$$scm" ]; then dvc config --quiet --local core.no_scm true; fi  # a copy without git
	dvc repro
	python -c 'import json; from adaptgan.stages.summary import print_summary; print_summary(json.load(open("reports/metrics.json")))'
	echo "Report: file://$(CURDIR)/reports/index.html"
	echo "Runs:   $(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db   (then open the address it prints)"

check: $(TEST_STAMP)
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell

test: check
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

docs: $(TEST_STAMP)
	@$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	echo "Pages: file://$(CURDIR)/site/index.html"

bench: $(TEST_STAMP)
	@for file in bench/*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

clean:
	rm -rf site build dist .adaptgan .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
