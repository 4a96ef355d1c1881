# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# rows.sh - one function a row, row_ROW, and ROW__WHO for each that takes part.  Sourced by bench.sh.
# shellcheck disable=SC2034,SC2154 # variables are shared with bench.sh
: "${dir:?}" "${usr:?}" "${usr_root:?}" "${etc_root:?}" "${floor:?}"

stores=$dir/stores

# make_config FILE TRACKED [CONTENT [alone]]: tracks metadata and digests; content too, if asked for;
# packages where there are any, unless `alone`.
make_config()
{
  {
    printf 'log = "none"\nmin_free = "1M"\nmax_night = "1000G"\n'
    printf 'plugin standard_track { track = { "%s" } }\n' "$2"
    printf 'plugin checksum_track { track = { "%s" } }\n' "$2"
    [ -z "${3:-}" ] || printf 'plugin config_track { track = { "%s" } max_size = "64G" }\n' "$2"
    # Left out of what is restored: an empty folder has no database of packages.
    [ ! -d "$usr_root/var/lib/dpkg" ] || [ "$2$#" != /usr2 ] || echo 'plugin dpkg_track { }'
  } >"$1"
}

# Configuration and store are "$dir/NAME.conf" and "$stores/NAME".
systracker_in()
{
  name=$1 of_root=$2
  shift 2
  set -- "$ST_SYSTRACKER" --config "$dir/$name.conf" --root "$of_root" --store "$stores/$name" \
    --quiet "$@"
  $with "$@"
}
with=measured

digests() { systracker_in digests "$usr_root" "$@"; }
content() { systracker_in content "$usr_root" "$@"; }

prepare_usr()
{
  make_usr
  mkdir -p "$stores"
  make_config "$dir/digests.conf" /usr
  make_config "$dir/content.conf" /usr all
}

# made NAME: makes its first checkpoint, where there is none, and one more.
made()
{
  with=quietly
  if [ ! -e "$stores/$1/made" ]; then
    rm -rf "${stores:?}/$1"
    "$1" checkpoint
    : >"$stores/$1/made"
  fi
  "$1" checkpoint
  with=measured
}

# ---- The first checkpoint ------------------------------------------------------------------------

row_first_digests()
{
  prepare_usr
  row floor-hash "first checkpoint, metadata and digests only"
  limit wall_s systracker 1.25 floor-hash
  in_turn "floor-walk floor-hash systracker with-packages" "aide"
  : >"$stores/digests/made"
}
first_digests__reads() { "$@" "$usr_root"; }
first_digests__floor_walk() { measured "$floor" walk "$usr"; }
first_digests__floor_hash() { measured "$floor" hash "$usr"; }
# Metadata and digests alone, as the others do; and with packages, whose manifests are made from what
# is there, each file proved by its package's MD5.
first_digests__systracker()
{
  rm -rf "$stores/alone"
  make_config "$dir/alone.conf" /usr "" alone
  systracker_in alone "$usr_root" checkpoint
}
first_digests__with_packages()
{
  rm -rf "$stores/digests"
  digests checkpoint
}
first_digests__aide() { first aide; }

row_first_content()
{
  prepare_usr
  row floor-compress "first checkpoint, all content kept"
  limit wall_s systracker 1.15 floor-compress
  in_turn "floor-compress systracker" "tar-zstd restic casync bup borg git"
  : >"$stores/content/made"
}
first_content__reads() { "$@" "$usr_root"; }
first_content__floor_compress() { measured "$floor" compress "$usr" "$dir/compressed"; }
first_content__systracker()
{
  rm -rf "$stores/content"
  content checkpoint
}
first_content__tar_zstd() { first tar-zstd; }
first_content__restic() { first restic; }
first_content__casync() { first casync; }
first_content__bup() { first bup; }
first_content__borg() { first borg; }
first_content__git() { first git; }

