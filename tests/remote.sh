# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154,SC2034
# remote.sh - archives with servers, for the tests of what hosts send to them; sourced after functions.sh.

systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }
free_ports

# server_at NAME: the archive $scratch/NAME is $archive from then on, its server's port $port, and $digest that of its
# key; made where there is none.
server_at()
{
  archive=$scratch/$1
  [ -e "$archive" ] || systracker_archive init "$archive" --name localhost >"$scratch/$1.init"
  if [ ! -e "$scratch/$1.port" ]; then
    echo "$ports" >"$scratch/$1.port"
    ports=$((ports + 2)) # what stands in front of it may have the one behind
  fi
  port=$(cat "$scratch/$1.port")
  url=https://127.0.0.1:$port
  digest=$(sed -n "s/.*#\([A-Za-z0-9_-]*\)[.'].*/\1/p" "$scratch/$1.init")
  [ -n "$digest" ] || fail "init printed no join string"
}

# start NAME [OPTION...]: its server; its pid is in $scratch/NAME.pid.  As root, so that a scratch folder will do.
start()
{
  server_at "$1"
  name=$1
  shift
  set -- --listen "127.0.0.1:$port" --log "$scratch/$name.log" "$@"
  [ "$(id -u)" -ne 0 ] || set -- --user root "$@"
  "${ST_SYSTRACKER%/*}/systracker-archive" serve "$archive" "$@" 2>>"$scratch/$name.err" &
  echo $! >"$scratch/$name.pid"
  at_end "stop $name"
  case " $* " in *' --plain '*) answers "http://127.0.0.1:$port" ;; *) answers "$url" ;; esac
}

# answers URL: waits until a server does, whatever it says.
answers()
{
  soon curl -sk -o "$scratch/answer" --max-time 5 "$1/health" && return
  cat "$scratch"/*.err
  fail "no server answers at $1"
}

# stop NAME [SIGNAL]
stop()
{
  [ -e "$scratch/$1.pid" ] || return 0
  kill "-${2:-TERM}" "$(cat "$scratch/$1.pid")" 2>/dev/null || :
  wait "$(cat "$scratch/$1.pid")" 2>/dev/null || :
  rm "$scratch/$1.pid"
}

# join NAME [OPTION...]: a join string of a new token.
join()
{
  server_at "$1"
  shift
  systracker_archive token "$archive" add --url "$url" "$@"
}

# on HOST COMMAND...: with that host's root, store and configuration.
on()
{
  root=$scratch/root-$1 store=$scratch/store-$1 config=$scratch/config-$1
  shift
  "$@"
}
new_host()
{
  make_root
  make_config
  printf '%s\n' "$1" >"$root/etc/hostname"
  printf 'root:canary-%s:19000:0:99999:7:::\n' "$1" >"$root/etc/shadow"
  seq 1 300 | sed "s/^/$1 /" >"$root/opt/own"
  seq 1 3000 >"$root/opt/shared"
  if [ "$1" = alpha ]; then # a list of chunks
    sed -i 's/max_size = "4M"/max_size = "64M"/' "$config"
    head -c 9000000 /dev/urandom >"$root/opt/large"
  fi
  find "$root" -exec touch -h -d '2024-03-01 12:00:00' {} +
  systracker checkpoint >/dev/null
}
id_of() { basename "$scratch/store-$1"/hosts/*; }

# requests NAME: how many its server has answered so far, as its log says; behind `logged` those are all.
requests() { grep '"request":' "$scratch/$1.log" | grep -vc '"path":"/metrics"' || :; }
# logged: waits until all that was answered is in the log: it is written when a client has its answer.
alone()
{
  curl -sk --max-time 20 -o "$scratch/metrics" "$url/metrics" &&
    grep -qx 'systracker_requests_running 1' "$scratch/metrics"
}
logged() { soon alone || fail "requests run for ever"; }
# A machine that has nothing yet.
fresh()
{
  mkdir -p "$root/etc"
  make_config
}
