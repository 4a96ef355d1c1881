# SPDX-License-Identifier: GPL-2.0-or-later
plugin_LTLIBRARIES += \
	plugins/standard_track/standard_track.la \
	plugins/checksum_track/checksum_track.la \
	plugins/config_track/config_track.la \
	plugins/dpkg_track/dpkg_track.la \
	plugins/command_track/command_track.la

EXTRA_DIST += plugins/plugin.syms

plugins_standard_track_standard_track_la_SOURCES = \
	plugins/standard_track/standard_track.c plugins/values.h
plugins_standard_track_standard_track_la_LDFLAGS = $(PLUGIN_LDFLAGS)

plugins_checksum_track_checksum_track_la_SOURCES = \
	plugins/checksum_track/checksum_track.c plugins/values.h
plugins_checksum_track_checksum_track_la_LDFLAGS = $(PLUGIN_LDFLAGS)

plugins_config_track_config_track_la_SOURCES = plugins/config_track/config_track.c plugins/values.h
plugins_config_track_config_track_la_LDFLAGS = $(PLUGIN_LDFLAGS)

plugins_dpkg_track_dpkg_track_la_SOURCES = \
	plugins/dpkg_track/dpkg_track.c \
	plugins/dpkg_track/status.c plugins/dpkg_track/status.h plugins/values.h
plugins_dpkg_track_dpkg_track_la_LDFLAGS = $(PLUGIN_LDFLAGS)

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
.PHONY: drop-plugin-archives remove-plugins

EXTRA_DIST += tests/example-plugin/hello_track.c tests/fixtures/abi1-x86_64/hello_track.so \
	tests/test-plugin-abi.sh
