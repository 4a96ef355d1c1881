#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGKILL at many moments of a prune of an archive, and of a backup: the archive verifies, what is kept
# reads as before, the next prune comes to the same end as an unkilled one, hosts go on sending; a
# backup that was killed is the older one or the newer one, and sound.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/archived.sh"
need_program strace
need_program jq

kills=${ST_KILLS:-10}
copy=$scratch/copy
program=${ST_SYSTRACKER%/*}/systracker-archive
as a make_host alpha
as b make_host beta
expect_status 0 systracker_archive init "$archive"
n=1
while [ $n -le 8 ]; do
  night a $n 50000
  night b $n 50000
  [ $n -ne 4 ] || expect_status 0 systracker_archive backup "$archive" "$copy"
  n=$((n + 1))
done
mv "$archive" "$scratch/before"
mv "$copy" "$scratch/older"
fresh()
{
  rm -rf "$archive" "$copy"
  cp -a "$scratch/before" "$archive"
  cp -a "$scratch/older" "$copy"
}
read_all()
{
  for host in alpha beta; do
    for at in 1 7 8; do
      for path in /etc/app/app.conf /opt/big "/srv/only-$at"; do
        systracker_archive cat "$archive" $host $at "$path" || echo "lacks $path"
      done
    done
    systracker_archive diff "$archive" $host 1 8 --json || :
  done 2>&1
}
state() { systracker_archive --json verify "$1" | jq -c 'select(.hosts) | [.hosts, .checkpoints, .objects, .damaged]'; }

fresh
read_all >"$scratch/reads"
! grep -q lacks "$scratch/reads" || fail "something is not there from the start"
expect_status 0 systracker_archive prune "$archive" --keep-last 2
twin=$(state "$archive")
echo "an unkilled prune ends with $twin"

# kills NAME SYSTEM-CALL CHECK ARGUMENT...: counted in a run, then killed at so many of them.
kills()
{
  name=$1 call=$2 check=$3
  shift 3
  fresh
  strace -f -qq -o "$scratch/trace" -e "trace=$call" "$program" "$@" >"$out" 2>&1 || fail "the counted run failed"
  count=$(grep -c '(' "$scratch/trace")
  echo "$name: $count system calls"
  [ "$count" -gt 0 ] || fail "$name: none to kill at"
  i=0 done=0 most=$kills
  [ "$count" -ge "$most" ] || most=$count
  while [ $i -lt "$most" ]; do
    at=$((1 + i * count / most)) status=0
    fresh
    strace -f -qq -o "$scratch/trace" -e "trace=$call" -e "inject=$call:signal=KILL:when=$at" \
      "$program" "$@" >"$out" 2>&1 || status=$?
    [ "$status" -ne 137 ] || done=$((done + 1))
    $check "$name: killed at $at"
    i=$((i + 1))
  done
  echo "$name: killed $done times"
  [ "$done" -gt 0 ] || fail "$name: was never killed"
}

# A reader meets it first, then a writer, then the next prune, then the host.
check_pruned()
{
  read_all >"$scratch/now"
  cmp "$scratch/reads" "$scratch/now" || fail "$1: something reads otherwise"
  systracker_archive verify "$archive" >"$out" 2>&1 || { cat "$out"; fail "$1: it does not verify"; }
  expect_status 0 systracker_archive --quiet prune "$archive" --keep-last 2
  expect_status 0 systracker_archive --quiet gc "$archive"
  [ "$(state "$archive")" = "$twin" ] || fail "$1: the next prune ends with $(state "$archive")"
  rm -rf "$scratch/store-c"
  cp -a "$scratch/store-a" "$scratch/store-c"
  root=$scratch/root-a store=$scratch/store-c
  systracker --quiet checkpoint -m after
  expect_status 0 systracker --quiet sync "$archive"
  systracker_archive verify "$archive" >"$out" 2>&1 || { cat "$out"; fail "$1: it does not verify after a sync"; }
}
for call in fdatasync pwrite64 unlink; do
  kills "prune, $call" $call check_pruned prune "$archive" --keep-last 2
done

older=$(state "$copy")
check_copy()
{
  now=$(systracker_archive --json verify "$copy" 2>"$scratch/words" | jq -c 'select(.hosts) | [.hosts, .damaged]')
  [ "$now" = '[2,0]' ] || { cat "$scratch/words"; fail "$1: the copy does not verify: $now"; }
  expect_status 0 systracker_archive --quiet backup "$archive" "$copy"
  [ "$(state "$copy")" = "$(state "$archive")" ] || fail "$1: the next copy is not the archive"
}
echo "the older copy: $older"
for call in renameat syncfs unlinkat pwrite64; do
  kills "backup, $call" $call check_copy backup "$archive" "$copy"
done
