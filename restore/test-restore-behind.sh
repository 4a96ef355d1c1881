#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The checkpoint behind a restore passes what was put back as it was known, and nothing else: what is
# altered between the two, what the file system does not give back, what another checkpoint, other
# rules or a plug-in say otherwise.
. "$ST_SOURCE/tests/functions.sh"
need_root "owners"
for program in setfattr setfacl; do need_program "$program"; done

make_root
make_config
rm -r "${root:?}/var"
sed -i '/^plugin dpkg_track/d; s#, "/var/spool/cron"##' "$config"
build_plugin meddling
echo 'plugin meddling { track = { "/srv/sized" } }' >>"$config"

tree=$root/srv/tree
mkdir -p "$tree/in/deep" "$tree/mode" "$tree/labelled" "$tree/named" "$root/srv/sized/in"
for n in 1 2 3 4 5 6 7 8 9; do
  seq "$n" 60 | sha256sum >"$tree/f$n"
  seq "$n" 70 | sha256sum >"$tree/in/deep/f$n"
  echo sized >"$root/srv/sized/in/f$n"
done
: >"$tree/nothing"
cp "$tree/f1" "$tree/same"
ln -s in/deep "$tree/link"
ln "$tree/f8" "$tree/in/hard"
mkfifo "$tree/fifo"
cp "$tree/f2" "$tree/suid" && chown 1:42 "$tree/suid" && chmod 6755 "$tree/suid"
cp "$tree/f3" "$tree/others" && chmod 666 "$tree/others"
truncate -s 3M "$tree/holes" && echo end >>"$tree/holes"
setfattr -n user.note -v text "$tree/f9" 2>/dev/null || skip "no attributes in $root"
setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 "$tree/f7"
setfacl -m u:daemon:r "$tree/f6" && setfacl -d -m u:daemon:rx "$tree/labelled"
flags=
if chattr +d "$tree/in/deep/f1" 2>/dev/null; then
  chattr +i "$tree/in/deep/f2"
  at_end "chattr -R -i '$scratch'/root*/srv 2>/dev/null"
  flags=1
else
  echo "SKIP: this file system has no flags"
fi
find "$root/srv" -type f ! -path '*/deep/f2' -exec touch -d '2001-02-03 04:05:06' {} +
sleep 0.1
expect_status 0 systracker checkpoint
tree_of() { "$ST_BUILD/tests/list-tree" "$1/srv" >"$2" || fail "the tree cannot be listed"; }
tree_of "$root" "$scratch/1"
manifest "$scratch/manifest-1"

# into_empty NAME: from here on the root is an empty one.
into_empty()
{
  root=$scratch/root-$1
  tree=$root/srv/tree
  mkdir "$root"
}
# is_whole WHY: all of it is there and known; what a scan finds that looks at everything is nothing.
is_whole()
{
  tree_of "$root" "$scratch/now"
  diff "$scratch/1" "$scratch/now" || fail "the trees are not the same: $1"
  manifest "$scratch/manifest"
  cmp "$scratch/manifest-1" "$scratch/manifest" || fail "the roots are not the same: $1"
  is_known "$1"
  expect_status 0 systracker restore --checkpoint 1 --exact
  contains "$out" '^nothing to restore'
}
is_known()
{
  expect_status 0 systracker status
  expect_status 0 systracker checkpoint --full
  contains "$out" 'nothing changed'
  expect_status 0 systracker verify
}

# All as it was known: nothing is told of but directories, to the plug-in that wants their sizes.
# What was put in the same tick of the clock is looked at, so that has to pass.
printf '#!/bin/sh\nsleep 0.1\n' >"$scratch/wait"
chmod 755 "$scratch/wait"
into_empty whole
export MEDDLE="$scratch/wait" TOLD="$scratch/told"
expect_status 0 systracker restore --checkpoint 1
unset MEDDLE TOLD
lacks "$scratch/told" '^/srv/sized/in/f'
is_whole "restored"
# The next night compares with what is there now, in this root.
chmod 600 "$tree/f1"
expect_status 1 systracker status
contains "$out" '/srv/tree/f1'
chmod 644 "$tree/f1"

# What a directory above hands down is not for what is put back.
into_empty inheriting
setfacl -d -m u:nobody:rwx "$root"
expect_status 0 systracker restore --checkpoint 1
is_whole "below a default ACL"

# Without an index everything is told.
into_empty unknown
rm "$store/index"
export TOLD="$scratch/told-again"
expect_status 0 systracker restore --checkpoint 1
unset TOLD
contains "$scratch/told-again" '^/srv/sized/in/f9$'
is_whole "without an index"

# Altered between the last change that the restore makes and the look behind it.
cat >"$scratch/meddle" <<'END'
#!/bin/sh
set -e
[ -e "$tree/in/deep/f9" ] && [ ! -e "$tree/named/new" ] || exit 0
sleep 0.1
cd "$tree"
content=$(tr 0-9a-f 1-9a-f0 <f1)
echo "$content" >f1 && touch -d '2001-02-03 04:05:06' f1
chmod 600 f2
setfattr -n user.other -v text f3
rm f4
mv nothing f5
cp -p in/deep/f3 copy && mv copy in/deep/f3
time=$(stat -c %y link)
ln -snf in/deeq link && touch -h -d "$time" link
chown 1 in/deep/f4
rm in/deep/f5 && mkdir in/deep/f5
ln -f in/deep/f6 in/deep/f7
chmod 700 mode
setfattr -n user.other -v text in
[ -z "$flags" ] || chattr +d in/deep/f8
echo new >named/new
END
chmod 755 "$scratch/meddle"
into_empty altered
export tree flags
export MEDDLE="$scratch/meddle"
expect_status 1 systracker restore --checkpoint 1 --exact
unset MEDDLE
for path in f1 f2 f3 f4 f5 nothing link in/deep/f4 in/deep/f5 in/deep/f7 mode in ${flags:+in/deep/f8} \
  named/new; do
  contains "$err" "^systracker: /srv/tree/$path: not as it should be: "
done
lacks "$err" '/srv/tree/(in/deep/f3|in/deep/f9|suid|same): not as'
is_known
expect_status 1 systracker diff 1
contains "$out" '/srv/tree/f1' '/srv/tree/named/new' '/srv/tree/link'
expect_status 0 systracker restore --checkpoint 1 --exact
is_whole "what was altered, put back"

# The latest checkpoint says otherwise: what differs is told, in both directions.
setfattr -n user.other -v text "$tree/f3"
chmod 600 "$tree/f2" "$tree/mode"
rm "$tree/f4"
echo more >"$tree/more"
content=$(tr 0-9a-f 1-9a-f0 <"$tree/f5")
echo "$content" >"$tree/f5" && touch -d '2001-02-03 04:05:06' "$tree/f5"
ln -snf in/deeq "$tree/link"
expect_status 0 systracker checkpoint
into_empty older
expect_status 0 systracker restore --checkpoint 1
expect_status 0 systracker diff 1
is_whole "an older checkpoint"

# Other rules and options than those of the checkpoint: all is looked at.
sed -i 's|^  max_size = "4M"|  max_size = "60"|; s|"/srv/sized"|"/srv/sized/in"|' "$config"
into_empty rules
export TOLD="$scratch/told-all"
expect_status 0 systracker restore --checkpoint 1
unset TOLD
contains "$scratch/told-all" '^/srv/sized/in/f9$'
is_whole "by other rules"
