# SPDX-License-Identifier: GPL-2.0-or-later
# `make bench`: built and run on demand alone.  Its variables stand at the top of bench.sh.
bench_helpers = \
	tests/bench/corpus \
	tests/bench/dpkg-floor \
	tests/bench/dpkg-read \
	tests/bench/fleet/fleet-simulator \
	tests/bench/fleet/http-floor \
	tests/bench/floor \
	tests/bench/hold \
	tests/bench/measure \
	tests/bench/report
EXTRA_PROGRAMS += $(bench_helpers)
CLEANFILES += $(bench_helpers)
tests_bench_corpus_SOURCES = tests/bench/corpus.c
tests_bench_corpus_LDADD = libsystracker.la
tests_bench_dpkg_floor_SOURCES = tests/bench/dpkg-floor.c
tests_bench_dpkg_floor_LDADD =
tests_bench_dpkg_read_SOURCES = tests/bench/dpkg-read.c \
	$(plugins_dpkg_track_dpkg_track_la_SOURCES)
tests_bench_dpkg_read_CFLAGS = $(AM_CFLAGS) $(GCRYPT_CFLAGS) $(LIBARCHIVE_CFLAGS)
tests_bench_dpkg_read_LDADD = $(GCRYPT_LIBS) -ldl -lpthread
tests_bench_fleet_fleet_simulator_SOURCES = \
	tests/bench/fleet/clone.c tests/bench/fleet/clone.h \
	tests/bench/fleet/crew.c tests/bench/fleet/crew.h \
	tests/bench/fleet/fleet-simulator.c \
	tests/bench/fleet/link.c tests/bench/fleet/link.h \
	tests/bench/fleet/talk.c tests/bench/fleet/talk.h \
	tests/bench/fleet/template.c tests/bench/fleet/template.h \
	archive-sync/signature.c archive-sync/signature.h \
	archive-sync/wire.c archive-sync/wire.h
tests_bench_fleet_fleet_simulator_LDADD = libsystracker.la $(GNUTLS_LIBS)
tests_bench_fleet_http_floor_SOURCES = tests/bench/fleet/http-floor.c
tests_bench_fleet_http_floor_LDADD = libsystracker.la $(MHD_LIBS)
tests_bench_floor_SOURCES = tests/bench/floor.c
tests_bench_floor_LDADD = libsystracker.la
tests_bench_hold_SOURCES = tests/bench/hold.c
tests_bench_hold_LDADD = libsystracker.la
tests_bench_measure_SOURCES = tests/bench/measure.c
tests_bench_measure_LDADD = libsystracker.la
tests_bench_report_SOURCES = tests/bench/report.c
tests_bench_report_LDADD = libsystracker.la -lm

EXTRA_DIST += tests/bench/bench.sh tests/bench/corpora.sh tests/bench/fleet.sh tests/bench/peers.sh \
	tests/bench/rows.sh doc/performance.md

.PHONY: bench bench-peers
bench: stage-tree $(bench_helpers)
	@BENCH_PROGRAMS='$(abs_builddir)/tests/bench'; export BENCH_PROGRAMS; \
	$(AM_TESTS_ENVIRONMENT) /bin/sh '$(top_srcdir)/tests/bench/bench.sh'

# What SysTracker is compared with; bootstrap installed it.
bench-peers:
	@:
