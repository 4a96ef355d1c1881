#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# make quickstart's script does all it says.
. "$ST_SOURCE/tests/functions.sh"
expect_status 0 /bin/sh "$ST_SOURCE/tests/quickstart.sh"
contains "$out" '^\+127\.0\.0\.2 build$' 'mode 0644 → 0600' 'D /etc/profile' 'nothing changed' 'Read on'
