# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# functions.sh - what the shell tests share; sourced first.  The makefile sets ST_STAGE and its kin.
#
# A test has a scratch folder $scratch with a root to track ($root), a store ($store) and a
# configuration ($config).  Nothing outside it is changed: what changes a root refuses any other.
set -eu
export LC_ALL=C.UTF-8 TZ=UTC PAGER=cat NO_COLOR=1
umask 022

: "${ST_SOURCE:?run the tests by make check}" "${ST_SYSTRACKER:?}" "${ST_STAGE:?}"

fail()
{
  printf 'FAIL: %s\n' "$*" >&2
  exit 1
}

# skip WHY: the reason is shown at the end of .ci/run.
skip()
{
  printf 'SKIP: %s\n' "$*"
  exit 77
}

need_root() { [ "$(id -u)" -eq 0 ] || skip "needs root: $*"; }
need_program() { command -v "$1" >/dev/null || skip "needs the program $1"; }

scratch=$(mktemp -d "${TMPDIR:-/tmp}/systracker-test.XXXXXX")
root=$scratch/root
store=$scratch/store
config=$scratch/systracker.conf
export scratch root store config

# at_end COMMAND: run before the scratch folder goes, last one first.
at_end_commands=:
at_end() { at_end_commands="$*; $at_end_commands"; }
clean_up()
{
  status=$?
  trap - EXIT
  eval "$at_end_commands" || :
  if [ -n "${KEEP:-}" ]; then
    echo "kept: $scratch"
  else
    rm -rf --one-file-system "$scratch" || :
  fi
  exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP INT TERM

# Before anything that changes a root: it has to lie in the scratch folder.
check_scratch()
{
  case $(realpath -m "$1") in
  "$(realpath "$scratch")"/?*) ;;
  *) fail "refused: $1 is not in the scratch folder" ;;
  esac
}

# The system of the test: a few accounts and files below $root.
make_root()
{
  check_scratch "$root"
  mkdir -p "$root/etc/app" "$root/etc/ssl/private" "$root/usr/local/bin" "$root/root" \
    "$root/opt" "$root/srv" "$root/var/lib/dpkg/info" "$root/var/spool/cron/crontabs"
  cat >"$root/etc/passwd" <<END
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
END
  cat >"$root/etc/group" <<END
root:x:0:
daemon:x:1:
shadow:x:42:
nogroup:x:65534:
END
  printf 'root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n' >"$root/etc/shadow"
  chmod 640 "$root/etc/shadow"
  printf 'first\nsecond\nthird\n' >"$root/etc/app/app.conf"
  printf 'colour=blue\n' >"$root/etc/app/other.conf"
  printf '#!/bin/sh\necho hello\n' >"$root/usr/local/bin/hello"
  chmod 755 "$root/usr/local/bin/hello"
  ln -s app.conf "$root/etc/app/current"
  printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
  printf 'Debian scratch\n' >"$root/etc/issue"
  packages 'hello 1.0-1' 'libfoo 2.3'
  # Older than any scan, so that what is unchanged is settled.
  find "$root" -exec touch -h -d '2024-03-01 12:00:00' {} +
}

