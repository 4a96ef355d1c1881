#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The archive's server: it starts and stops, refuses to start unsafely, and keeps clients within
# limits, whatever they send.
. "$ST_SOURCE/tests/functions.sh"
need_program curl
need_program jq

archive=$scratch/archive
program=${ST_SYSTRACKER%/*}/systracker-archive
server=

# serve OPTION...: starts it; $port is where it listens.
serve()
{
  rm -f "$scratch/serve.log" "$scratch/requests"
  "$program" serve "$archive" ${serve_user:+--user "$serve_user"} --listen 127.0.0.1:0 "$@" \
    >"$scratch/serve.out" 2>"$scratch/serve.log" &
  server=$!
  soon listens || fail "the server does not listen"
  port=$(cat "$scratch/serve.log" "$scratch/requests" 2>/dev/null |
    sed -n 's/.*"listening on [a-z]*:\/\/127.0.0.1:\([0-9]*\)".*/\1/p')
}

listens()
{
  kill -0 "$server" 2>/dev/null || {
    cat "$scratch/serve.log" || :
    fail "the server did not start"
  }
  cat "$scratch/serve.log" "$scratch/requests" 2>/dev/null | grep -q '"listening on'
}

# stop SIGNAL: waits for its end, in $stopped.
stop()
{
  kill "-$1" "$server"
  stopped=0
  wait "$server" || stopped=$?
  server=
}
# shellcheck disable=SC2016
at_end '[ -z "$server" ] || kill -KILL "$server"'

# ask STATUS PATH CURL-OPTION...: headers to $scratch/head, body to $scratch/body.
ask()
{
  expected=$1 path=$2
  shift 2
  code=$(curl --silent --max-time 60 --path-as-is --cacert "$archive/tls.crt" \
    --connect-to "localhost::127.0.0.1:" --dump-header "$scratch/head" --output "$scratch/body" \
    --write-out '%{http_code}' "$@" "https://localhost:$port$path") || :
  printf '+ %.200s %s: %s\n' "$path" "$*" "$code"
  [ "$code" = "$expected" ] || {
    cat "$scratch/head" "$scratch/body" "$scratch/serve.log"
    fail "status $code instead of $expected: $path"
  }
}

# alone: no other request is answered any more, and all that were are in the log, which is written
# when a client has its answer already.
alone() { ask 200 /metrics && grep -qx 'systracker_requests_running 1' "$scratch/body"; }

# What root starts becomes the archive's owner; the scratch folder lets it through.
serve_user=
[ "$(id -u)" -ne 0 ] || serve_user=root

# ---- init ---------------------------------------------------------------------------------------
expect_status 0 "$program" init "$archive" --name localhost --name 127.0.0.1
contains "$out" "^# .*https://localhost:7440/#[A-Za-z0-9_-]{43}[.']" '^AGE-SECRET-KEY-1'
digest=$(sed -n "s|.*7440/#\([A-Za-z0-9_-]*\).*|\1|p" "$out" | head -n 1)
contains "$archive/archive" '^id [0-9a-f]{32}$'
[ "$(stat -c %a "$archive/tls.key")" = 600 ] || fail "the key's mode"
contains "$archive/tls.key" 'BEGIN'
expect_status 2 "$program" init "$scratch/other" --name 'a b'
[ ! -e "$scratch/other" ] || fail "a bad name made an archive"
# An archive of before there were servers gets what it lacks, and keeps what it has.
expect_status 0 "$program" init "$scratch/old"
rm "$scratch/old/tls.key" "$scratch/old/tls.crt"
sed -i '/^id /d' "$scratch/old/archive"
cp "$scratch/old/archive" "$scratch/mark"
expect_status 0 "$program" init "$scratch/old" --name localhost
lacks "$out" 'AGE-SECRET'
[ -s "$scratch/old/tls.crt" ] || fail "no certificate was made"
cmp "$scratch/mark" "$scratch/old/archive"
expect_status 1 "$program" init "$scratch/old"

