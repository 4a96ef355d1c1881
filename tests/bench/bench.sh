#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# bench.sh - `make bench`: what SysTracker takes, beside other programs and beside the least that the
# work can take (floor.c).  doc/performance.md says how it is measured.
#
#   BENCH="ROW..."     which rows; `make bench BENCH=list` lists them (all but million)
#   BENCH_DIR=DIR      scratch folder, kept between runs; needs some 8 GB (bench/ in the build folder)
#   BENCH_RUNS=N       rounds (3)
#   BENCH_PEERS=once|paired|none  other programs: in the first round, in each, not at all (once)
#   BENCH_ENTRIES=N    entries of the copy of /usr (105000)
#   BENCH_BYTES=N      and its bytes, about (2300000000)
#   BENCH_CHECKPOINTS=N  of the long chain (1000)
#   BENCH_MILLION=1    a million small files, too (5 GB, a million inodes)
#   BENCH_HOSTS=N      of the rows fleet-...: made-up hosts before the archive's server (200)
#   BENCH_NIGHTS=N     and nights that they have behind them, where pages are read (10)
#   BENCH_HOLD=MB      most of what is read that is held in memory (half of what is available)
#   BENCH_STRICT=1     ends with 1 where a limit does not hold
set -eu
export LC_ALL=C.UTF-8 TZ=UTC PAGER=cat NO_COLOR=1
umask 077

: "${ST_SOURCE:?run it by make bench}" "${ST_SYSTRACKER:?}" "${ST_BUILD:?}" "${BENCH_PROGRAMS:?}"
dir=${BENCH_DIR:-$ST_BUILD/bench}
runs=${BENCH_RUNS:-3}
peers=${BENCH_PEERS:-once}
entries=${BENCH_ENTRIES:-105000}
bytes=${BENCH_BYTES:-2300000000}
checkpoints=${BENCH_CHECKPOINTS:-1000}

all_rows="first-digests first-content size nothing-changed changed etc-nights look packages restore \
restore-disk fleet-baseline fleet-night fleet-poll fleet-pages fleet-expiry"
[ -z "${BENCH_MILLION:-}" ] || all_rows="$all_rows million"
rows=${BENCH:-$all_rows}
if [ "$rows" = list ]; then
  echo "$all_rows"
  exit 0
fi

# ---- Measuring -----------------------------------------------------------------------------------

program() { command -v "$1" >/dev/null; }
note() { printf '%s\n' "$*" >&2; }

# What is neither a corpus nor a store that took long to make, of this run alone.
mkdir -p "$dir"
dir=$(realpath "$dir")
: >"$dir/BENCH-SCRATCH"
results=$dir/results.jsonl
log=$dir/log
: >"$results"
: >"$log"

# row BASE TITLE: begins one; ratios are to BASE.
row()
{
  note "bench: $row"
  if is_warm; then warm=true; else warm=false; fi
  printf '{"row":"%s","base":"%s","warm":%s,"title":"%s"}\n' "$row" "$1" "$warm" "$2" >>"$results"
}

# limit WHAT WHO FACTOR "OF..." [PLUS [PLUS_OF]]: see report.c.
limit()
{
  # shellcheck disable=SC2086 # words
  of=$(printf '"%s",' $4)
  [ -n "$4" ] || of=,
  printf '{"row":"%s","limit":"%s","who":"%s","factor":%s,"of":[%s],"plus":%s,"plus_of":"%s"}\n' \
    "$row" "$1" "$2" "$3" "${of%,}" "${5:-0}" "${6:-}" >>"$results"
}

# measured COMMAND...: as $who in $round of $row, what a warm row reads being in memory.  Other statuses
# than those in $accept are failures.
accept=0
measured()
{
  status=0
  ! is_warm || read_again
  "$BENCH_PROGRAMS/measure" "$dir/measured" "$row" "$who" "$round" "$@" >>"$log" 2>&1 \
    </dev/null || status=$?
  case " $accept " in
  *" $status "*) keep_measured ;;
  *) note "bench: $row: $who failed with $status: $* (see $log)" ;;
  esac
  rm -f "$dir/measured"
  accept=0
}

# What read from the disk after all is written down, too, but does not count where it is measured again.
repeats_left=0 repeat=
keep_measured()
{
  if [ "$repeats_left" -gt 0 ] && was_cold; then
    repeat=yes
    sed 's/}$/,"repeated":true}/' "$dir/measured" >>"$results"
  else
    cat "$dir/measured" >>"$results"
  fi
}
was_cold()
{
  sed 's/.*"read_mb":\([^,}]*\).*/\1/' "$dir/measured" | awk '{ cold = $1 > 4 } END { exit !cold }'
}

