#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Accounts that have other ids than at the checkpoint: theirs win, and every inode that carries one
# is moved along, tracked or not, by any kill at most once; and undo gives each back its own.
. "$ST_SOURCE/tests/functions.sh"
need_root "owners"
need_program jq
need_program setcap
need_program setfacl
need_program taskset
processor=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')

make_root
make_config
kills=${ST_KILLS:-12}

# accounts WHICH: then, two users and groups as they were; now, two have each other's ids, three went
# round, and one that is here alone has the id of somebody of then.
accounts()
{
  case $1 in
  then)
    ids='games:5:60 man:6:12 one:201:201 two:202:202 three:203:203 bar:105:105 moved:300:300' ;;
  now)
    ids='games:6:60 man:5:12 one:202:202 two:203:203 three:201:201 foo:105:105 moved:1300:300' ;;
  esac
  {
    echo 'root:x:0:0:root:/root:/bin/sh'
    for id in $ids; do
      name=${id%%:*} rest=${id#*:}
      echo "$name:x:${rest%:*}:${rest#*:}::/home/$name:/bin/sh"
    done
    echo 'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin'
  } >"$root/etc/passwd"
  {
    echo 'root:x:0:'
    for id in $ids; do echo "${id%%:*}:x:${id##*:}:"; done
    case $1 in then) echo 'shadow:x:42:' ;; now) echo 'shadow:x:43:' ;; esac
    echo 'nogroup:x:65534:'
  } >"$root/etc/group"
  {
    echo 'root:*:19000:0:99999:7:::'
    for id in $ids; do echo "${id%%:*}:*:19000:0:99999:7:::"; done
  } >"$root/etc/shadow"
  chmod 640 "$root/etc/shadow"
  case $1 in then) chown 0:42 "$root/etc/shadow" ;; now) chown 0:43 "$root/etc/shadow" ;; esac
}

# files GAMES MAN ONE TWO THREE MOVED SHADOW: one tree, of these ids; what lies outside of what is
# tracked is told by `look`, too.
files()
{
  for user in games man one two three moved; do
    case $user in
    games) id=$1 gid=60 ;; man) id=$2 gid=12 ;; one) id=$3 gid=$3 ;; two) id=$4 gid=$4 ;;
    three) id=$5 gid=$5 ;; moved) id=$6 gid=300 ;;
    esac
    mkdir -p "$root/home/$user/deep/er" "$root/var/lib/$user" "$root/srv/$user"
    for n in 1 2 3 4 5 6 7 8; do echo "$user $n" >"$root/var/lib/$user/f$n"; done
    echo "$user" >"$root/srv/$user/file"
    ln -sf "/nowhere/$user" "$root/home/$user/link"
    ln -sf f1 "$root/var/lib/$user/link"
    ln -f "$root/var/lib/$user/f1" "$root/home/$user/hard"
    mkfifo "$root/home/$user/fifo"
    echo program >"$root/home/$user/deep/er/suid"
    echo program >"$root/home/$user/deep/able"
    chown -hR "$id:$gid" "$root/home/$user" "$root/var/lib/$user" "$root/srv/$user"
    chmod 6755 "$root/home/$user/deep/er/suid"
    chmod 3770 "$root/home/$user/deep"
    setcap cap_net_raw+ep "$root/home/$user/deep/able"
    setfacl -m "u:$1:r,u:$2:rw,g:$3:x" "$root/var/lib/$user/f2"
    setfacl -d -m "u:$4:rx" "$root/var/lib/$user"
  done
  mkdir -p "$root/var/cache/man"
  echo root >"$root/var/cache/man/of-root"
  chown "$2:12" "$root/var/cache/man"
  echo mixed >"$root/var/cache/mixed"
  chown "$1:$7" "$root/var/cache/mixed"
  find "$root/srv" -exec touch -h -d '2024-03-01 12:00:00' {} +
  find "$root/home" "$root/var/lib" "$root/var/cache" -depth -exec touch -h -d '2024-04-01 12:00:00' {} +
}

# look FILE: all of it, by numbers, with capabilities and ACLs.
look()
{
  (
    cd "$root"
    find . -printf '%p %y %m %U:%G %T@ %n -> %l\0' | sort -z | tr '\n\0' '\001\n'
    find . -type f -print0 | sort -z | xargs -0r sha256sum
    getcap -r . | sort
    getfacl -Rpnts . | grep -v '^$'
  ) >"$1" 2>"$scratch/look.log"
}

