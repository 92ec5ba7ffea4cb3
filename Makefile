# Two commands: `make demo` and `make test`. `make check` before every commit.
BIN := .venv/bin
.PHONY: demo test check fast lab-test services-test bench docs lock install clean

demo: install          ## a real OpenStack on this machine, and a host of it drained
	./demo

test: check services-test lab-test   ## everything

check: install         ## lint, types, imports, fast tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(BIN)/pytest -q -m "not services and not lab"

services-test: install ## real MariaDB in a container
	$(BIN)/pytest -q -m services

lab-test: install      ## the installed command on a real OpenStack
	$(BIN)/pytest -q -m lab

bench: install         ## figures, as ratios in one run
	$(BIN)/python bench/drain.py
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/planning.py

docs: install          ## the generated pages and pictures
	$(BIN)/python docs/generate.py

install:
	@./bootstrap

lock:                  ## requirements.lock anew
	$(BIN)/uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml --group dev -o requirements.lock

clean:
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
