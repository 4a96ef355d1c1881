# SPDX-License-Identifier: GPL-2.0-or-later
plugin_LTLIBRARIES += \
	plugins/standard_track/standard_track.la \
	plugins/checksum_track/checksum_track.la \
	plugins/config_track/config_track.la \
	plugins/dpkg_track/dpkg_track.la \
	plugins/command_track/command_track.la

EXTRA_DIST += plugins/plugin.syms

dist_man_MANS += \
	plugins/standard_track/systracker-standard_track.8 \
	plugins/checksum_track/systracker-checksum_track.8 \
	plugins/config_track/systracker-config_track.8 \
	plugins/dpkg_track/systracker-dpkg_track.8 \
	plugins/command_track/systracker-command_track.8

plugins_standard_track_standard_track_la_SOURCES = \
	plugins/standard_track/standard_track.c plugins/entries.h plugins/values.h
plugins_standard_track_standard_track_la_LDFLAGS = $(PLUGIN_LDFLAGS)

plugins_checksum_track_checksum_track_la_SOURCES = \
	plugins/checksum_track/checksum_track.c plugins/entries.h plugins/values.h
plugins_checksum_track_checksum_track_la_LDFLAGS = $(PLUGIN_LDFLAGS)

plugins_config_track_config_track_la_SOURCES = plugins/config_track/config_track.c plugins/values.h
plugins_config_track_config_track_la_LDFLAGS = $(PLUGIN_LDFLAGS)

plugins_dpkg_track_dpkg_track_la_SOURCES = \
	plugins/dpkg_track/dpkg_track.c plugins/dpkg_track/tables.h \
	plugins/dpkg_track/action.c plugins/dpkg_track/action.h plugins/dpkg_track/apply.c \
	plugins/dpkg_track/alternatives.c plugins/dpkg_track/alternatives.h \
	plugins/dpkg_track/accounts.c plugins/dpkg_track/accounts.h \
	plugins/dpkg_track/database.c plugins/dpkg_track/database.h \
	plugins/dpkg_track/debfile.c plugins/dpkg_track/debfile.h \
	plugins/dpkg_track/diverted.c plugins/dpkg_track/diverted.h \
	plugins/dpkg_track/diversions.c plugins/dpkg_track/diversions.h plugins/dpkg_track/lines.h \
	plugins/dpkg_track/expected.c plugins/dpkg_track/expected.h plugins/dpkg_track/making.h \
	plugins/dpkg_track/fingerprint.c plugins/dpkg_track/fingerprint.h \
	plugins/dpkg_track/filters.c plugins/dpkg_track/filters.h \
	plugins/dpkg_track/listing.c plugins/dpkg_track/listing.h \
	plugins/dpkg_track/lots.c plugins/dpkg_track/lots.h \
	plugins/dpkg_track/manifest.c plugins/dpkg_track/manifest.h \
	plugins/dpkg_track/observed.c plugins/dpkg_track/packaged.c \
	plugins/dpkg_track/places.c plugins/dpkg_track/places.h \
	plugins/dpkg_track/plan.c plugins/dpkg_track/plan.h \
	plugins/dpkg_track/statoverrides.c plugins/dpkg_track/statoverrides.h \
	plugins/dpkg_track/status.c plugins/dpkg_track/status.h \
	plugins/dpkg_track/unpacked.c plugins/dpkg_track/unpacked.h \
	plugins/dpkg_track/view.c plugins/dpkg_track/view.h \
	plugins/dpkg_track/words.c plugins/dpkg_track/words.h plugins/deviations.h plugins/entries.h \
	plugins/processors.h plugins/values.h systracker/base/libarchive.c systracker/base/libarchive.h
plugins_dpkg_track_dpkg_track_la_LDFLAGS = $(PLUGIN_LDFLAGS)
plugins_dpkg_track_dpkg_track_la_CFLAGS = $(AM_CFLAGS) $(GCRYPT_CFLAGS) $(LIBARCHIVE_CFLAGS)
plugins_dpkg_track_dpkg_track_la_LIBADD = $(GCRYPT_LIBS) -ldl -lpthread

plugins_command_track_command_track_la_SOURCES = \
	plugins/command_track/command_track.c \
	plugins/command_track/words.c plugins/command_track/words.h plugins/values.h
plugins_command_track_command_track_la_LDFLAGS = $(PLUGIN_LDFLAGS)

