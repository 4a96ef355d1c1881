#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A restore of rpm packages that cannot be had, or that rpm would not install, is refused before any
# change, with the package named: each package file that is needed missing, cut off, damaged, or
# another; dependencies and conflicts; too little space.  A scriptlet that fails is said, and gone on
# with.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/rpm-lab.sh"
need_rpm_lab
unshare -n true 2>/dev/null || skip "no network namespaces here"
offline() { unshare -n "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" "$@"; }
lab_config
make_rpm_root

# ---- Packages, each in another way what the first night needs.
lab_install lab-conf-1 lab-lib-1 lab-app-1 lab-gone-1 lab-old-1 lab-script-1
expect_status 0 systracker checkpoint --tag first
look_at_lab "$scratch/first"
lab_upgrade lab-lib-2 lab-app-2 lab-new-2 lab-script-2
lab_erase lab-gone
expect_status 0 systracker packages --keep "$lab/repo"
expect_status 0 systracker checkpoint --tag second

# all_of_root FILE, unchanged WHAT: every entry of the root, directories' times included.
all_of_root() { "$ST_BUILD/tests/list-tree" -d "$root" >"$1" || fail "the root cannot be listed"; }
unchanged()
{
  all_of_root "$scratch/everything.now"
  diff "$scratch/everything" "$scratch/everything.now" >"$scratch/difference" ||
    { head -n 20 "$scratch/difference"; fail "the root was changed: $1"; }
}
# refused CHECKPOINT 'WAY...' WHAT PATTERN...: nothing was changed, by the dry run neither.
refused()
{
  goal=$1 ways=$2 what=$3
  shift 3
  for way in $ways; do
    expect_status 1 offline restore --checkpoint "$goal" --packages=exact "$way"
    contains "$err" 'restore refused, nothing was changed' "$@"
    unchanged "$what ($way)"
  done
}
all_of_root "$scratch/everything"

# ---- Package files: five to get there, and four to get back.
# damage HOW FILE
damage()
{
  case $1 in
  missing) rm "$2" ;;
  'cut off') truncate -s -100 "$2" ;;
  flipped) flip "$2" $(($(stat -c %s "$2") - 20)) ;;
  another) cat "$(lab_file lab-doc-1)" >"$2" ;;
  esac
}
for need in lab-lib_1-1 lab-app_1-1 lab-gone_1-1 lab-old_1-1 lab-script_1-1 lab-lib_2-1 lab-app_2-1 \
  lab-new_2-1 lab-script_2-1; do
  of_need=$(find "$store/packages" -name "*_${need}_noarch.rpm")
  [ -f "$of_need" ] || fail "the file of $need is not kept"
  cp -a "$of_need" "$scratch/kept.rpm"
  case $need in
  *_2-1)
    help="undo could not install ${need#*_} again: .*systracker packages.*--no-undo" ;;
  *) help="${need#*_}.*systracker packages.*--keep FILE.*--packages=none" ;;
  esac
  for how in missing 'cut off' flipped another; do
    damage "$how" "$of_need"
    case $how in missing) ways='--yes --dry-run' ;; *) ways=--yes ;; esac
    refused first "$ways" "$need is $how" "package ${need%_*}: .*$help"
    cp -a "$scratch/kept.rpm" "$of_need"
  done
done

# Under the name of another package, with its own digest: what it is, its header says.
of_need=$(find "$store/packages" -name "*_lab-gone_1-1_noarch.rpm")
of_other=$(find "$store/packages" -name "*_lab-left_1-1_noarch.rpm")
lie=$(dirname "$of_other")/$(basename "$of_other" | sed 's/_lab-left_/_lab-gone_/')
mv "$of_need" "$scratch/kept.rpm"
cp "$of_other" "$lie"
refused first --yes "a lie" 'package lab-gone: 1-1: its kept file is another package than its name says'
rm "$lie"
mv "$scratch/kept.rpm" "$of_need"

