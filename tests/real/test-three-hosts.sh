#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Three Debian hosts with different packages join an archive's server: by token, through nginx that ends TLS, and by open
# enrolment; the server is killed at random while they send, and loses nothing that it said it has.  One host is
# destroyed: a fresh root, with a restore token and the recovery key, is made equal to it, proved by find, stat,
# sha256sum and dpkg.  The smallest sync is counted by nginx.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"
. "$ST_SOURCE/tests/remote.sh"
need_program jq
need_program curl
need_program nginx
canary='canary-three-4be1'

# host NAME: $root and $store of it from then on.
host()
{
  root=$scratch/root-$1 store=$scratch/store-$1 config=$scratch/config-$1
}
make_host() # NAME PACKAGE...
{
  host "$1"
  make_debian
  shipped_config
  sed -i "s|^log = .*|log = \"$scratch/host-$1.log\"|" "$config"
  echo "$1" >"$root/etc/hostname"
  sed -i "s|^root:[^:]*:|root:$canary-$1:|" "$root/etc/shadow"
  kept=$scratch/debs
  mkdir -p "$kept"
  cp -n "$root"/var/cache/apt/archives/*.deb "$kept/"
  name=$1
  shift
  install_in_root "$@"
  systracker checkpoint -m "as installed" >/dev/null || fail "checkpoint of $name"
  systracker packages --keep "$kept" >/dev/null || fail "package files of $name"
}

# Seen without SysTracker.
left_out='^(etc/ld\.so\.cache|etc/apt/sources\.list) |__pycache__'
look()
{
  manifest "$1.all" etc usr opt root boot srv
  tr '\n\0' '\001\n' <"$1.all" | sed -E 's/^([0-9a-f]{64})  (.*)$/\2 \1/' | grep -avE "$left_out" >"$1"
  # shellcheck disable=SC2016
  {
    in_root dpkg-query -W -f '${db:Status-Abbrev} ${binary:Package} ${Version}\n'
    in_root dpkg --get-selections '*'
    in_root apt-mark showauto
    in_root update-alternatives --get-selections
    in_root dpkg --verify || :
  } >>"$1" 2>/dev/null
}

# ---- The hosts ----------------------------------------------------------------------------------------
make_host alpha hello ed
make_host beta cron bc
make_host gamma less tree

# ---- By token, and with the server killed at random -----------------------------------------------------
start one
sed -n '/^AGE-/p' "$scratch/one.init" >"$scratch/recovery.key"
join=$(join one)

accepted() { jq -rs --arg h "host $1" '[.[] | select(.path == "/v1/sync/checkpoint" and .status == 200 and .who == $h)] |
  length' "$scratch/one.log"; }
there() { systracker_archive --json hosts "$archive" | jq -rs --arg h "$1" '[.[] | select(.host == $h) | .checkpoints] | add // 0'; }
random() { od -An -N1 -tu1 /dev/urandom | tr -d ' '; }

host alpha
alpha=$(basename "$store"/hosts/*)
# More nights, so that there is something to be killed in.
for night in 2 3 4 5 6; do
  seq $((night * 1000)) $((night * 3000)) >"$root/opt/night-$night"
  head -c 700000 /dev/urandom >"$root/usr/local/lib/blob-$night"
  echo "# night $night" >>"$root/etc/profile"
  systracker checkpoint -m "night $night" >/dev/null
done
expect_status 0 systracker status
look "$scratch/lost"
[ "$(wc -l <"$scratch/lost")" -gt 2000 ] || fail "the comparison saw too little"

systracker sync --wait 300 "$join" >"$scratch/sync.out" 2>"$scratch/sync.err" &
sync=$!
# Each time soon after the host has come back, so that it is in the midst of something.
kills=0
while kill -0 $sync 2>/dev/null && [ $kills -lt 12 ]; do
  before=$(requests one)
  while kill -0 $sync 2>/dev/null && [ "$(requests one)" -le "$before" ]; do sleep 0.01; done
  sleep "0.0$(printf %02d "$(($(random) / 4))")"
  kill -KILL "$(cat "$scratch/one.pid")"
  wait "$(cat "$scratch/one.pid")" 2>/dev/null || :
  said=$(accepted "$alpha")
  kept=$(there "$alpha")
  [ "$kept" -ge "$said" ] || fail "killed: $said checkpoints were acknowledged, $kept are there"
  kills=$((kills + 1))
  start one
done
status=0
wait $sync || status=$?
cat "$scratch/sync.out" "$scratch/sync.err"
[ $status -eq 0 ] || fail "the sync that the server was killed in: $status"
[ $kills -ge 3 ] || fail "the server was killed $kills times alone"
echo "killed $kills times; $(accepted "$alpha") of 6 checkpoints were acknowledged before it was"
stop one
expect_status 0 systracker_archive verify "$archive"
[ "$(there "$alpha")" -eq 6 ] || fail "not all checkpoints are there"

# ---- Through nginx, which ends TLS -----------------------------------------------------------------------
# A key of its own, made as init makes the server's.
systracker_archive init "$scratch/front" --name localhost >"$scratch/front.init"
pin=$(sed -n "s/.*#\([A-Za-z0-9_-]*\)[.'].*/\1/p" "$scratch/front.init")
front=$((port + 1))
start one --plain --public "https://127.0.0.1:$front/#$pin"
cat >"$scratch/nginx.conf" <<END
daemon off;
$([ "$(id -u)" -ne 0 ] || echo "user root;")
pid $scratch/nginx.pid;
error_log $scratch/nginx.err;
events { }
http {
  log_format sizes '\$request_method \$uri \$status \$request_length \$bytes_sent';
  access_log $scratch/nginx.log sizes;
  client_body_temp_path $scratch/nginx.body;
  proxy_temp_path $scratch/nginx.proxy;
  fastcgi_temp_path $scratch/nginx.fastcgi;
  uwsgi_temp_path $scratch/nginx.uwsgi;
  scgi_temp_path $scratch/nginx.scgi;
  client_max_body_size 0;
  server {
    listen 127.0.0.1:$front ssl;
    ssl_certificate $scratch/front/tls.crt;
    ssl_certificate_key $scratch/front/tls.key;
    location / { proxy_pass http://127.0.0.1:$port; proxy_http_version 1.1; }
  }
}
END
nginx -e "$scratch/nginx.err" -c "$scratch/nginx.conf" &
nginx=$!
at_end "kill $nginx 2>/dev/null"
answers "https://127.0.0.1:$front"
through=https://127.0.0.1:$front/#$pin

host beta
beta=$(basename "$store"/hosts/*)
expect_status 0 systracker sync "$through.${join##*.}"
: >"$scratch/nginx.log"
expect_status 0 systracker sync "$through"
contains "$out" '^nothing new'
jq 'del(.session)' "$store"/remote/*.json >"$scratch/state" # signed, as after a day
for state in "$store"/remote/*.json; do cat "$scratch/state" >"$state"; done
expect_status 0 systracker sync "$through"
echo "nothing new, by nginx's count of what came and went, with a session and signed:"
cat "$scratch/nginx.log"
awk '$4 > 1024 || $5 > 1024 { bad = 1 } END { exit bad || NR != 2 }' "$scratch/nginx.log" ||
  fail "nothing new is not one request of at most 1 KiB each way"

# ---- Open enrolment ----------------------------------------------------------------------------------------
systracker_archive enrolment "$archive" open >/dev/null
stop one
start one --plain --public "https://127.0.0.1:$front/#$pin"
host gamma
expect_status 0 systracker sync "$through"
# One copy of what all three have, and no secret.
[ "$(systracker_archive --json hosts "$archive" | wc -l)" -eq 3 ] || fail "not three hosts"
for deb in "$archive"/packages/*/*_libc6_*; do echo "$deb"; done >"$scratch/copies"
[ "$(wc -l <"$scratch/copies")" -le 1 ] || fail "a package's file is there twice"
! grep -raqF "$canary" "$archive" || fail "a secret is in the archive"

# ---- One is destroyed, and comes back on a fresh root ---------------------------------------------------------
rm -rf --one-file-system "$scratch/root-alpha" "$scratch/store-alpha" "$scratch/debs"
restore=$(join one --restore "$alpha")
host new
make_debian
shipped_config
expect_status 0 systracker restore --from "$through.${restore##*.}" --checkpoint latest --as same --exact --yes \
  --recovery-key "$scratch/recovery.key"
look "$scratch/now"
diff "$scratch/lost" "$scratch/now" >"$scratch/difference" ||
  { head -n 60 "$scratch/difference"; fail "it is not as it was"; }
in_root dpkg --audit >"$scratch/audit" 2>&1
[ ! -s "$scratch/audit" ] || { cat "$scratch/audit"; fail "dpkg --audit is not silent"; }
grep -qF "$canary-alpha" "$root/etc/shadow" || fail "the secret did not come back"
# The token was for that host alone, and for this machine alone.
expect_status 2 systracker fetch "$through" --host "$beta"
host thief
mkdir -p "$root/etc"
shipped_config
expect_status 1 systracker fetch "$through.${restore##*.}" --host "$alpha"
contains "$err" .
! grep -aqF -e "${restore##*.}" -e "${join##*.}" "$scratch"/*.log "$scratch"/*.err || fail "a token is in a log"
stop one
expect_status 0 systracker_archive verify "$archive"
