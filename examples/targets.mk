# Examples in their hosts, each in a folder of examples/.

.PHONY: examples check-embedded

examples: all ## SQLite, Lua, an audio callback, a game's frame, std::pmr, Python on memoman: each prints what it proves
	examples/setup.sh
	examples/run.sh $(DIST)

check-embedded: $(STAMP) ## memoman without an operating system: firmware in QEMU, its size, a FreeRTOS heap, 32-bit x86 (installs tools)
	scripts/other-targets.sh setup cortex-m3
	scripts/other-targets.sh setup i686
	scripts/embedded.sh

.PHONY: check-crates
check-crates: $(STAMP) ## the Rust crates as crates.io and docs.rs would take them: contents, documentation, dry run of publishing
	scripts/rust-crates.sh publish
