#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Hosts send to archives' servers over HTTPS and take from there: who they believe, who lets them in, what is sent again,
# what goes over the wire, and that no token is ever shown.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/remote.sh"
need_program jq
need_program curl
recovery=$scratch/recovery.key

# ---- Who is believed ------------------------------------------------------------------------------
on a new_host alpha
start one
sed -n '/^AGE-/p' "$scratch/one.init" >"$recovery"
join=$(join one)
token=${join##*.}
case $join in "$url/#$digest.j"*) ;; *) fail "a join string: $join" ;; esac

# Another key, no key (this system does not know the authority), and none at all.
other=$(printf 'another key' | sha256sum | cut -c1-64 | xxd -r -p | base64 | tr '+/' '-_' | tr -d '=\n')
expect_status 2 on a systracker sync "$url/#$other.$token"
one_error 'its key is another; nothing was sent' 'new join string'
expect_status 2 on a systracker sync "$url/#.$token"
one_error 'does not trust the server.s certificate' '#DIGEST'
expect_status 1 on a systracker sync "http://127.0.0.1:$port/#$digest.$token"
one_error 'a server, https://HOST:PORT'
lacks "$err" "$digest"
expect_status 2 on a systracker sync "$url/#$digest.j!$token"
one_error 'join string is damaged'
expect_status 1 on a systracker sync --wait 1 "https://127.0.0.1:1/#$digest.$token"
contains "$err" 'cannot sync to https://127.0.0.1:1/: '
[ ! -e "$scratch/store-a/remote" ] || fail "something is known of a server that is none"
[ "$(systracker_archive --json hosts "$archive" | wc -l)" -eq 0 ] || fail "a host was let in"

# ---- Who is let in ----------------------------------------------------------------------------------
expect_status 1 on a systracker sync "$url/#$digest"
contains "$err" 'join string with a token' "$(id_of a)"
expect_status 1 on a systracker sync "$url/#$digest.jAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
expect_status 0 on a systracker sync "$join"
contains "$out" "^sent checkpoint 1 with [0-9]+ objects \(.*\) to $url/\$"
[ "$(stat -c %a "$scratch/store-a/remote" "$scratch"/store-a/remote/*.json | tr '\n' ' ')" = '700 600 ' ] ||
  fail "what is kept of a server can be read by others"
