PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := build/demo
export HF_HUB_OFFLINE ?= 1

.PHONY: help setup wheels demo test test-fast test-haswell test-nehalem fuzz lint format typecheck docs bench clean

help:  ## list the targets
	@sed -nE 's/^([a-z][a-z -]*):.*##/\1 #/p' $(MAKEFILE_LIST) | sort | awk -F ' #' '{ printf "%-26s%s\n", $$1, $$2 }'

setup: $(READY) $(VENV)/.core  ## make .venv, install EdgeBERT with all development dependencies, build the core

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile torch==2.13.0
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt --editable '.[export,openvino,nncf,neural-compressor,parquet,report,demo,dev]'
	touch $(READY)

# If there is no compiler, install one as a wheel. If the core cannot be built, bundles run on ONNX Runtime.
$(VENV)/.core: $(READY) core/build.py core/edgebert_core.h $(wildcard core/src/*)
	@{ command -v gcc || command -v clang || command -v cc; } >/dev/null || \
		$(BIN)/pip install --quiet --no-compile --constraint constraints.txt ziglang || true
	$(BIN)/python core/build.py --if-possible
	touch $(VENV)/.core

$(VENV)/.zig: $(READY)
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt ziglang
	touch $(VENV)/.zig

wheels: $(VENV)/.zig  ## build into dist/ one wheel per platform with the core, and one without it
	$(BIN)/python core/wheels.py

# Takes ten minutes, including set-up, on two idle cores. If other work keeps them busy: OMP_NUM_THREADS=1 make demo.
demo: setup  ## run all steps on generated smart-home commands, from fine-tuning to a measured INT8 bundle
	$(BIN)/python -m examples.smart_home.corpus build/demo-data
	$(BIN)/edgebert export export/demo.toml --data-dir build/demo-data --out $(DEMO)
	$(BIN)/edgebert bench $(DEMO) --data build/demo-data/test.jsonl --suite bench/suites/demo.toml --stages
	@echo
	@echo "The data is synthetic: these figures show that the chain works, nothing about real speech."
	@echo "bundle:  $(DEMO)"
	@echo "report:  $(BIN)/edgebert report $(DEMO).bench --out build/report.html"
	@echo "try it:  $(BIN)/edgebert predict $(DEMO) \"set the bedroom lights to forty percent please\""

# Without bytecode, importing PyTorch and transformers takes three times as long, in every process that a test starts.
# If PYTHONDONTWRITEBYTECODE is set, tests write bytecode to build/ instead of the source tree.
ifneq ($(PYTHONDONTWRITEBYTECODE),)
test test-fast fuzz: export PYTHONDONTWRITEBYTECODE =
test test-fast fuzz: export PYTHONPYCACHEPREFIX ?= $(CURDIR)/build/bytecode
endif

# An idle worker takes tests from another one. Work that several workers need is done once (tests/shared_work.py).
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test: setup  ## run every test, in one process per core, at most four
	$(PYTEST)

test-fast: setup  ## run the fast tests: no training, no export with PyTorch, few processes
	$(PYTEST) -m "not slow"

# With emulation: docs/guides/machines.md says how long it takes. TESTS=tests/test_cpu.py needs no PyTorch.
TESTS ?= tests

test-haswell test-nehalem: test-%: setup  ## run the INT8 tests as on a CPU with AVX2 but not VNNI, or with neither
	bench/qemu-setup --x86
	bench/as-cpu $* -m pytest -m int8 $(TESTS) --numprocesses auto --maxprocesses 4 --dist worksteal

fuzz: setup  ## test many damaged bundles and data files, unusual texts and killed exports; twenty minutes
	EDGEBERT_FUZZ=long $(BIN)/python -m pytest tests/fuzz tests/core/test_damaged_files.py
	PYTHONPATH=tests $(BIN)/python -m fuzz.kills --kills 50

lint: setup  ## check rules and format with ruff, and imports between layers with import-linter
	$(BIN)/ruff check core edgebert tests bench docs examples
	$(BIN)/ruff format --check core edgebert tests bench docs examples
	$(BIN)/lint-imports --no-cache

format: setup  ## format the code with ruff
	$(BIN)/ruff check --fix core edgebert tests bench docs examples
	$(BIN)/ruff format core edgebert tests bench docs examples

typecheck: setup  ## check types with mypy --strict
	$(BIN)/mypy

$(VENV)/.docs: $(READY)
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt mkdocs-material 'mkdocstrings[python]'
	touch $(VENV)/.docs

docs: $(VENV)/.docs  ## build the site into build/site; every broken link and missing page is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --site-dir build/site

bench: setup  ## run the suite of the recorded results on the SST-2 bundle (export it first: docs/guides/benchmarking.md)
	$(BIN)/edgebert bench build/sst2 --data ../shared/data/sst2/dev.tsv --suite bench/suites/standard.toml --stages

clean:  ## remove .venv and build
	rm -rf build $(VENV)
