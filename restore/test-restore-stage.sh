#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Directories that are made anew are made ready as trees beside: all that may lie in them, damage,
# kills, a full disk, a signal.
. "$ST_SOURCE/tests/functions.sh"
need_root "owners and device nodes"
need_program sqlite3

make_root
make_config
sed -i 's/max_size = "4M"/max_size = "64M"/' "$config"
tree=$root/etc/tree
mkdir -p "$tree/deep/er" "$tree/empty" "$tree/open" "$root/etc/tree2/in" "$root/srv/new"
for n in 1 2 3 4 5 6; do
  seq "$n" 60 | sha256sum >"$tree/f$n"
  seq "$n" 70 | sha256sum >"$tree/deep/er/f$n"
  seq "$n" 80 | sha256sum >"$root/etc/tree2/in/f$n"
done
: >"$tree/nothing"
ln -s ../f1 "$tree/deep/link"
ln "$tree/f1" "$tree/deep/hard"
mkfifo "$tree/fifo"
mknod "$tree/null" c 1 3
cp "$tree/f2" "$tree/suid" && chown 1:42 "$tree/suid" && chmod 6755 "$tree/suid"
echo 'bob:x:1234:1234::/home/bob:/bin/sh' >>"$root/etc/passwd"
chown 1234 "$tree/f3"
mkdir -p "$tree/modes/above/below" && mkdir -m 2755 "$tree/modes/setgid"
mkdir -m 775 "$tree/modes/group" && echo in >"$tree/modes/group/file"
mkdir -m 711 "$tree/modes/entered" && chgrp 42 "$tree/modes/above"
chmod 1777 "$tree/open" && chmod 500 "$tree/deep" && chmod 000 "$tree/f4"
touch -d '1999-12-31 23:59:59.5' "$tree/f5"
touch -h -d '2001-02-03 04:05:06.123456789' "$tree/deep/link"
odd=$(printf 'odd\nname \303(')
mkdir "$tree/same" && echo 'content of twenty' >"$tree/same/1"
for n in $(seq 2 20); do
  cp "$tree/same/1" "$tree/same/$n"
  chmod 6"$((n % 8))"0 "$tree/same/$n"
  touch -d "2010-10-10 10:10:$n" "$tree/same/$n"
done
# Those that are proved by what is in their files: some lie as they are, some as chunks.
mkdir "$tree/large"
for n in 1 2 3 4 5 6; do head -c "$((n + 2))00000" /dev/urandom >"$tree/large/$n"; done
head -c 5000000 /dev/urandom >"$tree/large/chunks"
head -c 16800000 /dev/urandom >"$tree/large/alone" # proved as it comes
cp "$tree/large/3" "$tree/large/again"
for n in $(seq 9); do cp "$tree/large/4" "$tree/large/more$n"; done
mkdir "$tree/$odd" && echo odd >"$tree/$odd/$odd"
truncate -s 3M "$tree/holes" && echo end >>"$tree/holes"
if setfattr -n user.note -v text "$tree/f6" 2>/dev/null; then attributes=1; fi
mkdir -p "$root/etc/ssl/private" && echo 'private key' >"$root/etc/ssl/private/key"
echo other >"$root/srv/new/file"
expect_status 0 systracker checkpoint
manifest "$scratch/1"
sed -i /bob/d "$root/etc/passwd"
rm -r "$tree" "$root/etc/tree2" "$root/etc/ssl" "$root/srv/new"
touch -d '2005-05-05 05:05:05' "$root/etc" "$root/srv"
full_manifest "$scratch/2"
manifest "$scratch/2-short"
umask 027 # what is put has the modes that are known, whoever restores

nothing_left()
{
  [ -z "$(find "$root" -name '.systracker-*')" ] || fail "something beside was left: $1"
  [ ! -e "$store/journal/staged" ] || fail "the note was left: $1"
}
unchanged()
{
  nothing_left "$1"
  full_manifest "$scratch/now"
  cmp "$scratch/2" "$scratch/now" || fail "the root was changed: $1"
}
# is_at N WHY
is_at()
{
  nothing_left "$2"
  manifest "$scratch/now"
  cmp "$scratch/$1" "$scratch/now" || fail "it is not at $1: $2"
}

