# memoman's front door. `make help` lists the commands.
SHELL := /bin/bash
.DEFAULT_GOAL := all
DIST := dist
STAMP := target/.setup-done

.PHONY: all demo check verify-models setup header fmt clean help coverage mutants planted

all: $(STAMP) ## build the libraries and the header into dist/
	scripts/build-lib.sh $(DIST) release
	@ls -l $(DIST) $(DIST)/include

demo: all ## the main job on real input: a static array, then python, git, sqlite and gcc on memoman
	scripts/demo.sh $(DIST)

check: $(STAMP) ## every test: Rust, C plain and under sanitizers, the shim, the artefacts, real programs
	scripts/check.sh

verify-models: $(STAMP) ## the models' long forms: every sequence in 416-byte heaps, 20,000 long random programs
	MEMOMAN_EXHAUST_BYTES=416 MEMOMAN_EXHAUST_RAW=5 cargo test --release -p memoman-core --test exhaustion -- --nocapture --test-threads 1
	PROPTEST_CASES=20000 cargo test --release -p memoman-core --test model -- --nocapture

setup: ## install what is missing (Debian; needs Rust already)
	scripts/setup.sh
	@mkdir -p $(dir $(STAMP)) && touch $(STAMP)

# Once for a checkout, and again when the list of packages changes.
$(STAMP): scripts/setup.sh
	@$(MAKE) --no-print-directory setup

header: $(STAMP) ## write include/memoman.h anew from src/ffi
	touch build.rs
	MEMOMAN_HEADER=write cargo build --quiet --package memoman

coverage: $(STAMP) ## line coverage of the core by its own tests: fails below 98 %
	scripts/coverage.sh

planted: $(STAMP) ## the tests must fail on each bug of a list, planted one at a time
	scripts/planted-bugs.sh

mutants: $(STAMP) ## mutation testing of core and global: at least 95 % must die (about an hour; brings cargo-mutants)
	scripts/mutants.sh

fmt: ## format all Rust code
	cargo fmt --all

clean: ## remove everything that was built
	cargo clean
	rm -rf $(DIST)

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-13s %s\n", $$1, $$2}'
