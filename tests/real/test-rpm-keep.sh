#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# --packages=keep on rpm: what the checkpoint has is there afterwards, and nothing goes or becomes
# older that need not.  Without the option packages stay, with their files; =none takes files alone.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/rpm-lab.sh"
need_rpm_lab
lab_config
sed -i 's|^plugin rpm_track {|plugin rpm_track { dbpath = "/var/lib/rpm"\n|' "$config"
make_rpm_root
# installed NAME-VERSION-RELEASE...: exactly these, beside what every root has.
installed()
{
  lab_rpm -qa --qf '%{name}-%{version}-%{release}\n' |
    grep -vE '^lab-(filesystem|setup|base)-' | sort >"$scratch/is"
  printf '%s\n' "$@" | sort | diff - "$scratch/is" || fail "other packages are installed"
  lab_rpm -Va >"$scratch/verify" 2>&1 || { cat "$scratch/verify"; fail "rpm finds something changed"; }
}

lab_install lab-doc-1 lab-lib-1 lab-links-2 lab-gone-1 lab-priv-1 kernel-lab-1
expect_status 0 systracker packages --keep "$lab/repo"
expect_status 0 systracker checkpoint --tag first
lab_erase lab-gone
lab_upgrade lab-links-1 lab-priv-2 lab-lib-2
lab_install kernel-lab-2 lab-conf-1

# ---- Without the option: they stay, and so do their files.
expect_status 0 systracker restore --checkpoint first
contains "$out" '^keep .*package lab-priv' '^keep .*package lab-conf'
lacks "$out" ' /usr/' '^package '
installed lab-doc-1-1 lab-lib-2-1 lab-links-1-1 lab-priv-2-1 kernel-lab-1-1 kernel-lab-2-1 lab-conf-1-1

# ---- What is missing comes, what is older becomes newer; a configuration file as it was.
expect_status 0 systracker restore --checkpoint first --packages=keep --dry-run
contains "$out" '^package lab-gone installed 1-1' '^package lab-links 1-1 → 2-1' \
  '^would be: 2 packages'
lacks "$out" '^package lab-(priv|lib|conf|doc)' '^package kernel-lab'
expect_status 0 systracker restore --checkpoint first --packages=keep
installed lab-doc-1-1 lab-lib-2-1 lab-links-2-1 lab-priv-2-1 kernel-lab-1-1 kernel-lab-2-1 \
  lab-conf-1-1 lab-gone-1-1
expect_status 0 systracker restore --checkpoint first --packages=keep
lacks "$out" '^package '
expect_status 0 systracker undo --yes
installed lab-doc-1-1 lab-lib-2-1 lab-links-1-1 lab-priv-2-1 kernel-lab-1-1 kernel-lab-2-1 lab-conf-1-1

# ---- What the checkpoint's packages need: one of an older version, one that is in conflict gone.
lab_erase lab-lib
lab_install lab-lib-1 lab-app-1 lab-left-1
expect_status 0 systracker checkpoint --tag needs
lab_erase lab-app lab-left
lab_upgrade lab-lib-3
lab_install lab-right-1 lab-old-1
expect_status 0 systracker restore --checkpoint needs --packages=keep
contains "$out" '^package lab-app installed 1-1' '^package lab-left installed 1-1' \
  '^package lab-lib 3-1 → 1-1' '^package lab-right removed' '^4 packages'
installed lab-doc-1-1 lab-lib-1-1 lab-links-1-1 lab-priv-2-1 kernel-lab-1-1 kernel-lab-2-1 \
  lab-conf-1-1 lab-app-1-1 lab-left-1-1 lab-old-1-1

# ---- Files alone: as the checkpoint has them, whatever the database says.
expect_status 0 systracker restore --checkpoint first --packages=none
contains "$out" '^replace  /usr/bin/lab-suid  ' '^create   /usr/share/lab-gone/version  '
lab_rpm -q lab-priv-2 >"$scratch/query" || fail "packages were changed"
lab_rpm -V lab-priv >"$scratch/query" && fail "its files were not put back"

expect_status 2 systracker restore --checkpoint first --packages=keep /etc/lab
one_error 'for a whole restore, without PATH'
