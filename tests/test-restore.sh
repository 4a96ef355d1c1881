#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# restore and undo in a scratch root: a path, everything, exactly; nothing without being asked.
. "$ST_SOURCE/tests/functions.sh"
need_root "chown"
make_root
make_config
mkdir -p "$root/usr/local/tree/deep" "$root/opt/becomes-file"
echo leaf >"$root/usr/local/tree/deep/leaf"
echo content >"$root/opt/becomes-folder"
ln -s /nowhere "$root/opt/link"
cp "$root/usr/local/bin/hello" "$root/usr/local/bin/setuid"
chmod 4755 "$root/usr/local/bin/setuid"
chown daemon:shadow "$root/etc/app/other.conf"
chmod 640 "$root/etc/app/other.conf"
manifest "$scratch/one"
expect_status 0 systracker checkpoint

sed -i s/first/erste/ "$root/etc/app/app.conf"
echo 'colour=red' >"$root/etc/app/other.conf"
chown root:root "$root/etc/app/other.conf"
chmod 600 "$root/etc/app/other.conf"
rm -r "$root/usr/local/tree" "$root/usr/local/bin/setuid"
rm "$root/opt/becomes-folder" "$root/opt/link"
mkdir "$root/opt/becomes-folder"
echo inside >"$root/opt/becomes-folder/inside"
rmdir "$root/opt/becomes-file"
echo now a file >"$root/opt/becomes-file"
mkdir "$root/opt/link"
echo new >"$root/srv/new"
mkdir -p "$root/srv/empty/folder"
manifest "$scratch/two"
same()
{
  manifest "$scratch/now"
  cmp "$scratch/$1" "$scratch/now" || fail "not as in $1: $2"
}

# Looking changes nothing.
# What is new in a directory that would become a file stays, so that one cannot be done.
expect_status 1 systracker restore --checkpoint 1 --dry-run
contains "$out" /etc/app/app.conf /usr/local/tree 'cannot.*/opt/becomes-folder.*--exact'
expect_status 0 systracker restore --checkpoint 1 --exact --packages=none --dry-run
contains "$out" /srv/new
same two "--dry-run changed something"

# One path alone, and back.
expect_status 0 systracker restore --checkpoint baseline --yes -- /etc/app/app.conf
[ "$(head -n 1 "$root/etc/app/app.conf")" = first ] || fail "the path was not restored"
cp "$scratch/two" "$scratch/expected"
manifest "$scratch/now"
tr '\0' '\n' <"$scratch/two" >"$scratch/two.txt"
tr '\0' '\n' <"$scratch/now" >"$scratch/now.txt"
diff "$scratch/two.txt" "$scratch/now.txt" | grep '^[<>]' | grep -vF './etc/app/app.conf' &&
  fail "more than the path was changed"
expect_status 0 systracker undo --yes
same two "undo of one path"

# Without --exact what was added stays.
expect_status 1 systracker restore --checkpoint 1 --yes
[ -e "$root/srv/new" ] || fail "restore without --exact deleted a file"
[ -e "$root/opt/becomes-folder/inside" ] || fail "restore without --exact deleted a file"
[ "$(stat -c '%a %u %g' "$root/etc/app/other.conf")" = '640 1 42' ] || fail "mode or owner"
[ "$(stat -c %a "$root/usr/local/bin/setuid")" = 4755 ] || fail "setuid was lost"
[ -d "$root/opt/becomes-file" ] || fail "a file did not become a directory again"
[ -L "$root/opt/link" ] || fail "a directory did not become a symlink again"
expect_status 0 systracker undo --yes
same two "undo"

# With --exact everything is as it was; undo; and undo of that is refused or brings it back.
expect_status 0 systracker restore --checkpoint 1 --exact --packages=none --yes
same one "restore --exact"
expect_status 0 systracker status
expect_status 0 systracker restore --status
expect_status 0 systracker undo --yes
same two "undo of --exact"

# What cannot be done is said before anything is changed.
expect_status 2 systracker restore --checkpoint 77 --yes
one_error 77
expect_status 2 systracker restore --yes
same two "a refused restore changed something"
