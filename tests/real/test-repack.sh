#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Packages that nobody has any more are put together again from what is installed: of rpm and of
# dpkg.  What comes of it installs as the package did, says what it is, and is nowhere taken for the
# package's own file.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"
. "$ST_SOURCE/tests/rpm-lab.sh"
need_rpm_lab
need_program dpkg-deb
one_file() { [ "$(stat -c %d:%i "$1")" = "$(stat -c %d:%i "$2")" ]; }

# ---- rpm.
make_rpm_root
make_config
sed -i 's/plugin dpkg_track.*/plugin rpm_track { }/' "$config"
lab_install lab-conf-1 lab-links-1 lab-priv-1 lab-doc-1 lab-script-1 lab-epoch-0.5 lab-types-1
echo changed >>"$root/etc/lab/keep.conf"
rm "$root/usr/share/lab-doc/empty"
expect_status 0 systracker checkpoint
expect_status 0 systracker packages --keep "$lab/repo/lab-types-1-1.noarch.rpm"
expect_status 0 systracker packages --repack
contains "$out" '^repacked    lab-conf 1-1 noarch$' \
  '^repacked    lab-doc 1-1 noarch  .1 of its paths are not there.$' 'new in the store: 9$'
lacks "$out" 'lab-types'
expect_status 0 systracker packages
contains "$out" '^repacked    lab-conf 1-1 noarch  ' '^kept        lab-types 1-1 noarch  ' \
  '^10 installed: the files of 1 are kept, 0 are obtainable .*, 9 are repacked, 0 are missing$'
expect_status 0 systracker packages --json
contains "$out" '"package": ?"lab-conf".*"file": ?"repacked"'
expect_status 0 systracker coverage
contains "$out" '^  lab-conf 1-1 noarch: repacked$'
expect_status 0 systracker packages --repack
contains "$out" 'new in the store: 0$'
expect_status 0 systracker verify

# It installs, all digests being proved, and is what was there.
again=$scratch/again
mkdir "$again"
HOME=$lab_home rpm --root "$again" --initdb
find "$store/packages" -name '*.repacked-rpm' >"$scratch/repacked"
while read -r made; do
  HOME=$lab_home rpmkeys --root "$again" -Kv --nosignature "$made" >"$scratch/proved" ||
    { cat "$scratch/proved"; fail "$made"; }
  contains "$scratch/proved" 'Header SHA256 digest: OK' 'Payload SHA256 digest: OK'
  [ "$(rpm -qp --qf '%{cookie}' "$made")" = \
    'repacked by SysTracker from the installed files, which may have been changed' ] ||
    fail "it does not say what it is: $made"
done <"$scratch/repacked"
# shellcheck disable=SC2046
HOME=$lab_home rpm --force-debian --root "$again" -i $(cat "$scratch/repacked") \
  "$lab/repo/lab-types-1-1.noarch.rpm" >"$scratch/rpm.log" 2>&1 ||
  { cat "$scratch/rpm.log"; fail "it does not install"; }
HOME=$lab_home rpm --force-debian --root "$again" -Va >"$scratch/verify" 2>&1 || :
! grep -v '^S*[.M5DLUGTPS?]* *[cg]* /\(etc/lab/state\|etc/lab\)' "$scratch/verify" ||
  { cat "$scratch/verify"; fail "rpm -Va"; }
for folder in etc usr; do
  diff -r --no-dereference "$root/$folder" "$again/$folder" >"$scratch/difference" ||
    { cat "$scratch/difference"; fail "not what was installed: $folder"; }
done
[ "$(stat -c %a "$again/usr/bin/lab-suid")" = 4755 ] || fail "setuid"
one_file "$again/usr/share/lab-links/one" "$again/usr/share/lab-links/two" || fail "hard links"

