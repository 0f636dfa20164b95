# Everything sets itself up: a fresh Debian with make, and python3.11 or the right to install it, is enough.
PYTHON ?= python3.11
VENV := .venv$(if $(filter-out python3.11,$(PYTHON)),-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test test-servers coverage test-other lint docs dist format bench fuzz soak clean

help:
	@echo "make demo    send real messages to the embedded server, and show what happens"
	@echo "make test    lint, types and all tests, with real mail servers where they can be had"
	@echo "make coverage  the same, and which lines no test runs (it takes longer)"
	@echo "make test-other  the tests that touch the interpreter, with one more version of Python, or PYTHON=…"
	@echo "make lint    ruff, mypy, pyright and the prose; also the examples in README and docs"
	@echo "make docs    build the documentation into build/site; open build/site/index.html"
	@echo "make dist    build the wheel and the sdist into dist, and check them"
	@echo "make format  let ruff put the code in form"
	@echo "make bench   speed, memory and round trips, against eleven other clients in one run; writes benchmarks/RESULTS.md"
	@echo "             QUICK=1 for a sign of life, QUESTIONS=\"one_connection …\" for some of it"
	@echo "make fuzz    coverage-guided fuzzing of the parsers and encoders, FUZZ_SECONDS=60 a target, TARGETS=…"
	@echo "make soak    20,000 messages in each world to a server that fails at random, and the account of them"
	@echo "make clean   remove what the other targets made"

$(STAMP): pyproject.toml scripts/setup.sh
	sh scripts/setup.sh $(PYTHON) $(VENV)
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/wlsmtp demo

test: $(STAMP)
	$(MAKE) -j2 --output-sync=target lint test-servers
	$(if $(COVERAGE),$(BIN)/python -m pytest $(COVERAGE),sh scripts/run-tests.sh $(BIN)/python)

test-servers: $(STAMP)
	sh scripts/install-test-servers.sh
	sh scripts/unpack-test-servers.sh
	sh scripts/install-mail-readers.sh
	sh scripts/fetch-django-tests.sh $(BIN)/python
	if command -v krb5-config >/dev/null; then $(BIN)/python -m pip install --quiet "pyspnego[kerberos]"; fi

coverage: COVERAGE = --cov --cov-report=term:skip-covered
coverage: test

test-other:
	sh scripts/test-other-python.sh $(if $(filter command% environment,$(origin PYTHON)),$(PYTHON))

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python scripts/prose.py
	$(BIN)/mypy
	$(BIN)/python scripts/docs_examples.py build/docs
	$(BIN)/mypy --config-file= --strict --disable-error-code import-untyped --allow-untyped-decorators \
		--cache-dir $(VENV)/.mypy_examples build/docs
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python scripts/type_completeness.py 98

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean

dist: $(STAMP)
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python scripts/site_pages.py

bench: $(STAMP)
	$(BIN)/python benchmarks/run.py $(if $(QUICK),--quick) $(QUESTIONS)

fuzz: $(STAMP)
	$(BIN)/python -m pip install --quiet -e ".[fuzz]"
	$(BIN)/python -m fuzz $(TARGETS)

soak: $(STAMP)
	$(BIN)/python -m tests.chaos

clean:
	rm -rf .venv .venv-* .servers .coverage .coverage.* htmlcov fuzz/.work benchmarks/.work .mypy_cache .ruff_cache .hypothesis build dist
