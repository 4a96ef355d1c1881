#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A plug-in that fails, or is not there any more: its facts stand, and the checkpoint says so.
. "$ST_SOURCE/tests/functions.sh"
make_root
make_config
build_plugin failing
echo 'plugin failing { track = { "/etc/app" } }' >>"$config"
facts() { sql "SELECT count(*) FROM failing_$1 WHERE until IS NULL"; }
ended() { sql "SELECT count(*) FROM failing_$1 WHERE until IS NOT NULL"; }
expect_status 0 systracker checkpoint
entries=$(facts entry)
[ "$entries" -ge 3 ] || fail "the plug-in kept nothing"
[ "$(facts one)" -eq 1 ] || fail "the plug-in kept nothing"

for part in collect entry; do
  echo "$part" >"$root/srv/fail"
  echo "$part" >>"$root/etc/app/app.conf"
  expect_status 1 systracker checkpoint
  contains "$err" failing 'failing as asked'
  [ "$(ended entry) $(ended one)" = '0 0' ] || fail "a fact of the failed plug-in ended"
  expect_status 0 systracker log
  contains "$out" incomplete
done
# What the others saw of the same file is there.
expect_status 0 systracker cat latest /etc/app/app.conf
contains "$out" '^entry$'

# Gone altogether: the same, and its facts still show.
rm "$scratch/plugins/failing.so" "$root/srv/fail"
expect_status 1 systracker checkpoint
contains "$err" failing
[ "$(ended entry) $(ended one)" = '0 0' ] || fail "a fact of the absent plug-in ended"
expect_status 1 systracker diff 1 2
expect_status 0 systracker verify

# Back again: what changed meanwhile is noticed.
build_plugin failing
expect_status 0 systracker checkpoint
[ "$(ended entry)" -eq 1 ] || fail "the change of /etc/app/app.conf was not noticed"

# A file that is gone, which a failed plug-in could not see, is not passed over by a restore.
rm "$scratch/plugins/checksum_track.so" "$root/etc/issue"
expect_status 1 systracker restore --checkpoint 1 --dry-run -- /etc/issue
contains "$out" '^cannot +/etc/issue'
