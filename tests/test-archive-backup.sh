#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# An archive is copied while hosts send to it: each copy is sound, and a host is rebuilt from it; what
# goes from the archive goes from the copy; gc waits.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/archived.sh"
need_program jq
need_program flock

copy=$scratch/copy
files() { find "$1" -type f -printf '%P %s\n' | grep -vE '^(fleet\.db|lock|backup|packs/objects\.db\.checked)|-journal ' | sort; }
as a make_host alpha
as b make_host beta
expect_status 0 systracker_archive init "$archive"
night a 1 90000
night b 1 90000

# ---- Where to --------------------------------------------------------------------------------------
expect_status 2 systracker_archive backup "$archive"
expect_status 1 systracker_archive backup "$archive" "$archive"
one_error 'no backup of itself'
mkdir "$scratch/other"
echo mine >"$scratch/other/file"
expect_status 1 systracker_archive backup "$archive" "$scratch/other"
one_error 'neither empty nor a backup'
[ "$(ls -A "$scratch/other")" = file ] || fail "something was written into another folder"

# ---- While hosts send --------------------------------------------------------------------------------
expect_status 0 systracker_archive backup "$archive" "$copy"
contains "$out" '^copied what is new of 2 chains: [0-9]+ files'
files "$archive" >"$scratch/there"
files "$copy" | diff "$scratch/there" - || fail "the copy has other files"
expect_status 0 systracker_archive --json backup "$archive" "$copy"
[ "$(jq .files "$out")" -eq 0 ] || fail "a copy with nothing new copied something"
(
  for host in a b; do
    n=2
    while [ $n -le 12 ]; do
      night $host $n 90000
      n=$((n + 1))
    done &
  done
  wait
) >"$scratch/sent" 2>&1 &
sending=$!
round=0
while kill -0 $sending 2>/dev/null || [ $round -lt 3 ]; do
  expect_status 0 systracker_archive backup "$archive" "$copy"
  cp -a "$copy" "$scratch/looked-at"
  expect_status 0 systracker_archive verify "$scratch/looked-at"
  contains "$out" 'nothing is damaged'
  rm -rf "$scratch/looked-at"
  round=$((round + 1))
done
wait $sending || { cat "$scratch/sent"; fail "a host could not send"; }
expect_status 0 systracker_archive backup "$archive" "$copy"
for at in a b; do
  host=$(basename "$scratch/store-$at"/hosts/*)
  systracker_archive log "$archive" "$host" >"$scratch/log"
  systracker_archive log "$copy" "$host" | diff "$scratch/log" - || fail "the copy has another log"
done
echo "$round copies were made meanwhile"

# ---- A host is rebuilt from it, and sends to it --------------------------------------------------------
root=$scratch/root-a store=$scratch/store-c
expect_status 0 systracker fetch "$copy" --host alpha
expect_status 0 systracker_archive cat "$store" "$(basename "$scratch"/store-a/hosts/*)" 7 /srv/only-7
[ "$(cat "$out")" = 'only a 7' ] || fail "what was fetched is not what was sent"
cp -a "$copy" "$scratch/served"
as b systracker checkpoint
expect_status 0 as b systracker sync "$scratch/served"
contains "$out" '^sent checkpoint 13 '
expect_status 0 systracker_archive verify "$scratch/served"

# ---- What goes -------------------------------------------------------------------------------------------
exec 8>"$archive/backup.lock"
flock 8
expect_status 1 systracker_archive gc "$archive"
one_error 'a backup is being made'
expect_status 1 systracker_archive backup "$archive" "$copy"
one_error 'another backup'
exec 8>&-
expect_status 0 systracker_archive prune "$archive" --keep-last 1
before=$(du -sb "$copy" | cut -f1)
expect_status 0 systracker_archive backup "$archive" "$copy"
[ "$(du -sb "$copy" | cut -f1)" -lt $((before * 8 / 10)) ] || fail "what went is still in the copy"
files "$archive" >"$scratch/there"
files "$copy" | diff "$scratch/there" - || fail "the copy has other files"
expect_status 0 systracker_archive verify "$copy"
contains "$out" 'nothing is damaged'
