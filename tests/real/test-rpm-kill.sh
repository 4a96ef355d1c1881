#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGKILL in the middle of rpm's transaction, at files put in place, files removed, and writes to the
# database: --resume completes the restore or undo takes it back, and the database is consistent.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/rpm-lab.sh"
need_rpm_lab
need_program strace
unshare -n true 2>/dev/null || skip "no network namespaces here"
offline() { unshare -n "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" "$@"; }
lab_config
kills=${ST_RPM_KILLS:-4}

make_rpm_root
lab_night 1 rpm
echo 'changed' >>"$root/etc/lab/keep.conf"
expect_status 0 systracker packages --keep "$lab/repo"
expect_status 0 systracker checkpoint --tag first
look_at_lab "$scratch/first"
lab_night 2 rpm
find "$root/etc" \( -name '*.rpmnew' -o -name '*.rpmsave' \) -delete
expect_status 0 systracker checkpoint --tag second
look_at_lab "$scratch/second"
mv "$root" "$scratch/root.before"
mv "$store" "$scratch/store.before"
fresh()
{
  check_scratch "$root"
  rm -rf --one-file-system "$root" "$store"
  cp -a "$scratch/root.before" "$root"
  cp -a "$scratch/store.before" "$store"
}
equal()
{
  look_at_lab "$scratch/now"
  for part in .packages .verify ''; do
    diff "$scratch/$1$part" "$scratch/now$part" >"$scratch/difference" ||
      { head -n 40 "$scratch/difference"; fail "not as at $1: $2 (${part:-entries})"; }
  done
  HOME=$lab_home rpmdb --root "$root" --verifydb || fail "the database is damaged: $2"
}

# The program with librpm in it, under strace where it runs the transaction.
programs=$(dirname "$(find "$ST_STAGE" -name systracker-rpm -type f)")
mkdir "$scratch/programs"
ln -s "$programs"/* "$scratch/programs/"
rm "$scratch/programs/systracker-rpm"
cat >"$scratch/programs/systracker-rpm" <<END
#!/bin/sh
[ "\$2" != run ] || [ ! -s "$scratch/strace" ] || exec strace -qq -o "$scratch/trace" \
  \$(cat "$scratch/strace") "$programs/systracker-rpm" "\$@"
exec "$programs/systracker-rpm" "\$@"
END
chmod 755 "$scratch/programs/systracker-rpm"

# under OPTION...: a restore of the first night so.
under()
{
  fresh
  echo "$*" >"$scratch/strace"
  status=0
  SYSTRACKER_LIBEXECDIR=$scratch/programs offline restore --checkpoint first --exact >"$out" 2>"$err" ||
    status=$?
  : >"$scratch/strace"
}

# phase NAME SYSTEM-CALL[,SYSTEM-CALL]: counts in a run the one that is called most, then kills there.
phase()
{
  name=$1
  under -e "trace=$2"
  [ "$status" -eq 0 ] || { cat "$err"; fail "the counted run failed"; }
  calls=$(sed 's/(.*//' "$scratch/trace" | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }')
  count=$(grep -c "^$calls(" "$scratch/trace" || :)
  echo "$name: $count times $calls"
  [ "$count" -gt "$kills" ] || fail "$name: too few system calls to kill at"
  i=0
  while [ "$i" -lt "$kills" ]; do
    at=$((1 + i * count / kills))
    under -e "trace=$calls" -e "inject=$calls:signal=KILL:when=$at"
    [ "$status" -eq 2 ] || { cat "$err"; fail "$name: not killed at $at"; }
    contains "$err" 'ended by signal 9|ended with status 137' 'restore --resume. goes on'
    if [ $((i % 2)) -eq 0 ]; then
      expect_status 0 offline restore --resume
      equal first "$name: killed at $at, resumed"
    else
      expect_status 0 offline undo --yes
      equal second "$name: killed at $at, undone"
    fi
    expect_status 0 systracker verify
    i=$((i + 1))
  done
  echo "$name: $kills kills"
}
phase 'files put in place' rename,renameat
phase 'files removed' unlink,unlinkat
phase 'the database' pwrite64

# ---- We are killed, and rpm goes on: its end is waited for.  It is stopped in the midst of it, until somebody waits.
fresh
lock=$root/var/lib/rpm/.rpm.lock
# held_by: which process has rpm's lock; awaited: whether another one waits for it.
held_by() { sed -n "s/^[0-9]*: POSIX .* WRITE \([0-9]*\) [^ ]*:$(stat -c %i "$lock") .*/\1/p" /proc/locks; }
awaited() { grep -q -e "-> POSIX .*:$(stat -c %i "$lock") " /proc/locks; }
rm -f "$scratch/trace"
echo '-e trace=rename,renameat -e inject=rename,renameat:signal=STOP:when=2' >"$scratch/strace"
SYSTRACKER_LIBEXECDIR=$scratch/programs unshare -n "$ST_SYSTRACKER" --config "$config" \
  --root "$root" --store "$store" restore --checkpoint first --exact >"$out" 2>"$err" &
pid=$!
soon grep -qs 'stopped by SIGSTOP' "$scratch/trace" || fail "rpm is not stopped"
stopped=$(held_by)
at_end "kill -KILL $stopped 2>/dev/null"
kill -KILL "$pid"
wait "$pid" || :
: >"$scratch/strace"
expect_status 1 systracker restore --checkpoint second --exact
one_error 'a restore was interrupted'
offline restore --resume >"$out" 2>"$err" </dev/null &
resumed=$!
soon awaited || fail "rpm's end is not waited for: $(cat "$err")"
kill -CONT "$stopped"
wait "$resumed" || { cat "$err"; fail "not resumed"; }
contains "$err" 'rpm was still at work, its end was waited for'
equal first "we were killed"
