#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Package files in a Debian root: apt's hook as apt runs it, and what is fetched for another root.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"
need_program dpkg-deb
make_debian
shipped_config
echo "package_caches = { }" >>"$config"
# shellcheck disable=SC2016
installed() { in_root dpkg-query -W -f '${Package} ${Version} ${Architecture}\n' "$@"; }

# ---- From outside: what the root's own apt can fetch of what is not kept.
# A package of the root's own repository, which needs no network, and one of none.
mkdir -p "$scratch/build/DEBIAN" "$root/srv/repository"
toy()
{
  printf 'Package: %s\nVersion: %s\nArchitecture: all\n' "$1" "$2" >"$scratch/build/DEBIAN/control"
  printf 'Maintainer: Nobody <nobody@localhost>\nDescription: toy\n' \
    >>"$scratch/build/DEBIAN/control"
  dpkg-deb --root-owner-group -b "$scratch/build" "$3" >>"$scratch/dpkg-deb.log"
}
toy toy-here 1:2.0-1 "$root/srv/repository/toy-here_1%3a2.0-1_all.deb"
toy toy-nowhere 1.0 "$root/srv/toy-nowhere.deb"
(
  cd "$root/srv/repository"
  for file in *.deb; do
    dpkg-deb -f "$file"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$file" "$(stat -c %s "$file")" \
      "$(sha256sum "$file" | cut -d ' ' -f 1)"
  done >Packages
)
mkdir "$scratch/lists"
cp -a "$root/var/lib/apt/lists/." "$scratch/lists/"
mv "$root/etc/apt/sources.list" "$scratch/sources.list"
echo 'deb [trusted=yes] file:/srv/repository ./' >"$root/etc/apt/sources.list"
in_root apt-get -qq update
install_in_root toy-here
in_root dpkg -i /srv/toy-nowhere.deb >"$scratch/dpkg.log"
rm "$root/srv/toy-nowhere.deb"
find "$root/var/cache/apt" -name 'toy*' -delete

expect_status 0 systracker checkpoint
expect_status 0 systracker packages
contains "$out" '^missing     toy-nowhere 1.0 all$' '^missing     base-files '
expect_status 1 systracker packages --fetch-missing
contains "$out" '^kept        toy-here 1:2.0-1 all$' '^missing     toy-nowhere 1.0 all$' \
  'new in the store: 1$'
lacks "$out" 'missing     toy-here'
[ -z "$(find "$root/var/tmp" -name 'systracker-*')" ] || fail "the folder for downloads stays"
expect_status 0 systracker packages
contains "$out" '^kept        toy-here 1:2.0-1 all  '

# What came is not what apt promised: apt refuses it, and nothing is kept.
rm -r "$store/packages"
toy toy-here 1:2.0-1 "$root/srv/repository/toy-here_1%3a2.0-1_all.deb"
echo changed >>"$root/srv/repository/toy-here_1%3a2.0-1_all.deb"
expect_status 1 systracker packages --fetch-missing
contains "$out" '^missing     toy-here 1:2.0-1 all$' 'new in the store: 0$'

# A root without apt: what is missing is said.
mv "$root/usr/bin/apt-cache" "$scratch/apt-cache"
expect_status 1 systracker packages --fetch-missing
contains "$out" '^missing     toy-here 1:2.0-1 all$'
mv "$scratch/apt-cache" "$root/usr/bin/apt-cache"
mv "$scratch/sources.list" "$root/etc/apt/sources.list"
rm -rf "${root:?}/var/lib/apt/lists"
mv "$scratch/lists" "$root/var/lib/apt/lists"
expect_status 0 systracker packages
contains "$out" '^obtainable  base-files '

# ---- From inside: SysTracker is installed there, and apt runs the hook.
install_systracker
in_root "$ST_BINDIR/systracker" checkpoint >"$scratch/checkpoint.log" 2>&1 ||
  { cat "$scratch/checkpoint.log"; fail "the checkpoint within"; }
config_file=$(cd "$root" && find usr -path '*/systracker/apt/80systracker')
ln -s "/$config_file" "$root/etc/apt/apt.conf.d/80systracker"
# shellcheck disable=SC2086
install_in_root $first_packages
packages=$root/var/lib/systracker/packages
# shellcheck disable=SC2086
installed $first_packages >"$scratch/installed"
while read -r name version architecture; do
  find "$packages" -name "*_${name}_*_$architecture.deb" >"$scratch/found"
  [ "$(wc -l <"$scratch/found")" -eq 1 ] || fail "not kept: $name $version $architecture"
  read -r found <"$scratch/found"
  [ "$(dpkg-deb -f "$found" Version)" = "$version" ] || fail "another version: $found"
  file=${found##*/}
  [ "$(sha256sum "$found" | cut -d ' ' -f 1)" = "${file%%_*}" ] || fail "another digest: $found"
done <"$scratch/installed"
in_root "$ST_BINDIR/systracker" checkpoint >"$scratch/checkpoint.log" 2>&1
in_root "$ST_BINDIR/systracker" packages >"$out"
contains "$out" '^kept        hello '

# It fails open: a store that is a file, a program that is gone.
mv "$packages" "$scratch/packages"
: >"$packages"
install_in_root cron
contains "$scratch/apt.log" 'systracker-apt-hook: warning: '
hook=$(find "$root/usr" -name systracker-apt-hook)
mv "$hook" "$scratch/hook"
install_in_root tree
in_root dpkg-query -W cron tree >"$scratch/out"
