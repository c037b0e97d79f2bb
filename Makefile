# Short verbs over Meson. `make help` lists them.
# SPDX-License-Identifier: Apache-2.0
BUILD ?= build
MESON_FLAGS ?= --werror
PREFIX ?= /usr/local

.PHONY: all help setup run test soak bench bench-engines bench-peers asan tsan fuzz lint fmt install clean

all: $(BUILD)/build.ninja ## build build/serin and build/libserin.so (the default)
	@ninja -C $(BUILD) --quiet

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What configures a build folder: packages, ONNX Runtime, Meson. Done again only where it is not there.
$(BUILD)/build.ninja:
	@tools/setup.sh test >/dev/null
	@meson setup $(BUILD) $(MESON_FLAGS) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@mv $(BUILD).log $(BUILD)/setup.log

setup: ## install what a build and the tests need
	@tools/setup.sh test

run: all ## release a better version on played footage, then take a worse one off (ONCE=1: stop, and tell by exit status)
	@tools/run.py $(BUILD)

test: all ## unit, golden, hostile, end-to-end and fuzz-corpus tests
	@tools/test.sh $(BUILD)

soak: all ## the tests that have a long form, in it: 100,000 requests, 1,000 changes of weight, 500 kills, 3,000 whole rollouts
	@SERIN_SOAK=1 meson test -C $(BUILD) --no-rebuild --verbose --timeout-multiplier 10 e2e/soak e2e/garden e2e/leaks e2e/rollout e2e/access e2e/schemathesis simulation

bench: bench-engines ## speed and memory: engines, beside OpenCV, torchvision or numpy where they are installed, the gateway beside HAProxy and nginx, serve as a whole; the judge's errors
	@python3 bench/bench.py $(BUILD)
	@python3 bench/bench_gateway.py $(BUILD) || [ $$? -eq 77 ]
	@python3 bench/bench_serve.py $(BUILD) || [ $$? -eq 77 ]
	@python3 bench/bench_monitoring.py $(BUILD) || [ $$? -eq 77 ]
	@python3 bench/bench_rollout.py $(BUILD) || [ $$? -eq 77 ]
	@$(BUILD)/bench/simulation --bench

bench-engines: all ## networks in our own engine, beside ONNX Runtime and OpenVINO from PyPI (12 minutes; BENCH_SHORT=1: one): docs/benchmarks.md
	@python3 bench/bench_engines.py $(BUILD) || [ $$? -eq 77 ]

bench-peers: all ## serve beside FastAPI, ultralytics, LitServe, MLServer and BentoML from PyPI (9 GB, 25 minutes): docs/benchmarks.md
	@python3 bench/bench_peers.py $(BUILD) || [ $$? -eq 77 ]

asan: ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory BUILD=build-asan \
		MESON_FLAGS='-Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1' test

tsan: ## the tests under ThreadSanitizer
	@$(MAKE) --no-print-directory BUILD=build-tsan \
		MESON_FLAGS='-Db_sanitize=thread -Db_lundef=false -Doptimization=1' test

fuzz: ## libFuzzer on each target for FUZZ_SECONDS (60)
	@tools/fuzz.sh

lint: all ## clang-format, clang-tidy, cppcheck and the tree's own rules
	@tools/lint.sh $(BUILD)

fmt: ## format the C files
	@git ls-files '*.c' '*.h' | xargs clang-format -i

install: all ## install the program, the library, headers, man page (PREFIX=/usr/local)
	@meson configure $(BUILD) | grep -q '^ *prefix  *$(PREFIX) ' || meson configure $(BUILD) -Dprefix=$(PREFIX)
	@meson install -C $(BUILD) --quiet
	@[ -n "$$DESTDIR" ] || [ "$$(id -u)" != 0 ] || PATH=$$PATH:/sbin ldconfig

clean: ## remove the build folders
	@rm -rf build build-*
