#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGKILL at every kind of write that a sync and a fetch do: the archive verifies, what it had is there,
# and the next one brings it to what an unkilled one would have made.
. "$ST_SOURCE/tests/functions.sh"
need_program strace

systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }
program=$(find "$ST_STAGE" -name systracker-sync -type f)
fetch=$(find "$ST_STAGE" -name systracker-fetch)
kills=${ST_KILLS:-12}
archive=$scratch/archive
make_root
make_config
systracker_archive init "$archive" >/dev/null
expect_status 0 systracker checkpoint -m one
expect_status 0 systracker sync "$archive"
a=$(basename "$store"/hosts/*)
for n in 2 3 4; do
  seq 1 60 | while read -r i; do
    seq $((i * n)) $((i * n + 400)) >"$root/opt/file$i"
  done
  rm -f "$root/srv/block$((n - 1))"
  head -c 1500000 /dev/urandom >"$root/srv/block$n"
  expect_status 0 systracker checkpoint -m "night $n"
done
cp -a "$archive" "$scratch/before"
expect_status 0 systracker sync "$archive"
systracker_archive log "$archive" "$a" >"$scratch/twin"
systracker_archive diff "$archive" "$a" 1 4 >"$scratch/twin-diff" || :
mv "$archive" "$scratch/twin-archive"

fresh()
{
  rm -rf "$archive" "$scratch/fetched"
  if [ "$1" = "$fetch" ]; then from=$scratch/twin-archive; else from=$scratch/before; fi
  copy_store "$from" "$archive"
}
# traced PROGRAM OPTION...: under strace, with its options.
traced()
{
  run=$1
  shift
  into=$store
  [ "$run" != "$fetch" ] || into=$scratch/fetched
  [ "$run" != "$fetch" ] || set -- "$@" -- "$fetch" --host "$a"
  [ "$run" = "$fetch" ] || set -- "$@" -- "$program"
  strace -f -qq -o "$scratch/trace" "$@" --config "$config" --root "$root" --store "$into" "$archive" \
    >"$scratch/killed" 2>&1
}
# Whatever a killed one left: it verifies, what was there is there, and it is completed.
check()
{
  gone "$archive"
  gone "$scratch/fetched"
  if [ "$1" = "$fetch" ]; then
    if [ -d "$scratch/fetched/hosts" ]; then
      systracker_archive verify "$scratch/fetched" >"$out" 2>&1 ||
        { cat "$out"; fail "$2: what was fetched is damaged"; }
    fi
    store=$scratch/fetched systracker fetch "$archive" --host "$a" >"$out" 2>&1 || fail "$2: no fetch"
    where=$scratch/fetched
  else
    systracker_archive verify "$archive" >"$out" 2>&1 ||
      { cat "$out"; fail "$2: the archive is damaged"; }
    systracker_archive show "$archive" "$a" 1 >"$out" 2>&1 || fail "$2: what it had is gone"
    systracker sync "$archive" >"$out" 2>&1 || fail "$2: no sync"
    where=$archive
  fi
  systracker_archive verify "$where" >"$out" 2>&1 || fail "$2: damaged afterwards"
  systracker_archive log "$where" "$a" | cmp -s - "$scratch/twin" || fail "$2: another log"
  systracker_archive diff "$where" "$a" 1 4 >"$scratch/diff" || :
  cmp -s "$scratch/diff" "$scratch/twin-diff" || fail "$2: another difference"
  systracker_archive cat "$where" "$a" 4 /srv/block4 | cmp -s - "$root/srv/block4" || fail "$2: content"
}
# phase PROGRAM SYSTEM-CALL: counts the calls, then kills at some of them, spread over all.
phase()
{
  fresh "$1"
  traced "$1" -e "trace=$2" || { cat "$scratch/killed"; fail "the counted run failed"; }
  count=$(grep -c "$2(" "$scratch/trace" || :)
  if [ "$count" -eq 0 ]; then
    echo "${1##*-}: no $2"
    return
  fi
  done=0
  i=0
  while [ $i -lt "$kills" ] && [ $i -lt "$count" ]; do
    at=$((1 + i * count / kills))
    [ "$count" -gt "$kills" ] || at=$((i + 1))
    fresh "$1"
    status=0
    traced "$1" -e "trace=$2" -e "inject=$2:signal=KILL:when=$at" || status=$?
    [ $status -ne 137 ] || done=$((done + 1))
    check "$1" "${1##*-}: $2 at $at of $count"
    i=$((i + 1))
  done
  [ $done -eq $i ] || fail "${1##*-}: only $done of $i were killed"
  echo "${1##*-}: $done kills among $count $2"
}
for call in pwrite64 fdatasync fsync renameat unlink unlinkat mkdirat ftruncate write; do
  phase "$program" $call
  phase "$fetch" $call
done

# ---- A new epoch: what the archive has is put aside, step by step ----------------------------------
# The archive has two checkpoints that the store, set back, does not know.
cp -a "$store" "$scratch/image"
for n in 5 6; do
  echo "lost $n" >"$root/etc/issue"
  expect_status 0 systracker checkpoint -m "lost $n"
done
rm -rf "$archive"
cp -a "$scratch/twin-archive" "$archive"
expect_status 0 systracker sync "$archive"
rm -rf "$scratch/before"
mv "$archive" "$scratch/before"
set_back()
{
  fresh "$program"
  rm -rf "$store"
  copy_store "$scratch/image" "$store"
}
for call in renameat mkdirat fsync unlink pwrite64; do
  set_back
  traced "$program" -e "trace=$call" || { cat "$scratch/killed"; fail "the counted run failed"; }
  count=$(grep -c "$call(" "$scratch/trace" || :)
  done=0
  i=0
  while [ $i -lt 8 ] && [ $i -lt "$count" ]; do
    at=$((1 + i * count / 8))
    [ "$count" -gt 8 ] || at=$((i + 1))
    set_back
    status=0
    traced "$program" -e "trace=$call" -e "inject=$call:signal=KILL:when=$at" || status=$?
    [ $status -ne 137 ] || done=$((done + 1))
    gone "$archive"
    gone "$store"
    expect_status 0 systracker sync "$archive" >/dev/null 2>&1
    expect_status 0 systracker_archive verify "$archive" >/dev/null 2>&1
    systracker_archive cat "$archive" "$a/epoch-1" 6 /etc/issue | grep -qx 'lost 6' ||
      fail "epoch: $call at $at of $count: what was sent before is lost"
    systracker_archive cat "$archive" "$a" 4 /srv/block4 | cmp -s - "$root/srv/block4" ||
      fail "epoch: $call at $at of $count: content"
    i=$((i + 1))
  done
  [ $done -eq $i ] || fail "epoch: $call: only $done of $i were killed"
  echo "epoch: $done kills among $count $call"
done
