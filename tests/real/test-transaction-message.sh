#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A checkpoint after a transaction of apt or rpm: one line turns it on, its message is the command
# line without passwords, and apt and rpm neither wait for it nor hear of it.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"
. "$ST_SOURCE/tests/rpm-lab.sh"
need_rpm_lab
make_debian
install_systracker
canary='canary-77e1'
inner() { in_root "$ST_BINDIR/systracker" "$@"; }
inner checkpoint >"$scratch/checkpoint.log" 2>&1 ||
  { cat "$scratch/checkpoint.log"; fail "the checkpoint within"; }
config_file=$(cd "$root" && find usr -path '*/systracker/apt/80systracker')
ln -s "/$config_file" "$root/etc/apt/apt.conf.d/80systracker"
settings=$root/etc/systracker/conf.d/local.conf
echo "log = \"/var/log/systracker.log\"" >"$settings"
log=$root/var/log/systracker.log

# checkpoints N: that many, soon; and no more.
checkpoints()
{
  tries=0
  until inner log --json >"$scratch/log.json" 2>"$scratch/log.err" &&
    [ "$(wc -l <"$scratch/log.json")" -ge "$1" ]; do
    tries=$((tries + 1))
    [ $tries -lt 240 ] || { cat "$scratch/log.json" "$log"; fail "no checkpoint $1"; }
    sleep 0.5
  done
  [ "$(wc -l <"$scratch/log.json")" -eq "$1" ] || { cat "$scratch/log.json"; fail "more than $1"; }
}
message() { jq -r --argjson n "$1" 'select(.number == $n).message' "$scratch/log.json"; }
# left_alone: what the hooks started in the root has come to its end, or has not got the lock.
left_alone()
{
  tries=0
  while [ -n "$(find /proc/[0-9]*/root -prune -lname "$root" 2>/dev/null)" ]; do
    tries=$((tries + 1))
    [ $tries -lt 240 ] || fail "something goes on in the root for ever"
    sleep 0.5
  done
}
# settled: nobody waits, and nobody writes.
settled()
{
  left_alone
  flock -w 120 "$root/var/lib/systracker/waiting" true || fail "somebody waits for ever"
  flock -w 120 "$root/var/lib/systracker/lock" true || fail "somebody writes for ever"
}

# ---- Off, as it is shipped.
install_in_root hello
[ ! -e "$root/var/lib/systracker/waiting" ] || fail "a checkpoint nobody asked for"
checkpoints 1

# ---- apt.
echo 'checkpoint_after_transaction = yes' >>"$settings"
in_root apt-get -qq -y -o Dpkg::Use-Pty=0 "-oAcquire::http::Proxy=http://me:$canary@localhost:1/" \
  purge hello >"$scratch/apt.log" 2>&1 || fail "apt-get purge"
checkpoints 2
[ "$(message 2)" = \
  'apt-get -qq -y -o Dpkg::Use-Pty=0 -oAcquire::http::Proxy=http://***@localhost:1/ purge hello' ] ||
  fail "the message: $(message 2)"
! grep -raqF "$canary" "$root/var/lib/systracker" "$log" || fail "the password is kept"
inner diff 1 2 --stat >"$scratch/diff" || [ $? -eq 1 ] || fail "diff"
settled

# The store is locked: apt goes on, and the log says it.
hold "$root/var/lib/systracker/lock"
install_in_root ed
soon grep -q 'no checkpoint after the transaction: the lock is held' "$log" || fail "the log does not say it"
let_go
checkpoints 2

# Another waits already, for the same process perhaps: its checkpoint will do.
install_in_root less
checkpoints 3
settled
hold "$root/var/lib/systracker/waiting"
in_root apt-get -qq -y -o Dpkg::Use-Pty=0 purge less >"$scratch/apt.log" 2>&1 || fail "purge"
left_alone
let_go
settled
checkpoints 3

# With systemd, as a unit of its own; "$" is systemd's.
mkdir -p "$root/run/systemd/system"
cat >"$root/usr/bin/systemd-run" <<'END'
#!/bin/sh
for word; do printf '%s\n' "$word"; done >/var/log/systemd-run
END
chmod 755 "$root/usr/bin/systemd-run"
# shellcheck disable=SC2016
in_root apt-get -qq -y -o Dpkg::Use-Pty=0 -o 'Any::Thing=$HOME' install less \
  >"$scratch/apt.log" 2>&1 || fail "apt-get install"
# shellcheck disable=SC2016
contains "$root/var/log/systemd-run" '^--no-block$' '^checkpoint$' '^--after=[0-9]' \
  '^--message=apt-get .*Any::Thing=\$\$HOME'
settled
checkpoints 3
rm "$root/usr/bin/systemd-run"
rm -r "$root/run/systemd"

# ---- rpm, of a root that has a store of its own.
debian=$root
root=$scratch/rpm-root
make_rpm_root
make_config
sed -i '/plugin dpkg_track/d' "$config"
echo 'checkpoint_after_transaction = yes' >>"$config"
expect_status 0 systracker checkpoint
plugin=$(find "$ST_STAGE" -name systracker.so -path '*rpm-plugins*')
SYSTRACKER_LIBEXECDIR=$(dirname "$(find "$ST_STAGE" -name systracker-rpm-hook)")
SYSTRACKER_CONFIG=$config
export SYSTRACKER_LIBEXECDIR SYSTRACKER_CONFIG
printf '%%__plugindir %s\n%%__transaction_systracker %%{__plugindir}/systracker.so %s=%s\n' \
  "${plugin%/*}" "$root" "$store" >>"$lab_home/.rpmmacros"
inner() { systracker "$@"; }
lab_install lab-conf-1
checkpoints 2
contains "$scratch/log.json" '"message": ?"rpm --force-debian --root /.*/rpm-root -i /.*lab-conf-1-1.noarch.rpm"'
lab_erase lab-conf
checkpoints 3
contains "$scratch/log.json" '"message": ?"rpm --force-debian --root /.*/rpm-root -e lab-conf"'
# A test is no transaction.
# shellcheck disable=SC2046
rpm_quietly -i --test $(lab_files lab-conf-1)
checkpoints 3

# ---- dnf, whose command line is python's.
root=$scratch/dnf-root
store=$scratch/dnf-store
sed "s|^store.*|store = \"$store\"|" "$config" >"$scratch/dnf.conf"
config=$scratch/dnf.conf
SYSTRACKER_CONFIG=$config
make_dnf_root
expect_status 0 systracker checkpoint
printf '%%__transaction_systracker %%{__plugindir}/systracker.so %s=%s\n' "$root" "$store" \
  >>"$lab_home/.rpmmacros"
lab_dnf install lab-conf-1
checkpoints 2
contains "$scratch/log.json" '"message": ?"dnf -q -y --config .* install lab-conf-1"'
root=$debian
