#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Who may do what while the server runs: approval and denial that hold at once, restore tokens, two
# machines with one key, logins, guesses; and that no secret is in a log.
. "$ST_SOURCE/tests/functions.sh"
need_program jq
need_program curl
systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }
archive=$scratch/archive
expect_status 0 systracker_archive init "$archive" --name localhost
digest=$(sed -n "s/.*#\([A-Za-z0-9_-]*\)[.'].*/\1/p" "$out")
free_ports
port=$ports
url=https://127.0.0.1:$port

start_server()
{
  "${ST_SYSTRACKER%/*}/systracker-archive" serve "$archive" --user "$(id -un)" --listen "127.0.0.1:$port" \
    --log "$scratch/serve.log" 2>>"$scratch/serve.err" &
  server=$!
  at_end "kill $server 2>/dev/null; wait $server"
  soon answers || fail "the server does not answer"
}
answers()
{
  kill -0 $server 2>/dev/null || { cat "$scratch/serve.err"; fail "the server ended"; }
  curl -sk -o "$scratch/answer" --max-time 5 "$url/health"
}

# as HOST COMMAND...
as()
{
  root=$scratch/root-$1 store=$scratch/store-$1 config=$scratch/config-$1
  shift
  "$@"
}
new_host()
{
  make_root
  make_config
  echo "$1" >"$root/etc/hostname"
  systracker checkpoint >"$scratch/made"
}
id_of() { cat "$scratch/id-$1"; }
state_of()
{
  systracker_archive --json hosts "$archive" | jq -r "select(.host == \"$(id_of "$1")\") | $2"
}

# refused COMMAND...: by the server, whatever the status.
refused()
{
  ! "$@" >"$out" 2>"$err" </dev/null || fail "not refused: $*"
  cat "$out" "$err"
}

for host in a b c; do
  as $host new_host "host-$host"
  basename "$scratch/store-$host"/hosts/* >"$scratch/id-$host"
done
start_server

# ---- Approval -------------------------------------------------------------------------------------

refused as a systracker sync "$url/#$digest"
contains "$err" 'token'
expect_status 0 systracker_archive enrolment "$archive" closed
as a systracker sync "$url/#$digest" >"$out" 2>"$err" </dev/null || :
cat "$out" "$err"
expect_status 0 systracker_archive --json approve "$archive"
[ "$(jq -r '.host + " " + .state' "$out")" = "$(id_of a) pending" ] || fail "who waits"
expect_status 0 systracker_archive approve "$archive" "$(id_of a | cut -c1-8)"
expect_status 0 as a systracker sync "$url/#$digest"
[ "$(state_of a .state)" = approved ] || fail "approved"
expect_status 0 systracker_archive enrolment "$archive" open
expect_status 0 as b systracker sync "$url/#$digest"
expect_status 0 systracker_archive enrolment "$archive" token
expect_status 0 as b systracker sync "$url/#$digest"

# Denied, with a session that is still good otherwise.
expect_status 0 systracker_archive deny "$archive" host-b
refused as b systracker sync "$url/#$digest"
contains "$err" 'denied'
[ "$(state_of b .state)" = denied ] || fail "denied"
expect_status 0 systracker_archive approve "$archive" host-b
expect_status 0 as b systracker sync "$url/#$digest"

# ---- Two machines with one key --------------------------------------------------------------------

# A process namespace has a first process of its own, as another machine has another boot.
if [ "$(id -u)" -eq 0 ] && unshare -fp --mount-proc true 2>/dev/null; then
  cp -a "$scratch/store-a" "$scratch/store-twin"
  unshare -fp --kill-child --mount-proc sleep 3600 &
  twin=$!
  at_end "kill $twin 2>/dev/null"
  # Where it sleeps, its /proc is mounted.
  sleeps() { first=$(pgrep -x -P "$twin" sleep); }
  soon sleeps || fail "no process namespace"
  for _ in 1 2; do
    [ "$(state_of a .two_machines)" = null ] || fail "two machines, too soon"
    expect_status 0 as a systracker sync "$url/#$digest"
    root=$scratch/root-a config=$scratch/config-a store=$scratch/store-twin
    expect_status 0 nsenter -p -m -t "$first" "$ST_SYSTRACKER" --config "$config" --root "$root" \
      --store "$store" sync "$url/#$digest"
  done
  [ "$(state_of a .two_machines)" != null ] || fail "two machines were not noticed"
  expect_status 0 systracker_archive hosts "$archive"
  contains "$out" "$(id_of a) .*two machines use its key, from 127.0.0.1"
  contains "$scratch/serve.log" "warning.*two machines use the key of host $(id_of a)"
  expect_status 0 systracker_archive approve "$archive" host-a
  [ "$(state_of a .two_machines)" = null ] || fail "the notice stays"
  kill -9 "$first"
else
  echo "not tried, as it needs root and namespaces: two machines with one key"
fi

# ---- Restore tokens -------------------------------------------------------------------------------

take() { as c systracker fetch "$1" --host "$(id_of a)"; }
token=$(systracker_archive token "$archive" add --url "$url" --restore host-a)
echo "${token##*.}" >"$scratch/secrets"
expect_status 0 take "$token"
[ "$(state_of a .continued_by)" = "$(id_of c)" ] || fail "continued by"
# Which one that is, is told to those alone who may see it.
systracker_archive group "$archive" add only-a
systracker_archive group "$archive" add-host only-a "$(id_of a)"
told()
{
  api=$(systracker_archive --json token "$archive" add --api viewer "$@" | jq -r .token)
  curl -sk --max-time 30 -H "Authorization: Bearer $api" "$url/v1/hosts/$(id_of a)" | jq -r '.host, .continued_by'
}
[ "$(told)" = "$(id_of a; id_of c)" ] || fail "continued by, for who sees all: $(told)"
[ "$(told --group only-a)" = "$(id_of a; echo null)" ] || fail "continued by a host that may not be seen"
refused as b systracker fetch "$token" --host "$(id_of a)" # another machine
contains "$err" 'another host used it'
name=$(systracker_archive --json token "$archive" | jq -r 'select(.kind == "restore") | .name')
[ "$(systracker_archive --json token "$archive" | jq -r 'select(.kind == "restore") | .used_by')" = \
  "$(id_of c)" ] || fail "used by"
expect_status 0 systracker_archive token "$archive" revoke "$name"
rm -rf "$scratch/store-c/hosts/$(id_of a)"
refused take "$url/#$digest"

# ---- People ---------------------------------------------------------------------------------------

jar=$scratch/cookies
printf 'the boss password\n' | tee -a "$scratch/secrets" |
  systracker_archive user "$archive" add boss --role admin
get()
{
  path=$1
  shift
  status=$(curl -sk --max-time 30 -b "$jar" -c "$jar" -o "$out" -D "$scratch/headers" \
    -w '%{http_code}' "$@" "$url$path") || fail "no answer: $path"
}
# login PASSWORD [OPTION...]
login()
{
  get /login
  form=$(sed -n 's/.*name="form-token" value="\([^"]*\)".*/\1/p' "$out" | head -n 1)
  password=$1
  shift
  get /login --data-urlencode 'user=boss' --data-urlencode "password=$password" \
    --data-urlencode "form-token=$form" "$@"
}
login 'a wrong password'
[ "$status" = 401 ] || fail "a wrong password: $status"
contains "$out" 'role="alert"' 'name or password is wrong' 'value="boss"'
lacks "$out" 'a wrong password'
login 'the boss password' --data-urlencode 'next=//elsewhere.example/'
[ "$status" = 303 ] || fail "the login: $status"
contains "$scratch/headers" '^[Ll]ocation: /.$' \
  '^[Ss]et-[Cc]ookie: systracker=l[A-Za-z0-9_-]{43}; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Strict'