row_size()
{
  prepare_usr
  made content
  rm -rf "${stores:?}/content/journal" # of restores that were measured before
  [ -e "$dir/compressed" ] || quietly "$floor" compress "$usr" "$dir/compressed"
  row borg "its size in the store"
  limit bytes systracker 1 borg
  size_of files "$usr"
  size_of systracker "$stores/content"
  size_of floor-compress "$dir/compressed"
  round=1
  for of_peer in $(peers_of_round "borg casync restic git bup tar-zstd"); do
    after_first "$of_peer"
    size_of "$of_peer" "$peer/$of_peer"
  done
}

# ---- Later ones ----------------------------------------------------------------------------------

row_nothing_changed()
{
  prepare_usr
  made digests
  row floor-walk "nothing changed"
  limit wall_s systracker 1 floor-walk
  limit peak_mb systracker 0 "" 48
  in_turn "floor-walk systracker" "find git bup rsync restic borg aide"
}
nothing_changed__reads() { "$@" "$usr_root" "$stores/digests"; }
nothing_changed__floor_walk() { measured "$floor" walk "$usr"; }
nothing_changed__systracker() { digests checkpoint; }
nothing_changed__find() { measured find "$usr" -newermt 2100-01-01; }
nothing_changed__git()
{
  after_first git
  measured git --git-dir="$peer/git/.git" --work-tree="$usr" status --short
}
nothing_changed__bup() { after_first bup && keep_bup measured; }
nothing_changed__rsync()
{
  after_first rsync
  measured rsync -an --delete "$usr/" "$peer/rsync/"
}
nothing_changed__restic() { after_first restic && keep_restic measured; }
nothing_changed__borg() { after_first borg && keep_borg measured; }
nothing_changed__aide()
{
  after_first aide
  accept="0 1 2 3 4 5 6 7"
  measured aide --check --config "$peer/aide/conf"
}

row_changed()
{
  prepare_usr
  made digests
  row floor-walk "0.1 % of the files changed"
  limit wall_s systracker 1.5 floor-walk 0 floor-content
  round=1
  for of_peer in $(peers_of_round "restic bup borg"); do after_first "$of_peer"; done
  in_turn "changes floor-walk floor-content systracker" "restic bup borg"
}
# No contestant: what each round begins with.
changed__changes()
{
  changes=$((${changes:-$(date +%s)} + 1))
  "$BENCH_PROGRAMS/corpus" change "$usr" "$changes" "$((entries / 1000))" >"$dir/changed"
}
# What is measured again would know them, but for others.
other_changes() { [ "$repeats_left" -ge 2 ] || changed__changes; }
changed__reads() { "$@" "$usr_root" "$stores/digests"; }
changed__floor_walk() { measured "$floor" walk "$usr"; }
changed__floor_content() { measured sh -c "'$floor' hash-list '$usr' <'$dir/changed'"; }
changed__systracker() { other_changes && digests checkpoint; }
changed__restic() { other_changes && keep_restic measured; }
changed__bup() { other_changes && keep_bup measured; }
changed__borg() { other_changes && keep_borg measured; }

# ---- A million files -----------------------------------------------------------------------------

million() { systracker_in million "$dir/million-root" "$@"; }
row_million()
{
  make_million
  mkdir -p "$stores"
  make_config "$dir/million.conf" /srv
  made million
  row floor-walk "nothing changed among 1,000,000 small files"
  limit wall_s systracker 1.1 floor-walk
  limit peak_mb systracker 0 "" 150
  in_turn "floor-walk systracker" "find"
}
# Of the files, names and inodes: nobody reads what is in them.
million__reads()
{
  quietly "$floor" walk "$dir/million-root/srv"
  "$@" "$stores/million"
}
million__floor_walk() { measured "$floor" walk "$dir/million-root/srv"; }
million__systracker() { million checkpoint; }
million__find() { measured find "$dir/million-root/srv" -newermt 2100-01-01; }

# ---- Nights of /etc ------------------------------------------------------------------------------

