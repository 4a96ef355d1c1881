#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# in-scratch.sh TEST: a unit test, whose folders for what it writes lie in one that goes behind it, also
# where it fails, or crashes, on its way.
set -u
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/systracker-unit.XXXXXX") || exit 99
chmod 711 "$TMPDIR" || exit 99 # some tests go on as somebody else
export TMPDIR
trap 'rm -rf --one-file-system "$TMPDIR"' EXIT
trap 'exit 129' HUP INT TERM
"$@"
