#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Package files: kept by hand and by apt's hook, found again, told by coverage.
. "$ST_SOURCE/tests/functions.sh"
need_program dpkg-deb

hook=$(find "$ST_STAGE" -name systracker-apt-hook -type f)
debs=$scratch/debs

# deb NAME VERSION [ARCHITECTURE]: a toy package's file in $debs, its name as apt would have it.
deb()
{
  mkdir -p "$scratch/build/DEBIAN" "$scratch/build/usr/share/$1" "$debs"
  echo "$1 $2" >"$scratch/build/usr/share/$1/data"
  cat >"$scratch/build/DEBIAN/control" <<END
Package: $1
Version: $2
Architecture: ${3:-all}
Maintainer: Nobody <nobody@localhost>
Description: toy
END
  dpkg-deb --root-owner-group -b "$scratch/build" \
    "$debs/$1_$(echo "$2" | sed 's/:/%3a/')_${3:-all}.deb" >"$scratch/dpkg-deb.log"
  rm -r "$scratch/build"
}

make_root
make_config
deb hello 1.0-1 amd64
deb libfoo 1:2.3
deb toy 1
deb 'a.b+c' '1:2~rc1+b3-4' all
expect_status 2 systracker packages
one_error 'there is no store yet'

# Kept before the first checkpoint: the store is made, and nothing else is.
expect_status 0 systracker packages --keep "$debs/toy_1_all.deb"
contains "$out" '^kept        toy 1 all$'
[ "$(stat -c %a "$store")" = 700 ] || fail "the new store is open to others"
expect_status 2 systracker packages
one_error 'no checkpoint'
mkdir "$scratch/other" && echo mine >"$scratch/other/file"
expect_status 2 "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$scratch/other" \
  packages --keep "$debs"
one_error 'no store of SysTracker'
[ "$(ls -A "$scratch/other")" = file ] || fail "another folder was taken for a store"
packages 'hello 1.0-1' 'libfoo 1:2.3' 'gone 7'
sed -i '/^Package: libfoo/,/^$/ s/amd64/all/' "$root/var/lib/dpkg/status"
sed -i '/^Package: gone/,/^$/ s/ok installed/ok config-files/' "$root/var/lib/dpkg/status"
expect_status 0 systracker checkpoint

# Nothing is kept; what only left its configuration needs no file.
expect_status 0 systracker packages
contains "$out" '^missing     hello 1.0-1 amd64$' '^missing     libfoo 1:2.3 all$' \
  '^2 installed: the files of 0 are kept, 0 are obtainable by the package manager.s lists, 0 are repacked, 2 are missing$'
lacks "$out" gone
expect_status 0 systracker coverage
contains "$out" '^packages installed: 2; package files kept: 0' 'not kept:' '  hello 1.0-1 amd64'

# What is none is named, and the others are kept.
echo none >"$debs/none.deb"
ln -s "$debs/toy_1_all.deb" "$scratch/link.deb"
expect_status 1 systracker packages --keep "$debs" "$scratch/link.deb" "$scratch/nowhere.deb"
contains "$err" 'not a package file, or damaged \(none.deb\)' 'nowhere.deb'
contains "$out" '^kept        hello 1.0-1 amd64$' \
  '^kept        a.b\+c 1:2~rc1\+b3-4 all$' 'new in the store: 3$'
rm "$debs/none.deb"
expect_status 0 systracker packages --keep "$debs"
contains "$out" 'new in the store: 0$'
expect_status 0 systracker packages
contains "$out" '^kept        hello 1.0-1 amd64  \(' '^kept        libfoo 1:2.3 all  \('
expect_status 0 systracker packages --json
[ "$(jq -r 'select(.package == "libfoo") | .digest' "$out")" = \
  "$(sha256sum "$debs/libfoo_1%3a2.3_all.deb" | cut -d ' ' -f 1)" ] || fail "another digest"
expect_status 0 systracker coverage
contains "$out" '^packages installed: 2; package files kept: 2 \('
expect_status 0 systracker coverage --json
[ "$(jq .packages_kept "$out")" = 2 ] || fail "packages_kept"
(cd "$store/packages" && find . -type f -printf '%m %f\n') >"$scratch/kept"
[ "$(grep -c '^600 [0-9a-f]\{64\}_' "$scratch/kept")" -eq 4 ] || fail "$(cat "$scratch/kept")"

# Damage is found, and mended by keeping the file again.
kept=$(find "$store/packages" -name '*_toy_1_all.deb')
echo more >>"$kept"
expect_status 2 systracker verify
contains "$err" 'another digest than its name says \(packages/.*_toy_1_all.deb\)'
expect_status 0 systracker packages --keep "$debs/toy_1_all.deb"
expect_status 0 systracker verify

