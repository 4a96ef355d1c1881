#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A server that is killed at any moment while hosts push: what it acknowledged is there, the archive is sound,
# and the hosts come to their end with the next one.  KILLS=N: how often (20).
. "$ST_SOURCE/tests/functions.sh"
need_program curl
need_program jq
. "$ST_SOURCE/tests/served.sh"

free_ports
port=$ports
url=https://127.0.0.1:$port
systracker_archive init "$archive" --name 127.0.0.1 >/dev/null
join=$(systracker_archive --json token "$archive" add --url "$url" | jq -r .join)
server=
stop()
{
  [ -n "$server" ] || return 0
  kill -9 "$server" 2>/dev/null || :
  wait "$server" 2>/dev/null || :
}
at_end stop
serve()
{
  "${ST_SYSTRACKER%/*}/systracker-archive" serve "$archive" --user "$(id -un)" --listen "127.0.0.1:$port" \
    --log "$scratch/serve.log" 2>>"$scratch/serve.err" &
  server=$!
}
acknowledged() # STORE: the last checkpoint that a sync said it had sent
{
  sed -n 's/^sent checkpoint.* \([0-9][0-9]*\)\( of .*\)\{0,1\}$/\1/p' "$1/said" 2>/dev/null | tail -n 1
}

for name in one two three; do
  host "$name"
  # Something that takes a while: thousands of small files, one large one, series of revisions.
  seq 2000 | while read -r n; do echo "$name $n" >"$root/etc/app/file-$n"; done
  head -c 3000000 /dev/urandom >"$root/opt/large-$name"
  systracker checkpoint >/dev/null
done
rounds=${KILLS:-20}
for round in $(seq "$rounds"); do
  serve
  pushing=
  for name in one two three; do
    host "$name"
    echo "round $round" >>"$root/etc/app/file-$round"
    systracker checkpoint >/dev/null
    systracker sync --wait 1 "$join" >>"$store/said" 2>>"$store/failed" &
    pushing="$pushing $!"
  done
  dice=$(od -An -N1 -tu1 /dev/urandom | tr -d ' ')
  sleep "$(awk "BEGIN { print $dice / 200 }")"
  stop
  for pid in $pushing; do wait "$pid" || :; done
  expect_status 0 systracker_archive verify "$archive"
  for name in one two three; do
    host "$name"
    said=$(acknowledged "$store")
    [ -n "$said" ] || continue
    has=$(systracker_archive --json log "$archive" "$(id_of "$store")" | head -n 1 | jq -r .checkpoint)
    [ "$has" -ge "$said" ] || fail "round $round: $said was acknowledged to $name, and $has is there"
  done
done
serve
for name in one two three; do
  host "$name"
  expect_status 0 systracker sync --wait 60 "$join"
  expect_status 0 systracker sync --wait 60 "$join"
  here=$(systracker --json log | head -n 1 | jq -r .checkpoint)
  has=$(systracker_archive --json log "$archive" "$(id_of "$store")" | head -n 1 | jq -r .checkpoint)
  [ "$here" = "$has" ] || fail "$name has $here, the archive $has"
done
expect_status 0 systracker_archive gc "$archive"
expect_status 0 systracker_archive verify "$archive"
