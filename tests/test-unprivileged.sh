#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Who is not root restores their own: directories and files that forbid them to write, attributes,
# hard links; what they may not see or do is said.
. "$ST_SOURCE/tests/functions.sh"
need_program setfattr
if [ "$(id -u)" -eq 0 ]; then
  need_program setpriv
  chmod 755 "$scratch"
  as_user() { setpriv --reuid 65534 --regid 65534 --clear-groups env TMPDIR="$scratch" "$@"; }
else
  as_user() { "$@"; }
fi
as_user "$ST_SYSTRACKER" --version >"$out" 2>&1 || skip "nobody may run the staged program"
as_user "$ST_BUILD/tests/list-tree" "$scratch" >"$out" 2>&1 || skip "nobody may run list-tree"
systracker()
{
  as_user "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" "$@"
}
all_of() { as_user "$ST_BUILD/tests/list-tree" "$root/srv" >"$1" || fail "it cannot be listed"; }

make_root
make_config
sed -i '/^plugin dpkg_track/d; s|"/srv", "/var/spool/cron"|"/srv"|' "$config"
rm -rf "${root:?}/etc/ssl" "$root/etc/shadow"
cd "$root/srv"
mkdir strict && echo in >strict/in && ln strict/in strict/link && mkfifo strict/fifo
echo ro >ro && chmod 444 ro && ln -s nowhere strict/symlink
setfattr -n user.directory -v 1 strict 2>/dev/null || skip "no attributes in $scratch"
chmod 644 ro && setfattr -n user.file -v 1 ro && chmod 444 ro
mkdir strict/below && echo below >strict/below/file && chmod 555 strict/below strict
truncate -s 1M sparse && echo x >>sparse
[ "$(id -u)" -ne 0 ] || chown -R 65534:65534 "$scratch"
expect_status 0 systracker checkpoint
all_of "$scratch/1"

as_user chmod 755 strict strict/below
as_user sh -c 'rm strict/in strict/below/file strict/symlink; echo b >strict/link; echo new >strict/below/new'
as_user chmod 555 strict/below strict
as_user chmod 644 ro && as_user setfattr -n user.file -v 2 ro && as_user chmod 444 ro
as_user rm sparse
all_of "$scratch/2"
expect_status 0 systracker restore --checkpoint 1 --exact
all_of "$scratch/now"
diff "$scratch/1" "$scratch/now" || fail "restored"
expect_status 0 systracker restore --checkpoint 1 --exact
contains "$out" '^nothing to restore'
expect_status 0 systracker undo
all_of "$scratch/now"
diff "$scratch/2" "$scratch/now" || fail "undone"

# A directory that nobody may read is said, and what was known of it stands.
expect_status 0 systracker restore --checkpoint 1 --exact
as_user mkdir none && as_user sh -c 'echo in >none/in'
expect_status 0 systracker checkpoint
as_user chmod 0 none
expect_status 1 systracker checkpoint
contains "$err" 'not seen: .*/srv/none'
as_user chmod 755 none
expect_status 0 systracker checkpoint
expect_status 0 systracker diff 5 latest -- /srv
as_user chmod 755 strict strict/below