sed -n 's/.*systracker=\(l[A-Za-z0-9_-]*\);.*/\1/p' "$scratch/headers" >>"$scratch/secrets"
cp "$jar" "$scratch/stolen"
get /
[ "$status" = 200 ] || fail "the page: $status"
contains "$out" 'host-a' 'host-b'
# A form without its token, one of another site, the login's without its cookie: nothing is done.
get /logout -d x=1
[ "$status" = 403 ] || fail "a form without its token: $status"
get /logout -d x=1 -H 'Sec-Fetch-Site: cross-site'
[ "$status" = 403 ] || fail "another site's form: $status"
status=$(curl -sk -o "$out" -w '%{http_code}' -d user=boss -d 'password=the boss password' \
  -d form-token=x "$url/login")
[ "$status" = 403 ] || fail "a login without its cookie: $status"
get /
form=$(sed -n 's/.*name="form-token" value="\([^"]*\)".*/\1/p' "$out" | head -n 1)
get /logout --data-urlencode "form-token=$form"
[ "$status" = 303 ] || fail "the logout: $status"
cp "$scratch/stolen" "$jar"
get /
[ "$status" = 303 ] || fail "a cookie after the logout: $status"

# The API's token sees what its role may, and ends when it is revoked.
api=$(systracker_archive token "$archive" add --api viewer viewers)
echo "$api" >>"$scratch/secrets"
status=$(curl -sk -o "$out" -w '%{http_code}' -H "Authorization: Bearer $api" "$url/")
[ "$status" = 200 ] || fail "a token of the API: $status"
status=$(curl -sk -o "$out" -w '%{http_code}' -H "Authorization: Bearer $api" -d '{}' \
  "$url/v1/sync")
[ "$status" = 403 ] || fail "people send nothing: $status"
expect_status 0 systracker_archive token "$archive" revoke viewers
status=$(curl -sk -o "$out" -w '%{http_code}' -H "Authorization: Bearer $api" "$url/")
[ "$status" = 401 ] || fail "a revoked token of the API: $status"

# Many wrong ones: a pause for who guesses, none for the boss where she was before.
rm "$jar"
login 'the boss password'
[ "$status" = 303 ] || fail "the login again: $status"
rm "$jar"
for _ in $(seq 15); do
  login 'a wrong password'
  [ "$status" = 401 ] || break
done
[ "$status" = 429 ] || fail "many guesses: $status"
contains "$scratch/headers" '^[Rr]etry-[Aa]fter: '

# A session's end: nobody knows it after the server was started anew, and the host signs again.
kill $server
wait $server || :
start_server
expect_status 0 as b systracker sync "$url/#$digest"

contains "$scratch/serve.log" "a new host $(id_of a) waits for approval from 127.0.0.1" \
  "a new host $(id_of c) is let in from .* by token restore-1, and continues $(id_of a)" \
  'a login as boss from 127.0.0.1 was refused' 'boss has logged in from 127.0.0.1'
jq -r '.session // empty' "$scratch"/store-*/remote/*.json >>"$scratch/secrets"
[ "$(wc -l <"$scratch/secrets")" -ge 5 ] || fail "too few secrets were looked for"
! grep -aF -f "$scratch/secrets" "$scratch/serve.log" "$scratch/serve.err" || fail "a secret is in a log"
! grep -raqF -f "$scratch/secrets" "$archive" || fail "a secret is in the archive"
