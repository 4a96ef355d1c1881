#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# make quickstart: a first look, on a scratch copy of this system's configuration.  It prints each
# command as one would type it, and leaves nothing behind.
. "$ST_SOURCE/tests/functions.sh"

say() { printf '\n# %s\n' "$*"; }
# prompt COMMAND...: as one would type it.
prompt()
{
  printf '$'
  for word in "$@"; do
    case $word in
    *[!A-Za-z0-9/._=+-]*) printf " '%s'" "$word" ;;
    *) printf ' %s' "$word" ;;
    esac
  done
  echo
}
# typed N COMMAND...: shown, then run; N is the exit status that it has to have.
typed()
{
  wanted=$1
  shift
  prompt "$@"
  status=0
  "$@" </dev/null || status=$?
  [ "$status" -eq "$wanted" ] || fail "status $status instead of $wanted: $*"
}
show()
{
  prompt "$@"
  "$@"
}

cd "$scratch"
say "A copy of this system's configuration, below $root"
mkdir -p root/var/lib/dpkg/info root/usr/local root/root root/opt root/srv root/var/spool/cron
# What this user may not read is left out of the copy.
cp -a /etc root/ 2>/dev/null || :
[ -e root/etc/hosts ] || echo '127.0.0.1 localhost' >root/etc/hosts
[ -e root/etc/profile ] || echo "umask 022" >root/etc/profile
echo 'some release' >root/etc/systracker-release
chmod 644 root/etc/systracker-release
[ ! -e /var/lib/dpkg/status ] || cp -a /var/lib/dpkg/status root/var/lib/dpkg/
make_config
echo "$(find root/etc -type f | wc -l) files.  For \"systracker\" read:"
echo "systracker --config $config --root $root --store $store"

say "The baseline; then one in which nothing changed, which costs one row"
typed 0 systracker checkpoint -m "as copied"
typed 0 systracker checkpoint

say "Somebody edits, closes and deletes"
show cd root/etc
# shellcheck disable=SC2016
show sed -i '$a 127.0.0.2 build' hosts
show chmod 600 systracker-release
show rm profile
cd "$scratch"

say "What differs now from the latest checkpoint"
typed 1 systracker status
say "The same, line by line"
typed 1 systracker diff
say "Kept as a checkpoint, with a name"
typed 0 systracker checkpoint -m "a name for the build host" --tag build
typed 0 systracker log

say "One file as it was at the baseline; first only what would be done"
typed 0 systracker restore --checkpoint baseline --dry-run -- /etc/hosts
typed 0 systracker restore --checkpoint baseline --yes -- /etc/hosts
typed 1 systracker diff build -- /etc/hosts
say "And that undone"
typed 0 systracker undo --yes
typed 0 systracker diff build
say "Everything proved: each object, each fact, the chain of signed headers"
typed 0 systracker verify
show du -sh "$store"

say "Done; the scratch copy is removed."
echo "Read on: README.md (a first day), doc/architecture.md, doc/threats.md;"
echo "  man -l $(realpath "$ST_SOURCE")/systracker/commands/systracker.8"
