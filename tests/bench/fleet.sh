# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# fleet.sh - the rows of the archive's server: thousands of made-up hosts (fleet/) before
# `systracker-archive serve`, both on this machine.  Sourced by bench.sh.
# shellcheck disable=SC2034,SC2154 # variables are shared with bench.sh
: "${dir:?}" "${runs:?}"

hosts=${BENCH_HOSTS:-200}
past=${BENCH_NIGHTS:-10}
polls=${BENCH_POLLS:-100000}
fleet=$dir/fleet
archive_program=$(dirname "$ST_SYSTRACKER")/systracker-archive
simulator=$BENCH_PROGRAMS/fleet/fleet-simulator
port=${BENCH_PORT:-17440}

# ---- What all hosts have -------------------------------------------------------------------------

# A root with 1,010 facts and ten changes a night, as many nights as the rows need.
make_template()
{
  nights=$((past + runs + 2))
  [ ! -e "$fleet/template/made-$nights" ] || return 0
  note "bench: making $nights checkpoints that all hosts have"
  rm -rf "$fleet/template" "$fleet/root"
  mkdir -p "$fleet/root/etc/fleet"
  : >"$fleet/root/etc/BENCH-SCRATCH"
  make_accounts "$fleet/root"
  echo made-up >"$fleet/root/etc/hostname"
  {
    printf 'log = "none"\nmin_free = "1M"\n'
    printf 'plugin standard_track { track = { "/etc" } }\n'
    printf 'plugin checksum_track { track = { "/etc" } }\n'
    printf 'plugin config_track { track = { "/etc/fleet/kept", "/etc/hostname" } }\n'
  } >"$fleet/template.conf"
  night=0
  while [ "$night" -lt "$nights" ]; do
    quietly "$BENCH_PROGRAMS/corpus" fleet "$fleet/root/etc/fleet" "$night"
    quietly "$ST_SYSTRACKER" --config "$fleet/template.conf" --root "$fleet/root" \
      --store "$fleet/template" --quiet checkpoint
    night=$((night + 1))
  done
  : >"$fleet/template/made-$nights"
}

# Of the archive $fleet/$serving: "new", which hosts send to, or "past", which was made.
simulate()
{
  "$simulator" --template "$fleet/template" --state "$fleet/$serving-hosts" "$@" >>"$log"
}

# ---- The server ----------------------------------------------------------------------------------

start_server()
{
  "$archive_program" serve "$fleet/$serving" --user "$(id -un)" --listen "127.0.0.1:$port" \
    --log "$fleet/requests" 2>>"$log" &
  server=$!
  trap 'kill $server 2>/dev/null; wait' EXIT
  for _ in $(seq 6000); do
    ! "$simulator" get "$join" 1 /health >>"$log" 2>&1 || return 0
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  note "bench: the server did not start (see $log)"
  exit 2
}
stop_server()
{
  kill "$server"
  wait "$server" || :
  trap - EXIT
}

# use ARCHIVE: the server serves that one from here on; it is made where there is none in this run.
serving='' made=''
use()
{
  [ "$serving" != "$1" ] || return 0
  [ -z "$serving" ] || stop_server
  serving=$1
  mkdir -p "$fleet"
  make_template
  case " $made " in
  *" $serving "*) ;;
  *) "make_$serving" ;;
  esac
  join=$("$archive_program" token "$fleet/$serving" add --url "https://127.0.0.1:$port")
  start_server
}

make_new()
{
  rm -rf "$fleet/new" "$fleet/new-hosts" "$fleet/requests"
  "$archive_program" init "$fleet/new" --name 127.0.0.1 >/dev/null 2>>"$log"
  made="$made new"
}

# $past nights of each host, by copying one's catalog and signing its headers anew.
make_past()
{
  note "bench: making $past nights of $hosts hosts"
  rm -rf "$fleet/past" "$fleet/past-hosts"
  "$archive_program" init "$fleet/past" --name 127.0.0.1 >/dev/null 2>>"$log"
  simulate --threads 2 clone "$fleet/past" "$hosts" "$past"
  made="$made past"
}

# told WHO COMMAND...: a run of the simulator, with its results.
told()
{
  who=$1
  shift
  simulate --pid "$server" --results "$results" "$row" "$who" "$round" "$@" ||
    note "bench: $row: $who failed (see $log)"
}

# Bytes on the disk of what grows.
used() { du -s --block-size=1 -- "$@" | awk '{ s += $1 } END { printf "%.0f\n", s }'; }

# ---- Nights --------------------------------------------------------------------------------------

at=1 # the checkpoint that all hosts have

row_fleet_baseline()
{
  use new
  row "" "$hosts new hosts: enrolled, and their first checkpoint of 1,010 facts with 202 contents"
  limit peak_mb baseline 0 "" 300
  round=1
  told baseline push "$join" "$hosts" 1
}

