#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Large files are kept in chunks: what a small change costs, zeros, damage, an archive, and back.
. "$ST_SOURCE/tests/functions.sh"
megabytes=${ST_LARGE_MEGABYTES:-12}
# However large it is, no more than some MiB of it are held in memory.
case ${ST_SANITIZERS:-no} in
no)
  # shellcheck disable=SC3045
  ulimit -v 450000
  ;;
esac
make_root
make_config
sed -i 's/max_size = "4M"/max_size = "64G"/' "$config"
large=$root/srv/large
packs() { find "$store/packs" -name '*.pack' -printf '%s\n' | awk '{ s += $1 } END { print s }'; }
kept() { systracker cat "$1" /srv/large | sha256sum; }
archive=$scratch/archive
systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }

head -c "${megabytes}M" /dev/urandom >"$large"
one=$(sha256sum <"$large")
expect_status 0 systracker checkpoint
first=$(packs)
# Somewhere in the middle, on no boundary.
printf 'changed' | dd of="$large" bs=1 seek=$((megabytes * 524288 + 7)) conv=notrunc status=none
two=$(sha256sum <"$large")
expect_status 0 systracker checkpoint
second=$(packs)
# Put in front of all, everything shifts.
{ printf 'new '; cat "$large"; } >"$large.new"
mv "$large.new" "$large"
three=$(sha256sum <"$large")
expect_status 0 systracker checkpoint
third=$(packs)
truncate -s 0 "$large"
truncate -s "${megabytes}M" "$large"
expect_status 0 systracker checkpoint
fourth=$(packs)
echo "$megabytes MiB: $first bytes; one place changed: $((second - first)); shifted:" \
  "$((third - second)); all zeros: $((fourth - third))"
[ $((first - megabytes * 1048576)) -lt 200000 ] || fail "the first costs more than itself"
for cost in $((second - first)) $((third - second)); do
  [ "$cost" -lt 8388608 ] || fail "a small change costs more than two chunks"
done
[ $((fourth - third)) -lt 10000 ] || fail "zeros cost something"
[ "$(kept 1) $(kept 2) $(kept 3)" = "$one $two $three" ] || fail "cat"
[ "$(kept 4)" = "$(head -c "${megabytes}M" /dev/zero | sha256sum)" ] || fail "cat of zeros"
expect_status 0 systracker verify

# An archive gets all of it, and gives it back.
expect_status 0 systracker_archive init "$archive"
expect_status 0 systracker sync "$archive"
expect_status 0 systracker_archive verify "$archive"

# A damaged chunk is named, and is brought again.
pack=$(find "$store/packs" -name '*.pack' | sort | head -n 1)
printf 'damage' | dd of="$pack" bs=1 seek=$((megabytes * 262144)) conv=notrunc status=none
expect_status 2 systracker verify
contains "$err" "checksum is wrong"
! systracker cat 1 /srv/large >"$out" 2>"$err" || fail "cat of what is damaged"
contains "$err" "checksum is wrong"
expect_status 0 systracker fetch "$archive"
expect_status 0 systracker verify
[ "$(kept 1)" = "$one" ] || fail "cat of what was brought again"

expect_status 0 systracker restore --checkpoint 2 --packages=none --yes
[ "$(sha256sum <"$large")" = "$two" ] || fail "restore"
expect_status 0 systracker undo --yes
cmp -n "$((megabytes * 1048576))" "$large" /dev/zero || fail "undo"