# ---- What rpm will not do, the dry run says as well.
rpm_quietly -i --nodeps "$(lab_file lab-broken-1)"
expect_status 0 systracker checkpoint --tag broken
rpm_quietly -e lab-broken
rpm_quietly -i --nodeps "$(lab_file lab-left-1)" "$(lab_file lab-right-1)"
expect_status 0 systracker checkpoint --tag both
rpm_quietly -e lab-left
all_of_root "$scratch/everything"
refused broken '--yes --dry-run' "a dependency" \
  'package lab-broken-1-1.noarch: lab-nowhere is needed by lab-broken-1-1.noarch'
refused both '--yes --dry-run' "a conflict" 'package lab-left-1-1.*: lab-left conflicts with .*lab-right-1-1'
rpm_quietly -e lab-right

# ---- Too little space, by the name of the file system.
lab_install lab-huge-1
expect_status 0 systracker checkpoint --tag huge
rpm_quietly -e lab-huge
small=$root/usr
used=$(du -sk "$small" | cut -f 1)
mkdir "$scratch/usr"
cp -a "$small/." "$scratch/usr/"
check_scratch "$small"
mount -t tmpfs -o "mode=755,size=$((used + 100000))k" tmpfs "$small"
at_end "umount '$small'"
cp -a "$scratch/usr/." "$small/"
all_of_root "$scratch/everything"
refused huge '--yes --dry-run' "without space" \
  '/usr: too little space for the packages on this file system: 300.0 MiB needed beside min_free' \
  'package lab-huge-1-1.noarch: installing package lab-huge-1-1.noarch needs .* on the /usr filesystem'
umount "$small"
at_end_commands=:

# ---- Edited, and too large to be kept: undo could not bring it back.
cp -a "$root/usr/bin/lab-app" "$scratch/lab-app"
mkdir -p "$scratch/conf.d"
printf 'plugin rpm_track { max_size = "1K" }\n' >"$scratch/conf.d/small.conf"
head -c 2000 /dev/urandom >>"$root/usr/bin/lab-app"
all_of_root "$scratch/everything"
refused first '--yes --dry-run' "with a large edited file" \
  '/usr/bin/lab-app: it is not as packaged, and too large to be kept.*--no-undo.*max_size.* of rpm_track'
rm "$scratch/conf.d/small.conf"
cp -a "$scratch/lab-app" "$root/usr/bin/lab-app"

# ---- Nothing was in the way of it.
expect_status 0 offline restore --checkpoint first --packages=exact --dry-run
expect_status 0 offline restore --checkpoint first --exact
expect_status 0 systracker diff first
look_at_lab "$scratch/now"
diff "$scratch/first" "$scratch/now" || fail "not as at first"
diff "$scratch/first.packages" "$scratch/now.packages" || fail "not the packages of first"

# ---- A scriptlet fails: said, and gone on with when its reason is gone; or back.
touch "$root/var/tmp/allowed"
lab_install lab-moody-1
expect_status 0 systracker checkpoint --tag moody
look_at_lab "$scratch/moody"
rpm_quietly -e lab-moody
rm "$root/var/tmp/allowed"
expect_status 2 offline restore --checkpoint moody --exact
contains "$err" 'package lab-moody-1-1.noarch: its scriptlet failed' 'restore --resume. goes on'
expect_status 1 offline restore --checkpoint first --exact
one_error 'a restore was interrupted'
expect_status 0 offline undo --yes
look_at_lab "$scratch/now"
diff "$scratch/first" "$scratch/now" || fail "not undone"
expect_status 2 offline restore --checkpoint moody --exact
touch "$root/var/tmp/allowed"
expect_status 0 offline restore --resume
look_at_lab "$scratch/now"
diff "$scratch/moody" "$scratch/now" || fail "not resumed"
diff "$scratch/moody.packages" "$scratch/now.packages" || fail "not the packages of moody"