make_baseline()
{
  use new
  [ -s "$fleet/new-hosts" ] || simulate push "$join" "$hosts" 1
}

# Nights pass; what they take on the disk is told for each host and night.
row_fleet_night()
{
  make_baseline
  row "" "a night of $hosts hosts: ten changes, two contents each, one of them its own"
  limit wall_s night 0 "" "$(awk "BEGIN { print $hosts * 120 / 10000 }")"
  limit peak_mb night 0 "" 300
  limit bytes growth 0 "" 2048
  stop_server # what the index has in its log is put to its place
  before=$(used "$fleet/new/hosts" "$fleet/new"/fleet.db*)
  start_server
  first=$at
  round=1
  while [ "$round" -le "$runs" ]; do
    at=$((at + 1))
    told night push "$join" "$hosts" "$at"
    round=$((round + 1))
  done
  stop_server
  after=$(used "$fleet/new/hosts" "$fleet/new"/fleet.db*)
  growth_of growth "$(((after - before) / hosts / (at - first)))"
  start_server
}

# ---- Nothing new ---------------------------------------------------------------------------------

start_floor()
{
  "$BENCH_PROGRAMS/fleet/http-floor" "$((port + 1))" "$fleet/new/tls.key" \
    "$fleet/new/tls.crt" >"$fleet/floor" 2>>"$log" &
  floor_server=$!
  until grep -q ready "$fleet/floor"; do sleep 0.1; done
}

row_fleet_poll()
{
  make_baseline
  row http-floor "$polls questions of hosts that have nothing new"
  limit wall_s session 3 http-floor
  start_floor
  in_turn "http-floor session signature connection" ""
  kill "$floor_server"
  wait "$floor_server" || :
}
fleet_poll__http_floor()
{
  who=http-floor
  "$simulator" --pid "$floor_server" --results "$results" "$row" "$who" "$round" \
    get "https://127.0.0.1:$((port + 1))/" "$polls" /1k >>"$log"
}
fleet_poll__session() { told session poll "$join" "$hosts" "$polls"; }
# Fewer: a host may sign a few times in ten minutes, and one takes as long as ten of the others.
fleet_poll__signature() { told signature sign "$join" "$hosts" "$((2 * hosts))"; }
fleet_poll__connection() { told connection connect "$join" "$hosts" "$((polls / 10))"; }


# ---- Pages ---------------------------------------------------------------------------------------

host_ids() { find "$fleet/past/hosts" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort; }
row_fleet_pages()
{
  use past
  row "" "pages of an archive with $hosts hosts and $past nights; each asked for ten times"
  token=$("$archive_program" token "$fleet/past" add --api viewer)
  host=$(host_ids | head -n 1)
  other=$(host_ids | tail -n 1)
  pages="hosts hosts-by-change host checkpoint diff-nights diff-hosts history file packages"
  pages="$pages search-path search-digest"
  for page in $pages; do limit wall_s "$page" 0 "" 0.1; done
  limit peak_mb hosts 0 "" 300
  in_turn "$pages" ""
}
page()
{
  who=$1
  told "$who" --threads 1 --each --header "Authorization: Bearer $token" get "$join" 10 "$2"
}
fleet_pages__hosts() { page hosts /; }
fleet_pages__hosts_by_change() { page hosts-by-change '/?sort=changes&offset=100'; }
fleet_pages__host() { page host "/hosts/$host"; }
fleet_pages__checkpoint() { page checkpoint "/hosts/$host/checkpoints/$past"; }
fleet_pages__diff_nights() { page diff-nights "/hosts/$host/diff?from=2&to=$past"; }
fleet_pages__diff_hosts() { page diff-hosts "/diff?a=$host:$past&b=$other:2"; }
fleet_pages__history() { page history "/hosts/$host/history?path=/etc/fleet/kept/own"; }
fleet_pages__file() { page file "/hosts/$host/files/$past?path=/etc/fleet/kept/own"; }
fleet_pages__packages() { page packages "/hosts/$host/packages?checkpoint=$past"; }
fleet_pages__search_path() { page search-path '/search?q=/etc/fleet/kept/own&in=path'; }
fleet_pages__search_digest() { page search-digest '/search?q=0123456789abcdef&in=digest'; }

# ---- What goes -----------------------------------------------------------------------------------

# As many hosts, and as many nights behind them, for both; the first of two nights enrols them.
row_fleet_expiry()
{
  use past
  row arrival "one night of $hosts hosts goes, beside one that comes"
  limit wall_s expiry 1 arrival
  simulate push "$join" "$hosts" "$((past + 1))"
  round=1
  while [ "$round" -le "$runs" ]; do
    told arrival push "$join" "$hosts" "$((past + 1 + round))"
    who=expiry
    measured "$archive_program" prune "$fleet/past" --keep-last "$past" --no-gc
    round=$((round + 1))
  done
}
