# What a newcomer needs: `make report` and `make test`. Both set up .venv first, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The folder of this interpreter comes first on PATH: DVC starts the stages with `python`.
RUN := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/
STAMP := $(VENV)/.installed
# There while packages are being installed. Left behind, it means that a run was killed half-way;
# pip may then take a half-copied package for an installed one, so the environment is made anew.
UNFINISHED := $(VENV)/.unfinished
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))

export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1

.DEFAULT_GOAL := help
.PHONY: help report test check format bench env lock clean-env

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'

report: $(STAMP) ## Run the pipeline; EXPERIMENTS="a b" chooses what runs, else params.yaml does
	$(if $(strip $(EXPERIMENTS)),$(RUN)python -m neumeta use $(EXPERIMENTS),$(RUN)python -m neumeta check)
	$(RUN)dvc repro
	@echo "Open reports/index.html"

test: $(STAMP) ## Run the tests; ARGS="-k width" passes options to pytest
	$(RUN)python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(STAMP) ## Formatter, linter, type checker, docstring lint; changes nothing
	$(RUN)ruff format --check .
	$(RUN)ruff check .
	$(RUN)mypy
	$(RUN)pydoclint neumeta flows

format: $(STAMP) ## Format the code and apply the safe fixes of the linter
	$(RUN)ruff format .
	$(RUN)ruff check --fix .

bench: $(STAMP) ## Run the benchmarks; ARGS="--only steps" passes options, ARGS=--help lists them
	$(RUN)python -m tests.benchmarks $(ARGS)

env: $(STAMP) ## Set up .venv alone

lock: ## Renew requirements.lock after a change of pyproject.toml; UPGRADE=1 takes newest versions
	PYTHON="$(PYTHON)" UPGRADE="$(UPGRADE)" .ci/lock

clean-env: ## Delete .venv
	rm -rf $(VENV)

# The lock is given as a constraint on the command line and in two variables: the variables carry it
# into the environments in which pip builds packages that come as source (PIP_BUILD_CONSTRAINT from
# pip 25.3 on, PIP_CONSTRAINT before).
# pydoclint lives apart, because of a clash that pyproject.toml tells of; a link makes it reachable.
PIP := PIP_CONSTRAINT=requirements.lock PIP_BUILD_CONSTRAINT=requirements.lock \
	$(BIN)/python -m pip --disable-pip-version-check
DOCSTRINGS := $(VENV)/docstrings
# If pip fails by itself, offline say, it puts back what it changed: what is there stays good.
OR_FAIL := || { rm -f $(UNFINISHED); exit 1; }

$(STAMP): pyproject.toml requirements.lock
	@if [ -e $(UNFINISHED) ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		$(PYTHON) -c '$(FITS)' 2>/dev/null || { echo "neumeta needs Python 3.11 to 3.14, but" \
			"$(PYTHON) is $$($(PYTHON) -V 2>/dev/null || echo missing);" \
			"name another: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }; \
		$(PYTHON) -m venv --clear $(VENV); \
	fi
	@touch $(UNFINISHED)
	$(PIP) install -c requirements.lock -e ".[dev]" $(OR_FAIL)
	$(BIN)/python -m venv --clear --without-pip $(DOCSTRINGS)
	$(PIP) --python $(DOCSTRINGS) install -c requirements.lock pydoclint $(OR_FAIL)
	ln -sf ../docstrings/bin/pydoclint $(BIN)/pydoclint
	@touch $@ && rm -f $(UNFINISHED)
