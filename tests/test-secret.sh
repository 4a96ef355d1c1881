#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A canary in a secret file: in no output, log, changeset or file of the store.
. "$ST_SOURCE/tests/functions.sh"
need_program zstd
make_root
make_config
canary='canary-7f3a9c51d2'
secret=$root/etc/ssl/private/host.key
printf 'key %s one\n' "$canary" >"$secret"
chmod 600 "$secret"
printf 'root:\044y\044%s:19000:0:99999:7:::\n' "$canary" >"$root/etc/shadow"
digest=$(sha256sum "$secret" | cut -d' ' -f1)
all=$scratch/all

run()
{
  expect_status "$@"
  cat "$out" "$err" >>"$all"
}
run 0 systracker checkpoint
run 0 systracker explain /etc/shadow
contains "$out" secret
printf 'key %s two\n' "$canary" >"$secret"
printf 'root:\044y\044%s-2:19000:0:99999:7:::\n' "$canary" >"$root/etc/shadow"
digest2=$(sha256sum "$secret" | cut -d' ' -f1)
run 1 systracker status
for options in '' --stat --files --times --json; do
  # shellcheck disable=SC2086
  run 1 systracker diff $options
done
contains "$all" '/etc/shadow.*changed|changed.*/etc/shadow'
run 0 systracker checkpoint
run 1 systracker diff 1 2
contains "$out" /etc/ssl/private/host.key changed
run 1 systracker --json diff 1 2
for verb in log 'log /etc/shadow' 'show 2' 'coverage' 'explain /etc/ssl/private/host.key' verify \
  'restore --checkpoint 1 --dry-run'; do
  # shellcheck disable=SC2086
  run 0 systracker $verb
  # shellcheck disable=SC2086
  run 0 systracker --json $verb
done
run 1 systracker cat 1 /etc/shadow
one_error secret
run 1 systracker --json cat 1 /etc/shadow

# It is in the store all the same, sealed: a restore brings it back.
run 0 systracker restore --checkpoint 1 --yes -- /etc/ssl/private/host.key
[ "$(cat "$secret")" = "key $canary one" ] || fail "the secret was not restored"
[ "$(stat -c %a "$secret")" = 600 ] || fail "the secret is open to others"
run 0 systracker undo --yes
[ "$(cat "$secret")" = "key $canary two" ] || fail "undo did not bring the secret back"

cp "$scratch/log" "$scratch/log.txt" 2>/dev/null || :
lacks "$all" "$canary" "$digest" "$digest2"
binary=$(printf '%s' "$digest" | sed 's/../\\x&/g')
binary2=$(printf '%s' "$digest2" | sed 's/../\\x&/g')
# looked_through FILE...: neither the canary, nor a plain digest, in digits or as bytes.
looked_through()
{
  ! LC_ALL=C grep -alF "$canary" "$@" || fail "the canary is in a file"
  ! LC_ALL=C grep -alF -e "$digest" -e "$digest2" "$@" || fail "a digest of the secret is in a file"
  ! LC_ALL=C grep -alP -e "$binary|$binary2" "$@" || fail "a digest of the secret is in a file"
}
find "$store" "$scratch"/log* -type f >"$scratch/files"
while read -r file; do looked_through "$file"; done <"$scratch/files"
[ "$(wc -l <"$scratch/files")" -ge 4 ] || fail "too few files looked through"

# What is compressed: every plain object, decompressed (what is stored lacks the frame's header;
# an object with a base is left to `cat`, which shows it).
sqlite3 -separator ' ' "$store/packs/objects.db" "SELECT printf('%08d.pack', pack),
  offset + 3 + 32 + CASE WHEN raw < 128 THEN 1 WHEN raw < 16384 THEN 2 ELSE 3 END +
  CASE WHEN stored < 128 THEN 1 WHEN stored < 16384 THEN 2 ELSE 3 END, stored
  FROM object WHERE encoding = 1 AND substr(id, 1, 1) = x'00'" >"$scratch/objects"
number=0
while read -r pack offset stored; do
  number=$((number + 1))
  { printf '\050\265\057\375\000\210' && tail -c "+$((offset + 1))" "$store/packs/$pack" |
    head -c "$stored"; } | zstd -qdc >"$scratch/content" || fail "an object is no zstd frame"
  looked_through "$scratch/content"
done <"$scratch/objects"
echo "$number compressed objects looked into"
[ "$number" -gt 0 ] || fail "no compressed object was found"

# A file that a rule makes a secret later on is one at old checkpoints, too, as far as it is shown.
printf 'token %s\n' "$canary" >"$root/etc/app/token"
expect_status 0 systracker checkpoint --tag plain
expect_status 0 systracker cat plain /etc/app/token
echo 'secret "/etc/app/token" { reason = "a token" }' >>"$config"
expect_status 1 systracker cat plain /etc/app/token
one_error secret
lacks "$out" "$canary"
expect_status 0 systracker checkpoint
expect_status 1 systracker diff 1 plain
lacks "$out" "$canary"
expect_status 0 systracker cat --secrets plain /etc/app/token
contains "$out" "$canary"
