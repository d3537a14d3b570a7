# SPDX-License-Identifier: MIT
# A thin front for meson and tests/: see README.md for the two commands.

BUILD ?= build

.PHONY: all
all: deps-build
	@$(MAKE) --no-print-directory compile

.PHONY: demo
demo: deps-demo
	@$(MAKE) --no-print-directory compile guest
	@python3 tests/guest/demo.py $(BUILD)/ringhost $(BUILD)/guest

.PHONY: check
check: deps-check
	@tests/check $(BUILD)

# The long runs, hours of them: tests/soak says what there is. For a part of
# them: make soak PARTS="kill power-cut"
.PHONY: soak
soak: deps-check
	@[ -e $(BUILD)/build.ninja ] || meson setup $(BUILD)
	@meson configure $(BUILD) -Dtests=true
	@ninja -C $(BUILD)
	@tests/soak $(BUILD) $(PARTS)

# Measure on a machine that does nothing else.
.PHONY: bench bench-smoke
bench bench-smoke: deps-bench
	@$(MAKE) --no-print-directory compile
	@bench/compare --ringhost=$(BUILD)/ringhost $(if $(findstring smoke,$@),--smoke)

.PHONY: install
install: all
	meson install -C $(BUILD) --no-rebuild

.PHONY: format
format: deps-check
	git ls-files '*.c' '*.h' | xargs clang-format -i

# Instructions per request, which a test compares with bench/instructions.json
.PHONY: count-record count-show
count-record count-show: deps-check
	@[ -e $(BUILD)/build.ninja ] || meson setup $(BUILD)
	@meson configure $(BUILD) -Dtests=true
	@ninja -C $(BUILD) $@

# SECONDS=N for each fuzzer, or RUNS=N inputs; new inputs stay in the folder.
.PHONY: fuzz
fuzz: deps-check
	@[ -e $(BUILD)-fuzz/build.ninja ] || CC=clang meson setup $(BUILD)-fuzz \
		-Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false
	@meson configure $(BUILD)-fuzz -Dfuzz_runs=$(or $(RUNS),0) \
		-Dfuzz_seconds=$(or $(SECONDS),$(if $(RUNS),0,30))
	@ninja -C $(BUILD)-fuzz fuzzers
	@meson test -C $(BUILD)-fuzz --no-rebuild --suite fuzz --verbose

# The table of docs/reliability.md
.PHONY: fuzz-coverage
fuzz-coverage: deps-check
	@[ -e $(BUILD)-coverage/build.ninja ] || CC=gcc meson setup \
		$(BUILD)-coverage -Db_coverage=true
	@ninja -C $(BUILD)-coverage fuzzers >/dev/null
	@python3 -B tests/fuzz/coverage.py $(BUILD)-coverage \
		inflight message options packed qmp split

.PHONY: clean
clean:
	rm -rf $(BUILD) $(BUILD)-san $(BUILD)-tsan $(BUILD)-clang \
		$(BUILD)-fuzz $(BUILD)-coverage

.PHONY: help
help:
	@echo "make            build $(BUILD)/ringhost"
	@echo "make demo       watch a VM work on a disk that ringhost serves"
	@echo "make check      run every test"
	@echo "make soak       the long runs of the tests that have them"
	@echo "make bench      measure it side by side with others, an hour long"
	@echo "make bench-smoke  the same in three minutes, of the main jobs"
	@echo "make install    install library, server and manual pages"
	@echo "make count-record  put instructions per request on record"
	@echo "make fuzz       fuzz for SECONDS=N each, 30 by default, or RUNS=N"
	@echo "make fuzz-coverage  how much of the parsers the kept inputs reach"
	@echo "make format     run clang-format over all C files"
	@echo "make clean      remove all that was built and downloaded"
	@echo
	@echo "BUILD=DIR builds elsewhere than in build/. Missing Debian packages"
	@echo "are installed with apt, through sudo when not root."

# What the targets above are made of.

.PHONY: deps-build deps-demo deps-check deps-bench
deps-build deps-demo deps-check deps-bench: deps-%:
	@tests/deps $*

.PHONY: compile
compile: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

.PHONY: guest
guest:
	@tests/guest/fetch $(BUILD)/guest

# Without the tests, which need more packages; `make check` adds them.
$(BUILD)/build.ninja:
	@meson setup $(BUILD) -Dtests=false
