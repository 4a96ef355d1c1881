# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# corpora.sh - what is measured on, each made once; see corpus.c.  Sourced by bench.sh.
# shellcheck disable=SC2034,SC2154 # variables are shared with bench.sh
: "${dir:?}" "${entries:?}" "${bytes:?}"

floor=$BENCH_PROGRAMS/floor
usr_root=$dir/usr-root
usr=$usr_root/usr
etc_root=$dir/etc-root

# A root to track needs names of accounts and, of dpkg's database, what is read of it.
make_accounts()
{
  mkdir -p "$1/etc"
  cp /etc/passwd /etc/group "$1/etc"
  : >"$1/BENCH-SCRATCH"
}

copy_selected()
{
  mkdir -p "$2"
  tar -C /usr --null --no-recursion --verbatim-files-from -T "$1" -c | tar -C "$2" -xp
}

# A copy of /usr of so many entries; parts of it twice where it has fewer.
make_usr()
{
  mark=$usr_root/made-$entries-$bytes
  [ ! -e "$mark" ] || return 0
  note "bench: copying $entries entries of /usr"
  rm -rf "$usr_root" "$dir/stores"
  mkdir -p "$usr"
  make_accounts "$usr_root"
  if [ -d /var/lib/dpkg/info ]; then
    mkdir -p "$usr_root/var/lib/dpkg"
    for part in status info diversions statoverride alternatives arch; do
      [ ! -e "/var/lib/dpkg/$part" ] || cp -a "/var/lib/dpkg/$part" "$usr_root/var/lib/dpkg"
    done
  fi
  have=0
  copy=1
  while [ "$have" -lt "$entries" ]; do
    "$BENCH_PROGRAMS/corpus" select /usr "$((entries - have))" "$bytes" >"$dir/list"
    [ "$copy" -eq 1 ] && to=$usr || to=$usr/copy-$copy
    copy_selected "$dir/list" "$to"
    copy=$((copy + 1))
    have=$(find "$usr" -mindepth 1 -printf x | wc -c)
    [ "$have" -gt 0 ] || { note "bench: /usr has nothing to copy"; exit 2; }
  done
  rm "$dir/list"
  sync
  : >"$mark"
}

# A copy of /etc without its secrets, as it was before the first night.
make_etc()
{
  rm -rf "$etc_root"
  make_accounts "$etc_root"
  tar -C /etc --exclude=./shadow* --exclude=./gshadow* --exclude=./ssl/private \
    --exclude=./ssh/ssh_host_* --exclude=*.key --ignore-failed-read -c . 2>>"$log" |
    tar -C "$etc_root/etc" -xp
}

make_million()
{
  million_root=$dir/million-root
  [ ! -e "$million_root/made" ] || return 0
  note "bench: making a million files"
  rm -rf "$million_root"
  mkdir -p "$million_root/srv"
  make_accounts "$million_root"
  "$BENCH_PROGRAMS/corpus" small "$million_root/srv" 1000000
  sync
  : >"$million_root/made"
}

# The cache is warm: all of it was read just before.
warm() { quietly "$floor" hash "$1"; }
