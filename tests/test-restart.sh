#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Services whose files a restore changed are named, and with --restart restarted; units are read again.
# The running system is a scratch root here, entered by chroot: its systemctl writes down what it is
# asked, and what runs in it is a program of this test.
. "$ST_SOURCE/tests/functions.sh"
need_root "chroot, mount"
need_program unshare
need_program nsenter
unshare -m true 2>/dev/null || skip "needs mount namespaces"
make_root
make_config
. "$ST_SOURCE/tests/packaging.sh"
# Within the root everything lies where the configuration says; so do the programs.
mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64" "$root/usr/share" \
  "$root/proc" "$root/dev" "$root/tmp" "$root/$ST_STAGE" "$root$scratch/plugins" "$root/run/systemd/system" \
  "$root/etc/systemd/system" "$root/sys/fs/cgroup/system.slice/app.service" "$root/var/lib/store"
for link in bin lib lib64 sbin; do ln -s "usr/$link" "$root/$link"; done
sed -e 's,^store =.*,store = "/var/lib/store",' -e 's,^log =.*,log = "/tmp/log",' \
  -e 's,"/usr"\, ,,; s,plugin dpkg_track { },,' "$config" >"$root/tmp/conf"
cp "$(command -v sleep)" "$root/opt/daemon"
for unit in app other bus; do
  printf '[Service]\nExecStart=/opt/%s\n' "$unit" >"$root/etc/systemd/system/$unit.service"
done
echo 'a=1' >"$root/etc/app/app.conf"
# A package that has a unit, a folder of configuration and data.
p=$scratch/packaged
mkdir -p "$p/etc/packaged" "$p/opt/packaged" "$p/etc/systemd/system"
printf '[Service]\nExecStart=/opt/packaged/run\n' >"$p/etc/systemd/system/packaged.service"
echo data >"$p/opt/packaged/data"
build packaged 1 "$p"
install_package packaged 1 "$p"
echo 'b=1' >"$root/etc/packaged/own.conf"
cat >"$root/usr/sbin/systemctl" <<'END'
#!/bin/sh
printf '%s\n' "$*" >>/tmp/asked
[ ! -e "/tmp/fails-$2" ] || exit 1
[ "$2" != show ] || cat /tmp/units
END
chmod 755 "$root/usr/sbin/systemctl"
cat >"$root/tmp/units" <<'END'
Id=app.service
SubState=running
FragmentPath=/etc/systemd/system/app.service
ExecStart={ path=/usr/local/bin/app ; argv[]=/usr/local/bin/app --config=/etc/app/app.conf ; x=y }
ControlGroup=/nowhere

Id=other.service
SubState=running
FragmentPath=/etc/systemd/system/other.service
ControlGroup=/system.slice/app.service

Id=dbus.service
SubState=running
FragmentPath=/etc/systemd/system/bus.service
ExecStart={ path=/usr/local/bin/bus ; argv[]=/usr/local/bin/bus /etc/app/app.conf ; x=y }

Id=packaged.service
SubState=running
FragmentPath=/etc/systemd/system/packaged.service

Id=idle.service
SubState=exited
FragmentPath=/etc/systemd/system/app.service
ExecStart={ path=/bin/true ; argv[]=/bin/true /etc/app/app.conf ; x=y }
END

# The root as the running system, in a mount namespace of its own, which one process holds; then
# commands in it.
cat >"$scratch/hold" <<'END'
set -eu
for part in usr/bin usr/lib usr/lib64 usr/share; do
  [ ! -e "/$part" ] || mount --bind -o ro "/$part" "$root/$part"
done
mount --bind "$ST_STAGE" "$root/$ST_STAGE"
mount --bind "$scratch/plugins" "$root$scratch/plugins"
mount --bind /proc "$root/proc"
mount --bind /dev "$root/dev"
: >"$scratch/mounted"
exec sleep 3600
END
unshare -m sh "$scratch/hold" &
holder=$!
at_end "kill $holder"
mounted()
{
  kill -0 "$holder" 2>/dev/null || skip "cannot mount here"
  [ -e "$scratch/mounted" ]
}
soon mounted || fail "nothing is mounted"
inside() { nsenter -t "$holder" -m chroot "$root" "$@"; }
live() { inside "$ST_SYSTRACKER" --config /tmp/conf "$@"; }
asked() { lines=$(cat "$root/tmp/asked" 2>/dev/null || :); rm -f "$root/tmp/asked"; }

expect_status 0 live checkpoint -m one
rm -f "$root/tmp/asked"

# Its own file, named on its command line; the bus is named, and never restarted; what does not run is not.
edit() { echo 'a=2' >"$root/etc/app/app.conf"; }
edit
expect_status 0 live restore --checkpoint 1 --dry-run
contains "$out" '^affected app.service +\(/etc/app/app.conf\)' '^leave +dbus.service +\(/etc/app/app.conf; .*bus'
lacks "$out" 'other.service|idle.service'
expect_status 0 live restore --checkpoint 1 --dry-run --restart
contains "$out" '^restart +app.service'
asked
echo "$lines" | grep -qv ' show ' && fail "a dry run changed something: $lines"
grep -qx 'a=2' "$root/etc/app/app.conf" || fail "a dry run put something back"

