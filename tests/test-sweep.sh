#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What apt's cache has of installed packages, each checkpoint keeps: by the names that apt gives, each
# file read once, and from the configured folders alone.
. "$ST_SOURCE/tests/functions.sh"
need_program dpkg-deb
make_root
make_config
packages 'toy 1:2.0-1' 'other 1.0' 'late 3'
cache=$root/var/cache/apt/archives
mkdir -p "$cache/partial" "$scratch/build/DEBIAN"
# deb NAME VERSION FILE
deb()
{
  printf 'Package: %s\nVersion: %s\nArchitecture: amd64\n' "$1" "$2" >"$scratch/build/DEBIAN/control"
  printf 'Maintainer: Nobody <nobody@localhost>\nDescription: toy\n' >>"$scratch/build/DEBIAN/control"
  dpkg-deb --root-owner-group -b "$scratch/build" "$3" >"$scratch/dpkg-deb.log"
}
deb toy 1:2.0-1 "$cache/toy_1%3a2.0-1_amd64.deb"
deb toy 1.0 "$cache/toy_1.0_amd64.deb"
deb toy 1.0 "$cache/other_1.0_amd64.deb"
deb late 3 "$cache/partial/late_3_amd64.deb"
echo 'no package' >"$cache/late_3_amd64.deb"
ln -s toy_1.0_amd64.deb "$cache/link_1_amd64.deb"
kept() { find "$store/packages" -name '*.deb' 2>/dev/null | wc -l; }

expect_status 2 systracker status
[ ! -e "$store" ] || fail "looking keeps"
expect_status 0 systracker checkpoint
[ "$(kept)" -eq 1 ] || fail "kept: $(kept)"
contains "$scratch/log" '1 package files of installed packages were kept from caches' \
  'not kept: it is toy 1.0 amd64 ./var/cache/apt/archives/other_1.0_amd64.deb' \
  'not kept: not a package file, or damaged ./var/cache/apt/archives/late_3_amd64.deb'
[ "$(wc -l <"$store/swept.deb")" -eq 2 ] || fail "two files are no such packages"

# Not read again; but when one became another, and when one is installed later.
lines=$(grep -c 'not kept' "$scratch/log")
expect_status 0 systracker checkpoint
[ "$(grep -c 'not kept' "$scratch/log")" -eq "$lines" ] || fail "read twice"
deb late 3 "$cache/late_3_amd64.deb"
packages 'toy 1.0' 'other 1.0' 'late 3'
expect_status 0 systracker checkpoint
[ "$(kept)" -eq 3 ] || fail "kept: $(kept)"
[ "$(wc -l <"$store/swept.deb")" -eq 1 ] || fail "one file is no such package"
expect_status 0 systracker packages
contains "$out" '^kept        toy 1.0 amd64 ' '^kept        late 3 amd64 ' '^missing     other 1.0 amd64$'

# What the store notes of it may be lost or damaged.
echo nonsense >"$store/swept.deb"
expect_status 0 systracker checkpoint
[ "$(wc -l <"$store/swept.deb")" -eq 1 ] || fail "not written again"

# No space: said in the log, and the checkpoint is made.
rm -r "$store/packages"
sed -i 's/^min_free.*/min_free = "1000T"/' "$config"
expect_status 0 systracker checkpoint
[ "$(kept)" -eq 0 ] || fail "kept without space"
contains "$scratch/log" 'cannot keep the package file: No space left'
sed -i 's/^min_free.*/min_free = "1M"/' "$config"

# Not from where nobody wants it; from another folder.
echo 'package_caches = { }' >>"$config"
expect_status 0 systracker checkpoint
[ "$(kept)" -eq 0 ] || fail "kept against the configuration"
mv "$cache" "$root/srv/cache"
sed -i 's|^package_caches.*|package_caches = { "/srv/cache" }|' "$config"
expect_status 0 systracker checkpoint
[ "$(kept)" -eq 2 ] || fail "kept: $(kept)"
expect_status 0 systracker verify
