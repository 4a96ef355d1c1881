# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154
# toys.sh - small packages of our own, and what dpkg says of a root; sourced after debian.sh.

debs=$scratch/debs
mkdir "$debs"
unshare -n true 2>/dev/null || skip "no network namespaces here"
offline() { unshare -n "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" "$@"; }

# Nothing is started here either, while the test itself installs; a restore has to see to it alone.
quietly()
{
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  "$@" >"$scratch/quietly.log" 2>&1 || { tail -n 20 "$scratch/quietly.log"; fail "$*"; }
  rm "$root/usr/sbin/policy-rc.d"
}

# toy NAME VERSION [FIELD...]: with a configuration file, a program, and a postinst that tells.
toy()
{
  name=$1 version=$2
  shift 2
  build=$scratch/build
  rm -rf "$build"
  mkdir -p "$build/DEBIAN" "$build/etc" "$build/usr/bin"
  printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: Nobody <nobody@localhost>\n' \
    "$name" "$version" >"$build/DEBIAN/control"
  for field in "$@"; do echo "$field" >>"$build/DEBIAN/control"; done
  printf 'Description: toy\n' >>"$build/DEBIAN/control"
  echo "/etc/$name.conf" >"$build/DEBIAN/conffiles"
  echo "shipped with $version" >"$build/etc/$name.conf"
  printf '#!/bin/sh\necho %s\n' "$version" >"$build/usr/bin/$name"
  chmod 755 "$build/usr/bin/$name"
  (cd "$build" && md5sum "usr/bin/$name") >"$build/DEBIAN/md5sums"
  # A service: it is started where nobody forbids it, as invoke-rc.d(8) has it.
  printf '#!/bin/sh\n[ -x /usr/sbin/policy-rc.d ] || touch /started\n' >"$build/DEBIAN/postinst"
  chmod 755 "$build/DEBIAN/postinst"
  dpkg-deb --root-owner-group -b "$build" "$debs/${name}_$version.deb" >>"$scratch/dpkg-deb.log"
}

# install_toys NAME_VERSION...
install_toys()
{
  for name in "$@"; do cp "$debs/$name.deb" "$root/var/tmp/"; done
  quietly in_root sh -c 'dpkg --force-confold --force-depends -i /var/tmp/*.deb'
  rm "$root"/var/tmp/*.deb
}

# look_at_packages FILE: all that dpkg and its kin know, in FILE.packages and its kin.  What
# dpkg --verify finds is what the administrator changed, and has to be found again.
look_at_packages()
{
  # shellcheck disable=SC2016
  in_root dpkg-query -W -f '${Package} ${Version} ${Architecture} ${Status}\n' >"$1.packages"
  # shellcheck disable=SC2016
  in_root dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n${Conffiles}\n' >"$1.conffiles"
  { in_root apt-mark showauto; in_root apt-mark showhold; } >"$1.marks"
  in_root dpkg --get-selections '*' >"$1.selections"
  in_root update-alternatives --get-selections >"$1.alternatives"
  { in_root dpkg-divert --list; in_root dpkg-statoverride --list || :; } >"$1.overrides"
  in_root dpkg --verify >"$1.verify" || :
}

# same_packages BEFORE NOW WHAT
same_packages()
{
  for part in packages conffiles marks selections alternatives overrides verify; do
    diff "$1.$part" "$2.$part" >"$scratch/difference" ||
      { head -n 40 "$scratch/difference"; fail "$3: $part"; }
  done
  in_root dpkg --audit >"$scratch/audit"
  [ ! -s "$scratch/audit" ] || { cat "$scratch/audit"; fail "dpkg --audit: $3"; }
  [ -z "$(find "$root/etc" "$root/usr" -name '*.dpkg-*')" ] ||
    fail "dpkg's own copies stay: $(find "$root/etc" "$root/usr" -name '*.dpkg-*')"
}

# all_of_root FILE, unchanged WHAT: every entry of the root, directories' times included.  Where no
# inode was touched since, no content needs to be read again: nobody sets the time of change.
all_of_root()
{
  touched "$1.touched"
  full_manifest "$1" .
  [ "$(tr '\0' '\n' <"$1" | wc -l)" -gt 10000 ] || fail "the comparison saw too little"
}
touched() { (cd "$root" && find . -printf '%p %D %i %y %m %U:%G %s %T@ %C@ %n -> %l\0' | sort -z) >"$1"; }
unchanged()
{
  touched "$scratch/touched.now"
  cmp -s "$scratch/everything.touched" "$scratch/touched.now" && return
  full_manifest "$scratch/everything.now" .
  cmp -s "$scratch/everything" "$scratch/everything.now" && return
  for file in everything everything.now; do tr '\n\0' '\001\n' <"$scratch/$file" >"$scratch/$file.lines"; done
  diff "$scratch/everything.lines" "$scratch/everything.now.lines" | head -n 20
  fail "the root was changed: $1"
}

# What the comparison leaves out: what programs make anew from other files, as the shipped
# configuration says of them; backups that the tools of accounts leave are tracked, and compared.
left_out='^(etc/ld\.so\.cache|usr/share/info/dir|var/.*)$'
echo "left out of the comparison: sizes and times of directories, and $left_out"
look()
{
  look_at_packages "$1"
  manifest "$1.all" etc usr opt root boot srv
  tr '\n\0' '\001\n' <"$1.all" | awk -v out="$left_out" '
    { path = $1; if (path ~ /^[0-9a-f]+$/ && length(path) == 64) path = $2 } path !~ out' >"$1"
}
# equal NIGHT WHAT: the root is as `look` saw it that night.
equal()
{
  look "$scratch/now"
  [ "$(wc -l <"$scratch/now")" -gt 5000 ] || fail "the comparison saw too little"
  diff "$scratch/$1" "$scratch/now" >"$scratch/difference" ||
    { head -n 40 "$scratch/difference"; fail "not as at $1: $2"; }
  same_packages "$scratch/$1" "$scratch/now" "not as at $1: $2"
  [ -z "$(find "$root/var/lib" -maxdepth 1 -name 'systracker*')" ] || fail "a folder stays"
}
