#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What an archive has lost comes back with the next sync of a host that has it, and what a host has lost
# with a fetch from its archive: objects plain and secret, whole packs, package files.  What no chain
# names goes with gc, and nothing else.
. "$ST_SOURCE/tests/functions.sh"
need_program dpkg-deb

archive=$scratch/archive
systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }
make_root
make_config
systracker_archive init "$archive" >/dev/null
seq 1 20000 | sha256sum >"$root/opt/one"
seq 1 30000 >"$root/opt/large"
sed -i 's/max_size = "4M"/max_size = "64M"/' "$config"
head -c 9000000 /dev/urandom >"$root/srv/chunks" # in chunks
head -c 5500000 /dev/urandom >"$root/etc/ssl/private/chunks.pem"
printf 'very secret %s\n' "$(seq 1 300 | sha256sum)" >"$root/etc/ssl/private/key.pem"
mkdir -p "$scratch/build/DEBIAN" "$scratch/debs"
deb() # NAME VERSION
{
  printf 'Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: none <none@localhost>\n%s\n' \
    "$1" "$2" 'Description: toy' >"$scratch/build/DEBIAN/control"
  dpkg-deb --root-owner-group -b "$scratch/build" "$scratch/debs/$1_$2_amd64.deb" >/dev/null
}
deb hello 1.0-1
deb never 1
expect_status 0 systracker checkpoint
for n in 2 3 4; do
  seq 1 "$((30000 + n))" >"$root/opt/large" # a series of deltas
  printf 'night %s' "$n" | dd of="$root/srv/chunks" bs=1 seek=6000000 conv=notrunc status=none
  expect_status 0 systracker checkpoint