# A restore takes it, where nobody has the package's own file, and says so of each.
manifest "$scratch/before" etc usr
# Two of them are gone, one is another version, and of one its own file is kept.
expect_status 0 systracker checkpoint -m packed
lab_erase lab-links lab-priv lab-types
lab_upgrade lab-conf-2
expect_status 0 systracker packages --keep "$(lab_file lab-conf-2)"
expect_status 0 systracker restore --checkpoint 1 --packages=exact --dry-run
contains "$out" '^package lab-links installed 1-1  \(repacked: put together again from what was installed\)$' \
  '^package lab-types installed 1-1  \(kept\)$' '^package lab-conf 2-1 → 1-1  \(repacked'
contains "$err" '^systracker: package lab-priv 1-1: its own file is nowhere to be had: what is installed was put together'
lacks "$err" 'lab-types'
expect_status 0 systracker restore --checkpoint 1 --packages=exact --dry-run --json
contains "$out" '"package": ?"lab-priv".*"file": ?"repacked"'
expect_status 0 systracker restore --checkpoint 1 --packages=exact
contains "$err" 'package lab-conf 1-1: its own file is nowhere to be had'
manifest "$scratch/after" etc usr
cmp "$scratch/before" "$scratch/after" || fail "not as it was before"
[ "$(lab_rpm -q lab-conf lab-links lab-priv lab-types --qf '%{version} ')" = '1 1 1 1 ' ] ||
  fail "not installed"
expect_status 0 systracker undo
[ "$(lab_rpm -q lab-conf --qf '%{version}')" = 2 ] || fail "not undone"
! lab_rpm -q lab-priv >"$scratch/rpm.log" 2>&1 || fail "not undone"
# One that is damaged is refused before any change.
damaged=$(find "$store/packages" -name '*_lab-priv_*.repacked-rpm')
cp "$damaged" "$scratch/good"
flip "$damaged" $(($(stat -c %s "$damaged") / 2))
expect_status 1 systracker restore --checkpoint 1 --packages=exact
contains "$err" 'nothing was changed: package lab-priv: 1-1: '
cp "$scratch/good" "$damaged"
expect_status 0 systracker restore --checkpoint 1 --packages=exact

# Asked for by its name, it is not the package's own.
rm -r "$store/packages"
echo different >"$root/usr/share/lab-links/three.new"
mv "$root/usr/share/lab-links/three.new" "$root/usr/share/lab-links/two"
expect_status 1 systracker packages --repack
contains "$err" 'lab-links 1-1: what the package has as hard links of one file differs now'
contains "$out" '^repacked    lab-conf 1-1 noarch$'

# ---- dpkg.
root=$scratch/debian
store=$scratch/debian-store
make_debian
shipped_config
build=$scratch/build
mkdir -p "$build/DEBIAN" "$build/etc/toy" "$build/usr/bin" "$build/usr/share/toy/empty" "$build/bin"
printf 'Package: toy\nVersion: 1:2.0-1\nArchitecture: all\nMaintainer: Nobody <nobody@localhost>\n' \
  >"$build/DEBIAN/control"
printf 'Depends: libc6\nDescription: toy\n of several lines\n .\n and more\n' >>"$build/DEBIAN/control"
printf '/etc/toy/toy.conf\n' >"$build/DEBIAN/conffiles"
printf '#!/bin/sh\necho configured >/var/tmp/toy-was-configured\n' >"$build/DEBIAN/postinst"
chmod 755 "$build/DEBIAN/postinst"
echo default >"$build/etc/toy/toy.conf"
echo one >"$build/usr/share/toy/one"
ln "$build/usr/share/toy/one" "$build/usr/share/toy/two"
ln -s one "$build/usr/share/toy/link"
echo program >"$build/usr/bin/toy"
chmod 4755 "$build/usr/bin/toy"
echo moved >"$build/usr/bin/toy-moved"
echo old >"$build/bin/toy-old"
dpkg-deb --root-owner-group -b "$build" "$root/var/tmp/toy.deb" >"$scratch/dpkg-deb.log"
in_root dpkg-divert --local --rename --divert /usr/bin/toy-elsewhere --add /usr/bin/toy-moved \
  >"$scratch/dpkg.log" 2>&1
