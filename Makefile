# Two commands are enough: `make run` and `make test`. ARGS goes to main.py: make run ARGS="--no-open --port 8001"
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two workers. The browser's tests run by themselves: Playwright's event loop tolerates no other in its process.
SHARED := -n 2 --dist loadfile

.PHONY: run test lint check bench clean

run: $(VENV)/run.done
	$(BIN)/python main.py $(ARGS)

test: lint tests/node_modules/done $(VENV)/browser.done
	$(BIN)/python -m pytest $(SHARED) --ignore tests/browser
	$(BIN)/python -m pytest $(SHARED) tests/browser

lint: $(VENV)/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/run.done
	$(BIN)/python -m tests.benchmarks

$(VENV)/run.done: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/test.done: $(VENV)/run.done tests/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	touch $@

# A browser and bubblewrap for the tests that need them: Playwright's own download first, then the system's packages.
$(VENV)/browser.done: $(VENV)/test.done
	sh tests/install_browser.sh $(BIN)
	touch $@

tests/node_modules/done: tests/package.json
	if command -v npm >/dev/null; then npm install --prefix tests --silent --no-audit --no-fund; else mkdir -p tests/node_modules; fi
	touch $@

clean:
	rm -rf $(VENV) tests/node_modules .mypy_cache .ruff_cache .pytest_cache
