#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# prune: what is kept reads as before, what is not answers so, and what nothing names any more is freed;
# a pruned chain goes to an archive and comes back.
. "$ST_SOURCE/tests/functions.sh"
need_program jq
make_root
make_config
size() { du -sb "$store/packs"/*.pack | awk '{ n += $1 } END { print n }'; }

# Fifteen checkpoints: files that come, go, change and flap, secrets, big and small.
systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }
for archive in all half none; do
  expect_status 0 systracker_archive init "$scratch/$archive"
done

big() { head -c 200000 /dev/urandom >"$root/opt/big"; }
n=1
while [ $n -le 15 ]; do
  echo "revision $n" >>"$root/etc/app/app.conf"
  seq 1 400 >"$root/etc/app/table"
  echo "line $n" >>"$root/etc/app/table"
  [ $((n % 3)) -eq 0 ] && rm -f "$root/srv/flaps" || echo same >"$root/srv/flaps"
  printf 'root:secret-%s:19000:0:99999:7:::\n' $n >"$root/etc/shadow"
  big
  echo $n >"$root/srv/only-$n"
  rm -f "$root/srv/only-$((n - 1))"
  chmod 7$((n % 8))5 "$root/opt/big"
  case $n in
  4) expect_status 0 systracker checkpoint --tag good -m 'the fourth' ;;
  5) expect_status 0 systracker checkpoint --tag other ;;
  *) expect_status 0 systracker checkpoint ;;
  esac
  [ $n -ne 7 ] || expect_status 0 systracker sync "$scratch/half"
  n=$((n + 1))
done
expect_status 0 systracker sync "$scratch/all"

# ---- Refused -----------------------------------------------------------------------------------
expect_status 1 systracker prune
one_error 'nothing says what to keep'
expect_status 1 systracker prune --keep-last 0
one_error 'nothing says what to keep'
expect_status 1 systracker prune --keep-last 3 --keep-tag god
one_error 'no tag god'
expect_status 2 systracker prune --keep-last many
expect_status 2 systracker prune --keep-last 3 operand

# ---- What is read, before and after --------------------------------------------------------------
kept='1 4 12 15'
read_all()
{
  for a in $kept; do
    for path in /etc/app/app.conf /etc/app/table /etc/shadow /srv/flaps /srv/only-12 /opt/big; do
      echo "cat $a $path"
      systracker cat --secrets "$a" $path 2>&1 || :
    done
    systracker show "$a" --json | head -n 1 | jq -cS 'del(.begun, .ended, .tags)'
    for b in $kept; do
      [ "$a" -lt "$b" ] || continue
      echo "diff $a $b"
      systracker diff "$a" "$b" --times 2>&1 || :
      systracker diff "$a" "$b" --json 2>&1 || :
    done
  done
  systracker status --json || :
}
read_all >"$scratch/before"
[ "$(grep -c revision "$scratch/before")" -gt 50 ] || fail "too little is read"
before=$(size)
find "$store" -type f ! -name lock -exec sha256sum {} + | sort >"$scratch/files"

expect_status 0 systracker prune --keep-tag good --keep-last 1 --dry-run
contains "$out" 'would be pruned' 'would be freed' 'the tag other would go'
find "$store" -type f ! -name lock ! -name 'catalog.db-*' -exec sha256sum {} + | sort >"$scratch/files-after"
grep -v 'catalog.db-' "$scratch/files" | cmp - "$scratch/files-after" || fail "a dry run changed the store"
systracker --json prune --keep-tag good --keep-last 1 --dry-run | tail -n 1 >"$scratch/dry"

# Only 4 and the ends; then 12 is missed, so keep it by a tag of its own.
expect_status 0 systracker tag twelfth 12
expect_status 0 systracker prune --keep-tag good --keep-tag twelfth --keep-last 1
contains "$out" '^   4 .*kept: tagged' '^   1 .*kept: baseline' '^  15 .*kept: latest, last' \
  '5  to 11 pruned' '11 checkpoints pruned of 15' 'the tag other went'
read_all >"$scratch/after"
cmp "$scratch/before" "$scratch/after" || fail "something reads otherwise: $(diff "$scratch/before" "$scratch/after" | head)"
expect_status 0 systracker verify
contains "$out" 'nothing is damaged'
after=$(size)
echo "15 checkpoints: $before bytes in packs; 4 of them: $after"
[ "$after" -lt $((before / 2)) ] || fail "too little was freed"
jq -e '.dry_run and .pruned == 12 and .unwanted > 20 and .stored < .stored_before / 2' "$scratch/dry" >/dev/null ||
  fail "the dry run said otherwise: $(cat "$scratch/dry")"

# ---- What is gone ----------------------------------------------------------------------------------
expect_status 0 systracker log
[ "$(wc -l <"$out")" -eq 4 ] || fail "log shows what was pruned: $(cat "$out")"
for verb in 'cat 5 /etc/app/app.conf' 'show 5' 'diff 5 12' 'diff 4 11' 'restore --checkpoint 5 --dry-run' 'tag again 5'; do
  # shellcheck disable=SC2086
  expect_status 2 systracker $verb
  one_error 'was pruned'
done
expect_status 2 systracker show other
expect_status 0 systracker cat latest~2 /etc/app/app.conf
[ "$(tail -n 1 "$out")" = 'revision 4' ] || fail "latest~2 is not the third from the end"
expect_status 0 systracker show 12
contains "$out" 'since checkpoint 4'
expect_status 0 systracker log /srv/only-12
contains "$out" 12 15
expect_status 0 systracker log /srv/only-7
contains "$out" 'nothing is known'

# ---- Elsewhere -------------------------------------------------------------------------------------
# An archive keeps what it has, and takes no prune for a store that was set back.
host=$(basename "$store"/hosts/*)
expect_status 0 systracker sync "$scratch/all"
contains "$out" '^nothing new to send'
expect_status 0 systracker sync "$scratch/half"
contains "$out" '^sent checkpoints 12 to 15'
expect_status 0 systracker sync "$scratch/none"
contains "$out" '^sent checkpoints 1 to 15'
for archive in all half none; do
  expect_status 0 systracker_archive verify "$scratch/$archive"
  contains "$out" 'nothing is damaged'
  [ ! -e "$scratch/$archive/hosts/$host/epoch-1" ] || fail "$archive: a new epoch was opened"
  expect_status 0 systracker_archive --json log "$scratch/$archive" "$host"
  case $archive in all) n=15 ;; half) n=9 ;; none) n=4 ;; esac
  [ "$(grep -c '"facts":"here"' "$out")" -eq $n ] || fail "$archive has other checkpoints: $(cat "$out")"
done
expect_status 0 systracker_archive cat "$scratch/all" "$host" 5 /etc/app/app.conf
expect_status 2 systracker_archive cat "$scratch/none" "$host" 5 /etc/app/app.conf
one_error 'was pruned'

# A pruned chain comes back, and all is in it.
own=$store store=$scratch/fetched
expect_status 0 systracker fetch "$scratch/none" --host "$host"
expect_status 1 systracker_archive diff "$store" "$host" 4 15
cp "$out" "$scratch/fetched-diff"
expect_status 1 systracker_archive diff "$scratch/all" "$host" 4 15
cmp "$out" "$scratch/fetched-diff" || fail "what was fetched differs"
expect_status 0 systracker_archive verify "$store"
store=$own
read_all >"$scratch/after"
cmp "$scratch/before" "$scratch/after" || fail "something reads otherwise after sync"

# What was pruned here and is in an archive comes back by way of another store.
cp "$root/etc/app/app.conf" "$scratch/app.conf"
store=$scratch/another
expect_status 0 systracker restore --from "$scratch/all" --host "$host" --as same --checkpoint 5 --yes \
  /etc/app/app.conf
[ "$(tail -n 1 "$root/etc/app/app.conf")" = 'revision 5' ] || fail "the archive's checkpoint 5 did not come back"
cp "$scratch/app.conf" "$root/etc/app/app.conf"
store=$own

# Nothing more to do; a pack is not written anew for it.
find "$store/packs" -name '*.pack' -exec sha256sum {} + >"$scratch/files"
expect_status 0 systracker prune --keep-last 4
contains "$out" '^0 checkpoints pruned of 4'
sha256sum --quiet -c "$scratch/files" || fail "packs were written anew for nothing"

# ---- On from there ---------------------------------------------------------------------------------
echo 'revision 16' >>"$root/etc/app/app.conf"
expect_status 0 systracker checkpoint
expect_status 0 systracker verify
expect_status 0 systracker show 16
contains "$out" /etc/app/app.conf
expect_status 0 systracker restore --checkpoint 4 --yes /etc/app
[ "$(tail -n 1 "$root/etc/app/app.conf")" = 'revision 4' ] || fail "checkpoint 4 was not restored"

# What undo needs stays, whatever is pruned.
expect_status 0 systracker prune --keep-last 1
expect_status 0 systracker undo --yes
[ "$(tail -n 1 "$root/etc/app/app.conf")" = 'revision 16' ] || fail "the restore was not undone"
expect_status 0 systracker verify

# ---- By the configuration --------------------------------------------------------------------------
expect_status 0 systracker prune --configured
[ ! -s "$out" ] || fail "something was pruned though nothing says what to keep"
echo 'prune { keep_last = 2 }' >>"$config"
echo more >"$root/etc/issue"
expect_status 0 systracker checkpoint
expect_status 0 systracker prune --dry-run
contains "$out" 'kept: last'
expect_status 0 systracker prune --configured
expect_status 0 systracker --json log
[ "$(wc -l <"$out")" -eq 3 ] || fail "other checkpoints are kept: $(cat "$out")"

# ---- Package files ---------------------------------------------------------------------------------
# keep_file NAME VERSION: as apt's hook does, three days ago.
keep_file()
{
  digest=$(echo "$1 $2" | sha256sum | cut -c1-64)
  file=$store/packages/$(echo "$digest" | cut -c1-2)/${digest}_$1_$2_amd64.deb
  mkdir -p "${file%/*}"
  echo "$1 $2" >"$file"
  touch -d '3 days ago' "$file"
}
keep_file hello 1.0-1
installed=$file
keep_file hello 0.9
old=$file
keep_file hello 1.1-1
young=$file
touch "$young"
expect_status 0 systracker prune --keep-packages all
[ -e "$old" ] || fail "a package file is gone though all are kept"
expect_status 0 systracker prune --dry-run
contains "$out" '1 package file that no checkpoint needs, .* would be removed'
[ -e "$old" ] || fail "a dry run removed a package file"
expect_status 0 systracker prune
[ ! -e "$old" ] || fail "a package file that no checkpoint needs is still there"
[ -e "$installed" ] || fail "the file of an installed package is gone"
[ -e "$young" ] || fail "a package file of today is gone"

# One that was repacked stays while the package's own is not there, and goes when it is.
mkdir -p "$store/packages/99"
repacked=$store/packages/99/$(printf '%064d' 0 | tr 0 9)_hello_1.0-1_amd64.repacked-deb
echo repacked >"$repacked"
touch -d '3 days ago' "$repacked"
mv "$installed" "$scratch/hello.deb"
expect_status 0 systracker prune
[ -e "$repacked" ] || fail "the only file of an installed package is gone"
mv "$scratch/hello.deb" "$installed"
expect_status 0 systracker prune
[ ! -e "$repacked" ] || fail "a repacked file is there beside the package's own"
expect_status 2 systracker prune --keep-packages some
expect_status 0 systracker verify

# ---- A lock that is held ---------------------------------------------------------------------------
exec 8>>"$store/lock"
flock 8
expect_status 1 systracker prune --keep-last 1
exec 8>&-
