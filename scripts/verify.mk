# The long forms of the proofs. `make check` holds the quick ones.
.PHONY: verify verify-models

verify: all ## the long forms of every check, hours in all; ONLY="soak symbolic" for some: scripts/verify.sh --list
	ONLY="$(ONLY)" scripts/verify.sh

verify-models: $(STAMP) ## the models' long forms: every sequence in small heaps of one and of two pools, 20,000 long random programs
	MEMOMAN_EXHAUST_BYTES=416 MEMOMAN_EXHAUST_RAW=5 cargo test --release -p memoman-core --test exhaustion one_small_pool -- --nocapture
	MEMOMAN_EXHAUST_BYTES=416 cargo test --release -p memoman-core --test exhaustion two_small_pools -- --nocapture
	PROPTEST_CASES=20000 cargo test --release -p memoman-core --test model -- --nocapture
