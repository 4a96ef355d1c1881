#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Everything a file system can hold: recorded, wrecked in every way, restored, compared by a program
# of the test's own; undone, and compared again.  On ext4 where it can be mounted; then a file system
# that holds less.
. "$ST_SOURCE/tests/functions.sh"
need_root "devices, attributes of every namespace, flags"
for program in setfattr setfacl chattr mkfs.ext4 mount; do need_program "$program"; done

# all_of FILE [-d]: what is in the tracked folders now.  The link that leads out of them is told apart
# below.
all_of()
{
  for folder in srv opt; do
    "$ST_BUILD/tests/list-tree" ${2:+"$2"} "$root/$folder" || fail "the tree cannot be listed"
  done | sed 's|^/group/o \(.*\) link=/group/o$|/group/o \1|' >"$1"
}
same() { diff "$1" "$2" >"$scratch/differences" || fail "not the same: $(cut -c1-300 "$scratch/differences")"; }

check_scratch "$root"
mkdir -p "$root"
truncate -s 256M "$scratch/image"
mkfs.ext4 -q -b 4096 -O ea_inode "$scratch/image" || mkfs.ext4 -q -b 4096 "$scratch/image"
if mount -o loop,acl,user_xattr "$scratch/image" "$root" 2>/dev/null; then
  at_end "umount -l '$root'"
else
  echo "SKIP: no ext4 can be mounted: in the scratch folder instead"
fi
# What is immutable does not go away by itself.
at_end "find '$root' -xdev \\( -type f -o -type d \\) -exec chattr -ia {} + 2>/dev/null"
make_root
make_config
rm -rf "${root:?}/opt" "$root/srv"
mkdir "$root/opt" "$root/srv"
cd "$root/srv"
if ! setfattr -n user.probe -v 1 .; then skip "no attributes in $root"; fi
setfattr -x user.probe .

long=$(printf '%255s' '' | tr ' ' n)
odd=$(printf 'odd\nname \303( \033[1m\001x')

# A tree with everything; every test changes one of it.
fill()
{
  echo plain >plain
  echo setuid >setuid && chown 1234:daemon setuid && chmod 6755 setuid
  mkdir sticky && chmod 3777 sticky
  echo named >"$long"
  echo odd >"$odd"
  touch -d '1931-05-06 07:08:09.123456789' "$odd"
  echo far >far && touch -d '2400-01-01 00:00:00.000000001' far
  echo acl >acl && setfacl -m u:daemon:rwx,u:4321:r,g:shadow:- acl
  mkdir default && setfacl -d -m u:daemon:rwx default
  echo under >default/under && setfacl -b default/under
  for n in 1 2 3; do
    echo "$n" >"attributes$n"
    setfattr -n user.text -v "text $n" "attributes$n"
    setfattr -n user.empty "attributes$n"
    setfattr -n "user.odd $(printf '\n\377') name" -v 0x0001ff "attributes$n"
    setfattr -n trusted.one -v "$n" "attributes$n"
    setfattr -n security.selinux -v system_u:object_r:etc_t:s0 "attributes$n"
    setfattr -n security.ima -v 0x0404aabb "attributes$n"
    setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 "attributes$n"
  done
  head -c 3000 /dev/urandom | base64 -w 0 | head -c 3500 >"$scratch/value"
  echo large >large && setfattr -n user.large -v "$(cat "$scratch/value")" large
  mkdir labelled && setfattr -n user.directory -v yes labelled
  ln -s "$(printf '%4000s' '' | tr ' ' t)" symlink
  setfattr -h -n trusted.of.symlink -v 1 symlink
  ln -s "$(printf 'to \n\377')" 'odd symlink'
  mkfifo fifo && chmod 640 fifo && setfattr -n trusted.fifo -v 1 fifo
  mknod null c 1 3 && mknod disk b 7 300 && chmod 600 null disk
  mkdir none strict && echo in >none/in && echo in >strict/in && chmod 0 none && chmod 555 strict
  # Holes: in front, between, behind; all of it; and none.
  truncate -s 1M sparse && printf x | dd of=sparse bs=1 seek=500000 conv=notrunc status=none
  cp sparse sparse2
  truncate -s 3000000 empty
  head -c 300000 /dev/zero >dense
  for n in 1 2 3 4 5 6 7 8; do echo "flags $n" >"flags$n"; done
  chattr +i flags1 && chattr +a flags2 && chattr +dA flags3 && chattr +i flags4 && chattr +S flags5
  mkdir locked appended && echo in >locked/in && echo in >locked/other && echo in >appended/in
  chattr +i locked && chattr +a appended && chattr +d labelled
  # Groups: of files, symlinks, a FIFO; to be broken, joined, moved; in several folders.
  mkdir group
  echo one >group/a && ln group/a group/b && ln group/a z-of-a
  echo two >group/c && ln group/c ../opt/of-c && ln group/c group/d
  echo alone >group/e && echo alone >group/f && touch -r group/e group/f
  ln -s to group/l1 && ln group/l1 group/l2
  mkfifo group/p1 && ln group/p1 group/p2
  echo three >group/g && ln group/g group/h && ln group/g group/i
  echo locked >group/j && ln group/j group/k && chattr +i group/k
  echo outside >group/o && ln group/o "$root/var/outside"
  # A path that no call takes in one piece.
  mkdir deep
  (
    cd -P deep
    for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
      mkdir "$long" && cd -P "$long" || exit 1
    done
    echo deep >file && setfattr -n user.deep -v 1 file && ln file link
  ) || fail "no deep folder"
}