in_root dpkg -i /var/tmp/toy.deb >"$scratch/dpkg.log" 2>&1 || { cat "$scratch/dpkg.log"; fail "dpkg"; }
mv "$root/var/tmp/toy.deb" "$scratch/toy.deb"
echo changed >"$root/etc/toy/toy.conf"
touch -d 2024-01-01 "$root/etc/toy/toy.conf" # a .deb has whole seconds
chown 1:2 "$root/usr/share/toy/one"
# The only one that nobody has: all others are in apt's lists.
expect_status 0 systracker checkpoint
expect_status 0 systracker packages --repack
contains "$out" '^repacked    toy 1:2.0-1 all$' 'new in the store: 1$'
deb=$(find "$store/packages" -name '*_toy_*.repacked-deb')
dpkg-deb -f "$deb" >"$scratch/control"
contains "$scratch/control" '^Depends: libc6$' '^ and more$' '^Systracker-Repacked: from the installed'
lacks "$scratch/control" '^Status:' '^Conffiles:' '/etc/toy'
expect_status 0 systracker packages
contains "$out" '^repacked    toy 1:2.0-1 all  '
manifest "$scratch/before" etc/toy usr/share/toy usr/bin/toy usr/bin/toy-elsewhere usr/bin/toy-old
in_root dpkg --purge toy >"$scratch/dpkg.log" 2>&1
[ ! -e "$root/usr/share/toy" ] || fail "not purged"
rm "$root/var/tmp/toy-was-configured"
cp "$deb" "$root/var/tmp/toy.deb"
in_root dpkg -i /var/tmp/toy.deb >"$scratch/dpkg.log" 2>&1 || { cat "$scratch/dpkg.log"; fail "dpkg"; }
manifest "$scratch/after" etc/toy usr/share/toy usr/bin/toy usr/bin/toy-elsewhere usr/bin/toy-old
cmp "$scratch/before" "$scratch/after" || fail "not as it was"
[ -e "$root/var/tmp/toy-was-configured" ] || fail "its scripts are not in it"
one_file "$root/usr/share/toy/one" "$root/usr/share/toy/two" || fail "hard links"
in_root dpkg --audit >"$scratch/audit"
[ ! -s "$scratch/audit" ] || fail "dpkg --audit"

# A restore installs it by apt, and says what it is; with the package's own file it has nothing to say.
in_root dpkg --purge toy >"$scratch/dpkg.log" 2>&1
expect_status 0 systracker restore --checkpoint 1 --packages=exact --dry-run
contains "$out" '^package toy installed 1:2.0-1  .repacked: put together again from what was installed.$'
contains "$err" '^systracker: package toy 1:2.0-1: its own file is nowhere to be had'
[ ! -e "$root/usr/share/toy" ] || fail "a dry run installed it"
expect_status 0 systracker restore --checkpoint 1 --packages=exact
contains "$err" '^systracker: package toy 1:2.0-1: its own file is nowhere to be had'
manifest "$scratch/after" etc/toy usr/share/toy usr/bin/toy usr/bin/toy-elsewhere usr/bin/toy-old
cmp "$scratch/before" "$scratch/after" || fail "not as it was"
expect_status 0 systracker restore --checkpoint 1 --packages=exact
lacks "$err" 'nowhere to be had'
in_root dpkg --purge toy >"$scratch/dpkg.log" 2>&1
expect_status 0 systracker packages --keep "$scratch/toy.deb"
expect_status 0 systracker restore --checkpoint 1 --packages=exact
contains "$out" '^package toy installed 1:2.0-1  .kept.$'
lacks "$err" 'nowhere to be had'

# No space: nothing is kept, and it is said.
rm -r "$store/packages"
sed -i 's/^min_free.*/min_free = "1000T"/' "$config"
expect_status 2 systracker packages --repack
contains "$err" 'toy 1:2.0-1: .*No space left on device'
