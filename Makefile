# Everything a developer or a CI does, by name. Needed beforehand: git, make, python3 >= 3.11 with pip;
# for the cluster also Docker, or root on Debian or Ubuntu.

PYTHON ?= python3
UV_VERSION ?= 0.13.9
COVERAGE_MIN ?= 90
# More words for the command of a target: make demo ARGS=..., make test-fast ARGS="-k archive".
ARGS ?=
# The cluster: 1 or 3 nodes; by published images (online), from packages alone, or as it turns out.
NODES ?= 1
ROAD ?= auto

# pip refuses to install into a system's own Python, and venv may be missing; a folder of ours
# needs neither, touches nothing else and works for root and for everybody.
OWN_UV := .cache/uv/bin/uv
UV ?= $(shell uv --version >/dev/null 2>&1 && command -v uv || echo $(OWN_UV))
WHOLE := --locked --all-packages --all-extras
RUN := $(UV) run $(WHOLE)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-fast e2e up status down tools cluster cluster-down images load certs generate lint format bench bench-cluster clean

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(filter $(OWN_UV),$(UV)) ## Install everything the lock file names into .venv
	$(UV) sync $(WHOLE)

demo: setup ## Start real servers, load sales files, show what came of it
	$(RUN) sales-pipeline demo $(ARGS)

test: setup lint tools ## Lint, every test with coverage, then the platform on a real cluster
	$(RUN) pytest -m "not e2e and not cluster" -n auto --dist loadfile \
	  --cov --cov-report=term --cov-fail-under=$(COVERAGE_MIN) $(ARGS)
	$(MAKE) --no-print-directory cluster images load
	$(RUN) pytest -m "e2e or cluster" $(ARGS)

test-fast: setup tools ## The tests that need no server and little time
	$(RUN) pytest -n auto --dist loadfile -m "not integration and not slow and not cluster and not e2e" $(ARGS)

e2e: setup cluster images load ## The platform on a real cluster
	$(RUN) pytest -m e2e $(ARGS)

up: setup cluster images load ## The whole platform on the cluster, until a file put under raw/ is rows
	$(RUN) python -m deploy up $(ARGS)

status: setup ## How everything on the cluster is, and what to do where it is not well
	@$(RUN) python -m deploy status $(ARGS)

down: setup ## Remove the platform; the cluster stays
	$(RUN) python -m deploy down $(ARGS)

tools: ## Make kind, kubectl, helm, mc and minio, and say where they are
	@$(PYTHON) -m cluster tools

cluster: ## Bring up the kind cluster `minidata` (NODES=1|3, ROAD=auto|online|packages)
	$(PYTHON) -m cluster up --nodes $(NODES) --road $(ROAD)

cluster-down: ## Remove the cluster, and stop what was started for it
	$(PYTHON) -m cluster down

images: ## Build or pull every image that has changed
	$(PYTHON) -m cluster images --road $(ROAD)

load: ## Put every image that has changed into the cluster
	$(PYTHON) -m cluster load --road $(ROAD)

certs: setup ## Issue the certificates that are missing or due, and show all
	$(RUN) python -m certs issue
	$(RUN) python -m certs show

generate: setup ## Write anew what is made from the models: CRD, reference
	$(RUN) python -m sales_api.generate

lint: setup ## Style, format, types and import layers
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports

format: setup ## Rewrite the code in the one style
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

bench: setup ## Measure against the peers (installs them for the purpose)
	$(RUN) --group bench python -m bench $(ARGS)

bench-cluster: setup cluster images load ## Measure the operator on the cluster (K1 to K4)
	$(RUN) python -m bench.cluster $(ARGS)

clean: ## Remove what was installed, built and measured here
	rm -rf .venv .cache .*_cache .hypothesis .coverage .coverage.* htmlcov dist
	find api operator pipeline vault certs cluster deploy tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(OWN_UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is missing or older than 3.11: try 'make setup PYTHON=python3.12'" >&2; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || \
	  { echo "$(PYTHON) has no pip: install it, or uv itself (https://docs.astral.sh/uv/)" >&2; exit 1; }
	@mkdir -p .cache && echo '*' > .cache/.gitignore
	PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 $(PYTHON) -m pip install --quiet --upgrade \
	  --disable-pip-version-check --target .cache/uv uv==$(UV_VERSION)
