#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What stat does not say: ACLs, attributes, flags, hard links; recorded, and shown in words.
. "$ST_SOURCE/tests/functions.sh"
need_root "attributes of every namespace"
for program in setfattr setfacl chattr xz jq; do need_program "$program"; done
make_root
make_config
setfattr -n user.probe -v 1 "$root/srv" 2>/dev/null || skip "no attributes in $scratch"
setfattr -x user.probe "$root/srv"
chattr +d "$root/srv" 2>/dev/null || skip "no flags in $scratch"
chattr -d "$root/srv"
# differs OPTION...: what differs from the latest checkpoint, a line each.
differs()
{
  expect_status 1 systracker diff "$@"
  sed -i -e ':a' -e 'N;$!ba' -e 's/\n  / /g' "$out"
}

cd "$root"
mkdir srv/in var/out
printf 'one' >srv/in/first
ln srv/in/first srv/linked
ln srv/in/first var/out/linked
printf 'two' >srv/two
expect_status 0 systracker checkpoint
expect_status 0 systracker checkpoint
expect_status 0 systracker status

setfacl -m u:daemon:rw srv/two
setfattr -n user.note -v 'a b' srv/two
setfattr -n trusted.odd -v 0x00ff etc/issue
setfattr -n security.selinux -v system_u:object_r:etc_t:s0 -h etc/app/current
setfattr -n user.canary -v xyzzy-canary etc/shadow
setfattr -n security.capability -v 0x0000000200200000000000000000000000000000 usr/local/bin/hello
chattr +dA etc/hosts
differs
contains "$out" '/srv/two .*acl \+user::rw- \+user:daemon:rw- .*\+user.note=a b' \
  '/etc/issue .*\+trusted.odd=0x00ff' '/current .*\+security.selinux=system_u:object_r:etc_t:s0' \
  '/etc/shadow .*\+user.canary=secret' 'capability=cap_net_raw\+p' \
  '/etc/hosts .*flags \+nodump \+noatime'
expect_status 1 systracker --json diff
jq -es 'map({key: .key.path, value: .columns}) | from_entries |
  (.["/srv/two"].xattrs[1] | .["user.note"] == "a b" and
    (.["system.posix_acl_access"] | contains("user:daemon:rw-"))) and
  .["/etc/hosts"].flags == [[], ["nodump", "noatime"]]' "$out" >/dev/null || fail "as JSON"
expect_status 0 systracker checkpoint
expect_status 0 systracker status
if grep -rqa xyzzy-canary "$store"; then fail "a secret's attribute is in the store"; fi
setfattr -n user.canary -v xyzzy-other etc/shadow
setfattr -x user.note srv/two
setfacl -b srv/two
chattr -A etc/hosts
differs
contains "$out" '/etc/shadow user.canary changed' 'acl removed: .*-user:daemon:rw-.*-user.note=a b' 'flags -noatime'

# Groups of hard links: joined, broken; and renamed with a directory above, which no stat of the
# other members tells.
expect_status 0 systracker checkpoint
rm srv/two
ln srv/in/first srv/two
differs
contains "$out" '/srv/two .*hard link with /srv/in/first'
lacks "$out" '^changed /srv/(linked|in)'
expect_status 0 systracker checkpoint
sleep 0.1
mv srv/in srv/zz
differs
contains "$out" '/srv/linked .*hard link with /srv/in/first → /srv/linked' '/srv/two .*→ /srv/linked' \
  '/srv/zz/first .*hard link with /srv/linked'
expect_status 0 systracker checkpoint
mv srv/zz var/out
differs --times
contains "$out" '/srv/linked .*links_outside 1 → 2'
expect_status 0 systracker checkpoint
rm srv/linked
differs
contains "$out" '/srv/two .*no hard link any more'
expect_status 0 systracker checkpoint
expect_status 0 systracker verify

# A store of before: what it did not capture differs from nothing, before and after the checkpoint
# that fills it in, and that one shows no change; all is kept in it, and shown from then on.
cd "$scratch"
old_store()
{
  rm -rf --one-file-system "$store"
  tar -C "$scratch" --no-same-owner -xJf "$ST_SOURCE/tests/fixtures/store-1.tar.xz"
}
rm -rf --one-file-system "$root"
old_store
make_root
packages 'hello 1.0-2' 'new 1'
expect_status 0 systracker restore --checkpoint 4 --exact --packages=none
chattr +d "$root/etc/hosts"
setfattr -n user.note -v new "$root/srv/numbers"
ln "$root/srv/numbers" "$root/var/again"
old_store
expect_status 1 systracker status
contains "$out" 'plugin standard_track: version 1 → '
lacks "$out" '^. /'
expect_status 0 systracker checkpoint
contains "$out" 'checkpoint 5: [1-9][0-9]* facts began'
expect_status 0 systracker status
expect_status 0 systracker diff 4 5 -- /etc /srv /usr
expect_status 0 systracker show 5
lacks "$out" '/srv' '/etc'
contains "$out" 'captured +standard_track_entry: link_group, .*xattrs, holes, from here on'
expect_status 0 systracker --json show 5
jq -es '.[0].captured.standard_track_entry | contains(["flags", "xattrs"])' "$out" >/dev/null ||
  fail "what is captured from there on, as JSON"
expect_status 0 systracker explain /srv/numbers
contains "$out" 'link_group none' 'links_outside 1' 'xattrs \+user.note=new'
expect_status 0 systracker explain /etc/hosts
contains "$out" 'flags \+nodump'
setfattr -x user.note "$root/srv/numbers"
ln "$root/srv/numbers" "$root/srv/again"
chattr -d "$root/etc/hosts"
differs
contains "$out" '/srv/again' '/srv/numbers .*hard link with /srv/again, -user.note=new' 'flags -nodump'
expect_status 0 systracker checkpoint
expect_status 1 systracker diff 4 6 -- /etc /srv /usr
contains "$out" /srv/again
lacks "$out" '^changed'
# What was not captured then is left as it is.
expect_status 0 systracker restore --checkpoint 4 --exact --packages=none --dry-run
contains "$out" '^delete   /srv/again '
lacks "$out" '^(metadata|replace)'
expect_status 0 systracker verify
