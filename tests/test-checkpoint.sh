#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# checkpoint: a baseline, then what changed; nothing changed is one row, and is said.
. "$ST_SOURCE/tests/functions.sh"
make_root
make_config

# Every row of every table but the ones SQLite keeps for itself.
rows()
{
  sql "SELECT 'SELECT ''' || name || ''', count(*) FROM \"' || name || '\";' FROM sqlite_schema
    WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name" >"$scratch/counts.sql"
  sqlite3 "$(echo "$store"/hosts/*/catalog.db)" <"$scratch/counts.sql"
}

expect_status 0 systracker checkpoint -m 'as it came'
contains "$out" 'checkpoint 1' baseline
[ "$(stat -c %a "$store")" = 700 ] || fail "the store is open to others"
[ -z "$(find "$store" -type f -perm /077)" ] || fail "a file of the store is open to others"

rows >"$scratch/before"
expect_status 0 systracker checkpoint
contains "$out" 'checkpoint 2.*nothing changed'
rows >"$scratch/after"
diff "$scratch/before" "$scratch/after" >"$scratch/diff" && fail "checkpoint 2 left no row"
[ "$(grep -c '^[<>]' "$scratch/diff")" -eq 2 ] || fail "more than one table grew: $(cat "$scratch/diff")"
contains "$scratch/diff" '^< checkpoint\|1$' '^> checkpoint\|2$'

# One changed file is one changed thing, and the store still verifies.
echo fourth >>"$root/etc/app/app.conf"
expect_status 0 systracker checkpoint --tag edited
contains "$out" 'checkpoint 3'
lacks "$out" 'nothing changed'
expect_status 1 systracker diff --name-only 2 3
[ "$(cat "$out")" = /etc/app/app.conf ] || fail "more than the edited file differs"
expect_status 0 systracker checkpoint --full
contains "$out" 'checkpoint 4.*nothing changed'
expect_status 0 systracker verify

# A message is kept, and --quiet is.
expect_status 0 systracker log
contains "$out" 'as it came'
expect_status 0 systracker --quiet checkpoint
[ ! -s "$out" ] || fail "--quiet said something"

# A store below a tracked folder never records itself, not even the first time: its key would be
# kept as a configuration file.
expect_status 0 systracker --store "$root/etc/store" checkpoint
expect_status 0 systracker --store "$root/etc/store" checkpoint
contains "$out" 'nothing changed'
expect_status 0 systracker --store "$root/etc/store" log /etc/store
contains "$out" 'nothing is known'

# More directories than there may be open files.
seq 1500 | sed "s|.*|$root/srv/many/&|" >"$scratch/many"
xargs mkdir -p <"$scratch/many"
sed 's|$|/file|' "$scratch/many" | xargs touch
# shellcheck disable=SC3045 # dash and bash have it
(ulimit -n 1024 && expect_status 0 systracker checkpoint) || fail "not all of many directories was seen"
rm -r "$root/srv/many"
expect_status 0 systracker checkpoint

# An entry whose stat is the same has an owner of another name when the accounts changed.
chown 77:77 "$root/etc/issue" 2>"$scratch/chown" || { echo "left out: owners, without root"; exit 0; }
expect_status 0 systracker checkpoint
echo 'seven:x:77:77::/:/bin/sh' >>"$root/etc/passwd"
expect_status 0 systracker checkpoint
sed -i 's/^seven:/eleven:/' "$root/etc/passwd"
expect_status 1 systracker diff
contains "$out" '/etc/issue' 'seven . eleven|eleven'
