#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A server prunes its hosts at the time that the archive's policy says, while it runs; what a killed
# server's index did not learn, the next one does.
. "$ST_SOURCE/tests/functions.sh"
need_program jq

archive=$scratch/archive
program=${ST_SYSTRACKER%/*}/systracker-archive
make_root
make_config
expect_status 0 "$program" init "$archive"
n=1
while [ $n -le 6 ]; do
  echo "revision $n" >"$root/etc/app/app.conf"
  expect_status 0 systracker checkpoint
  expect_status 0 systracker sync "$archive"
  n=$((n + 1))
done
serve()
{
  : >"$scratch/log"
  "$program" serve "$archive" --user "$(id -un)" --listen 127.0.0.1:0 --log stderr 2>"$scratch/log" &
  server=$!
  at_end "kill -9 $server 2>/dev/null; wait"
  soon grep -q 'listening on' "$scratch/log" || { cat "$scratch/log"; fail "the server did not start"; }
}

# In a minute at least, by when it runs.
expect_status 0 "$program" --quiet policy "$archive" --keep-last 2 --prune-at "$(date -d '+120 seconds' +%H:%M)"
expect_status 0 "$program" prune "$archive" --dry-run
contains "$out" '^3 checkpoints would be pruned'
serve
[ -s "$archive/fleet.db" ] || fail "the server has no index"
for _ in $(seq 600); do
  "$program" prune "$archive" --dry-run >"$out"
  ! grep -q '^0 checkpoints' "$out" || break
  sleep 1
done
contains "$out" '^0 checkpoints would be pruned'
kill -0 $server || fail "the server ended"
soon grep -q 'hosts were pruned' "$scratch/log" || fail "the log does not say so"

# Killed; pruned meanwhile; served again.
kill -9 $server
wait $server || :
expect_status 0 "$program" prune "$archive" --keep-last 1
serve
kill $server
wait $server || fail "the server did not end as it should"
expect_status 0 "$program" verify "$archive"
contains "$out" 'nothing is damaged'