# quietly COMMAND...: what is not measured; it has to succeed.
quietly()
{
  "$@" >>"$log" 2>&1 </dev/null || {
    tail -n 5 "$log" >&2
    note "bench: failed: $*"
    exit 2
  }
}

# of_row WHAT: the name of the function of $row for it.
of_row() { echo "${row}__$1" | tr - _; }

# in_turn "WHO..." "PEER...": the function ROW__WHO of each, in each round.
in_turn()
{
  ! is_warm || hold
  round=1
  while [ "$round" -le "$runs" ]; do
    for who in $1 $(peers_of_round "$2"); do
      take_part
    done
    round=$((round + 1))
  done
  ! is_warm || let_go
}

# Once; where a warm row's read from the disk, at most twice more.
take_part()
{
  ! is_warm || repeats_left=2
  repeat=yes
  while [ -n "$repeat" ]; do
    repeat=
    "$(of_row "$who")"
    repeats_left=$((repeats_left - 1))
  done
  repeats_left=0
}

# ---- What is in memory ---------------------------------------------------------------------------

# ROW__reads COMMAND...: calls it with the paths that are read in a row, appended.  A row that has one is
# warm: these are in memory when something is measured.
is_warm() { command -v "$(of_row reads)" >/dev/null; }

# Some kernels take back what was not touched for half a minute, which a round may last.  Nothing of what
# was written before is still on its way to the disk, either.
read_again()
{
  sync -f "$dir"
  "$(of_row reads)" quietly "${floor:?}" read
  for own in "$peer/$who"*; do
    [ ! -e "$own" ] || quietly "$floor" read "$own"
  done
}

# Keeps the files mapped, so that they stay while others are measured; see hold.c.
hold()
{
  trap let_go EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  : >"$dir/held"
  "$(of_row reads)" start_holder
  until [ -s "$dir/held" ] || ! kill -0 "$holder" 2>/dev/null; do sleep 0.1; done
  held=$(cat "$dir/held")
  printf '{"row":"%s","hold":%s}\n' "$row" "${held:-"{}"}" >>"$results"
}
start_holder()
{
  "$BENCH_PROGRAMS/hold" "$@" >"$dir/held" 2>>"$log" </dev/null &
  holder=$!
}
let_go()
{
  kill "$holder" 2>/dev/null || :
  wait "$holder" 2>/dev/null || :
  rm -f "$dir/held"
  trap - EXIT INT TERM HUP
}

# ---- Peers ---------------------------------------------------------------------------------------

# Which of the peers take part in this round: those that are installed.
peers_of_round()
{
  case $peers in
  none) return 0 ;;
  once) [ "$round" -eq 1 ] || return 0 ;;
  esac
  for peer in $1; do
    if program "$(peer_program "$peer")"; then echo "$peer"; fi
  done
}

# size_of WHO FOLDER...: bytes of what it left.
size_of()
{
  who=$1
  shift
  printf '{"row":"%s","who":"%s","round":"1","bytes":%s}\n' "$row" "$who" \
    "$(du -sb -- "$@" | awk '{ s += $1 } END { print s }')" >>"$results"
}

. "$ST_SOURCE/tests/bench/corpora.sh"
. "$ST_SOURCE/tests/bench/peers.sh"
. "$ST_SOURCE/tests/bench/rows.sh"
. "$ST_SOURCE/tests/bench/fleet.sh"

# ---- Run -----------------------------------------------------------------------------------------

for row in $rows; do
  case " $all_rows million " in
  *" $row "*) "row_$(echo "$row" | tr - _)" ;;
  *)
    note "bench: there is no row $row; rows: $all_rows"
    exit 2
    ;;
  esac
done

"$BENCH_PROGRAMS/report" "$results" --json >"$dir/report.jsonl"
{
  echo "$(nproc) processors, $(uname -m), Linux $(uname -r), $(date -u +%F)"
  echo
  "$BENCH_PROGRAMS/report" "$results"
  tell_what_was_left_out
} | tee "$dir/report.txt"
echo "Also in $dir: report.txt, report.jsonl, results.jsonl (each measurement)"
[ -z "${BENCH_STRICT:-}" ] || ! grep -q '"holds":false' "$dir/report.jsonl" || exit 1
