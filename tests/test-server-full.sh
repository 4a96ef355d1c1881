#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A server whose disk is full, before a body is taken or in the midst of what it does: the host says so at once, in words,
# the archive is sound, and the next sync sends the rest.  What is there can be read meanwhile.
. "$ST_SOURCE/tests/functions.sh"
if [ -z "${ST_UNSHARED:-}" ]; then
  need_root "mount"
  unshare -m true 2>/dev/null || skip "no mount namespaces here"
  rmdir "$scratch"
  ST_UNSHARED=1 exec unshare -m "$0"
fi
. "$ST_SOURCE/tests/remote.sh"
need_program jq
need_program curl

mkdir "$scratch/one"
mount -t tmpfs -o size=400M,mode=0700 none "$scratch/one" || skip "cannot mount a tmpfs here"
at_end "umount '$scratch/one'"
systracker_archive init "$scratch/one" --name localhost >"$scratch/one.init"
start one
# fill LEFT: until so many bytes are left.  Without tmpfs's own memory for them: blocks are enough.
fill()
{
  rm -f "$archive/full"
  fallocate -l "$(($(df --output=avail -B1 "$archive" | tail -n 1) - $1))" "$archive/full"
}
empty() { rm -f "$archive/full"; }
full()
{
  expect_status 1 on a timeout 600 "$ST_SYSTRACKER" --config "$scratch/config-a" --root "$scratch/root-a" \
    --store "$scratch/store-a" sync "$url/#$digest"
  # What refuses a body before it is sent may close while it is: then it is asked once more.
  sed -i '/^systracker: waiting for /d' "$err"
  one_error "cannot sync to .*: the archive's disk is full"
  soon grep -q '"status":507' "$scratch/one.log" || fail "the log does not say so"
  : >"$scratch/one.log"
}
on a new_host alpha
expect_status 0 on a systracker sync "$(join one)"

# Less than what is kept free: nothing is begun.
head -c 9000000 /dev/urandom >"$scratch/root-a/opt/large"
on a systracker checkpoint >/dev/null
fill 100000000
full
curl -sk -D "$scratch/head" -o "$scratch/answer" -X POST --data-binary @"$scratch/root-a/opt/own" \
  -H "Authorization: Bearer $(jq -r .session "$scratch"/store-a/remote/*.json)" "$url/v1/sync/pack"
contains "$scratch/head" '^HTTP/1.1 507' '^Retry-After: 3600'
expect_status 0 systracker_archive verify "$archive"
# What is there comes back.
restore=$(join one --restore alpha)
on b fresh
expect_status 0 on b systracker fetch "$restore"
empty
expect_status 0 on a systracker sync "$url/#$digest"
contains "$out" '^sent checkpoint 2 '

# Nothing at all is left, in the midst of it: the data key, sealed anew to another recovery key.
systracker_archive recovery "$archive" add >/dev/null
fill 0
full
empty
expect_status 0 on a systracker sync "$url/#$digest"
expect_status 0 systracker_archive verify "$archive"
contains "$out" 'nothing is damaged'

# ---- A list that cannot be written ---------------------------------------------------------------------------
# What a copy on the spot brought is completed by the chunks of its lists when it is first asked for; where that fails, it
# is not taken for done.
on c new_host gamma
sed -i 's/max_size = "4M"/max_size = "64M"/' "$scratch/config-c"
head -c 9000000 /dev/urandom >"$scratch/root-c/opt/larger"
on c systracker checkpoint >/dev/null
stop one
expect_status 0 on c systracker sync "$archive"
start one
expect_status 0 on c systracker sync "$(join one)"
contains "$out" '^nothing new'
"$ST_BUILD/tests/host-client" ids "$scratch/store-c" >"$scratch/ids"
# objects STATUS: all of them.
objects()
{
  status=$(curl -sk -o "$scratch/objects" -w '%{http_code}' --data-binary "@$scratch/ids" \
    -H "Authorization: Bearer $(jq -r .session "$scratch"/store-c/remote/*.json)" "$url/v1/hosts/$(id_of c)/objects")
  [ "$status" = "$1" ] || { cat "$scratch/objects"; fail "$status instead of $1"; }
}
folder=$archive/hosts/$(id_of c)
[ ! -e "$folder/chunks" ] || fail "the chunks are there already"
mount --bind "$folder" "$folder"
mount -o remount,bind,ro "$folder"
objects 500
umount "$folder"
objects 200
[ "$(stat -c %s "$scratch/objects")" -gt 9000000 ] || fail "the chunks are left out"