# ---- Refused to start ---------------------------------------------------------------------------
refused()
{
  pattern=$1
  shift
  status=0
  timeout 180 "$program" serve "$@" >"$out" 2>"$err" </dev/null || status=$?
  printf '+ serve %s: %s\n' "$*" "$status"
  cat "$out" "$err"
  [ "$status" = 1 ] || [ "$status" = 2 ] || fail "status $status"
  one_error "$pattern"
}
user_option=${serve_user:+--user $serve_user}
mkdir "$scratch/empty"
refused 'no archive of SysTracker' "$scratch/empty"
# shellcheck disable=SC2086
{
  mv "$archive/tls.key" "$scratch/key"
  refused 'no key' "$archive" $user_option
  cp "$scratch/key" "$archive/tls.key"
  chmod 640 "$archive/tls.key"
  refused 'read by others' "$archive" $user_option
  cp "$scratch/old/tls.key" "$archive/tls.key"
  chmod 600 "$archive/tls.key"
  refused "not its certificate's" "$archive" $user_option
  echo rubbish >"$archive/tls.key"
  refused 'tls.key' "$archive" $user_option
  rm "$archive/tls.key"
  ln -s "$scratch/key" "$archive/tls.key"
  refused 'tls.key' "$archive" $user_option
  rm "$archive/tls.key"
  mv "$scratch/key" "$archive/tls.key"
  mv "$archive/tls.crt" "$scratch/crt"
  refused 'no certificate' "$archive" $user_option
  mv "$scratch/crt" "$archive/tls.crt"
  refused 'this machine' "$archive" $user_option --plain --listen 0.0.0.0:0
  refused 'this machine' "$archive" $user_option --plain --listen '[::]:0'
  for where in nowhere localhost:80 '::1:80' '[::1:80' 127.0.0.1:65536 127.0.0.1: '127.0.0.1:-1'; do
    refused 'listen' "$archive" $user_option --listen "$where"
  done
  refused 'workers|number' "$archive" $user_option --workers 0
}
refused 'no user' "$archive" --user no-such-user-here
if [ "$(id -u)" -eq 0 ]; then
  getent passwd systracker-archive >/dev/null || refused 'belongs to root' "$archive"
fi

# ---- Answers ------------------------------------------------------------------------------------
serve --timeout 2 --grace 20
[ "$(stat -c %a "$archive/incoming")" = 700 ] || fail "the mode of incoming"
# One server for an archive.
# shellcheck disable=SC2086
refused 'serve' "$archive" $user_option --listen 127.0.0.1:0
ask 200 /health
[ "$(jq -r .status "$scratch/body")" = ok ] || fail "not healthy"
contains "$scratch/head" '^X-Content-Type-Options: nosniff' "^Content-Security-Policy: default-src 'none'"
ask 200 /v1/archive
jq -e '.protocol == 1 and .audience and .enrolment == "token" and (.recipients | length) == 1' "$scratch/body" \
  >/dev/null || fail "what the archive says of itself"
[ "id $(jq -r .id "$scratch/body")" = "$(grep '^id ' "$archive/archive")" ] || fail "the archive's id"
# The digest that is printed is what curl pins.
ask 200 /health --pinnedpubkey "sha256//$(printf '%s' "$digest" | tr -- '-_' '+/')="
ask 000 /health --pinnedpubkey 'sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='

ask 200 /health --head
contains "$scratch/head" '^Content-Length: 16'
ask 404 /nothing
[ "$(jq -r .error "$scratch/body")" != null ] || fail "no words with 404"
for path in //health /health/ /HEALTH /%68ealth /../health /./health /health%00 \
  /v1/hosts/../archive /v1/hosts/%2e%2e/chain /health%5c; do
  ask 404 "$path"
done
ask 400 /v1/hosts/%zz/chain
ask 400 /v1/hosts/a%00/chain
ask 400 /v1/hosts/a%2f/chain
ask 200 '/health?x=%zz&%00'
ask 405 /health -X DELETE
contains "$scratch/head" '^Allow: GET, HEAD'
ask 405 /v1/archive -X POST -d x=1
ask 405 /health -X OPTIONS
ask 401 /v1/sync -d '{}'
contains "$scratch/head" '^WWW-Authenticate: Bearer'
ask 401 /health -H 'Authorization: Bearer canary-token'
ask 401 /v1/archive -H 'Authorization: Basic Zm9vOmJhcg=='
ask 303 /hosts/0123456789abcdef0123456789abcdef
contains "$scratch/head" '^Location: /login' '^Strict-Transport-Security: '
ask 404 /hosts/x
contains "$scratch/head" '^Content-Type: text/html'
long=$(head -c 9000 /dev/zero | tr '\0' a)
ask 414 "/$long"