etc() { systracker_in etc "$etc_root" "$@"; }
etc_git() { quietly git --git-dir="$dir/etc.git" --work-tree="$etc_root/etc" "$@"; }
etc_git_night()
{
  etc_git add -A -f .
  etc_git commit -q --allow-empty -m night
}
bytes_of() { du -sb -- "$@" | awk '{ s += $1 } END { print s }'; }
growth_of()
{
  printf '{"row":"%s","who":"%s","round":"1","bytes":%s}\n' "$row" "$1" "$2" >>"$results"
}

etc_nights__reads() { "$@" "$etc_root/etc" "$stores/etc"; }
row_etc_nights()
{
  make_etc
  mkdir -p "$stores"
  rm -rf "${stores:?}/etc" "$dir/etc.git"
  make_config "$dir/etc.conf" /etc all
  row floor-walk "60 nights of /etc: time of a night, and growth of all"
  limit wall_s systracker 2 floor-walk 0.01
  limit bytes systracker 1 git-aggressive
  with=quietly
  etc checkpoint
  with=measured
  before=$(bytes_of "$stores/etc")
  if program git; then
    quietly git init -q --bare "$dir/etc.git"
    etc_git config core.bare false
    etc_git_night
    etc_git gc -q --aggressive --prune=now
    git_before=$(bytes_of "$dir/etc.git")
  fi
  round=1
  while [ "$round" -le 60 ]; do
    "$BENCH_PROGRAMS/corpus" night "$etc_root/etc" "$round"
    who=floor-walk
    measured "$floor" walk "$etc_root/etc"
    who=systracker
    etc checkpoint
    if program git; then etc_git_night; fi
    round=$((round + 1))
  done
  growth_of systracker "$(($(bytes_of "$stores/etc") - before))"
  if program git; then
    etc_git gc -q --aggressive --prune=now
    growth_of git-aggressive "$(($(bytes_of "$dir/etc.git") - git_before))"
  fi
}

# ---- Looking -------------------------------------------------------------------------------------

long() { systracker_in long "$etc_root" "$@"; }

# A chain of $checkpoints, each with what happens to an /etc in a day.
make_long()
{
  mark=$stores/long/made-$checkpoints
  make_config "$dir/long.conf" /etc all
  [ ! -e "$mark" ] || return 0
  note "bench: making $checkpoints checkpoints"
  mkdir -p "$stores"
  rm -rf "$stores/long"
  make_etc
  with=quietly
  night=1
  long checkpoint
  while [ "$night" -lt "$checkpoints" ]; do
    "$BENCH_PROGRAMS/corpus" night "$etc_root/etc" "$night"
    long checkpoint
    night=$((night + 1))
  done
  with=measured
  : >"$mark"
}

row_look()
{
  prepare_usr
  made digests
  make_long
  row "" "looking, at $checkpoints checkpoints of /etc; diff-usr: at two of /usr"
  for of in diff log cat diff-usr; do limit wall_s "$of" 0 "" 0.02; done
  in_turn "diff log cat diff-usr" ""
}
look__reads() { "$@" "$stores/long" "$stores/digests"; }
look__diff()
{
  accept="0 1"
  long diff "$((checkpoints * round / (runs + 1)))" "$((checkpoints * round / (runs + 1) + 1))"
}
look__log() { long log /etc/bench/history.log; }
look__cat() { long cat "$((checkpoints * round / (runs + 1)))" /etc/bench/history.log; }
look__diff_usr()
{
  accept="0 1"
  digests diff latest~1 latest
}

# ---- Packages ------------------------------------------------------------------------------------

# Read ten times over: starting a program is not what is measured.
row_packages()
{
  make_packages
  quietly "$BENCH_PROGRAMS/dpkg-floor" "$packages_root/var/lib/dpkg" 1
  row dpkg-floor "reading dpkg's database of 1,000 packages and 150,000 paths, ten times"
  limit wall_s dpkg_track 1.5 dpkg-floor
  limit wall_s unchanged 0.1 dpkg-floor
  in_turn "dpkg-floor dpkg_track unchanged" ""
}
packages__reads() { "$@" "$packages_root"; }
packages__dpkg_floor() { measured "$BENCH_PROGRAMS/dpkg-floor" "$packages_root/var/lib/dpkg" 10; }
packages__dpkg_track() { measured "$BENCH_PROGRAMS/dpkg-read" "$packages_root" 10; }
packages__unchanged() { measured "$BENCH_PROGRAMS/dpkg-read" "$packages_root" 10 unchanged; }

