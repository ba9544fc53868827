# `make run` measures, `make test` checks; both set up whatever they need in .venv first.

PYTHON ?= python3
SCENARIO ?= scenarios/efficientnet.yaml
BIN := .venv/bin
READY := .venv/.ready

.PHONY: run test lint benchmarks lock clean

# Where a scenario has TensorFlow Serving in it, its program is fetched once; without internet the run goes on without it.
run: $(READY)
	@! grep -qs 'kind: *tfserving' $(SCENARIO) || $(BIN)/bench install tfserving --timeout 20s >/dev/null || \
		echo "TensorFlow Serving was not fetched; the run goes on, and skips it where there is none" >&2
	$(BIN)/bench run $(SCENARIO)

test: $(READY) lint
	@$(BIN)/python -m pytest -m "not alone" --numprocesses 2 --dist loadfile --no-loadscope-reorder; first=$$?; \
		$(BIN)/python -m pytest -m alone tests/integration && exit $$first

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Figures that are written down rather than asserted: start-up of the commands, ceiling of the load generator, reading speed.
benchmarks: $(READY)
	$(BIN)/python -m tests.benchmarks

# Names, versions and hashes only; `uv pip compile` reads pyproject.toml.
lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --quiet --extra dev --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links --output-file requirements.lock

# uv installs in seconds what takes pip a minute; where uv cannot reach the index, pip does it. Bytecode is compiled now, so
# that the first start of a server is no slower than the next.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "bench needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/uv.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --requirement requirements.lock || \
		$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