# Nobody links with a plug-in, so libtool's archives of them are not wanted beside them.  The hooks
# have prerequisites only, so that other folders may add theirs.
install-data-hook: drop-plugin-archives
drop-plugin-archives:
	cd '$(DESTDIR)$(plugindir)' && rm -f $(notdir $(plugin_LTLIBRARIES))

uninstall-hook: remove-plugins
remove-plugins:
	cd '$(DESTDIR)$(plugindir)' 2>/dev/null || exit 0; \
	rm -f $(patsubst %.la,%.so,$(notdir $(plugin_LTLIBRARIES)))
	rm -f '$(DESTDIR)$(rpmplugindir)/systracker.so'
.PHONY: drop-plugin-archives remove-plugins

# For tests/test-plugin-abi.sh.
EXTRA_DIST += tests/example-plugin/hello_track.c tests/fixtures/abi1-x86_64/hello_track.so

# A test links the plug-in's own sources and a host that only writes down what it is told.
if HAVE_CMOCKA
PLUGIN_TESTS = \
	plugins/standard_track/test-standard_track \
	plugins/checksum_track/test-checksum_track \
	plugins/config_track/test-config_track \
	plugins/dpkg_track/test-status \
	plugins/dpkg_track/test-state \
	plugins/dpkg_track/test-deviations \
	plugins/dpkg_track/test-expected \
	plugins/dpkg_track/test-dpkg_track \
	plugins/command_track/test-command_track
check_PROGRAMS += $(PLUGIN_TESTS)
TESTS += $(PLUGIN_TESTS)
TEST_HOST = plugins/test-host.c plugins/test-host.h
TEST_PROVER = plugins/test-prover.c

plugins_standard_track_test_standard_track_SOURCES = \
	plugins/standard_track/test-standard_track.c \
	$(plugins_standard_track_standard_track_la_SOURCES) $(TEST_HOST)
plugins_standard_track_test_standard_track_CFLAGS = $(UNIT_CFLAGS)
plugins_standard_track_test_standard_track_LDADD = $(CMOCKA_LIBS)

plugins_checksum_track_test_checksum_track_SOURCES = \
	plugins/checksum_track/test-checksum_track.c \
	$(plugins_checksum_track_checksum_track_la_SOURCES) $(TEST_HOST)
plugins_checksum_track_test_checksum_track_CFLAGS = $(UNIT_CFLAGS)
plugins_checksum_track_test_checksum_track_LDADD = $(CMOCKA_LIBS)

plugins_config_track_test_config_track_SOURCES = \
	plugins/config_track/test-config_track.c \
	$(plugins_config_track_config_track_la_SOURCES) $(TEST_HOST)
plugins_config_track_test_config_track_CFLAGS = $(UNIT_CFLAGS)
plugins_config_track_test_config_track_LDADD = $(CMOCKA_LIBS)

plugins_dpkg_track_test_status_SOURCES = \
	plugins/dpkg_track/test-status.c \
	$(plugins_dpkg_track_dpkg_track_la_SOURCES) $(TEST_HOST) $(TEST_PROVER)
plugins_dpkg_track_test_status_CFLAGS = $(UNIT_CFLAGS)
plugins_dpkg_track_test_status_LDADD = $(CMOCKA_LIBS) $(GCRYPT_LIBS) -ldl -lpthread

plugins_dpkg_track_test_state_SOURCES = \
	plugins/dpkg_track/test-state.c \
	$(plugins_dpkg_track_dpkg_track_la_SOURCES) $(TEST_HOST) $(TEST_PROVER)
plugins_dpkg_track_test_state_CFLAGS = $(UNIT_CFLAGS)
plugins_dpkg_track_test_state_LDADD = $(CMOCKA_LIBS) $(GCRYPT_LIBS) -ldl -lpthread

plugins_dpkg_track_test_dpkg_track_SOURCES = \
	plugins/dpkg_track/test-dpkg_track.c plugins/dpkg_track/test-root.h \
	$(plugins_dpkg_track_dpkg_track_la_SOURCES) $(TEST_HOST) $(TEST_PROVER)
plugins_dpkg_track_test_dpkg_track_CFLAGS = $(UNIT_CFLAGS)
plugins_dpkg_track_test_dpkg_track_LDADD = $(CMOCKA_LIBS) $(GCRYPT_LIBS) -ldl -lpthread

