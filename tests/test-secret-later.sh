#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What a host calls a secret only later lies open in its older checkpoints, and in those of an older epoch: the server
# shows it nowhere, neither the content nor a digest, by which it could be guessed.
. "$ST_SOURCE/tests/functions.sh"
need_program curl
need_program jq
. "$ST_SOURCE/tests/served.sh"

pin=/etc/app/pin.conf
systracker_archive init "$archive" >/dev/null
host web
echo 'pin=canary-1' >"$root$pin"
older=$(sha256sum <"$root$pin" | cut -c1-64)
night
cp -a "$store" "$scratch/image"
echo 'pin=canary-2' >"$root$pin"
newer=$(sha256sum <"$root$pin" | cut -c1-64)
night -m 'lost'
# The store is set back: what it sent since lies in an older epoch.
rm -r "$store"
cp -a "$scratch/image" "$store"
night -m 'set back'
one=$(id_of "$store")
host sql
echo 'pin=another' >"$root$pin"
night
two=$(id_of "$store")
start_server
as=$(api_token viewer)

# ask PATH: the answer to $out, its status to $status.
ask()
{
  status=$(curl -sk --max-time 60 -H "Authorization: Bearer $as" -o "$out" -w '%{http_code}' "$url$1") ||
    fail "no answer: $1"
}
ask "/v1/hosts/$one~1/files/2/content?path=$pin"
[ "$status" = 200 ] || fail "what is no secret yet: $status"
contains "$out" canary-2

host web
sed -i "s,^secret \"/etc/shadow,secret \"$pin\" { reason = \"a number\" }\n&," "$config"
night -m 'a secret from now on'
for path in "/v1/hosts/$one~1/files/2/content?path=$pin" "/v1/hosts/$one/files/1/content?path=$pin"; do
  ask "$path"
  [ "$status" = 404 ] || fail "$path: $status"
  contains "$out" secret
done
for path in "/v1/hosts/$one/files/1?path=$pin" "/v1/hosts/$one/history?path=$pin" \
  "/v1/hosts/$one/diff?from=1&to=2" "/v1/hosts/$one/patch?from=1&to=2&path=$pin" \
  "/v1/hosts/$one~1/files/2?path=$pin" "/v1/hosts/$one~1/history?path=$pin" \
  "/v1/hosts/$one~1/diff?from=1&to=2" "/v1/hosts/$one~1/patch?from=1&to=2&path=$pin" \
  "/v1/diff?a=$one:1&b=$two:1" "/v1/diff?a=$two:1&b=$one:1" \
  "/v1/diff?a=$one~1:2&b=$two:1" "/v1/diff?a=$two:1&b=$one~1:2" \
  "/v1/patch?a=$one:1&b=$two:1&path=$pin" "/v1/patch?a=$one~1:2&b=$two:1&path=$pin"; do
  ask "$path"
  [ "$status" = 200 ] || fail "$path: $status"
  contains "$out" "$pin" '"secret":true'
  lacks "$out" canary "$older" "$newer" "$(echo "$older" | cut -c1-16)" "$(echo "$newer" | cut -c1-16)"
done
# Who looks on the spot sees no more.
expect_status 1 systracker_archive cat "$archive" "$one/epoch-1" 2 "$pin"
lacks "$out" canary
