#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Two hosts send to one archive in a directory: each chain is whole, what they share is there once, no
# secret leaves its host, and what comes back is what was sent.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/archived.sh"

canary='canary-7c2f91e0d4'
stored() { du -sb "$archive/packs" | cut -f1; }
id_of() { basename "$1"/hosts/*; }

fill_host()
{
  make_host "$1"
  printf 'root:%s:19000:0:99999:7:::\n' "$canary-$1" >"$root/etc/shadow"
  # What both have, and a little of each one's own.
  i=0
  while [ $i -lt 150 ]; do
    seq $i $((i + 900)) | sha256sum | cut -c1-64 >"$root/opt/shared-$i"
    seq $((i * 7)) $((i * 7 + 400)) >>"$root/opt/shared-$i"
    i=$((i + 1))
  done
  seq 1 300 | sed "s/^/$1 /" >"$root/opt/own"
  find "$root" -exec touch -h -d '2024-03-01 12:00:00' {} +
}

as a fill_host alpha
as b fill_host beta
make_config

# ---- Made, and refused where it is none --------------------------------------------------------
expect_status 2 as a systracker sync "$archive"
expect_status 0 systracker_archive init "$archive"
expect_status 1 systracker_archive init "$archive"
one_error 'not empty'
mkdir "$scratch/other"
as a systracker checkpoint >/dev/null
expect_status 2 as a systracker sync "$scratch/other"
one_error 'no archive of SysTracker'
[ -z "$(ls -A "$scratch/other")" ] || fail "something was written into another folder"
expect_status 1 as a systracker sync ftp://archive.example.org/
expect_status 2 as a systracker sync
one_error 'no archive is named'

# ---- Sent ---------------------------------------------------------------------------------------
echo 'second revision' >>"$scratch/root-a/opt/own"
printf 'root:%s:19001:0:99999:7:::\n' "$canary-later" >"$scratch/root-a/etc/shadow"
as a systracker checkpoint -m 'second' --tag good >/dev/null
expect_status 0 as a systracker sync "file://$archive"
contains "$out" '^sent checkpoints 1 to 2 with [0-9]+ objects'
one=$(stored)
find "$archive" -printf '%p %s %T@\n' | sort >"$scratch/before"
expect_status 0 as a systracker sync "$archive"
contains "$out" '^nothing new to send'
find "$archive" -printf '%p %s %T@\n' | sort | cmp - "$scratch/before" ||
  fail "a sync with nothing new wrote something"

as b systracker checkpoint >/dev/null
expect_status 0 as b systracker --json sync "$archive"
contains "$out" '"first":1,"last":1'
both=$(stored)
echo "an archive of one root: $one bytes; of two that share most: $both bytes"
[ "$both" -lt $((one * 5 / 4)) ] || fail "the second host costs too much: $one, $both"

# By the configuration's own archive.
printf 'archive { url = "file://%s" }\n' "$archive" >>"$config"
echo third >>"$scratch/root-a/etc/issue"
as a systracker checkpoint >/dev/null
expect_status 0 as a systracker sync
contains "$out" '^sent checkpoint 3 with 1 objects'

# ---- Looked at -----------------------------------------------------------------------------------
a=$(id_of "$scratch/store-a") b=$(id_of "$scratch/store-b")
expect_status 0 systracker_archive hosts "$archive"
contains "$out" "^$a +alpha +3 checkpoints" "^$b +beta +1 checkpoints"
expect_status 0 systracker_archive --json hosts "$archive"
contains "$out" "\"host\":\"$a\",\"name\":\"alpha\",\"checkpoints\":3"
expect_status 0 systracker_archive verify "$archive"
contains "$out" '2 chains with 4 checkpoints' 'nothing is damaged'
expect_status 0 systracker_archive gc "$archive"
contains "$out" '^removed 0 objects \(0 B\) and 0 package files'

systracker_archive log "$archive" alpha >"$scratch/log"
as a systracker log | cmp - "$scratch/log" || fail "log of the archive is not that of the host"
contains "$scratch/log" '\(good\)  second'
for args in '1 3' '1 2 -- /opt/own' '2 3 --name-only'; do
  # shellcheck disable=SC2086
  expect_status 1 systracker_archive diff "$archive" "$a" $args
  cp "$out" "$scratch/there"
  # shellcheck disable=SC2086
  expect_status 1 as a systracker diff $args
  cp "$out" "$scratch/here"
  cmp "$scratch/here" "$scratch/there" || fail "diff $args in the archive is another"
done
expect_status 2 systracker_archive diff "$archive" "$a" 1
one_error 'no live system'
expect_status 0 systracker_archive show "$archive" alpha good
expect_status 2 systracker_archive log "$archive" gamma
one_error 'no such host'
expect_status 0 systracker_archive cat "$archive" alpha 2 /opt/own
cmp "$out" "$scratch/root-a/opt/own" || fail "cat from the archive"
expect_status 1 systracker_archive cat "$archive" alpha 2 /etc/shadow

# ---- No secret -----------------------------------------------------------------------------------
for name in alpha later beta; do
  year=19000
  [ $name != later ] || year=19001
  printf 'root:%s:%s:0:99999:7:::\n' "$canary-$name" "$year" >"$scratch/secret"
  host=a
  [ $name != beta ] || host=b
  no_secret "$archive" "$scratch/store-$host" "$scratch/secret" "$canary-$name" \
    "$scratch/root-$host/opt/shared-7"
done
[ ! -e "$archive/key" ] || fail "the archive has a key"

# ---- Fetched -------------------------------------------------------------------------------------
fetched=$scratch/store-c
root=$scratch/root-b store=$fetched
expect_status 2 systracker fetch "$archive"
one_error 'names one'
expect_status 0 systracker fetch "$archive" --host alpha --checkpoint 2 /opt/own
contains "$out" "^fetched checkpoint 2 of host $a with [12] objects" '^it came alone'
expect_status 0 systracker_archive cat "$fetched" "$a" 2 /opt/own
cmp "$out" "$scratch/root-a/opt/own" || fail "fetch did not give back what was sent"
expect_status 2 systracker_archive cat "$fetched" "$a" 2 /opt/shared-1
expect_status 0 systracker fetch "$archive" --host alpha
contains "$out" "^fetched checkpoints 1 to 3 of host $a"
expect_status 0 systracker fetch "$archive" --host "$(printf %.4s "$a")"
contains "$out" '^nothing new to fetch'
# Of an id so few digits may well be a name.
expect_status 2 systracker fetch "$archive" --host "$(printf %.3s "$a")"
expect_status 0 systracker fetch "$archive" --host "$a"
contains "$out" '^nothing new to fetch'
for path in /opt/shared-1 /opt/own /etc/issue; do
  as a systracker cat 3 $path >"$scratch/here"
  systracker_archive cat "$fetched" "$a" 3 $path | cmp - "$scratch/here" || fail "fetched: $path"
done
store=$fetched root=$scratch/root-b
expect_status 0 systracker_archive verify "$fetched"
# It is beside the host's own, which begins with its own baseline.
expect_status 0 systracker checkpoint
expect_status 0 systracker sync "$archive"
expect_status 0 systracker_archive --json hosts "$archive"
[ "$(wc -l <"$out")" -eq 3 ] || fail "three hosts by now"

# Both are named beta: which is which, only the id says.
c=$(for h in "$fetched"/hosts/*; do basename "$h"; done | grep -v "$a")
for command in 'log' 'diff'; do
  expect_status 2 systracker_archive "$command" "$archive" beta 1 1
  one_error 'more than one host is named so'
  contains "$err" "$b" "$c"
done
expect_status 2 systracker fetch "$archive" --host beta
contains "$err" "$b" "$c"
expect_status 0 systracker_archive log "$archive" "$b"

# ---- Package files --------------------------------------------------------------------------------
if command -v dpkg-deb >/dev/null; then
  mkdir -p "$scratch/build/DEBIAN" "$scratch/debs"
  printf 'Package: hello\nVersion: 1.0-1\nArchitecture: amd64\nMaintainer: none <none@localhost>\n%s\n' \
    'Description: toy' >"$scratch/build/DEBIAN/control"
  dpkg-deb --root-owner-group -b "$scratch/build" "$scratch/debs/hello_1.0-1_amd64.deb" >/dev/null
  for host in a b; do expect_status 0 as $host systracker packages --keep "$scratch/debs"; done
  expect_status 0 as a systracker sync
  contains "$out" '^sent 1 package files' '^no new checkpoint'
  expect_status 0 as b systracker sync
  contains "$out" '^nothing new'
  [ "$(find "$archive/packages" -name '*.deb' | wc -l)" -eq 1 ] || fail "not one copy of a package"
  root=$scratch/root-b store=$fetched
  expect_status 0 systracker fetch "$archive" --host alpha --checkpoint 3
  contains "$out" '^fetched 1 package files'
  expect_status 0 systracker fetch "$archive" --host alpha
  contains "$out" '^nothing new'
  find "$fetched/packages" -name '*.deb' -exec cmp {} "$scratch/debs/hello_1.0-1_amd64.deb" \;
  [ "$(find "$fetched/packages" -name '*.deb' | wc -l)" -eq 1 ] || fail "the package was not fetched"
  cp -a "$archive" "$scratch/broken"
  truncate -s -1 "$(find "$scratch/broken/packages" -name '*.deb')"
  store=$scratch/store-f
  expect_status 1 systracker fetch "$scratch/broken" --host alpha
  contains "$err" 'not fetched: the kept file of package hello 1.0-1: the package file is damaged'
  expect_status 2 systracker_archive verify "$scratch/broken"
  rm -r "$scratch/broken"
fi

# ---- B is not A ----------------------------------------------------------------------------------
cp -a "$archive" "$scratch/forged"
rm -r "$scratch/forged/hosts/$a"
cp -a "$scratch/forged/hosts/$b" "$scratch/forged/hosts/$a"
expect_status 2 systracker_archive verify "$scratch/forged"
contains "$err" "^systracker: damaged: $a: checkpoint 1: signed by host $b"
store=$scratch/store-d
expect_status 2 systracker fetch "$scratch/forged" --host "$a"
contains "$err" "signed by host $b"
expect_status 0 systracker_archive --json hosts "$store"
lacks "$out" '"checkpoints":[1-9]'

# B's key on A's chain, in B's folder: nobody takes it.
mkdir "$scratch/claim"
cp -a "$scratch/store-a/." "$scratch/claim"
cp "$scratch/store-b/key" "$scratch/claim/key"
mv "$scratch/claim/hosts/$a" "$scratch/claim/hosts/$b"
systracker_archive init "$scratch/empty" >/dev/null
store=$scratch/claim root=$scratch/root-a
expect_status 2 systracker sync "$scratch/empty"
contains "$err" "signed by host $a"
expect_status 0 systracker_archive --json hosts "$scratch/empty"
lacks "$out" '"checkpoints":[1-9]'

# ---- Tampered ------------------------------------------------------------------------------------
# tampered WHAT: a copy of the archive in $forged is damaged in the eyes of verify and fetch.
forged=$scratch/forged
tampered()
{
  expect_status 2 systracker_archive verify "$forged"
  store=$scratch/store-e
  rm -rf "$store"
  status=0
  systracker fetch "$forged" --host "$a" >"$out" 2>"$err" || status=$?
  cat "$err"
  [ $status -ne 0 ] || fail "fetched from an archive with $1"
  rm -rf "$forged"
  cp -a "$archive" "$forged"
}
rm -rf "$forged"
cp -a "$archive" "$forged"
if command -v sqlite3 >/dev/null; then
  db=$forged/hosts/$a/catalog.db
  sqlite3 "$db" "UPDATE standard_track_entry SET mode = 511 WHERE since = 1"
  tampered "changed facts"
  sqlite3 "$db" "UPDATE checkpoint SET (state_root, header_digest, body, signature) =
    (SELECT state_root, header_digest, body, signature FROM checkpoint WHERE number = 2)
    WHERE number = 3"
  tampered "a header in the place of another"
  sqlite3 "$db" "DELETE FROM checkpoint WHERE number = 2"
  tampered "a missing checkpoint"
fi
pack=$(find "$forged/packs" -name '*.pack')
size=$(stat -c %s "$pack")
printf 'XXXXXXXX' | dd of="$pack" bs=1 seek=$((size / 2)) conv=notrunc status=none
tampered "a damaged pack"

# ---- Two at once, and killed ones ----------------------------------------------------------------
for host in a b; do
  seq 5000 9000 >"$scratch/root-$host/opt/new-$host"
  as $host systracker checkpoint >/dev/null
done
hold "$archive/lock"
as a systracker sync >"$scratch/out-a" 2>"$scratch/err-a" &
first=$!
as b systracker sync >"$scratch/out-b" 2>"$scratch/err-b" &
second=$!
for each in a b; do
  soon grep -q 'waiting for the archive' "$scratch/err-$each" || fail "$each does not wait"
done
let_go
wait "$first" || fail "the first of two syncs at once"
wait "$second" || fail "the second of two syncs at once"
contains "$scratch/out-a" '^sent checkpoint 4'
contains "$scratch/out-b" '^sent checkpoint 2'
i=0
while [ $i -lt 6 ]; do
  seq $i $((i + 3000)) >"$scratch/root-a/opt/killed-$i"
  as a systracker checkpoint >/dev/null
  killed_after "0.0$((i + 1))" "$ST_SYSTRACKER" --config "$config" --root "$scratch/root-a" \
    --store "$scratch/store-a" sync
  i=$((i + 1))
done
as a systracker sync >/dev/null
expect_status 0 as a systracker sync
contains "$out" '^nothing new'
expect_status 0 systracker_archive verify "$archive"
contains "$out" 'nothing is damaged'
