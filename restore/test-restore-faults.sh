#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What goes wrong around a restore: damaged objects, kills at every step, a full disk, mounts.
. "$ST_SOURCE/tests/functions.sh"
need_root "owners and device nodes"
need_program sqlite3

make_root
make_config
for n in 1 2 3 4; do
  seq "$n" 40 | sha256sum >"$root/etc/f$n"
done
mkdir -p "$root/etc/dir/sub" "$root/srv/data"
echo in >"$root/etc/dir/sub/in"
echo srv >"$root/srv/data/file"
expect_status 0 systracker checkpoint
manifest "$scratch/1"
for n in 1 2; do echo changed >"$root/etc/f$n"; done
rm "$root/etc/f3"
chmod 600 "$root/etc/f4"
rm -r "$root/etc/dir"
ln -s f1 "$root/etc/dir"
mkdir -p "$root/etc/new/sub" && echo new >"$root/etc/new/sub/file"
echo "root:x:0:0:other:/root:/bin/sh" >"$root/etc/passwd"
printf 'root:x:19000:0:99999:7:::\n' >"$root/etc/shadow"
full_manifest "$scratch/2"

unchanged()
{
  full_manifest "$scratch/now"
  cmp "$scratch/2" "$scratch/now" || fail "the root was changed: $1"
}

# A catalog that somebody else made may have paths that lie nowhere, or end in a slash, which a journal
# would be refused for: they are said, and all else is restored.  Those that go round about are refused.
cp -a "$store" "$scratch/foreign"
whole=$store store=$scratch/foreign was=/etc/f3
for path in nowhere /etc/f3/ ''; do
  sql "UPDATE path SET path = CAST('$path' AS BLOB) WHERE CAST(path AS TEXT) = '$was'"
  expect_status 1 systracker restore --checkpoint 1 --dry-run --yes
  contains "$out" "^cannot   $path .*no path in its normal form" '^replace  /etc/f1 '
  was=$path
done
for path in /etc//f3 /etc/./f3 /etc/../f3 /etc/f3/. /etc/f3/..; do
  sql "UPDATE path SET path = CAST('$path' AS BLOB) WHERE CAST(path AS TEXT) = '$was'"
  status=0
  systracker restore --checkpoint 1 --dry-run --yes >"$out" 2>"$err" || status=$?
  [ "$status" -ne 0 ] || fail "$path would be restored"
  [ "$status" -eq 2 ] || contains "$out" "^cannot   $path .*no path in its normal form"
  was=$path
done
store=$whole

# Each needed object damaged in turn: a byte of its record is inverted, by the object index.
pack=$(find "$store/packs" -name '*.pack')
[ "$(echo "$pack" | wc -l)" -eq 1 ] || fail "more than one pack"
needed=0
for object in $(sqlite3 "$store/packs/objects.db" 'SELECT offset || ":" || stored FROM object'); do
  offset=$((${object%:*} + 30))
  flip "$pack" "$offset"
  status=0
  systracker restore --checkpoint 1 --exact --dry-run >"$out" 2>"$err" || status=$?
  if grep -q 'scan: manifest: object ' "$err"; then
    # What packages declare: without it nothing of them can be told.
    expect_status 2 systracker restore --checkpoint 1 --exact
    one_error 'its checksum is wrong'
    unchanged "a damaged manifest at $offset"
  elif [ "$status" -ne 0 ]; then
    needed=$((needed + 1))
    expect_status 1 systracker restore --checkpoint 1 --exact
    contains "$err" '^systracker: /etc/.*: its content cannot be read: ' 'nothing was changed$'
    unchanged "a damaged object at $offset"
  fi
  flip "$pack" "$offset"
done
# f1, f2, f3, dir/sub/in, passwd, shadow
[ "$needed" -eq 6 ] || fail "$needed objects were needed instead of 6"
[ ! -d "$store/journal" ] || [ -z "$(ls "$store/journal")" ] || fail "a refused restore is journalled"

# Root must be able to log in afterwards, and what is changed under our hands is not overwritten.
cp -a "$root/etc/passwd" "$scratch/passwd"
: >"$root/etc/passwd" && echo 'root:x:5:5::/:' >"$root/etc/passwd"
expect_status 0 systracker checkpoint --tag nologin
cp -a "$scratch/passwd" "$root/etc/passwd"
expect_status 1 systracker restore --checkpoint nologin -- /etc/passwd
contains "$err" '/etc/passwd: root could not log in'
unchanged "no login"

# Another writer.
if command -v flock >/dev/null; then
  expect_status 1 flock "$store/lock" sh -c 'exec "$@"' sh "$ST_SYSTRACKER" --config "$config" \
    --root "$root" --store "$store" restore --checkpoint 1 --exact
  unchanged "two writers"
fi