# ---- Bodies -------------------------------------------------------------------------------------
head -c 100000 /dev/zero >"$scratch/some"
head -c 3000000 /dev/zero >"$scratch/much"
ask 413 /health -X GET --data-binary @"$scratch/some"
ask 413 /v1/sync -H 'Expect:' --data-binary @"$scratch/some"
ask 413 /v1/sync --data-binary @"$scratch/much"
# What is sent in chunks says no length before.
ask 401 /v1/sync -H 'Transfer-Encoding: chunked' -H 'Expect:' --data-binary @"$scratch/some"
ask 403 /v1/sync -H 'Sec-Fetch-Site: cross-site' -d '{}'
# Two lengths are two requests to somebody.
ask 400 /health -H 'Content-Length: 3' -H 'Transfer-Encoding: chunked' -d abc
# A connection goes on behind what was refused.
count=$(curl --silent --max-time 60 --cacert "$archive/tls.crt" \
  --connect-to "localhost::127.0.0.1:" -o /dev/null -o /dev/null -o /dev/null \
  -w '%{num_connects}\n' "https://localhost:$port/nothing" "https://localhost:$port/hosts/x" \
  "https://localhost:$port/health" | awk '{ n += $1 } END { print n }')
[ "$count" = 1 ] || fail "$count connections for three requests"

# ---- TLS ----------------------------------------------------------------------------------------
ask 200 /health --tlsv1.2 --tls-max 1.2
ask 200 /health --tlsv1.3
if command -v gnutls-cli >/dev/null; then
  for version in 1.0 1.1; do
    ! printf '' | gnutls-cli --no-ca-verification -p "$port" 127.0.0.1 \
      --priority "NORMAL:-VERS-ALL:+VERS-TLS$version:%COMPAT" >"$scratch/tls" 2>&1 ||
      fail "TLS $version is taken"
  done
  printf '' | gnutls-cli --no-ca-verification -p "$port" 127.0.0.1 >"$scratch/tls" 2>&1 ||
    fail "gnutls-cli cannot connect"
else
  echo "SKIP (this case): old versions of TLS, without gnutls-cli"
fi
ask 000 /health --ciphers AES128-SHA --tls-max 1.2
# Clear text is not answered.
! curl --silent --max-time 10 "http://127.0.0.1:$port/health" >"$scratch/body" 2>&1 ||
  fail "an answer without TLS"

# ---- Metrics, log -------------------------------------------------------------------------------
soon alone || fail "requests run for ever"
contains "$scratch/head" '^Content-Type: text/plain; version=0.0.4'
contains "$scratch/body" '^systracker_requests_total [1-9]' '^systracker_hosts 0$' \
  '^systracker_silent_hosts 0$' '^systracker_request_seconds_bucket\{le="\+Inf"\} [1-9]' \
  '^systracker_resident_bytes [1-9]' '^systracker_requests_running 1$' '^systracker_packs_bytes '
[ -z "$(awk '!/^#/ && NF != 2' "$scratch/body")" ] || fail "a line of metrics is malformed"
ask 200 '/health?secret=canary-query' -H 'X-Other: canary-header'
soon alone || fail "requests run for ever"
jq -es 'all(.[]; .time and .level) and any(.[]; .path == "/metrics" and .status == 200 and .ms >= 0
  and .peer == "127.0.0.1" and .method == "GET" and .request > 0)' "$scratch/serve.log" >/dev/null ||
  fail "the log is not as it should be"
lacks "$scratch/serve.log" canary Zm9v

# ---- Slow clients -------------------------------------------------------------------------------
# Half a head, half a body: neither is waited for.  Open for both, a pipe never ends.
mkfifo "$scratch/pipe"
exec 7<>"$scratch/pipe"
if command -v gnutls-cli >/dev/null; then
  for part in 'GET /health HTTP/1.1\r\nHost: a\r\n' \
    'POST /v1/sync HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc'; do
    # shellcheck disable=SC2059
    printf "$part" >&7
    status=0
    timeout 180 gnutls-cli --no-ca-verification -p "$port" 127.0.0.1 <&7 >"$scratch/slow.out" 2>&1 ||
      status=$?
    [ "$status" -ne 124 ] || fail "a slow client is waited for"
    lacks "$scratch/slow.out" '^HTTP/1.1 200'
  done
else
  echo "SKIP (this case): slow clients, without gnutls-cli"
fi
ask 200 /health

# ---- The certificate changes, the log is moved --------------------------------------------------
kill -HUP "$server"
soon grep -q 'opened again' "$scratch/serve.log" || fail "SIGHUP did nothing"
ask 200 /health
cp "$archive/tls.crt" "$scratch/crt"
echo rubbish >"$archive/tls.crt"
kill -HUP "$server"
soon grep -q '"level":"error".*tls.crt' "$scratch/serve.log" || fail "a bad certificate is not told"
cp "$scratch/crt" "$archive/tls.crt"
ask 200 /health

