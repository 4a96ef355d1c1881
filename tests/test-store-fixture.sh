#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A store that the first version of the schema wrote: it reads as it did, and goes on.
. "$ST_SOURCE/tests/functions.sh"
need_program xz
need_program jq
tar -C "$scratch" --no-same-owner -xJf "$ST_SOURCE/tests/fixtures/store-1.tar.xz"
make_root
make_config
expect_status 0 systracker verify
expect_status 0 systracker --json log
jq -c '[.number, .state_root, .header]' "$out" | diff "$store/expected-log" - || fail "log"
expect_status 1 systracker --json diff 1 4
jq -c '[.table, .key, .change]' "$out" | diff "$store/expected-diff" - || fail "diff"
for number in 2 3 4; do
  systracker cat "$number" /srv/numbers | sha256sum
done >"$out"
cmp "$out" "$store/expected-contents" || fail "cat"
expect_status 0 systracker restore --checkpoint 2 --exact --packages=none
[ "$(wc -l <"$root/srv/numbers")" -eq 500 ] || fail "restore"
[ "$(cat "$root/etc/ssl/private/key")" = 'key one' ] || fail "restore of a secret"
expect_status 0 systracker checkpoint
expect_status 0 systracker verify
# Byte 63 is the end of user_version: a writer has brought the object index up, and its packs are new.
[ "$(od -An -tu1 -j63 -N1 "$store/packs/objects.db" | tr -d ' ')" = 2 ] || fail "objects.db"
