# SPDX-License-Identifier: GPL-2.0-or-later
plugin_LTLIBRARIES += plugins/rpm_track/rpm_track.la
dist_man_MANS += plugins/rpm_track/systracker-rpm_track.8
plugins_rpm_track_rpm_track_la_SOURCES = \
	plugins/rpm_track/rpm_track.c plugins/rpm_track/tables.h \
	plugins/rpm_track/database.c plugins/rpm_track/database.h \
	plugins/rpm_track/packages.c plugins/rpm_track/packages.h plugins/rpm_track/rpm/list.h \
	plugins/rpm_track/prove.c plugins/rpm_track/prove.h \
	plugins/rpm_track/words.c plugins/rpm_track/words.h plugins/deviations.h \
	plugins/entries.h plugins/values.h
plugins_rpm_track_rpm_track_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_rpm_track_rpm_track_la_CFLAGS = $(AM_CFLAGS) $(GCRYPT_CFLAGS)
plugins_rpm_track_rpm_track_la_LIBADD = $(GCRYPT_LIBS)

# What has librpm in it.
program_PROGRAMS += plugins/rpm_track/rpm/systracker-rpm
plugins_rpm_track_rpm_systracker_rpm_SOURCES = \
	plugins/rpm_track/rpm/main.c plugins/rpm_track/rpm/verbs.h \
	plugins/rpm_track/rpm/caps.c plugins/rpm_track/rpm/caps.h \
	plugins/rpm_track/rpm/cookie.c plugins/rpm_track/rpm/identify.c \
	plugins/rpm_track/rpm/files.c plugins/rpm_track/rpm/files.h \
	plugins/rpm_track/rpm/leftover.c plugins/rpm_track/rpm/leftover.h \
	plugins/rpm_track/rpm/list.c plugins/rpm_track/rpm/list.h \
	plugins/rpm_track/rpm/paths.c plugins/rpm_track/rpm/paths.h \
	plugins/rpm_track/rpm/repack.c \
	plugins/rpm_track/rpm/readonly.c plugins/rpm_track/rpm/readonly.h \
	plugins/rpm_track/rpm/root.c plugins/rpm_track/rpm/root.h \
	plugins/rpm_track/rpm/transaction.c
plugins_rpm_track_rpm_systracker_rpm_CFLAGS = $(AM_CFLAGS) $(RPM_CFLAGS) $(CAP_CFLAGS)
plugins_rpm_track_rpm_systracker_rpm_LDADD = libsystracker.la $(RPM_LIBS) $(CAP_LIBS)

if HAVE_CMOCKA
RPM_TESTS = plugins/rpm_track/test-packages plugins/rpm_track/test-rpm_track \
	plugins/rpm_track/rpm/test-caps plugins/rpm_track/rpm/test-files \
	plugins/rpm_track/rpm/test-leftover \
	plugins/rpm_track/rpm/test-paths
check_PROGRAMS += $(RPM_TESTS)
TESTS += $(RPM_TESTS)
plugins_rpm_track_test_packages_SOURCES = plugins/rpm_track/test-packages.c \
	$(plugins_rpm_track_rpm_track_la_SOURCES) $(TEST_HOST)
plugins_rpm_track_test_packages_CFLAGS = $(UNIT_CFLAGS)
plugins_rpm_track_test_packages_LDADD = $(CMOCKA_LIBS) $(GCRYPT_LIBS)
plugins_rpm_track_test_rpm_track_SOURCES = plugins/rpm_track/test-rpm_track.c \
	$(plugins_rpm_track_rpm_track_la_SOURCES) $(TEST_HOST)
plugins_rpm_track_test_rpm_track_CFLAGS = $(UNIT_CFLAGS)
plugins_rpm_track_test_rpm_track_LDADD = $(CMOCKA_LIBS) $(GCRYPT_LIBS)
plugins_rpm_track_rpm_test_caps_SOURCES = plugins/rpm_track/rpm/test-caps.c \
	plugins/rpm_track/rpm/caps.c plugins/rpm_track/rpm/caps.h
plugins_rpm_track_rpm_test_caps_CFLAGS = $(UNIT_CFLAGS) $(CAP_CFLAGS)
plugins_rpm_track_rpm_test_caps_LDADD = $(UNIT_LDADD) $(CAP_LIBS)
plugins_rpm_track_rpm_test_files_SOURCES = plugins/rpm_track/rpm/test-files.c \
	plugins/rpm_track/rpm/caps.c plugins/rpm_track/rpm/files.c plugins/rpm_track/rpm/paths.c
plugins_rpm_track_rpm_test_files_CFLAGS = $(UNIT_CFLAGS) $(RPM_CFLAGS) $(CAP_CFLAGS)
plugins_rpm_track_rpm_test_files_LDADD = $(UNIT_LDADD) $(RPM_LIBS) $(CAP_LIBS)
plugins_rpm_track_rpm_test_leftover_SOURCES = plugins/rpm_track/rpm/test-leftover.c \
	plugins/rpm_track/rpm/leftover.c plugins/rpm_track/rpm/leftover.h
plugins_rpm_track_rpm_test_leftover_CFLAGS = $(UNIT_CFLAGS) $(RPM_CFLAGS)
plugins_rpm_track_rpm_test_leftover_LDADD = $(UNIT_LDADD) $(RPM_LIBS)
plugins_rpm_track_rpm_test_paths_SOURCES = plugins/rpm_track/rpm/test-paths.c \
	plugins/rpm_track/rpm/paths.c plugins/rpm_track/rpm/paths.h
plugins_rpm_track_rpm_test_paths_CFLAGS = $(UNIT_CFLAGS)
plugins_rpm_track_rpm_test_paths_LDADD = $(UNIT_LDADD)
endif
