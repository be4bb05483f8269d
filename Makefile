# memoman's front door. `make help` lists the commands.
SHELL := /bin/bash
.DEFAULT_GOAL := all
DIST := dist
STAMP := target/.setup-done

.PHONY: all debug demo check check-32 check-arm rtsan symbolic coverage mutants planted setup header fmt clean help

all: $(STAMP) ## build the libraries and the header into dist/
	scripts/build-lib.sh $(DIST) release
	@ls -l $(DIST) $(DIST)/include

debug: $(STAMP) ## build the debug library into dist/ as well: see docs/debugging.md
	scripts/build-lib.sh $(DIST) debug

demo: all ## the main job on real input: a static array, then python, git, sqlite and gcc on memoman
	scripts/demo.sh $(DIST)

check: $(STAMP) ## every test: Rust, C plain and under sanitizers, the shim, the artefacts, real programs
	scripts/check.sh

check-32: $(STAMP) ## core tests and C suite on 32-bit x86 (installs Debian's rustc-web and gcc-multilib)
	scripts/other-targets.sh setup i686
	scripts/other-targets.sh check i686

check-arm: $(STAMP) ## core tests and C suite on 32-bit ARM under qemu (installs cross tools and qemu-user)
	scripts/other-targets.sh setup arm
	scripts/other-targets.sh check arm

rtsan: all ## the handle API's hot calls under RealtimeSanitizer: nothing in them may block
	scripts/realtime.sh $(DIST)

symbolic: all ## symbolic execution of the shipped library (installs angr into target/symbolic)
	scripts/symbolic.sh $(DIST)

setup: ## install what is missing (Debian; needs Rust already)
	scripts/setup.sh
	@mkdir -p $(dir $(STAMP)) && touch $(STAMP)

# Once for a checkout, and again when the list of packages changes.
$(STAMP): scripts/setup.sh
	@$(MAKE) --no-print-directory setup

include benches/targets.mk
include packaging/targets.mk
include scripts/verify.mk
include scripts/real-programs/targets.mk
include examples/targets.mk
include docs/targets.mk

header: $(STAMP) ## write include/memoman.h anew from src/ffi
	touch build.rs
	MEMOMAN_HEADER=write cargo build --quiet --package memoman

coverage: $(STAMP) ## line coverage of the core by its own tests: fails below 98 %
	scripts/coverage.sh

planted: $(STAMP) ## the tests must fail on each bug of a list, planted one at a time
	scripts/planted-bugs.sh

mutants: $(STAMP) ## mutation testing of core and global: at least 95 % must die (about two hours; brings cargo-mutants)
	scripts/mutants.sh

fmt: ## format all Rust code
	cargo fmt --all

.PHONY: fuzz soak
fuzz: $(STAMP) ## SECONDS=n: coverage-guided fuzzing of handle API, validators, shim, environment parser
	scripts/fuzz.sh run $(or $(SECONDS),60)

soak: $(STAMP) ## SECONDS=n [OPS=n] [SEED=n] [SAN=asan]: random traffic with live figures, until time or operations are over
	SOAK_SECONDS=$(or $(SECONDS),60) OPS=$(OPS) SEED=$(SEED) SAN=$(SAN) FRONT=$(FRONT) scripts/soak.sh

clean: ## remove everything that was built
	cargo clean
	rm -rf $(DIST)

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-15s %s\n", $$1, $$2}'
