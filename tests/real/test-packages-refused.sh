#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A restore of packages that cannot be had, or cannot be installed, is refused before any change:
# each package file that is needed missing, cut off, or another; too little space; what apt says.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"
. "$ST_SOURCE/tests/real/toys.sh"
need_program dpkg-deb
make_debian
shipped_config

# ---- Six packages of our own, each in another way what the first night needs.
for version in 1.0 2.0; do
  toy toy-lib "$version"
  toy toy-app "$version" 'Depends: toy-lib'
done
toy toy-gone 1.0
toy toy-left 1.0
toy toy-new 1.0
toy toy-huge 1.0 'Installed-Size: 300000'
toy toy-broken 1.0 'Depends: toy-nowhere'
install_toys toy-lib_1.0 toy-app_2.0 toy-gone_1.0
install_toys toy-left_1.0
in_root dpkg --remove toy-left >"$scratch/dpkg.log"
expect_status 0 systracker checkpoint --tag first
in_root dpkg --purge toy-gone toy-left >"$scratch/dpkg.log"
install_toys toy-lib_2.0 toy-app_1.0 toy-new_1.0
expect_status 0 systracker packages --keep "$debs"
all_of_root "$scratch/everything"

# refused WAYS WHAT PATTERN...: nothing was changed, by the dry run neither.
refused()
{
  ways=$1 what=$2
  shift 2
  for way in $ways; do
    expect_status 1 offline restore --checkpoint first --packages=exact "$way"
    contains "$err" 'restore refused, nothing was changed' "$@"
    unchanged "$what ($way)"
  done
}

# ---- Each package file that is needed: three to get there, and two more to get back.
# damage HOW FILE
damage()
{
  case $1 in
  missing) rm "$2" ;;
  'cut off') truncate -s -100 "$2" ;;
  flipped) flip "$2" 70 ;;
  another) cat "$debs/toy-huge_1.0.deb" >"$2" ;;
  esac
}
for need in toy-lib_1.0 toy-app_2.0 toy-gone_1.0 toy-left_1.0 toy-lib_2.0 toy-app_1.0 toy-new_1.0; do
  of_need=$(find "$store/packages" -name "*_${need}_all.deb")
  [ -f "$of_need" ] || fail "the file of $need is not kept"
  cp -a "$of_need" "$scratch/kept.deb"
  case $need in
  toy-lib_2.0 | toy-app_1.0 | toy-new_1.0)
    help="undo could not install ${need#*_} again: .*systracker packages.*--no-undo" ;;
  *) help="${need#*_}.*systracker packages.*--keep FILE.*--packages=none" ;;
  esac
  for how in missing 'cut off' flipped another; do
    damage "$how" "$of_need"
    case $how in missing) ways='--yes --dry-run' ;; *) ways=--yes ;; esac
    refused "$ways" "$need is $how" "package ${need%_*}: .*$help"
    cp -a "$scratch/kept.deb" "$of_need"
  done
done

# ---- Too little space, by the name of the file system.
install_toys toy-huge_1.0
expect_status 0 systracker checkpoint --tag huge
in_root dpkg --purge toy-huge >"$scratch/dpkg.log"
small=$root/var/lib
used=$(du -sk "$small" | cut -f 1)
mkdir "$scratch/var-lib"
cp -a "$small/." "$scratch/var-lib/"
check_scratch "$small"
mount -t tmpfs -o "mode=755,size=$((used + 100000))k" tmpfs "$small"
at_end "umount '$small'"
cp -a "$scratch/var-lib/." "$small/"
all_of_root "$scratch/everything"
for way in --yes --dry-run; do
  expect_status 1 offline restore --checkpoint huge --packages=exact --no-undo "$way"
  contains "$err" '/var/lib: too little space for the packages on this file system: 293.0 MiB needed beside min_free, 9[0-9.]+ MiB free'
  unchanged "without space ($way)"
done
umount "$small"
at_end_commands=:

# ---- What apt will not do, the dry run says as well.
install_toys toy-broken_1.0
expect_status 0 systracker checkpoint --tag broken
in_root dpkg --purge toy-broken >"$scratch/dpkg.log"
all_of_root "$scratch/everything"
expect_status 1 offline restore --checkpoint broken --packages=exact --dry-run
contains "$err" "apt's simulation ended with status 100" 'toy-broken : Depends: toy-nowhere' \
  'restore refused, nothing was changed'
unchanged "by apt's simulation"
expect_status 1 offline restore --checkpoint broken --packages=exact
contains "$err" "apt's simulation ended with status 100" 'toy-broken : Depends: toy-nowhere'

# ---- What dpkg would fail over half-way: a file that is immutable, a folder that nothing is put into.
if chattr +i "$root/usr/bin/toy-lib"; then
  at_end "chattr -i '$root/usr/bin/toy-lib' '$root/usr/bin' '$root/usr/bin/dpkg'"
  all_of_root "$scratch/everything"
  refused '--yes --dry-run' 'immutable file' \
    'package toy-lib: /usr/bin/toy-lib is immutable or append-only, which dpkg does not change: .chattr -ia. first'
  chattr -i "$root/usr/bin/toy-lib"
  chattr +i "$root/usr/bin"
  refused '--yes --dry-run' 'immutable folder' 'package toy-[a-z]+: /usr/bin is immutable or append-only'
  chattr -i "$root/usr/bin"
  chattr +i "$root/usr/bin/dpkg" # of no package that is to change
  expect_status 0 offline restore --checkpoint first --packages=exact --dry-run
  chattr -i "$root/usr/bin/dpkg"
else
  echo "immutable files: left out, chattr does not work here"
fi

# ---- Nothing was in the way of it.
expect_status 0 offline restore --checkpoint first --packages=exact --dry-run
expect_status 0 offline restore --checkpoint first --exact
expect_status 0 systracker diff first
