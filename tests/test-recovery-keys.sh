#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# An archive's recovery keys: several, added and removed while hosts send to it as a directory and
# to its server; each host seals its key anew, the night after, though nothing else is new.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/remote.sh"
need_program age
on a new_host alpha
start one
first=$scratch/first.key
sed -n '/^AGE-/p' "$scratch/one.init" >"$first"
first_name=$(sed -n 's/^# public key: //p' "$scratch/one.init")
expect_status 0 systracker_archive recovery "$archive"
[ "$(cat "$out")" = "$first_name" ] || fail "the key that init made is not listed"

# sealed HOST: its data key in the archive; opens KEYFILE HOST.
sealed() { echo "$archive/hosts/$(id_of "$1")/key.age"; }
opens() { age -d -i "$1" "$(sealed "$2")" 2>/dev/null | head -n 1 | grep -qx 'systracker data key 1'; }

expect_status 0 on a systracker sync "$(join one)"
opens "$first" a || fail "the first key does not open what was sealed"

# ---- Another is added, while the server runs --------------------------------------------------------
expect_status 0 systracker_archive recovery "$archive" add
second=$scratch/second.key
cp "$out" "$second"
contains "$second" '^AGE-SECRET-KEY-1' '^# public key: age1'
second_name=$(sed -n 's/^# public key: //p' "$second")
! grep -raqF "$(grep AGE- "$second")" "$archive" || fail "the recovery key is in the archive"
! opens "$second" a || fail "what was sealed before is opened by a key that came later"
expect_status 0 on a systracker sync "$url/#$digest"
contains "$out" 'nothing new to send'
opens "$first" a || fail "the first key opens no more"
opens "$second" a || fail "the second key does not open"
before=$(stat -c %i "$(sealed a)")
expect_status 0 on a systracker sync "$url/#$digest"
[ "$(stat -c %i "$(sealed a)")" = "$before" ] || fail "it is sealed each time"

# ---- The first is removed ---------------------------------------------------------------------------
expect_status 1 systracker_archive recovery "$archive" add "$first_name"
expect_status 0 systracker_archive recovery "$archive" remove "$first_name"
contains "$err" 'a copy of the archive from before'
expect_status 0 systracker_archive --json recovery "$archive" list
[ "$(jq -r .recipient "$out")" = "$second_name" ] || fail "the recipients: $(cat "$out")"
expect_status 0 on a systracker sync "$url/#$digest"
opens "$second" a || fail "the second key opens no more"
! opens "$first" a || fail "the first key still opens what is sealed anew"
expect_status 1 systracker_archive recovery "$archive" remove "$second_name"
one_error 'add another one first'
expect_status 1 systracker_archive recovery "$archive" remove "$first_name"
expect_status 2 systracker_archive recovery "$archive" add age1nonsense
expect_status 2 systracker_archive recovery "$archive" change

# ---- A directory: somebody else's key ---------------------------------------------------------------
age-keygen -o "$scratch/third.key" 2>/dev/null
expect_status 0 systracker_archive --json recovery "$archive" add \
  "$(sed -n 's/^# public key: //p' "$scratch/third.key")"
jq -e '.recovery_key == null' "$out" >/dev/null || fail "a key that was not made is shown"
expect_status 0 on a systracker sync "$archive"
opens "$scratch/third.key" a || fail "the third key does not open"
opens "$second" a || fail "the second key opens no more"

# ---- The mark keeps what it says besides, and the archive is sound ----------------------------------
grep -q '^id [0-9a-f]\{32\}$' "$archive/archive" || fail "the archive's id is gone"
expect_status 0 systracker_archive verify "$archive"
