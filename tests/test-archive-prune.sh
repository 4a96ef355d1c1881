#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# An archive's hosts are pruned: what is kept reads as before, what is not answers so, the archive
# verifies, hosts go on sending and fetching, and what nothing names any more is freed.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/archived.sh"
need_program jq
need_program basenc

size() { du -sb "$archive/packs" | cut -f1; }
# night HOST N: files that come, go and change.
night()
{
  echo "revision $2 of $1" >>"$scratch/root-$1/etc/app/app.conf"
  echo "only $2" >"$scratch/root-$1/srv/only-$2"
  rm -f "$scratch/root-$1/srv/only-$(($2 - 1))"
  head -c 60000 /dev/urandom >"$scratch/root-$1/opt/big"
  printf 'root:secret-%s:19000:0:99999:7:::\n' "$2" >"$scratch/root-$1/etc/shadow"
}
as a make_host alpha
as b make_host beta
expect_status 0 systracker_archive init "$archive"
n=1
while [ $n -le 10 ]; do
  for host in a b; do
    night $host $n
    case $host$n in
    a4) expect_status 0 as $host systracker checkpoint --tag good ;;
    *) expect_status 0 as $host systracker checkpoint ;;
    esac
    expect_status 0 as $host systracker sync "$archive"
  done
  n=$((n + 1))
done

# ---- Refused -------------------------------------------------------------------------------------
expect_status 1 systracker_archive prune "$archive"
one_error 'nothing says what to keep'
expect_status 2 systracker_archive prune
expect_status 2 systracker_archive prune "$archive" --keep-last many
expect_status 2 systracker_archive prune "$archive" nobody --keep-last 1
one_error 'no such host'
expect_status 2 systracker_archive prune "$scratch/store-a" --keep-last 1
one_error 'no archive of SysTracker'

# ---- Said, and not done --------------------------------------------------------------------------
find "$archive" -type f -printf '%p %s %T@\n' | sort >"$scratch/before"
expect_status 0 systracker_archive prune "$archive" --keep-last 2 --keep-tag good --dry-run
contains "$out" '^13 checkpoints would be pruned, of 2 hosts'
expect_status 0 systracker_archive prune "$archive" alpha --keep-last 2 --keep-tag good --dry-run
contains "$out" ' 4 .* kept: tagged' ' 5  to 8 would be pruned' '^6 checkpoints would be pruned, of 1 host'
expect_status 0 systracker_archive prune "$archive" --configured
[ ! -s "$out" ] || fail "prune --configured says something though there is no policy"
find "$archive" -type f -printf '%p %s %T@\n' | sort | cmp - "$scratch/before" ||
  fail "prune wrote something though it should not"

