#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A million tiny requests that nobody may make, and who makes them again over new connections: each
# is refused, none is held against others, and the server's memory stays where it was.
. "$ST_SOURCE/tests/functions.sh"
simulator=$ST_BUILD/tests/bench/fleet/fleet-simulator
archive_program=$(dirname "$ST_SYSTRACKER")/systracker-archive
[ -x "$simulator" ] || skip "the simulator is not built: make check-real does"

free_ports
port=$ports
archive=$scratch/archive
"$archive_program" init "$archive" --name 127.0.0.1 >/dev/null
join=$("$archive_program" token "$archive" add --url "https://127.0.0.1:$port")
"$archive_program" serve "$archive" --user "$(id -un)" --listen "127.0.0.1:$port" --log none \
  2>"$scratch/serve.log" &
server=$!
at_end "kill $server 2>/dev/null || :"
answers()
{
  kill -0 "$server" || fail "the server ended: $(cat "$scratch/serve.log")"
  "$simulator" get "$join" 1 /health >/dev/null 2>&1
}
soon answers || fail "the server does not answer"
# memory: what is resident, and was at most, in KiB.
memory() { awk '/^Vm(RSS|HWM):/ { if ($2 > most) most = $2 } END { print most + 0 }' "/proc/$server/status"; }
# flood COUNT STATUS TARGET [HEADER]: all are answered so.
flood()
{
  "$simulator" --threads 4 --status "$2" ${4:+--header "$4"} get "$join" "$1" "$3" \
    >"$scratch/told" 2>&1 || fail "$3: $(cat "$scratch/told")"
  [ "$(sed 's/.*"requests":\([0-9]*\).*/\1/' "$scratch/told")" -eq "$1" ] ||
    fail "$3: $(cat "$scratch/told")"
}

nobody=$(printf '%032d' 0)
stolen='Authorization: Bearer 0123456789012345678901234567890123456789012345678901234'
flood 1000 404 "/v1/hosts/$nobody/never"
before=$(memory)
flood 400000 404 "/v1/nothing"
flood 300000 401 "/v1/hosts/$nobody/chain" "$stolen"
flood 300000 401 "/v1/hosts/$nobody/key"
after=$(memory)
echo "memory: $before KiB before a million requests, $after at most until after them"
[ "$after" -lt $((before + 32768)) ] || fail "memory: $before KiB, then $after"

# Who is let in is still answered, and the end is a clean one.
"$simulator" get "$join" 1 /health >/dev/null || fail "nobody is answered any more"
token=$("$archive_program" token "$archive" add --api viewer)
"$simulator" --header "Authorization: Bearer $token" get "$join" 100 /v1/hosts >/dev/null ||
  fail "who may ask is not answered"
kill "$server"
wait "$server" || fail "the server ended with $?: $(cat "$scratch/serve.log")"
"$archive_program" verify "$archive" >"$scratch/verify" || fail "not sound: $(cat "$scratch/verify")"