# ---- It ends ------------------------------------------------------------------------------------
# What runs is finished, by its own measure of time; new requests are not taken.
stop TERM
[ "$stopped" = 0 ] || fail "stopped with $stopped"
lacks "$scratch/serve.log" 'AddressSanitizer|runtime error|LeakSanitizer'
serve --timeout 120 --grace 120
head -c 60000 /dev/zero >"$scratch/some"
curl --silent --max-time 180 --cacert "$archive/tls.crt" --connect-to "localhost::127.0.0.1:" \
  --limit-rate 10k -H 'Transfer-Encoding: chunked' -H 'Expect:' --data-binary @"$scratch/some" \
  -o /dev/null -w '%{http_code}' "https://localhost:$port/v1/sync" >"$scratch/late" &
late=$!
two() { ask 200 /metrics && grep -qx 'systracker_requests_running 2' "$scratch/body"; }
soon two || fail "the slow request does not run"
stop TERM
[ "$stopped" = 0 ] || fail "stopped with $stopped"
wait "$late" || fail "a request was cut"
[ "$(cat "$scratch/late")" = 401 ] || fail "a request under way got $(cat "$scratch/late")"
contains "$scratch/serve.log" '"message":"stopping"'
lacks "$scratch/serve.log" 'AddressSanitizer|runtime error|LeakSanitizer' '"cut":true.*"status":401'
! curl --silent --max-time 10 -k "https://127.0.0.1:$port/health" >/dev/null || fail "it goes on"

# ---- Connections of one address -----------------------------------------------------------------
serve --per-address 2 --timeout 600
if command -v gnutls-cli >/dev/null; then
  held=
  for n in 1 2; do
    timeout 600 gnutls-cli --no-ca-verification -p "$port" 127.0.0.1 <&7 >"$scratch/held.$n" 2>&1 &
    held="$held $!"
  done
  for n in 1 2; do
    soon grep -q 'Handshake was completed' "$scratch/held.$n" || fail "two connections are not taken"
  done
  ask 000 /health
  # shellcheck disable=SC2086
  kill $held
  soon curl --silent -o /dev/null --max-time 60 --cacert "$archive/tls.crt" --connect-to "localhost::127.0.0.1:" \
    "https://localhost:$port/health" || fail "no connection is taken after the others ended"
else
  echo "SKIP (this case): connections of one address, without gnutls-cli"
fi
stop TERM

# ---- Behind a proxy -----------------------------------------------------------------------------
serve --plain --log "$scratch/requests"
plain() { curl --silent --max-time 20 -o "$scratch/body" -w '%{http_code}' "$@"; }
[ "$(plain -H 'X-Forwarded-For: 6.6.6.6, 192.0.2.7' "http://127.0.0.1:$port/health")" = 200 ] ||
  fail "no answer without TLS"
[ "$(plain -H 'X-Forwarded-For: no, "address' "http://127.0.0.1:$port/health")" = 200 ] ||
  fail "no answer without TLS"
# Metrics are for this machine: a client of the proxy is not.
[ "$(plain -H 'X-Forwarded-For: 192.0.2.7' "http://127.0.0.1:$port/metrics")" = 401 ] ||
  fail "metrics for a stranger"
stop TERM
jq -es 'map(select(.request) | .peer) == ["192.0.2.7", "", "192.0.2.7"]' "$scratch/requests" >/dev/null ||
  fail "the addresses in the log: $(cat "$scratch/requests")"
[ "$(stat -c %a "$scratch/requests")" = 600 ] || fail "the mode of the log"

# ---- Root's rights ------------------------------------------------------------------------------
if [ "$(id -u)" -eq 0 ]; then
  chmod 711 "$scratch"
  chown -R nobody: "$archive"
  serve_user=
  serve
  contains "/proc/$server/status" '^Uid:	65534	65534	65534	65534$' '^NoNewPrivs:	1$' \
    '^CapPrm:	0000000000000000$' '^CapEff:	0000000000000000$'
  [ "$(awk '/^Groups:/ { print NF }' "/proc/$server/status")" -le 2 ] || fail "root's groups stay"
  ask 200 /health
  ask 200 /metrics
  stop TERM
  chown root: "$archive/hosts"
  refused 'cannot be written|hosts' "$archive"
  lacks "$err" 'tls.key'
else
  echo "SKIP (this case): root's rights are given up, which needs root"
fi
