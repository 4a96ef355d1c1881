#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGKILL while a first checkpoint goes straight into the catalog: the store opens for who looks and
# who writes, and the next checkpoint is the one that would have been, or one more.
. "$ST_SOURCE/tests/functions.sh"
need_program strace
need_program jq

kills=${ST_KILLS:-10}
make_root
make_config
cd "$root"
seq 1 300 | while read -r i; do echo "setting $i" >"etc/app/file$i.conf"; done
find "$root" -exec touch -h -d '2024-03-01 12:00:00' {} +

state_root() { systracker show latest --json | jq -r 'select(.state_root) | .state_root' | head -n 1; }
expect_status 0 systracker checkpoint
twin=$(state_root)
[ -n "$twin" ] || fail "the twin has no state root"
host=$(basename "$store"/hosts/*)

# The store of a host that has a key and no checkpoint: so the files have the same names each time.
mkdir "$scratch/before"
chmod 700 "$scratch/before"
cp -a "$store/key" "$store/lock" "$store/packs" "$store/hosts" "$scratch/before"
rm -r "$scratch/before/hosts/$host"/*
fresh_store()
{
  rm -rf "$store"
  cp -a "$scratch/before" "$store"
}
catalog=$store/hosts/$host/catalog.db

traced()
{
  strace -f -qq -o "$scratch/trace" -P "$catalog" -P "$catalog-journal" -P "$catalog-wal" \
    -P "$store/hosts/$host/chain" "$@" \
    "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" checkpoint \
    >"$scratch/killed" 2>&1
}

# Whoever looks takes back what was not finished, or sees that it was.
look()
{
  systracker log >"$out" 2>&1 || grep -q 'there is no checkpoint yet' "$out" || {
    cat "$out"
    fail "$1: who looks is told something else"
  }
}

# go_on WHERE: as the next night would, after a kill.
go_on()
{
  expect_status 0 systracker checkpoint
  now=$(state_root)
  [ "$now" = "$twin" ] || fail "$1: state root $now, the twin's is $twin"
  expect_status 0 systracker verify
  [ ! -e "$catalog-journal" ] || fail "$1: the journal stays"
}

done=0
hot=0
# phase SYSTEM-CALL
phase()
{
  call=$1
  fresh_store
  traced -e "trace=$call" || { cat "$scratch/killed"; fail "the counted run failed"; }
  count=$(grep -c "$call(" "$scratch/trace")
  echo "$call: $count calls"
  at=1
  while [ "$at" -le "$count" ]; do
    fresh_store
    status=0
    traced -e "trace=$call" -e "inject=$call:signal=KILL:when=$at" || status=$?
    [ "$status" -ne 137 ] || done=$((done + 1))
    [ ! -s "$catalog-journal" ] || hot=$((hot + 1))
    [ $((at % 2)) -eq 0 ] || look "$call: killed at $at"
    go_on "$call: killed at $at"
    at=$((at + 1 + count / kills))
  done
}

phase pwrite64
phase fdatasync
phase unlink
echo "$done kills, $hot of them left a journal to be rolled back"
[ "$done" -ge "$kills" ] || fail "only $done were killed"
[ "$hot" -gt 0 ] || fail "no kill left a journal to be rolled back"
