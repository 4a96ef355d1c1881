#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Packages declare paths that nobody looks after here: that no rule tracks, that are excluded or
# generated, or on a mount that is not entered.  Nothing is expected of them, so they are never
# absent; and when the rules change, that shows, here and in an archive, which has no configuration.
. "$ST_SOURCE/tests/functions.sh"
make_root
make_config
build_plugin packaged
demo=/usr/local/demo
cat >>"$config" <<END
plugin packaged { track = { "$demo" } }
excluded "$demo/excluded/**" { reason = "a test" }
generated "$demo/cache" { reason = "made again" }
END

mtime=1709294400
line() # PATH
{
  if [ -d "$root$1" ]; then
    echo "$1 d $(stat -c '%a' "$root$1") $mtime"
  else
    touch -d "@$mtime" "$root$1"
    echo "$1 f $(stat -c '%a' "$root$1") $mtime $(sha256sum "$root$1" | cut -c1-64)" \
      "$(stat -c %s "$root$1")"
  fi
}
absent() { sql "SELECT count(*) FROM standard_track_entry f JOIN path p ON p.id = f.path
  WHERE CAST(p.path AS TEXT) LIKE '%/demo%' AND f.until IS NULL AND f.absent"; }
of_demo() { sql "SELECT count(*) FROM standard_track_entry f JOIN path p ON p.id = f.path
  WHERE CAST(p.path AS TEXT) LIKE '$demo%' AND f.until IS NULL"; }

mkdir -p "$root$demo/excluded" "$root$demo/more" "$root$demo/mount" "$root/var/lib/demo"
for name in tool more/one more/two mount/below excluded/x cache; do
  echo "$name" >"$root$demo/$name"
done
echo state >"$root/var/lib/demo/state"
{
  for path in "$demo" "$demo/tool" "$demo/more" "$demo/more/one" "$demo/more/two" \
    "$demo/mount" "$demo/mount/below" "$demo/excluded" "$demo/excluded/x" "$demo/cache" \
    /var/lib/demo /var/lib/demo/state; do
    line "$path"
  done
  # Never installed, as dpkg's path-exclude has it.
  echo "$demo/excluded/never f 644 $mtime"
  echo "/var/lib/demo/never f 644 $mtime"
} >"$root/srv/demo-1"
echo 'demo 1' >"$root/srv/packages"

expect_status 0 systracker checkpoint -m one
[ "$(absent)" -eq 0 ] || fail "something is absent that nobody looks after: $(absent)"
[ "$(of_demo)" -eq 0 ] || fail "what is as packaged was stored"
expect_status 0 systracker status
expect_status 0 systracker diff 1
echo changed >"$root/var/lib/demo/state"
rm "$root$demo/excluded/x" "$root$demo/cache" "$root/var/lib/demo/state"
expect_status 0 systracker status
expect_status 0 systracker checkpoint -m two
[ "$(absent)" -eq 0 ] || fail "something became absent that nobody looks after"
expect_status 0 systracker diff 1 2
for path in "$demo/excluded/x" "$demo/excluded/never" "$demo/cache" /var/lib/demo/state; do
  expect_status 1 systracker cat 2 "$path"
done

# A rule less, and one more: what is not looked after any more is said, and what is missing now.
cp "$config" "$scratch/rules-1"
sed -i -e "s|excluded \"$demo/excluded/\*\*\"|excluded \"$demo/more/**\"|" \
  -e 's|track = { "/etc", "/usr", |&"/var/lib/demo", |' "$config"
cp "$config" "$scratch/rules-2"
expect_status 1 systracker status
contains "$out" "$demo/more/one" "/var/lib/demo"
expect_status 0 systracker checkpoint -m 'other rules'
[ "$(absent)" -eq 4 ] || fail "not all that is missing is absent: $(absent)"
expect_status 1 systracker diff --name-only 2 3
contains "$out" "$demo/more/one" "$demo/more/two"
lacks "$out" excluded/never /var/lib/demo/never "$demo/tool"
expect_status 0 systracker status
expect_status 0 systracker log "$demo/more/one"
contains "$out" '^ *3 ' '^ *1 '
cp "$scratch/rules-1" "$config"
expect_status 0 systracker checkpoint -m 'as before'
expect_status 0 systracker diff --name-only -- "$demo"
expect_status 0 systracker status
expect_status 0 systracker verify
# The store reads its checkpoints by the rules that they were made by, not by those of now.
systracker diff --name-only 2 3 >"$scratch/by-rules-1" || :
cp "$scratch/rules-2" "$config"
systracker diff --name-only 2 3 >"$scratch/by-rules-2" || :
cmp "$scratch/by-rules-1" "$scratch/by-rules-2" || fail "today's rules say what was"

# An archive knows the rules by their facts.
host=$(basename "$store"/hosts/*)
"${ST_SYSTRACKER%/*}/systracker-archive" init "$scratch/archive" >/dev/null
expect_status 0 systracker sync "$scratch/archive"
systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }
expect_status 1 systracker_archive diff "$scratch/archive" "$host" 2 3 --name-only
cmp "$out" "$scratch/by-rules-1" || fail "the archive says something else"
expect_status 0 systracker_archive diff "$scratch/archive" "$host" 1 2

# A mount that no rule names hides what lies below.
cp "$scratch/rules-1" "$config"
expect_status 0 systracker checkpoint
if [ "$(id -u)" -ne 0 ] || ! unshare -m true 2>/dev/null; then
  skip "mounts: needs root and mount namespaces; the rest passed"
fi
cat >"$scratch/mounted" <<'END'
. "$ST_SOURCE/tests/functions.sh"
rmdir "$scratch"
scratch=$1 root=$1/root store=$1/store-2 config=$1/systracker.conf out=$1/out err=$1/err
trap - EXIT
absent() { sql "SELECT count(*) FROM standard_track_entry f JOIN path p ON p.id = f.path
  WHERE CAST(p.path AS TEXT) LIKE '%/demo%' AND f.until IS NULL AND f.absent"; }
mount -t tmpfs none "$root/usr/local/demo/mount" || exit 78
expect_status 0 systracker checkpoint
[ "$(absent)" -eq 0 ] ||
  fail "what lies on a mount that is not entered is absent"
lacks "$out" below
expect_status 0 systracker status
umount "$root/usr/local/demo/mount"
rm "$root/usr/local/demo/more/one"
mv "$root/usr/local/demo/mount/below" "$root/usr/local/demo/mount/other"
expect_status 1 systracker checkpoint
[ "$(absent)" -eq 2 ] ||
  fail "what is missing below the mount that went is not absent"
expect_status 1 systracker diff --name-only 1 2
contains "$out" mount/other more/one
lacks "$out" mount/below
END
status=0
unshare -m sh "$scratch/mounted" "$scratch" || status=$?
[ "$status" -ne 78 ] || skip "mounts: cannot mount a tmpfs here; the rest passed"
[ "$status" -eq 0 ] || fail "below a mount"
