#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Twenty made-up hosts before the archive's server, by the benchmarks' simulator: each enrols with
# the join token, sends a first checkpoint and five nights; nothing is new then; and the archive is
# sound and has what was sent.
. "$ST_SOURCE/tests/functions.sh"

hosts=20
nights=6
simulator=$ST_BUILD/tests/bench/fleet/fleet-simulator
corpus=$ST_BUILD/tests/bench/corpus
archive_program=$(dirname "$ST_SYSTRACKER")/systracker-archive
if [ ! -x "$simulator" ] || [ ! -x "$corpus" ]; then skip "the simulator is not built: make check-real does"; fi

# ---- What all hosts have -------------------------------------------------------------------------

mkdir -p "$root/etc/fleet"
check_scratch "$root"
: >"$root/etc/BENCH-SCRATCH"
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
echo made-up >"$root/etc/hostname"
cat >"$config" <<'EOF'
log = "none"
min_free = "1M"
plugin standard_track { track = { "/etc" } }
plugin checksum_track { track = { "/etc" } }
plugin config_track { track = { "/etc/fleet/kept", "/etc/hostname" } }
EOF
night=0
while [ "$night" -lt "$nights" ]; do
  "$corpus" fleet "$root/etc/fleet" "$night"
  "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" --quiet checkpoint
  night=$((night + 1))
done

# ---- The server ----------------------------------------------------------------------------------

free_ports
port=$ports
archive=$scratch/archive
"$archive_program" init "$archive" --name 127.0.0.1 >/dev/null
join=$("$archive_program" token "$archive" add --url "https://127.0.0.1:$port")
"$archive_program" serve "$archive" --user "$(id -un)" --listen "127.0.0.1:$port" 2>"$scratch/serve.log" &
server=$!
at_end "kill $server 2>/dev/null || :"
answers()
{
  kill -0 "$server" || fail "the server ended: $(cat "$scratch/serve.log")"
  "$simulator" get "$join" 1 /health >/dev/null 2>&1
}
soon answers || fail "the server does not answer"

simulate()
{
  "$simulator" --template "$store" --state "$scratch/hosts" "$@" >"$scratch/told" ||
    fail "simulator: $*"
}
told() { sed "s/.*\"$1\":\([0-9]*\).*/\1/" "$scratch/told"; }
is() { [ "$(told "$1")" -eq "$2" ] || fail "$1: $(told "$1") instead of $2: $(cat "$scratch/told")"; }

# ---- Enrolled, and the first checkpoint ----------------------------------------------------------

simulate push "$join" "$hosts" 1
is checkpoints "$hosts"
is signatures "$hosts"
# Each sends all that its checkpoint names, as the archive does not tell one what another sent.
is objects "$((hosts * 202))"

# ---- Nights --------------------------------------------------------------------------------------

night=2
while [ "$night" -le "$nights" ]; do
  simulate push "$join" "$hosts" "$night"
  is checkpoints "$hosts"
  is objects "$((hosts * 2))"
  night=$((night + 1))
done

# ---- Nothing new: one request of at most 1 KiB each way ------------------------------------------

simulate poll "$join" "$hosts" "$hosts"
is requests "$hosts"
[ "$(told most_sent)" -le 1024 ] || fail "a question takes $(told most_sent) bytes"
[ "$(told most_received)" -le 1024 ] || fail "an answer takes $(told most_received) bytes"
simulate sign "$join" "$hosts" "$hosts"
is signatures "$hosts"
[ "$(told most_sent)" -le 1024 ] || fail "a signed question takes $(told most_sent) bytes"
[ "$(told most_received)" -le 1024 ] || fail "its answer takes $(told most_received) bytes"

# ---- What is there -------------------------------------------------------------------------------

kill "$server"
wait "$server" || fail "the server ended with $?: $(cat "$scratch/serve.log")"
"$archive_program" verify "$archive" >"$scratch/verify" || fail "not sound: $(cat "$scratch/verify")"
grep -q "checked $hosts chains with $((hosts * nights)) checkpoints" "$scratch/verify" ||
  fail "$(cat "$scratch/verify")"
# 203 contents that all have, with what five nights changed in one; and of each host's own file six.
grep -q " $((202 + nights - 1 + hosts * nights - 1)) objects" "$scratch/verify" ||
  fail "$(cat "$scratch/verify")"
[ "$("$archive_program" hosts "$archive" | grep -c " $nights checkpoints")" -eq "$hosts" ] ||
  fail "hosts: $("$archive_program" hosts "$archive")"
