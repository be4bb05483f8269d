# memoman's front door. `make help` lists the commands.
SHELL := /bin/bash
.DEFAULT_GOAL := all
DIST := dist
STAMP := target/.setup-done

.PHONY: all demo check setup header fmt clean help

all: $(STAMP) ## build the libraries and the header into dist/
	scripts/build-lib.sh $(DIST) release
	@ls -l $(DIST) $(DIST)/include

demo: all ## the main job on real input: a static array, then python, git, sqlite and gcc on memoman
	scripts/demo.sh $(DIST)

check: $(STAMP) ## every test: Rust, C plain and under sanitizers, the shim, the artefacts, real programs
	scripts/check.sh

setup: ## install what is missing (Debian; needs Rust already)
	scripts/setup.sh
	@mkdir -p $(dir $(STAMP)) && touch $(STAMP)

# Once for a checkout, and again when the list of packages changes.
$(STAMP): scripts/setup.sh
	@$(MAKE) --no-print-directory setup

include benches/targets.mk

header: $(STAMP) ## write include/memoman.h anew from src/ffi
	touch build.rs
	MEMOMAN_HEADER=write cargo build --quiet --package memoman

fmt: ## format all Rust code
	cargo fmt --all

clean: ## remove everything that was built
	cargo clean
	rm -rf $(DIST)

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-8s %s\n", $$1, $$2}'
