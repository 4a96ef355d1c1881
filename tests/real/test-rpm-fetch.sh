#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Package files of rpm that are not kept: fetched by the root's own dnf, and proved by the header that
# the database has.  The root has this machine's programs, and nothing else of it.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/rpm-lab.sh"
need_rpm_lab
need_program dnf
unshare -m true 2>/dev/null || skip "no mount namespaces here"
if [ -z "${INSIDE:-}" ]; then
  INSIDE=1 unshare -m --propagation private sh "$0" && exit 0 || exit $?
fi
make_config
sed -i 's/plugin dpkg_track.*/plugin rpm_track { }/; s|"/usr", ||g' "$config"

# What is installed, and what the machine's programs want to run.
make_rpm_root
lab_install lab-conf-1 lab-links-1 lab-epoch-0.5 lab-doc-1
mv "$root/usr" "$scratch/usr-of-lab"
mkdir -p "$root/usr" "$root/var/tmp" "$root/srv/repo" "$root/etc/rpm" "$root/etc/yum.repos.d"
mount --bind /usr "$root/usr"
at_end "umount '$root/usr'"
cp -r /etc/ld.so.* "$root/etc/"
cp -r /etc/alternatives /etc/python3* "$root/etc/"
echo '%_dbpath /var/lib/rpm' >"$root/etc/rpm/macros"
mkdir -p "$root/etc/dnf"
printf '[main]\ngpgcheck=0\n' >"$root/etc/dnf/dnf.conf"
printf '[lab]\nname=lab\nbaseurl=file:///srv/repo\n' >"$root/etc/yum.repos.d/lab.repo"
# offer NAME-VERSION...: exactly these.
offer()
{
  rm -rf "$root/srv/repo"
  mkdir "$root/srv/repo"
  for each in "$@"; do cp "$(lab_file "$each")" "$root/srv/repo/"; done
  createrepo_c -q "$root/srv/repo" >"$scratch/createrepo.log" 2>&1
  rm -rf "${root:?}/var/cache/dnf"
}
kept() { find "$store/packages" -name '*.rpm' -exec basename {} \; | sed 's/^[0-9a-f]*_//' | sort; }

expect_status 0 systracker checkpoint
offer lab-conf-1 lab-conf-2 lab-epoch-0.5 lab-links-2
expect_status 1 systracker packages --fetch-missing
contains "$out" '^kept        lab-conf 1-1 noarch$' '^kept        lab-epoch 2:0.5-1 noarch$' \
  '^missing     lab-links 1-1 noarch$' '^missing     lab-doc 1-1 noarch$' 'new in the store: 2$'
[ "$(kept | tr '\n' ' ')" = 'lab-conf_1-1_noarch.rpm lab-epoch_2%3a0.5-1_noarch.rpm ' ] ||
  fail "kept: $(kept)"
[ -z "$(find "$root/var/tmp" -name 'systracker-*')" ] || fail "the folder for downloads stays"

# Built again under the same version: another file than is installed, and not taken for it.
spec_file=$scratch/lab-doc.spec
printf '%s\n' 'Name: lab-doc' 'Version: 1' 'Release: 1' 'Summary: Lab' 'License: MIT' \
  'BuildArch: noarch' '%description' 'Another.' '%files' >"$spec_file"
HOME=$lab_home rpmbuild -bb --quiet --define "_topdir $scratch/rpmbuild" \
  --define "_rpmdir $root/srv/repo" --define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
  "$spec_file" >"$scratch/rpmbuild.log" 2>&1 || { cat "$scratch/rpmbuild.log"; fail "rpmbuild"; }
createrepo_c -q "$root/srv/repo" >"$scratch/createrepo.log" 2>&1
rm -rf "${root:?}/var/cache/dnf"
expect_status 1 systracker packages --fetch-missing
contains "$err" 'another build than is installed came: lab-doc 1-1 noarch'
contains "$out" '^missing     lab-doc 1-1 noarch$' 'new in the store: 0$'

# No dnf, no network, no repository: what is missing is said.
rm "$root/etc/yum.repos.d/lab.repo"
expect_status 1 systracker packages --fetch-missing
contains "$out" '^missing     lab-doc 1-1 noarch$'
[ -z "$(find "$root/var/tmp" -name 'systracker-*')" ] || fail "the folder for downloads stays"
