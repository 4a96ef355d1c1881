#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A directory and a file that cannot be read: nothing below is deleted, and both are said.
. "$ST_SOURCE/tests/functions.sh"
# Root reads everything, so nobody looks, with a copy of the program where nobody may be.
if [ "$(id -u)" -eq 0 ]; then
  need_program setpriv
  chmod 755 "$scratch"
  cp -a "$ST_STAGE" "$scratch/stage"
  chmod 755 "$scratch/stage"
  copy=$scratch/stage${ST_SYSTRACKER#"$ST_STAGE"}
  systracker()
  {
    chown -R nobody "$root" "$store" "$scratch/log"
    setpriv --reuid=nobody --regid=nogroup --clear-groups "$copy" --config "$config" \
      --root "$root" --store "$store" "$@"
  }
fi
make_root
make_config
mkdir "$store"
touch "$scratch/log"
mkdir "$root/etc/closed"
echo one >"$root/etc/closed/file"
echo one >"$root/srv/file"
expect_status 0 systracker checkpoint
chmod 000 "$root/etc/closed" "$root/srv/file"
expect_status 1 systracker checkpoint
contains "$err" /etc/closed /srv/file
expect_status 1 systracker diff --name-only 1 2
lacks "$out" /etc/closed/file
expect_status 0 systracker cat 2 /etc/closed/file
expect_status 0 systracker log
contains "$out" incomplete
expect_status 1 systracker checkpoint
chmod 755 "$root/etc/closed"
chmod 644 "$root/srv/file"
echo two >"$root/srv/file"
expect_status 0 systracker checkpoint
expect_status 1 systracker diff --name-only 1 latest
[ "$(cat "$out")" = /srv/file ] || fail "something else than the edited file differs"
