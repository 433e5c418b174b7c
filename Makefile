# Two commands matter: `make demo` and `make test`. Both begin from nothing; the set-up is done once and again
# only when requirements.lock or pyproject.toml change.
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The system's certificates, as pip and curl use them: uv's own bundle knows no company's proxy. Two names of one
# switch, of newer and older uv.
UV := VIRTUAL_ENV='$(abspath $(VENV))' UV_SYSTEM_CERTS=1 UV_NATIVE_TLS=1 $(BIN)/uv
TAPI := $(if $(QUOIT_TAPI_YANG),,$(if $(wildcard .tapi/YANG),QUOIT_TAPI_YANG='$(abspath .tapi/YANG)'))
EXAMPLES := $(wildcard examples/*.yaml)

.PHONY: help setup demo scene sslyze tapi campaign fuzz trials test lint types imports pytest examples fresh bench lock docs clean

help: ## What can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(READY) ## The environment in .venv

# The first Python of 3.11 to 3.14 that runs and can make environments.
$(READY): requirements.lock pyproject.toml
	@set -e; \
	if ! $(BIN)/python -c 'import pip' 2>/dev/null; then \
	  found=; \
	  for p in python3.13 python3.12 python3.11 python3.14 python3; do \
	    if $$p -c 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null; \
	    then found=$$p; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "make: expected a Python of 3.11 to 3.14 with venv (Debian: apt-get install python3 python3-venv); found none" >&2; \
	    exit 1; \
	  fi; \
	  echo "making $(VENV) with $$found"; \
	  $$found -m venv --clear $(VENV); \
	fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5,<0.14'
	@$(UV) pip sync --quiet --require-hashes requirements.lock || { \
	  echo "uv could not fetch; trying pip, which knows this machine's pip.conf" >&2; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock; }
	@$(UV) pip install --quiet --no-deps --editable . || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: $(READY) ## Madrid, live: a key at both ends, an eavesdropper caught
	@$(BIN)/quoit demo

scene: $(READY) ## A WireGuard tunnel lives through an eavesdropper (root, wireguard-go)
	@$(BIN)/quoit scene

# An environment of its own: it pins an older `cryptography` than ours.
sslyze: $(READY) ## An auditor of TLS in .sslyze, which a test of `make test` then uses
	@$(BIN)/python -m venv .sslyze
	@.sslyze/bin/pip install --quiet --disable-pip-version-check 'sslyze>=6.3,<7'

campaign: $(READY) ## The key service broken on purpose, for half an hour: campaign.json
	$(BIN)/python -m quoit.testing.campaign --out campaign.json

# Modules of others, under the Apache licence: tests of TAPI then check every answer with them.
tapi: ## ONF TAPI 2.4.0's YANG modules in .tapi, which `make test` then uses
	@test -d .tapi/YANG || git -c http.lowSpeedLimit=1000 -c http.lowSpeedTime=20 clone --quiet --depth 1 --branch v2.4.0 \
	  https://github.com/Open-Network-Models-and-Interfaces-ONMI/TAPI .tapi

# Finds are files find-*; `python tests/fuzz/run.py TARGET FILE` repeats one.
FUZZ_TARGETS := urn network_file etsi014_body etsi014_query unit_body unit_list wire_message
FUZZ_S := 60
fuzz: $(READY) ## Every parser under a fuzzer for a minute each (Linux, Python below 3.14)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || { \
	  echo "make fuzz: atheris is not installed; there are wheels for Linux and Python 3.11 to 3.13" >&2; exit 1; }
	@set -e; for t in $(FUZZ_TARGETS); do echo "fuzzing $$t"; $(BIN)/python tests/fuzz/run.py $$t $(FUZZ_S); done

test: lint types imports pytest examples fresh ## Everything that must hold before a commit

lint: $(READY) ## Style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## mypy, strict
	$(BIN)/mypy

imports: $(READY) ## Who may import whom
	$(BIN)/lint-imports

# Properties see the same examples each time, so that a red run is of the change's making; `pytest` alone draws others.
pytest: $(READY) ## The tests
	$(TAPI) $(BIN)/python -m pytest -n 2 -m 'not trial' --hypothesis-seed=0

trials: $(READY) ## The long tests: faults on purpose, fuzzing, foreign tunnels; `make test` does without them
	$(BIN)/python -m pytest -n 2 -m trial

examples: $(READY) ## All example networks
	@set -e; for f in $(EXAMPLES); do echo "quoit check $$f"; $(BIN)/quoit check "$$f"; done

fresh: $(READY) ## Generated pages are as their sources say
	@$(BIN)/quoit map | diff -u docs/map.md - || { echo "docs/map.md is stale: make docs" >&2; exit 1; }
	@$(BIN)/quoit schema | diff -u src/quoit/scenario/network.schema.json - \
	  || { echo "network.schema.json is stale: make docs" >&2; exit 1; }
	@$(BIN)/quoit schema sweep | diff -u src/quoit/scenario/sweep.schema.json - \
	  || { echo "sweep.schema.json is stale: make docs" >&2; exit 1; }
	@$(BIN)/python -m quoit.testing.conformance tests | diff -u docs/conformance.md - \
	  || { echo "docs/conformance.md is stale: make docs" >&2; exit 1; }

# Some peers want another Python, or have a licence that must stay apart: each gets an environment in .peers when it
# is first run.
bench: $(READY) ## How fast this machine runs the twin, with others beside it
	@$(BIN)/python -c 'import sequence' 2>/dev/null || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r bench.lock
	@$(BIN)/python -m quoit.testing.bench

lock: $(READY) ## Resolve the dependencies anew
	$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --all-extras --group dev --custom-compile-command 'make lock' pyproject.toml -o requirements.lock

docs: $(READY) ## Write the generated pages
	$(BIN)/quoit map > docs/map.md
	$(BIN)/quoit schema > src/quoit/scenario/network.schema.json
	$(BIN)/quoit schema sweep > src/quoit/scenario/sweep.schema.json
	$(BIN)/quoit schema attack > src/quoit/scenario/attack.schema.json
	$(BIN)/python -m quoit.testing.conformance tests > docs/conformance.md

clean: ## Remove what runs and tools left behind, and the environment
	rm -rf $(VENV) .peers out .hypothesis .mypy_cache .ruff_cache .import_linter_cache
