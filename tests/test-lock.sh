#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# One writer, any number of readers.
. "$ST_SOURCE/tests/functions.sh"
need_program flock
make_root
make_config
expect_status 0 systracker checkpoint
chmod 600 "$root/etc/hosts"
exec 9>>"$store/lock"
flock 9
for verb in checkpoint 'tag name 1' 'restore --checkpoint 1 --yes'; do
  # shellcheck disable=SC2086
  expect_status 1 systracker $verb
  one_error 'lock|another'
done
expect_status 1 systracker status
expect_status 1 systracker diff
expect_status 0 systracker log
expect_status 0 systracker show 1
expect_status 0 systracker cat 1 /etc/hosts
flock -u 9
expect_status 0 systracker checkpoint
[ "$(sql 'SELECT count(*) FROM checkpoint')" -eq 2 ] || fail "not two checkpoints"

# Two at once: each does its work or is refused; nothing breaks.
systracker checkpoint >"$scratch/out.1" 2>&1 &
first=$!
systracker checkpoint >"$scratch/out.2" 2>&1 &
second=$!
status_1=0 status_2=0
wait "$first" || status_1=$?
wait "$second" || status_2=$?
case $status_1$status_2 in
00 | 01 | 10) ;;
*) fail "two writers ended with $status_1 and $status_2" ;;
esac
expect_status 0 systracker verify
