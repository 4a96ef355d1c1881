#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Each object that a restore needs, damaged in turn: it refuses, and the root stays as it was.
. "$ST_SOURCE/tests/functions.sh"
make_root
make_config
number=0
while [ "$number" -lt 8 ]; do
  number=$((number + 1))
  seq "$number" $((number * 100)) >"$root/srv/file$number"
  head -c $((number * 5000)) /dev/urandom >"$root/opt/blob$number"
done
echo 'private one' >"$root/etc/ssl/private/key"
expect_status 0 systracker checkpoint
for file in "$root"/srv/file* "$root"/opt/blob*; do echo more >>"$file"; done
rm "$root/srv/file1" "$root/etc/app/app.conf"
echo 'private two' >"$root/etc/ssl/private/key"
expect_status 0 systracker checkpoint

# Ids and places of the objects that bring 1 back.
index=$store/packs/objects.db
sql "SELECT DISTINCT lower(hex(CASE typeof(old.object) WHEN 'integer' THEN
    (SELECT d.digest FROM checksum_track_file d WHERE d.path = old.path AND d.since = old.since)
    ELSE old.object END)) FROM config_track_file old
  WHERE old.since = 1 AND old.until = 2 AND old.object IS NOT NULL" >"$scratch/ids"
count=$(wc -l <"$scratch/ids")
echo "$count objects needed"
[ "$count" -ge 18 ] || fail "fewer objects than were changed"
full_manifest "$scratch/before"
cp -a "$store" "$scratch/whole"
while read -r id; do
  # The middle of the record's payload, behind about 37 bytes.
  place=$(sqlite3 -separator ' ' "$index" "SELECT printf('%08d.pack', pack),
    offset + 37 + stored / 2 FROM object WHERE id = x'$id'")
  [ -n "$place" ] || fail "not in the index: $id"
  flip "$store/packs/${place% *}" "${place#* }"
  for how in "--exact --packages=none" ""; do
    # shellcheck disable=SC2086
    expect_status 1 systracker restore --checkpoint 1 --yes $how
    [ -s "$err" ] || fail "refused without a word"
    full_manifest "$scratch/after"
    cmp "$scratch/before" "$scratch/after" || fail "the root was changed"
  done
  rm -rf "$store"
  cp -a "$scratch/whole" "$store"
done <"$scratch/ids"
expect_status 0 systracker restore --checkpoint 1 --exact --packages=none --yes
