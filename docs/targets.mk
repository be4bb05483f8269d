# The documentation as a site.

.PHONY: docs docs-write check-docs

docs: all ## the documentation as a site in target/book (builds mdBook the first time), its code run, its links checked
	scripts/docs.sh setup
	scripts/docs.sh check
	scripts/docs.sh build

docs-write: all ## write the generated parts of the documentation anew: reference of memoman.h, tables of sizes
	scripts/docs.sh write

check-docs: all ## every code block of the documentation compiled or run, links, generated parts
	scripts/docs.sh check

.PHONY: release-check
release-check: all ## execute the checklist of docs/release.md
	scripts/docs.sh setup
	scripts/other-targets.sh setup cortex-m3
	scripts/other-targets.sh setup i686
	scripts/release-check.sh
