# `make lab` opens the course, `make test` proves it. Both set up .venv on first use.

PYTHON ?= python3
VENV ?= .venv
# On Linux a plain torch brings CUDA. Where PyTorch's own index can be reached, its CPU build is smaller:
#   make lab TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=

RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
PIP_FLAGS := --disable-pip-version-check -q -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: help lab test test-full e2e bench chapters weights experiments doctor peers clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "The course needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) -V 2>&1 || echo missing). Try: make lab PYTHON=python3.12"; exit 1; }
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV) || \
	  { echo "A virtual environment could not be made: on Debian and Ubuntu install python3-venv."; exit 1; }
	@echo "Installing the course into $(VENV) (once; about two minutes) ..."
	@$(RUN) -m pip install $(PIP_FLAGS) -e ".[test]"
	@touch $@

lab: $(READY)  ## open JupyterLab with chapter 0 on screen
	@$(RUN) -m xailib.course lab

test: $(READY)  ## every gate: style, types, chapters, unit tests, doctests, strict nbval
	@$(RUN) -m xailib.course test

test-full: $(READY)  ## statistical claims with the stated number of repetitions
	@$(RUN) -m pytest tests -m full -n 2 --dist loadfile -o timeout=1500

e2e: $(READY)  ## a real JupyterLab in a real browser (needs Chromium)
	@$(RUN) -m pytest tests/e2e -m e2e -s

bench: $(READY)  ## one table: task, ours, peer, ratio, floor
	@$(RUN) -m tests.peers.bench

peers: $(READY)  ## install the packages we compare with, and compare
	@$(RUN) -m pip install $(PIP_FLAGS) -e ".[test,peers]"
	@$(RUN) -m pytest tests/peers -m "not full" -rs

chapters: $(READY)  ## execute all chapters from their sources
	@$(RUN) -m xailib.course build

weights: $(READY)  ## retrain every shipped model from nothing
	@$(RUN) -m xailib.zoo.train

experiments: $(READY)  ## regenerate the stored tables of long experiments
	@for name in chiqpm chiqpm_programs ecor probing sae softcam; do $(RUN) -m xailib.experiments.$$name || exit 1; done

doctor: $(READY)  ## check versions and data
	@$(RUN) -m xailib.course doctor

clean:  ## remove the environment and caches of tools
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis
