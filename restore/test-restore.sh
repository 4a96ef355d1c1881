#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Restore and undo: every kind of change there and back, compared by find, stat and sha256sum.
. "$ST_SOURCE/tests/functions.sh"
need_root "owners and device nodes"

make_root
make_config
cat >>"$config" <<END
identity "/etc/hostname" { reason = "this machine's name" }
generated "/etc/made.cache" { reason = "made again" }
excluded "/etc/app/*.swp" { reason = "an editor's own" }
END

# More of everything that an entry can be.
echo one >"$root/etc/hostname"
mkdir -p "$root/etc/app/deep/er" "$root/etc/strict" "$root/etc/wasdir" "$root/etc/wasdir2"
echo deep >"$root/etc/app/deep/er/file"
echo in >"$root/etc/wasdir/in"
echo in >"$root/etc/wasdir2/in"
echo q >"$root/etc/strict/q"
chmod 555 "$root/etc/strict"
for n in 1 2 3 4 5 6 7 8; do echo "content $n" >"$root/etc/f$n"; done
mkfifo "$root/etc/fifo"
mknod "$root/etc/null" c 1 3
cp "$root/usr/local/bin/hello" "$root/usr/local/bin/suid"
chmod 4755 "$root/usr/local/bin/suid"
odd=$(printf 'odd\nname \303( \033[1m\001x')
echo odd >"$root/etc/$odd"
chown 1234:daemon "$root/etc/f5"
touch -d '1969-12-31 23:00:00.987654321' "$root/etc/f6"
touch -h -d '2001-02-03 04:05:06.123456789' "$root/etc/app/current"
mkdir -p "$root/usr/share/pkg"
echo packaged >"$root/usr/share/pkg/data"
expect_status 0 systracker checkpoint
# Times of directories are no facts: what 1 was is compared without them, what was before a
# restore with them.
manifest "$scratch/1"

wreck()
{
  echo more >>"$root/etc/f1"
  chmod 600 "$root/etc/f2"
  chown 1:42 "$root/etc/f3"
  rm "$root/etc/f4"
  touch "$root/etc/f6"
  rm "$root/etc/f7" && mkdir "$root/etc/f7" && echo in >"$root/etc/f7/in"
  rm "$root/etc/f8" && ln -s f1 "$root/etc/f8"
  ln -sfn other.conf "$root/etc/app/current"
  rm -r "$root/etc/app/deep" "$root/etc/strict" "$root/etc/wasdir" "$root/etc/wasdir2"
  echo file >"$root/etc/wasdir"
  ln -s app "$root/etc/wasdir2"
  rm "$root/etc/fifo" "$root/etc/null" "$root/etc/$odd"
  chmod 700 "$root/etc/app"
  mkdir "$root/etc/new" && echo new >"$root/etc/new/file" && chmod 500 "$root/etc/new"
  mkfifo "$root/etc/new/fifo"
  echo 'bob:x:1234:1234::/home/bob:/bin/sh' >>"$root/etc/passwd"
  chown 1234 "$root/usr/local/bin/hello"
  printf 'root:CANARY-OF-TODAY:19000:0:99999:7:::\n' >"$root/etc/shadow"
  rm "$root/usr/local/bin/suid"
}
wreck
full_manifest "$scratch/2"

# A dry run says all of it and changes nothing, the store included.
( cd "$store" && find . -type f ! -name '*-shm' ! -name '*-wal' -exec sha256sum {} + | sort ) >"$scratch/files"
expect_status 0 systracker restore --checkpoint 1 --exact --dry-run
contains "$out" '^replace  /etc/f1 ' '^metadata /etc/f2  .mode 0600 → 0644' '^delete   /etc/new ' \
  '^replace  /etc/wasdir2 ' '^create   /etc/odd\\nname \\xc3\( \\x1b\[1m\\x01x '
lacks "$out" CANARY
cp "$out" "$scratch/plan"
expect_status 0 systracker restore --json --dry-run --exact --checkpoint baseline
[ "$(wc -l <"$out")" -eq "$(wc -l <"$scratch/plan")" ] || fail "JSON has other lines"
lacks "$out" CANARY
full_manifest "$scratch/now"
cmp "$scratch/2" "$scratch/now"
( cd "$store" && find . -type f ! -name '*-shm' ! -name '*-wal' -exec sha256sum {} + | sort ) | diff - "$scratch/files"

# One path changes that path alone.
expect_status 0 systracker restore --checkpoint 1 -- /etc/app/deep/er/file
contains "$out" '^create   /etc/app/deep ' '^create   /etc/app/deep/er ' '^3 created, 0 replaced'
[ "$(cat "$root/etc/app/deep/er/file")" = deep ]
expect_status 0 systracker undo
full_manifest "$scratch/now"
cmp "$scratch/2" "$scratch/now"

