# memoman's commands: `make help` lists them. all, debug and install need cargo, a C compiler and
# binutils; what the other targets need, scripts/setup.sh installs for them.
SHELL := /bin/bash
.DEFAULT_GOAL := all
DIST := dist
SETUP = @scripts/setup.sh $@
# Every target with a description is a command, not a file.
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))

##@ Build
all: ## the libraries and headers, into dist/
	scripts/build-lib.sh $(DIST) release
	@ls -l $(DIST) $(DIST)/include
debug: ## the debug library, into dist/ as well: docs/debugging.md
	scripts/build-lib.sh $(DIST) debug
tools: ## the tool `memoman` and its recorder, into dist/bin and dist/lib
	scripts/build-tools.sh $(DIST)

docs: all ## the documentation as a site in target/book, its code run, its links checked
	$(SETUP)
	scripts/docs.sh check
	scripts/docs.sh build
docs-look: docs ## screenshots of each page, wide and narrow, light and dark; faults of layout
docs-write: all ## write the generated parts of the documentation anew
docs-look docs-write:
	$(SETUP)
	scripts/docs.sh $(@:docs-%=%)

header: ## write include/memoman.h anew from src/ffi
	MEMOMAN_HEADER=write cargo check --quiet --package memoman --features header

fmt: ## format all Rust code
	$(SETUP)
	cargo fmt --all
clean: ## remove everything that was built
	cargo clean
	rm -rf $(DIST)

setup: ## install what demo, examples and check need beyond Rust
	@scripts/setup.sh demo examples check
setup-bench: ## install what the measurements need
	@scripts/setup.sh wcet compare compare-global
setup-install: ## install what packages and their checks need
	@scripts/setup.sh check-install deb abi

help: ## this list
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

##@ Try
demo: all ## an allocator in a static array; then python, git, sqlite and gcc on memoman
	$(SETUP)
	scripts/programs.sh demo $(DIST)
examples: all ## SQLite, Lua, an audio callback, a game's frame, std::pmr and Python on memoman
	$(SETUP)
	examples/run.sh $(DIST)
see: tools ## real programs recorded, shown, sized, replayed; the pages are in target/see
	$(SETUP)
	scripts/see.sh $(DIST)

##@ Test
check: ## every test: Rust, C plain and under sanitizers, shim, artefacts, programs, packages
check-build: ## `make` where PATH holds cargo, a C compiler and binutils only
check-workflows: ## the workflow files of .github against their published schema
coverage: ## line coverage of the core by its own tests: at least 98 %
mutants: ## mutation testing of core and global: at least 95 % must die (about two hours)
planted: ## the tests fail on each bug of a list, planted one at a time
check-linux: ## TARGET=riscv64, s390x, aarch64 or arm: core, C suite, shim on that Linux, emulated
check-windows: ## the library for 64-bit Windows: C suite, C++ and global heap under wine
proof: ## theorems about an abstract model of the heap, checked by Dafny
check check-build check-workflows coverage mutants planted check-linux check-windows proof:
	$(SETUP)
	scripts/$@.sh

check-32: ## core tests and C suite on 32-bit x86
	$(SETUP)
	scripts/other-targets.sh check i686
check-arm: ## core tests and C suite on 32-bit ARM, emulated
	$(SETUP)
	scripts/other-targets.sh check arm
check-wasm: ## the handle API on WebAssembly: C suite as WASI programs in node
	$(SETUP)
	scripts/other-targets.sh check wasm32
check-arm64: ## the shim on 64-bit ARM: emulated programs, and threads on real kernels
	$(SETUP)
	scripts/arm64.sh
check-embedded: ## no operating system: firmware in QEMU, its size, a FreeRTOS heap, the small build
	$(SETUP)
	scripts/embedded.sh

check-install: all tools ## headers, each compiler and standard; `make install`, Debian packages
	$(SETUP)
	@scripts/check-headers.sh $(DIST) full
	@scripts/check-install.sh $(DIST) full
check-crates: ## the Rust crates as crates.io takes them: contents, documentation, a dry run
	$(SETUP)
	scripts/rust-crates.sh publish
check-docs: all ## every code block of the documentation compiled or run, links, generated parts
	$(SETUP)
	scripts/docs.sh check

check-glibc: all ## glibc's own tests of malloc, from Debian's source package, under the shim
rtsan: all ## the handle API's hot calls under RealtimeSanitizer: nothing in them blocks
symbolic: all ## symbolic execution of the shipped library
check-glibc rtsan symbolic:
	$(SETUP)
	scripts/$@.sh $(DIST)

fuzz: ## SECONDS=n: fuzzing of handle API, validators, shim, environment, trace readers
	$(SETUP)
	scripts/fuzz.sh run $(or $(SECONDS),60)
