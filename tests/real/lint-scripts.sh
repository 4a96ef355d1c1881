#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Every script, by shellcheck.
. "$ST_SOURCE/tests/functions.sh"
need_program shellcheck
cd "$ST_SOURCE"
find bootstrap .ci tests plugins conf -type f \( -name '*.sh' -o -name bootstrap -o -path .ci/run -o -name run-fuzz \) |
  sort >"$scratch/scripts"
[ "$(wc -l <"$scratch/scripts")" -ge 10 ] || fail "too few scripts were found"
xargs shellcheck -x -P SCRIPTDIR -P . <"$scratch/scripts"
