# Measurements. Their tools are a cargo workspace of their own in benches/, built on the first use of one of them.
BENCHES := target/benches
# Builds of the library that `make wcet` counts: release, v3 (for x86-64-v3 processors), size (opt-level "s").
BUILDS ?= release
MEASURE = cargo build --quiet --release --manifest-path benches/Cargo.toml --target-dir $(BENCHES) --package
# What measures preloaded allocators, and those of them that come from crates: in C and C++, by gcc and g++.
PRELOADED = $(MEASURE) global && $(MEASURE) peer-mimalloc && $(MEASURE) peer-snmalloc

.PHONY: setup-bench wcet constant size compare bench latency fit bench-global latency-global

setup-bench: $(STAMP) ## install what the measurements need beyond the set-up: valgrind
	@scripts/setup-bench.sh

wcet: setup-bench ## instructions of every call in every state that matters, by callgrind
	@$(MEASURE) instructions
	@$(BENCHES)/release/instructions wcet --builds $(BUILDS)

constant: setup-bench ## the same states in heaps of up to a million free blocks and a thousand pools: no difference allowed
	@$(MEASURE) instructions
	@$(BENCHES)/release/instructions constant

size: $(STAMP) ## bytes of code, of the control structure, and of what a block costs
	@$(MEASURE) instructions
	@$(BENCHES)/release/instructions size

# memoman beside its peers: the library first, since they are linked with it.
compare: all ## build the programs that measure memoman beside its peers
	@$(MEASURE) compare

bench: compare ## time beside other allocators, eight workloads (QUICK=1: a look, below a minute)
	@$(BENCHES)/release/compare bench $(if $(QUICK),--quick --command "make bench QUICK=1" --out $(BENCHES)/bench-quick.csv)

latency: compare ## how long single calls take, beside other allocators
	@$(BENCHES)/release/compare latency

fit: compare ## how much of its memory an allocator can hand out, beside others
	@$(BENCHES)/release/compare fit

bench-global: all ## the shim beside other preloaded allocators: time and peak memory (QUICK=1: a look, below a minute)
	@scripts/setup-bench-global.sh
	@$(PRELOADED)
	@$(BENCHES)/release/global $(if $(QUICK),--quick --out $(BENCHES)/global-quick.csv)

latency-global: all ## how long single calls take under the shim and other preloaded allocators, two threads busy
	@scripts/setup-bench-global.sh
	@$(PRELOADED)
	@$(BENCHES)/release/latency_global
