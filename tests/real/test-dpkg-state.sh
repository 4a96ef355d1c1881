#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What belongs to a Debian root's packages without being a file: recorded, told apart, planned.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"
make_debian
shipped_config

# What dpkg's and apt's own tools say of it.
look()
{
  {
    in_root update-alternatives --get-selections
    in_root dpkg-divert --list
    in_root dpkg-statoverride --list || :
    in_root apt-mark showhold
    in_root apt-mark showauto
  } >"$1" 2>/dev/null
}

install_in_root hello ed less
in_root update-alternatives --install /usr/bin/greet greet /usr/bin/hello 5 >"$scratch/log.1"
look "$scratch/1"
expect_status 0 systracker checkpoint
[ "$(sql 'SELECT count(*) FROM dpkg_track_alternative_link')" -gt 1 ] || fail "no alternatives"
[ "$(sql "SELECT auto FROM dpkg_track_package WHERE name = 'hello'")" = 0 ] || fail "auto mark"

in_root update-alternatives --set pager /bin/more
in_root update-alternatives --remove greet /usr/bin/hello
in_root dpkg-divert --local --no-rename --divert /usr/bin/hello.mine --add /usr/bin/hello
in_root dpkg-statoverride --update --add root mail 2755 /usr/bin/ed
in_root apt-mark hold less
in_root apt-mark auto hello
look "$scratch/2"
expect_status 0 systracker checkpoint
expect_status 1 systracker diff 1 2
contains "$out" '^changed alternative_link pager$' '^  auto /usr/bin/less → manual /bin/more$' \
  '^deleted alternative_link greet$' '^  removed \(was auto /usr/bin/hello\)$' \
  '^deleted alternative_choice greet /usr/bin/hello$' '^  removed \(was priority 5\)$' \
  '^added diversion /usr/bin/hello$' '^  to /usr/bin/hello\.mine by the administrator$' \
  '^added statoverride /usr/bin/ed$' '^  root:mail 2755$' '^  held$' '^  marked automatic$'
expect_status 0 systracker checkpoint
expect_status 0 systracker diff 2 3

# Packages are left alone, and so is what belongs to them; the plan says so.
expect_status 0 systracker restore --checkpoint 1 --exact --packages=none --dry-run
grep -n 'alternative greet' "$out" | sed -n 1p | grep -q 'add the choice' ||
  fail "an alternative is set before it has a choice"
contains "$out" 'alternative pager: set to auto /usr/bin/less' \
  'alternative greet: add the choice /usr/bin/hello, priority 5' \
  'alternative greet: set to auto /usr/bin/hello' 'diversion of /usr/bin/hello: remove' \
  'statoverride of /usr/bin/ed: remove' 'package less: select for install' \
  'package hello: mark as manual'
look "$scratch/now"
cmp "$scratch/2" "$scratch/now" || fail "--dry-run changed something"

# Cut off, as after a crash: yesterday's facts stand.
printf '/usr/bin/hello\n/usr/bin/he' >"$root/var/lib/dpkg/diversions"
expect_status 1 systracker checkpoint
contains "$err" 'diversions, line 2: the last line has no end: the file is cut off'
[ "$(sql "SELECT count(*) FROM dpkg_track_diversion WHERE until IS NULL
  AND CAST(\"to\" AS TEXT) = '/usr/bin/hello.mine'")" = 1 ] ||
  fail "the diversion was forgotten"