owner() { stat -c '%u:%g' "$root/$1"; }
same() # FILE WHAT
{
  look "$scratch/looked"
  diff "$scratch/$1" "$scratch/looked" >"$scratch/difference" ||
    { head -n 40 "$scratch/difference"; fail "not as $1: $2"; }
  [ -z "$(find "$root" -name '.systracker-*')" ] || fail "a file beside was left: $2"
}

# ---- Then.
accounts 'then'
files 5 6 201 202 203 300 42
find "$root/etc" -exec touch -h -d '2024-03-01 12:00:00' {} +
expect_status 0 systracker checkpoint
manifest "$scratch/tracked.1" etc usr opt root srv

# ---- Now: the same, on a machine that gave other ids; its orphans, and an account of its own.
rm -rf "${root:?}/home" "$root/var/lib/games" "$root/var/lib/man" "$root/srv"
accounts now
files 6 5 202 203 201 1300 43
mkdir -p "$root/var/lib/foo" "$root/home/orphan"
echo foo >"$root/var/lib/foo/file"
chown -R 105:105 "$root/var/lib/foo"
chmod 4755 "$root/var/lib/foo/file"
echo orphan >"$root/home/orphan/of-moved"
chown 300:300 "$root/home/orphan/of-moved" # of an id that others move to: stays
touch -d '2024-04-02 12:00:00' "$root/home/orphan/of-moved" "$root/var/lib/foo/file"
look "$scratch/before"

# The plan says it, and changes nothing.
expect_status 0 systracker restore --checkpoint 1 --exact --dry-run
contains "$out" '^accounts: .*games 6 → 5, man 5 → 6.* foo 105 → 999 .bar has its id then.' \
  'group shadow 43 → 42' '; [0-9]+ inodes to move$' '^then, planned again when the accounts are there'
lacks "$out" '/srv/games'
expect_status 0 systracker restore --checkpoint 1 --exact --dry-run --json
jq -es 'map(select(.action == "accounts")) | length == 1 and .[0].inodes > 100 and
  (.[0].ids | map(select(.name == "foo" and .kind == "user" and .after == 999 and .taken_by == "bar"))
    | length == 1)' "$out" >"$scratch/jq" || fail "the JSON of the accounts"
same before "a dry run"

# ---- There.
expect_status 0 systracker restore --checkpoint 1 --exact
expect_status 0 systracker status
manifest "$scratch/now" etc usr opt root srv
cmp "$scratch/tracked.1" "$scratch/now" || fail "what is tracked is not as it was"
# shellcheck disable=SC2015
[ "$(owner home/games/deep/er/suid)" = 5:60 ] && [ "$(owner home/man/link)" = 6:12 ] &&
  [ "$(owner var/cache/man)" = 6:12 ] && [ "$(owner home/one/fifo)" = 201:201 ] &&
  [ "$(owner var/lib/two/link)" = 202:202 ] && [ "$(owner home/three/hard)" = 203:203 ] &&
  [ "$(owner home/moved/deep)" = 300:300 ] && [ "$(owner home/orphan/of-moved)" = 300:300 ] &&
  [ "$(owner var/lib/foo/file)" = 999:999 ] && [ "$(owner var/cache/mixed)" = 5:42 ] &&
  [ "$(owner etc/shadow)" = 0:42 ] || { cat "$scratch/difference"; fail "an inode was not moved along"; }
# shellcheck disable=SC2015
[ "$(stat -c %a "$root/home/games/deep/er/suid")" = 6755 ] &&
  [ "$(stat -c %a "$root/var/lib/foo/file")" = 4755 ] || fail "setuid was dropped"
getcap "$root/home/games/deep/able" | grep -q cap_net_raw || fail "a capability was dropped"
getfacl -pn "$root/var/lib/man/f2" >"$scratch/acl"
contains "$scratch/acl" '^user:5:r--' '^user:6:rw-' '^group:201:--x'
expect_status 0 systracker restore --checkpoint 1 --exact
contains "$out" '^nothing to restore$'
expect_status 0 systracker restore --status
contains "$out" 'accounts: verified, [0-9]+ inodes'
look "$scratch/after"

