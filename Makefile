# Everything runs in .venv, which is made when it is missing or older than what it was made from.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
JOBS   ?= 2
# one thread a test process: two processes with two threads each would only wait for each other
PYTEST  = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

CHECK_PYTHON = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
  { echo "error: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12"; exit 2; }
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo venv test test-all lint bench results figures notebooks clean

help:
	@echo "make demo      hear and see it all: words recognised, a chorale composed"
	@echo "make test      what every change must pass, under 5 minutes on two cores"
	@echo "make test-all  the same and the long checks"
	@echo "make lint      ruff and mypy"
	@echo "make bench     the tables of benchmarks/"
	@echo "make results   docs/results.md from docs/results/*.json"
	@echo "make figures   the pictures of docs/primer, in both languages, under 10 minutes"
	@echo "make notebooks docs/primer as notebooks, in build/notebooks"

$(VENV)/ready: pyproject.toml constraints.txt
	@$(CHECK_PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) hatchling editables
	$(INSTALL) --no-build-isolation --editable '.[test,lint]'
	touch $@

# lighter than what the tests need, and timed, so that the demo can tell the whole time
$(VENV)/ready-demo: pyproject.toml constraints.txt
	@$(CHECK_PYTHON)
	@echo "installing into $(VENV); most of the download is torch"
	@start=$$(date +%s) && $(PYTHON) -m venv $(VENV) && $(INSTALL) hatchling editables && \
	  $(INSTALL) --no-build-isolation --editable '.[demo]' && \
	  echo $$(($$(date +%s) - start)) > $(VENV)/install-seconds
	@touch $@

demo: $(VENV)/ready-demo
	@SEQAUDIO_INSTALL_SECONDS=$$(cat $(VENV)/install-seconds) $(BIN)/seqaudio demo --out demo

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
	$(BIN)/python docs/pages/results_page.py page

figures: venv
	$(BIN)/python docs/primer/draw.py

notebooks: venv
	$(BIN)/python docs/primer/notebooks.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache dist build
