#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGKILL, 20 each over the walk, the packs' writing, between packs and commit, and the commit: the
# store verifies, and the next checkpoint's state root equals that of an unkilled twin.
. "$ST_SOURCE/tests/functions.sh"
need_program strace
need_program jq

kills=${ST_KILLS:-20}
make_root
make_config
cd "$root"
seq 1 200 | while read -r i; do
  echo "setting $i" >"etc/app/file$i.conf"
done
find "$root" -exec touch -h -d '2024-03-01 12:00:00' {} +
expect_status 0 systracker checkpoint -m baseline

# What the killed checkpoint has to take in: edits, new and removed files, content that fills packs.
seq 1 5 200 | while read -r i; do echo "changed $i" >>"etc/app/file$i.conf"; done
seq 3 40 200 | while read -r i; do rm "etc/app/file$i.conf"; done
mkdir -p srv/data
seq 1 80 | while read -r i; do head -c 400000 /dev/urandom >"srv/data/block$i"; done
packages 'hello 1.1-1' 'libfoo 2.3' 'newer 0.1'
find "$root" -newermt 2024-04-01 -exec touch -h -d '2024-05-01 12:00:00' {} +

mv "$store" "$scratch/before"
state_root() { systracker show latest --json | jq -r 'select(.state_root) | .state_root' | head -n 1; }
fresh_store()
{
  rm -rf "$store"
  cp -a "$scratch/before" "$store"
}

fresh_store
expect_status 0 systracker checkpoint
twin=$(state_root)
[ -n "$twin" ] || fail "the twin has no state root"
find "$store" -type f | sed "s|^$store/||" | LC_ALL=C sort >"$scratch/files"
host=$(basename "$store"/hosts/*)

# trace ARGUMENT...: a checkpoint under strace; -P picks the files that count.
traced()
{
  strace -f -qq -o "$scratch/trace" "$@" "$ST_SYSTRACKER" --config "$config" --root "$root" \
    --store "$store" checkpoint >"$scratch/killed" 2>&1
}

# phase NAME SYSTEM-CALL [-P FILE]...: counts it in a run, then kills at 20 of them.  One call, as
# strace counts each by itself; and each thread, between which the work is shared anew in each run:
# where none came so far, it is killed earlier.
phase()
{
  name=$1 call=$2
  shift 2
  fresh_store
  traced -e "trace=$call" "$@" || { cat "$scratch/killed"; fail "the counted run failed"; }
  count=$(awk '/\(/ && ++n[$1] > most { most = n[$1] } END { print most + 0 }' "$scratch/trace")
  echo "$name: $count system calls"
  [ "$count" -ge "$kills" ] || fail "$name: only $count system calls to kill at"
  done=0
  i=0
  while [ "$i" -lt "$kills" ]; do
    at=$((1 + i * count / kills))
    status=0
    until [ "$status" -eq 137 ] || [ "$at" -eq 0 ]; do
      fresh_store
      status=0
      traced -e "trace=$call" -e "inject=$call:signal=KILL:when=$at" "$@" || status=$?
      if [ "$status" -eq 137 ]; then done=$((done + 1)); else at=$((at / 2)); fi
    done
    systracker verify >"$out" 2>&1 || { cat "$out"; fail "$name: killed at $at: it does not verify"; }
    systracker checkpoint >"$out" 2>&1 || { cat "$out"; fail "$name: killed at $at: no checkpoint"; }
    now=$(state_root)
    [ "$now" = "$twin" ] || fail "$name: killed at $at: state root $now, the twin's is $twin"
    systracker verify >"$out" 2>&1 || { cat "$out"; fail "$name: after $at: it does not verify"; }
    i=$((i + 1))
  done
  [ "$done" -eq "$kills" ] || fail "$name: only $done of $kills were killed"
  echo "$name: $done kills among $count system calls"
}

# On files below the store by what they are; -P wants them named.
pack=$store/packs/00000001.pack
objects="-P $store/packs/objects.db -P $store/packs/objects.db-wal -P $store/packs/objects.db-journal"
catalog="-P $store/hosts/$host/catalog.db -P $store/hosts/$host/catalog.db-wal -P $store/hosts/$host/chain"

phase walk statx
phase packs pwrite64 -P "$pack"
# shellcheck disable=SC2086
phase 'between packs and commit' pwrite64 $objects
# shellcheck disable=SC2086
phase commit pwrite64 $catalog
