#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# README's dead disk, as written there: on a Debian system with what make install installs, then,
# when that is gone, on a fresh one; each program runs in the system that it works on.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"

# block MARK: the commands of README behind that mark.
block()
{
  awk -v mark="<!-- $1: " 'index($0, mark) { on = 1; next } on && /^```$/ { exit } on && !/^```/' \
    "$ST_SOURCE/README.md" >"$scratch/commands"
  [ "$(wc -l <"$scratch/commands")" -ge "$2" ] || fail "README has no lines on: $1"
}

# As root of the system, which is a mount as a system's root is, with the archive and the safe place
# mounted; no network.
# shellcheck disable=SC2016
on_host() { unshare -n -m sh -c '
  mount --bind "$1" "$1" &&
  mount --bind "$0/archive.disk" "$1/mnt/archive" && mount --bind "$0/safe" "$1/mnt/safe" &&
  mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" &&
  exec chroot "$1" /usr/bin/env -i LC_ALL=C HOME=/root \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh -c "$2"' \
  "$scratch" "$root" "$1" </dev/null; }

# run_block: line by line; 1 is an answer of coverage and of no other.
run_block()
{
  while read -r command; do
    status=0
    on_host "$command" >"$out" 2>"$err" || status=$?
    printf '$ %s\n[%s]\n' "$command" "$status"
    cat -v "$out" "$err"
    case $status:$command in
    0:* | 1:systracker\ coverage*) ;;
    *) fail "README's command ended with $status: $command" ;;
    esac
    told "$command"
  done <"$scratch/commands"
}
told()
{
  case $1 in
  'systracker coverage') contains "$out" "." ;;
  'systracker-archive hosts '*) contains "$out" '[0-9a-f]{8}' ;;
  *--dry-run) [ -e "$root/usr/bin/hello" ] && fail "the dry run installed something" ;;
  esac
  return 0
}

new_system()
{
  make_debian
  mkdir -p "$root/mnt/archive" "$root/mnt/safe"
  install_systracker
}
look()
{
  manifest "$1.all" etc usr opt root boot srv
  tr '\n\0' '\001\n' <"$1.all" | grep -av -e '__pycache__' -e 'etc/ld\.so\.cache ' >"$1"
  # shellcheck disable=SC2016
  in_root dpkg-query -W -f '${db:Status-Abbrev} ${binary:Package} ${Version}\n' >>"$1"
}

mkdir "$scratch/archive.disk" "$scratch/safe"
new_system
# shellcheck disable=SC2086
install_in_root $first_packages
echo 'our own' >"$root/etc/ours.conf"
printf 'root:canary-of-the-disk:19000:0:99999:7:::\n' >"$scratch/shadow"
sed 1d "$root/etc/shadow" >>"$scratch/shadow"
cat "$scratch/shadow" >"$root/etc/shadow"
look "$scratch/lost"
block 'before the disk dies' 4
run_block

rm -rf --one-file-system "$root"
new_system
cmp -s "$scratch/shadow" "$root/etc/shadow" && fail "the fresh system is the lost one"
block 'a dead disk' 4
run_block
look "$scratch/back"
[ "$(wc -l <"$scratch/back")" -gt 2000 ] || fail "the comparison saw too little"
diff "$scratch/lost" "$scratch/back" >"$scratch/difference" ||
  { head -n 40 "$scratch/difference"; fail "it is not as it was"; }
