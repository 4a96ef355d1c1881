#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Packages by a plug-in of made-up ones: manifests made from what is there, and better ones once the
# package file is kept; content that no package declares; a state that is known again; programs of
# our own.
. "$ST_SOURCE/tests/functions.sh"
make_root
make_config
build_plugin packaged
echo 'plugin packaged { track = { "/usr/local/demo" } }' >>"$config"
demo=/usr/local/demo

mtime=1709294400
file() # NAME MODE TEXT
{
  printf '%s\n' "$3" >"$root$demo/$1"
  chmod "$2" "$root$demo/$1"
  touch -d "@$mtime" "$root$demo/$1"
}
line() # NAME [MODE]
{
  echo "$demo/$1 f ${2:-$(stat -c '%a' "$root$demo/$1")} $mtime" \
    "$(sha256sum "$root$demo/$1" | cut -c1-64) $(stat -c %s "$root$demo/$1")"
}
rows() { sql "SELECT count(*) FROM $1 f JOIN path p ON p.id = f.path
  WHERE CAST(p.path AS TEXT) LIKE '$demo%' AND f.until IS NULL"; }
objects() { sql "SELECT count(*) FROM packaged_deviation WHERE until IS NULL AND object IS NOT NULL"; }
# As capture keeps them.
keep() # FILE NAME VERSION
{
  digest=$(sha256sum "$1" | cut -c1-64)
  folder=$store/packages/$(echo "$digest" | cut -c1-2)
  mkdir -p "$folder"
  cp "$1" "$folder/${digest}_$2_$3_all.deb"
}

mkdir "$root$demo"
file tool 755 'tool 1'
file data 644 'data 1'
file own 644 'nobody packaged this'
{
  echo "$demo d 755 $mtime"
  line tool
  line data
} >"$root/srv/demo-1"
echo 'demo 1' >"$root/srv/packages"
echo one >"$root/srv/fingerprint"

# Content that is as packaged is not kept; what is nobody's is.
expect_status 0 systracker checkpoint -m one
[ "$(rows packaged_deviation)" -eq 1 ] || fail "not one deviation: $(rows packaged_deviation)"
[ "$(sql 'SELECT why FROM packaged_deviation')" = "no package's" ] || fail "it is somebody's"
file tool 755 'tool X'
expect_status 0 systracker checkpoint -m deviates
[ "$(rows packaged_deviation)" -eq 2 ] || fail "what deviates is not kept"
sql 'SELECT why FROM packaged_deviation' | grep -qx 'not as packaged' || fail "it is not owned"
expect_status 0 systracker cat 2 "$demo/tool"
[ "$(cat "$out")" = 'tool X' ] || fail "the content that deviates was not kept"
file tool 755 'tool 1'
expect_status 0 systracker checkpoint -m 'as packaged'
[ "$(rows packaged_deviation)" -eq 1 ] || fail "the deviation did not end"

# The same fingerprint: `collect` is not asked for rows.
printf 'demo 1\nother 7\n' >"$root/srv/packages"
echo "$demo/never f 644 $mtime" >"$root/srv/other-7"
count() { sql 'SELECT count(*) FROM packaged_package WHERE until IS NULL'; }
expect_status 0 systracker checkpoint
[ "$(count)" -eq 1 ] || fail "a package came though nothing was said to have changed"
expect_status 0 systracker status
expect_status 0 systracker checkpoint --full
[ "$(count)" -eq 2 ] || fail "--full did not ask"
echo 'demo 1' >"$root/srv/packages"
expect_status 0 systracker checkpoint
[ "$(count)" -eq 2 ] || fail "the fingerprint of --full was not kept"
echo two >"$root/srv/fingerprint"
expect_status 1 systracker status
contains "$out" 'other'
expect_status 0 systracker checkpoint
[ "$(count)" -eq 1 ] || fail "another fingerprint, and the rows were not asked for"
printf 'demo 1\nother 7\n' >"$root/srv/packages"
rm "$store/index"
expect_status 0 systracker checkpoint
[ "$(count)" -eq 2 ] || fail "without the index nothing is known again"
echo 'demo 1' >"$root/srv/packages"
echo three >"$root/srv/fingerprint"
expect_status 0 systracker checkpoint

# A program of our own.
mkdir "$scratch/own"
cat >"$scratch/own/systracker-own" <<'END'
#!/bin/sh
echo "$1: $(ls /proc/self/fd/3/srv/own)"
END
chmod 755 "$scratch/own/systracker-own"
echo systracker-own >"$root/srv/own"
echo four >"$root/srv/fingerprint"
SYSTRACKER_LIBEXECDIR=$scratch/own expect_status 0 systracker checkpoint
[ "$(sql 'SELECT words FROM packaged_said WHERE until IS NULL')" = 'say: /proc/self/fd/3/srv/own' ] ||
  fail "the program of our own was not run, or not with the root"
rm "$root/srv/own"
echo five >"$root/srv/fingerprint"
expect_status 0 systracker checkpoint

# Once the package file is kept, the manifest is made anew: the mode that was there was not what the
# package declares.  What was before reads as before.
before=$(systracker log | wc -l)
{
  echo "$demo d 755 $mtime"
  line tool 711
  line data
} >"$scratch/demo.deb"
keep "$scratch/demo.deb" demo 1
latest() { sql 'SELECT max(number) FROM checkpoint'; }
was=$(latest)
expect_status 0 systracker status
expect_status 0 systracker checkpoint -m better
[ "$(sql "SELECT count(*) FROM packaged_package WHERE name = 'demo' AND since = $(latest)")" -eq 1 ] ||
  fail "the better manifest was not taken"
[ "$(rows standard_track_entry)" -eq 2 ] || fail "the mode deviates now, and that is not stored: $(rows standard_track_entry)"
expect_status 0 systracker status
expect_status 0 systracker diff --files "$was" latest
expect_status 0 systracker checkpoint
[ "$(sql "SELECT count(*) FROM packaged_package WHERE since = $(latest)")" -eq 0 ] ||
  fail "the manifest was made once more"

# Of a package nothing was known; where rules changed, and plug-ins perhaps, it is asked for again.
late() { sql "SELECT count(*) FROM packaged_package WHERE name = 'late' AND until IS NULL
  AND manifest IS NOT NULL"; }
file late 644 'late 1'
printf 'demo 1\nlate 1\n' >"$root/srv/packages"
echo six >"$root/srv/fingerprint"
expect_status 0 systracker checkpoint
rows_before=$(rows standard_track_entry)
line late >"$root/srv/late-1"
expect_status 0 systracker checkpoint
[ "$(late)" -eq 0 ] || fail "a manifest came though nothing was asked"
echo 'excluded "/usr/local/none" { reason = "another rule" }' >>"$config"
expect_status 0 systracker checkpoint
[ "$(late)" -eq 1 ] || fail "the manifest was not asked for again"
[ "$(rows standard_track_entry)" -eq $((rows_before - 1)) ] || fail "what is as packaged stands"

expect_status 0 systracker verify
[ "$(systracker log | wc -l)" -gt "$before" ] || fail "no checkpoints"
