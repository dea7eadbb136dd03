# Everything a person does with this tree. `make` alone lists it.

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/pytest
LOCKS := deploy/requirements
COMPILED := .local/compiled
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade) \
	--no-emit-package service-kit $(foreach name,$(notdir $(wildcard services/*)) gateway,--no-emit-package $(name)-service)

# A person's own would have Python look for modules elsewhere, or not here.
unexport PYTHONHOME PYTHONPATH PYTHONSAFEPATH

.DEFAULT_GOAL := help
.PHONY: help setup format lint types imports docs test check up down reload identity new-service clean wheels lock sbom picture bench faults compile test-compiled test-compose test-compose-faults test-3.14

help: ## list the targets
	@sed -nE 's/^([a-z0-9.-]+):.* ## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## make the virtual environment from the hash-pinned lock (done by the others when needed)
	@command -v "$(PYTHON)" >/dev/null || { echo "setup: no $(PYTHON) here; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "setup: $$("$(PYTHON)" -V) is too old; needs 3.11 or newer: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" deploy/setup_venv.py

format: setup ## rewrite the sources in the house style
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

lint: setup ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy, strict
	$(BIN)/mypy

imports: setup ## who may import whom
	$(BIN)/lint-imports

docs: setup ## write docs/reference, and what deploy/k8s holds copies of, anew
	@$(BIN)/python -m tests.reference.pages
	@$(BIN)/python -m tests.reference.metrics
	@$(BIN)/python -m tests.reference.api.document
	@$(BIN)/python -m tests.architecture.requirements
	@cp deploy/gateway.toml deploy/k8s/base/gateway.toml
	@{ printf '%s\n' '# The rules of deploy/observability/alerts.yml, put here by `make docs`.' \
	  'apiVersion: monitoring.coreos.com/v1' 'kind: PrometheusRule' 'metadata: {name: gatehouse}' 'spec:'; \
	  sed -n '/^groups:/,$$s/^/  /p' deploy/observability/alerts.yml; } >deploy/k8s/components/monitoring/alerts.yaml

test: setup ## every test that needs no container engine and no patience
	$(PYTEST) -n 3 -m "not compose and not faults and not quiet" $(ARGS)
	$(PYTEST) -m "quiet and not faults" $(ARGS) || { [ $$? -eq 5 ] && echo "none of those that run by themselves was chosen"; }

compile: setup ## build the packages with their hot modules compiled, into .local/compiled
	@rm -rf $(COMPILED) && mkdir -p $(COMPILED)/sources
	@cp -r shared gateway $(COMPILED)/sources
	@for part in shared gateway; do (cd $(COMPILED)/sources/$$part && \
		HATCH_BUILD_HOOK_ENABLE_MYPYC=true "$(CURDIR)/$(BIN)/hatchling" build -t wheel -d ../../wheels >/dev/null) || exit 1; done
	@$(BIN)/pip --isolated install -q --no-deps --no-index --target $(COMPILED)/packages $(COMPILED)/wheels/*.whl

test-compiled: compile ## the tests of what is compiled, on the compiled build
	PYTHONPATH="$(CURDIR)/$(COMPILED)/packages" TEST_BUILD=compiled $(PYTEST) -n 3 -m "not compose and not faults and not quiet" \
		tests/gateway tests/shared $(ARGS)

check: lint types imports test ## all of the above, quickest first

test-compose: setup ## build the images, start the whole stack, walk the contract (needs a Docker engine)
	$(PYTEST) -m "compose and not faults" tests/compose $(ARGS)

test-compose-faults: setup ## break the containers one by one under traffic, and print what came of it
	$(PYTEST) -m "compose and faults" --capture=no tests/compose $(ARGS)

test-3.14: ## the suite on Python 3.14 in a container (needs a Docker engine)
	deploy/test-3.14

faults: setup ## the long fault experiments
	$(PYTEST) -m "faults and not compose" --log-cli-level=INFO $(ARGS)

picture: setup ## draw docs/console.png, the picture of the console in the README
	$(BIN)/python -m tests.browser.picture

sbom: setup ## list what each image is made of, as CycloneDX, in dist/sbom
	@$(BIN)/python deploy/sbom.py dist/sbom

bench: setup ## measure beside the peers that are installed
	$(BIN)/python -m tests.bench $(ARGS)

up: setup ## start everything embedded, on http://localhost:8080; RELOAD=1: a changed service again
	@$(BIN)/python -m deploy.dev up

down: ## stop the `make up` of this tree
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m deploy.dev down; else echo "down: nothing runs from here"; fi

new-service: setup ## NAME=notes: a service of your own behind the gateway, with its test; `make up` starts it along
	@$(BIN)/python -m deploy.new_service "$(NAME)"

identity: setup ## ARGS="roles list": a command of identity, on the data of `make up`
	@$(BIN)/python -m deploy.dev identity $(ARGS)

reload: ## have the gateway of that `make up` read deploy/gateway.toml again
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m deploy.dev reload; else echo "reload: nothing runs from here"; exit 1; fi

clean: down ## remove .venv and .local: the tools, and all accounts, keys and secrets of `make up`
	@echo "clean: removing .venv, .local (the data of \`make up\`) and the tools' caches"
	@rm -rf .venv .local .mypy_cache .ruff_cache .import_linter_cache .hypothesis

wheels: setup ## build this tree's packages as wheels, in .local/wheels
	@$(BIN)/python -m pip --isolated wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  -w .local/wheels ./shared ./gateway $(patsubst %,./%,$(wildcard services/*))
	@ls .local/wheels/*.whl

lock: setup ## pin again what changed in the pyproject files (UPGRADE=1: newest of everything)
	$(COMPILE) $(LOCKS)/build.in -o $(LOCKS)/build.txt
	$(COMPILE) $(LOCKS)/dev.in -c $(LOCKS)/build.txt -o $(LOCKS)/dev.txt
	$(COMPILE) $(LOCKS)/compile.in -c $(LOCKS)/dev.txt -o $(LOCKS)/compile.txt
	for name in $(notdir $(wildcard services/*)); do \
	  printf "./shared[tokens]\n./services/$$name\n" | $(COMPILE) - -c $(LOCKS)/dev.txt -o $(LOCKS)/$$name.txt || exit 1; done
	printf './shared\n./gateway\n' | $(COMPILE) - -c $(LOCKS)/dev.txt -o $(LOCKS)/gateway.txt
	$(COMPILE) $(LOCKS)/mail.in -c $(LOCKS)/dev.txt -o $(LOCKS)/mail.txt
