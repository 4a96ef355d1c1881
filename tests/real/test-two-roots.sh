#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Two Debian roots that share nine tenths of what they are cost an archive little more than one: their
# files, and the package files that each has kept.  Each chain is whole, and neither is the other.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"

archive=$scratch/archive
systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }
size_of() { if [ -e "$1" ]; then du -sb "$1" | cut -f1; else echo 0; fi; }
sum() { echo $(($(size_of "$archive/packs") + $(size_of "$archive/packages"))); }
canary='canary-5d02b7aa61'

make_host() # NAME PACKAGE...
{
  name=$1
  shift
  root=$scratch/root-$name store=$scratch/store-$name config=$scratch/$name.conf
  make_debian
  shipped_config
  # All content of this root is kept, so that it costs what it would at its worst.
  sed -i 's|^  track = { "/etc", "/usr/local", "/opt", "/root", "/srv", "/var/spool/cron" }|  track = { "/etc", "/usr", "/opt", "/root", "/srv" }|' "$config"
  install_in_root "$@"
  echo "$name" >"$root/etc/hostname"
  printf 'root:%s:19000:0:99999:7:::\n' "$canary-$name" >"$root/etc/shadow"
  mkdir -p "$root/opt/own"
  seq 1 20000 | sed "s/^/$name /" | sha256sum >"$root/opt/own/$name"
  head -c 400000 /dev/urandom >"$root/opt/own/data"
  debs=$scratch/debs-$name
  mkdir "$debs"
  for deb in "$root"/var/cache/apt/archives/*.deb; do
    package=$(dpkg-deb -f "$deb" Package)
    # shellcheck disable=SC2016
    in_root dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed &&
      cp "$deb" "$debs/"
  done
  [ -n "$(ls "$debs")" ] || fail "no package file of $name"
  expect_status 0 systracker checkpoint -m "$name as installed"
  expect_status 0 systracker packages --keep "$debs"
}

systracker_archive init "$archive" >"$scratch/recovery.key"
make_host a hello ed less
expect_status 0 systracker sync "$archive"
one=$(sum)
a=$(basename "$store"/hosts/*)
make_host b hello ed bc
expect_status 0 systracker sync "$archive"
both=$(sum)
b=$(basename "$store"/hosts/*)
rm -rf "$scratch/alone"
systracker_archive init "$scratch/alone" >/dev/null
expect_status 0 systracker sync "$scratch/alone"
alone=$(($(size_of "$scratch/alone/packs") + $(size_of "$scratch/alone/packages")))
echo "bytes in the archive: of one root $one, of the other alone $alone, of both $both:" \
  "the second costs $((100 * (both - one) / alone)) in 100 of what it is"
[ "$one" -gt 20000000 ] || fail "so little is no Debian root"
[ $((both - one)) -lt $((alone / 5)) ] || fail "the second root costs too much"
# The catalogs are each host's own.
echo "catalogs: $(size_of "$archive/hosts/$a") and $(size_of "$archive/hosts/$b") bytes"

expect_status 0 systracker_archive verify "$archive"
contains "$out" '2 chains with 2 checkpoints' 'nothing is damaged'
expect_status 0 systracker_archive hosts "$archive"
contains "$out" "^$a +a " "^$b +b "
for name in a b; do
  cp "$scratch/root-$name/etc/shadow" "$scratch/secret"
  no_secret "$archive" "$scratch/store-$name" "$scratch/secret" "$canary-$name" \
    "$scratch/root-$name/etc/passwd"
  expect_status 0 systracker_archive cat "$archive" "$name" 1 "/opt/own/$name"
  cmp "$out" "$scratch/root-$name/opt/own/$name" || fail "$name has another's content"
done
expect_status 1 systracker_archive cat "$archive" a 1 /opt/own/b
# Each one comes back with its own packages, and no more than them.
store=$scratch/fetched
expect_status 0 systracker fetch "$archive" --host a
find "$store/packages" -name '*.deb' -exec sha256sum {} + | cut -c1-64 | sort >"$scratch/have"
find "$scratch/debs-a" -name '*.deb' -exec sha256sum {} + | cut -c1-64 | sort -u >"$scratch/want"
cmp "$scratch/have" "$scratch/want" || fail "the package files of a are others"
expect_status 0 systracker_archive verify "$store"