# packages 'NAME VERSION'...: what the root's dpkg knows.
packages()
{
  : >"$root/var/lib/dpkg/status"
  for package in "$@"; do
    cat >>"$root/var/lib/dpkg/status" <<END
Package: ${package% *}
Status: install ok installed
Architecture: amd64
Version: ${package#* }
Description: ${package% *}

END
    printf '/.\n/usr\n/usr/share\n' >"$root/var/lib/dpkg/info/${package% *}.list"
  done
}

# The configuration of the test; a test appends what else it wants.
make_config()
{
  cat >"$config" <<END
store = "$store"
log = "$scratch/log"
min_free = "1M"
plugin standard_track { track = { "/etc", "/usr", "/opt", "/root", "/srv", "/var/spool/cron" } }
plugin checksum_track { track = { "/etc", "/usr", "/opt", "/root", "/srv", "/var/spool/cron" } }
plugin config_track {
  track = { "/etc", "/usr/local", "/opt", "/root", "/srv", "/var/spool/cron" }
  secret = { "/etc/shadow*", "/etc/ssl/private/**" }
  max_size = "4M"
}
plugin dpkg_track { }
secret "/etc/shadow*" { reason = "password hashes" }
secret "/etc/ssl/private/**" { reason = "private keys" }
END
}

# no_secret ARCHIVE STORE CONTENT-FILE CANARY PLAIN-FILE: the canary, a word of the content, and the
# content's SHA-256, in hexadecimal and raw, are nowhere in the archive, as it lies there and with
# everything in it decompressed.  By the same look the canary is found with STORE's key, and what
# the archive has of a plain file: or it would prove nothing.
raw_digest() { sha256sum <"$1" | cut -c1-64 | sed 's/../\\x&/g'; }
no_secret()
{
  digest=$(sha256sum <"$3" | cut -c1-64)
  raw=$(raw_digest "$3")
  "$ST_BUILD/tests/dump-archive" "$1" >"$scratch/dump" || fail "cannot dump $1"
  [ "$(wc -c <"$scratch/dump")" -gt 1000 ] || fail "the dump of $1 is nearly empty"
  for place in "$1" "$scratch/dump"; do
    ! grep -raqF -e "$4" -e "$digest" "$place" || fail "a secret, or its digest, is in $place"
    ! LC_ALL=C grep -raqP "$raw" "$place" || fail "a secret's raw digest is in $place"
  done
  LC_ALL=C grep -aqP "$(raw_digest "$5")" "$scratch/dump" || fail "the digest of $5 is not found"
  "$ST_BUILD/tests/dump-archive" "$1" "$2" | grep -aqF "$4" ||
    fail "with the key the secret is not found either"
  rm "$scratch/dump"
}

# soon COMMAND...: waits until it is so, for some minutes at most: a machine may have much else to do.
soon()
{
  for _ in $(seq 1800); do
    ! "$@" || return 0
    sleep 0.1
  done
  return 1
}

# free_ports: $ports is the first of ten TCP ports of this test's own, whatever else runs beside it:
# nobody listens there, no other test gets them, and the kernel gives them to no client.
free_ports()
{
  from=$$
  for _ in $(seq 1000); do
    from=$(((from + 1) % 1000))
    ports=$((20000 + 10 * from))
    mkdir "/tmp/systracker-ports.$ports" 2>/dev/null || continue
    at_end "rmdir '/tmp/systracker-ports.$ports'"
    for n in 0 1 2 3 4 5 6 7 8 9; do
      printf ': [0-9A-F]+:%04X [0-9A-F]+:0+ 0A \n' $((ports + n))
    done >"$scratch/listened"
    grep -qEf "$scratch/listened" /proc/net/tcp /proc/net/tcp6 2>/dev/null || return 0
  done
  fail "no ports are free"
}

# hold FILE: its lock is held from then on, by a process of ours, until let_go.
hold()
{
  sh -c 'flock 8 && exec sleep 3600' 8>>"$1" >/dev/null 2>&1 &
  holder=$!
  at_end let_go
  soon held "$1" || fail "$1 cannot be locked"
}
held() { ! flock -n "$1" true; }
let_go()
{
  [ -n "${holder:-}" ] || return 0
  kill "$holder"
  wait "$holder" 2>/dev/null || :
  holder=
}

# killed_after SECONDS PROGRAM OPTION...: by SIGKILL, unless it ended before; and it is gone.
killed_after()
{
  seconds=$1
  shift
  "$@" >"$scratch/killed.out" 2>&1 &
  killed=$!
  sleep "$seconds"
  kill -KILL "$killed" 2>/dev/null || :
  wait "$killed" 2>/dev/null || :
}

# gone STORE: waits until a program that was killed has let the lock go.
gone() { [ ! -e "$1/lock" ] || flock "$1/lock" true; }

# copy_store FROM TO: a store or an archive; whoever goes on with a copy makes the same system calls
# each time.  That its index is whole is noted where it has settled (systracker/store/checked.h), so
# where copying took long enough: one that is from tomorrow never has.
copy_store()
{
  cp -a "$1" "$2"
  find "$2" -name objects.db -exec touch -d tomorrow {} +
}

# The staged program on the scratch root; whatever else is given stands behind.
systracker()
{
  "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" "$@"
}

# expect_status N COMMAND...: its output goes to $scratch/out and $scratch/err, and is shown.
out=$scratch/out
err=$scratch/err
expect_status()
{
  expected=$1
  shift
  status=0
  "$@" >"$out" 2>"$err" </dev/null || status=$?
  printf '+ %s\n' "$*"
  cat -v "$out" "$err"
  [ "$status" -eq "$expected" ] || fail "status $status instead of $expected: $*"
}

# contains FILE PATTERN..., lacks FILE PATTERN...: extended regular expressions, per line.
contains()
{
  file=$1
  shift
  for pattern in "$@"; do
    grep -aqE -e "$pattern" "$file" || fail "no line like: $pattern (in ${file##*/})"
  done
}
lacks()
{
  file=$1
  shift
  for pattern in "$@"; do
    ! grep -anE -e "$pattern" "$file" || fail "there is a line like: $pattern (in ${file##*/})"
  done
}

# one_line FILE: an error is one line, "systracker: what failed: why".
one_error()
{
  [ "$(wc -l <"$err")" -eq 1 ] || fail "more or less than one line on standard error"
  contains "$err" '^systracker: .'
  for pattern in "$@"; do contains "$err" "$pattern"; done
}

# sql STATEMENT: asks the host's catalog (there is one host).
sql() { sqlite3 "$(echo "$store"/hosts/*/catalog.db)" "$1"; }

# manifest FILE [FOLDER...]: what is in the folders of the root, seen without SysTracker: type,
# mode, owner, size, link target, time of change, digest; null-terminated, in order of paths.
# Directories' sizes and times are left out: they are not facts.  full_manifest has them.
manifest() { list_root "$1" '%p d %m %U:%G' "$@"; }
full_manifest() { list_root "$1" '%p d %m %U:%G %s %T@' "$@"; }
list_root()
{
  list=$1 directory=$2
  shift 3
  (
    cd "$root"
    find "${@:-.}" \( -type d -printf "$directory\\0" \) -o \
      -printf '%p %y %m %U:%G %s %T@ -> %l\0' | sort -z
    find "${@:-.}" -type f -print0 | sort -z | xargs -0r sha256sum -z
  ) >"$list"
}

# build_plugin NAME: tests/fixtures/NAME.c, against the installed header alone, in a folder of
# plug-ins that the program then uses.
build_plugin()
{
  need_program "${ST_CC%% *}"
  installed=$(dirname "$(find "$ST_STAGE" -name standard_track.so)")
  mkdir -p "$scratch/plugins"
  ln -sf "$installed"/*.so "$scratch/plugins/"
  $ST_CC -Wall -Wextra -Werror -shared -fPIC "-I$ST_INCLUDEDIR" -o "$scratch/plugins/$1.so" \
    "$ST_SOURCE/tests/fixtures/$1.c"
  export SYSTRACKER_PLUGINDIR="$scratch/plugins"
}

# flip FILE OFFSET: inverts one byte.
flip()
{
  check_scratch "$1"
  byte=$(od -An -tu1 -j "$2" -N 1 "$1")
  # shellcheck disable=SC2059
  printf "\\$(printf %03o $((byte ^ 255)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
