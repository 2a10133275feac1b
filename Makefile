# AsQuoted: everything runs from .venv, which is made from the hashes in deploy/locks/all.txt.
# Needs Python 3.11 to 3.13, git and make. PYTHON=… names another Python, ARGS=… is handed on.

SERVICES := catalogue intake provisioning billing notification review
BIN := .venv/bin
INSTALLED := .venv/installed
NONE_CHOSEN := 5
BENCH_INSTALLED := .venv/bench-installed

.DEFAULT_GOAL := help
.PHONY: help demo up test faults doors check bench bench-check schemas lock

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name does; do printf '  make %-11s %s\n' "$$name" "$$does"; done

demo: $(INSTALLED) ## the story step by step on real Kafka and PostgreSQL, then the audit
	@$(BIN)/asquoted demo $(ARGS)

up: $(INSTALLED) ## the whole system in the foreground, with a clock that can be moved
	@$(BIN)/asquoted up --movable-clock $(ARGS)

# Those with containers take the whole machine, so they come by themselves; ARGS may choose none of the ones or the others.
test: check ## check, then every test (ARGS="tests/intake -x" for some)
	@$(BIN)/pytest --numprocesses 2 --dist loadfile -m "not containers" $(ARGS) || [ $$? -eq $(NONE_CHOSEN) ]
	@$(BIN)/pytest -m containers $(ARGS) || [ $$? -eq $(NONE_CHOSEN) ]

faults: $(INSTALLED) ## 500 orders while services and brokers are killed (ORDERS=… for another number)
	@ORDERS=$${ORDERS:-500} $(BIN)/pytest tests/faults -s $(ARGS)

doors: $(INSTALLED) ## 5,000 made-up requests to each door: does it answer as its OpenAPI says? (REQUESTS=…)
	@REQUESTS=$${REQUESTS:-5000} $(BIN)/pytest tests/journey/test_documented.py -s $(ARGS)

bench: $(BENCH_INSTALLED) ## how fast it is, beside other ways to do the same (ARGS="latency --quick", "--help", …)
	@$(BIN)/python -m tests.bench $(ARGS)

bench-check: $(BENCH_INSTALLED) ## whether anything got slower than tests/bench/stored.json says (ARGS=--store for new ones)
	@$(BIN)/python -m tests.bench.check $(ARGS)

check: $(INSTALLED) ## lint, format, types, import rules, and that no change of an event breaks its readers
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m tests.contracts.schemas --check

schemas: $(INSTALLED) ## freeze the JSON Schemas of all events, and asyncapi.json, unless that breaks readers; then look at their diff
	@$(BIN)/python -m tests.contracts.schemas
	@$(BIN)/python -m tests.contracts.asyncapi

lock: $(INSTALLED) ## pin dependencies anew in deploy/locks/ (ARGS=--upgrade for newer versions)
	@compile() { \
	  out=deploy/locks/$$1.txt; shift; echo "pinning $$out"; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --no-emit-index-url "$$@" --output-file $$out pyproject.toml >/dev/null; \
	}; \
	compile all $(addprefix --extra=,$(SERVICES) otel local test) $(ARGS) && \
	compile chassis --extra otel --constraints deploy/locks/all.txt $(ARGS) && \
	compile local --extra local --extra otel --constraints deploy/locks/all.txt $(ARGS) && \
	compile bench --extra bench --constraints deploy/locks/all.txt $(ARGS) && \
	for service in $(SERVICES); do \
	  compile $$service --extra $$service --extra otel --constraints deploy/locks/all.txt || exit 1; \
	done

$(INSTALLED): deploy/locks/all.txt pyproject.toml
	@[ -x $(BIN)/python ] || { \
	  for python in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
	    "$$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && break; \
	    python=; \
	  done; \
	  [ -n "$$python" ] || { echo 'Missing: Python 3.11, 3.12 or 3.13 with venv (or name one: make PYTHON=/path/to/python3)' >&2; exit 1; }; \
	  echo "making .venv with $$("$$python" --version)"; \
	  "$$python" -m venv .venv; \
	}
	@echo 'installing what deploy/locks/all.txt names (once)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement deploy/locks/all.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(BENCH_INSTALLED): deploy/locks/bench.txt $(INSTALLED)
	@echo 'installing what deploy/locks/bench.txt names (once)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement deploy/locks/bench.txt
	@touch $@
