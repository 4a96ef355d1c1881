#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What the packages of a real Debian root expect: how little is left to store, and that what deviates,
# and what an upgrade changes, is told exactly.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"
need_program dpkg-deb
need_program strace
make_larger_debian
shipped_config
archives=$root/var/cache/apt/archives

# ---- Counting ------------------------------------------------------------------------------------

rows() # TABLE [WHERE]
{
  sql "SELECT count(*) FROM $1 WHERE until IS NULL ${2:-}"
}
all_rows()
{
  echo $(($(rows standard_track_entry) + $(rows checksum_track_file) + $(rows config_track_file) +
    $(rows dpkg_track_deviation)))
}
# Their sizes: as they are, and as the store has them.
manifests()
{
  sqlite3 "$(echo "$store"/hosts/*/catalog.db)" \
    "ATTACH '$store/packs/objects.db' AS o; SELECT count(*), sum(raw), sum(stored) FROM o.object
     WHERE id IN (SELECT manifest FROM dpkg_track_package)"
}
# The paths of packages, as this root's directories have them.
packaged_paths()
{
  sort -u "$root"/var/lib/dpkg/info/*.list |
    sed -E 's,^/(bin|sbin|lib|lib32|lib64|libx32)(/|$),/usr/\1\2,' | sort -u
}
packaged_paths >"$scratch/packaged"
packaged=$(wc -l <"$scratch/packaged")
packages=$(grep -c '^Status: install ok installed' "$root/var/lib/dpkg/status")
[ "$packages" -ge 250 ] || fail "$packages packages are too few"

# few WHAT: less than 5 % of the packaged paths have rows in the store.
few()
{
  kept=$(all_rows)
  echo "$1: $packages packages, $packaged paths; rows: $(rows standard_track_entry) standard_track" \
    "($(rows standard_track_entry 'AND absent') absent), $(rows checksum_track_file) checksum_track," \
    "$(rows config_track_file) config_track, $(rows dpkg_track_deviation) deviations:" \
    "$kept, $((kept * 1000 / packaged)) in 1,000; manifests|bytes|stored: $(manifests)"
  [ $((kept * 20)) -lt "$packaged" ] || fail "$1: $kept rows are not under 5 % of $packaged"
}
expected_from() # WORDS
{
  sql "SELECT count(*) FROM dpkg_track_package WHERE until IS NULL AND manifest IS NULL" >"$out"
  [ "$(cat "$out")" -eq 0 ] || fail "$(cat "$out") packages have no manifest"
  expect_status 0 systracker explain /usr/bin/less
  contains "$out" "$1"
}

# ---- With the packages' files, and without -------------------------------------------------------

expect_status 0 systracker packages --keep "$archives"
expect_status 0 systracker checkpoint --tag kept
few "from package files"
expected_from 'as the package declares it'
expect_status 0 systracker verify

# Out of sight of the sweep of caches.
both=$store
store=$scratch/observed
mv "$archives" "$scratch/archives"
mkdir "$archives"
expect_status 0 systracker checkpoint
few "observed"
expected_from 'as it was when it was first seen'
rm -rf "$store" "$archives"
mv "$scratch/archives" "$archives"
store=$both

# Not read again: dpkg's status is looked at, and no more.
expect_status 0 strace -f -y -e trace=read,pread64 -o "$scratch/reads" \
  "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" checkpoint
contains "$out" 'nothing changed'
contains "$scratch/reads" 'etc/passwd'
lacks "$scratch/reads" 'lib/dpkg/status' 'lib/dpkg/info' 'lib/dpkg/diversions'

# ---- What deviates stands out --------------------------------------------------------------------

expect_status 0 systracker status
cp -a "$root/usr/bin/strace" "$scratch/strace"
chmod 700 "$root/usr/bin/lsof"
flip "$root/usr/bin/strace" 5000
expect_status 1 systracker status
contains "$out" '^M /usr/bin/lsof: mode 0755 → 0700$' '^M /usr/bin/strace: content' \
  '^2 differ: 2 changed$'
[ "$(wc -l <"$out")" -eq 3 ] || fail "a chmod and a changed byte are not two lines"
expect_status 0 systracker checkpoint --tag deviating
expect_status 1 systracker diff --stat kept deviating
[ "$(wc -l <"$out")" -eq 3 ] || fail "of two checkpoints they are not two lines"
for night in kept deviating; do
  systracker cat "$night" /usr/bin/strace >"$scratch/content"
  [ "$night" = kept ] && of=$scratch/strace || of=$root/usr/bin/strace
  cmp "$scratch/content" "$of" || fail "cat $night /usr/bin/strace"
done

# As packaged again, out of the kept package files.
expect_status 0 systracker restore --checkpoint kept -- /usr/bin/lsof /usr/bin/strace
cmp "$scratch/strace" "$root/usr/bin/strace" || fail "the restored file is not the packaged one"
expect_status 0 systracker diff kept

# ---- An upgrade of 30 packages -------------------------------------------------------------------
# An older snapshot of the distribution is not at hand, so they are built again: with other texts,
# a file more, and one less.

upgraded=30
mkdir "$scratch/new" "$scratch/build"
rebuild() # FILE
{
  rm -rf "${scratch:?}/build"
  dpkg-deb -R "$1" "$scratch/build"
  (
    cd "$scratch/build"
    sed -i '/^Version: /s/$/+st1/' DEBIAN/control
    doc=$(find usr/share/doc -mindepth 1 -maxdepth 1 -type d | head -n 1)
    find "$doc" -type f -exec sh -c 'echo again >>"$0"' {} ';'
    rm -f "$doc"/changelog.gz "$doc"/NEWS.Debian.gz
    echo 'built again' >"$doc/README.again"
    find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums
  )
  dpkg-deb -b "$scratch/build" "$scratch/new" >>"$scratch/dpkg-deb.log"
}
# shellcheck disable=SC2016
in_root dpkg-query -W -f '${Package} ${Version} ${Architecture}\n' | sort >"$scratch/installed"
rebuilt=0
for file in $(find "$archives" -name '*.deb' -printf '%s %p\n' | sort -n | cut -d' ' -f2); do
  [ "$rebuilt" -lt "$upgraded" ] || break
  # shellcheck disable=SC2016
  dpkg-deb -W --showformat '${Package} ${Version} ${Architecture}\n' "$file" | sort |
    comm -12 - "$scratch/installed" >"$scratch/this"
  [ -s "$scratch/this" ] || continue
  # Neither of several that go with one exact version, nor without a text of its own.
  dpkg-deb -f "$file" Depends Pre-Depends Breaks Provides >"$scratch/fields"
  ! grep -q '(= ' "$scratch/fields" || continue
  ! grep -qF " $(dpkg-deb -f "$file" Package) (= " "$root/var/lib/dpkg/status" || continue
  dpkg-deb -c "$file" >"$scratch/list"
  grep -q ' \./usr/share/doc/[^/]*/copyright$' "$scratch/list" || continue
  rebuild "$file"
  rebuilt=$((rebuilt + 1))
done
[ "$rebuilt" -eq "$upgraded" ] || fail "only $rebuilt packages could be built again"

# Every entry below what is tracked, without SysTracker; directories' times are no facts.
left_out='^/(etc/ld\.so\.cache|usr/share/info/dir.*|etc/mtab|usr/share/mime/.*|.*/__pycache__(/.*)?)	'
every_entry() # FILE
{
  (
    cd "$root"
    find etc usr opt boot root srv \( -type d -printf '/%p\t%y %m %U:%G\n' \) -o \
      -printf '/%p\t%y %m %U:%G %s %T@ %l\n'
  ) | grep -vE "$left_out" | sort >"$1"
}
every_entry "$scratch/before"
cp -a "$root/usr/share/doc" "$scratch/doc-before"
mkdir "$root/var/tmp/new"
cp "$scratch"/new/*.deb "$root/var/tmp/new/"
in_root sh -c 'dpkg -i /var/tmp/new/*.deb' >"$scratch/dpkg.log" 2>&1 ||
  { tail -n 20 "$scratch/dpkg.log"; fail "dpkg -i"; }
rm -r "$root/var/tmp/new"
every_entry "$scratch/after"
expect_status 0 systracker packages --keep "$scratch/new"
expect_status 0 systracker checkpoint --tag upgraded
few "upgraded"
expect_status 1 systracker diff --stat kept upgraded
lines=$(wc -l <"$out")
echo "an upgrade of $upgraded packages: $lines lines of diff --stat"
if [ "$lines" -lt "$upgraded" ] || [ "$lines" -gt $((upgraded + 10)) ]; then
  fail "an upgrade of $upgraded packages is $lines lines"
fi

# File by file it is what really changed, no more and no less.
comm -3 "$scratch/before" "$scratch/after" | sed 's/^\t//; s/\t.*//' | sort -u >"$scratch/changed"
[ "$(wc -l <"$scratch/changed")" -gt "$((2 * upgraded))" ] || fail "too little was changed"
expect_status 1 systracker diff --files --name-only kept upgraded
grep '^/' "$out" | sort -u >"$scratch/told"
diff "$scratch/changed" "$scratch/told" >"$scratch/difference" ||
  { head -n 20 "$scratch/difference"; fail "diff --files is not what changed"; }

# Each file's history, and both its contents.
for path in $(grep -E '^/usr/share/doc/.*/copyright$' "$scratch/changed" | head -n 5); do
  expect_status 0 systracker log "$path"
  [ "$(grep -cE '^ *[0-9]+ ' "$out")" -eq 2 ] || fail "log $path is not two lines"
  systracker cat kept "$path" >"$scratch/content"
  cmp "$scratch/content" "$scratch/doc-before/${path#/usr/share/doc/}" || fail "cat kept $path"
  systracker cat upgraded "$path" >"$scratch/content"
  cmp "$scratch/content" "$root$path" || fail "cat upgraded $path"
done

# There and back, with no network.
offline() { unshare -n "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" "$@"; }
for night in kept upgraded; do
  expect_status 0 offline restore --checkpoint "$night" --exact
  every_entry "$scratch/now"
  [ "$night" = kept ] && as=before || as=after
  diff "$scratch/$as" "$scratch/now" >"$scratch/difference" ||
    { head -n 20 "$scratch/difference"; fail "not as at $night"; }
done

# ---- As dpkg --verify has it ---------------------------------------------------------------------
# dpkg looks at contents and whether there is something; what it calls by the package's spelling is
# meant as it lies here.

rm "$root/usr/share/doc/lsof/copyright"
echo '# edited' >>"$root/etc/login.defs"
rm "$root/etc/skel/.bashrc"
flip "$root/usr/bin/strace" 5000
ln -sf /bin/true "$root/usr/bin/xz"
in_root dpkg-divert --quiet --local --rename --add /usr/bin/jq
echo ours >"$root/usr/bin/jq"
echo edited >>"$root/usr/bin/jq.distrib"
expect_status 0 systracker checkpoint --tag verified
in_root dpkg --verify >"$scratch/verify" || :
sed -E 's/^.{9} . //; s/ \([^()]*\)$//; s,^/(bin|sbin|lib|lib32|lib64|libx32)/,/usr/\1/,' \
  "$scratch/verify" | sort -u >"$scratch/by-dpkg"
# Ours: a content that is not the expected one, another type, or nothing there.
sql "SELECT CAST(p.path AS TEXT) FROM checksum_track_file f JOIN path p ON p.id = f.path
  WHERE f.until IS NULL UNION SELECT CAST(p.path AS TEXT) FROM standard_track_entry f
  JOIN path p ON p.id = f.path WHERE f.until IS NULL AND (f.absent OR f.type = 'l')" |
  sort -u | comm -12 - "$scratch/packaged" >"$scratch/by-us"
sort "$scratch/verify"
for path in /usr/share/doc/lsof/copyright /etc/login.defs /etc/skel/.bashrc /usr/bin/xz \
  /usr/bin/strace; do
  contains "$scratch/by-dpkg" "^$path\$"
  contains "$scratch/by-us" "^$path\$"
done
# A secret, whose digest is keyed; and what is ours where a package's file was diverted from.
printf '\t/etc/exim4/passwd.client\n\t/usr/bin/jq\n' >"$scratch/explained"
comm -3 "$scratch/by-dpkg" "$scratch/by-us" >"$scratch/disagreement"
diff "$scratch/explained" "$scratch/disagreement" ||
  fail "dpkg --verify and SysTracker differ in what doc/architecture.md does not explain"
