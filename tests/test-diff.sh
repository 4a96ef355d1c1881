#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# diff and status: exit statuses, and every kind of change in words.
. "$ST_SOURCE/tests/functions.sh"
need_root "chown"
make_root
make_config
printf 'bin\000ary one' >"$root/opt/blob"
printf 'top secret one\n' >"$root/etc/ssl/private/key.pem"
mkdir "$root/opt/folder"
expect_status 0 systracker checkpoint
expect_status 0 systracker status
expect_status 0 systracker diff
[ ! -s "$out" ] || contains "$out" 'nothing|same|no differences'

chmod 600 "$root/etc/hosts"
chown daemon "$root/etc/issue"
sed -i 's/second/zweite/' "$root/etc/app/app.conf"
printf 'bin\000ary two and more' >"$root/opt/blob"
printf 'top secret two\n' >"$root/etc/ssl/private/key.pem"
ln -sfn other.conf "$root/etc/app/current"
rm "$root/etc/app/other.conf"
echo new >"$root/srv/added"
rmdir "$root/opt/folder"
echo file >"$root/opt/folder"
packages 'hello 1.0-2' 'extra 7'

said()
{
  contains "$out" 'mode 0644 → 0600' 'owner root → daemon|uid 0 → 1' '^-second$' '^\+zweite$' \
    '^@@ ' '/opt/blob' '11.* → .*20' 'app\.conf → other\.conf' '/etc/app/other\.conf' \
    '/srv/added' '/opt/folder' '1\.0-1 → 1\.0-2' 'libfoo' 'extra' '/etc/ssl/private/key\.pem' \
    changed
  lacks "$out" 'top secret' "$(printf 'top secret two\n' | sha256sum | cut -c1-16)"
}
expect_status 1 systracker status
contains "$out" '/etc/hosts' '/srv/added'
expect_status 1 systracker diff
said
expect_status 0 systracker checkpoint
expect_status 0 systracker diff
expect_status 1 systracker diff 1
said
expect_status 1 systracker diff 1 2
said
cp "$out" "$scratch/forward"

# Back to front, on some paths, and in other forms.
expect_status 1 systracker diff 2 1
contains "$out" 'mode 0600 → 0644' '^-zweite$' '^\+second$' '1\.0-2 → 1\.0-1'
expect_status 1 systracker diff 1 2 -- /etc/hosts
contains "$out" 'mode 0644 → 0600'
lacks "$out" added zweite libfoo
expect_status 0 systracker diff 1 2 -- /usr/local
expect_status 1 systracker diff --name-only baseline latest
contains "$out" '^/etc/hosts$' '^/srv/added$'
lacks "$out" '^@@' zweite
expect_status 1 systracker diff --stat 1 2
contains "$out" /etc/app/app.conf
lacks "$out" '^@@' zweite

# A change of time alone shows only when asked for.
touch -d '2024-05-05 05:05:05' "$root/etc/hosts"
expect_status 0 systracker diff
expect_status 1 systracker diff --times
contains "$out" /etc/hosts mtime

# Trouble is 2.
expect_status 2 systracker diff 99
one_error 99
expect_status 2 systracker diff 1 2 3
expect_status 2 systracker diff --no-such-option
