# One command per habit. A fresh machine needs Python 3.11 or later, make and git; everything else is installed into .venv
# from the lock files, which pin every package by hash.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
LOAD_VENV := .venv-load
SCHEMA_VENV := .venv-schemathesis
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --custom-compile-command "make lock" $(OPTIONS)

DATA ?= completejourney
PART ?=
SCENARIO ?=
MEASURE ?=
QUICK ?=
N ?= $(if $(QUICK),2000,200000)
COLUMNS ?=
SCHEMES ?=
OPTIONS ?=

.DEFAULT_GOAL := help
.PHONY: help demo serve test check contract bench load reliability fuzz schemathesis format lock setup clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## Segment real shop data: DATA=completejourney (default), cdnow, tafeng, or FILE with COLUMNS=…; SCHEMES=all
	@$(BIN)/python -m loadtests.demo "$(DATA)" $(if $(COLUMNS),--columns "$(COLUMNS)") $(if $(SCHEMES),--schemes "$(SCHEMES)") \
		$(OPTIONS)

serve: $(VENV)/.installed ## Start the service; OPTIONS="--port 9000" for its flags
	@$(BIN)/segserve serve $(OPTIONS)

test: $(VENV)/.installed-dev ## Run all tests
	@$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile $(OPTIONS)

check: $(VENV)/.installed-dev ## Lint, format check, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

contract: $(VENV)/.installed-dev ## Write proto/openapi.json, the golden files and the tables in proto/README.md anew
	$(BIN)/python -m service.contract
	$(BIN)/python -m tests.wire.golden
	$(BIN)/python -m proto.describe
	$(BIN)/python -m service.schemes.describe

bench: $(VENV)/.installed-bench ## Measure against the peers: PART=aggregate (…; default all but scale), QUICK=1
	@$(BIN)/python -m loadtests.bench $(if $(PART),--part "$(PART)") $(if $(QUICK),--quick) $(OPTIONS)

load: $(VENV)/.installed-dev $(LOAD_VENV)/.installed ## Load it as its users do: SCENARIO=ad (crm, data, mix; default all), QUICK=1
	@$(BIN)/python -m loadtests.load --locust $(LOAD_VENV)/bin/locust $(SCENARIO) $(if $(QUICK),--quick) $(OPTIONS)

reliability: $(VENV)/.installed-dev ## Overload, slow clients, faults, soak …: MEASURE=overload (…; default all but soak), QUICK=1
	@$(BIN)/python -m loadtests.reliability $(MEASURE) $(if $(QUICK),--quick) $(OPTIONS)

fuzz: $(VENV)/.installed-dev ## Send mutated bodies to a live service under 1 GB: N=200000 (20 minutes), QUICK=1
	@$(BIN)/python -m loadtests.fuzz --bodies $(N) $(if $(QUICK),--quick) $(OPTIONS)

schemathesis: $(VENV)/.installed-dev $(SCHEMA_VENV)/.installed ## Hold a live service to the OpenAPI document it publishes: QUICK=1
	@$(BIN)/python -m loadtests.fuzz.published --schemathesis $(SCHEMA_VENV)/bin/schemathesis $(if $(QUICK),--quick) $(OPTIONS)

format: $(VENV)/.installed-dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.installed-dev ## Pin every package by hash; OPTIONS=--upgrade for newer versions
	$(LOCK) --extra dev --group build --output-file requirements-dev.lock pyproject.toml
	$(LOCK) --extra bench --constraint requirements-dev.lock --output-file requirements-bench.lock pyproject.toml
	$(LOCK) --extra cli --extra telemetry --constraint requirements-dev.lock --output-file requirements.lock pyproject.toml
	$(LOCK) --group build --constraint requirements-dev.lock --output-file requirements-build.lock
	$(LOCK) --group load --output-file requirements-load.lock
	$(LOCK) --group schemathesis --output-file requirements-schemathesis.lock

setup: $(VENV)/.installed-dev ## Install everything into .venv

clean: ## Remove .venv and fetched data
	rm -rf $(VENV) $(LOAD_VENV) $(SCHEMA_VENV) .demo

# What the service and the command line need, and the project itself, in place.
$(VENV)/.installed: requirements.lock requirements-build.lock pyproject.toml | $(BIN)/python
	@echo "Installing the service into $(VENV) …"
	@$(PIP) --require-hashes -r requirements.lock -r requirements-build.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "Installing the tools for tests and checks into $(VENV) …"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.installed-bench: requirements-bench.lock $(VENV)/.installed-dev
	@echo "Installing what the bench compares with into $(VENV) …"
	@$(PIP) --require-hashes -r requirements-bench.lock
	@touch $@

# The load tool by itself: its gevent is nothing for the others.
$(LOAD_VENV)/.installed: requirements-load.lock | $(BIN)/python
	@echo "Installing the load tool into $(LOAD_VENV) …"
	@$(BIN)/python -m venv $(LOAD_VENV)
	@$(LOAD_VENV)/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-load.lock
	@touch $@

# Schemathesis by itself, for the same reason.
$(SCHEMA_VENV)/.installed: requirements-schemathesis.lock | $(BIN)/python
	@echo "Installing schemathesis into $(SCHEMA_VENV) …"
	@$(BIN)/python -m venv $(SCHEMA_VENV)
	@$(SCHEMA_VENV)/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-schemathesis.lock
	@touch $@

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "segserve needs Python 3.11 or later, and none was found. Install it, or name one: make PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi
	@if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo "segserve needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv module could not make $(VENV); on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
