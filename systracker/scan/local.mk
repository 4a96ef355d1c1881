# SPDX-License-Identifier: GPL-2.0-or-later
libsystracker_la_SOURCES += \
	systracker/scan/index.c systracker/scan/index.h \
	systracker/scan/indexfile.c systracker/scan/indexfile.h \
	systracker/scan/mounts.c systracker/scan/mounts.h \
	systracker/scan/pattern.c systracker/scan/pattern.h \
	systracker/scan/readfile.c systracker/scan/readfile.h \
	systracker/scan/rules.c systracker/scan/rules.h \
	systracker/scan/scope.c \
	systracker/scan/walk.c systracker/scan/walk.h

if HAVE_CMOCKA
check_PROGRAMS += systracker/scan/test-rules systracker/scan/test-shipped
systracker_scan_test_rules_SOURCES = systracker/scan/test-rules.c
systracker_scan_test_rules_CFLAGS = $(UNIT_CFLAGS)
systracker_scan_test_rules_LDADD = $(UNIT_LDADD)
systracker_scan_test_shipped_SOURCES = systracker/scan/test-shipped.c
systracker_scan_test_shipped_CFLAGS = $(UNIT_CFLAGS)
systracker_scan_test_shipped_LDADD = $(UNIT_LDADD)
TESTS += systracker/scan/test-rules systracker/scan/test-shipped
endif
