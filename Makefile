# Each target sets up what it needs from nothing: Python 3.10 to 3.13 and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt
NAME := pose-detection_simcc_onnxruntime_dynamic_256x192

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-gpu fuzz kills check benchmark matrix format lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/demo  ## compile RTMPose for ONNX Runtime on a photograph, and say where to look
	$(BIN)/python -m compiler +backend=onnxruntime +model=rtmpose
	@echo
	@echo "Look at the picture, and open the report in a browser:"
	@echo "  outputs/rtmpose/$(NAME)/output_onnxruntime.jpg"
	@echo "  outputs/rtmpose/$(NAME)/report.html"

# A test that ends its process would be run again without end: pytest-xdist takes its file up anew each time.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=logical --maxprocesses=4 --dist=loadfile --max-worker-restart=1

test: $(VENV)/test  ## run the test suite: the mechanisms, and one model of each kind
	$(PYTEST)

test-slow: $(VENV)/test  ## run what `make test` leaves out: the same on all other models, shapes and exporters
	$(PYTEST) -m slow

test-gpu:  ## build engines on this machine's GPU, run them, print what they compute and how fast
	$(MAKE) VENV=$(VENV)-gpu $(VENV)-gpu/gpu
	$(VENV)-gpu/bin/python -m pytest -m gpu -s tests/gpu

CASES ?= 5000
KILLS ?= 100
SEED ?= 0

fuzz: $(VENV)/test  ## feed CASES hostile files and command lines to the compiler, made from SEED; count how each ends
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.hostile --cases $(CASES) --seed $(SEED)

kills: $(VENV)/test  ## kill KILLS compiles at random moments; look at what they leave behind
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.hostile.kills --kills $(KILLS) --seed $(SEED)

check: $(VENV)/check  ## format and lint (ruff), types (mypy --strict), layers (import-linter)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmark: $(VENV)/test  ## print the benchmark tables
	$(BIN)/python -m tests.benchmarks

MINUTES ?= 600

matrix: $(VENV)/test  ## compile every model for every backend, for MINUTES at most; write docs/backends.md
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.matrix --minutes $(MINUTES)

format: $(VENV)/check  ## format, and repair what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:  ## write constraints.txt anew, with the newest versions that go together (needs uv)
	head -2 constraints.txt > constraints.new
	uv pip compile --quiet --universal --python-version 3.10 --extra test --extra check --no-annotate --no-header pyproject.toml \
		| grep -vE '^(nvidia-|cuda-|triton)' >> constraints.new
	mv constraints.new constraints.txt

clean:  ## remove the virtual environment and the outputs
	rm -rf $(VENV) $(VENV)-gpu outputs

# Stamps: an environment is set up again only when what it is made from has changed.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) torch
	$(PIP) --editable '.[compile,onnxruntime]'
	@touch $@

$(VENV)/test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) torch
	$(PIP) --editable '.[test]'
ifeq ($(shell uname -sm),Linux x86_64)
	$(PIP) --no-deps --upgrade --target $(VENV)/onnxruntime-openvino 'onnxruntime-openvino>=1.23' || echo "the tests of its provider are skipped"
	XDG_CACHE_HOME=$(VENV)/cache $(BIN)/python -m compiler doctor --make rknn || echo "the tests of RKNN are skipped"
endif
	@touch $@

$(VENV)/gpu: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) torch
	$(PIP) --editable '.[test,tensorrt]'
	@touch $@

$(VENV)/check: pyproject.toml constraints.txt | $(VENV)/test
	$(PIP) --editable '.[test,check]'
	@touch $@
