PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := build/demo
export HF_HUB_OFFLINE ?= 1

.PHONY: help setup wheels demo test test-fast test-haswell test-nehalem fuzz lint format typecheck docs bench clean

help:  ## list what make can do
	@sed -nE 's/^([a-z][a-z -]*):.*##/\1 #/p' $(MAKEFILE_LIST) | sort | awk -F ' #' '{ printf "%-26s%s\n", $$1, $$2 }'

setup: $(READY) $(VENV)/.core  ## make .venv, install EdgeBERT with everything it takes to develop it, build the core

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile torch==2.13.0
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt --editable '.[export,openvino,nncf,neural-compressor,parquet,report,demo,dev]'
	touch $(READY)

# A machine without a compiler gets one as a wheel; where neither builds the core, bundles run on ONNX Runtime.
$(VENV)/.core: $(READY) core/build.py core/edgebert_core.h $(wildcard core/src/*)
	@{ command -v gcc || command -v clang || command -v cc; } >/dev/null || \
		$(BIN)/pip install --quiet --no-compile --constraint constraints.txt ziglang || true
	$(BIN)/python core/build.py --if-possible
	touch $(VENV)/.core

$(VENV)/.zig: $(READY)
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt ziglang
	touch $(VENV)/.zig

wheels: $(VENV)/.zig  ## a wheel with the core for every platform, and one without it, into dist/
	$(BIN)/python core/wheels.py

# Ten minutes with set-up on two idle cores. Where other work keeps them busy: OMP_NUM_THREADS=1 make demo.
demo: setup  ## the whole chain on generated smart-home commands: fine-tune to measured INT8 bundle
	$(BIN)/python -m examples.smart_home.corpus build/demo-data
	$(BIN)/edgebert export export/demo.toml --data-dir build/demo-data --out $(DEMO)
	$(BIN)/edgebert bench $(DEMO) --data build/demo-data/test.jsonl --suite bench/suites/demo.toml --stages
	@echo
	@echo "The data is synthetic: these figures show that the chain works, nothing about real speech."
	@echo "bundle:  $(DEMO)"
	@echo "report:  $(BIN)/edgebert report $(DEMO).bench --out build/report.html"
	@echo "try it:  $(BIN)/edgebert predict $(DEMO) \"set the bedroom lights to forty percent please\""

# Without bytecode, importing PyTorch and transformers takes three times as long, in every process that a test starts.
# Where PYTHONDONTWRITEBYTECODE keeps it out of the source tree, tests keep it in build/.
ifneq ($(PYTHONDONTWRITEBYTECODE),)
test test-fast fuzz: export PYTHONDONTWRITEBYTECODE =
test test-fast fuzz: export PYTHONPYCACHEPREFIX ?= $(CURDIR)/build/bytecode
endif

# A worker with nothing left to do takes tests of another; what several workers need is made once (tests/shared_work.py).
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test: setup  ## every test, in as many processes as there are cores, at most four
	$(PYTEST)

test-fast: setup  ## the tests that neither train, nor export by PyTorch, nor start many processes
	$(PYTEST) -m "not slow"

# Under emulation: docs/guides/machines.md says how long it takes. TESTS=tests/test_cpu.py is what needs no PyTorch.
TESTS ?= tests

test-haswell test-nehalem: test-%: setup  ## the tests of INT8 as a CPU with AVX2 alone, or with neither AVX2 nor VNNI
	bench/qemu-setup --x86
	bench/as-cpu $* -m pytest -m int8 $(TESTS) --numprocesses auto --maxprocesses 4 --dist worksteal

fuzz: setup  ## damaged bundles, odd texts, damaged data files and killed exports in great number; twenty minutes
	EDGEBERT_FUZZ=long $(BIN)/python -m pytest tests/fuzz tests/core/test_damaged_files.py
	PYTHONPATH=tests $(BIN)/python -m fuzz.kills --kills 50

lint: setup  ## ruff: rules and format; import-linter: which room imports which
	$(BIN)/ruff check core edgebert tests bench docs examples
	$(BIN)/ruff format --check core edgebert tests bench docs examples
	$(BIN)/lint-imports --no-cache

format: setup  ## rewrite the code in ruff's format
	$(BIN)/ruff check --fix core edgebert tests bench docs examples
	$(BIN)/ruff format core edgebert tests bench docs examples

typecheck: setup  ## mypy, strict
	$(BIN)/mypy

$(VENV)/.docs: $(READY)
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt mkdocs-material 'mkdocstrings[python]'
	touch $(VENV)/.docs

docs: $(VENV)/.docs  ## build the site into build/site; every broken link and missing page is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --site-dir build/site

bench: setup  ## the recorded suite on the SST-2 bundle (export it first: docs/guides/benchmarking.md)
	$(BIN)/edgebert bench build/sst2 --data ../shared/data/sst2/dev.tsv --suite bench/suites/standard.toml --stages

clean:  ## remove .venv and build
	rm -rf build $(VENV)
