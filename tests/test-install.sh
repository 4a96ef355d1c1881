#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What make install gives: a tree that runs where it lies, and names no other place.
. "$ST_SOURCE/tests/functions.sh"

expect_status 0 "$ST_SYSTRACKER" --help
contains "$out" checkpoint restore undo coverage
for name in standard_track checksum_track config_track dpkg_track command_track; do
  [ -n "$(find "$ST_STAGE" -name "$name.so")" ] || fail "not installed: $name.so"
done
[ -e "$ST_INCLUDEDIR/systracker/plugin.h" ] || fail "not installed: systracker/plugin.h"

# The shipped configuration is good, and found beside the program.
expect_status 0 "$ST_SYSTRACKER" check-config
