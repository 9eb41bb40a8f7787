# Everything runs from .venv; `make` alone says what there is.
VENV := .venv
PYTHON := $(VENV)/bin/python
PORT ?= 8000
.DEFAULT_GOAL := help

.PHONY: help
help: ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

.PHONY: setup
setup: $(VENV)/.runtime ## Make the virtual environment and install what the server needs

$(VENV)/.runtime: requirements.txt
	@test -d $(VENV) || python3 -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv is missing: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.development: requirements-dev.txt requirements.txt $(VENV)/.runtime
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

.PHONY: run
run: setup ## Run everything with a demo: web, worker, database
	@$(PYTHON) manage.py run_demo --port $(PORT)

.PHONY: serve
serve: setup ## Serve the web alone, on PORT
	@$(PYTHON) manage.py serve --port $(PORT)

.PHONY: worker
worker: setup ## Run the background worker and the clock
	@$(PYTHON) manage.py work

.PHONY: test
test: $(VENV)/.development ## Run every test that needs no server and no browser
	$(PYTHON) -m pytest -n 2 --dist worksteal

.PHONY: test-browser
test-browser: $(VENV)/.development ## Run the tests that click through the admin in Chromium
	$(PYTHON) -m pytest -n 2 -m browser

.PHONY: test-node
test-node: $(VENV)/.development ## Run the test of the official Node SDK
	$(PYTHON) -m pytest -m node

.PHONY: test-pgbouncer
test-pgbouncer: $(VENV)/.development ## Run the tests behind PgBouncer
	$(PYTHON) -m pytest -m pgbouncer

.PHONY: check check-types check-style check-layers check-migrations
check: check-types check-style check-layers check-migrations ## Check types, format, lint, layers and migrations

check-types: $(VENV)/.development
	$(VENV)/bin/mypy .

check-style: $(VENV)/.development
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

check-layers: $(VENV)/.development
	$(VENV)/bin/lint-imports

check-migrations: $(VENV)/.development
	$(PYTHON) manage.py makemigrations --check --dry-run

.PHONY: format
format: $(VENV)/.development ## Format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

.PHONY: bench
bench: $(VENV)/.development ## Measure everything against its baseline, in one run
	$(PYTHON) -m bench

.PHONY: bench-check
bench-check: $(VENV)/.development ## Measure for some minutes and compare with the ratios that were kept
	$(PYTHON) -m bench --check

.PHONY: bench-data
bench-data: $(VENV)/.development ## Fill a database of a million users, once, and say how to use it
	$(PYTHON) -m bench.data

.PHONY: bench-serve
bench-serve: $(VENV)/.development ## Serve that database on PORT
	$(PYTHON) -m bench.data --serve $(PORT)
