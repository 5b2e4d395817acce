# Every target works alone on a fresh machine: it makes what it needs first. `make help` lists them.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: help install run test fast lint types docs golden bench instructions sanitize mutants timing hostile slow soak workers chaos durability corpus fuzz check clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "sgtm needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V)"; exit 1; }
	@command -v cc >/dev/null || { echo "no C compiler: apt-get install gcc"; exit 1; }
	@$(PYTHON) -c 'import sysconfig, pathlib, sys; sys.exit(not pathlib.Path(sysconfig.get_paths()["include"], "Python.h").exists())' || { echo "no Python headers: apt-get install python3-dev"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "no venv module: apt-get install python3-venv"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --no-build-isolation --editable .
	@touch $@

install: $(VENV)/.installed fast  ## make .venv with everything, and build the compiled core

SOURCES := $(wildcard sgtm/_fast/*.pyx sgtm/_fast/*.pxd sgtm/_fast/*.pxi sgtm/_fast/*.h) setup.py
$(VENV)/.built: $(VENV)/.installed $(SOURCES)
	$(BIN)/python setup.py --quiet build_ext --inplace --parallel $$(nproc)
	@touch $@

fast: $(VENV)/.built  ## build the compiled core

run: fast  ## the real server, a stand-in for the vendors, and recorded browser hits
	$(BIN)/python -m sgtm demo

test: fast  ## all tests
	$(BIN)/python -m pytest -n auto

lint: $(VENV)/.installed  ## format, lint, import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/cython-lint sgtm/_fast
	$(BIN)/lint-imports

types: fast  ## mypy strict, and the stubs of the core against the binaries
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest $(patsubst sgtm/_fast/%.pyx,sgtm._fast.%,$(wildcard sgtm/_fast/*.pyx))

docs: fast  ## write docs/reference from the code
	$(BIN)/python -m sgtm docs

golden: fast  ## fill in golden cases that have no expectation yet, and show the difference
	$(BIN)/python -m pytest tests/test_golden.py --update-golden -q
	git --no-pager diff -- tests/golden
	git status --short -- tests/golden

check: lint types test  ## what CI runs
	$(BIN)/python -m sgtm docs --check

ROUNDS ?= 9
bench: fast  ## everything side by side in about 35 minutes (ROUNDS=), and a page of it in benchmarks/results
	$(BIN)/python -m benchmarks.parse
	$(BIN)/python -m benchmarks.encode
	$(BIN)/python -m benchmarks.hash
	$(BIN)/python -m benchmarks.send
	$(BIN)/python -m benchmarks.load --peers --rounds $(ROUNDS)
	$(BIN)/python -m benchmarks.load --peers --rounds $(ROUNDS) --vendor-tls --vendor-ms 0
	$(BIN)/python -m benchmarks.latency --peers
	$(BIN)/python -m benchmarks.growth --rounds $(ROUNDS)
	$(BIN)/python -m benchmarks.scaling
	$(BIN)/python -m benchmarks.webhook --rounds $(ROUNDS)
	$(BIN)/python -m benchmarks.report

instructions: fast  ## instructions per hit (valgrind) against the committed budget
	$(BIN)/python -m benchmarks.instructions

durability: fast  ## what it costs that nothing acknowledged is lost: sqlite over memory, in one run
	$(BIN)/python -m benchmarks.durability

hostile: fast  ## what hostile templates cost in a running server, and what they cost the others
	$(BIN)/python -m benchmarks.hostile

slow: fast  ## 2,000 slow requesters against one worker: latency of the others, memory of each
	SLOW_CLIENTS=2000 $(BIN)/python -m pytest -q -s tests/end_to_end/test_slow_clients.py

timing: fast  ## whether the time of a refusal tells how much of a webhook's signature was right
	PYTHONPATH=tests $(BIN)/python tests/signature_timing.py

workers: fast  ## ten rolling restarts of two workers, and 30 s of reloads, under load
	RESTARTS=10 LOAD_S=30 $(BIN)/python -m pytest -q -s tests/end_to_end/test_workers.py -k under_load

chaos: fast  ## faults of disk, process and broker, at length: kills, power cuts, damaged files, full disks
	CHAOS=full $(BIN)/python -m pytest -q -n 2 tests/chaos

COUNT ?= 1000000
corpus: fast  ## a million mutants of HTTP requests, read with the edge, without it, and by h11 (COUNT=; 15 min)
	$(BIN)/python tests/two_ways.py --count $(COUNT)

FUZZED := build/fuzz/lib
CLANG ?= $(firstword $(foreach name,clang clang-14,$(shell command -v $(name))))
fuzz: SECONDS = 60
fuzz: fast  ## what reads bytes of strangers, guided by coverage (SECONDS= for each reader, TARGETS= some of them)
	$(BIN)/python -m pip install --quiet --group fuzz
	$(if $(CLANG),CC=$(CLANG) LDSHARED="$(CLANG) -shared" SGTM_FUZZ=1 $(BIN)/python setup.py --quiet build --build-base build/fuzz --build-lib $(FUZZED),@echo "no clang, so only Python guides the search: apt-get install clang")
	$(BIN)/python tests/fuzz/guided.py $(if $(CLANG),--core $(FUZZED)) --seconds $(SECONDS) $(TARGETS)

SECONDS ?= 1800
soak: fast  ## half an hour of mixed load (SECONDS=), then a million addresses and ids: nothing grows
	SOAK_SECONDS=$(SECONDS) SOAK_IDS=1000000 $(BIN)/python -m pytest -q -s --timeout 7200 tests/end_to_end/test_soak.py

clean:  ## remove what was built
	rm -rf $(VENV) build *.egg-info sgtm/_fast/*.so sgtm/_fast/*.c sgtm/_fast/*.html

SANITIZED := build/sanitize/lib
sanitize:  ## the compiled core under AddressSanitizer and UndefinedBehaviorSanitizer
	$(MAKE) --no-print-directory fast
	SGTM_SANITIZE=1 $(BIN)/python setup.py --quiet build --build-base build/sanitize --build-lib $(SANITIZED) build_ext --parallel $$(nproc)
	LD_PRELOAD=$$(cc -print-file-name=libasan.so) PYTHONMALLOC=malloc PYTHONPATH=$(SANITIZED) \
	ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 \
	$(BIN)/pytest -n auto tests/fast tests/templates -q -o pythonpath="$(SANITIZED) tests"

mutants: fast  ## change the compiled core in 30 places, one by one, and expect red tests
	$(BIN)/python tests/mutants.py
