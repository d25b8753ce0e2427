# Everything runs in .venv, which is made when it is missing or older than what it was made from.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
JOBS   ?= 2
NEXT_PYTHON ?= python3.13
# one thread a test process: two processes with two threads each would only wait for each other
PYTEST  = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

CHECK_PYTHON = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
  { echo "error: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12"; exit 2; }
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo venv test test-all test-next test-newest constraints lint docs bench results figures notebooks clean

help:
	@echo "make demo      hear and see it all: words recognised, a chorale composed"
	@echo "make test      what every change must pass, under 10 minutes on two cores"
	@echo "make test-all  the same and the long checks"
	@echo "make test-newest  the tests with the newest version of everything"
	@echo "make lint      ruff and mypy"
	@echo "make docs      the site of docs/, in build/site"
	@echo "make constraints  constraints.txt from the newest versions that fit pyproject.toml"
	@echo "make bench     the tables of benchmarks/"
	@echo "make results   docs/results.md from docs/results/*.json"
	@echo "make figures   the pictures of docs/primer, in both languages, under 10 minutes"
	@echo "make notebooks docs/primer as notebooks, in build/notebooks"

$(VENV)/ready: pyproject.toml constraints.txt
	@$(CHECK_PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) hatchling editables
	$(INSTALL) --no-build-isolation --editable '.[test,lint,docs]'
	touch $@

# the build of torch without CUDA is a tenth of the download: for Linux without a GPU of NVIDIA, where it can be reached
CPU_TORCH   = https://download.pytorch.org/whl/cpu
WITHOUT_GPU = test "$$(uname -s)" = Linux && ! test -e /proc/driver/nvidia && $(PYTHON) -c \
  'import urllib.request; urllib.request.urlopen("$(CPU_TORCH)/torch/", timeout=5)' 2>/dev/null

# lighter than what the tests need, and timed, so that the demo can tell the whole time
$(VENV)/ready-demo: pyproject.toml constraints.txt
	@$(CHECK_PYTHON)
	@echo "installing into $(VENV); most of the download is torch"
	@start=$$(date +%s) && $(PYTHON) -m venv $(VENV) && $(INSTALL) hatchling editables && \
	  $(INSTALL) --no-build-isolation --editable '.[demo]' $$($(WITHOUT_GPU) && echo --extra-index-url $(CPU_TORCH)) && \
	  echo $$(($$(date +%s) - start)) > $(VENV)/install-seconds
	@touch $@

demo: $(VENV)/ready-demo
	@SEQAUDIO_INSTALL_SECONDS=$$(cat $(VENV)/install-seconds) $(BIN)/seqaudio demo --out demo

venv: $(VENV)/ready

test: venv
	$(PYTEST)

test-all: venv test-next
	$(PYTEST) -m 'slow or not slow' --timeout 3600

# the quick tests once more on the next Python, where it is installed (a name alone may be a shim that runs nothing)
test-next:
	@if $(NEXT_PYTHON) -c '' 2>/dev/null; then \
	  $(MAKE) --no-print-directory test PYTHON=$(NEXT_PYTHON) VENV=.venv-next; \
	else echo "$(NEXT_PYTHON) is not installed: its tests are skipped"; fi

# what will break next: the newest version of everything that pyproject.toml allows, in an environment of its own
test-newest:
	@$(CHECK_PYTHON)
	rm -rf .venv-newest
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check hatchling editables
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[test]' \
	  $$($(WITHOUT_GPU) && echo --extra-index-url $(CPU_TORCH))
	@echo "newer than the pins:"
	@.venv-newest/bin/python -m pip freeze --disable-pip-version-check --exclude seqaudio | sed 's/+.*//' | \
	  grep -vxFf constraints.txt || echo nothing
	OMP_NUM_THREADS=1 .venv-newest/bin/python -m pytest -n $(JOBS) --dist worksteal

# pins are what a fresh environment gets today; docs/maintaining.md says what must pass before they are committed
constraints:
	@$(CHECK_PYTHON)
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet --disable-pip-version-check hatchling editables '.[test,lint,docs]'
	build/constraints/bin/python -m pip freeze --disable-pip-version-check --exclude seqaudio > build/pins.txt
	@(echo "# The versions that are tested, every one. pip install -c constraints.txt -e '.[test,lint,docs]'"; \
	  sed 's/+.*//' build/pins.txt | LC_ALL=C sort -f) > constraints.txt
	rm -rf build/constraints build/pins.txt
	git --no-pager diff --stat constraints.txt

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy seqaudio

docs: venv
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

bench: venv
	@for file in benchmarks/[!_]*.py; do $(BIN)/python $$file || exit 1; done

results: venv
	$(BIN)/python docs/pages/results_page.py page

figures: venv
	$(BIN)/python docs/primer/draw.py

notebooks: venv
	$(BIN)/python docs/primer/notebooks.py

clean:
	rm -rf $(VENV) .venv-next .venv-newest .pytest_cache .mypy_cache .ruff_cache dist build