# ---- And back, there again, and back: owner for owner.
expect_status 0 systracker undo --dry-run
contains "$out" 'games 5 → 6'
same after "undo's dry run"
expect_status 0 systracker undo
same before "undone"
expect_status 0 systracker undo
same after "undone, and undone again"
# What came since moves by its id.
echo new >"$root/home/games/new"
chown 5:60 "$root/home/games/new"
expect_status 0 systracker undo
[ "$(owner home/games/new)" = 6:60 ] || fail "what came since was not moved back"
rm "$root/home/games/new"
touch -h -d '2024-04-01 12:00:00' "$root/home/games"
same before "undone with something new"

# Paths that are not of accounts move nobody, and get owners by name.
rm "$root/srv/games/file"
touch -h -d '2024-03-01 12:00:00' "$root/srv/games"
expect_status 0 systracker restore --checkpoint 1 -- /srv/games/file
lacks "$out" '^accounts:'
[ "$(owner srv/games/file)" = 6:60 ] || fail "an owner that is known by name: $(owner srv/games/file)"
expect_status 0 systracker undo
echo games >"$root/srv/games/file"
chown 6:60 "$root/srv/games/file"
touch -d '2024-03-01 12:00:00' "$root/srv/games/file" "$root/srv/games"
same before "a single path"

# Those of accounts alone move them, and what else differs stays.
echo other >"$root/usr/local/bin/hello"
expect_status 0 systracker restore --checkpoint 1 -- /etc/passwd /etc/group /etc/shadow
[ "$(cat "$root/usr/local/bin/hello")" = other ] || fail "more than the paths was put back"
# shellcheck disable=SC2015
[ "$(owner home/games/link)" = 5:60 ] && [ "$(owner srv/man/file)" = 6:12 ] || fail "not moved along"
expect_status 0 systracker undo
[ "$(cat "$root/usr/local/bin/hello")" = other ] || fail "more than the paths was undone"
printf '#!/bin/sh\necho hello\n' >"$root/usr/local/bin/hello"
touch -d '2024-03-01 12:00:00' "$root/usr/local/bin/hello"
same before "paths of accounts"

# What cannot be changed but for its flags.
if command -v chattr >/dev/null && chattr +i "$root/home/games/hard" 2>"$scratch/chattr"; then
  at_end "chattr -i '$root/home/games/hard' 2>/dev/null"
  expect_status 0 systracker restore --checkpoint 1 --exact
  [ "$(owner home/games/hard)" = 5:60 ] || fail "an immutable file was not moved along"
  lsattr "$root/home/games/hard" | grep -q '^....i' || fail "it is not immutable any more"
  expect_status 0 systracker undo
  chattr -i "$root/home/games/hard"
  same before "immutable"
else
  echo "immutable files: left out, chattr does not work here"
fi

# Other file systems: those that can be written are looked through, others are named.
mkdir -p "$root/mnt/own" "$root/mnt/read-only"
if mount -t tmpfs none "$root/mnt/own" 2>"$scratch/mount"; then
  at_end "umount '$root/mnt/own' 2>/dev/null"
  echo there >"$root/mnt/own/file" && chown 6:60 "$root/mnt/own/file"
  mount -t tmpfs none "$root/mnt/read-only"
  at_end "umount '$root/mnt/read-only' 2>/dev/null"
  echo there >"$root/mnt/read-only/file" && chown 6:60 "$root/mnt/read-only/file"
  mount -o remount,ro "$root/mnt/read-only"
  mkdir "$scratch/outside" "$root/mnt/outside"
  mount -t tmpfs none "$scratch/outside"
  at_end "umount '$scratch/outside' 2>/dev/null"
  echo there >"$scratch/outside/file" && chown 6:60 "$scratch/outside/file"
  mount --bind "$scratch/outside" "$root/mnt/outside"
  at_end "umount '$root/mnt/outside' 2>/dev/null"
  expect_status 0 systracker restore --checkpoint 1 --exact
  contains "$out" 'not looked at for what to move: .*/mnt/read-only .mounted read-only' \
    '/mnt/outside .mounted outside of the root, too'
  # shellcheck disable=SC2015
  [ "$(owner mnt/own/file)" = 5:60 ] && [ "$(owner mnt/read-only/file)" = 6:60 ] || fail "mounts"
  [ "$(stat -c %u "$scratch/outside/file")" = 6 ] || fail "an inode of another system was moved"
  expect_status 0 systracker undo
  [ "$(owner mnt/own/file)" = 6:60 ] || fail "a mount was not undone"
  umount "$root/mnt/own" "$root/mnt/read-only" "$root/mnt/outside" "$scratch/outside"
