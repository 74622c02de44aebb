# Every entry point of the project. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV   ?= .venv
JOBS   ?= $(shell nproc)
PY     := $(VENV)/bin/python
EXTRAS := tensorflow,device,report,dev,bench

CORE_SOURCES := $(wildcard csrc/src/*.c csrc/x86/*.c csrc/x86/*.h csrc/include/eng.h csrc/include/eng/*.h)
NATIVE       := $(wildcard engine/*.pyx engine/*.pxd engine/*.pxi engine/*.cpp engine/*.hpp python/enginekit/*/*.pyx python/enginekit/*/*.cpp python/enginekit/*/*.hpp)
C_FILES      = $(shell git ls-files --cached --others --exclude-standard '*.c' '*.h' '*.cpp' '*.hpp')

.PHONY: help setup build demo test test-c test-avr fuzz check format bench bench-avr firmware size clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.installed ## system packages, virtual environment, Python packages

$(VENV)/.packages: .ci/packages
	.ci/packages
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: $(VENV)/.packages pyproject.toml
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --quiet --editable ".[$(EXTRAS)]"
	touch $@ && touch $(VENV)/.built  # the editable install has built everything

build: $(VENV)/.built ## the compiled modules, in place

$(VENV)/.built: $(VENV)/.installed setup.py $(CORE_SOURCES) $(NATIVE)
	@[ -e $@ ] && [ -z "$$(find $^ -newer $@)" ] || $(PY) setup.py --quiet build_ext --inplace --parallel $(JOBS)
	@touch $@

demo: build ## train, quantize, check, compile, simulate and report, on handwritten digits
	$(PY) -m enginekit.demo --out out/demo

test: build test-c test-avr ## everything
	$(MAKE) --no-print-directory test-c SAN=1
	$(PY) -m pytest -n $(JOBS) --dist loadgroup

test-c: build ## the C core's own tests on the host; SAN=1 with address and undefined-behaviour sanitizers
	$(MAKE) --no-print-directory -C tests/core/c PY=$(abspath $(PY)) SAN=$(SAN) host

test-avr: build ## the same C tests, cross-compiled, on the simulated chip
	$(MAKE) --no-print-directory -C tests/core/c PY=$(abspath $(PY)) avr

FUZZ_SECONDS ?= 1200
FUZZ_SEED    ?= 1
SANITIZE     := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g1
RUNTIMES     = $(foreach name,libasan.so libubsan.so libstdc++.so,$(shell cc -print-file-name=$(name)))

fuzz: build ## mutated files against reader, model builder and session, with sanitizers, for FUZZ_SECONDS from FUZZ_SEED
	CFLAGS="$(SANITIZE)" $(PY) setup.py --quiet build --build-base build/fuzz
	$(PY) tests/fuzz_corpus.py build/fuzz/corpus
	LD_PRELOAD="$(RUNTIMES)" ASAN_OPTIONS=detect_leaks=0:max_allocation_size_mb=1500:hard_rss_limit_mb=3000 \
	PYTHONPATH=$$(echo build/fuzz/lib.*):tests $(PY) tests/file_fuzzer.py --corpus build/fuzz/corpus \
	--progress build/fuzz/progress --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED)

check: build ## format, lint, types
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/clang-format --dry-run --Werror $(C_FILES)
	$(VENV)/bin/mypy

format: $(VENV)/.installed ## rewrite sources in the project's format
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/clang-format -i $(C_FILES)

bench: build ## speed on this machine, to bench/results
	$(PY) -m pytest bench --benchmark-only
	$(PY) bench/chart.py
	$(PY) bench/avr_page.py
	$(PY) bench/training_page.py

bench-avr: build ## cycles, flash and RAM on the simulated chip, to bench/results/avr.json, docs/avr.md and README.md
	$(PY) -m pytest bench/bench_avr.py --benchmark-only
	$(PY) bench/avr_page.py

firmware: build ## the firmware with the demo's model, for the ATmega4809
	$(MAKE) --no-print-directory -C firmware PY=$(abspath $(PY))

size: firmware ## flash and RAM of the firmware, by section and symbol
	$(MAKE) --no-print-directory -C firmware PY=$(abspath $(PY)) size

clean: ## remove what was built, keep the virtual environment
	rm -rf build dist out *.egg-info engine/*.so engine/*.c python/enginekit/*/*.so python/enginekit/device/*.c firmware/build
	rm -f $(VENV)/.built
