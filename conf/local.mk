# SPDX-License-Identifier: GPL-2.0-or-later
libsystracker_la_SOURCES += \
	conf/check.c conf/check.h \
	conf/conf.c conf/conf.h \
	conf/source.c conf/source.h

dist_conf_DATA += conf/systracker.conf
confddir = $(confdir)/conf.d
dist_confd_DATA = conf/conf.d/README

# The nightly checkpoint.  cron and logrotate go by the file's name, so it is made in a folder.
crondir = $(sysconfdir)/cron.d
logrotatedir = $(sysconfdir)/logrotate.d
systemdsystemunit_DATA = conf/generated/systracker.service conf/systracker.timer \
	conf/generated/systracker-archive.service
cron_DATA = conf/generated/cron.d/systracker
logrotate_DATA = conf/generated/logrotate.d/systracker
CLEANFILES += conf/generated/systracker.service conf/generated/systracker-archive.service \
	$(cron_DATA) $(logrotate_DATA)
EXTRA_DIST += conf/systracker.service.in conf/systracker-archive.service.in \
	conf/systracker.timer conf/systracker.cron.in \
	conf/systracker.logrotate

# configure leaves variables within variables, so make has to fill them in.
conf_edit = $(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's|@bindir[@]|$(bindir)|g'

conf/generated/systracker.service: conf/systracker.service.in Makefile
	$(conf_edit) $(srcdir)/conf/systracker.service.in >$@.tmp && mv $@.tmp $@

conf/generated/systracker-archive.service: conf/systracker-archive.service.in Makefile
	$(conf_edit) $(srcdir)/conf/systracker-archive.service.in >$@.tmp && mv $@.tmp $@

conf/generated/cron.d/systracker: conf/systracker.cron.in Makefile
	$(conf_edit) $(srcdir)/conf/systracker.cron.in >$@.tmp && mv $@.tmp $@

conf/generated/logrotate.d/systracker: conf/systracker.logrotate Makefile
	$(conf_edit) $(srcdir)/conf/systracker.logrotate >$@.tmp && mv $@.tmp $@

if HAVE_CMOCKA
check_PROGRAMS += conf/test-conf
conf_test_conf_SOURCES = conf/test-conf.c
TESTS += conf/test-conf
endif
