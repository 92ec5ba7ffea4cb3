# Two commands: `make demo` and `make test`. `make check` before every commit.
BIN := .venv/bin
.PHONY: demo test check dead-host real static bench docs schemas lock install clean

demo: install          ## a real OpenStack on this machine, and a host of it drained
	./demo

test: static           ## everything, on a real OpenStack and real compute hosts; REAL_HOSTS=0 leaves those hosts out
	$(BIN)/python -m tests.services.docker # before the lab, which installs packages as well
	$(BIN)/python -m tests.services.sshd
	$(BIN)/python -m tests.services.postgresql
	$(BIN)/pytest $(if $(filter 0,$(REAL_HOSTS)),-m "not real") -n 3 --dist loadgroup --durations=30 # labs beside all others

check: static          ## before every commit: lint, types, imports, docs, fast tests
	$(BIN)/pytest -q -m "not services and not lab and not real"

dead-host: install     ## failovers and returns of whole hosts of the lab alone, a part of make test
	$(BIN)/pytest -m dead_host

real: install          ## on real compute hosts alone, a part of make test: root, Debian
	$(BIN)/pytest tests/real

static: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

bench: install         ## figures, as ratios in one run
	$(BIN)/python bench/drain.py
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/planning.py
	PYTHONPATH=. $(BIN)/python bench/rewrite.py
	$(BIN)/python bench/real.py # on two real hosts: root, Debian

docs: install          ## the generated pages and pictures
	$(BIN)/python docs/generate.py

install:
	@./bootstrap

schemas: install       ## the databases' schemas that tests load, by the releases' own migrations
	$(BIN)/python -m tests.services.schemas.make

lock:                  ## requirements.lock anew
	$(BIN)/uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml --group dev -o requirements.lock

clean:
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
