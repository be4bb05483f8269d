.PHONY: programs
programs: all ## real programs, servers among them: unchanged on the shim? time and memory beside glibc (installs them: 1 GB)
	scripts/setup-programs.sh
	scripts/real-programs/run.py $(if $(REPETITIONS),--repetitions $(REPETITIONS)) $(ONLY)
