# Examples in their hosts, each in a folder of examples/.

.PHONY: check-embedded

check-embedded: $(STAMP) ## memoman without an operating system: firmware in QEMU, its size, a FreeRTOS heap, 32-bit x86 (installs tools)
	scripts/other-targets.sh setup cortex-m3
	scripts/other-targets.sh setup i686
	scripts/embedded.sh
