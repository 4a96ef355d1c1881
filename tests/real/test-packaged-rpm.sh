#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# An rpm root across changes of its packages: files that are as packaged come out of kept .rpm files,
# hard links and all; one line a package; what deviates stands by itself; single files come back.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/rpm-lab.sh"
need_rpm_lab
make_rpm_root
lab_config
lab_night 1 rpm
# each_file NUMBER: every tracked regular file in /usr, of the root as it is now.
each_file()
{
  (cd "$root" && find usr -type f -size -500k | sort) >"$scratch/files"
  seen=0
  while read -r path; do
    if systracker cat "$1" "/$path" >"$scratch/content" 2>"$scratch/why"; then
      cmp "$scratch/content" "$2/$path" || fail "another content: $path at $1"
      seen=$((seen + 1))
    else
      cat "$scratch/why"
      grep -q 'no such path' "$scratch/why" || fail "no content: $path at $1"
    fi
  done <"$scratch/files"
  [ "$seen" -ge 10 ] || fail "only $seen files were looked at"
}

expect_status 0 systracker checkpoint -m one
# shellcheck disable=SC2046
expect_status 0 systracker packages --keep "$lab/repo"
cp -a "$root" "$scratch/night-1"
each_file 1 "$scratch/night-1"
expect_status 0 systracker packages --deviations --stat
cp "$out" "$scratch/deviations-1"

lab_night 2 rpm
expect_status 0 systracker checkpoint -m two
cp -a "$root" "$scratch/night-2"
each_file 2 "$scratch/night-2"
expect_status 1 systracker diff --stat 1 2
contains "$out" '^M package lab-app .*: upgraded .* → .*its files: '
[ "$(grep -c '^M package' "$out")" -ge 3 ] || fail "packages are missing"
expect_status 1 systracker diff --files 1 2
contains "$out" '^changed /'
cp "$out" "$scratch/files-diff"

# Wrecked by hand, and put back without a package being touched.
app=$(cd "$root" && find usr/bin -type f -name 'lab-app*' | head -n 1)
[ -n "$app" ] || fail "the lab has no such program"
link=$(cd "$root" && find usr -xdev -type f -links +1 | sort | head -n 1)
rm "$root/$app"
[ -z "$link" ] || rm "$root/$link"
expect_status 1 systracker status
contains "$out" "^D /$app\$"
expect_status 0 systracker restore --checkpoint 2 -- "/$app" ${link:+"/$link"}
cmp "$root/$app" "$scratch/night-2/$app" || fail "$app did not come back"
[ -z "$link" ] || cmp "$root/$link" "$scratch/night-2/$link" || fail "$link did not come back"
lab_rpm -Va >"$scratch/verify" 2>&1 || :
lacks "$scratch/verify" "/$app\$"