done
expect_status 0 systracker packages --keep "$scratch/debs"
expect_status 0 systracker sync "$archive"
a=$(basename "$store"/hosts/*)

sound()
{
  expect_status 0 systracker_archive verify "$archive"
  contains "$out" 'nothing is damaged'
  for n in 1 2 3 4; do
    systracker_archive cat "$archive" "$a" "$n" /opt/large | cmp - "$scratch/large$n" ||
      fail "/opt/large of $n"
    systracker_archive cat "$archive" "$a" "$n" /srv/chunks | cmp - "$scratch/chunks$n" ||
      fail "/srv/chunks of $n"
  done
}
for n in 1 2 3 4; do
  systracker cat "$n" /opt/large >"$scratch/large$n"
  systracker cat "$n" /srv/chunks >"$scratch/chunks$n"
done
sound
cp -a "$archive" "$scratch/whole-archive"
cp -a "$store" "$scratch/whole-store"
pack_of() { find "$1/packs" -name '*.pack' | sort | head -n 1; }
# spoil FILE N: every N-th piece of 512 bytes is overwritten in part.
spoil()
{
  size=$(stat -c %s "$1")
  at=64
  while [ "$at" -lt "$size" ]; do
    printf '\377\000\377' | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
    at=$((at + $2))
  done
}
deb_of() { find "$1/packages" -name '*_hello_*.deb'; }

# ---- The archive's, from the host --------------------------------------------------------------------
spoil "$(pack_of "$archive")" 30000
expect_status 2 systracker_archive verify "$archive"
[ -e "$archive/hosts/$a/wanted" ] || fail "it is not noted that the host has to send again"
expect_status 0 systracker sync "$archive"
contains "$out" '^sent [0-9]+ objects again that the archive had lost'
for n in 1 2 3 4; do
  systracker_archive cat "$archive" "$a" "$n" /opt/large | cmp - "$scratch/large$n" || fail "refilled: $n"
  systracker_archive cat "$archive" "$a" "$n" /srv/chunks | cmp - "$scratch/chunks$n" ||
    fail "refilled chunks: $n"
done
expect_status 0 systracker sync "$archive"
contains "$out" '^nothing new'
# What was damaged lies in its pack still, and is explained by what was sent again.
systracker_archive verify "$archive" >"$out" 2>"$err" || contains "$err" 'are no records'
store=$scratch/proof
expect_status 0 systracker fetch "$archive" --host "$a"
store=$scratch/store
expect_status 0 systracker_archive verify "$scratch/proof"

# A pack that is gone, seen without verify.
rm -r "$archive"
cp -a "$scratch/whole-archive" "$archive"
rm "$(pack_of "$archive")"
expect_status 0 systracker sync "$archive"
contains "$out" '^sent [0-9]+ objects again'
sound
expect_status 0 systracker sync "$archive"
contains "$out" '^nothing new'

# Cut short, and along with the index of objects.
size=$(stat -c %s "$(pack_of "$archive")")
truncate -s $((size / 2)) "$(pack_of "$archive")"
expect_status 0 systracker sync "$archive"
contains "$out" '^sent [0-9]+ objects again'
sound
rm "$archive"/packs/*
expect_status 2 systracker_archive verify "$archive"
expect_status 0 systracker sync "$archive"
sound

# A package file: damaged, of the same size; and gone.
printf 'X' | dd of="$(deb_of "$archive")" bs=1 seek=100 conv=notrunc status=none
expect_status 2 systracker_archive verify "$archive"
contains "$err" 'a package file has another digest than its name says'
[ -z "$(deb_of "$archive")" ] || fail "a damaged package file was not put aside"
expect_status 0 systracker sync "$archive"
contains "$out" '^sent 1 package files'
cmp "$(deb_of "$archive")" "$scratch/debs/hello_1.0-1_amd64.deb"
sound
rm "$(deb_of "$archive")"
expect_status 0 systracker sync "$archive"
contains "$out" '^sent 1 package files'
expect_status 0 systracker_archive gc "$archive"
contains "$out" '^removed 0 objects \(0 B\) and 1 package files'
[ -z "$(find "$archive/packages" -name '.damaged-*')" ] || fail "what was put aside is there still"

# A host that has lost it itself says so, and sends all else.
rm -r "$store"
cp -a "$scratch/whole-store" "$store"
spoil "$(pack_of "$store")" 90000
rm "$(pack_of "$archive")"
status=0
systracker sync "$archive" >"$out" 2>"$err" || status=$?
cat "$err"
[ $status -eq 1 ] || fail "status $status of a sync from a damaged store"
contains "$err" 'not sent: '
rm -r "$store" "$archive"
cp -a "$scratch/whole-store" "$store"
cp -a "$scratch/whole-archive" "$archive"

# ---- The host's, from the archive ---------------------------------------------------------------------
spoil "$(pack_of "$store")" 30000
printf 'X' | dd of="$(deb_of "$store")" bs=1 seek=100 conv=notrunc status=none
expect_status 2 systracker verify
contains "$err" '^systracker: damaged: '
expect_status 0 systracker fetch "$archive"
contains "$out" '^fetched 1 package files' "^fetched [0-9]+ objects of host $a"
for n in 1 2 3 4; do
  expect_status 0 systracker cat "$n" /opt/large
  cmp "$out" "$scratch/large$n" || fail "/opt/large of $n came back as another"
done
systracker cat 4 /srv/chunks | cmp - "$root/srv/chunks" || fail "chunks came back as others"
systracker cat --secrets 4 /etc/ssl/private/chunks.pem | cmp - "$root/etc/ssl/private/chunks.pem" ||
  fail "chunks of a secret came back as others"
expect_status 0 systracker cat --secrets 4 /etc/ssl/private/key.pem
cmp "$out" "$root/etc/ssl/private/key.pem" || fail "a secret came back as another"
cmp "$(deb_of "$store")" "$scratch/debs/hello_1.0-1_amd64.deb"
expect_status 0 systracker fetch "$archive"
contains "$out" '^nothing new'
rm "$store"/packs/*
expect_status 2 systracker verify
expect_status 0 systracker fetch "$archive"
expect_status 0 systracker verify
contains "$out" 'nothing is damaged'
seq 1 40000 >"$root/opt/large" # and it goes on
expect_status 0 systracker checkpoint
expect_status 0 systracker sync "$archive"

# ---- gc ---------------------------------------------------------------------------------------------------
expect_status 2 systracker_archive gc "$store"
one_error 'no archive of SysTracker'
before=$(find "$archive/packs" -name '*.pack' -exec cat {} + | wc -c)
expect_status 0 systracker_archive gc "$archive"
contains "$out" '^removed 0 objects .*; 1 package files of the last day were left'
[ "$(find "$archive/packs" -name '*.pack' -exec cat {} + | wc -c)" -eq "$before" ] ||
  fail "gc changed packs that are all needed"
# Two hosts, and one of them gone: what both have stays.
mine=$store
root=$scratch/root-b store=$scratch/store-b
cp -a "$scratch/root" "$root"
seq 7 70000 | sha256sum >"$root/opt/of-b-alone"
seq 1 9999 >"$root/opt/large-of-b"
expect_status 0 systracker checkpoint
expect_status 0 systracker sync "$archive"
b=$(basename "$store"/hosts/*)
rm -r "$archive/hosts/$b"
find "$archive/packages" -name '*.deb' -exec touch -d '3 days ago' {} +
full=$(find "$archive/packs" -name '*.pack' -exec cat {} + | wc -c)
cp -a "$archive" "$scratch/before-gc"
expect_status 0 systracker_archive --json gc "$archive"
contains "$out" '"removed":[1-9]' '"packages":1,'
[ "$(find "$archive/packs" -name '*.pack' -exec cat {} + | wc -c)" -lt "$full" ] ||
  fail "gc freed nothing"
[ -n "$(deb_of "$archive")" ] || fail "gc removed a package file that a checkpoint names"
[ -z "$(find "$archive/packages" -name '*_never_*')" ] || fail "gc left a package file that none names"
sound
expect_status 0 systracker_archive gc "$archive"
contains "$out" '^removed 0 objects'
# The host that was removed comes again whole.
expect_status 0 systracker sync "$archive"
contains "$out" '^sent checkpoint 1 with [1-9]'
expect_status 0 systracker_archive verify "$archive"
# With a chain that cannot be read nothing goes.
root=$scratch/root store=$mine
rm -r "$archive"
cp -a "$scratch/before-gc" "$archive"
mv "$archive/hosts/$a/catalog.db" "$scratch/catalog.db"
expect_status 2 systracker_archive gc "$archive"
one_error 'nothing was removed'
mv "$scratch/catalog.db" "$archive/hosts/$a/catalog.db"
sound
# Killed anywhere.
i=1
while [ $i -le 8 ]; do
  killed_after "0.0$i" "${ST_SYSTRACKER%/*}/systracker-archive" gc "$archive"
  sound
  [ $((i % 4)) -ne 0 ] || { rm -r "$archive"; cp -a "$scratch/before-gc" "$archive"; }
  i=$((i + 1))
done
expect_status 0 systracker_archive gc "$archive"
sound
# It waits for who is sending.
hold "$archive/lock"
systracker_archive gc "$archive" >"$out" 2>"$err" &
gc=$!
soon grep -q 'waiting for the archive' "$err" || fail "gc does not wait"
let_go
wait $gc || fail "gc that has waited: $(cat "$err")"
