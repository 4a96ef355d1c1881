#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGKILL at many moments of a prune, in the catalog, the packs and the index of objects: the store
# verifies, what is kept reads as before, and the next prune comes to the same end as an unkilled one.
# And readers that go on meanwhile never miss anything.
. "$ST_SOURCE/tests/functions.sh"
need_program strace
need_program jq

kills=${ST_KILLS:-15}
make_root
make_config
cd "$root"
seq 1 60 | while read -r i; do seq 1 50 >"etc/app/file$i.conf"; done
n=1
while [ $n -le 12 ]; do
  seq $n 5 60 | while read -r i; do echo "night $n" >>"etc/app/file$i.conf"; done
  head -c 300000 /dev/urandom >srv/night
  echo $n >"srv/only-$n"
  rm -f "srv/only-$((n - 1))"
  printf 'root:secret-%s:19000:0:99999:7:::\n' $n >etc/shadow
  expect_status 0 systracker checkpoint
  n=$((n + 1))
done
cd "$scratch"
mv "$store" "$scratch/before"
fresh_store()
{
  rm -rf "$store"
  cp -a "$scratch/before" "$store"
}
read_all()
{
  for a in 1 6 12; do
    for path in /etc/app/file1.conf /etc/app/file33.conf /etc/shadow /srv/night "/srv/only-$a"; do
      systracker cat --secrets "$a" "$path" || echo "lacks $path"
    done
    for b in 6 12; do [ "$a" -ge "$b" ] || systracker diff "$a" "$b" --json || :; done
  done 2>&1
}
# What the store comes to: checkpoints and objects, not where they lie.
state() { systracker verify --json | jq -c 'select(.objects) | [.objects, .raw, .named, .damaged]'; }
prune() { "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" prune --keep-tag sixth --keep-last 1; }

fresh_store
expect_status 0 systracker tag sixth 6
rm -rf "$scratch/before"
cp -a "$store" "$scratch/before"
read_all >"$scratch/reads"
! grep -q lacks "$scratch/reads" || fail "something is not there from the start"
expect_status 0 prune
contains "$out" '9 checkpoints pruned of 12' '1 pack'
twin=$(state)
echo "an unkilled prune ends with $twin"

# phase NAME SYSTEM-CALL: counted in a run, then killed at so many of them.
phase()
{
  name=$1 call=$2
  fresh_store
  strace -f -qq -o "$scratch/trace" -e "trace=$call" "$ST_SYSTRACKER" --config "$config" --root "$root" \
    --store "$store" prune --keep-tag sixth --keep-last 1 >"$out" 2>&1 || fail "the counted run failed"
  count=$(grep -c '(' "$scratch/trace")
  echo "$name: $count system calls"
  [ "$count" -gt 0 ] || fail "$name: none to kill at"
  i=0 done=0
  most=$kills
  [ "$count" -ge "$most" ] || most=$count
  while [ $i -lt "$most" ]; do
    at=$((1 + i * count / most))
    fresh_store
    status=0
    strace -f -qq -o "$scratch/trace" -e "trace=$call" -e "inject=$call:signal=KILL:when=$at" \
      "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" \
      prune --keep-tag sixth --keep-last 1 >"$out" 2>&1 || status=$?
    [ "$status" -ne 137 ] || done=$((done + 1))
    # A reader meets it first, then a writer.
    read_all >"$scratch/now"
    cmp "$scratch/reads" "$scratch/now" || fail "$name: killed at $at: something reads otherwise"
    systracker verify >"$out" 2>&1 || { cat "$out"; fail "$name: killed at $at: it does not verify"; }
    prune >"$out" 2>&1 || { cat "$out"; fail "$name: killed at $at: the next prune fails"; }
    now=$(state)
    [ "$now" = "$twin" ] || fail "$name: killed at $at: it ends with $now, the twin with $twin"
    read_all >"$scratch/now"
    cmp "$scratch/reads" "$scratch/now" || fail "$name: after $at: something reads otherwise"
    [ "$(find "$store/packs" -name '*.pack' | wc -l)" -eq 1 ] || fail "$name: after $at: packs are left over"
    i=$((i + 1))
  done
  [ "$done" -ge $((most * 3 / 4)) ] || fail "$name: only $done of $most were killed"
  echo "$name: $done kills among $count system calls"
}
phase write pwrite64
phase sync fdatasync
phase sync-all fsync
phase remove unlinkat
phase open openat

# ---- Readers meanwhile ---------------------------------------------------------------------------
# Each time from the full store: prunes, one after the other, with less to keep.
i=0
while [ $i -lt 5 ]; do
  fresh_store
  { for last in 8 5 2; do
      systracker prune --keep-tag sixth --keep-last $last >>"$scratch/prunes" 2>&1 || echo "failed" >>"$scratch/prunes"
    done; } &
  pruner=$!
  while kill -0 $pruner 2>"$scratch/no-such"; do
    read_all >"$scratch/now"
    cmp "$scratch/reads" "$scratch/now" || { diff "$scratch/reads" "$scratch/now" | head; fail "a reader missed something"; }
  done
  wait $pruner
  i=$((i + 1))
done
! grep -q failed "$scratch/prunes" || fail "a prune failed: $(cat "$scratch/prunes")"
echo "readers: all was there at every time"