# ---- What is kept reads as before ------------------------------------------------------------------
read_all()
{
  for at in 'alpha 1' 'alpha 4' 'alpha good' 'alpha 9' 'alpha 10' 'beta 1' 'beta 9' 'beta 10'; do
    host=${at% *} number=${at#* }
    for path in /etc/app/app.conf "/srv/only-$number" /opt/big /etc/hostname; do
      echo "$at $path"
      systracker_archive cat "$archive" "$host" "$number" "$path" 2>&1 | sha256sum
    done
    systracker_archive diff "$archive" "$host" 1 "$number" --json 2>&1 || :
  done
}
read_all >"$scratch/reads"
big=$(size)
expect_status 0 systracker_archive --json prune "$archive" --keep-last 2 --keep-tag good
jq -se 'any(.[]; .pruned == [8, 7, 6, 5, 3, 2]) and .[2].pruned == 13 and (.[3].removed > 30)' "$out" >/dev/null ||
  { cat "$out"; fail "prune --json"; }
read_all | diff "$scratch/reads" - || fail "what is kept reads otherwise"
[ "$(size)" -lt $((big * 6 / 10)) ] || fail "little was freed: $big, then $(size)"
expect_status 0 systracker_archive verify "$archive"
contains "$out" '2 chains with 20 checkpoints' 'nothing is damaged'
expect_status 2 systracker_archive cat "$archive" alpha 5 /etc/hostname
one_error 'prune'
expect_status 0 systracker_archive prune "$archive" --keep-last 2 --keep-tag good
contains "$out" '^0 checkpoints pruned' '^removed 0 objects'

# ---- Hosts go on -----------------------------------------------------------------------------------
for host in a b; do
  night $host 11
  expect_status 0 as $host systracker checkpoint
  expect_status 0 as $host systracker sync "$archive"
  contains "$out" '^sent checkpoint 11 '
done
expect_status 0 systracker_archive verify "$archive"
root=$scratch/root-a store=$scratch/store-c
expect_status 0 systracker fetch "$archive" --host alpha
contains "$out" '^fetched checkpoints 1 to 11'
expect_status 0 systracker_archive cat "$store" "$(basename "$scratch"/store-a/hosts/*)" 4 /srv/only-4
[ "$(cat "$out")" = 'only 4' ] || fail "what was fetched is not what was kept"

# ---- The policy ------------------------------------------------------------------------------------
expect_status 0 systracker_archive policy "$archive"
contains "$out" 'keeps all checkpoints' 'for 36 hours'
expect_status 0 systracker_archive --quiet policy "$archive" --keep-last 1 --keep-tag 'good' --silent-after 48
expect_status 0 systracker_archive --json policy "$archive"
[ "$(jq -c '[.keep.last, .keep.daily, .keep.tags, .silent_after]' "$out")" = '[1,0,["good"],48]' ] ||
  fail "the policy is not what was set"
expect_status 0 systracker_archive --quiet policy "$archive" --silent-after 24
expect_status 0 systracker_archive policy "$archive"
contains "$out" '^at 04:00, .* --keep-last 1 --keep-tag good$' 'for 24 hours'
expect_status 0 systracker_archive policy "$archive" --prune-at 23:05
contains "$out" '^at 23:05, '
for bad in 24:00 1:00 12:60 12.30 12:3x; do
  expect_status 2 systracker_archive policy "$archive" --prune-at $bad
done
expect_status 2 systracker_archive policy "$archive" --silent-after 0
expect_status 0 systracker_archive hosts "$archive"
contains "$out" ' alpha .* 11 checkpoints, latest .*, received just now, catalog [0-9.]+ KiB$'
touch -d '2 days ago' "$archive/hosts/$(basename "$scratch"/store-b/hosts/*)/chain"
expect_status 0 systracker_archive hosts "$archive"
contains "$out" ' alpha .* KiB$' ' beta .*, received 2 days ago, .*; silent$'
expect_status 0 systracker_archive --quiet policy "$archive" --silent-after 72
expect_status 0 systracker_archive --json hosts "$archive"
jq -se 'map(.silent) == [false, false] and all(.[]; .bytes > 1000 and .received)' "$out" >/dev/null ||
  { cat "$out"; fail "hosts --json"; }
expect_status 2 systracker_archive policy "$archive" --keep-all --keep-last 1

# ---- What was sent lately stays ----------------------------------------------------------------------
sent=$archive/hosts/$(basename "$scratch"/store-a/hosts/*)/sent
for file in "$scratch/root-a/srv/only-11" "$scratch/root-a/opt/big"; do
  printf '00%s' "$(sha256sum "$file" | cut -c1-64 | tr a-f A-F)" | basenc --base16 -d >>"$sent"
done
night a 12
expect_status 0 as a systracker checkpoint
expect_status 0 as a systracker sync "$archive"
expect_status 0 systracker_archive prune "$archive" --configured --no-gc
contains "$out" '^5 checkpoints pruned, of 2 hosts'
expect_status 0 systracker_archive --json gc "$archive"
first=$(jq .removed "$out")
[ "$first" -gt 0 ] || fail "gc removed nothing"
expect_status 0 systracker_archive gc "$archive"
contains "$out" '^removed 0 objects'
touch -d '8 days ago' "$sent"
expect_status 0 systracker_archive --json gc "$archive" # one of the two is the other host's, too
[ "$(jq .removed "$out")" -eq 1 ] || { cat "$out"; fail "what was sent long ago is still there"; }
[ ! -s "$sent" ] || fail "the list of what was sent outlived it"
expect_status 0 systracker_archive verify "$archive"

# A policy of a later version is not guessed at.
echo 'keep-hourly 3' >>"$archive/policy"
expect_status 2 systracker_archive prune "$archive" --configured
one_error 'does not know'
expect_status 0 systracker_archive prune "$archive" --keep-last 1
rm "$archive/policy"
expect_status 0 systracker_archive --quiet policy "$archive" --keep-all

# What root leaves there is the owner's.
if [ "$(id -u)" -eq 0 ] && id nobody >/dev/null 2>&1; then
  chmod 711 "$scratch"
  chown -R nobody "$archive"
  expect_status 0 systracker_archive --quiet policy "$archive" --keep-last 1
  expect_status 0 systracker_archive backup "$archive" "$scratch/copy"
  night a 13
  expect_status 0 as a systracker checkpoint
  expect_status 0 as a systracker sync "$archive"
  chown -R nobody "$archive"
  expect_status 0 systracker_archive prune "$archive"
  contains "$out" '^1 checkpoint pruned, of 1 host'
  find "$archive" ! -user nobody >"$scratch/strange"
  [ ! -s "$scratch/strange" ] || { cat "$scratch/strange"; fail "files of root's are in the archive"; }
fi
