# make demo    an example shop with a campaign in its outbox, on http://127.0.0.1:8000/
# make test    all tests, on SQLite; those that need a service that is not running are skipped
# make quick   the tests of a minute: none that take long, start processes or drive a browser
# make check   lint, formatting, types and layers; style sheets and scripts where npm is present
# make bench   the benchmarks
#
# Each sets up the virtual environment .venv by itself.

PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python example_project/manage.py
TEMPLATES := tracking/templates example_project
NODE := $(if $(shell command -v npm),node_modules/.made)

.PHONY: demo test quick check format bench clean

demo: $(VENV)/.demo
	@PORT=$(PORT) $(MANAGE) demo

test: $(VENV)/.check
	@$(BIN)/python -m pytest -n auto --dist loadgroup

quick: $(VENV)/.check
	@$(BIN)/python -m pytest -n auto -q --hypothesis-profile=quick \
		-m "not long and not slow and not browser"

check: $(VENV)/.check $(NODE)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/djlint --check --lint --quiet $(TEMPLATES)
	@$(if $(NODE),npm run --silent check,echo "npm is missing: style sheets and scripts are not checked.")
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python example_project/manage.py makemigrations --check --dry-run tracking

format: $(VENV)/.check $(NODE)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/djlint --reformat --quiet $(TEMPLATES)
	@$(if $(NODE),npm run --silent format)

bench: $(VENV)/.bench
	@$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .nox .import_linter_cache .pytest_cache .mypy_cache .ruff_cache .hypothesis node_modules

# A virtual environment that has what the example site needs, and one step further
# what the tests need; made again when the dependencies change.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "django-beacons needs Python 3.11 or newer; run: make PYTHON=python3.13 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

node_modules/.made: package.json
	@npm install --silent --no-audit --no-fund
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	@echo "Installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --editable '.[geoip,bots,map]' --group demo
	@touch $@

$(VENV)/.check $(VENV)/.bench: $(VENV)/.%: $(VENV)/.demo
	@echo "Installing what make $* needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --editable '.[geoip,bots,celery,map,prometheus]' --group $*
	@touch $@
