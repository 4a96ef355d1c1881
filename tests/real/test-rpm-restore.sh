#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A root's rpm packages, which rpm or dnf put there with their files kept on the way, restored to the
# first night and to the third in one transaction, without a network, and undone.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/rpm-lab.sh"
need_rpm_lab
need_program dnf
unshare -n true 2>/dev/null || skip "no network namespaces here"
offline() { unshare -n "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" "$@"; }

# equal NIGHT WHAT: every entry, what rpm knows, and what rpm finds changed.
equal()
{
  look_at_lab "$scratch/now"
  for part in .packages .verify ''; do
    diff "$scratch/$by.$1$part" "$scratch/now$part" >"$scratch/difference" ||
      { head -n 40 "$scratch/difference"; fail "$by: not as at $1: $2 (${part:-entries})"; }
  done
  [ -z "$(find "$root" -name '*.rpmnew' -o -name '*.rpmsave' -o -name '*.rpmorig')" ] ||
    fail "rpm's own copies stay: $2"
  HOME=$lab_home rpmdb --root "$root" --verifydb || fail "the database is damaged: $2"
}

# night N: what the manager does, what an administrator does, a checkpoint.
night()
{
  lab_night "$1" "$by"
  find "$root/etc" \( -name '*.rpmnew' -o -name '*.rpmsave' \) -delete
  for file in lab/keep.conf lab/plain.conf lab-app.conf; do
    echo "changed at $1" >>"$root/etc/$file"
  done
  mkdir -p "$root/opt/own" && echo "night $1" >"$root/opt/own/file"
  echo ghost "$1" >"$root/etc/lab/ghost.conf"
  chmod "60$1" "$root/etc/lab/secret.conf"
  expect_status 0 systracker checkpoint --tag "night-$1"
  look_at_lab "$scratch/$by.$1"
}

for by in rpm dnf; do
  root=$scratch/root-$by store=$scratch/store-$by
  lab_config
  mkdir -p "$root/etc"
  expect_status 0 systracker checkpoint --tag empty
  lab_capture
  "make_${by}_root"
  for n in 1 2 3; do night "$n"; done
  cmp -s "$scratch/$by.1.packages" "$scratch/$by.3.packages" && fail "nothing was to be done"

  # ---- The plan; a dry run changes nothing.
  expect_status 0 offline restore --checkpoint night-1 --exact --dry-run
  contains "$out" '^package lab-conf 3-1 → 1-1  \(kept\)$' '^package lab-gone 2-1 → 1-1  \(kept\)$' \
    '^package lab-daemon installed 1-1  \(kept\)$' '^package lab-new removed$' \
    '^package kernel-lab installed 1-1  \(kept\)$' '^package kernel-lab removed$' \
    '^package gpg-pubkey installed ' '^package lab-epoch 2:0.5-1 → 1:1.0-1  \(kept\)$'
  equal 3 "by a dry run"

  # ---- To the first night, the third, back, and on.
  expect_status 0 offline restore --checkpoint night-1 --exact
  equal 1 "restored"
  expect_status 0 systracker diff night-1
  expect_status 0 systracker status
  expect_status 0 offline restore --checkpoint night-3 --exact
  equal 3 "restored"
  expect_status 0 systracker diff night-3
  expect_status 0 offline undo --yes
  equal 1 "undone"
  expect_status 0 offline undo --yes
  equal 3 "undone, and undone again"
  expect_status 0 offline restore --checkpoint night-2 --exact
  equal 2 "restored"
  expect_status 0 offline restore --checkpoint night-2 --exact
  contains "$out" 'othing to do|nothing'
  expect_status 0 systracker verify

  # ---- Packages alone: what nobody tracks stays, and no copies of rpm's do.
  echo "not of any night" >"$root/opt/own/other"
  expect_status 0 offline restore --checkpoint night-1 --packages=exact
  rm "$root/opt/own/other"
  equal 1 "its packages"
done
