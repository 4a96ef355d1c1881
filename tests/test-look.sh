#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# log, show, cat, explain, coverage, tag, dates.
. "$ST_SOURCE/tests/functions.sh"
make_root
make_config
expect_status 0 systracker checkpoint -m 'the first'
printf 'two\n' >"$root/etc/app/other.conf"
expect_status 0 systracker checkpoint -m 'the second' --tag before-upgrade
printf 'three\n' >"$root/etc/app/other.conf"
echo x >"$root/srv/x"
expect_status 0 systracker checkpoint

expect_status 0 systracker log
contains "$out" 'the first' 'the second' 'before-upgrade'
[ "$(grep -n 'the second' "$out" | cut -d: -f1)" -lt "$(grep -n 'the first' "$out" | cut -d: -f1)" ] ||
  fail "log does not begin with the newest"
expect_status 0 systracker log /etc/app/other.conf
contains "$out" 1 2 3
lacks "$out" /srv/x
expect_status 0 systracker log /srv/x
expect_status 0 systracker show 2
contains "$out" 'the second' /etc/app/other.conf
expect_status 0 systracker show latest
contains "$out" /srv/x

# Every way to name a checkpoint; what each file was then.
for name in 2 before-upgrade latest~1; do
  expect_status 0 systracker cat "$name" /etc/app/other.conf
  [ "$(cat "$out")" = two ] || fail "cat $name"
done
for name in 1 baseline latest~2; do
  expect_status 0 systracker cat "$name" /etc/app/other.conf
  [ "$(cat "$out")" = colour=blue ] || fail "cat $name"
done
for name in latest 3 "$(date -d tomorrow +%Y-%m-%d)"; do
  expect_status 0 systracker cat "$name" /etc/app/other.conf
  [ "$(cat "$out")" = three ] || fail "cat $name"
done
expect_status 1 systracker cat 1 /srv/x
one_error /srv/x
expect_status 2 systracker cat nonsense /srv/x
one_error nonsense
expect_status 2 systracker cat 2001-01-01 /etc/hosts

# explain says by which rule; coverage what could not come back.
expect_status 0 systracker explain /etc/app/app.conf
contains "$out" /etc/app/app.conf standard_track config_track "${config##*/}:[0-9]"
expect_status 0 systracker explain /nowhere/near
contains "$out" 'not tracked|no rule'
expect_status 0 systracker coverage
[ -s "$out" ] || fail "coverage says nothing"

# A tag may read as none of the other names, and is given once.
expect_status 0 systracker tag the-beginning 1
expect_status 0 systracker cat the-beginning /etc/app/other.conf
expect_status 0 systracker tag
contains "$out" before-upgrade the-beginning
for name in 7 latest baseline latest~1 2026-01-01; do
  expect_status 1 systracker tag "$name" 1
  one_error
done
