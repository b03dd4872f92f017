# Everything a person or CI runs. `make` alone lists the targets.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SERVICES := $(notdir $(patsubst %/__main__.py,%,$(wildcard services/*/__main__.py)))
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
  --no-header --no-emit-index-url --no-emit-find-links
# More workers than cores, as many tests wait for a process or a deadline; each takes seconds of CPU time to start.
test test-thorough: WORKERS = 5
test-unit: WORKERS = 6
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# Without cached bytecode each worker rewrites all tests and each started process compiles all modules.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help setup run test test-unit test-thorough test-stack lint format lock sbom schema dashboards dashboards-docs bench screenshots clean purge up down logs

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# What runs needs is installed first; the tools for tests and lint come on top.
$(VENV)/run: requirements/native.txt requirements/demo.txt pyproject.toml client/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Botwatch needs Python 3.11 or newer")'
	@echo "Installing Botwatch's packages into $(VENV): once, one to three minutes, about 150 MB"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python deploy/install.py requirements/native.txt
	@$(BIN)/python deploy/install.py --no-deps requirements/demo.txt
	@$(PIP) --no-deps --no-build-isolation -e . -e client
	@touch $@

$(VENV)/dev: $(VENV)/run requirements/dev.txt
	@echo "Installing the tools for tests and lint"
	@$(BIN)/python deploy/install.py requirements/dev.txt
	@touch $@

setup: $(VENV)/dev ## Create the virtual environment for run, test and lint

run: $(VENV)/run ## Run everything natively with a demo bot (embedded Valkey, all parts, the page); Ctrl-C stops it
	@exec $(BIN)/botwatch up --demo

test: $(VENV)/dev ## Unit, contract and integration tests, WORKERS=5 at a time; T=path::name for one
	$(BIN)/pytest $(or $(T),$(PARALLEL))

test-unit: $(VENV)/dev ## The fast unit and contract tests: no browsers, no services, no repeated kills
	$(BIN)/pytest $(PARALLEL) -m "not slow" tests/unit tests/contract

test-thorough: $(VENV)/dev ## What `make test` runs, with 100 examples of each property instead of 10
	$(BIN)/pytest $(PARALLEL) --hypothesis-profile=thorough

test-stack: $(VENV)/dev ## Tests against the compose stack, through its published ports
	$(BIN)/pytest tests/stack

lint: $(VENV)/dev ## Style, types, import rules, and Prometheus' configuration and rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=.:client $(BIN)/lint-imports
	@if command -v promtool >/dev/null; then \
	  promtool check config --syntax-only prometheus/prometheus.yml && promtool check rules prometheus/rules/*.yml \
	    && promtool test rules prometheus/tests/*.yml; \
	else echo "promtool is not installed; Prometheus' rules are not linted"; [ -z "$$CI" ]; fi
	$(if $(wildcard $(BIN)/biome),$(BIN)/biome check --error-on-warnings,@echo "biome: no wheel for this machine; the page is not linted")

format: $(VENV)/dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(if $(wildcard $(BIN)/biome),$(BIN)/biome check --write)

schema: $(VENV)/dev ## Generate docs/schema (JSON Schemas of wire and config), docs/metrics.md and docs/metrics-reference.md
	$(BIN)/python -m shared.schema.export docs/schema
	$(BIN)/python -m shared.runtime.config.json_schemas docs/schema
	$(BIN)/python -m shared.schema.metrics_page docs/metrics.md
	$(BIN)/python -m tests.metrics_reference docs/metrics-reference.md

dashboards: $(VENV)/dev ## Write Grafana's dashboards, grafana/dashboards/*.json
	$(BIN)/python -m grafana.generate

dashboards-docs: $(VENV)/dev ## Draw docs/dashboards from a running demo and a real Prometheus, in 6 minutes
	$(BIN)/python -m tests.dashboard_pictures docs/dashboards

bench: $(VENV)/dev ## Run the benchmarks; prints ratios
	$(BIN)/python -m tests.bench

screenshots: $(VENV)/dev ## Take the README's screenshots from a running demo
	$(BIN)/python -m tests.screenshots docs/images

lock: $(VENV)/dev ## Pin every dependency with hashes
	for service in $(SERVICES); do \
	  PATH=$(BIN):$$PATH $(LOCK) --extra $$service pyproject.toml -o requirements/$$service.txt; \
	done
	PATH=$(BIN):$$PATH $(LOCK) --extra command pyproject.toml -o requirements/command.txt
	PATH=$(BIN):$$PATH $(LOCK) $(SERVICES:%=--extra %) --extra command --extra native pyproject.toml -o requirements/native.txt
	PATH=$(BIN):$$PATH $(LOCK) --all-extras pyproject.toml -o requirements/dev.txt
	PATH=$(BIN):$$PATH $(LOCK) --no-deps requirements/demo.in -o requirements/demo.txt

sbom: $(VENV)/dev ## Write each image's packages to sbom/*.cdx.json (CycloneDX)
	@mkdir -p sbom
	for service in $(SERVICES); do \
	  PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements requirements/$$service.txt --pyproject pyproject.toml \
	    --output-reproducible -o sbom/botwatch-$$service.cdx.json || exit 1; \
	done

up: ## Start the compose stack and wait until it is healthy
	docker compose up --build --wait

down: ## Stop the compose stack; data is kept
	docker compose down

logs: ## Follow the compose stack's logs
	docker compose logs --follow --tail 100

clean: ## Remove caches and build results; environment and data are kept
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

purge: clean ## Remove also the environment and all data in var/, after confirmation
	@printf 'This deletes $(VENV) and var/ with every database, log and secret in it. Type yes to go on: '; \
	  read -r answer && [ "$$answer" = yes ] || { echo "Nothing was deleted."; exit 1; }
	rm -rf $(VENV) var *.egg-info client/*.egg-info