# ---- Restore -------------------------------------------------------------------------------------

prepare_restore()
{
  prepare_usr
  made content
  [ -e "$dir/usr.tar" ] || quietly tar -C "$usr_root" -cf "$dir/usr.tar" usr
}

row_restore()
{
  prepare_restore
  row cp "restore of all into an empty directory"
  limit wall_s systracker 1.25 "cp tar"
  round=1
  for of_peer in $(peers_of_round "rsync restic casync borg"); do after_first "$of_peer"; done
  in_turn "cp tar systracker" "rsync restic casync borg"
  rm -rf "${out:?}"
}
# Memory, where it has room: what is restored from cache and not synced would measure the disk, and
# ext4 looks for long for inodes that were not freed a minute ago, as those of the round before were.
empty()
{
  room=$(df --output=avail -B1 /dev/shm 2>/dev/null | sed 1d)
  out=$dir/out
  [ "${room:-0}" -le $((2 * bytes)) ] || out=/dev/shm/systracker-bench.$$
  rm -rf "$out"
  mkdir -m 700 "$out"
  sync
}
restore__reads() { "$@" "$usr" "$dir/usr.tar" "$stores/content"; }
restore__cp() { empty && measured cp -a "$usr" "$out"; }
restore__tar() { empty && measured tar -C "$out" -xpf "$dir/usr.tar"; }
restore__systracker()
{
  empty
  systracker_in content "$out" restore --checkpoint latest --yes --packages=none --no-undo
}
restore__rsync() { empty && measured rsync -a "$usr" "$out"; }
restore__restic() { empty && measured restic restore -q latest --target "$out"; }
restore__casync()
{
  empty
  measured casync extract --store="$peer/casync/store.castr" "$peer/casync/usr.caidx" "$out/usr"
}
restore__borg()
{
  empty
  measured sh -c "cd '$out' && borg extract ::\$(borg list --short --last 1)"
}

# Onto the disk, and durable: a restore syncs what it put, so the others are followed by a sync.  Each
# time onto a file system made for it, in a file of its own that is removed behind it: in one that
# was used, ext4 passes for a minute over each inode that was freed, which nobody should be measured by.
disk=$dir/disk.img
mounted=$dir/disk
row_restore_disk()
{
  prepare_restore
  trap leave_disk EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  if new_disk; then
    row cp "restore of all into an empty directory of a fresh disk, synced"
    limit wall_s systracker 1.25 "cp tar"
    in_turn "cp tar systracker" ""
  else
    disk_left_out="restore-disk was left out: it takes root, mkfs.ext4 and a loop device."
    note "bench: $disk_left_out"
  fi
  leave_disk
  trap - EXIT INT TERM HUP
}
leave_disk()
{
  ! mountpoint -q "$mounted" || umount "$mounted" || umount -l "$mounted"
  rm -f "$disk"
  rmdir "$mounted" 2>/dev/null || :
}
# All inodes and the journal are laid out now, not beside what is measured.
new_disk()
{
  leave_disk
  mkdir -p "$mounted"
  truncate -s "$((2 * bytes + (2 << 30)))" "$disk" &&
    mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$disk" >>"$log" 2>&1 &&
    mount -o loop "$disk" "$mounted" 2>>"$log" || return 1
  out=$mounted/out
  mkdir -m 700 "$out"
  sync
  restore__reads quietly "$floor" read
}
# shellcheck disable=SC2016 # for the inner shell
synced() { measured sh -c '"$@" && sync -f "$0"' "$out" "$@"; }
restore_disk__cp() { new_disk && synced cp -a "$usr" "$out"; }
restore_disk__tar() { new_disk && synced tar -C "$out" -xpf "$dir/usr.tar"; }
restore_disk__systracker()
{
  new_disk
  systracker_in content "$out" restore --checkpoint latest --yes --packages=none --no-undo
}
