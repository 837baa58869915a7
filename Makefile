# What the README's commands call. `make` alone lists the targets.
PYTHON ?= python3
SEED ?= 7
OUT ?= out
bin := .venv/bin
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo run systems test test-slow bench check lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"Python {sys.version.split()[0]} is too old: glacier_nb needs 3.11 or newer; name one with make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(bin)/python -m pip install --quiet --upgrade pip
	$(bin)/python -m pip install --progress-bar on -r requirements.lock
	$(bin)/python -m pip install --quiet --no-deps --editable .
	@touch $@

demo: .venv/.installed  ## map the embedded region and write out/demo/index.html (SEED=7 chooses the landscape)
	$(bin)/python -m glacier_nb demo --seed $(SEED) --out $(OUT)/demo

run: .venv/.installed  ## the same on a real place: make run REGION=Aletsch YEARS=2017,2024
	$(bin)/python -m glacier_nb run --region "$(REGION)" --years "$(YEARS)" --out $(OUT)

systems: .venv/.installed  ## try every system out: parameters, time, memory, eight patches to learn (40 minutes)
	$(bin)/python -m glacier_nb systems --table

test: .venv/.installed  ## the tests (20 minutes at most on two cores)
	$(bin)/python -m pytest -m "not slow" $(ARGS)

test-slow: .venv/.installed  ## what takes minutes: five unseen seeds, training, memory
	$(bin)/python -m pytest -m slow $(ARGS)

bench: .venv/.installed  ## measure again what benchmarks/README.md says: reads, inference, change (an hour, on an idle machine)
	@mkdir -p $(OUT)
	for one in reads predict change; do $(bin)/python benchmarks/$$one.py --json | tee $(OUT)/$$one.json; done

check: .venv/.installed  ## style of code and notebooks
	$(bin)/ruff check .
	$(bin)/ruff format --check .

lock:  ## make requirements.lock again from pyproject.toml in a throw-away environment
	$(PYTHON) -m venv .cache/lock && .cache/lock/bin/python -m pip install --quiet torch==2.13.0 ".[test]"
	.cache/lock/bin/python -m pip freeze --exclude glacier_nb | sed -E 's/(\+cpu|\+cu[0-9]+)$$//' > requirements.lock
	rm -rf .cache/lock

clean:  ## remove what the other targets made
	rm -rf .venv .cache $(OUT)
