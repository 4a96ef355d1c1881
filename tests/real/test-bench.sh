#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The benchmarks' own tools: what was read from the disk is written down and told, what is to be in memory
# is held there, and what was measured again does not count but is told.
. "$ST_SOURCE/tests/functions.sh"
need_program jq
programs=$ST_BUILD/tests/bench

# ---- measure -------------------------------------------------------------------------------------

lines=$scratch/lines
"$programs/measure" "$lines" row who 1 true
jq -e '.read_mb | type == "number"' "$lines" >/dev/null || fail "measure does not say what was read"

# By a child of a child; where the scratch folder lies on a disk, and its file can be put out of the cache.
head -c 8000000 /dev/urandom >"$scratch/large"
sync "$scratch/large"
dd if="$scratch/large" iflag=nocache count=0 status=none
rm "$lines"
if [ "$(stat -f -c %T "$scratch")" != tmpfs ]; then
  # shellcheck disable=SC2016 # for the inner shell
  "$programs/measure" "$lines" row who 1 sh -c 'cat "$0"; :' "$scratch/large" >/dev/null
  jq -e '.read_mb >= 7 and .read_mb < 20' "$lines" >/dev/null ||
    fail "8 MB were read: $(cat "$lines")"
  "$programs/measure" "$lines" row who 2 cat "$scratch/large" >/dev/null
  jq -e -s '.[1].read_mb < 1' "$lines" >/dev/null || fail "hardly anything was read: $(cat "$lines")"
fi

# ---- floor read ----------------------------------------------------------------------------------

mkdir -p "$scratch/tree/sub"
echo 12345 >"$scratch/tree/small"
cp "$scratch/large" "$scratch/tree/sub/large"
expect_status 0 "$programs/floor" read "$scratch/tree" "$scratch/large"
contains "$scratch/out" 'files 3 bytes 16000006 .*failed 0'
(cd "$scratch/tree" && "$programs/floor" read small) >"$scratch/out"
contains "$scratch/out" 'files 1 bytes 6 '
expect_status 2 "$programs/floor" read "$scratch/none"

# ---- hold ----------------------------------------------------------------------------------------

# Held by a shell of its own, so that it is seen to end with it.
# shellcheck disable=SC2016 # for the inner shell
sh -c '"$0" "$@" >"$scratch/held" & echo $! >"$scratch/holder"; sleep 600 & wait' \
  "$programs/hold" "$scratch/tree" "$scratch/large" &
parent=$!
at_end "kill $parent 2>/dev/null"
soon test -s "$scratch/held" || fail "nothing is held"
[ "$(jq -c '[.held, .files, .mb]' "$scratch/held")" = '[true,3,15]' ] ||
  fail "not what is to be held: $(cat "$scratch/held")"
holder=$(cat "$scratch/holder")
[ "$(grep -c "$scratch/" "/proc/$holder/maps")" -eq 3 ] || fail "the files are not mapped"
let_go_of_it() { ! grep -q large "/proc/$holder/maps" 2>/dev/null; }
kill -9 "$parent"
soon let_go_of_it || fail "it is held by one whose parent has ended"

expect_status 1 env BENCH_HOLD=10 "$programs/hold" "$scratch/tree" "$scratch/large"
[ "$(jq -c '[.held, .mb, .most_mb]' "$scratch/out")" = '[false,15,10]' ] ||
  fail "more was held than allowed: $(cat "$scratch/out")"

# ---- report --------------------------------------------------------------------------------------

cat >"$lines" <<'END'
{"row":"r","base":"a","warm":true,"title":"t"}
{"row":"r","hold":{"held":false,"files":2,"mb":500,"most_mb":300}}
{"row":"r","limit":"wall_s","who":"b","factor":2,"of":["a"],"plus":0,"plus_of":""}
{"row":"r","who":"a","round":"1","wall_s":1.0,"cpu_s":1.0,"peak_mb":1,"read_mb":0.5,"others":0}
{"row":"r","who":"b","round":"1","wall_s":9.0,"cpu_s":9.0,"peak_mb":1,"read_mb":33.25,"others":0,"repeated":true}
{"row":"r","who":"b","round":"1","wall_s":7.0,"cpu_s":7.0,"peak_mb":1,"read_mb":5.5,"others":0,"repeated":true}
{"row":"r","who":"b","round":"1","wall_s":1.5,"cpu_s":1.5,"peak_mb":1,"read_mb":2.0,"others":0}
{"row":"cold","base":"","warm":false,"title":"t"}
{"row":"cold","who":"a","round":"1","wall_s":1.0,"cpu_s":1.0,"peak_mb":1,"read_mb":50,"others":0}
END
"$programs/report" "$lines" >"$scratch/report"
contains "$scratch/report" '^  b +1\.500 .* 1$'
contains "$scratch/report" '0\.75 of it: holds'
contains "$scratch/report" '\(nothing was held in memory: that were 500 MB, and at most 300 are\)'
contains "$scratch/report" '\(measured again, .*: b 2 x, at most 33\.2 MB\)'
contains "$scratch/report" '\(read from the disk .*: b 1 x, at most 2\.0 MB\)'
[ "$(grep -c MB\) "$scratch/report")" -eq 2 ] || fail "reads are told of who did not, or of a row that is not warm"
"$programs/report" "$lines" --json >"$scratch/report"
jq -e -s '.[] | select(.who == "b") | [.wall_s, .read_mb, .repeated] == [1.5, 2, 2]' "$scratch/report" >/dev/null ||
  fail "not what was read and repeated: $(cat "$scratch/report")"
[ "$(jq -c 'select(.hold) | .hold.held' "$scratch/report")" = false ] || fail "what is held is not told"

# ---- All together --------------------------------------------------------------------------------

BENCH="nothing-changed changed restore" BENCH_RUNS=1 BENCH_PEERS=none BENCH_ENTRIES=300 BENCH_BYTES=4000000 \
  BENCH_DIR=$scratch/bench BENCH_PROGRAMS=$programs \
  sh "$ST_SOURCE/tests/bench/bench.sh" >"$scratch/out" 2>"$scratch/err" ||
  fail "the benchmarks failed: $(cat "$scratch/err")"
jq -r 'select(.hold) | .row, .hold.held' "$scratch/bench/results.jsonl" >"$scratch/rows"
[ "$(tr '\n' ' ' <"$scratch/rows")" = 'nothing-changed true changed true restore true ' ] ||
  fail "not held in each row: $(cat "$scratch/rows")"
[ "$(jq -r 'select(.wall_s) | .read_mb' "$scratch/bench/report.jsonl" | wc -l)" -eq 8 ] ||
  fail "not said of each what it read: $(cat "$scratch/bench/report.jsonl")"