plugins_dpkg_track_test_deviations_SOURCES = \
	plugins/dpkg_track/test-deviations.c plugins/dpkg_track/test-root.h \
	$(plugins_dpkg_track_dpkg_track_la_SOURCES) $(TEST_HOST) $(TEST_PROVER)
plugins_dpkg_track_test_deviations_CFLAGS = $(UNIT_CFLAGS)
plugins_dpkg_track_test_deviations_LDADD = $(CMOCKA_LIBS) $(GCRYPT_LIBS) -ldl -lpthread

plugins_dpkg_track_test_expected_SOURCES = \
	plugins/dpkg_track/test-expected.c plugins/dpkg_track/test-root.h \
	$(plugins_dpkg_track_dpkg_track_la_SOURCES) $(TEST_HOST) $(TEST_PROVER)
plugins_dpkg_track_test_expected_CFLAGS = $(UNIT_CFLAGS) $(LIBARCHIVE_CFLAGS)
plugins_dpkg_track_test_expected_LDADD = $(CMOCKA_LIBS) $(GCRYPT_LIBS) $(LIBARCHIVE_LIBS) -ldl -lpthread

plugins_command_track_test_command_track_SOURCES = \
	plugins/command_track/test-command_track.c \
	$(plugins_command_track_command_track_la_SOURCES) $(TEST_HOST)
plugins_command_track_test_command_track_CFLAGS = $(UNIT_CFLAGS)
plugins_command_track_test_command_track_LDADD = $(CMOCKA_LIBS)
endif

# What apt runs.  Its configuration is turned on by a link, not by being installed.
program_PROGRAMS += plugins/dpkg_track/systracker-apt-hook
plugins_dpkg_track_systracker_apt_hook_SOURCES = plugins/dpkg_track/apt-hook.c
plugins_dpkg_track_systracker_apt_hook_LDADD = libsystracker.la
plugins_dpkg_track_systracker_apt_hook_LDFLAGS = $(HOST_LINK)
aptexampledir = $(datadir)/systracker/apt
aptexample_DATA = plugins/dpkg_track/generated/80systracker
CLEANFILES += $(aptexample_DATA)
EXTRA_DIST += plugins/dpkg_track/80systracker.in
plugins/dpkg_track/generated/80systracker: plugins/dpkg_track/80systracker.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's|@datadir[@]|$(datadir)|g' \
		-e 's|@programdir[@]|$(programdir)|g' $(srcdir)/plugins/dpkg_track/80systracker.in >$@.tmp && \
		mv $@.tmp $@

# What rpm itself loads, without the sanitizers that rpm is built without; what that starts; and the
# macro that turns it on, by a link, not by being installed.
rpmplugin_LTLIBRARIES = plugins/rpm_track/hook/systracker.la
plugins_rpm_track_hook_systracker_la_SOURCES = \
	plugins/rpm_track/hook/plugin.c plugins/rpm_track/hook/messages.h
plugins_rpm_track_hook_systracker_la_CFLAGS = -std=gnu17 -fvisibility=hidden $(WARN_CFLAGS) \
	$(RPM_CFLAGS)
plugins_rpm_track_hook_systracker_la_LIBADD = $(RPM_LIBS)
plugins_rpm_track_hook_systracker_la_LDFLAGS = -module -avoid-version -shared
program_PROGRAMS += plugins/rpm_track/hook/systracker-rpm-hook
plugins_rpm_track_hook_systracker_rpm_hook_SOURCES = \
	plugins/rpm_track/hook/hook.c plugins/rpm_track/hook/messages.h
plugins_rpm_track_hook_systracker_rpm_hook_LDADD = libsystracker.la
plugins_rpm_track_hook_systracker_rpm_hook_LDFLAGS = $(HOST_LINK)
rpmexampledir = $(datadir)/systracker/rpm
rpmexample_DATA = plugins/rpm_track/generated/macros.systracker
CLEANFILES += $(rpmexample_DATA)
EXTRA_DIST += plugins/rpm_track/hook/macros.systracker.in
plugins/rpm_track/generated/macros.systracker: plugins/rpm_track/hook/macros.systracker.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's|@datadir[@]|$(datadir)|g' \
		$(srcdir)/plugins/rpm_track/hook/macros.systracker.in >$@.tmp && mv $@.tmp $@

include $(top_srcdir)/plugins/rpm_track/local.mk