# Without --exact nothing is deleted, and what would have to be is said.
expect_status 1 systracker restore --checkpoint 1
contains "$out" '^cannot   /etc/f7  .it is a directory now that holds /etc/f7/in' '4 newer left'
[ -f "$root/etc/new/file" ] && [ -f "$root/etc/f7/in" ]
expect_status 0 systracker undo
full_manifest "$scratch/now"
cmp "$scratch/2" "$scratch/now"

# All of it, there, back, and there again.
expect_status 2 systracker restore --checkpoint 1 --exact --verify=none
one_error 'quick or full'
expect_status 0 systracker restore --checkpoint 1 --exact --verify=full
lacks "$out" CANARY
manifest "$scratch/now"
cmp "$scratch/1" "$scratch/now"
expect_status 0 systracker status
expect_status 0 systracker restore --checkpoint 1 --exact
contains "$out" '^nothing to restore$'
expect_status 0 systracker undo
full_manifest "$scratch/now"
cmp "$scratch/2" "$scratch/now"
expect_status 0 systracker undo
manifest "$scratch/now"
cmp "$scratch/1" "$scratch/now"
expect_status 0 systracker undo
expect_status 0 systracker restore --status
contains "$out" 'restore of checkpoint 1: undone' 'undo of [0-9]+: verified'

# Changed since: refused as a whole, with the path; --force puts it back all the same.
echo mine >"$root/etc/f1"
full_manifest "$scratch/3"
expect_status 1 systracker undo
contains "$err" '/etc/f1: changed since .content' 'undo refused, nothing was changed'
full_manifest "$scratch/now"
cmp "$scratch/3" "$scratch/now"
expect_status 0 systracker undo --force
manifest "$scratch/now"
cmp "$scratch/1" "$scratch/now"
expect_status 0 systracker undo
full_manifest "$scratch/now"
cmp "$scratch/3" "$scratch/now"

# What was never tracked keeps its directory; identity stays with --as clone; generated and
# excluded stay as they are; what is not kept is said, the rest goes on.
echo swap >"$root/etc/new/x.swp"
mkdir "$root/etc/app/deep" && echo swap >"$root/etc/app/deep/x.swp"
echo two >"$root/etc/hostname"
echo made >"$root/etc/made.cache"
echo newer >"$root/usr/share/pkg/data"
expect_status 1 systracker restore --checkpoint 1 --exact --as clone
contains "$out" '^leave    /etc/hostname ' '^cannot   /usr/share/pkg/data  .its content is not kept'
[ "$(cat "$root/etc/hostname")" = two ]
[ "$(cat "$root/etc/made.cache")" = made ]
[ "$(cat "$root/usr/share/pkg/data")" = newer ]
[ "$(cat "$root/etc/f1")" = 'content 1' ]
expect_status 1 systracker restore --checkpoint 1 --exact --as same
[ "$(cat "$root/etc/hostname")" = one ]
echo packaged >"$root/usr/share/pkg/data"
mkdir "$root/etc/brandnew" && echo swap >"$root/etc/brandnew/.x" && mv "$root/etc/brandnew/.x" "$root/etc/app/y.swp"

# --exact means the packages too, which is refused in words; without --exact they stay.
packages 'hello 1.0-2' 'libfoo 2.3'
expect_status 1 systracker restore --checkpoint 1 --exact
one_error 'package' '--packages=none'
expect_status 1 systracker restore --checkpoint 1 --packages=exact
one_error 'package hello: 1.0-1 is not kept' '--fetch-missing' 'nothing was changed'
expect_status 2 systracker restore --checkpoint 1 --packages=exact -- /etc
one_error 'whole restore'
expect_status 0 systracker restore --checkpoint 1 --exact --packages=none
contains "$out" '^keep     dpkg_track: .*hello'

# Bad lines.
expect_status 2 systracker restore
one_error '--checkpoint'
expect_status 2 systracker restore --checkpoint 99
one_error '99'
expect_status 1 systracker restore --checkpoint 1 -- /etc/never
one_error '/etc/never'
expect_status 1 systracker restore --checkpoint 1 --from="$scratch/none"
one_error 'cannot fetch: cannot open the archive'
expect_status 1 systracker restore --checkpoint 1 --host=0123
one_error 'systracker fetch'
expect_status 1 systracker restore --checkpoint 1 --restart
one_error 'in another root no service runs'
expect_status 1 systracker restore --resume
one_error 'no interrupted restore'

# Without undo, undo says so.
echo more >>"$root/etc/f1"
expect_status 0 systracker restore --checkpoint 1 --no-undo -- /etc/f1
expect_status 1 systracker undo
one_error '--no-undo'

# A damaged journal is refused in words.
plan=$(find "$store/journal" -name plan | sort | tail -n 1)
printf X | dd of="$plan" bs=1 seek=50 conv=notrunc 2>/dev/null
expect_status 1 systracker restore --status
contains "$err" 'cannot read journal [0-9]+: its checksum does not fit'
expect_status 2 systracker undo
one_error 'checksum'
