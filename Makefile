# Everything runs in .venv, which is made when it is missing or older than what it was made from.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
JOBS   ?= 2
# one thread a test process: two processes with two threads each would only wait for each other
PYTEST  = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

.PHONY: help venv test test-all lint bench results clean

help:
	@echo "make test      what every change must pass, under 12 minutes on two cores"
	@echo "make test-all  the same and the long checks"
	@echo "make lint      ruff and mypy"
	@echo "make bench     the tables of benchmarks/"
	@echo "make results   docs/results.md from docs/results/*.json"

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt hatchling editables
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[test,lint]'
	touch $@

venv: $(VENV)/ready

test: venv
	$(PYTEST)

test-all: venv
	$(PYTEST) -m 'slow or not slow' --timeout 3600

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy seqaudio

bench: venv
	@for file in benchmarks/[!_]*.py; do $(BIN)/python $$file || exit 1; done

results: venv
	$(BIN)/python -m seqaudio.evaluation.results page

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache dist build
