#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Roots of rpm packages, by rpm and by dnf: what packages declare is not stored again, what deviates
# is, in agreement with rpm -Va but for what is named here; the database is read only, and only when
# it changed; one that cannot be read is a failure and never an empty list.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/rpm-lab.sh"
for program in sqlite3 strace setcap setfattr unshare; do need_program "$program"; done
need_rpm_lab
database=/var/lib/rpm

# Everything as shipped, but for the store and the output of this machine's commands.
make_shipped_config()
{
  sed -e "s|^store = .*|store = \"$store\"|" -e "s|^log = .*|log = \"$scratch/log\"|" \
    -e '/^min_free/s/".*"/"1M"/' -e '/^plugin command_track/,/^}/d' "$ST_CONFIG" >"$config"
}
new_root() { rm -rf "$root" "$store"; make_shipped_config; }
look_at_database() { find "$root$database" -printf '%p %i %s %m %U %T@ %C@\n' | sort >"$1"; }
# How many rows of paths there are now in tables that entries fill, of packaged paths ($1: such a
# list) or all of them.
tables='standard_track_entry checksum_track_file rpm_track_deviation'
rows()
{
  for table in $tables; do
    sql "SELECT CAST(p.path AS TEXT) FROM $table f JOIN path p ON p.id = f.path
      WHERE f.until IS NULL"
  done | sort -u | if [ $# -gt 0 ]; then comm -12 - "$1"; else cat; fi
}
# What packages declare of what is tracked: no %ghost, nothing that was not installed.  The root's
# folders are spelled as they are: /usr is merged.
declared()
{
  lab_rpm -qa --qf '[%{FILESTATES} %{FILEFLAGS} %{FILENAMES}\n]' |
    while read -r state flags path; do
      [ "$state-$((flags & 64))" = 0-0 ] || continue
      printf '%s\n' "$path" | sed 's,^/\(bin\|sbin\|lib64\|lib\)/,/usr/\1/,'
    done | grep -E '^/(etc|usr|opt|boot|root|srv|bin|sbin|lib|lib64)(/|$)' | sort -u
}

# ---- Nights ----------------------------------------------------------------------------------

# make NAME [OPTION...]: a package of one's own from a spec on standard input.
make()
{
  made=$1
  shift
  {
    printf 'Name: %s\nVersion: 1\nRelease: 1\nSummary: Lab\nLicense: MIT\n' "$made"
    printf 'BuildArch: noarch\nAutoReqProv: no\n%%description\nLab.\n'
    cat
  } >"$scratch/$made.spec"
  HOME=$lab_home rpmbuild -bb --quiet --define "_topdir $scratch/rpmbuild" \
    --define "_rpmfilename $made.rpm" --define '__os_install_post %{nil}' "$@" \
    "$scratch/$made.spec" >"$scratch/rpmbuild.log" 2>&1 ||
    { cat "$scratch/rpmbuild.log"; fail "rpmbuild"; }
}
# Of a thousand files, so that a twentieth of all paths means something.
make lab-many <<'END'
%install
for folder in $(seq 1 40); do
  mkdir -p %{buildroot}/usr/share/lab-many/$folder
  for file in $(seq 1 25); do echo $folder.$file >%{buildroot}/usr/share/lab-many/$folder/$file; done
done
%files
/usr/share/lab-many
END
# With digests of MD5, as tools still make them that imitate rpmbuild.
make lab-md5 --define '_source_filedigest_algorithm 1' --define '_binary_filedigest_algorithm 1' <<'END'
%install
mkdir -p %{buildroot}/usr/share/lab-md5
for file in a b c; do echo $file >%{buildroot}/usr/share/lab-md5/$file; done
%files
/usr/share/lab-md5
END

check_rows() # NIGHT
{
  declared >"$scratch/declared"
  paths=$(wc -l <"$scratch/declared")
  count=$(rows | wc -l)
  printf 'night %s: %s packaged paths tracked, %s with rows\n' "$1" "$paths" "$count"
  [ $((count * 20)) -lt "$paths" ] || fail "rows for $count of $paths packaged paths"
}

nights() # rpm|dnf
{
  new_root
  "make_$1_root"
  lab_night 1 "$1"
  rpm_quietly -i "$scratch/rpmbuild/RPMS/lab-many.rpm"
  look_at_database "$scratch/before"
  expect_status 0 systracker checkpoint -m one
  look_at_database "$scratch/after"
  cmp "$scratch/before" "$scratch/after" || fail "the database was touched"
  known=$(sql 'SELECT count(*) FROM rpm_track_package')
  there=$(lab_rpm -qa | wc -l)
  [ "$known" -eq "$there" ] || fail "$known of $there packages"
  [ "$known" -gt 20 ] || fail "only $known packages"
  [ "$(sql 'SELECT count(*) FROM rpm_track_package WHERE manifest IS NULL')" -eq 0 ] ||
    fail "a package without a manifest"
  sql "SELECT CAST(flags AS TEXT) FROM rpm_track_package WHERE name = 'lab-conf'" >"$out"
  contains "$out" '^c /etc/lab/plain.conf$' '^cn /etc/lab/keep.conf$' \
    '^cm /etc/lab/conf.d/missing.conf$' '^cg /etc/lab/ghost.conf$'
  check_rows 1

  # A database that nobody wrote is not read again: no process is started for it.
  strace -f -qq -e trace=execve -o "$scratch/strace" "$ST_SYSTRACKER" --config "$config" \
    --root "$root" --store "$store" checkpoint >"$out"
  lacks "$scratch/strace" 'systracker-rpm"'
  expect_status 0 systracker status

  for night in 2 3; do
    lab_night "$night" "$1"
    expect_status 0 systracker checkpoint -m "night $night"
    expect_status 0 systracker status
    check_rows "$night"
  done
  expect_status 1 systracker diff 1 latest
  contains "$out" '^changed package lab-app noarch$' '^  (upgraded )?1-1 → 3-1$' \
    '^added package kernel-lab noarch 3-1$' '^deleted package kernel-lab noarch 1-1$' \
    '^added package gpg-pubkey [0-9a-f]+-[0-9a-f]+$'
  expect_status 0 systracker verify
}
nights rpm
nights dnf

# ---- What stands out -----------------------------------------------------------------------

new_root
make_rpm_root
lab_night 1 rpm
expect_status 0 systracker checkpoint -m one
chmod 755 "$root/usr/bin/lab-suid"
printf 'l' | dd of="$root/usr/bin/lab-base.version" conv=notrunc status=none
expect_status 1 systracker diff --stat
contains "$out" '/usr/bin/lab-suid' '/usr/bin/lab-base.version'
expect_status 1 systracker diff --name-only
[ "$(sort -u "$out" | wc -l)" -eq 2 ] || fail "not two paths stand out"
expect_status 0 systracker checkpoint -m two
[ "$(sql "SELECT why FROM rpm_track_deviation f JOIN path p ON p.id = f.path
  WHERE CAST(p.path AS TEXT) = '/usr/bin/lab-base.version'")" = 'not as packaged' ] ||
  fail "a changed file is not kept"

# ---- rpm -Va -----------------------------------------------------------------------------------

new_root
make_rpm_root
lab_night 1 rpm
expect_status 0 systracker checkpoint -m one
cd "$root"
# Both see it.
chmod 4711 usr/bin/lab-app
printf 2 | dd of=usr/lib/lab/version conv=notrunc status=none
chown 1 usr/share/lab-script/version
chgrp 12 usr/share/lab-doc/deep/3/file
rm usr/share/lab-doc/empty
ln -sfn elsewhere usr/share/lab-links/soft
touch -d 2020-01-01 usr/share/lab-split/main
setcap -r usr/bin/lab-cap
echo 'colour = red' >>etc/lab/keep.conf
rm usr/share/lab-types/a && mkdir usr/share/lab-types/a
chmod 700 usr/share/lab-doc/deep
# rpm does not look at it, or was told not to.
echo more >>etc/lab/state                                         # %verify(not …)
rm etc/lab/conf.d/missing.conf                                    # %config(missingok)
touch -h -d 2020-01-01 usr/share/lab-links/absolute               # the time of a symlink
touch -d "@$(stat -c %Y usr/share/lab-left/version).5" usr/share/lab-left/version # below a second
cp -p usr/share/lab-links/pair-a new && mv new usr/share/lab-links/pair-b         # a hard link
setfattr -n user.note -v 1 usr/share/lab-old/version              # an attribute
ls usr/share/lab-links/pair-a >/dev/null
# No package's, and nobody's deviation: a %ghost, and what was made.
echo ghost >etc/lab/ghost.conf
echo new >usr/share/lab-doc/new
cd "$scratch"
expect_status 0 systracker checkpoint -m two
declared >"$scratch/declared"
rows "$scratch/declared" >"$scratch/ours"
{ lab_rpm -Va 2>/dev/null || :; } | sed -n 's,^[^/]* /,/,p' |
  grep -E '^/(etc|usr|opt|boot|root|srv)/' | sort -u >"$scratch/theirs"
comm -13 "$scratch/ours" "$scratch/theirs" >"$scratch/theirs.alone"
[ ! -s "$scratch/theirs.alone" ] || { cat "$scratch/theirs.alone"; fail "rpm -Va says more"; }
comm -23 "$scratch/ours" "$scratch/theirs" >"$scratch/ours.alone"
cat >"$scratch/known" <<'END'
/etc/lab/conf.d/missing.conf
/etc/lab/state
/etc/shadow
/usr/share/lab-left/version
/usr/share/lab-links/absolute
/usr/share/lab-links/pair-a
/usr/share/lab-links/pair-b
/usr/share/lab-old/version
END
diff "$scratch/known" "$scratch/ours.alone" || fail "what differs from rpm -Va is not what is known"
[ "$(wc -l <"$scratch/theirs")" -ge 11 ] || fail "rpm -Va says too little"
printf 'rpm -Va: %s paths, all of them ours; %s more of ours, all of them named\n' \
  "$(wc -l <"$scratch/theirs")" "$(wc -l <"$scratch/ours.alone")"

# ---- Labels ------------------------------------------------------------------------------------

if setfattr -n security.selinux -v system_u:object_r:bin_t:s0 "$root/usr/bin/lab-sgid"; then
  expect_status 0 systracker status
  setfattr -n security.selinux -v system_u:object_r:usr_t:s0 "$root/usr/share/lab-doc/new"
  expect_status 1 systracker status
  contains "$out" 'security.selinux'
  lacks "$out" 'lab-sgid'
  # A restore leaves it, and what takes the place of another has its label.
  echo changed >"$root/usr/bin/lab-sgid"
  expect_status 0 systracker checkpoint
  chmod 600 "$root/usr/bin/lab-sgid" && echo other >"$root/usr/bin/lab-sgid"
  expect_status 0 systracker restore --checkpoint latest --packages=none -- /usr/bin/lab-sgid
  [ "$(getfattr --only-values -n security.selinux "$root/usr/bin/lab-sgid")" = \
    system_u:object_r:bin_t:s0 ] || fail "the label was not left"
else
  echo 'SKIPPED CASE: labels: security.selinux cannot be set here'
fi

# ---- What is not there --------------------------------------------------------------------------

# Documentation was left out, a folder is another host's, a package lies elsewhere.
new_root
make_rpm_root
printf '%%_netsharedpath /usr/share/lab-split\n' >>"$lab_home/.rpmmacros"
lab_install lab-split-1
sed -i '$d' "$lab_home/.rpmmacros"
# shellcheck disable=SC2046
rpm_quietly -i --excludedocs $(lab_files lab-doc-1)
rpm_quietly -i --badreloc --relocate /usr/share/lab-old=/opt/old "$(lab_file lab-old-1)"
expect_status 0 systracker checkpoint -m one
[ "$(sql 'SELECT count(*) FROM standard_track_entry WHERE absent')" -eq 0 ] ||
  fail "what was not installed is expected"
[ -e "$root/opt/old/version" ] || fail "the package was not relocated"
rm "$root/opt/old/version"
expect_status 1 systracker status
contains "$out" '^D /opt/old/version'

# Digests that are not SHA-256: of what is as declared, no row.
rpm_quietly -i "$scratch/rpmbuild/RPMS/lab-md5.rpm"
[ "$(lab_rpm -q --qf '%{FILEDIGESTALGO}' lab-md5)" != 8 ] || fail "the digests are SHA-256"
echo B >"$root/usr/share/lab-md5/b"
expect_status 0 systracker checkpoint
rows | grep -F lab-md5 >"$out" || :
[ "$(cat "$out")" = /usr/share/lab-md5/b ] || { cat "$out"; fail "rows of a package with MD5"; }
[ "$(sql "SELECT why FROM rpm_track_deviation f JOIN path p ON p.id = f.path
  WHERE CAST(p.path AS TEXT) = '/usr/share/lab-md5/b'")" = 'not as packaged' ] || fail "why"

# ---- A database that cannot be written, is being written, or cannot be read -----------------------

new_root
make_rpm_root
lab_night 1 rpm
before=$(lab_rpm -qa | wc -l)

# No log beside it, and no place to make one.
rm -f "$root$database"/rpmdb.sqlite-*
# shellcheck disable=SC2016
expect_status 0 unshare -m sh -c 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" &&
  shift && "$@"' sh "$root$database" "$ST_SYSTRACKER" --config "$config" --root "$root" \
  --store "$store" checkpoint -m 'read only'
[ "$(sql 'SELECT count(*) FROM rpm_track_package')" -eq "$before" ] || fail "not all packages"
[ "$(ls "$root$database")" = rpmdb.sqlite ] || fail "files were made beside the database"

# What is committed in the log alone counts: a copy taken while somebody has it open.
cp -a "$root$database" "$scratch/copy"
sqlite3 "$root$database/rpmdb.sqlite" >"$scratch/sqlite.log" <<END
PRAGMA wal_autocheckpoint = 0;
DELETE FROM Packages WHERE hnum = (SELECT hnum FROM Name WHERE key = 'lab-gone');
DELETE FROM Name WHERE key = 'lab-gone';
.shell cp -a $root$database/rpmdb.sqlite $root$database/rpmdb.sqlite-wal $scratch/copy/
END
[ -s "$scratch/copy/rpmdb.sqlite-wal" ] || fail "nothing is in the log"
rm -rf "${root:?}$database"
mv "$scratch/copy" "$root$database"
rm -f "$root$database/rpmdb.sqlite-shm"
look_at_database "$scratch/before"
expect_status 0 systracker checkpoint -m 'from the log'
look_at_database "$scratch/after"
cmp "$scratch/before" "$scratch/after" || fail "the database was touched"
expect_status 1 systracker diff latest~1 latest
contains "$out" '^deleted package lab-gone noarch$'

# What stood stands: the checkpoint is incomplete, and says why.
refused() # PATTERN
{
  expect_status 1 systracker checkpoint
  contains "$err" "$1"
  [ "$(sql 'SELECT count(*) FROM rpm_track_package WHERE until IS NULL')" -eq $((before - 1)) ] ||
    fail "packages went"
  rm -rf "${root:?}$database"
  cp -a "$scratch/good" "$root$database"
}
cp -a "$root$database" "$scratch/good"
check_scratch "$root"

truncate -s 50000 "$root$database/rpmdb.sqlite"
refused 'cannot read rpm.s database'
: >"$root$database/rpmdb.sqlite"
refused 'cannot read rpm.s database'
sqlite3 "$root$database/rpmdb.sqlite" "UPDATE Packages SET blob =
  CAST(substr(blob, 1, 1000) || x'00' || substr(blob, 1002) AS BLOB) WHERE hnum = 7"
refused 'skipping h# 7 .*BAD'
sqlite3 "$root$database/rpmdb.sqlite" 'DELETE FROM Packages; DELETE FROM Name'
refused 'none of the .* packages known before'
rm "$root$database"/rpmdb.sqlite* && head -c 65536 /dev/zero >"$root$database/Packages"
refused 'rpm.s database, which is of the kind bdb'
rm "$root$database"/rpmdb.sqlite* && head -c 65536 /dev/zero >"$root$database/Packages.db"
refused 'rpm.s database, which is of the kind ndb'
rm -rf "${root:?}$database"
refused 'none of the .* packages known before'
expect_status 0 systracker checkpoint
expect_status 0 systracker verify

# Macros of the root are not read: they could run anything.
mkdir -p "$root/usr/lib/rpm" "$root/etc/rpm"
printf '%%_dbpath %%(touch /macro-ran)/nowhere\n' >"$root/usr/lib/rpm/macros"
cp "$root/usr/lib/rpm/macros" "$root/etc/rpm/macros"
touch "$root$database/rpmdb.sqlite"
expect_status 0 systracker checkpoint
[ ! -e "$root/macro-ran" ] || fail "a macro of the root was run"
[ ! -e /macro-ran ] || fail "a macro of the root was run outside of it"