expect_status 0 live restore --checkpoint 1
contains "$out" '^affected app.service'
asked
echo "$lines" | grep -qE 'restart|reload' && fail "without --restart: $lines"
edit
expect_status 0 live restore --checkpoint 1 --restart
contains "$out" '^restart +app.service' '^leave +dbus.service'
asked
[ "$(echo "$lines" | grep 'restart')" = '--no-pager try-restart -- app.service' ] ||
  fail "not app.service alone: $lines"
echo "$lines" | grep -q 'daemon-reload' && fail "no unit file changed: $lines"
edit
expect_status 0 live restore --checkpoint 1 --restart --json
contains "$out" '"action": ?"restart", ?"service": ?"app.service", ?"why": ?"/etc/app/app.conf"'
# What was put back by hand is nothing to restart for.
asked
expect_status 0 live restore --checkpoint 1 --restart
lacks "$out" service
asked
[ -z "$lines" ] || fail "nothing was restored: $lines"

# A unit file: systemd reads it again, before it restarts anything, and without --restart too.
echo '# more' >>"$root/etc/systemd/system/other.service"
expect_status 0 live restore --checkpoint 1
contains "$out" '^affected other.service +\(/etc/systemd/system/other.service\)'
asked
echo "$lines" | grep -q 'daemon-reload' || fail "not read again: $lines"
echo '# more' >>"$root/etc/systemd/system/other.service"
expect_status 0 live restore --checkpoint 1 --restart
asked
[ "$(echo "$lines" | sed -n '1s/.* //p')" = daemon-reload ] || fail "not first: $lines"
echo "$lines" | grep -q 'try-restart -- other.service' || fail "not restarted: $lines"
expect_status 0 live undo
contains "$out" '^affected other.service'
asked
echo "$lines" | grep -q 'restart' && fail "undo restarts nothing: $lines"
expect_status 0 live restore --checkpoint 1

# A program that a process of the service runs, which its control group names: when it is replaced
# under it, and by no restore that leaves it alone.
cp "$root/opt/daemon" "$root/opt/another"
echo more >>"$root/opt/another"
mv "$root/opt/another" "$root/opt/daemon"
(exec nsenter -t "$holder" -m chroot "$root" /opt/daemon 3600) &
daemon=$!
at_end "kill $daemon"
runs() { [ "$(cat "/proc/$daemon/comm")" = daemon ]; }
soon runs || fail "no daemon runs"
echo "$daemon" >"$root/sys/fs/cgroup/system.slice/app.service/cgroup.procs"
expect_status 0 live restore --checkpoint 1 --dry-run
contains "$out" '^affected other.service +\(/opt/daemon\)'
edit
expect_status 0 live restore --checkpoint 1 --dry-run -- /etc
lacks "$out" other.service
asked
expect_status 0 live restore --checkpoint 1 --restart -- /opt
contains "$out" '^restart +other.service +\(/opt/daemon\)'
lacks "$out" app.service
asked
echo "$lines" | grep -q 'try-restart -- other.service' || fail "not restarted: $lines"
expect_status 0 live restore --checkpoint 1 --restart
contains "$out" '^restart +app.service'
lacks "$out" other.service

# By its package: a file of it, and one of nobody's in its folder of configuration.
echo changed >"$root/opt/packaged/data"
expect_status 0 live restore --checkpoint 1 --restart
contains "$out" '^restart +packaged.service +\(/opt/packaged/data\)'
lacks "$out" app.service
echo 'b=2' >"$root/etc/packaged/own.conf"
expect_status 0 live restore --checkpoint 1 --dry-run
contains "$out" '^affected packaged.service +\(/etc/packaged/own.conf\)'
expect_status 0 live restore --checkpoint 1 --restart
contains "$out" '^restart +packaged.service +\(/etc/packaged/own.conf\)'

# What fails is said, and the status is 1; the rest is restored all the same.
edit
touch "$root/tmp/fails-try-restart"
expect_status 1 live restore --checkpoint 1 --restart
contains "$err" '^systracker: app.service was not restarted, .journalctl -u app.service. may say why: systemctl try-restart ended with status 1'
grep -qx 'a=1' "$root/etc/app/app.conf" || fail "not restored"
rm "$root/tmp/fails-try-restart"
edit
touch "$root/tmp/fails-is-active"
expect_status 1 live restore --checkpoint 1 --restart
contains "$err" 'app.service was not restarted.*is-active'
rm "$root/tmp/fails-is-active"
edit
touch "$root/tmp/fails-show"
expect_status 1 live restore --checkpoint 1 --restart
contains "$err" 'cannot tell which services run'
rm "$root/tmp/fails-show"

# Where systemd does not run the system, nothing is changed; without the option nothing is said.
rmdir "$root/run/systemd/system"
edit
asked
expect_status 1 live restore --checkpoint 1 --restart
one_error '--restart needs systemd'
grep -qx 'a=2' "$root/etc/app/app.conf" || fail "something was restored"
expect_status 0 live restore --checkpoint 1
lacks "$out" service
asked
[ -z "$lines" ] || fail "systemctl was asked: $lines"
