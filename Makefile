# What the README's commands call. `make` alone lists the targets.
PYTHON ?= python3
SEED ?= 7
OUT ?= out
bin := .venv/bin
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help environment demo run systems test test-slow hub live bench check docs gallery wheel notes release lock lock-docs clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"Python {sys.version.split()[0]} is too old: glacier_nb needs 3.11 or newer; name one with make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(bin)/python -m pip install --quiet --upgrade pip
	$(bin)/python -m pip install --progress-bar on -r requirements.lock
	$(bin)/python -m pip install --quiet --no-deps --editable .
	@touch $@

environment:  ## .venv with other packages than the lock's: PACKAGES=oldest (the lower ends of the ranges) or latest
	$(PYTHON) -m venv .venv
	$(bin)/python -m pip install --quiet --upgrade pip
	if [ "$(PACKAGES)" = oldest ]; then $(bin)/python .github/oldest.py; fi > .venv/constraints.txt
	$(bin)/python -m pip install --quiet -c .venv/constraints.txt --editable ".[test,video]"
	@touch .venv/.installed

demo: .venv/.installed  ## map the embedded region and write out/demo/index.html (SEED=7 chooses the landscape)
	$(bin)/python -m glacier_nb demo --seed $(SEED) --out $(OUT)/demo

run: .venv/.installed  ## the same on a real place: make run REGION=Aletsch YEARS=2017,2024
	$(bin)/python -m glacier_nb run --region "$(REGION)" --years "$(YEARS)" --out $(OUT)

systems: .venv/.installed  ## try every system out: parameters, time, memory, eight patches to learn (40 minutes)
	$(bin)/python -m glacier_nb systems --table

test: .venv/.installed  ## the tests (20 minutes at most on two cores)
	$(bin)/python -m pytest -n 2 --dist loadfile -m "not slow" $(ARGS)

test-slow: .venv/.installed  ## what takes minutes: five unseen seeds, training, memory
	$(bin)/python -m pytest -m slow $(ARGS)

hub: .venv/.installed  ## what the hub's tests need: a JupyterHub of the extra `hub`, and its proxy by npm
	$(bin)/python -m pip install --quiet -c requirements.lock --editable ".[hub]"
	npm install --silent --global configurable-http-proxy

live: .venv/.installed  ## area change of a real glacier from two providers that ask for no account, over the network
	for one in planetary-computer earth-search; do \
	  $(bin)/python -m glacier_nb run --region Aletsch --years 2024,2025 --system ndsi --provider $$one \
	    --notebook 03_area_change --out $(OUT)/live/$$one || exit 1; done

bench: .venv/.installed  ## measure again what benchmarks/README.md says: reads, inference, change (an hour, on an idle machine)
	@mkdir -p $(OUT)
	for one in reads predict change; do $(bin)/python benchmarks/$$one.py --json | tee $(OUT)/$$one.json; done

check: .venv/.installed  ## style of code and notebooks, floors, docstrings
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/python -m pytest -q tests/test_layout.py tests/test_docstrings.py

.venv/.docs: .venv/.installed requirements-docs.lock
	$(bin)/python -m pip install --quiet -r requirements-docs.lock
	@touch $@

docs: .venv/.docs  ## build the pages from docs/, docstrings and notebooks into out/docs, with what make demo left; a warning is an error
	$(bin)/python -m sphinx -W --keep-going -q -b html docs $(OUT)/docs
	@echo $(OUT)/docs/index.html

gallery: .venv/.installed  ## take a picture of every notebook's main plot into docs/gallery, from the pages of make demo
	$(bin)/python docs/gallery.py $(OUT)/demo

wheel: .venv/.installed  ## a wheel in dist/ that runs the demo without this repository
	rm -rf dist
	$(bin)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(bin)/python -m pytest -q -m slow tests/test_release.py

notes: .venv/.installed  ## what is new in this version, as its release tells; refuses one that is not ready
	@$(bin)/python .github/notes.py

release: notes check test docs wheel  ## all that has to pass, then the tag of the version; pushing it is left to you
	git diff --quiet HEAD || { echo "commit what you changed first" >&2; exit 1; }
	git tag -a "v$$($(bin)/python -c 'import glacier_nb; print(glacier_nb.__version__)')" -m "see CHANGELOG.md"
	@echo "git push --follow-tags: the workflow publishes dist/ and a DOI comes with the release"

lock:  ## make requirements.lock again from pyproject.toml in a throw-away environment
	$(PYTHON) -m venv .cache/lock && .cache/lock/bin/python -m pip install --quiet torch==2.13.0 ".[test]"
	.cache/lock/bin/python -m pip freeze --exclude glacier_nb | sed -E 's/(\+cpu|\+cu[0-9]+)$$//' > requirements.lock
	rm -rf .cache/lock

lock-docs: .venv/.installed  ## make requirements-docs.lock again: what the docs need on top of requirements.lock
	$(PYTHON) -m venv .cache/docs && .cache/docs/bin/python -m pip install --quiet -c requirements.lock myst-nb pydata-sphinx-theme sphinx
	.cache/docs/bin/python -m pip freeze | grep -vxiFf requirements.lock > requirements-docs.lock
	rm -rf .cache/docs

clean:  ## remove what the other targets made
	rm -rf .venv .cache $(OUT)
