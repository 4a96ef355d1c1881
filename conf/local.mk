# SPDX-License-Identifier: GPL-2.0-or-later
libsystracker_la_SOURCES += \
	conf/check.c conf/check.h \
	conf/conf.c conf/conf.h \
	conf/source.c conf/source.h

if HAVE_CMOCKA
check_PROGRAMS += conf/test-conf
conf_test_conf_SOURCES = conf/test-conf.c
conf_test_conf_CFLAGS = $(UNIT_CFLAGS)
conf_test_conf_LDADD = $(UNIT_LDADD)
TESTS += conf/test-conf
endif