# From then on without the token, and without the session that the server gave.
expect_status 0 on a systracker sync "$url/#$digest"
contains "$out" '^nothing new to send'
jq 'del(.session)' "$scratch"/store-a/remote/*.json >"$scratch/state"
cat "$scratch/state" >"$(echo "$scratch"/store-a/remote/*.json)"
expect_status 0 on a systracker --json sync "$url/#$digest"
contains "$out" "^\{\"archive\":\"$url/\",\"first\":null"

# Without a digest the system's authorities say who is believed, and the name has to be the certificate's.
if [ "$(id -u)" -eq 0 ] && [ -d /etc/ssl/certs ] && unshare -m true 2>/dev/null; then
  mkdir "$scratch/certs"
  cp "$archive/tls.crt" "$scratch/certs/our.pem"
  cp "$archive/tls.crt" "$scratch/certs/ca-certificates.crt"
  # shellcheck disable=SC2016
  trusting() { unshare -m sh -c 'mount --bind "$0" /etc/ssl/certs && exec "$@"' "$scratch/certs" "$ST_SYSTRACKER" \
    --config "$config" --root "$root" --store "$store" "$@"; }
  expect_status 0 on a trusting sync "https://localhost:$port/#.$token"
  contains "$out" '^nothing new to send'
  expect_status 2 on a trusting sync "$url/#.$token"
  contains "$err" 'does not trust the server.s certificate'
else
  echo "left out: the system's authorities, as there are no mount namespaces here"
fi

# By the environment, by a file, by the configuration.
on b new_host beta
echo "$join" >"$scratch/join"
expect_status 0 on b systracker sync --join-file "$scratch/join" "$url"
on c new_host gamma
expect_status 0 env SYSTRACKER_JOIN="${join#*#}" "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" \
  sync "$url"
printf 'archive { url = "%s" }\n' "$join" >>"$scratch/config-a"
chmod 644 "$scratch/config-a"
expect_status 0 on a systracker sync
contains "$err" 'config-a has a token .*chmod 600'
chmod 600 "$scratch/config-a"
expect_status 0 on a systracker sync
lacks "$err" .

# ---- What goes over the wire ----------------------------------------------------------------------
logged
before=$(requests one)
expect_status 0 on a systracker sync
logged
[ "$(requests one)" -eq $((before + 1)) ] || fail "nothing new is more than one request"
echo more >>"$root/opt/own"
on a systracker checkpoint -m 'more' >/dev/null
expect_status 0 on a systracker --json sync
jq -e '.first == 2 and .objects == 1 and .bytes < 2000' "$out" >/dev/null || fail "a small change costs more"

# ---- A server that is killed, and one that lost something ------------------------------------------
stop one KILL
echo and more >>"$root/opt/own"
on a systracker checkpoint >/dev/null
expect_status 1 on a systracker sync --wait 1
start one
expect_status 0 on a systracker sync
contains "$out" '^sent checkpoint 3 '
stop one
expect_status 0 systracker_archive verify "$scratch/one"
pack=$(find "$scratch/one/packs" -name '*.pack' -size +1k | head -n 1)
flip "$pack" "$(($(stat -c %s "$pack") / 2))"
expect_status 2 systracker_archive verify "$scratch/one"
start one
for host in a b c; do expect_status 0 on $host systracker sync "$url/#$digest"; done
stop one
expect_status 0 systracker_archive verify "$scratch/one"

# ---- A host that waits for approval ------------------------------------------------------------------
systracker_archive enrolment "$scratch/one" closed
start one
on d new_host delta
expect_status 1 on d systracker sync "$url/#$digest"
contains "$err" 'not approved this host yet'
systracker_archive approve "$scratch/one" "$(id_of d)" >"$out"
expect_status 0 on d systracker sync "$url/#$digest"

# ---- Set back ---------------------------------------------------------------------------------------
cp -a "$scratch/store-d" "$scratch/back"
echo lost >>"$scratch/root-d/opt/own"
on d systracker checkpoint >/dev/null
expect_status 0 on d systracker sync "$url/#$digest"
rm -rf "$scratch/store-d"
mv "$scratch/back" "$scratch/store-d"
echo other >>"$scratch/root-d/opt/own"
on d systracker checkpoint >/dev/null
expect_status 0 on d systracker sync "$url/#$digest"
contains "$out" 'this store was set back' 'as epoch 1, and epoch 2 begins'
expect_status 0 on d systracker sync "$url/#$digest"
contains "$out" '^nothing new'

# ---- Taken -------------------------------------------------------------------------------------------
# A host reads its own: what is damaged here comes from there.
expect_status 0 on a systracker fetch "$url/#$digest"
contains "$out" "^nothing new to fetch of host $(id_of a)"
expect_status 2 on a systracker fetch "$url/#$digest" --host "$(id_of b)"
one_error 'no such host|may not read it'
lacks "$err" beta

# A new machine with a restore token reads that host alone, once; the token is good for no other machine.
restore=$(join one --restore "$(id_of b)")
on e fresh
expect_status 0 on e systracker fetch "$restore"
contains "$out" "^fetched checkpoint 1 of host $(id_of b) with [0-9]+ objects"
expect_status 0 on e systracker fetch "$url/#$digest"
expect_status 0 systracker_archive verify "$scratch/store-e"
systracker_archive cat "$scratch/store-e" "$(id_of b)" 1 /opt/own | cmp - "$scratch/root-b/opt/own" ||
  fail "what came is not what was sent"
[ -s "$scratch/store-e/hosts/$(id_of b)/key.age" ] || fail "the sealed key did not come"
on f fresh
expect_status 1 on f systracker fetch "$restore"
# By name, an older epoch, and one checkpoint alone.
restore=$(join one --restore "$(id_of d)")
on g fresh
expect_status 0 on g systracker fetch "$restore" --host delta --checkpoint 2
contains "$out" '^it came alone'
expect_status 0 on g systracker fetch "$url/#$digest" --host "$(id_of d)/epoch-1"
contains "$out" "^fetched checkpoints 1 to 2 of host $(id_of d)/epoch-1"
expect_status 0 on g systracker fetch "$url/#$digest" --host delta
expect_status 0 systracker_archive verify "$scratch/store-g"

# ---- Another archive at the same address ----------------------------------------------------------------
stop one
mv "$scratch/one" "$scratch/first"
mv "$scratch/one.init" "$scratch/first.init"
server_at one
cp "$scratch/first/tls.key" "$scratch/first/tls.crt" "$archive/"
start one
expect_status 2 on a systracker sync
contains "$err" 'another archive than before' 'remove remote/[0-9a-f]{32}.json'
stop one
rm -rf "$archive"
mv "$scratch/first" "$archive"
mv "$scratch/first.init" "$scratch/one.init"

# ---- Two servers, one of them down, and everything from the other --------------------------------------
systracker_archive enrolment "$archive" token
start one
start two
second=$(join two)
printf 'archive { url = "%s" }\n' "$second" >>"$scratch/config-a"
echo both >>"$scratch/root-a/opt/own"
on a systracker checkpoint >/dev/null
stop one
expect_status 1 on a systracker sync --wait 1
contains "$err" "cannot sync to https://127.0.0.1:[0-9]+/: "
contains "$out" "^sent checkpoints 1 to [0-9]+ with .* to $url/"
server_at two
expect_status 0 on a systracker --json sync --wait 1 "$url/#$digest"
start one
expect_status 0 on a systracker sync
[ "$(grep -c '^nothing new to send' "$out")" -eq 1 ] || fail "each server has its own state"
stop one
restore=$(join two --restore alpha)
on h fresh
expect_status 0 on h systracker fetch "$restore"
for path in /opt/own /opt/large /opt/shared; do
  systracker_archive cat "$scratch/store-h" "$(id_of a)" latest $path | cmp - "$scratch/root-a$path" ||
    fail "the second server's copy of $path is another"
done
expect_status 0 systracker_archive verify "$scratch/store-h"
# The same in one step, onto a root that has nothing of it.
restore=$(join two --restore alpha)
sed -n '/^AGE-/p' "$scratch/two.init" >"$recovery"
on j fresh
mkdir -p "$root/var/lib"
cp -a "$scratch/root-a/var/lib/dpkg" "$root/var/lib/"
expect_status 0 on j systracker restore --from "$restore" --checkpoint latest --as same --yes --packages=none \
  --recovery-key "$recovery" -- /etc /opt
for path in /opt/own /opt/large /etc/shadow; do
  cmp "$scratch/root-j$path" "$scratch/root-a$path" || fail "restored from a server: $path"
done
expect_status 1 on f systracker restore --from "$restore" --checkpoint latest --as same --yes --packages=none
contains "$err" '403.*restore token'

# ---- No token, and no digest, is ever shown ---------------------------------------------------------------
start one
on i new_host iota
join=$(join one)
token=${join##*.}
systracker --json sync "$join" >"$scratch/shown" 2>&1 || fail "sync"
systracker sync "${join}x" >>"$scratch/shown" 2>&1 || :
systracker --json fetch "$join" --host nobody >>"$scratch/shown" 2>&1 || :
stop one
stop two
! grep -aqF -e "$token" "$scratch/shown" "$scratch/log" "$scratch"/*.log "$scratch"/*.err ||
  fail "a token is in an output or a log"
! grep -aqF -e "$digest" "$scratch/shown" "$scratch/log" "$scratch"/*.log || fail "a digest is in an output or a log"
! grep -raqF -e "$token" "$scratch/store-i" "$scratch/one" "$scratch/two" || fail "a token is kept"
for host in one two; do
  no_secret "$scratch/$host" "$scratch/store-a" "$scratch/root-a/etc/shadow" canary-alpha "$scratch/root-a/opt/shared"
done

# In the list of processes it is gone as soon as the program runs: a server that never answers holds it.
need_program python3
server_at one
python3 -c 'import socket,time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1], flush=True)
kept = s.accept(); print("asked", flush=True); time.sleep(3600)' >"$scratch/deaf" &
deaf=$!
at_end "kill $deaf 2>/dev/null"
soon [ -s "$scratch/deaf" ] || fail "nobody is deaf"
deaf_port=$(head -n 1 "$scratch/deaf")
"$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" sync --wait 1 \
  "https://127.0.0.1:$deaf_port/#$digest.$token" >"$scratch/sync.out" 2>&1 &
sync=$!
at_end "kill $sync 2>/dev/null"
soon grep -q asked "$scratch/deaf" || { cat "$scratch/sync.out"; fail "it asks nobody"; }
echo "$token" >"$scratch/token" # so that it is not among grep's own arguments
seen=
for list in /proc/[0-9]*/cmdline; do
  { tr '\0' ' ' <"$list"; } >"$scratch/line" 2>/dev/null || continue
  grep -aqF "https://127.0.0.1:$deaf_port" "$scratch/line" || continue
  seen=1
  ! grep -aqF -f "$scratch/token" "$scratch/line" || fail "the token is in the list of processes: $list"
done
[ -n "$seen" ] || cat "$scratch/sync.out"
[ -n "$seen" ] || fail "the program was not seen in the list of processes"
kill "$sync" "$deaf" 2>/dev/null || :
