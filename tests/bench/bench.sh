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
  printf '{"row":"%s","base":"%s","title":"%s"}\n' "$row" "$1" "$2" >>"$results"
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

# measured COMMAND...: as $who in $round of $row.  Other statuses than those in $accept are failures.
accept=0
measured()
{
  status=0
  "$BENCH_PROGRAMS/measure" "$dir/measured" "$row" "$who" "$round" "$@" >>"$log" 2>&1 \
    </dev/null || status=$?
  case " $accept " in
  *" $status "*) cat "$dir/measured" >>"$results" ;;
  *) note "bench: $row: $who failed with $status: $* (see $log)" ;;
  esac
  rm -f "$dir/measured"
  accept=0
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

# in_turn "WHO..." "PEER...": the function ROW__WHO of each, in each round.
in_turn()
{
  round=1
  while [ "$round" -le "$runs" ]; do
    for who in $1 $(peers_of_round "$2"); do
      "$(echo "${row}__$who" | tr - _)"
    done
    round=$((round + 1))
  done
}

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
