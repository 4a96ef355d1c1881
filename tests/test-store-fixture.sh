#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Stores that earlier versions of the schema wrote: each reads as it did, and goes on.
. "$ST_SOURCE/tests/functions.sh"
need_program xz
need_program jq

# goes_on FIXTURE: with what was told of it when it was made.
goes_on()
{
  rm -rf "$root" "$store"
  tar -C "$scratch" --no-same-owner -xJf "$ST_SOURCE/tests/fixtures/$1.tar.xz"
  make_root
  make_config
  expect_status 0 systracker verify
  expect_status 0 systracker --json log
  jq -c '[.number, .state_root, .header]' "$out" | diff "$store/expected-log" - || fail "$1: log"
  expect_status 1 systracker --json diff 1 4
  jq -c '[.table, .key, .change]' "$out" | diff "$store/expected-diff" - || fail "$1: diff"
  for number in 2 3 4; do
    systracker cat "$number" /srv/numbers | sha256sum
  done >"$out"
  cmp "$out" "$store/expected-contents" || fail "$1: cat"
  expect_status 0 systracker restore --checkpoint 2 --exact --packages=none
  [ "$(wc -l <"$root/srv/numbers")" -eq 500 ] || fail "$1: restore"
  [ "$(cat "$root/etc/ssl/private/key")" = 'key one' ] || fail "$1: restore of a secret"
  expect_status 0 systracker checkpoint
  expect_status 0 systracker verify
  expect_status 0 systracker --json log
  jq -c '[.number, .state_root, .header]' "$out" >"$scratch/log"
  ! grep -vxFf "$scratch/log" "$store/expected-log" || fail "$1: log, once raised"
  # Byte 63 is the end of user_version: a writer has brought the object index up.
  [ "$(od -An -tu1 -j63 -N1 "$store/packs/objects.db" | tr -d ' ')" = 3 ] || fail "$1: objects.db"
}

goes_on store-1
goes_on store-2
