# SPDX-License-Identifier: GPL-2.0-or-later
libsystracker_la_SOURCES += \
	systracker/scan/index.c systracker/scan/index.h \
	systracker/scan/indexfile.c systracker/scan/indexfile.h \
	systracker/scan/large.c systracker/scan/large.h \
	systracker/scan/links.c systracker/scan/links.h \
	systracker/scan/list.c systracker/scan/list.h \
	systracker/scan/look.c systracker/scan/look.h \
	systracker/scan/lookat.c \
	systracker/scan/metadata.c systracker/scan/metadata.h \
	systracker/scan/mounts.c systracker/scan/mounts.h \
	systracker/scan/pattern.c systracker/scan/pattern.h \
	systracker/scan/pool.c \
	systracker/scan/readfile.c systracker/scan/readfile.h \
	systracker/scan/rules.c systracker/scan/rules.h \
	systracker/scan/scope.c \
	systracker/scan/tree.c systracker/scan/tree.h \
	systracker/scan/visit.c systracker/scan/visit.h \
	systracker/scan/walk.c systracker/scan/walk.h \
	systracker/scan/written.c systracker/scan/written.h

if HAVE_CMOCKA
scan_tests = systracker/scan/test-index systracker/scan/test-rules systracker/scan/test-shipped \
	systracker/scan/test-walk systracker/scan/test-walk-again systracker/scan/test-walk-large \
	systracker/scan/test-walk-ring
check_PROGRAMS += $(scan_tests)
TESTS += $(scan_tests)
systracker_scan_test_index_SOURCES = systracker/scan/test-index.c
systracker_scan_test_rules_SOURCES = systracker/scan/test-rules.c
systracker_scan_test_shipped_SOURCES = systracker/scan/test-shipped.c
systracker_scan_test_walk_SOURCES = systracker/scan/test-walk.c systracker/scan/test-world.h
systracker_scan_test_walk_again_SOURCES = systracker/scan/test-walk-again.c
systracker_scan_test_walk_large_SOURCES = systracker/scan/test-walk-large.c \
	systracker/scan/test-world.h
# The same, where the ring is so small that all of it is used again and again, on however many processors.
systracker_scan_test_walk_ring_SOURCES = systracker/scan/test-walk.c systracker/scan/test-world.h \
	systracker/scan/large.c systracker/scan/look.c systracker/scan/lookat.c
systracker_scan_test_walk_ring_CPPFLAGS = $(AM_CPPFLAGS) -DST_RING=48 -DST_SOON=5 -DST_MOST_OPEN=24
endif
