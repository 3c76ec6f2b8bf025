PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test lint bench demo-model
setup: .venv/.ready          ## make .venv once; nothing to do afterwards

.venv/.ready: pyproject.toml constraints.txt .ci/setup
	@.ci/setup $(PYTHON) ""
	@touch $@

.venv/.test-ready: .venv/.ready
	@.ci/setup $(PYTHON) "[test]"
	@touch $@

demo: .venv/.ready           ## train a hypernetwork on the embedded demo model
	@$(BIN)/hypernet demo

lint: .venv/.test-ready      ## style, types and the rules of who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# In the order of their folders the slow files come first: one that came last would keep one of the two waiting.
test: lint                   ## everything that must hold
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

bench: .venv/.test-ready     ## ratios of speed and memory, into docs/benchmarks.json
	$(BIN)/python -m tests.benchmarks

demo-model: .venv/.test-ready  ## train the embedded demo model anew (hours on two cores)
	$(BIN)/python -m trainer.demo.build
