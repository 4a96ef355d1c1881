#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Package files that are not kept: fetched from the root's own sources before anything is changed,
# by file and over HTTP on loopback; and refused, soon, where they do not come.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"
. "$ST_SOURCE/tests/real/toys.sh"
need_program dpkg-deb
make_debian
shipped_config
canary='canary-5d0c11e8'

# offer FOLDER NAME_VERSION...: a repository within the root of these and no others.
offer()
{
  repository=$root$1
  shift
  check_scratch "$repository"
  rm -rf "$repository"
  mkdir -p "$repository"
  for name in "$@"; do
    cp "$debs/$name.deb" "$repository/"
    dpkg-deb -f "$debs/$name.deb" >>"$repository/Packages"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$name.deb" "$(stat -c %s "$debs/$name.deb")" \
      "$(sha256sum "$debs/$name.deb" | cut -d ' ' -f 1)" >>"$repository/Packages"
  done
}
for version in 1.0 2.0; do toy toy-app "$version"; done
toy toy-lib 1.0
toy toy-new 1.0
toy toy-nowhere 1.0
install_toys toy-app_1.0 toy-lib_1.0
expect_status 0 systracker checkpoint --tag first
look "$scratch/first"
in_root dpkg --purge toy-lib >"$scratch/dpkg.log"
install_toys toy-app_2.0 toy-new_1.0
expect_status 0 systracker packages --keep "$debs/toy-app_2.0.deb"
expect_status 0 systracker checkpoint --tag second
look "$scratch/second"
none_kept_but()
{
  for file in "$store"/packages/*/*.deb; do
    case $file in *"_$1_"*) ;; *) rm "$file" ;; esac
  done
}

# ---- Nobody has them: each is named.
echo 'deb [trusted=yes] file:/var/tmp/repository ./' >"$root/etc/apt/sources.list"
rm -rf "${root:?}"/var/lib/apt/lists/*
expect_status 0 systracker checkpoint --tag sources
look "$scratch/sources"
all_of_root "$scratch/everything"
expect_status 1 offline restore --checkpoint first --packages=exact
contains "$out" '^package toy-app 2.0 → 1.0  \(missing\)$'
contains "$err" 'package toy-app: 1.0 is not kept, and the root.s own sources do not have it' \
  'package toy-lib: 1.0 is not kept'
unchanged "of which no package is to be had"

# ---- By file: what undo needs, too.
offer /var/tmp/repository toy-app_1.0 toy-lib_1.0 toy-new_1.0
in_root apt-get -qq update
all_of_root "$scratch/everything"
expect_status 0 offline restore --checkpoint first --packages=exact --dry-run
contains "$out" '^package toy-app 2.0 → 1.0  \(to be fetched from its own sources\)$'
expect_status 0 offline restore --checkpoint first --packages=exact --dry-run --json
contains "$out" '"file": ?"obtainable"'
unchanged "by a dry run"
[ -z "$(find "$store/packages" -name '*toy-lib*')" ] || fail "a dry run fetched"
expect_status 0 offline restore --checkpoint first --packages=exact
[ "$(find "$store/packages" -name '*toy-*.deb' | wc -l)" = 4 ] || fail "not all are kept now"
expect_status 0 offline restore --checkpoint first --exact
equal first "restored"
rm -r "$root/var/tmp/repository"
expect_status 0 offline undo
expect_status 0 offline restore --checkpoint second --exact
equal second "restored, all kept now"

# ---- What comes is not what was promised: refused, and not kept.
expect_status 0 offline restore --checkpoint sources --exact
none_kept_but toy-app_2.0
offer /var/tmp/repository toy-app_1.0 toy-lib_1.0 toy-new_1.0
in_root apt-get -qq update
truncate -s -10 "$root/var/tmp/repository/toy-lib_1.0.deb"
expect_status 1 offline restore --checkpoint first --packages=exact
contains "$err" 'package toy-lib: 1.0 is not kept, and did not come from the root.s own sources' \
  'restore refused, nothing was changed'
[ -z "$(find "$store/packages" -name '*toy-lib*')" ] || fail "what was cut off is kept"
[ -z "$(find "$root/var/tmp" -name 'systracker-*')" ] || fail "the folder for downloads stays"

# ---- What undo needs does not come.
none_kept_but toy-app_2.0
offer /var/tmp/repository toy-app_1.0 toy-lib_1.0
in_root apt-get -qq update
expect_status 1 offline restore --checkpoint first --packages=exact
one_error 'package toy-new: undo could not install 1.0 again' '--no-undo'

# ---- Over HTTP, with a password that nobody is to see; then without a network.
need_program python3
none_kept_but toy-app_2.0
offer /var/tmp/http toy-app_1.0 toy-lib_1.0 toy-new_1.0
echo 'deb [trusted=yes] http://127.0.0.1:8099/ ./' >"$root/etc/apt/sources.list"
echo "machine http://127.0.0.1 login somebody password $canary" >"$root/etc/apt/auth.conf"
# served COMMAND...: in a network of its own, where nothing but the repository is.
served()
{
  # shellcheck disable=SC2016
  unshare -n sh -c '
    ip link set lo up
    python3 -m http.server --bind 127.0.0.1 --directory "$0" 8099 >/dev/null 2>&1 &
    pid=$!
    while ! python3 -c "import socket; socket.create_connection((\"127.0.0.1\", 8099))" 2>/dev/null
    do kill -0 $pid || exit 99; done
    status=0
    "$@" || status=$?
    kill $pid
    exit $status' "$root/var/tmp/http" "$@"
}
serve_restore()
{
  served "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" restore "$@"
}
served unshare -m chroot "$root" apt-get -qq update
expect_status 1 offline restore --checkpoint first --packages=exact
contains "$err" 'package toy-app: 1.0 is not kept, and did not come'
lacks "$err" "$canary"
expect_status 0 serve_restore --checkpoint first --packages=exact
contains "$out" 'to be fetched from its own sources'
! grep -aqF "$canary" "$out" "$err" "$scratch/log" || fail "the password was said"
expect_status 0 systracker verify
