# SPDX-License-Identifier: GPL-2.0-or-later
libsystracker_la_SOURCES += \
	systracker/base/accounts.c systracker/base/accounts.h \
	systracker/base/buffer.c systracker/base/buffer.h \
	systracker/base/cbor.c systracker/base/cbor.h \
	systracker/base/cleanup.h \
	systracker/base/digest.c systracker/base/digest.h \
	systracker/base/error.c systracker/base/error.h \
	systracker/base/escape.c systracker/base/escape.h \
	systracker/base/file.c systracker/base/file.h \
	systracker/base/keys.c systracker/base/keys.h \
	systracker/base/lock.c systracker/base/lock.h \
	systracker/base/log.c systracker/base/log.h \
	systracker/base/meta.c systracker/base/meta.h \
	systracker/base/process.c systracker/base/process.h \
	systracker/base/set.c systracker/base/set.h \
	systracker/base/text.c systracker/base/text.h

# A unit test lies beside what it tests:
#   check_PROGRAMS += systracker/base/test-escape
#   systracker_base_test_escape_SOURCES = systracker/base/test-escape.c
#   systracker_base_test_escape_CFLAGS = $(UNIT_CFLAGS)
#   systracker_base_test_escape_LDADD = $(UNIT_LDADD)
#   TESTS += systracker/base/test-escape
