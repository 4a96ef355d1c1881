#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Who may do what in an archive, by the administrator's verbs: tokens, users, groups, approval.
. "$ST_SOURCE/tests/functions.sh"
need_program jq

systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }
archive=$scratch/archive
some=00112233445566778899aabbccddeeff
other=ff112233445566778899aabbccddeeff
expect_status 0 systracker_archive init "$archive"

# ---- Enrolment ------------------------------------------------------------------------------------

expect_status 0 systracker_archive enrolment "$archive"
contains "$out" '^token$'
[ "$(stat -c %a "$archive/access.db")" = 600 ] || fail "access.db is open to others"
expect_status 0 systracker_archive enrolment "$archive" closed
expect_status 0 systracker_archive --json enrolment "$archive"
[ "$(jq -r .enrolment "$out")" = closed ] || fail "enrolment"
expect_status 2 systracker_archive enrolment "$archive" half

# ---- Tokens ---------------------------------------------------------------------------------------

# They are printed once, on standard output alone.
digestless='--url https://archive.example/ --no-digest'
# shellcheck disable=SC2086 # two options
expect_status 0 systracker_archive token "$archive" add $digestless cluster
contains "$out" '^https://archive\.example/#\.j[A-Za-z0-9_-]{43}$'
sed 's/.*#\.//' "$out" >"$scratch/secrets"
expect_status 0 systracker_archive --json token "$archive" add --api viewer --hours 1 ci
jq -r .token "$out" >>"$scratch/secrets"
# shellcheck disable=SC2086
expect_status 0 systracker_archive --json token "$archive" add $digestless --restore "$some"

jq -e '.token as $t | .kind == "restore" and (.join | endswith("#." + $t))' "$out" >/dev/null || fail "a restore token"
jq -r .token "$out" >>"$scratch/secrets"
[ "$(wc -l <"$scratch/secrets")" = 3 ] || fail "not three tokens"
expect_status 0 systracker_archive --json token "$archive" list
[ "$(jq -r '.name + " " + .kind' "$out" | tr '\n' ',')" = 'ci api,cluster join,init join,restore-1 restore,' ] ||
  fail "tokens: $(cat "$out")"
jq -e 'select(.kind == "restore") | .host == "'$some'" and .expires != null' "$out" >/dev/null ||
  fail "a restore token's host and end"
expect_status 0 systracker_archive token "$archive" revoke ci
expect_status 0 systracker_archive token "$archive"
contains "$out" '^ci .*revoked' '^restore-1 .*expires'
! grep -aqF -f "$scratch/secrets" "$out" || fail "a token is shown again"
expect_status 1 systracker_archive token "$archive" revoke nosuch
expect_status 1 systracker_archive token "$archive" add --api viewer --group nosuch
expect_status 2 systracker_archive token "$archive" add --api root
expect_status 2 systracker_archive token "$archive" add --uses 0
expect_status 2 systracker_archive token "$archive" add --url http://archive.example/
# shellcheck disable=SC2086
expect_status 1 systracker_archive token "$archive" add $digestless cluster

# ---- People ---------------------------------------------------------------------------------------

# from FILE COMMAND...: the password comes by standard input.
from()
{
  file=$scratch/$1
  shift
  "$@" <"$file"
}
password='correct horse battery'
printf '%s\n' "$password" >"$scratch/password"
echo "$password" >>"$scratch/secrets"
expect_status 0 from password systracker_archive user "$archive" add boss --role admin
expect_status 0 from password systracker_archive user "$archive" add watcher
expect_status 1 from password systracker_archive user "$archive" add boss
echo short >"$scratch/short"
expect_status 1 from short systracker_archive user "$archive" password boss
contains "$err" '8 to 1024'
expect_status 1 from password systracker_archive user "$archive" add '../x'
expect_status 2 systracker_archive user "$archive" role boss root
expect_status 1 systracker_archive user "$archive" role nobody viewer
expect_status 0 systracker_archive user "$archive" role watcher none
expect_status 0 systracker_archive --json user "$archive"
[ "$(jq -r '.user + " " + .role' "$out" | tr '\n' ',')" = 'boss admin,watcher none,' ] ||
  fail "users: $(cat "$out")"
expect_status 0 systracker_archive group "$archive" add web
expect_status 0 systracker_archive group "$archive" add-host web "$some" "$other"
expect_status 0 systracker_archive group "$archive" remove-host web "$other"
expect_status 0 systracker_archive group "$archive" role web watcher operator
expect_status 1 systracker_archive group "$archive" role web watcher admin
expect_status 0 systracker_archive group "$archive"
[ "$(tr '\n' ',' <"$out")" = "web,  operator watcher,  host $some," ] || fail "group: $(cat "$out")"
expect_status 0 systracker_archive user "$archive" remove watcher
expect_status 0 systracker_archive group "$archive"
lacks "$out" watcher

# ---- Hosts ----------------------------------------------------------------------------------------

expect_status 0 systracker_archive approve "$archive" "$some"
expect_status 0 systracker_archive deny "$archive" 0011
expect_status 2 systracker_archive approve "$archive" nosuch
expect_status 0 systracker_archive approve "$archive"
[ ! -s "$out" ] || fail "none waits"

# Nothing that lets anybody in lies in the archive.
! grep -raqF -f "$scratch/secrets" "$archive" || fail "a token or password is in the archive"

# A file that others could read is refused, and so is another program's.
chmod 0644 "$archive/access.db"
expect_status 2 systracker_archive token "$archive"
contains "$err" '0600 is needed'
chmod 0600 "$archive/access.db"
echo 'no database at all, and long enough to be sure' >"$archive/access.db"
expect_status 2 systracker_archive user "$archive"
contains "$err" 'not a database'
