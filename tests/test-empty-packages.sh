#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A package database that is empty, gone or broken: the packages of yesterday stand.
. "$ST_SOURCE/tests/functions.sh"
make_root
make_config
database=$root/var/lib/dpkg/status
expect_status 0 systracker checkpoint
cp "$database" "$scratch/status"

stands()
{
  [ "$(sql 'SELECT count(*) FROM dpkg_track_package WHERE until IS NULL')" -eq 2 ] ||
    fail "a package was recorded as gone: $1"
  expect_status 0 systracker log
  contains "$out" incomplete
}
: >"$database"
expect_status 1 systracker checkpoint
contains "$err" 'dpkg'
stands empty
rm "$database"
expect_status 1 systracker checkpoint
contains "$err" 'dpkg'
stands "no file"
packages 'other 1' 'another 2'
expect_status 1 systracker checkpoint
stands "none of yesterday's"
head -c 20 "$scratch/status" >"$database"
expect_status 1 systracker checkpoint
stands truncated

# One gone and one there is an answer.
packages 'hello 1.0-1'
expect_status 0 systracker checkpoint
expect_status 1 systracker diff 1 latest
contains "$out" libfoo
lacks "$out" hello
