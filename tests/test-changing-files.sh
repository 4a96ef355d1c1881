#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Files that vanish or change while they are read.
. "$ST_SOURCE/tests/functions.sh"
make_root
make_config
# One that changes under the reader, some that come and go.
head -c 2000000 /dev/urandom >"$root/srv/growing"
round=0
while [ ! -e "$scratch/enough" ]; do
  round=$((round + 1))
  echo "$round" >>"$root/srv/growing"
  echo "$round" >"$root/srv/coming-$((round % 20))"
  rm -f "$root/srv/coming-$(((round + 7) % 20))"
done &
writer=$!
at_end "kill $writer 2>/dev/null"
for attempt in 1 2 3 4 5; do
  status=0
  systracker checkpoint >"$out" 2>"$err" || status=$?
  cat "$out" "$err"
  # Complete, or incomplete because of what never stood still.
  [ "$status" -eq 0 ] || [ "$status" -eq 1 ] || fail "attempt $attempt ended with $status"
  [ "$status" -eq 0 ] || contains "$err" '/srv/(growing|coming-)'
done
touch "$scratch/enough"
wait "$writer"
at_end_commands=:
expect_status 0 systracker checkpoint
expect_status 0 systracker cat latest /srv/growing
cmp "$out" "$root/srv/growing"
for file in "$root"/srv/coming-*; do
  expect_status 0 systracker cat latest "/srv/${file##*/}"
  cmp "$out" "$file"
done
expect_status 0 systracker status
expect_status 0 systracker verify
