#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A store whose disk is full: one clear line, nothing lost, and it goes on when there is room.
. "$ST_SOURCE/tests/functions.sh"
if [ -z "${ST_UNSHARED:-}" ]; then
  need_root "mount"
  unshare -m true 2>/dev/null || skip "no mount namespaces here"
  rmdir "$scratch"
  ST_UNSHARED=1 exec unshare -m "$0"
fi
make_root
make_config
mkdir "$scratch/disk"
mount -t tmpfs -o size=6M,mode=0700 none "$scratch/disk" || skip "cannot mount a tmpfs here"
at_end "umount '$scratch/disk'"
store=$scratch/disk/store
sed -i "s|^store = .*|store = \"$store\"|" "$config"
expect_status 0 systracker checkpoint

# Less would be left than the configuration wants: the content is not kept, and it is said.
sed -i 's/^min_free = .*/min_free = "1G"/' "$config"
echo one >"$root/srv/one"
expect_status 1 systracker checkpoint
contains "$err" '/srv/one.*min_free|min_free.*/srv/one'
sed -i 's/^min_free = .*/min_free = "0"/' "$config"

# More than there is: the same.
head -c 9000000 /dev/urandom >"$root/srv/large"
sed -i 's/max_size = "4M"/max_size = "64M"/' "$config"
expect_status 1 systracker checkpoint
contains "$err" '/srv/large'
number=0
while [ "$number" -lt 3000 ]; do
  number=$((number + 1))
  : >"$root/opt/new-file-with-a-name-$number"
done
# The disk fills up under the catalog: no checkpoint, and the ones before are as they were.
dd if=/dev/zero of="$scratch/disk/full" bs=4096 2>/dev/null || :
truncate -s -64K "$scratch/disk/full"
count=$(sql 'SELECT count(*) FROM checkpoint')
expect_status 2 systracker checkpoint
one_error 'No space left|full'
[ "$(sql 'SELECT count(*) FROM checkpoint')" -eq "$count" ] || fail "half a checkpoint"
expect_status 0 systracker log
expect_status 0 systracker cat 1 /etc/hosts
rm "$root/srv/large" "$scratch/disk/full"
echo two >"$root/srv/one"
echo small >"$root/srv/small"
expect_status 0 systracker checkpoint
expect_status 0 systracker cat latest /srv/small
expect_status 0 systracker cat latest /srv/one
expect_status 0 systracker verify

# apt's hook: the file is not kept, nothing of it stays, and apt goes on.
hook=$(find "$ST_STAGE" -name systracker-apt-hook -type f)
head -c 9000000 /dev/urandom >"$scratch/toy.deb"
printf 'VERSION 3\n\ntoy - - none < 1 all none %s\n' "$scratch/toy.deb" >"$scratch/said"
sed -i 's/^min_free = .*/min_free = "0"/' "$config"
SYSTRACKER_CONFIG=$config "$hook" <"$scratch/said" 2>"$err" || fail "the hook stops apt"
contains "$err" 'No space left'
dd if=/dev/zero of="$scratch/disk/full" bs=4096 2>/dev/null || :
truncate -s 3000 "$scratch/toy.deb"
SYSTRACKER_CONFIG=$config "$hook" <"$scratch/said" 2>"$err" || fail "the hook stops apt"
contains "$err" 'No space left'
rm "$scratch/disk/full"
[ -z "$(find "$store" -path '*/packages/*' -type f)" ] || fail "a part of a package file stays"
SYSTRACKER_CONFIG=$config "$hook" <"$scratch/said" 2>"$err" || fail "the hook stops apt"
[ "$(find "$store/packages" -type f | wc -l)" -eq 1 ] || fail "not kept when there is room"