# A mount that appeared above, and a read-only one.
echo other >"$root/srv/data/file"
full_manifest "$scratch/2"
if mount -t tmpfs none "$root/srv/data" 2>/dev/null; then
  at_end "umount '$root/srv/data' 2>/dev/null"
  echo mounted >"$root/srv/data/file"
  expect_status 1 systracker restore --checkpoint 1 --exact -- /srv
  contains "$out" '^cannot   /srv/data.*(mounted|seen)'
  [ "$(cat "$root/srv/data/file")" = mounted ] || fail "a mount was crossed"
  umount "$root/srv/data"
  mount --bind "$root/srv" "$root/srv" && mount -o remount,ro,bind "$root/srv"
  at_end "umount '$root/srv' 2>/dev/null"
  expect_status 1 systracker restore --checkpoint 1 --exact -- /srv
  cat "$out" "$err" | grep -qE 'read-only|mounted' || fail "a read-only file system is not named"
  umount "$root/srv"
  unchanged "a read-only file system"
fi

# Too little space by the configuration's word.
sed 's/^min_free.*/min_free = "1000000T"/' "$config" >"$scratch/full.conf"
expect_status 1 "$ST_SYSTRACKER" --config "$scratch/full.conf" --root "$root" --store "$store" \
  restore --checkpoint 1 --exact
contains "$err" 'too little space'
unchanged "no space"

if ! command -v strace >/dev/null || ! strace -o /dev/null true 2>/dev/null; then
  echo "kills: left out, as there is no strace that works here"
  exit 0
fi

# stopped CALL FAULT N: a restore that is hit at the N-th call; false when it came to its end.
# LeakSanitizer, where it is built in, does not run under ptrace.
program=$(find "$ST_STAGE" -name systracker-restore -perm -100 -type f)
stopped()
{
  status=0
  ASAN_OPTIONS=detect_leaks=0 strace -qq -o /dev/null -e trace="$1" -e inject="$1:$2:when=$3" "$program" --config "$config" \
    --root "$root" --store "$store" --checkpoint 1 --exact --yes >"$out" 2>"$err" </dev/null ||
    status=$?
  printf '+ %s at %s %s: %s\n' "$2" "$1" "$3" "$status"
  cat -v "$err"
  [ "$status" -ne 0 ]
}

# is_at N: the root is as it was at the checkpoint (1), or before any restore (2).
is_at()
{
  manifest "$scratch/now"
  cmp "$scratch/$1" "$scratch/now" || fail "it is not at $1: $2"
}

manifest "$scratch/2"
kills=0 way=0
for call in renameat,renameat2 unlinkat mkdirat fchownat,fchown utimensat fsync,fdatasync syncfs; do
  ended=0
  for n in 1 2 3 4 5 6 7 9 11 14 18 23; do
    stopped "$call" signal=KILL "$n" || { ended=1 && break; }
    kills=$((kills + 1)) way=$((1 - way))
    state=$(systracker restore --status | tail -n 1)
    case $state in
    *applying*)
      expect_status 1 systracker restore --checkpoint 1 --exact
      one_error 'a restore was interrupted'
      if [ "$way" -eq 1 ]; then
        expect_status 0 systracker undo
        is_at 2 "undone after a kill: $call $n"
        continue
      fi
      expect_status 0 systracker restore --resume
      ;;
    *"restore of checkpoint 1: applied"* | *"restore of checkpoint 1: verified"*) ;;
    *)
      is_at 2 "killed before the first change: $call $n"
      continue
      ;;
    esac
    is_at 1 "killed, and gone on with: $call $n"
    expect_status 0 systracker undo
    is_at 2 "undone: $call $n"
  done
  [ "$ended" -eq 0 ] || expect_status 0 systracker undo
  is_at 2 "undone after $call"
done
[ -z "$(find "$root" -name '.systracker-*')" ] || fail "a file beside was left"
echo "$kills kills"
[ "$kills" -ge 20 ] || fail "only $kills kills took place"

# What a killed restore left beside is no part of a checkpoint that is taken before it goes on.
stopped utimensat signal=KILL 1 || fail "not killed"
beside=$(find "$root" -name '.systracker-*')
[ -n "$beside" ] || fail "nothing was left beside: the case is not tested"
expect_status 0 systracker checkpoint
expect_status 0 systracker show latest
lacks "$out" '\.systracker-'
expect_status 0 systracker explain "${beside#"$root"}"
contains "$out" 'not tracked by standard_track: .*built in.*a restore makes it ready'
expect_status 0 systracker undo
is_at 2 "undone after a checkpoint in between"
[ -z "$(find "$root" -name '.systracker-*')" ] || fail "a file beside was left"

# A signal to stop: between two actions, said, and gone on with.
stopped renameat signal=TERM 7 || fail "not interrupted"
contains "$err" 'interrupted after [0-9]+ of [0-9]+ actions: .*--resume.*undo'
expect_status 0 systracker restore --resume
manifest "$scratch/now"
cmp "$scratch/1" "$scratch/now"
expect_status 0 systracker undo

# A disk that is full all the same.
stopped renameat error=ENOSPC 8 || fail "not stopped"
contains "$err" 'No space left' '--resume'
expect_status 0 systracker restore --resume
manifest "$scratch/now"
cmp "$scratch/1" "$scratch/now"
