#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Checkpoints fetched one by one: each comes alone, what did not come is said in words and never shown
# as a difference, and another fetch completes it.  What is refused leaves nothing behind.
. "$ST_SOURCE/tests/functions.sh"

archive=$scratch/archive
systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }
make_root
make_config
systracker_archive init "$archive" >/dev/null
for n in 1 2 3 4 5; do
  printf 'night %s\n' "$n" >"$root/etc/issue"
  printf 'only in %s\n' "$n" >"$root/opt/night$n"
  rm -f "$root/opt/night$((n - 1))"
  [ "$n" -ne 4 ] || packages 'hello 1.1-1' 'newer 0.1'
  expect_status 0 systracker checkpoint -m "night $n"
done
systracker tag kept 3
printf 'night 6\n' >"$root/etc/issue"
expect_status 0 systracker checkpoint
expect_status 0 systracker sync "$archive"
a=$(basename "$store"/hosts/*)
mine=$store
store=$scratch/fetched
there() { systracker_archive "$1" "$archive" "$a" "$2" "$3" ${4:+"$4"} ${5:+"$5"} >"$scratch/there"; }
here() { systracker_archive "$1" "$store" "$a" "$2" "$3" ${4:+"$4"} ${5:+"$5"} >"$scratch/here"; }
same() # VERB ARGUMENT...
{
  there "$@" || :
  here "$@" || :
  [ -s "$scratch/there" ] || fail "nothing to compare: $*"
  cmp "$scratch/there" "$scratch/here" || fail "otherwise than in the archive: $*"
}

# ---- Refused: nothing is left ---------------------------------------------------------------------
expect_status 2 systracker fetch "$archive" --host nobody
[ ! -e "$store" ] || fail "a store was made for a host that is not there"
expect_status 2 systracker fetch "$archive" --host "$a" --checkpoint 9
one_error 'no checkpoint 9'
[ -z "$(ls -A "$store/hosts" 2>/dev/null)" ] || fail "a folder of a host was left"
cp -a "$archive" "$scratch/forged"
if command -v sqlite3 >/dev/null; then
  sqlite3 "$scratch/forged/hosts/$a/catalog.db" "UPDATE standard_track_entry SET mode = 511"
  expect_status 2 systracker fetch "$scratch/forged" --host "$a" --checkpoint 3
  contains "$err" 'checkpoint 3 was not taken: its state root is not that of its facts'
  expect_status 2 systracker fetch "$scratch/forged" --host "$a"
  [ -z "$(ls -A "$store/hosts")" ] || fail "a refused fetch left a folder"
fi
expect_status 1 systracker fetch "$archive" --host "$a" --checkpoint 3 /opt/nosuch
contains "$err" 'there was no such path at checkpoint 3 \(/opt/nosuch\)'

# ---- One alone ------------------------------------------------------------------------------------
rm -r "$store"
expect_status 0 systracker --json fetch "$archive" --host "$a" --checkpoint 3
contains "$out" '"first":3,"last":3,"alone":true'
expect_status 0 systracker fetch "$archive" --host "$a" --checkpoint kept
contains "$out" '^nothing new'
expect_status 0 systracker_archive verify "$store"
contains "$out" 'nothing is damaged'
expect_status 0 systracker_archive log "$store" "$a"
contains "$out" '^ +3 .* facts, all there were' '^ +2 .*  not here  night 2' '^ +1 .*  not here  night 1'
lacks "$out" 'night 4'
contains "$err" '2 of the 3 checkpoints are not here'
expect_status 0 systracker_archive --json log "$store" "$a"
contains "$out" '"facts":"not fetched","begun":null'
for args in '1 3' '3 1' 'baseline latest' 'latest~1 3'; do
  # shellcheck disable=SC2086
  expect_status 2 systracker_archive diff "$store" "$a" $args
  contains "$err" 'the facts of checkpoint [12] are not here: fetch --checkpoint [12] brings them'
  [ ! -s "$out" ] || fail "a difference was shown"
done
expect_status 2 systracker_archive show "$store" "$a" 2
one_error 'the facts of checkpoint 2 are not here'
expect_status 2 systracker_archive cat "$store" "$a" 2 /etc/issue
one_error 'the facts of checkpoint 2 are not here'
expect_status 0 systracker_archive show "$store" "$a" 3
contains "$out" '^state root'
lacks "$out" '/opt/night'
contains "$err" 'what changed with it is not known'
expect_status 0 systracker_archive log "$store" "$a" /opt/night3
lacks "$out" '^ +3 ' 'nothing is known'
contains "$err" 'what changed with them is not known'
expect_status 0 systracker_archive cat "$store" "$a" 3 /etc/issue
contains "$out" '^night 3$'
root=$scratch/root expect_status 2 systracker restore --host "$a" --checkpoint 2 --dry-run
contains "$err" 'the facts of checkpoint 2 are not here'

# ---- Others, later, before and between ---------------------------------------------------------------
expect_status 0 systracker fetch "$archive" --host "$a" --checkpoint 5
contains "$out" '^fetched checkpoint 5 of'
same diff 3 5
same diff 3 5 --stat
expect_status 0 systracker_archive show "$store" "$a" 5
contains "$out" ' since checkpoint 3$' 'night5'
expect_status 2 systracker_archive diff "$store" "$a" 4 5
expect_status 0 systracker fetch "$archive" --host "$a" --checkpoint baseline
contains "$out" '^fetched checkpoint 1 of'
same diff 1 3
same diff 1 5
expect_status 2 systracker_archive diff "$store" "$a" 2 3
expect_status 0 systracker_archive verify "$store"
expect_status 0 systracker_archive log "$store" "$a" /etc/issue
contains "$out" '^ +5 ' '^ +3 ' '^ +1 '
lacks "$out" '^ +2 ' '^ +4 '

# ---- All of them ----------------------------------------------------------------------------------
expect_status 0 systracker fetch "$archive" --host "$a"
contains "$out" '^fetched checkpoints 2 to 6 of'
systracker_archive log "$archive" "$a" >"$scratch/there"
systracker_archive log "$store" "$a" >"$scratch/here" 2>"$err"
cmp "$scratch/there" "$scratch/here" || fail "log is another than the archive's"
[ ! -s "$err" ] || fail "something is not here: $(cat "$err")"
for n in 2 3 4 5 6; do same diff $((n - 1)) $n; done
same diff 1 6
expect_status 0 systracker_archive verify "$store"
contains "$out" 'nothing is damaged'
expect_status 0 systracker fetch "$archive" --host "$a"
contains "$out" '^nothing new'
# What is whole stays so.
store=$mine root=$scratch/root
printf 'night 7\n' >"$root/etc/issue"
for n in 7 8; do expect_status 0 systracker checkpoint -m "night $n"; done
expect_status 0 systracker sync "$archive"
store=$scratch/fetched
expect_status 0 systracker fetch "$archive" --host "$a" --checkpoint 8
contains "$out" '^fetched checkpoints 7 to 8'
same diff 6 7

# ---- Single paths ------------------------------------------------------------------------------------
store=$scratch/paths
expect_status 0 systracker fetch "$archive" --host "$a" --checkpoint 3 -- /etc/app /opt/night3
contains "$out" '^fetched checkpoint 3 .* with [0-9]+ objects'
for path in /etc/app/app.conf /opt/night3; do
  expect_status 0 systracker_archive cat "$store" "$a" 3 $path
  cp "$out" "$scratch/here"
  systracker_archive cat "$archive" "$a" 3 $path | cmp - "$scratch/here" || fail "cat $path"
done
expect_status 2 systracker_archive cat "$store" "$a" 3 /etc/issue
one_error 'its content was not fetched'
expect_status 0 systracker_archive verify "$store"
contains "$out" 'nothing is damaged; [1-9][0-9]* objects were not fetched'
expect_status 0 systracker fetch "$archive" --host "$a" --checkpoint 3 /etc/issue
contains "$out" '^fetched 1 objects'
expect_status 0 systracker_archive cat "$store" "$a" 3 /etc/issue

# ---- Killed --------------------------------------------------------------------------------------------
i=0
while [ $i -lt 12 ]; do
  store=$scratch/killed
  which=$((i % 5 + 1))
  killed_after "0.0$((i / 2 + 1))" "$ST_SYSTRACKER" --config "$config" --root "$root" \
    --store "$store" fetch "$archive" --host "$a" --checkpoint $which
  expect_status 0 systracker fetch "$archive" --host "$a" --checkpoint $which
  expect_status 0 systracker_archive verify "$store"
  expect_status 0 systracker_archive cat "$store" "$a" $which /etc/issue
  contains "$out" "^night $which\$"
  [ $((i % 3)) -ne 0 ] || rm -r "$store"
  i=$((i + 1))
done
expect_status 0 systracker fetch "$archive" --host "$a"
same diff 1 8