# What a name is, gone or turned into something else.
wreck()
{
  chattr -ia flags1 flags2 flags4 locked appended group/k
  rm -r plain "$long" "$odd" far symlink fifo null none strict flags4 default group/k
  mkdir plain && echo in >plain/in
  ln -s nowhere fifo && mkfifo null && echo file >none
  mkdir symlink && chattr +i symlink
  chown 0:0 setuid && chmod 644 setuid && chmod 755 sticky
  mknod "$long" c 1 5
  setfacl -b acl && setfacl -m u:nobody:rw attributes3
  setfattr -x user.text attributes1 && setfattr -n user.text -v other attributes2
  setfattr -n user.new -v "$(cat "$scratch/value")" attributes1
  setfattr -x security.capability attributes2 && setfattr -x trusted.one attributes2
  setfattr -x user.empty attributes3 && setfattr -n user.none attributes3
  setfattr -x security.selinux attributes1 && setfattr -n security.ima -v 0x01 attributes1
  setfattr -x user.large large && setfattr -x user.directory labelled
  setfacl -d -m u:nobody:r labelled
  setfattr -h -x trusted.of.symlink 'odd symlink' 2>/dev/null || :
  ln -sfn elsewhere 'odd symlink'
  mknod disk2 b 7 301 && rm disk && mv disk2 disk
  cp --sparse=never sparse dense2 && touch -r sparse dense2 && mv dense2 sparse
  : >sparse2
  truncate -s 200 empty
  rm dense && truncate -s 300000 dense
  echo more >>flags1 && chattr +a flags1
  chattr +i flags2 && chattr -dA flags3 && chattr +A flags6 && chattr +i flags7
  rm locked/in && echo new >locked/new && chattr +i locked locked/new
  echo more >>appended/in && chattr +a appended/in
  chattr -d labelled
  cp -p group/b group/b2 && mv group/b2 group/b && echo changed >>z-of-a
  ln -f group/d group/e && ln -f group/d group/f
  rm ../opt/of-c && ln group/l1 ../opt/of-c
  rm group/l2 && ln -s to group/l2 && ln -f group/p1 group/l1
  rm group/p2
  ln -f group/j group/g
  mv group/i group/0 && ln group/0 group/i2
  echo overwritten >group/o
  chmod 600 group/j && setfattr -n user.of.group -v 1 group/j
  (
    cd -P deep
    for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do cd -P "$long"; done
    rm link file && echo other >file && mkdir deeper
  )
}

fill
sleep 1
expect_status 0 systracker checkpoint
expect_status 0 systracker status
all_of "$scratch/1"
grep -q 'hole=' "$scratch/1" || echo "SKIP: this file system has no holes"
grep -q 'flags=10' "$scratch/1" || echo "SKIP: this file system has no flags"

# What the wreck leaves alone stays; a second restore finds nothing to do; undo brings it back.
expect_status 0 systracker restore --checkpoint 1 --exact --dry-run
contains "$out" '^nothing to restore'
wreck
all_of "$scratch/2" -d
expect_status 0 systracker restore --checkpoint 1 --exact --dry-run
contains "$out" '/srv/group/o .*breaks 1 hard link that leads outside' \
  '/srv/acl .*xattrs acl .*user:daemon:rwx' '/srv/flags3 .*flags .*nodump'
contains "$err" '1 path that is replaced has hard links outside'
all_of "$scratch/now" -d
same "$scratch/2" "$scratch/now"
expect_status 0 systracker restore --checkpoint 1 --exact
all_of "$scratch/now"
same "$scratch/1" "$scratch/now"
expect_status 0 systracker status
expect_status 0 systracker restore --checkpoint 1 --exact
contains "$out" '^nothing to restore'
[ "$(cat "$root/var/outside")" = overwritten ] || fail "a link outside was written through"
expect_status 0 systracker undo
all_of "$scratch/now" -d
same "$scratch/2" "$scratch/now"
expect_status 0 systracker checkpoint
expect_status 0 systracker restore --checkpoint 1 --exact
all_of "$scratch/now"
same "$scratch/1" "$scratch/now"

