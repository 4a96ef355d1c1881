# SPDX-License-Identifier: GPL-2.0-or-later
# `make bench`: built and run on demand alone.  Its variables stand at the top of bench.sh.
bench_helpers = \
	tests/bench/corpus \
	tests/bench/dpkg-floor \
	tests/bench/dpkg-read \
	tests/bench/floor \
	tests/bench/measure \
	tests/bench/report
EXTRA_PROGRAMS += $(bench_helpers)
CLEANFILES += $(bench_helpers)
tests_bench_corpus_SOURCES = tests/bench/corpus.c
tests_bench_corpus_LDADD = libsystracker.la
tests_bench_dpkg_floor_SOURCES = tests/bench/dpkg-floor.c
tests_bench_dpkg_read_SOURCES = tests/bench/dpkg-read.c \
	$(plugins_dpkg_track_dpkg_track_la_SOURCES)
tests_bench_dpkg_read_CFLAGS = $(AM_CFLAGS) $(GCRYPT_CFLAGS) $(LIBARCHIVE_CFLAGS)
tests_bench_dpkg_read_LDADD = $(GCRYPT_LIBS) -ldl -lpthread
tests_bench_floor_SOURCES = tests/bench/floor.c
tests_bench_floor_LDADD = libsystracker.la
tests_bench_measure_SOURCES = tests/bench/measure.c
tests_bench_measure_LDADD = libsystracker.la
tests_bench_report_SOURCES = tests/bench/report.c
tests_bench_report_LDADD = libsystracker.la -lm

EXTRA_DIST += tests/bench/bench.sh tests/bench/corpora.sh tests/bench/peers.sh \
	tests/bench/rows.sh doc/performance.md

.PHONY: bench bench-peers
bench: stage-tree $(bench_helpers)
	@BENCH_PROGRAMS='$(abs_builddir)/tests/bench'; export BENCH_PROGRAMS; \
	$(AM_TESTS_ENVIRONMENT) /bin/sh '$(top_srcdir)/tests/bench/bench.sh'

# What SysTracker is compared with; bootstrap installed it.
bench-peers:
	@:
