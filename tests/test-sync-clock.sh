#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A host whose clock is off: within 300 s it syncs, also with a server that has just started, for which what seems to be
# signed before that is nothing; beyond them it is told which clock differs, and by how much.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/remote.sh"
need_program jq
need_program curl

clock=$ST_BUILD/tests/.libs/clock.so
[ -e "$clock" ] || fail "the clock was not built"
# at SECONDS COMMAND...: by a clock that is so far ahead.
at()
{
  off=$1
  shift
  env "CLOCK_OFF=$off" "LD_PRELOAD=$clock" ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" "$@"
}
real=$(date +%s)
[ $(($(at 1000 date +%s) - real)) -ge 1000 ] || skip "a program's clock cannot be set here"
# sync SECONDS: signed, as after a day.
sync()
{
  rm -f "$scratch"/store-a/remote/*.json
  at "$1" "$ST_SYSTRACKER" --config "$scratch/config-a" --root "$scratch/root-a" --store "$scratch/store-a" sync "$url/#$digest"
}
on a new_host alpha
start one
expect_status 0 on a systracker sync "$(join one)"
signed_refused() { logged; grep -c '"status":401' "$scratch/one.log" || :; }

# ---- Within 300 seconds, and the server has been there for no time at all ------------------------------------
for seconds in -200 200 -280; do
  stop one
  start one
  expect_status 0 sync "$seconds"
  contains "$out" '^nothing new'
done
[ "$(signed_refused)" -ge 1 ] || fail "no clock was behind the server's start: nothing was tried"
# One that is right is taken at once.
before=$(signed_refused)
expect_status 0 sync 0
[ "$(signed_refused)" -eq "$before" ] || fail "a clock that is right was refused"

# ---- Beyond -------------------------------------------------------------------------------------------------
expect_status 2 sync -4000
contains "$err" 'the clock here is (39|40)[0-9][0-9] seconds behind the server.s' 'set the clock'
expect_status 2 sync 4000
contains "$err" 'the clock here is (39|40)[0-9][0-9] seconds ahead of the server.s'