# Killed on the way: gone on with, or back, flags and links included.
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
  program=$(find "$ST_STAGE" -name systracker-restore -perm -100 -type f)
  wreck
  all_of "$scratch/2" -d
  # killed_at CALL N [STRACE-OPTION...]: false when it came to its end.  Each thread counts by itself.
  killed_at()
  {
    call=$1 n=$2 status=0
    shift 2
    ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o /dev/null -e trace="$call" "$@" \
      -e inject="$call:signal=KILL:when=$n" "$program" --config "$config" --root "$root" \
      --store "$store" --checkpoint 1 --exact --yes >"$out" 2>"$err" </dev/null || status=$?
    printf '+ killed at %s %s: %s\n' "$call" "$n" "$status"
    [ "$status" -gt 128 ]
  }
  undone()
  {
    expect_status 0 systracker undo
    all_of "$scratch/now" -d
    same "$scratch/2" "$scratch/now"
  }
  kills=0
  for call in ioctl linkat setxattr renameat,renameat2 unlinkat; do
    for n in 2 5 9 17 30 60; do
      told=$(systracker restore --status | wc -l)
      killed_at "$call" "$n" || { undone && break; }
      kills=$((kills + 1))
      systracker restore --status >"$scratch/status"
      [ "$(wc -l <"$scratch/status")" -gt "$told" ] || continue
      case $(tail -n 1 "$scratch/status")-$((kills % 2)) in
      *planned*) continue ;;
      *applying*-0)
        expect_status 0 systracker restore --resume
        all_of "$scratch/now"
        same "$scratch/1" "$scratch/now"
        ;;
      esac
      undone
    done
    all_of "$scratch/now" -d
    same "$scratch/2" "$scratch/now"
  done
  echo "$kills kills"
  [ "$kills" -ge 8 ] || fail "only $kills kills took place"

  # Killed when nothing is left to do but to say so: what is locked by then is no obstacle.
  last=$(find "$store/journal" -name '[0-9][0-9][0-9][0-9]' -printf '%f\n' | sort | tail -n 1)
  killed_at renameat 2 -P "$store/journal/$(printf %04d $((${last#"${last%%[!0]*}"} + 1)))" || fail "not killed"
  systracker restore --status | tail -n 1 | grep -q applying || fail "it is said to be done"
  all_of "$scratch/now"
  same "$scratch/1" "$scratch/now"
  undone
else
  echo "SKIP: no strace that works here: a restore that is killed"
fi

