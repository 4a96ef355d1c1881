#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A mount that was there and is missing: what lay on it is not deleted, and it is said.
. "$ST_SOURCE/tests/functions.sh"
if [ -z "${ST_UNSHARED:-}" ]; then
  need_root "mount"
  unshare -m true 2>/dev/null || skip "no mount namespaces here"
  rmdir "$scratch"
  ST_UNSHARED=1 exec unshare -m "$0"
fi
make_root
make_config
mkdir -p "$root/srv/data" "$root/usr/local/other"
mount -t tmpfs none "$root/srv/data" || skip "cannot mount a tmpfs here"
at_end "umount '$root/srv/data'"
# Mounts are entered where a rule names them.
sed -i 's|"/srv",|"/srv", "/srv/data",|' "$config"
echo kept >"$root/srv/data/file"
expect_status 0 systracker checkpoint
expect_status 0 systracker cat 1 /srv/data/file

umount "$root/srv/data"
at_end_commands=:
expect_status 2 systracker status
contains "$err" /srv/data
rm "$root/etc/issue"
expect_status 1 systracker checkpoint
contains "$err" /srv/data
expect_status 1 systracker diff --name-only 1 2
lacks "$out" /srv/data/file
contains "$out" /etc/issue
expect_status 0 systracker cat 2 /srv/data/file
expect_status 0 systracker log
contains "$out" incomplete
# And a restore does not think that it knows.
expect_status 1 systracker restore --checkpoint 1 --yes -- /srv/data/file
[ ! -e "$root/srv/data/file" ] || fail "restored below a mount point whose mount is missing"

mount -t tmpfs none "$root/srv/data"
at_end "umount '$root/srv/data'"
echo kept >"$root/srv/data/file"
expect_status 0 systracker checkpoint
expect_status 0 systracker diff --name-only 2 3 -- /srv
expect_status 0 systracker verify

# What was mounted where no rule names it hid what lay there; gone again, that is seen as before.
echo under >"$root/usr/local/other/file"
expect_status 0 systracker checkpoint
mount -t tmpfs none "$root/usr/local/other"
at_end "umount '$root/usr/local/other'"
expect_status 1 systracker checkpoint
contains "$err" /usr/local/other
umount "$root/usr/local/other"
at_end_commands="umount '$root/srv/data'"
echo changed >"$root/usr/local/other/file"
expect_status 1 systracker status
contains "$out" '^M /usr/local/other/file'
# That it went is said, once.
expect_status 1 systracker checkpoint
contains "$err" 'not mounted any more .*/usr/local/other'
expect_status 0 systracker checkpoint
expect_status 0 systracker status