soak: ## SECONDS=n [OPS=n] [SEED=n] [SAN=asan] [FRONT=name]: random traffic with live figures
	$(SETUP)
	SOAK_SECONDS=$(or $(SECONDS),60) OPS=$(OPS) SEED=$(SEED) SAN=$(SAN) FRONT=$(FRONT) scripts/soak.sh
verify: all ## the long form of every check, hours; ONLY="soak symbolic" for some of the steps
	@scripts/setup.sh check
	ONLY="$(ONLY)" scripts/verify.sh

EXHAUST = cargo test --release -p memoman-core --test exhaustion
verify-models: ## every sequence in small heaps of one and two pools, 20,000 random programs
	MEMOMAN_EXHAUST_BYTES=416 MEMOMAN_EXHAUST_RAW=5 $(EXHAUST) one_small_pool -- --nocapture
	MEMOMAN_EXHAUST_BYTES=416 $(EXHAUST) two_small_pools -- --nocapture
	PROPTEST_CASES=20000 cargo test --release -p memoman-core --test model -- --nocapture

##@ Measure
# The tools are a cargo workspace of their own in benches/.
BENCHES := target/benches
CARGO_BENCHES = --manifest-path benches/Cargo.toml --target-dir $(BENCHES)
MEASURE = @cargo build --quiet --release $(CARGO_BENCHES) --package
# Builds of the library that `make wcet` counts: release, v3 (x86-64-v3), size (opt-level "s").
BUILDS ?= release

wcet: ## instructions of every call in every state that matters, by callgrind
constant: ## the same states in heaps of a million free blocks and a thousand pools: no difference
size: ## bytes of code, of the control structure, and of what a block costs
wcet constant size:
	$(SETUP)
	$(MEASURE) instructions
	@$(BENCHES)/release/instructions $@ $(if $(filter wcet,$@),--builds $(BUILDS))

compare: all ## build the programs that measure memoman beside its peers
	$(SETUP)
	$(MEASURE) compare

bench: compare ## time beside other allocators, eight workloads (QUICK=1: below a minute)
	@$(BENCHES)/release/compare bench \
	    $(if $(QUICK),--quick --command "make bench QUICK=1" --out $(BENCHES)/bench-quick.csv)
latency: compare ## how long single calls take, beside other allocators
fit: compare ## how much of its memory an allocator can hand out, beside others
mispredict: compare ## mispredicted branches and instructions of a call, beside other allocators
latency fit mispredict:
	@$(BENCHES)/release/compare $@

compare-global: all ## build the programs that measure the shim beside its peers
	$(SETUP)
	$(MEASURE) global
	$(MEASURE) peer-mimalloc --package peer-snmalloc

bench-global: compare-global ## the shim beside other preloaded allocators: time, memory (QUICK=1)
	@$(BENCHES)/release/global loads $(if $(QUICK),--quick --out $(BENCHES)/global-quick.csv)
latency-global: compare-global ## how long single calls take under preloaded allocators
	@$(BENCHES)/release/global latency
bench-record: tools ## processor time of programs while they are recorded
	$(SETUP)
	benches/recording/run.py --dist $(DIST) --out benches/results/record.csv

plots: ## draw the plots of benches/results anew from the csv there; measures nothing
	@cargo run --quiet $(CARGO_BENCHES) --package plots
programs: all ## real programs, servers among them: output, time and memory beside glibc (3 GB)
	$(SETUP)
	benches/real-programs/run.py $(if $(REPETITIONS),--repetitions $(REPETITIONS)) $(ONLY)

##@ Package
# PREFIX=/usr/local, DESTDIR=, and LIBDIR, INCLUDEDIR, MANDIR, DOCDIR where they are special.
PREFIX ?= /usr/local
INSTALL = @DIST='$(DIST)' PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' LIBDIR='$(LIBDIR)' \
	INCLUDEDIR='$(INCLUDEDIR)' MANDIR='$(MANDIR)' DOCDIR='$(DOCDIR)' packaging/install.sh

# Built only if it is missing: `make` as yourself, then `sudo make install`.
$(DIST)/libmemoman.so.0:
	@$(MAKE) --no-print-directory all

install: $(DIST)/libmemoman.so.0 ## PREFIX=/usr/local DESTDIR=: libraries, headers, man pages
uninstall: ## remove what `make install` with the same PREFIX and DESTDIR has installed
install uninstall:
	$(INSTALL) $@

deb: $(DIST)/libmemoman.so.0 ## Debian packages, into target/deb
	$(SETUP)
	@DIST='$(DIST)' packaging/deb.sh

abi: ## record the header's ABI anew (packaging/abi): after functions were added
	$(SETUP)
	@packaging/abi.sh record

firmware-archives: ## libmemoman.a for each microcontroller, checksums, SBOM: target/firmware
release-check: all ## the checklist of docs/release.md
firmware-archives release-check:
	$(SETUP)
	scripts/$@.sh
