# SPDX-License-Identifier: GPL-2.0-or-later
libsystracker_la_SOURCES += \
	systracker/catalog/catalog.c systracker/catalog/catalog.h \
	systracker/catalog/chain.c \
	systracker/catalog/changeset.c systracker/catalog/changeset.h \
	systracker/catalog/checkpoint.c \
	systracker/catalog/commit.c \
	systracker/catalog/difference.c \
	systracker/catalog/fact.c \
	systracker/catalog/header.c \
	systracker/catalog/internal.h \
	systracker/catalog/manifest.c \
	systracker/catalog/object.c \
	systracker/catalog/row.c \
	systracker/catalog/scan.c \
	systracker/catalog/sql.c \
	systracker/catalog/state.c \
	systracker/catalog/table.c \
	systracker/catalog/verify.c

check_PROGRAMS += systracker/catalog/test-catalog
systracker_catalog_test_catalog_SOURCES = \
	systracker/catalog/test-catalog.c systracker/catalog/test-support.h
systracker_catalog_test_catalog_CFLAGS = $(UNIT_CFLAGS)
systracker_catalog_test_catalog_LDADD = $(UNIT_LDADD)
TESTS += systracker/catalog/test-catalog
