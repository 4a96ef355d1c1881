#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A store that was set back (its disk came from an image) opens a new epoch in its archive: nothing is
# overwritten, nothing is lost, and both sides say so.
. "$ST_SOURCE/tests/functions.sh"

archive=$scratch/archive
systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }
night()
{
  printf '%s\n' "$1" >"$root/etc/issue"
  expect_status 0 systracker checkpoint -m "$1"
}
make_root
make_config
systracker_archive init "$archive" >/dev/null
for n in 1 2 3; do night "night $n"; done
expect_status 0 systracker sync "$archive"
cp -a "$store" "$scratch/image"
night 'lost 4'
night 'lost 5'
expect_status 0 systracker sync "$archive"
a=$(basename "$store"/hosts/*)
systracker_archive diff "$archive" "$a" 3 5 >"$scratch/lost" || :
systracker_archive log "$archive" "$a" >"$scratch/log"

# ---- Set back by two checkpoints, and nothing new since ------------------------------------------
rm -r "$store"
cp -a "$scratch/image" "$store"
head=$(sha256sum <"$store/hosts/$a/chain")
expect_status 0 systracker sync "$archive"
contains "$out" 'this store was set back: the archive has checkpoints up to 5' \
  'they stay there as epoch 1, and epoch 2 begins' '^sent checkpoints 1 to 4'
# Our own chain goes on: what it was is still its beginning.
size=$(stat -c %s "$scratch/image/hosts/$a/chain")
[ "$(head -c "$size" "$store/hosts/$a/chain" | sha256sum)" = "$head" ] || fail "our chain was rewritten"
expect_status 0 systracker log
contains "$out" '^ +4 .*nothing changed .*epoch 2: this store was set back'
expect_status 0 systracker verify
expect_status 0 systracker_archive verify "$archive"
contains "$out" '2 chains with 9 checkpoints' 'nothing is damaged'
expect_status 0 systracker_archive hosts "$archive"
contains "$out" "^$a .* 4 checkpoints, .*epoch 2; older epochs: 1"
expect_status 0 systracker_archive --json hosts "$archive"
contains "$out" '"epoch":2,"older_epochs":\[1\]'

expect_status 0 systracker_archive log "$archive" "$a"
contains "$out" '^ +4 .*epoch 2' '^ +1 .*night 1'
lacks "$out" 'lost'
contains "$err" "what it had sent before is there as $a/epoch-1"

# What it had sent is there as it was.
systracker_archive log "$archive" "$a/epoch-1" | cmp - "$scratch/log" || fail "the older epoch's log"
systracker_archive diff "$archive" "$a/epoch-1" 3 5 | cmp - "$scratch/lost" ||
  fail "the older epoch's difference"
expect_status 0 systracker_archive cat "$archive" "$a/epoch-1" 5 /etc/issue
contains "$out" '^lost 5$'

# Both can be had back, here and elsewhere: the host's own older epoch needs no recovery key.
shadow=$(cat "$root/etc/shadow")
echo 'root:other:1:0:99999:7:::' >"$root/etc/shadow"
expect_status 0 systracker restore --from "$archive" --host "$a/epoch-1" --checkpoint 5 \
  --packages=none --yes
[ "$(cat "$root/etc/issue")" = 'lost 5' ] || fail "5 of epoch 1 was not restored"
[ "$(cat "$root/etc/shadow")" = "$shadow" ] || fail "a secret of our own older epoch was not restored"
expect_status 0 systracker restore --checkpoint 3 --packages=none --yes
[ "$(cat "$root/etc/issue")" = 'night 3' ] || fail "3 was not restored"
expect_status 0 systracker restore --host "$a/epoch-1" --checkpoint 4 --packages=none --yes
[ "$(cat "$root/etc/issue")" = 'lost 4' ] || fail "4 of epoch 1 was not restored"
expect_status 0 systracker undo --yes
[ "$(cat "$root/etc/issue")" = 'night 3' ] || fail "undo"
mine=$store
store=$scratch/elsewhere
expect_status 0 systracker fetch "$archive" --host "$a/epoch-1"
contains "$out" "^fetched checkpoints 1 to 5 of host $a/epoch-1"
expect_status 0 systracker fetch "$archive" --host "$a" --checkpoint 4
contains "$out" "^fetched checkpoint 4 of host $a with"
expect_status 0 systracker_archive cat "$store" "$a/epoch-1" 5 /etc/issue
contains "$out" '^lost 5$'
expect_status 0 systracker_archive cat "$store" "$a" 4 /etc/issue
contains "$out" '^night 3$'
expect_status 0 systracker_archive verify "$store"
expect_status 2 systracker fetch "$archive" --host "$a/epoch-7"
expect_status 2 systracker fetch "$archive" --host "$a/new"
[ ! -e "$store/hosts/$a/epoch-7" ] || fail "a folder of an epoch that is not there"
store=$mine

# ---- It goes on, and again: set back and gone another way ----------------------------------------
night 'again 5'
expect_status 0 systracker sync "$archive"
contains "$out" '^sent checkpoints 5 to '
expect_status 0 systracker sync "$archive"
contains "$out" '^nothing new'
fetched=$scratch/fetched
mine=$store
store=$fetched
expect_status 0 systracker fetch "$archive" --host "$a"
store=$mine
rm -r "$store"
cp -a "$scratch/image" "$store"
for n in 4 5 6 7; do night "third $n"; done
expect_status 0 systracker --json sync "$archive"
contains "$out" '"new_epoch":3'
expect_status 0 systracker_archive --json hosts "$archive"
contains "$out" '"checkpoints":8,.*"epoch":3,"older_epochs":\[1,2\]'
expect_status 0 systracker_archive cat "$archive" "$a/epoch-2" 9 /etc/issue
contains "$out" '^again 5$'
expect_status 0 systracker_archive cat "$archive" "$a" 7 /etc/issue
contains "$out" '^third 7$'
expect_status 0 systracker_archive verify "$archive"
contains "$out" '3 chains'

# Whoever had fetched the chain keeps it aside, and says so.
store=$fetched
expect_status 0 systracker fetch "$archive" --host "$a"
contains "$out" 'was set back: what was fetched before stays as epoch 2' '^fetched checkpoints 1 to 8'
expect_status 0 systracker_archive cat "$fetched" "$a/epoch-2" 5 /etc/issue
expect_status 0 systracker_archive cat "$fetched" "$a" 7 /etc/issue
expect_status 0 systracker_archive verify "$fetched"

# The host itself does not fetch what does not follow from its own.
store=$mine
rm -r "$store"
cp -a "$scratch/image" "$store"
night 'fourth 4'
expect_status 1 systracker fetch "$archive"
one_error 'do not follow its own'
