# SPDX-License-Identifier: GPL-2.0-or-later
# What strangers send, read by what is made to crash on the first wrong step: `make check-fuzz`, in a
# build of its own by clang, as many targets at a time as -j says.  FUZZ_SECONDS: for each target, in
# place of its number of inputs (see run-fuzz).
FUZZ_TARGETS = \
	tests/fuzz/fuzz-changeset \
	tests/fuzz/fuzz-manifest \
	tests/fuzz/fuzz-pack \
	tests/fuzz/fuzz-signature \
	tests/fuzz/fuzz-url \
	tests/fuzz/fuzz-wire

FUZZ_SOURCES = tests/fuzz/fuzz.c tests/fuzz/fuzz.h
FUZZ_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
FUZZ_LINK = $(AM_LDFLAGS) -fsanitize=fuzzer
EXTRA_PROGRAMS += $(FUZZ_TARGETS)
CLEANFILES += $(FUZZ_TARGETS)

tests_fuzz_fuzz_changeset_SOURCES = tests/fuzz/fuzz-changeset.c $(FUZZ_SOURCES)
tests_fuzz_fuzz_changeset_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_changeset_LDADD = libsystracker.la
tests_fuzz_fuzz_manifest_SOURCES = tests/fuzz/fuzz-manifest.c $(FUZZ_SOURCES)
tests_fuzz_fuzz_manifest_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_manifest_LDADD = libsystracker.la
tests_fuzz_fuzz_pack_SOURCES = tests/fuzz/fuzz-pack.c archive-sync/wire.c archive-sync/wire.h \
	$(FUZZ_SOURCES)
tests_fuzz_fuzz_pack_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_pack_LDADD = libsystracker.la
tests_fuzz_fuzz_signature_SOURCES = tests/fuzz/fuzz-signature.c archive-sync/signature.c \
	archive-sync/signature.h $(FUZZ_SOURCES)
tests_fuzz_fuzz_signature_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_signature_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_signature_LDADD = libsystracker.la $(GNUTLS_LIBS)

tests_fuzz_fuzz_url_SOURCES = tests/fuzz/fuzz-url.c archive-sync/serve/url.c \
	archive-sync/serve/url.h $(FUZZ_SOURCES)
tests_fuzz_fuzz_url_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_url_LDADD = libsystracker.la
tests_fuzz_fuzz_wire_SOURCES = tests/fuzz/fuzz-wire.c archive-sync/wire.c archive-sync/wire.h \
	$(FUZZ_SOURCES)
tests_fuzz_fuzz_wire_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_wire_LDADD = libsystracker.la

EXTRA_DIST += tests/fuzz/run-fuzz
fuzz = $(abs_top_srcdir)/build-fuzz
FUZZ_SECONDS =

.PHONY: check-fuzz fuzz-targets $(FUZZ_TARGETS:%=%.run)
fuzz-targets: $(FUZZ_TARGETS)
$(FUZZ_TARGETS:%=%.run): %.run: %
	@sh '$(abs_top_srcdir)/tests/fuzz/run-fuzz' $< $(FUZZ_SECONDS)
check-fuzz:
	@if test -e '$(abs_top_srcdir)/config.status'; then \
		echo 'SKIP: check-fuzz: the source folder is configured in place; run make distclean'; \
	else \
		mkdir -p '$(fuzz)' && cd '$(fuzz)' && \
		{ test -e Makefile || '$(abs_top_srcdir)/configure' --quiet \
			--enable-sanitizers=fuzzer CC=clang CFLAGS='-O1 -g'; } && \
		$(MAKE) $(AM_MAKEFLAGS) -k $(FUZZ_TARGETS:%=%.run) FUZZ_SECONDS='$(FUZZ_SECONDS)'; \
	fi
