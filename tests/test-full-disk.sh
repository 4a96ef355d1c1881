#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A store whose disk is full: one clear line, nothing lost, and it goes on when there is room.
. "$ST_SOURCE/tests/functions.sh"
if [ -z "${ST_UNSHARED:-}" ]; then
  need_root "mount"
  unshare -m true 2>/dev/null || skip "no mount namespaces here"
  ST_UNSHARED=1 exec unshare -m "$0"
fi
make_root
make_config
mkdir "$scratch/disk"
mount -t tmpfs -o size=4M,mode=0700 none "$scratch/disk" || skip "cannot mount a tmpfs here"
at_end "umount '$scratch/disk'"
store=$scratch/disk/store
sed -i "s|^store = .*|store = \"$store\"|" "$config"
expect_status 0 systracker checkpoint

# Not enough is left by the configuration's own limit: refused before anything is written.
sed -i 's/^min_free = .*/min_free = "1G"/' "$config"
expect_status 1 systracker checkpoint
contains "$err" 'free|space'
sed -i 's/^min_free = .*/min_free = "0"/' "$config"

head -c 6000000 /dev/urandom >"$root/srv/large"
sed -i 's/max_size = "4M"/max_size = "64M"/' "$config"
status=0
systracker checkpoint >"$out" 2>"$err" || status=$?
cat "$out" "$err"
[ "$status" -ne 0 ] || fail "6 MB went into 4"
contains "$err" 'No space left|full|space'
expect_status 0 systracker log
expect_status 0 systracker cat 1 /etc/hosts
rm "$root/srv/large"
echo small >"$root/srv/small"
expect_status 0 systracker checkpoint
expect_status 0 systracker cat latest /srv/small
expect_status 0 systracker verify
