#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# An archive whose disk is full, wherever that hits: it is said in one clear line, the archive is sound
# and has what it had, and the next sync sends the rest.  gc, too, needs no more room than there is.
. "$ST_SOURCE/tests/functions.sh"
if [ -z "${ST_UNSHARED:-}" ]; then
  need_root "mount"
  unshare -m true 2>/dev/null || skip "no mount namespaces here"
  rmdir "$scratch"
  ST_UNSHARED=1 exec unshare -m "$0"
fi
systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }
make_root
make_config
mkdir "$scratch/disk"
mount -t tmpfs -o size=8M,mode=0700 none "$scratch/disk" || skip "cannot mount a tmpfs here"
at_end "umount '$scratch/disk'"
archive=$scratch/disk/archive
systracker_archive init "$archive" >/dev/null
expect_status 0 systracker checkpoint
expect_status 0 systracker sync "$archive"
a=$(basename "$store"/hosts/*)

# Fills the disk until so many bytes are left.
fill()
{
  rm -f "$scratch/disk/full"
  dd if=/dev/zero of="$scratch/disk/full" bs=4096 2>/dev/null || :
  truncate -s "-$1" "$scratch/disk/full"
}
empty() { rm -f "$scratch/disk/full"; }
sound()
{
  expect_status 0 systracker_archive verify "$archive"
  contains "$out" 'nothing is damaged'
}

# Objects: more than there is room for.  Facts: so many that the catalog grows.
head -c 1500000 /dev/urandom >"$root/opt/large"
number=0
while [ $number -lt 2000 ]; do
  number=$((number + 1))
  : >"$root/opt/new-file-with-a-name-$number"
done
expect_status 0 systracker checkpoint
refused=0
for left in 4K 64K 400K 1M 1600K 1900K; do
  fill $left
  status=0
  systracker sync "$archive" >"$out" 2>"$err" || status=$?
  cat "$err"
  if [ $status -eq 0 ]; then
    echo "with $left left there was room enough"
    break
  fi
  refused=$((refused + 1))
  [ $status -eq 2 ] || fail "status $status with $left left"
  one_error 'cannot sync: .*(No space left|full)'
  expect_status 0 systracker_archive log "$archive" "$a"
  contains "$out" '^ +1 '
  empty
  sound
done
[ $refused -ge 3 ] || fail "the disk was not full often enough: $refused"
empty
expect_status 0 systracker sync "$archive"
expect_status 0 systracker sync "$archive"
contains "$out" '^nothing new'
sound
systracker_archive cat "$archive" "$a" 2 /opt/large | cmp - "$root/opt/large" || fail "cat"

# A package file.
need_program dpkg-deb
mkdir -p "$scratch/build/DEBIAN" "$scratch/debs"
printf 'Package: hello\nVersion: 1.0-1\nArchitecture: amd64\nMaintainer: none <none@localhost>\n%s\n' \
  'Description: toy' >"$scratch/build/DEBIAN/control"
head -c 300000 /dev/urandom >"$scratch/build/data"
dpkg-deb --root-owner-group -Znone -b "$scratch/build" "$scratch/debs/hello_1.0-1_amd64.deb" >/dev/null
expect_status 0 systracker packages --keep "$scratch/debs"
fill 64K
expect_status 2 systracker sync "$archive"
one_error 'cannot sync: .*No space left'
[ -z "$(find "$archive/packages" -type f)" ] || fail "a piece of a package file was left"
empty
expect_status 0 systracker sync "$archive"
contains "$out" '^sent 1 package files'
sound

# An epoch cannot be opened there for want of room: nothing is lost on either side.
cp -a "$store" "$scratch/image"
echo three >"$root/etc/issue"
expect_status 0 systracker checkpoint
expect_status 0 systracker sync "$archive"
rm -r "$store"
cp -a "$scratch/image" "$store"
fill 64K
expect_status 2 systracker sync "$archive"
contains "$err" 'No space left|full'
empty
sound
expect_status 0 systracker sync "$archive"
sound
expect_status 0 systracker_archive cat "$archive" "$a/epoch-1" 3 /etc/issue
contains "$out" '^three$'

# gc without room to write packs anew.
root=$scratch/root-b mine=$store store=$scratch/store-b
cp -a "$scratch/root" "$root"
rm "$root"/opt/*
head -c 500000 /dev/urandom >"$root/opt/of-b"
expect_status 0 systracker checkpoint
expect_status 0 systracker sync "$archive"
rm -r "$archive/hosts/$(basename "$store"/hosts/*)"
store=$mine root=$scratch/root
fill 64K
expect_status 2 systracker_archive gc "$archive"
contains "$err" 'cannot repack: .* bytes are needed'
empty
sound
expect_status 0 systracker_archive gc "$archive"
contains "$out" '^removed [1-9]'
sound
