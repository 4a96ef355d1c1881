#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# mandoc over every man page.
. "$ST_SOURCE/tests/functions.sh"
need_program mandoc
find "$ST_MANDIR" -type f >"$scratch/pages"
[ -s "$scratch/pages" ] || fail "no man pages are installed"
xargs mandoc -T lint -W warning <"$scratch/pages"