# Damage in a tree: refused, and the directories above have their times.
pack=$(find "$store/packs" -name '*.pack')
refused=0 all_same=0
for id in $(sql "SELECT DISTINCT lower(hex(CASE typeof(f.object) WHEN 'integer' THEN
    (SELECT d.digest FROM checksum_track_file d WHERE d.path = f.path AND d.since = f.since)
    ELSE f.object END)) FROM config_track_file f WHERE f.object IS NOT NULL"); do
  offset=$(($(sqlite3 "$store/packs/objects.db" "SELECT offset FROM object WHERE id = x'$id'") + 30))
  flip "$pack" "$offset"
  status=0
  systracker restore --checkpoint 1 --exact --yes >"$out" 2>"$err" || status=$?
  flip "$pack" "$offset"
  if [ "$status" -eq 1 ] && grep -q 'its content cannot be read' "$err"; then
    contains "$err" '^systracker: /.*: its content cannot be read: ' 'nothing was changed$'
    refused=$((refused + 1))
    same=$(grep -c '^systracker: /etc/tree/same/[0-9]*: its content cannot be read' "$err") || true
    [ "$same" -eq 0 ] || [ "$same" -eq 20 ] || fail "$same of twenty files are said"
    all_same=$((all_same + same))
    unchanged "a damaged object at $offset"
  elif [ "$status" -eq 0 ]; then
    expect_status 0 systracker undo
    is_at 2-short "an object that is not needed"
    touch -d '2005-05-05 05:05:05' "$root/etc" "$root/srv"
  else
    fail "status $status: $(cat "$err")"
  fi
done
[ "$refused" -ge 18 ] || fail "only $refused objects were needed"
[ "$all_same" -eq 20 ] || fail "damage of what twenty files have was not said"

# The same of one chunk of each of the two large contents.
seen=
for offset in $(sqlite3 "$store/packs/objects.db" 'SELECT offset FROM object WHERE stored > 850000'); do
  flip "$pack" "$((offset + 5000))"
  expect_status 1 systracker restore --checkpoint 1 --exact --yes
  contains "$err" '^systracker: /etc/tree/large/(chunks|alone): its content cannot be read: ' \
    'nothing was changed$'
  flip "$pack" "$((offset + 5000))"
  unchanged "a damaged chunk"
  seen="$seen $(sed -n 's|.*/large/\([a-z]*\): its content.*|\1|p' "$err")"
  case $seen in *chunks*alone* | *alone*chunks*) break ;; esac
done
case $seen in *chunks*alone* | *alone*chunks*) ;; *) fail "damaged chunks of: $seen" ;; esac

# There and back.
expect_status 0 systracker restore --checkpoint 1 --exact
is_at 1 "restored"
[ "$(stat -c %h "$tree/f1")" -eq 2 ] || fail "the hard link is none"
[ "$(stat -c %b "$tree/holes")" -lt 1000 ] || fail "the hole is filled"
[ -z "${attributes:-}" ] || [ "$(getfattr --only-values -n user.note "$tree/f6" 2>/dev/null)" = text ]
expect_status 0 systracker status
expect_status 0 systracker undo
unchanged "undone"

# A default ACL of the directory above is not for what is restored.
if setfacl -d -m u:1:rwx "$root/srv" 2>/dev/null; then
  expect_status 0 systracker restore --checkpoint 1 -- /srv/new
  [ -z "$(getfacl -sp "$root/srv/new" "$root/srv/new/file")" ] || fail "the ACL was inherited"
  expect_status 0 systracker undo
  setfacl -b "$root/srv"
  touch -d '2005-05-05 05:05:05' "$root/srv"
fi
unchanged "with an ACL above"

if ! command -v strace >/dev/null || ! strace -o /dev/null true 2>/dev/null; then
  echo "kills: left out, as there is no strace that works here"
  exit 0
fi

