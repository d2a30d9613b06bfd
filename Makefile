# `make` or `make help` lists what there is. Settings come as variables or from the environment:
#   make run HOST=0.0.0.0 PORT=9000 LIQUI_HOME=/srv/liqui FEED=none      make test ARGS="-k bars" BACKEND=sqlite
# PYTHON=python3.12 chooses the interpreter that .venv is made with.
SHELL = /bin/sh
PYTHON ?=
BACKEND ?= all
WORKERS ?=
BENCH ?=
ARGS ?=
export PYTHON

VENV_PYTHON = .venv/bin/python
# A recipe's last command is exec'ed, or Ctrl-C and SIGTERM would reach the shell instead of the program.
SETUP = @exec sh tools/setup.sh
# This feed unless the environment or .env says another.
DEFAULT_FEED = if [ -z "$${FEED:-}" ] && ! grep -qsE '^ *(export +)?FEED *=' "$${LIQUI_ENV_FILE-.env}"; \
	then FEED=$(1); export FEED; fi

.DEFAULT_GOAL := help
.PHONY: help setup run serve dev test check format lint coverage bench soak

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 18

setup: ## make .venv and install what the service needs
	$(SETUP) base

run: ## set up and serve at http://127.0.0.1:8000 (HOST, PORT, LIQUI_HOME, FEED)
	$(SETUP) base
	@$(call DEFAULT_FEED,auto); exec $(VENV_PYTHON) manage.py serve

serve: ## production's programs on this machine: nginx, workers, MariaDB, Redis (HOST, PORT, LIQUI_HOME, FEED, WORKERS)
	$(SETUP) server
	@$(call DEFAULT_FEED,sample); exec $(VENV_PYTHON) -m tools.serve $(if $(WORKERS),--workers $(WORKERS))

dev: ## like run, with DEBUG and a restart at every change of a file
	$(SETUP) base
	@$(call DEFAULT_FEED,sample); DEBUG=1 exec $(VENV_PYTHON) manage.py serve --reload

test: ## all tests, on SQLite and on MariaDB with Redis (ARGS="-k name", BACKEND=sqlite|mysql)
	$(SETUP) dev
	@exec $(VENV_PYTHON) -m tools.test --backend "$(BACKEND)" -- $(ARGS)

check: ## format, lint, types, import directions, migrations, system and deploy checks
	$(SETUP) dev
	@exec $(VENV_PYTHON) -m tools.check

format: ## format the code and fix what ruff can fix
	$(SETUP) dev
	@$(VENV_PYTHON) -m ruff check --fix-only --quiet . && exec $(VENV_PYTHON) -m ruff format .

lint: ## ruff only
	$(SETUP) dev
	@$(VENV_PYTHON) -m ruff check . && exec $(VENV_PYTHON) -m ruff format --check .

coverage: ## the tests with a report of the lines that no test runs
	$(SETUP) dev
	@exec $(VENV_PYTHON) -m tools.test --coverage --backend "$(BACKEND)" -- $(ARGS)

bench: ## measure against the original's queries; prints a table (BENCH=cache|servers|fanout|terminal|orderbook|candles)
	$(SETUP) dev
	@exec $(VENV_PYTHON) -m benchmarks$(if $(BENCH),.$(BENCH)) $(ARGS)

soak: ## the long forms of the slow tests
	$(SETUP) dev
	@exec $(VENV_PYTHON) -m tools.test --soak --backend "$(BACKEND)" -- $(ARGS)
