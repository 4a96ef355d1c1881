#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A host is gone with its store; another root gets its files back from the archive: all of them with
# the recovery key, all but the secrets without.  The archive itself holds no secret.
. "$ST_SOURCE/tests/functions.sh"
archive=$scratch/archive
recovery=$scratch/recovery.key
systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }
canary='canary-4f1b07aa92'

# The host that will be lost.
make_root
make_config
printf 'root:%s:19000:0:99999:7:::\n' "$canary" >"$root/etc/shadow"
echo 'identity of a' >"$root/etc/hostname"
echo 'identity "/etc/hostname" { reason = "the name" }' >>"$config"
find "$root" -exec touch -h -d '2024-03-01 12:00:00' {} +
systracker_archive init "$archive" >"$recovery"
chmod 600 "$recovery"
contains "$recovery" '^AGE-SECRET-KEY-1' '^# public key: age1'
expect_status 0 systracker checkpoint -m one
manifest "$scratch/one"
shadow=$(cat "$root/etc/shadow")
printf 'second\n' >>"$root/etc/app/app.conf"
expect_status 0 systracker checkpoint -m two
expect_status 0 systracker sync "$archive"
lacks "$err" 'recovery key'
expect_status 0 systracker sync "$archive"
contains "$out" 'nothing new'
host=$(basename "$archive"/hosts/*)
[ -s "$archive/hosts/$host/key.age" ] || fail "the data key is not in the archive"
! grep -raqF "$canary" "$archive" || fail "the secret is in the archive"
! grep -raqF "$(grep AGE-SECRET "$recovery")" "$archive" || fail "the recovery key is in the archive"
if command -v age >/dev/null; then
  age -d -i "$recovery" "$archive/hosts/$host/key.age" | head -n 1 | grep -qx 'systracker data key 1' ||
    fail "age does not open what was sealed"
fi
rm -rf "$root" "$store"

# Another root, with files and secrets of its own.
make_root
echo 'identity of b' >"$root/etc/hostname"
rm -r "$root/opt" "$root/etc/app"
mkdir "$root/opt"
echo mine >"$root/etc/extra"
before=$(cat "$root/etc/shadow")

# Without the key, as another host: everything but the secrets and the identity.
expect_status 1 systracker restore --from "$archive" --checkpoint 1 --exact --packages=none --yes
grep -hq '/etc/shadow.*recovery-key' "$out" "$err" || fail "it does not name the secret"
[ "$(cat "$root/etc/shadow")" = "$before" ] || fail "the secret was changed"
[ "$(cat "$root/etc/hostname")" = 'identity of b' ] || fail "the identity was changed"
[ ! -e "$root/etc/extra" ] || fail "--exact left a file"
[ -e "$root/etc/app/app.conf" ] || fail "a file was not restored"

# A key of somebody else's.
systracker_archive init "$scratch/other" >"$scratch/other.key"
expect_status 1 systracker restore --from "$archive" --checkpoint 1 --packages=none --yes \
  --recovery-key "$scratch/other.key"
[ "$(cat "$root/etc/shadow")" = "$before" ] || fail "the secret was changed"

# With it, and as the same machine.
expect_status 0 systracker restore --from "file://$archive" --checkpoint 1 --as same --exact \
  --packages=none --yes --recovery-key "$recovery"
manifest "$scratch/now"
cmp "$scratch/one" "$scratch/now" || fail "it is not as it was at 1"
[ "$(cat "$root/etc/shadow")" = "$shadow" ] || fail "the secret is not as it was"

# The other night, from what is here already; then back.
expect_status 0 systracker restore --host "$host" --checkpoint 2 --as same --exact --packages=none \
  --yes --recovery-key "$recovery"
contains "$root/etc/app/app.conf" '^second$'
expect_status 0 systracker undo --yes
manifest "$scratch/now"
cmp "$scratch/one" "$scratch/now" || fail "undo did not bring 1 back"

# No output, log or file of the new store shows the secret.
! grep -raqF "$canary" "$store" "$scratch/log" "$out" "$err" || fail "the secret is shown"
