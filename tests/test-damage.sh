#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# verify: clean, then each kind of damage named; what is whole can still be read.
. "$ST_SOURCE/tests/functions.sh"
make_root
make_config
number=0
while [ "$number" -lt 4 ]; do
  number=$((number + 1))
  echo "edit $number" >>"$root/etc/app/app.conf"
  head -c 3000 /dev/urandom | base64 >"$root/srv/file-$number"
  expect_status 0 systracker checkpoint
done
expect_status 0 systracker verify
cp -a "$store" "$scratch/whole"
anew()
{
  rm -rf "$store"
  cp -a "$scratch/whole" "$store"
}
packs=$(find "$store/packs" -name '*.pack')
[ -n "$packs" ] || fail "no packs"

# A flipped byte in the middle of a pack.
for pack in $packs; do
  anew
  size=$(stat -c %s "$pack")
  [ "$size" -gt 200 ] || continue
  place=$((size / 2))
  flip "$pack" "$place"
  expect_status 2 systracker verify
  contains "$err" "${pack##*/}"
done

# A truncated pack: what is in the rest can still be read; the damage is named once more.
anew
pack=$(echo "$packs" | head -n 1)
truncate -s $(($(stat -c %s "$pack") - 2000)) "$pack"
expect_status 2 systracker verify
expect_status 0 systracker cat 1 /etc/app/app.conf
expect_status 2 systracker cat 4 /srv/file-4
contains "$err" /srv/file-4
# The next checkpoint keeps again what is still there.
expect_status 0 systracker checkpoint --full
expect_status 0 systracker cat latest /srv/file-4
cmp "$out" "$root/srv/file-4"

# The object index is derived: without it, nothing is lost.
anew
rm "$store/packs/objects.db"*
expect_status 0 systracker verify
expect_status 0 systracker cat 2 /srv/file-2
cmp "$out" "$root/srv/file-2"

# A public key that is not the seed's, in a file whose digest is right: no other chain is begun, and it is said why.
if command -v python3 >/dev/null; then
  anew
  python3 - "$store/key" <<'END'
import hashlib, sys
key = bytearray(open(sys.argv[1], "rb").read())
key[80] ^= 1
key[-32:] = hashlib.sha256(key[:-32]).digest()
open(sys.argv[1], "wb").write(key)
END
  expect_status 2 systracker verify
  contains "$err" 'its public key, of host .*, is not that of its seed, of host '
  expect_status 2 systracker checkpoint
  contains "$err" 'is not that of its seed'
  [ "$(find "$store/hosts" -mindepth 1 -maxdepth 1 | wc -l)" -eq 1 ] || fail "another chain was begun"
  # Where one was, verify says it, too.
  other=$(sed -n 's/.*its public key, of host \([0-9a-f]*\),.*/\1/p' "$err")
  mv "$store/hosts/$(ls "$store/hosts")" "$store/hosts/$other"
  status=0
  systracker verify >"$out" 2>"$err" || status=$?
  [ "$status" -eq 2 ] || fail "verify ended with $status"
  contains "$err" 'damaged: the key file is damaged: its public key, of host '
else
  echo "a public key that is not the seed's: left out, as there is no python3"
fi

# A fact that was altered behind our back, a chain that was altered.
anew
sql "UPDATE standard_track_entry SET mode = 511 WHERE since = 1 AND path =
  (SELECT max(path) FROM standard_track_entry WHERE since = 1 AND NOT absent)"
expect_status 2 systracker verify
anew
chain=$(echo "$store"/hosts/*/chain)
flip "$chain" $(($(stat -c %s "$chain") / 2))
expect_status 2 systracker verify
contains "$err" chain
# The chain's end alone may be missing: that is what a kill behind the commit leaves.
anew
truncate -s -5 "$chain"
expect_status 0 systracker checkpoint
expect_status 0 systracker verify

# What a restore overwrites is kept anew where the store's copy of it is damaged: undo works, whether
# the index of objects has it or not yet.
for indexed in 1 0; do
  store=$scratch/store-undo-$indexed
  pack=$store/packs/00000001.pack
  echo one >"$root/etc/undo"
  expect_status 0 systracker checkpoint
  echo two >"$root/etc/undo"
  expect_status 0 systracker checkpoint
  [ "$indexed" = 0 ] || expect_status 0 systracker verify
  id=$(printf 'two\n' | sha256sum | cut -d' ' -f1)
  known=$(sqlite3 "$store/packs/objects.db" "SELECT count(*) FROM object WHERE id = x'00$id'")
  [ "$known" = "$indexed" ] || fail "the index has it $known times"
  begin=$(printf '%.16s' "$id" | sed 's/../\\x&/g') # a newline is behind that
  offset=$(LC_ALL=C grep -obUaP "$begin" "$pack" | tail -n 1)
  flip "$pack" $((${offset%%:*} + 30))
  expect_status 2 systracker cat latest /etc/undo
  expect_status 2 systracker verify
  expect_status 0 systracker restore --checkpoint 1 --yes -- /etc/undo
  [ "$(cat "$root/etc/undo")" = one ] || fail "not restored"
  expect_status 0 systracker undo --yes
  [ "$(cat "$root/etc/undo")" = two ] || fail "undo did not bring back what was damaged in the store"
done
