#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A Debian root's packages put back as they were at a checkpoint, without a network, and undone.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"
. "$ST_SOURCE/tests/real/toys.sh"
need_program dpkg-deb
make_debian
shipped_config
# ---- Packages of our own.
toy toy-lib 1:1.0-1
toy toy-lib 1:2.0-1
toy toy-app 1:1.0-1 'Depends: toy-lib (= 1:1.0-1)'
toy toy-app 1:2.0-1 'Depends: toy-lib (= 1:2.0-1)'
toy toy-left 1.0
# Its script waits as long as it is told to, and says that it does.
dpkg-deb -R "$debs/toy-left_1.0.deb" "$scratch/left"
cat >>"$scratch/left/DEBIAN/postinst" <<'END'
[ ! -e /var/tmp/wait ] || touch /var/tmp/waits
while [ -e /var/tmp/wait ]; do sleep 0.1; done
END
dpkg-deb --root-owner-group -b "$scratch/left" "$debs/toy-left_1.0.deb" >"$scratch/log.1"

# ---- Three nights.
quietly install_in_root hello ed less
install_toys toy-lib_1:1.0-1 toy-app_1:1.0-1 toy-left_1.0
echo 'changed by hand' >>"$root/etc/toy-app.conf"
expect_status 0 systracker checkpoint -m 'the first'
expect_status 0 systracker packages --keep "$root/var/cache/apt/archives" "$debs"
look "$scratch/1"

quietly install_in_root cron bc tree
install_toys toy-lib_1:2.0-1 toy-app_1:2.0-1
in_root dpkg --purge hello >"$scratch/log.1"
in_root dpkg --remove toy-left >"$scratch/log.1"
in_root apt-mark hold less >"$scratch/log.1"
rm -f "$root/etc/toy-app.conf.dpkg-dist"
echo 'changed again' >>"$root/etc/toy-app.conf"
expect_status 0 systracker checkpoint -m 'the second'
look "$scratch/2"

quietly install_in_root hello
in_root dpkg --purge bc toy-left >"$scratch/log.1"
in_root apt-mark unhold less >"$scratch/log.1"
in_root dpkg --remove less >"$scratch/log.1"
rm "$root/etc/toy-lib.conf"
mkdir "$root/opt/new" && echo new >"$root/opt/new/file"
expect_status 0 systracker checkpoint -m 'the third'
look "$scratch/3"

# A package that can be installed only as long as it is allowed to.
toy toy-moody 1.0
mkdir "$scratch/moody"
dpkg-deb -R "$debs/toy-moody_1.0.deb" "$scratch/moody/toy"
printf '#!/bin/sh\n[ -e /var/tmp/allowed ]\n' >"$scratch/moody/toy/DEBIAN/postinst"
dpkg-deb --root-owner-group -b "$scratch/moody/toy" "$debs/toy-moody_1.0.deb" >"$scratch/log.1"
touch "$root/var/tmp/allowed"
install_toys toy-moody_1.0
expect_status 0 systracker packages --keep "$debs/toy-moody_1.0.deb"
expect_status 0 systracker checkpoint --tag moody
look "$scratch/moody.night"
in_root dpkg --purge toy-moody >"$scratch/log.1"
rm "$root/var/tmp/allowed"

# ---- The plan.
all_of_root "$scratch/everything"
expect_status 0 systracker restore --checkpoint 1 --exact --dry-run
contains "$out" '^package toy-app 1:2.0-1 → 1:1.0-1  \(kept\)$' '^package tree removed$' \
  '^package toy-left installed 1.0  \(kept\)$' '^would be: [0-9]+ packages, '
expect_status 0 systracker restore --checkpoint 1 --packages=exact --dry-run --json
contains "$out" '"action": ?"downgrade", ?"package": ?"toy-lib"'
unchanged "by a dry run"

# ---- There, and back.
expect_status 0 offline restore --checkpoint 1 --exact
contains "$err" 'checkpoint 5 made before the restore of 1'
contains "$err" 'checkpoint 6 made after the restore of 1'
equal 1 "restored"
expect_status 0 systracker diff 1
expect_status 0 systracker status
expect_status 0 offline restore --checkpoint 2 --exact
equal 2 "restored"
expect_status 0 systracker diff 2
expect_status 0 offline undo --yes
equal 1 "undone"
expect_status 0 offline undo --yes
equal 2 "undone, and undone again"
contains "$err" 'checkpoint [0-9]+ made after the undo of restore'
expect_status 0 systracker status
expect_status 0 offline restore --checkpoint 3 --exact
equal 3 "restored"
[ ! -e "$root/started" ] || fail "a service was started"
[ ! -e "$root/usr/sbin/policy-rc.d" ] || fail "policy-rc.d stays"

# ---- Killed on the way, while a package's script runs: resumed.
touch "$root/var/tmp/wait"
"$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" restore --checkpoint 1 --exact \
  >"$scratch/killed.log" 2>&1 &
pid=$!
soon [ -e "$root/var/tmp/waits" ] || { cat "$scratch/killed.log"; fail "the script does not run"; }
kill -KILL "$pid"
wait "$pid" || :
rm "$root/var/tmp/wait" "$root/var/tmp/waits"
# Its apt goes on by itself, and is waited for.
expect_status 1 systracker restore --checkpoint 2 --exact
one_error 'a restore was interrupted'
expect_status 0 offline restore --resume
equal 1 "resumed"
expect_status 0 systracker status
[ ! -e "$root/usr/sbin/policy-rc.d" ] || fail "policy-rc.d stays"
expect_status 0 systracker verify

# ---- A script of a package fails: said, and gone on with when its reason is gone.
expect_status 2 offline restore --checkpoint moody --exact
contains "$err" 'apt-get install ended with status 100' 'dpkg --audit says' 'toy-moody' \
  'restore --resume. goes on'
touch "$root/var/tmp/allowed"
expect_status 0 offline restore --resume
equal moody.night "resumed"
expect_status 0 offline undo --yes
equal 1 "undone"
