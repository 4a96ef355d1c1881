#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Bad input: one clear line on standard error, the right status, nothing lost.
. "$ST_SOURCE/tests/functions.sh"
make_root
make_config
expect_status 0 systracker checkpoint

# Configurations.
cp "$config" "$scratch/good"
bad_config()
{
  cp "$scratch/good" "$config"
  printf '%s\n' "$1" >>"$config"
  number=$(($(wc -l <"$scratch/good") + 1))
  expect_status 2 systracker check-config
  one_error "systracker\\.conf:$number" "$2"
  expect_status 2 systracker checkpoint
  one_error "systracker\\.conf:$number"
}
bad_config 'no_such_key = "x"' no_such_key
bad_config 'no_such_block x { }' no_such_block
bad_config 'secret "/etc/x" { }' reason
bad_config 'min_free = "1M"' twice
bad_config 'plugin command_track { no_such_option = "x" }' no_such_option
# shellcheck disable=SC2016
bad_config 'archive { url = "${HOME}/log" }' '\$'
cp "$scratch/good" "$config"
echo 'plugin command_track { commands = {' >>"$config"
expect_status 2 systracker check-config
one_error 'systracker\.conf:[0-9]*\).*|too early'
cp "$scratch/good" "$config"
mkdir "$scratch/conf.d"
bad_part()
{
  printf '# one line\n%s\n' "$1" >"$scratch/conf.d/50-bad.conf"
  expect_status 2 systracker check-config
  one_error '50-bad\.conf:2' "$2"
}
bad_part 'min_free = "much"' min_free
bad_part 'min_free = 3 = 4' .
bad_part 'plugin config_track { max_size = "-3" }' max_size
bad_part 'plugin config_track { track = { "[" } }' '\['
bad_part 'plugin config_track { tracks = { "/etc" } }' tracks
rm -r "$scratch/conf.d"
expect_status 0 systracker check-config
mv "$config" "$config.away"
expect_status 2 systracker checkpoint
one_error systracker.conf
mv "$config.away" "$config"

# Plug-ins: a foreign ABI, no plug-in at all, one that is not there.
build_plugin foreign
echo 'plugin foreign { }' >>"$config"
expect_status 2 systracker check-config
one_error foreign 'interface 1001'
expect_status 1 systracker checkpoint
contains "$err" foreign
echo 'no library' >"$scratch/plugins/foreign.so"
expect_status 2 systracker check-config
one_error foreign
rm "$scratch/plugins/foreign.so"
expect_status 2 systracker check-config
one_error foreign
cp "$scratch/good" "$config"

# Verbs and options.
expect_status 2 systracker
expect_status 2 systracker no-such-verb
one_error no-such-verb
expect_status 2 systracker ../../bin/sh
expect_status 2 systracker checkpoint extra
expect_status 2 systracker diff 4
one_error 4
expect_status 2 systracker show 99999999999999999999
expect_status 2 "$ST_SYSTRACKER" --config "$config" --root "$root" status
one_error --store
expect_status 2 systracker --root "$root/none" status
expect_status 2 "$ST_SYSTRACKER" --config "$config" --root "$root/etc/hosts" --store "$store" status

# Stores: none, and something else.
expect_status 2 systracker --store "$scratch/none" log
one_error "$scratch/none"
[ ! -e "$scratch/none" ] || fail "looking made a store"
mkdir -p "$scratch/other"
echo mine >"$scratch/other/file"
expect_status 2 systracker --store "$scratch/other" log
one_error "$scratch/other"
expect_status 2 systracker --store "$root/etc/hosts" log
expect_status 2 systracker --store "$scratch/other" checkpoint
one_error "$scratch/other"
[ "$(ls "$scratch/other")" = file ] || fail "a folder that is no store was written to"

# A catalog of a newer SysTracker, and one of something else.
catalog=$(echo "$store"/hosts/*/catalog.db)
cp "$catalog" "$scratch/catalog"
sqlite3 "$catalog" 'PRAGMA user_version=999'
for verb in log checkpoint verify 'restore --checkpoint 1 --yes'; do
  # shellcheck disable=SC2086
  expect_status 2 systracker $verb
  one_error newer
done
cp "$scratch/catalog" "$catalog"
sqlite3 "$catalog" 'PRAGMA application_id=7'
expect_status 2 systracker log
one_error catalog
echo 'not a database' >"$catalog"
expect_status 2 systracker log
one_error catalog
cp "$scratch/catalog" "$catalog"
rm -f "$catalog"-wal "$catalog"-shm
expect_status 0 systracker verify
rm "$catalog"
expect_status 2 systracker log
one_error 'the catalog is missing, though its chain is there'
cp "$scratch/catalog" "$catalog"
expect_status 0 systracker verify

# Folders that have something of the name, but are no store: refused, and left as they are.
mkdir -p "$scratch/none/run/lock" "$scratch/none/etc"
echo '127.0.0.1 localhost' >"$scratch/none/etc/hosts"
for folder in run etc; do
  chmod 755 "$scratch/none/$folder"
  for verb in checkpoint log; do
    expect_status 2 "$ST_SYSTRACKER" --config "$config" --root "$root" \
      --store "$scratch/none/$folder" $verb
    one_error 'no store'
  done
  [ "$(stat -c %a "$scratch/none/$folder")" = 755 ] || fail "the mode of another folder was changed"
  [ "$(find "$scratch/none/$folder" | wc -l)" -eq 2 ] || fail "something was made in another folder"
done

# A key that others may read, or that is cut off.
chmod 644 "$store/key"
expect_status 2 systracker checkpoint
one_error key
chmod 600 "$store/key"
cp "$store/key" "$scratch/key"
head -c 10 "$scratch/key" >"$store/key"
expect_status 2 systracker checkpoint
one_error key
cp "$scratch/key" "$store/key"
expect_status 0 systracker checkpoint
