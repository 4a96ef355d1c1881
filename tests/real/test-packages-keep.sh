#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# --packages=keep on dpkg: what the checkpoint has is there afterwards, and nothing goes or becomes
# older that need not.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"
. "$ST_SOURCE/tests/real/toys.sh"
need_program dpkg-deb
make_debian
shipped_config
toy toy-lib 1.0
toy toy-lib 2.0
toy toy-app 1.0 'Depends: toy-lib (= 1.0)'
toy toy-new 1.0
toy toy-new 2.0
toy toy-old 1.0
toy toy-left 1.0
toy toy-right 1.0 'Conflicts: toy-left'

# installed NAME_VERSION...: these of the toys.
installed()
{
  # shellcheck disable=SC2016
  in_root dpkg-query -W -f '${Package}_${Version} ${db:Status-Abbrev}\n' 'toy-*' |
    sed -n 's/ ii *$//p' | sort >"$scratch/is"
  printf '%s\n' "$@" | sort | diff - "$scratch/is" || fail "other packages are installed"
}

install_toys toy-lib_1.0 toy-new_2.0 toy-old_1.0
expect_status 0 systracker packages --keep "$debs"
expect_status 0 systracker checkpoint --tag first
in_root dpkg --purge toy-old >"$scratch/dpkg.log"
install_toys toy-lib_2.0 toy-new_1.0 toy-right_1.0

# ---- What is missing comes, what is older becomes newer; nothing else.
expect_status 0 offline restore --checkpoint first --packages=keep --dry-run
contains "$out" '^package toy-old installed 1.0' '^package toy-new 1.0 → 2.0' '^would be: 2 packages'
lacks "$out" '^package toy-(lib|right)'
expect_status 0 offline restore --checkpoint first --packages=keep
installed toy-lib_2.0 toy-new_2.0 toy-old_1.0 toy-right_1.0
expect_status 0 offline restore --checkpoint first --packages=keep
lacks "$out" '^package '

# ---- What the checkpoint's packages need: one of an older version, one that is in conflict gone.
in_root dpkg --purge toy-right >"$scratch/dpkg.log"
install_toys toy-lib_1.0 toy-app_1.0 toy-left_1.0
expect_status 0 systracker checkpoint --tag needs
in_root dpkg --purge toy-app toy-left >"$scratch/dpkg.log"
install_toys toy-lib_2.0 toy-right_1.0
expect_status 0 offline restore --checkpoint needs --packages=keep
contains "$out" '^package toy-app installed 1.0' '^package toy-left installed 1.0' \
  '^package toy-lib 2.0 → 1.0' '^package toy-right removed' '^4 packages'
installed toy-lib_1.0 toy-app_1.0 toy-new_2.0 toy-old_1.0 toy-left_1.0
expect_status 0 offline undo --yes
installed toy-lib_2.0 toy-new_2.0 toy-old_1.0 toy-right_1.0