else
  echo "mounts: left out, none can be made here"
fi
rm -r "${root:?}/mnt"
touch -h -d '2024-03-01 12:00:00' "$root"

# With entries of moved owners that differ, are new, and are gone.
echo changed >>"$root/srv/games/file"
mkdir "$root/srv/foo"
echo new >"$root/srv/foo/new"
chown -R 105:105 "$root/srv/foo"
rm "$root/srv/two/file"
look "$scratch/before"
expect_status 0 systracker restore --checkpoint 1 --exact
look "$scratch/after"
expect_status 0 systracker undo

# ---- Killed at any moment.
if ! command -v strace >/dev/null || ! strace -o /dev/null true 2>"$scratch/strace"; then
  echo "kills: left out, as there is no strace that works here"
  exit 0
fi
restore=$(find "$ST_STAGE" -name systracker-restore -perm -100 -type f)
undo=$(find "$ST_STAGE" -name systracker-undo)
# traced STRACE-OPTION... -- PROGRAM OPTION...
traced()
{
  options=
  while [ "$1" != -- ]; do
    options="$options $1"
    shift
  done
  shift
  program=$1
  shift
  # On one processor, so that all that is counted is done by one thread.
  # shellcheck disable=SC2086
  ASAN_OPTIONS=detect_leaks=0 taskset -c "$processor" strace -qq -o "$scratch/trace" $options "$program" \
    --config "$config" --root "$root" --store "$store" --yes "$@" >"$scratch/killed" 2>&1 </dev/null
}
there() { traced "$@" -- "$restore" --checkpoint 1 --exact; }
back() { traced "$@" -- "$undo"; }
quietly() { systracker "$@" >"$scratch/log.1" 2>&1 || { cat "$scratch/log.1"; fail "$*: $at of $call"; }; }

again() # the store as it was, the root being so already
{
  rm -rf "$store"
  copy_store "$scratch/store.before" "$store"
}

# From one state to the other and killed on the way: gone on with, or gone back, to exactly what is
# there or was before.
done=0
calls=${ST_CALLS:-fchownat chmod setxattr renameat unlinkat fsync fdatasync syncfs pwrite64 write}
killed() # DIRECTION FROM TO
{
  direction=$1 from=$2 to=$3
  rm -rf "$scratch/store.before"
  cp -a "$store" "$scratch/store.before"
  journals=$(systracker restore --status | wc -l)
  for call in $calls; do
    again
    $direction -e "trace=$call" || { cat "$scratch/killed"; fail "the counted run: $direction"; }
    count=$(grep -c '(' "$scratch/trace") || :
    at=all
    same "$to" "counted $call"
    quietly undo
    step=$((1 + count / kills)) at=1
    while [ "$at" -le "$count" ]; do
      again
      status=0
      $direction -e "trace=$call" -e "inject=$call:signal=KILL:when=$at" || status=$?
      [ "$status" -eq 137 ] || fail "$direction: not killed at $at of $call: $status"
      systracker restore --status >"$scratch/status"
      if [ "$(wc -l <"$scratch/status")" -gt "$journals" ]; then gone_on; fi
      same "$from" "undone: $direction at $at of $call; $(tail -n 2 "$scratch/status" | tr '\n' ';')"
      at=$((at + step))
    done
    echo "$direction: $count of $call"
  done
}
gone_on()
{
  # Entries that are planned and no more belong to accounts that are there.
  if tail -n 2 "$scratch/status" | tr '\n' ';' | grep -qE 'applying|accounts: applied.*planned'; then
    done=$((done + 1))
    if [ $((done % 2)) -eq 1 ]; then
      [ $((done % 3)) -ne 0 ] || quietly checkpoint
      quietly restore --resume
      same "$to" "resumed: $direction at $at of $call"
    fi
    quietly undo
  elif ! tail -n 1 "$scratch/status" | grep -q planned; then
    quietly undo
  fi
}
killed there before after
expect_status 0 systracker restore --checkpoint 1 --exact
killed back after before
echo "$done kills in the midst"
[ "$done" -ge 60 ] || [ -n "${ST_CALLS:-}" ] || fail "only $done kills took place in the midst"
