# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# archived.sh - an archive in a folder, and hosts that send to it, each with a root and a store of its
# own; sourced behind functions.sh.
# shellcheck disable=SC2034 # who sources it uses them
archive=${scratch:?}/archive
systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }

# as HOST COMMAND...: on the root and the store of that one.
as()
{
  root=$scratch/root-$1 store=$scratch/store-$1
  shift
  "$@"
}

# make_host NAME: by `as`.
make_host()
{
  make_root
  make_config
  printf '%s\n' "$1" >"$root/etc/hostname"
}

# changes HOST N SIZE: of a night: files that come, go and change, one of them random bytes.
changes()
{
  echo "revision $2 of $1" >>"$scratch/root-$1/etc/app/app.conf"
  echo "only $1 $2" >"$scratch/root-$1/srv/only-$2"
  rm -f "$scratch/root-$1/srv/only-$(($2 - 1))"
  head -c "$3" /dev/urandom >"$scratch/root-$1/opt/big"
}

# night HOST N SIZE: changed, recorded and sent.
night()
{
  changes "$1" "$2" "$3"
  as "$1" systracker --quiet checkpoint
  as "$1" systracker --quiet sync "$archive"
}
