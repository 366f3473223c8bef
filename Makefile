# make smoke: the main job on tiny synthetic data.   make test: all tests.   make lint: ruff and mypy.
# TORCH=cpu takes PyTorch's build without CUDA; PYTHON=python3.12 another interpreter; PROCESSES=4 tests in that many.
PYTHON ?= python3
PROCESSES ?= 2
VENV := .venv
BIN := $(VENV)/bin
SMOKE := workspace/smoke
INDEX := $(if $(filter cpu,$(TORCH)),--extra-index-url https://download.pytorch.org/whl/cpu)

.PHONY: smoke test lint clean

smoke: $(VENV)/program
	$(BIN)/cryodenoise pipeline run/smoke --workspace $(SMOKE)

test: $(VENV)/development
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(SMOKE)

$(VENV)/program: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq $(INDEX) -r requirements.txt
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/development: $(VENV)/program requirements-dev.txt requirements-tensorboard.txt requirements-onnx.txt requirements-topaz.txt
	$(BIN)/python -m pip install -qq $(INDEX) -r requirements.txt -r requirements-dev.txt
	$(BIN)/python -m pip install -qq --no-deps -r requirements-topaz.txt
	@touch $@
