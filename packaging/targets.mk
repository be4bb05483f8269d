# Installation and packages. PREFIX=/usr/local, DESTDIR=, and LIBDIR, INCLUDEDIR, MANDIR, DOCDIR where they are special.
.PHONY: install uninstall deb abi check-install setup-install

PREFIX ?= /usr/local
INSTALL = DIST='$(DIST)' PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' LIBDIR='$(LIBDIR)' INCLUDEDIR='$(INCLUDEDIR)' \
	MANDIR='$(MANDIR)' DOCDIR='$(DOCDIR)' packaging/install.sh

# Nothing is built here when it is there: `make` as yourself, `sudo make install` as root.
$(DIST)/libmemoman.so.0:
	@$(MAKE) --no-print-directory all

install: $(DIST)/libmemoman.so.0 ## PREFIX=/usr/local DESTDIR=: libraries, headers, pkg-config, CMake, man pages; debug libraries if built
	@$(INSTALL) install

uninstall: ## remove what `make install` with the same PREFIX and DESTDIR has installed
	@$(INSTALL) uninstall

setup-install: ## install what packages and their tests need: debhelper, cmake, abigail-tools, mandoc, man-db
	@scripts/setup-install.sh

deb: setup-install $(DIST)/libmemoman.so.0 ## Debian packages into target/deb: libmemoman0, libmemoman-dev, memoman-preload
	@DIST='$(DIST)' packaging/deb.sh

abi: setup-install ## record the header's ABI anew (packaging/abi): after functions were added
	@packaging/abi.sh record

check-install: setup-install all ## the headers under every compiler and standard, `make install`, the packages with lintian
	@scripts/check-headers.sh $(DIST) full
	@scripts/check-install.sh $(DIST) full