# Nonsense is refused in words.
expect_status 2 systracker packages --keep
expect_status 2 systracker packages toy

# ---- apt's hook: it finds the store by the configuration, and its status is 0, always.
# apt_says LINE...: what apt would say before it installs.
apt_says()
{
  printf 'VERSION 3\nAPT::Architecture=amd64\nDpkg::Some=thing < - - 1 - - /etc/passwd\n\n'
  printf '%s\n' "$@"
}
expect_hook()
{
  apt_says "$@" >"$scratch/said"
  status=0
  SYSTRACKER_CONFIG=$config "$hook" <"$scratch/said" >"$out" 2>"$err" || status=$?
  cat -v "$out" "$err"
  [ "$status" -eq 0 ] || fail "the hook ended with $status"
}
rm -r "$store/packages"
expect_hook "hello - - none < 1.0-1 amd64 none $debs/hello_1.0-1_amd64.deb" \
  "libfoo 1:2.2 all none < 1:2.3 all foreign $debs/libfoo_1%3a2.3_all.deb" \
  'gone 7 amd64 none > - - none **REMOVE**' 'hello - - none < 1.0-1 amd64 none **CONFIGURE**'
[ ! -s "$err" ] || fail "it complained"
expect_status 0 systracker packages
contains "$out" '^2 installed: the files of 2 are kept'

# Lines that are none, files that are not there: said, and the others kept.
mkdir "$scratch/with space"
cp "$debs/toy_1_all.deb" "$scratch/with space/toy_1_all.deb"
mkfifo "$scratch/fifo"
expect_hook '/' ' ' '<' 'x - - - < 1 all none' 'x - - none ? 1 all none /etc/passwd' \
  'x  - none < 1 all none /etc/passwd' "lost - - none < 1 all none $debs/lost.deb" \
  "pipe - - none < 1 all none $scratch/fifo" "folder - - none < 1 all none $debs" \
  "../../x - - none < 1/../2 all none $debs/toy_1_all.deb" \
  "toy - - none < 1 all none $scratch/with space/toy_1_all.deb" \
  "$(head -c 100000 /dev/zero | tr '\0' x) - - none < 1 all none $debs/toy_1_all.deb"
[ "$(grep -c '^systracker.*: a package file is not kept: ' "$err")" -eq 10 ] || fail "complaints"
[ -n "$(find "$store/packages" -name '*_toy_1_all.deb')" ] || fail "toy is not kept"
find "$store/packages" -type f ! -path "$store/packages/[0-9a-f][0-9a-f]/*" >"$scratch/strange"
[ ! -s "$scratch/strange" ] || fail "strange files: $(cat "$scratch/strange")"
[ -n "$(find "$store/packages" -name '*_..%2f..%2fx_1%2f..%2f2_all.deb')" ] || fail "odd name"

# Another protocol, nothing at all, a bad configuration, no store, a store that cannot be written.
echo 'VERSION 2' >"$scratch/said"
for said in "$scratch/said" /dev/null; do
  SYSTRACKER_CONFIG=$config "$hook" <"$said" 2>"$err" || fail "the hook failed"
  contains "$err" 'does not speak version 3'
done
apt_says "toy - - none < 1 all none $debs/toy_1_all.deb" >"$scratch/said"
echo 'store = ' >"$scratch/bad.conf"
SYSTRACKER_CONFIG=$scratch/bad.conf "$hook" <"$scratch/said" 2>"$err" || fail "the hook failed"
contains "$err" 'package files are not kept: '
echo "store = \"$scratch/none\"" >"$scratch/none.conf"
SYSTRACKER_CONFIG=$scratch/none.conf "$hook" <"$scratch/said" 2>"$err" || fail "the hook failed"
[ ! -e "$scratch/none" ] || fail "the hook made a store"
[ ! -s "$err" ] || fail "it complained of no store"
sed 's/^min_free.*/min_free = "1000T"/' "$config" >"$scratch/full.conf"
rm -r "$store/packages"
SYSTRACKER_CONFIG=$scratch/full.conf "$hook" <"$scratch/said" 2>"$err" || fail "the hook failed"
contains "$err" 'No space left'
[ -z "$(find "$store/packages" -type f 2>"$scratch/no-such-folder")" ] || fail "something was kept"
: >"$store/packages"
SYSTRACKER_CONFIG=$config "$hook" <"$scratch/said" 2>"$err" || fail "the hook failed"
contains "$err" 'package files are not kept: '
rm "$store/packages"

# A running checkpoint holds the store's lock; the hook does not care.
flock "$store/lock" env SYSTRACKER_CONFIG="$config" "$hook" <"$scratch/said"
[ -n "$(find "$store/packages" -name '*_toy_1_all.deb')" ] || fail "not kept under the lock"
