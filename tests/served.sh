# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154
# served.sh - an archive with hosts of several nights, and its server, for the tests of what it answers; sourced after
# functions.sh.  What it sets: $archive, $one, $two, $three (ids), $url, and $server once it runs.
# shellcheck disable=SC2034 # who sources it uses them
systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }

archive=${scratch:?}/archive

# host NAME: a root and a store of its own, which $root, $store and $config are from then on.
host()
{
  root=$scratch/root-$1 store=$scratch/store-$1 config=$scratch/config-$1
  [ -d "$root" ] || { make_root && make_config && echo "$1" >"$root/etc/hostname"; }
}

# night MESSAGE...: a checkpoint, sent.
night()
{
  systracker checkpoint "$@" >/dev/null
  systracker --quiet sync "$archive" >/dev/null
}

id_of() { basename "$1"/hosts/*; }

# Three hosts: web had three nights, among them an upgrade, new configuration, a secret that changed and a package's
# file that was edited; sql one more than the baseline; cache one.
make_hosts()
{
  systracker_archive init "$archive" >/dev/null
  host web
  . "$ST_SOURCE/tests/packaging.sh"
  t=$scratch/tool-1
  mkdir -p "$t/usr/bin" "$t/etc"
  printf '#!/bin/sh\necho one\n' >"$t/usr/bin/tool"
  printf 'listen = 80\nworkers = 4\nlog = syslog\n' >"$t/etc/tool.conf"
  build tool 1 "$t"
  install_package tool 1 "$t"
  night -m 'before the upgrade'
  printf 'listen = 443\nworkers = 4\nlog = syslog\ntls = on\n' >"$root/etc/tool.conf"
  printf 'first\nSECOND\nthird\nfourth\n' >"$root/etc/app/app.conf"
  printf 'root:canary-8d1f:19001:0:99999:7:::\n' >"$root/etc/shadow"
  chmod 700 "$root/usr/local/bin/hello"
  rm "$root/etc/issue"
  packages 'hello 2.0-1' 'libfoo 2.3' 'nginx 1.22.1-9'
  night -m 'the upgrade' --tag good
  echo 'colour=green' >"$root/etc/app/other.conf"
  night
  one=$(id_of "$store")
  host sql
  printf 'first\nzwei\nthird\n' >"$root/etc/app/app.conf"
  packages 'hello 1.0-1' 'postgresql 15+248'
  night
  echo 'shared_buffers = 1GB' >"$root/etc/app/db.conf"
  night -m 'more memory'
  two=$(id_of "$store")
  host cache
  night
  three=$(id_of "$store")
}

# start_server: on a port of its own, with an admin (boss), and a viewer (watcher) of the first host alone.
start_server()
{
  printf 'boss password\n' | systracker_archive user "$archive" add boss --role admin >/dev/null
  printf 'first password\n' | systracker_archive user "$archive" add watcher --role none >/dev/null
  systracker_archive group "$archive" add first-ones >/dev/null
  systracker_archive group "$archive" add-host first-ones "$one" >/dev/null
  systracker_archive group "$archive" role first-ones watcher viewer >/dev/null
  free_ports
  port=$ports
  "${ST_SYSTRACKER%/*}/systracker-archive" serve "$archive" --user "$(id -un)" --listen "127.0.0.1:$port" --log "$scratch/serve.log" \
    2>"$scratch/serve.err" &
  server=$!
  at_end "stop_server"
  url=https://127.0.0.1:$port
  soon answers || fail "the server does not answer"
}
answers()
{
  kill -0 "$server" 2>/dev/null || { cat "$scratch/serve.err"; fail "the server ended"; }
  curl -sk -o /dev/null --max-time 5 "$url/health"
}
stop_server() { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; }

# api_token ROLE [OPTION...]: a new one.
api_token()
{
  role=$1
  shift
  systracker_archive --json token "$archive" add --api "$role" "$@" | jq -r .token
}
