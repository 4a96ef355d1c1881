#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Expected facts, by a plug-in that expects: what its package declares is not stored again; what
# deviates is; what is expected and not there is absent; and every reading goes by one accessor.
. "$ST_SOURCE/tests/functions.sh"
make_root
make_config
build_plugin expecting
echo 'plugin expecting { }' >>"$config"

mtime=1709294400
file() # PATH MODE TEXT
{
  printf '%s\n' "$3" >"$root$1"
  chmod "$2" "$root$1"
  touch -d "@$mtime" "$root$1"
}
line() # PATH: as the package declares it
{
  echo "$1 f $(stat -c '%a' "$root$1") $mtime $(sha256sum "$root$1" | cut -c1-64)" \
    "$(stat -c %s "$root$1")"
}
rows() { sql "SELECT count(*) FROM $1 f JOIN path p ON p.id = f.path
  WHERE CAST(p.path AS TEXT) LIKE '/usr/local/demo%' ${2:-}"; }
stored() { echo "$(rows standard_track_entry) $(rows checksum_track_file)"; }

mkdir "$root/usr/local/demo"
file /usr/local/demo/tool 755 'tool 1'
file /usr/local/demo/data 644 'data 1'
{
  echo "/usr/local/demo d 755 $mtime"
  line /usr/local/demo/tool
  line /usr/local/demo/data
} >"$root/srv/demo-1"
echo 1 >"$root/srv/demo"

expect_status 0 systracker checkpoint -m one
[ "$(stored)" = '0 0' ] || fail "what the package declares was stored again: $(stored)"
expect_status 0 systracker status
expect_status 0 systracker explain /usr/local/demo/tool
contains "$out" expect

# A deviation is a stored fact, and ends with it.
chmod 4755 "$root/usr/local/demo/tool"
expect_status 1 systracker status
contains "$out" '/usr/local/demo/tool: mode 0755 → 4755'
expect_status 0 systracker checkpoint -m setuid
[ "$(stored)" = '1 0' ] || fail "the deviation is not one row: $(stored)"
expect_status 1 systracker diff 1 2
contains "$out" 'mode 0755 → 4755'
chmod 755 "$root/usr/local/demo/tool"
expect_status 0 systracker checkpoint -m 'as declared'
[ "$(rows standard_track_entry 'AND until IS NULL')" -eq 0 ] || fail "the deviation did not end"
expect_status 0 systracker diff 1 3

# Expected, and not there.
rm "$root/usr/local/demo/data"
expect_status 1 systracker status
contains "$out" '^D /usr/local/demo/data'
expect_status 0 systracker checkpoint -m removed
[ "$(rows standard_track_entry 'AND until IS NULL AND absent')" -eq 1 ] || fail "it is not absent"
expect_status 0 systracker status
expect_status 1 systracker diff 3 4
contains "$out" '/usr/local/demo/data'

# Another version expects something else: its paths are looked at again, the old nights stay.
file /usr/local/demo/data 644 'data 2'
file /usr/local/demo/tool 755 'tool 2'
file /usr/local/demo/more 644 'more 2'
{
  echo "/usr/local/demo d 755 $mtime"
  line /usr/local/demo/tool
  line /usr/local/demo/data
  line /usr/local/demo/more
  echo "/usr/local/demo/never f 644 $mtime $(printf '%064d' 0) 1"
} >"$root/srv/demo-2"
echo 2 >"$root/srv/demo"
expect_status 0 systracker checkpoint -m two
[ "$(rows standard_track_entry 'AND until IS NULL AND NOT absent')" -eq 0 ] ||
  fail "what version 2 declares was stored"
[ "$(rows standard_track_entry 'AND until IS NULL AND absent')" -eq 1 ] ||
  fail "what version 2 declares and is not there is not absent"
expect_status 0 systracker status
expect_status 1 systracker diff --files 4 5
contains "$out" '/usr/local/demo/more' 'demo'
expect_status 1 systracker diff 1 2
contains "$out" 'mode 0755 → 4755'
expect_status 0 systracker diff 1 3
expect_status 0 systracker log /usr/local/demo/tool
contains "$out" '^ *2 ' '^ *3 ' '^ *1 '

# Without the plug-in all of it still reads the same.
rm "$scratch/plugins/expecting.so"
expect_status 1 systracker diff 1 2
contains "$out" 'mode 0755 → 4755'
expect_status 0 systracker diff 1 3
expect_status 0 systracker verify