# stopped CALL FAULT N [PATH]: a restore that is hit at the N-th call of a thread, of those for the path; false when
# it came to its end.
program=$(find "$ST_STAGE" -name systracker-restore -perm -100 -type f)
stopped()
{
  status=0
  ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o /dev/null -e trace="$1" -e inject="$1:$2:when=$3" ${4:+-P "$4"} \
    "$program" --config "$config" --root "$root" --store "$store" --checkpoint 1 --exact --yes \
    >"$out" 2>"$err" </dev/null || status=$?
  printf '+ %s at %s %s: %s\n' "$2" "$1" "$3" "$status"
  cat -v "$err"
  [ "$status" -ne 0 ]
}
back()
{
  expect_status 0 systracker undo
  is_at 2-short "$1"
}

kills=0 way=0
for call in mkdirat pwrite64 renameat2 symlinkat fchmod fsync,fdatasync; do
  ended=0
  for n in 1 2 3 5 7 9; do
    stopped "$call" signal=KILL "$n" || { ended=1 && break; }
    kills=$((kills + 1)) way=$((1 - way))
    state=$(systracker restore --status | tail -n 1)
    [ -z "$(find "$root" -name '.systracker-*' -prune -type d ! -perm 700)" ] ||
      fail "others may enter what is made ready"
    case $state in
    *applying*)
      if [ "$way" -eq 1 ]; then
        expect_status 0 systracker restore --resume
        is_at 1 "gone on with: $call $n"
      fi
      back "killed at $call $n"
      ;;
    *"restore of checkpoint 1: "[av]*) back "killed after it at $call $n" ;;
    *": planned"*)
      expect_status 0 systracker restore --resume
      is_at 1 "planned, and gone on with: $call $n"
      back "planned: $call $n"
      ;;
    *)
      expect_status 1 systracker restore --resume
      is_at 2-short "killed before the first change: $call $n"
      ;;
    esac
  done
  [ "$ended" -eq 0 ] || back "$call"
done
echo "$kills kills"
[ "$kills" -ge 15 ] || fail "only $kills kills took place"

# A signal while it is made ready: as if nothing had been.  It is for the process (those that strace
# gives are for a thread, which may have nothing left to do), and contents are slow to be written.
touch -d '2005-05-05 05:05:05' "$root/etc" "$root/srv"
status=0
ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o /dev/null -e trace=pwrite64 \
  -e inject=pwrite64:delay_enter=200000 "$program" --config "$config" --root "$root" \
  --store "$store" --checkpoint 1 --exact --yes >"$out" 2>"$err" </dev/null &
tracer=$!
begun() { [ -n "$(find "$root" -path '*/.systracker-*' -type f -size +0 -print -quit)" ]; }
soon begun || fail "nothing is made ready"
pkill -TERM -P "$tracer"
wait "$tracer" || status=$?
[ "$status" -eq 143 ] || fail "ended with $status: $(cat "$err")"
unchanged "a signal"

# And a full disk.  A thread's first eight pwrite64 may be those by which SQLite makes the catalog's
# shared memory; one thread or the other makes more than that for contents.
stopped pwrite64 error=ENOSPC 9+ || fail "not stopped"
contains "$err" 'it cannot be made ready: .*No space left' 'nothing was changed$'
unchanged "a full disk"

# A disk that took all, and says at the sync that it could not keep it.
stopped syncfs error=EIO 1+ || fail "a disk that lost what was written is not said"
contains "$err" '/: not all that was written reached the disk, and may be lost: Input/output error' \
  'did not keep all of it: .*--resume. puts all of it again'
is_at 1 "what can be read is there all the same"

