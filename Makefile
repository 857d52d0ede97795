# make setup | try | down | test | test-slow | bench | chaos | check | golden
# A target says in one message what the machine lacks, with one apt line, before it does anything (appliance/preflight.py).

PYTHON ?= $(or $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done),python3)
VENV := .venv
IN_VENV := $(VENV)/bin/python -m
PIP := $(IN_VENV) pip --disable-pip-version-check install --quiet --use-pep517
PREFLIGHT := @$(PYTHON) -I appliance/preflight.py
MAKEFLAGS += --no-print-directory
SETUP_ONLY ?=

# A checkout that was moved has programs in .venv/bin that begin with the old path: they are written anew.
ifneq ($(shell cat $(VENV)/.product 2>/dev/null),$(CURDIR))
$(shell rm -f $(VENV)/.product $(VENV)/.dev)
endif

.PHONY: help setup try down test test-slow bench chaos check golden
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

setup: ## .venv with the product, then the images; SETUP_ONLY=venv stops before the images
	$(PREFLIGHT) $(if $(filter venv,$(SETUP_ONLY)),venv,setup)
	@$(MAKE) -s $(VENV)/.product
ifneq ($(SETUP_ONLY),venv)
	@$(VENV)/bin/appliance build
endif

try: setup ## the example: started, proven, left running
	@$(VENV)/bin/appliance try

down: ## the example and its data removed
	@$(MAKE) -s $(VENV)/.product
	@$(VENV)/bin/appliance try --down

test: ## everything that proves the project but the slow tests
	$(PREFLIGHT) test
	@$(MAKE) -s $(VENV)/.dev
	@$(VENV)/bin/appliance build
	$(IN_VENV) pytest -m 'not slow' --durations 15

test-slow: ## the slow tests
	$(PREFLIGHT) test
	@$(MAKE) -s $(VENV)/.dev
	@$(VENV)/bin/appliance build
	$(IN_VENV) pytest -m slow --durations 15 || [ $$? -eq 5 ] # 5: there is none

bench: ## how fast and how small, on a machine that does nothing else; ROOMS="controller delivery" for some of it
	$(PREFLIGHT) test
	@$(MAKE) -s $(VENV)/.dev
	@$(VENV)/bin/appliance build
	$(IN_VENV) benchmarks $(ROOMS)

chaos: ## what is broken under load, and what became of the mail; ROOMS="kills matrix" for some of it
	$(PREFLIGHT) chaos
	@$(MAKE) -s $(VENV)/.dev
	@$(VENV)/bin/appliance build
	$(IN_VENV) tests.chaos $(ROOMS)

check: ## unit tests and linters, without an engine
	$(PREFLIGHT) venv
	@$(MAKE) -s $(VENV)/.dev
	$(IN_VENV) pytest -n auto --dist loadfile -m 'not docker and not slow and not root'

golden: ## the golden files rewritten, and what changed in them
	$(PREFLIGHT) venv
	@$(MAKE) -s $(VENV)/.dev
	@$(IN_VENV) tests.golden.golden
	@$(IN_VENV) tests.badspecs.rewrite

# The stamps stand inside .venv, so that removing it is all that a fresh start needs.
$(VENV)/.product: pyproject.toml
	@echo "… the product in $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --editable .
	@echo "$(CURDIR)" > $@

# Dependency groups (PEP 735) need a newer pip than Debian 12's.
$(VENV)/.dev: pyproject.toml $(VENV)/.product
	@echo "… the test tools in $(VENV)" >&2
	@$(PIP) 'pip>=25.1'
	@$(PIP) --group dev
	@touch $@
