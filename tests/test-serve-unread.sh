#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A host asks for 40 MB of its objects on many connections and reads none of the answers: the server's memory stays as it
# is, no more is made for it than there may be, and another host and, once the connections are gone, the same one get theirs.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/remote.sh"
need_program jq
need_program curl
need_program python3

on a new_host alpha
on a sed -i 's/max_size = "64M"/max_size = "256M"/' "$scratch/config-a"
head -c 40000000 /dev/urandom >"$scratch/root-a/opt/larger"
on a systracker checkpoint >/dev/null
on b new_host beta
start one
expect_status 0 on a systracker sync "$(join one)"
expect_status 0 on b systracker sync "$(join one)"
"$ST_BUILD/tests/host-client" ids "$scratch/store-a" >"$scratch/ids"
[ "$(stat -c %s "$scratch/ids")" -le $((4096 * 33)) ] || fail "these are too many ids for one question"
session_of() { jq -r .session "$scratch/store-$1"/remote/*.json; }
memory() { awk -v name="$1:" '$1 == name { print $2 }' "/proc/$(cat "$scratch/one.pid")/status"; }
# objects HOST: all of them, read; the status.
objects()
{
  curl -sk -o "$scratch/objects" -w '%{http_code}' --data-binary "@$scratch/ids" -H "Authorization: Bearer $(session_of "$1")" \
    "$url/v1/hosts/$(id_of "$1")/objects"
}
cat >"$scratch/deaf.py" <<'END'
import socket, ssl, sys, time
port, host, session, ids = int(sys.argv[1]), sys.argv[2], sys.argv[3], open(sys.argv[4], "rb").read()
context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
kept = []
while len(kept) < 12:
    raw = socket.socket(); raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536); raw.connect(("127.0.0.1", port))
    s = context.wrap_socket(raw)
    s.sendall(f"POST /v1/hosts/{host}/objects HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {session}\r\n"
              f"Content-Length: {len(ids)}\r\n\r\n".encode() + ids)
    head = b""
    while b"\r\n\r\n" not in head:
        more = s.recv(100)
        assert more, head
        head += more
    status, (head, body) = head.split()[1].decode(), head.split(b"\r\n\r\n", 1)
    if status != "200":  # that is short
        length = next(int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length:"))
        while len(body) < length and (more := s.recv(1000)):
            body += more
        if b"still running" in body:  # one at a time is made
            continue
    kept.append(s)
    print(status, flush=True)
print("all", flush=True)
sys.stdin.read()
END

# A package's file is sent from where it lies: whoever reads it slowly takes no room.
large=$(printf large | sha256sum | cut -d ' ' -f 1)
mkdir -p "$archive/packages/$(printf %.2s "$large")"
truncate -s 300M "$archive/packages/$(printf %.2s "$large")/${large}_large_1_all.deb"
printf '%s%s' "$large" "$(printf large_1_all.deb | sha256sum | cut -d ' ' -f 1)" |
  python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' >>"$archive/hosts/$(id_of a)/packages"
mkfifo "$scratch/slow"
curl -sk -o "$scratch/slow" -D "$scratch/slow.head" -H "Authorization: Bearer $(session_of a)" \
  "$url/v1/hosts/$(id_of a)/packages/$large" &
slow=$!
at_end "kill $slow 2>/dev/null"
exec 8<>"$scratch/slow"
soon [ -s "$scratch/slow.head" ] || fail "no package file comes"
contains "$scratch/slow.head" '^HTTP/1.1 200' '^Content-Length: 314572800'
[ "$(objects a)" = 200 ] || fail "who reads a package's file slowly is refused what else there is"
kill "$slow"
wait "$slow" 2>/dev/null || :
exec 8>&-
[ "$(objects a)" = 200 ] || fail "its objects are refused"
[ "$(stat -c %s "$scratch/objects")" -gt 40000000 ] || fail "not all objects came"
before=$(memory VmHWM)
mkfifo "$scratch/wait"
python3 "$scratch/deaf.py" "$port" "$(id_of a)" "$(session_of a)" "$scratch/ids" <"$scratch/wait" >"$scratch/statuses" &
deaf=$!
at_end "kill $deaf 2>/dev/null"
exec 9>"$scratch/wait"
soon grep -q all "$scratch/statuses" || { cat "$scratch/statuses"; fail "not all were answered"; }
cat "$scratch/statuses"
echo "memory: $before kB before, $(memory VmHWM) kB at most since"
[ $(($(memory VmHWM) - before)) -lt 65536 ] || fail "answers that nobody reads lie in memory"
[ "$(grep -c 200 "$scratch/statuses")" -ge 3 ] || fail "it was refused too early"
[ "$(grep -c 429 "$scratch/statuses")" -ge 7 ] || fail "more was made for who does not read"
[ "$(objects a)" = 429 ] || fail "the bound is not the host's"
contains "$scratch/objects" 'read the answers'
# Nor does it help to sign each request: whose it is, is known behind the head.
"$ST_BUILD/tests/host-client" sign "$scratch/store-a" "$(jq -r .archive "$scratch"/store-a/remote/*.json)" POST \
  "/v1/hosts/$(id_of a)/objects" "$scratch/ids" >"$scratch/signed"
[ "$(curl -sk -K "$scratch/signed" -o "$scratch/objects" -w '%{http_code}' --data-binary "@$scratch/ids" \
  "$url/v1/hosts/$(id_of a)/objects")" = 429 ] || fail "the bound is not that of who signs"
contains "$scratch/objects" 'read the answers'
# The other one is not concerned: of these ids nothing is its own but what both have.
[ "$(objects b)" = 200 ] || fail "another host is kept out"
expect_status 0 on b systracker sync "$url/#$digest"
exec 9>&-
wait "$deaf"
answered() { [ "$(objects a)" = 200 ]; }
soon answered || fail "what was not read counts on"
[ "$(stat -c %s "$scratch/objects")" -gt 40000000 ] || fail "what was not read counts on"
none_left() { [ -z "$(ls "$archive/incoming")" ]; }
soon none_left || fail "files are left in incoming/"

# Who stays and reads nothing is ended: what was made for it does not count for ever.
stop one
start one --timeout 5
expect_status 0 on a systracker sync "$url/#$digest"
rm "$scratch/wait" && mkfifo "$scratch/wait"
python3 "$scratch/deaf.py" "$port" "$(id_of a)" "$(session_of a)" "$scratch/ids" <"$scratch/wait" >"$scratch/statuses" &
deaf=$!
exec 9>"$scratch/wait"
soon grep -q all "$scratch/statuses" || { cat "$scratch/statuses"; fail "not all were answered"; }
soon answered || fail "what nobody reads is kept for who stays"
soon none_left || fail "files are left in incoming/ for who stays"
kill -0 "$deaf" || fail "it did not stay"
exec 9>&-
wait "$deaf"