# Files as they may be after it: no stat tells that.
lose()
{
  for file in "$tree/f1" "$tree/same/7" "$root/etc/tree2/in/f3"; do
    touch -r "$file" "$scratch/when"
    head -c "$(stat -c %s "$file")" /dev/zero | dd of="$file" conv=notrunc status=none
    touch -r "$scratch/when" "$file"
  done
  touch -r "$tree/suid" "$scratch/when"
  : >"$tree/suid" && touch -r "$scratch/when" "$tree/suid"
}
# resumed FAULT: what goes on is hit so; true when it came to its end.
resumed()
{
  status=0
  ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o /dev/null -e trace="${1%%:*}" -e inject="$1" "$program" \
    --config "$config" --root "$root" --store "$store" --resume >"$out" 2>"$err" </dev/null || status=$?
  [ "$status" -eq 0 ]
}
is_lost() { systracker restore --status | tail -n 1 | grep -q 'restore of checkpoint 1: lost'; }
is_lost || fail "the journal does not say it"
expect_status 1 systracker restore --checkpoint 1
contains "$err" 'restore --resume. goes on'
lose
resumed syncfs:error=EIO:when=1+ && fail "the disk lost it again"
is_lost || fail "it was lost again, and is not said"
lose
resumed renameat2,renameat:signal=KILL:when=3 && fail "not killed"
is_lost || fail "killed while all is put again, it counts as put"
lose
expect_status 0 systracker restore --resume
is_at 1 "put again"
[ "$(stat -c %h "$tree/f1")" -eq 2 ] || fail "the hard link is none"
expect_status 1 systracker restore --resume
back "what was put again"
stopped syncfs error=EIO 1+ || fail "a disk that lost what was written is not said"
lose
back "a disk that lost what was written"

# A store on a disk that fails (its pack cannot be read from a thread's N-th time on) is not what is written to: it is said
# of the store, for every path that it concerns, whichever thread meets it.  What is put one by one may meet it last.
whole_again()
{
  is_at 1 "$1"
  back "$1"
  touch -d '2005-05-05 05:05:05' "$root/etc" "$root/srv"
}
unread=0
for n in $(seq 80); do
  if ! stopped pread64 error=EIO "$n+" "$pack"; then
    whole_again "no thread reads $n times"
    break
  fi
  ! grep 'cannot be made ready' "$err" || fail "what cannot be read is said to be not written"
  if grep -q -e 'restore --resume. goes on' -e 'restore was carried out, but' "$err"; then
    contains "$err" 'pack 00000001.pack.*: cannot read'
    ! grep -q 'restore --resume. goes on' "$err" || expect_status 0 systracker restore --resume
    whole_again "the store could not be read: $n"
    continue
  fi
  unchanged "the store cannot be read: $n"
  said=$(grep -c ': its content cannot be read: .*Input/output error' "$err") || :
  echo "from read $n on: $said paths"
  [ "$said" -eq 0 ] || contains "$err" 'nothing was changed$'
  unread=$((unread + (said > 0)))
done
[ "$unread" -gt 0 ] || fail "no content met an error of reading"

# Where a tree cannot be put, or an entry not be made ready, each is put by itself.
stopped renameat2 error=EEXIST 1 && fail "stopped: $(cat "$err")"
is_at 1 "no tree was renamed"
back "no tree was renamed"
# Calls are counted a thread: where another one puts it later, it fails there, too, and is said.
if stopped symlinkat error=EPERM 1; then
  contains "$err" '/etc/tree/deep/link: cannot make the symlink' '/etc/tree/deep/link: not as it'
  nothing_left "no symlink"
else
  is_at 1 "a symlink was put by itself"
fi
back "a symlink was put by itself"
made=0
for n in 1 2 3 4 5 6 7; do # the store's folders are made first
  if ! stopped mkdirat error=EPERM "$n"; then
    made=$((made + 1))
  elif grep -q 'not as it should be' "$err"; then # counted a thread, as above
    contains "$err" '^systracker: /[^ ]+: cannot make the directory: '
    nothing_left "no folder"
    back "a folder was not put"
    continue
  else
    is_at 2-short "the store's"
    continue
  fi
  is_at 1 "a tree could not be made"
  back "a tree could not be made"
done
[ "$made" -gt 0 ] || fail "no tree was tried"

# A note that is damaged, or that names what is not ours, removes nothing.
mkdir -p "$store/journal" "$root/srv/.systracker-0123456789abcdef-1"
echo mine >"$root/srv/.systracker-0123456789abcdef-1/file"
printf 'no note' >"$store/journal/staged"
expect_status 0 systracker restore --checkpoint 1 --exact
[ -e "$root/srv/.systracker-0123456789abcdef-1/file" ] || fail "it was removed"
[ ! -e "$store/journal/staged" ] || fail "the note was left"
