#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Groups of hard links, joined and broken at random: restored and undone, compared each time by a
# program of the test's own.  SEED and ROUNDS choose others.
. "$ST_SOURCE/tests/functions.sh"
need_root "a restore with --exact"
make_root
make_config
rm -rf "${root:?}/srv" "$root/opt"
mkdir -p "$root/srv/d" "$root/opt"
seed=${SEED:-7}
echo "SEED=$seed"

# random N: $r is one of 0 to N-1 (a linear congruential generator, POSIX's own example of one).
random()
{
  seed=$(((seed * 1103515245 + 12345) % 2147483648))
  r=$((seed / 65536 % $1))
}
pick()
{
  random 8
  # shellcheck disable=SC2086 # a list
  set -- $names
  shift "$r"
  p=$root/$1
}
names="srv/a srv/b srv/c srv/d/a srv/d/b srv/e opt/x opt/y"

# change N: so many changes of the eight names.
change()
{
  n=0
  while [ "$n" -lt "$1" ]; do
    n=$((n + 1))
    pick
    q=$p
    pick
    random 8
    case $r in
    0) rm -f "$p" && echo "$seed" >"$p" ;;
    1 | 2 | 3) if [ "$p" != "$q" ] && [ -f "$p" ]; then ln -f "$p" "$q" 2>/dev/null || :; fi ;;
    4) rm -f "$p" ;;
    5) if [ -f "$p" ]; then echo more >>"$p"; fi ;;
    6) if [ -f "$p" ]; then chmod $((600 + seed % 2 * 44)) "$p"; fi ;;
    7) if [ "$p" != "$q" ] && [ -f "$p" ]; then rm -f "$q" && cp -p "$p" "$q"; fi ;;
    esac
  done
}

all_of()
{
  for folder in srv opt; do
    "$ST_BUILD/tests/list-tree" "$root/$folder" || fail "it cannot be listed"
  done >"$1"
}

is_at()
{
  all_of "$scratch/now"
  diff "$scratch/$1" "$scratch/now" || fail "$2"
}

change 12
round=0
while [ "$round" -lt "${ROUNDS:-20}" ]; do
  round=$((round + 1))
  systracker checkpoint --tag "round-$round" >/dev/null
  all_of "$scratch/1"
  change 6
  all_of "$scratch/2"
  expect_status 0 systracker restore --checkpoint "round-$round" --exact
  is_at 1 "restored: round $round"
  if grep -q '^nothing to restore' "$out"; then continue; fi
  expect_status 0 systracker undo
  is_at 2 "undone: round $round"
done
