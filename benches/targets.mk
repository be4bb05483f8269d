# Measurements. Their tools are a cargo workspace of their own in benches/, built on first use.
BENCHES := target/benches
# Builds that `make wcet` counts: release, v3 (for x86-64-v3 processors), size (opt-level "s").
BUILDS ?= release
CARGO_BENCHES = --manifest-path benches/Cargo.toml --target-dir $(BENCHES)
MEASURE = cargo build --quiet --release $(CARGO_BENCHES) --package
# The program that runs preloaded allocators, and the allocators that come from crates.
PRELOADED = $(MEASURE) global && $(MEASURE) peer-mimalloc && $(MEASURE) peer-snmalloc
BENCH_QUICK = --quick --command "make bench QUICK=1" --out $(BENCHES)/bench-quick.csv

.PHONY: setup-bench wcet constant size compare bench latency fit bench-global latency-global plots

setup-bench: $(STAMP) ## install what the measurements need beyond the set-up: valgrind
	@scripts/setup-bench.sh

wcet: setup-bench ## instructions of every call in every state that matters, by callgrind
	@$(MEASURE) instructions
	@$(BENCHES)/release/instructions wcet --builds $(BUILDS)

constant: setup-bench ## the same states in heaps of up to a million free blocks: equal counts
	@$(MEASURE) instructions
	@$(BENCHES)/release/instructions constant

size: $(STAMP) ## bytes of code, of the control structure, and of a block's overhead
	@$(MEASURE) instructions
	@$(BENCHES)/release/instructions size

# The library first: the program links it.
compare: all ## build the program that measures memoman beside its peers
	@$(MEASURE) compare

bench: compare ## time beside other allocators, eight workloads (QUICK=1: a look)
	@$(BENCHES)/release/compare bench $(if $(QUICK),$(BENCH_QUICK))

latency: compare ## how long single calls take, beside other allocators
	@$(BENCHES)/release/compare latency

fit: compare ## how much of its memory an allocator can hand out, beside others
	@$(BENCHES)/release/compare fit

bench-global: all ## the shim beside other preloaded allocators: time, memory (QUICK=1: a look)
	@scripts/setup-bench-global.sh
	@$(PRELOADED)
	@$(BENCHES)/release/global loads $(if $(QUICK),--quick --out $(BENCHES)/global-quick.csv)

latency-global: all ## how long single calls take under preloaded allocators, two threads busy
	@scripts/setup-bench-global.sh
	@$(PRELOADED)
	@$(BENCHES)/release/global latency

plots: ## draw the plots of benches/results anew from the csv there; measures nothing
	@cargo run --quiet $(CARGO_BENCHES) --package plots
