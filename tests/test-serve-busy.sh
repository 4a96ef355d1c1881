#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Who asks for too much at once is put off, and nobody else: a host that has a request under way, however it says who it
# is; and a place from which half of all come that may wait for their proof.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/remote.sh"
need_program jq
need_program curl
need_program flock
need_program python3

on a new_host alpha
on b new_host beta
start one
expect_status 0 on a systracker sync "$(join one)"
expect_status 0 on b systracker sync "$(join one)"
: >"$scratch/nothing"
session_of() { jq -r .session "$scratch/store-$1"/remote/*.json; }
# lost HOST FILE [OPTION...]: asks whether anything of the host's is lost, which waits for whoever has the archive's
# lock; the status.
lost()
{
  host=$1 file=$2
  shift 2
  [ $# -gt 0 ] || set -- -H "Authorization: Bearer $(session_of "$host")"
  curl -sk --data-binary "@$scratch/nothing" -o "$file" -w '%{http_code}' "$@" "$url/v1/sync/lost"
}
sign()
{
  "$ST_BUILD/tests/host-client" sign "$scratch/store-$1" "$(jq -r .archive "$scratch/store-$1"/remote/*.json)" POST \
    /v1/sync/lost "$scratch/nothing" >"$scratch/signed"
}
# One request of the host's is always under way from here on, while the lock is held.
keep_asking()
{
  sh -c 'while :; do curl -sk --data-binary "@$1" -o /dev/null -H "Authorization: Bearer $2" "$3/v1/sync/lost"; done' \
    sh "$scratch/nothing" "$(session_of "$1")" "$url" &
  asking=$!
  at_end stop_asking
}
stop_asking()
{
  [ -n "${asking:-}" ] || return 0
  kill "$asking"
  wait "$asking" 2>/dev/null || :
  asking=
}

[ "$(lost a "$scratch/answer")" = 200 ] || { cat "$scratch/answer"; fail "it is refused when nothing is under way"; }
hold "$archive/lock"
keep_asking a
put_off() { [ "$(lost a "$scratch/answer")" = 429 ] && grep -q 'still running' "$scratch/answer"; }
soon put_off || fail "two requests of a host are done at once"
put_off_signed()
{
  sign a
  [ "$(lost a "$scratch/answer" -K "$scratch/signed")" = 429 ] && grep -q 'still running' "$scratch/answer"
}
soon put_off_signed || fail "two requests are done at once for who signs"
# The other host waits for the lock alone, and so does who only claims to be the first.
status=$(lost b "$scratch/answer")
[ "$status" = 503 ] || fail "another host: $status"
! grep -q 'still running' "$scratch/answer" || fail "another host is put off"
sed 's/\(header = "Signature: [^:]*:\)..../\1AAAA/' "$scratch/signed" >"$scratch/forged"
status=$(lost a "$scratch/answer" -K "$scratch/forged")
[ "$status" = 401 ] || fail "who claims to be a host is told what it does: $status"
stop_asking
let_go
done_again() { [ "$(lost a "$scratch/answer")" = 200 ]; }
soon done_again || fail "it stays put off"
stop one

# Behind a proxy, which says where each comes from; one thread does what takes its time, and waits for the lock.
start one --plain --workers 1 --per-address 400
url=http://127.0.0.1:$port
cat >"$scratch/many.py" <<'END'
# many.py PORT SIGNED: so many requests from one place, and then one from another; how they were answered.
import re, socket, sys
port, headers = int(sys.argv[1]), re.findall(r'^header = "(.*)"$', open(sys.argv[2]).read(), re.M)
headers = "\r\n".join(h.replace('\\"', '"') for h in headers)
def connect():
    s = socket.create_connection(("127.0.0.1", port))
    s.settimeout(300)
    return s
def ask(s, place):
    s.sendall(f"POST /v1/sync/lost HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {place}\r\nContent-Length: 0\r\n"
              f"Connection: close\r\n{headers}\r\n\r\n".encode())
def answer(s):
    text = b""
    while more := s.recv(4096):
        text += more
    return "too much" if b"too much to do" in text else text.split(b" ")[1].decode()
many, other = [connect() for _ in range(160)], connect()
for s in many:
    ask(s, "192.0.2.1")
ask(other, "192.0.2.2")
answers = [answer(s) for s in many]
print("many", answers.count("too much"), len(answers) - answers.count("too much"))
print("other", answer(other))
END
hold "$archive/lock"
too_many()
{
  sign b
  python3 "$scratch/many.py" "$port" "$scratch/signed" >"$scratch/answers" || fail "the server ended connections"
  cat "$scratch/answers"
  ! grep -q '^other too much' "$scratch/answers" || fail "who comes from elsewhere is put off"
  ! grep -q '^many 0 ' "$scratch/answers"
}
soon too_many || fail "one place has all of the places"
let_go
# What was put off is done when it is asked again.
answered()
{
  sign b
  [ "$(lost b "$scratch/answer" -K "$scratch/signed")" = 200 ]
}
soon answered || fail "it stays put off"