# All of it into empty folders.
chattr -R -ia "$root/srv" 2>/dev/null || :
rm -rf "$root"/srv/* "$root"/opt/*
expect_status 0 systracker restore --checkpoint 1 --exact
all_of "$scratch/now"
same "$scratch/1" "$scratch/now"

# Some paths alone: what is linked to what was not asked for, is linked where that is as it was.
chattr -i group/k
echo changed >group/a
rm -f group/d group/l2
cp -p group/h group/h2 && mv group/h2 group/h
expect_status 0 systracker restore --checkpoint 1 -- /srv/group/d /srv/group/l2 /srv/group/h
contains "$out" '/srv/group/d .*hard link with /opt/of-c' '/srv/group/h .*links with /srv/group/g'
expect_status 1 systracker restore --checkpoint 1 -- /srv/group/b
contains "$out" '/srv/group/b .*content'
[ "$(cat group/a)" = changed ] || fail "what was not asked for was changed"
[ "$(cat group/b)" = one ] || fail "the content of a link was not put back"
expect_status 0 systracker undo
[ "$(cat group/b)" = changed ] || fail "undo did not link it again"
expect_status 0 systracker restore --checkpoint 1 --exact
all_of "$scratch/now"
same "$scratch/1" "$scratch/now"

# Owners by name, where the name has another number here; by number where that is asked for.
sed -i 's/^daemon:x:1:1:/daemon:x:77:1:/' "$root/etc/passwd"
expect_status 0 systracker restore --checkpoint 1 --dry-run -- /srv
contains "$out" '/srv/acl .*user:daemon'
expect_status 0 systracker restore --checkpoint 1 --dry-run --numeric-owner -- /srv
contains "$out" '^nothing to restore'
expect_status 0 systracker restore --checkpoint 1 -- /srv
"$ST_BUILD/tests/list-tree" "$root/srv" | grep -F 'acl 100674' >"$scratch/acl" || fail "no ACL"
contains "$scratch/acl" 'M\\00\\00\\00'
expect_status 0 systracker restore --checkpoint 1 --exact
expect_status 0 systracker restore --checkpoint 1 --exact --numeric-owner
all_of "$scratch/now"
same "$scratch/1" "$scratch/now"

# Without the right to unlock, nothing is changed at all.
if command -v setpriv >/dev/null; then
  rm plain
  chattr -i flags1 && echo more >>flags1 && chattr +i flags1
  all_of "$scratch/2" -d
  expect_status 1 setpriv --bounding-set -linux_immutable "$ST_SYSTRACKER" --config "$config" \
    --root "$root" --store "$store" restore --checkpoint 1 --exact
  contains "$err" '/srv/flags1: .*immutable' 'nothing was changed'
  all_of "$scratch/now" -d
  same "$scratch/2" "$scratch/now"
  expect_status 0 systracker restore --checkpoint 1 --exact
else
  echo "SKIP: no setpriv: a restore without CAP_LINUX_IMMUTABLE"
fi

# A file system that holds less: what it does not hold is named path by path, and the rest is there.
# poorer FOLDER: its content against what was; lines that differ are of paths that were named.
poorer()
{
  "$ST_BUILD/tests/list-tree" "$1/srv" >"$scratch/poor"
  "$ST_BUILD/tests/list-tree" "$root/srv" | sed 's| link=/group/o$||' >"$scratch/rich"
  if ! grep -q '^/symlink ' "$scratch/poor"; then # its target does not fit into a block there
    contains "$err" '^systracker: /srv/symlink: .*name too long'
    sed -i '/^\/symlink /d' "$scratch/rich"
  fi
  cut -d' ' -f1-3 "$scratch/rich" >"$scratch/rich.1"
  cut -d' ' -f1-3 "$scratch/poor" | diff "$scratch/rich.1" - || fail "names, modes and owners"
  grep -o '^[^ ]*\|sha256=.*' "$scratch/rich" | sed 's/ .*//' >"$scratch/rich.1"
  grep -o '^[^ ]*\|sha256=.*' "$scratch/poor" | sed 's/ .*//' | diff "$scratch/rich.1" - || fail "contents"
  diff "$scratch/rich" "$scratch/poor" | sed -n 's/^> \([^ ]*\) .*/\1/p' >"$scratch/lacking"
  [ -s "$scratch/lacking" ] || fail "it lacks nothing"
  sed 's/\\0a/\\n/g; s/\\20/ /g; s/\\1b/\\x1b/g; s/\\01/\\x01/g; s/\\c3/\\xc3/g' "$scratch/lacking" |
    while IFS= read -r path; do
      grep -aqF "systracker: /srv$path: " "$err" || fail "not named: $path"
    done
}

# ticks FOLDER: on a file system that keeps whole seconds, so that most of this is within one tick of
# the clock: rewritten with the same size, and with the time of modification put back.
ticks()
{
  (
    root=$1 store=$scratch/other-store
    sed "s|^store = .*|store = \"$store\"|" "$config" >"$scratch/other.conf"
    config=$scratch/other.conf
    for n in 1 2 3 4 5 6; do
      for content in one two six; do
        echo "$content$n" >"$root/srv/tick"
        echo "$content$n" >"$root/srv/back" && touch -d '2001-02-03 04:05:06' "$root/srv/back"
        expect_status 0 systracker checkpoint
        for name in tick back; do
          [ "$(systracker cat latest "/srv/$name")" = "$content$n" ] || fail "$name: $content $n"
        done
      done
    done
  ) || exit 1
}

poor=$scratch/poor-root
mkdir "$poor"
for kind in tmpfs ext4; do
  if [ "$kind" = tmpfs ]; then
    mount -t tmpfs -o size=64M none "$poor" || continue
  else
    # Whole seconds until 2038, and little room for attributes.
    truncate -s 64M "$scratch/image2"
    mkfs.ext4 -q -I 128 -b 1024 -O ^ea_inode,^metadata_csum "$scratch/image2" 2>/dev/null
    mount -o loop "$scratch/image2" "$poor" || continue
  fi
  at_end "umount -l '$poor' 2>/dev/null"
  (
    root=$poor
    make_root
    rm -r "$root/opt" "$root/srv"
    expect_status 1 systracker restore --checkpoint 1 --exact --packages=none
  )
  poorer "$poor"
  if [ "$kind" = ext4 ]; then
    ticks "$poor"
  fi
  find "$poor" -xdev \( -type f -o -type d \) -exec chattr -ia {} + 2>/dev/null || :
  umount -l "$poor"
done
