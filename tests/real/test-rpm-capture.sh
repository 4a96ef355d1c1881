#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# rpm's plug-in, under rpm and under dnf: package files are kept as they are installed, in the roots
# that the macro names alone; and whatever becomes of the hook, the transaction goes on.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/rpm-lab.sh"
need_rpm_lab
make_rpm_root
make_config
sed -i 's/plugin dpkg_track.*/plugin rpm_track { }/' "$config"
expect_status 0 systracker checkpoint
plugin=$(find "$ST_STAGE" -name systracker.so -path '*rpm-plugins*')
[ -n "$plugin" ] || fail "rpm's plug-in is not installed"
SYSTRACKER_LIBEXECDIR=$(dirname "$(find "$ST_STAGE" -name systracker-rpm-hook)")
SYSTRACKER_CONFIG=$config
export SYSTRACKER_LIBEXECDIR SYSTRACKER_CONFIG

# serving ROOT...: the macro, as the installed file has it.
macros=$(find "$ST_STAGE" -name macros.systracker)
contains "$macros" '^%__transaction_systracker %{__plugindir}/systracker\.so /$'
{ cat "$lab_home/.rpmmacros"; echo "%__plugindir ${plugin%/*}"; } >"$scratch/rpmmacros"
serving()
{
  cp "$scratch/rpmmacros" "$lab_home/.rpmmacros"
  echo "%__transaction_systracker %{__plugindir}/systracker.so $*" >>"$lab_home/.rpmmacros"
}
# kept NAME-VERSION...: exactly these are kept, each as it is in the repository.
kept()
{
  find "$store/packages" -type f >"$scratch/kept" 2>/dev/null || :
  for each in "$@"; do
    file=$(lab_file "$each")
    digest=$(sha256sum <"$file" | cut -d ' ' -f 1)
    name=$(rpm -qp --qf '%{name}_%{version}-%{release}_%{arch}' "$file" | sed 's/x86_64/x86%5f64/')
    [ -e "$store/packages/$(echo "$digest" | cut -c 1-2)/${digest}_$name.rpm" ] ||
      { cat "$scratch/kept"; fail "not kept: $each"; }
  done
  [ "$(wc -l <"$scratch/kept")" -eq $# ] || { cat "$scratch/kept"; fail "kept: more than $*"; }
}
forget_kept() { rm -rf "${store:?}/packages"; }
installed() { lab_rpm -q "$@" >"$scratch/installed" || fail "not installed: $*"; }

# ---- A root that the macro does not name, and a test: nothing.
serving /
lab_install lab-doc-1
kept
serving "$root"
# shellcheck disable=SC2046
rpm_quietly -i --test $(lab_files lab-conf-1 lab-links-1)
kept
lab_erase lab-doc

# ---- By rpm: installed, upgraded, and again.
lab_install lab-conf-1 lab-links-1
kept lab-conf-1 lab-links-1
lab_upgrade lab-conf-2
kept lab-conf-1 lab-conf-2 lab-links-1
lab_erase lab-links
lab_install lab-links-1
kept lab-conf-1 lab-conf-2 lab-links-1
[ ! -s "$scratch/rpm.log" ] || { cat "$scratch/rpm.log"; fail "something was said"; }
expect_status 0 systracker verify

# ---- By hand: what it is, an .rpm says itself; one that is damaged is not kept.
expect_status 0 systracker checkpoint
expect_status 0 systracker packages
contains "$out" '^kept        lab-conf 2-1 noarch ' '^missing     lab-base 1-1 x86_64$' \
  '^5 installed: the files of 2 are kept, .* 3 are missing$'
expect_status 0 systracker packages --keep "$lab/repo"
contains "$out" '^kept        lab-epoch 2:0.5-1 noarch$'
lacks "$out" 'lab-conf 2-1'
expect_status 0 systracker packages
contains "$out" '^5 installed: the files of 5 are kept, '
forget_kept
base=$(lab_file lab-base-1)
head -c 20000 "$base" >"$scratch/short.rpm"
{ head -c 20000 "$base"; echo; tail -c +20002 "$base"; } >"$scratch/changed.rpm"
head -c 200 "$base" >"$scratch/stump.rpm"
echo text >"$scratch/text.rpm"
for file in short changed stump text; do
  expect_status 1 systracker packages --keep "$scratch/$file.rpm"
done
kept

# ---- What dnf's cache has of installed packages, each checkpoint keeps.
cache=$root/var/cache/dnf/lab-0123456789abcdef/packages
mkdir -p "$cache"
cp "$lab/repo/lab-conf-2-1.noarch.rpm" "$lab/repo/lab-conf-1-1.noarch.rpm" \
  "$lab/repo/lab-links-2-1.noarch.rpm" "$cache/"
cp "$scratch/changed.rpm" "$cache/lab-base-1-1.x86_64.rpm"
cp "$lab/repo/lab-setup-1-1.noarch.rpm" "$cache/lab-filesystem-1-1.noarch.rpm"
expect_status 0 systracker checkpoint
kept lab-conf-2
contains "$scratch/log" 'not kept: the package file is damaged.*/var/cache/.*/lab-base-1' \
  'not kept: it is lab-setup 1-1 noarch ./var/cache/.*/lab-filesystem-1'
lines=$(grep -c 'not kept' "$scratch/log")
expect_status 0 systracker checkpoint
[ "$(grep -c 'not kept' "$scratch/log")" -eq "$lines" ] || fail "read twice"
cp "$base" "$cache/lab-base-1-1.x86_64.rpm"
expect_status 0 systracker checkpoint
kept lab-conf-2 lab-base-1
forget_kept
rm -r "$root/var/cache/dnf"

# ---- A store of the root's own.
forget_kept
mkdir "$scratch/other"
cp -a "$store/key" "$scratch/other/"
serving /nowhere "$root=$scratch/other"
lab_upgrade lab-conf-3
kept
[ "$(find "$scratch/other/packages" -name '*_lab-conf_3-1_noarch.rpm' | wc -l)" -eq 1 ] ||
  fail "not kept in the other store"
serving "$root"

# ---- A full disk.
mkdir "$scratch/small"
mount -t tmpfs -o size=64k tmpfs "$scratch/small" || skip "no tmpfs"
at_end "umount '$scratch/small'"
cp -a "$store/key" "$scratch/small/"
sed 's/^min_free.*/min_free = "0"/' "$config" >"$scratch/small.conf"
SYSTRACKER_CONFIG=$scratch/small.conf
serving "$root=$scratch/small"
lab_upgrade lab-base-2
contains "$scratch/rpm.log" \
  'systracker-rpm-hook: warning: a package file is not kept: lab-base 2-1 .*: No space left on device'
installed lab-base-2
SYSTRACKER_CONFIG=$config

# ---- No hook, one that cannot be started, that fails, that is killed, that does nothing.
# hook CONTENT: in its place.
hook()
{
  mkdir -p "$scratch/libexec"
  printf '%s\n' "$1" >"$scratch/libexec/systracker-rpm-hook"
  chmod 755 "$scratch/libexec/systracker-rpm-hook"
  SYSTRACKER_LIBEXECDIR=$scratch/libexec
}
# goes_on NAME-VERSION WORDS: it is installed, and that is said.
goes_on()
{
  lab_erase "${1%-*}"
  lab_install "$1"
  contains "$scratch/rpm.log" "$2"
  installed "$1"
  kept
}
forget_kept
serving "$root"
rm -rf "$scratch/libexec"
real_hook=$SYSTRACKER_LIBEXECDIR/systracker-rpm-hook
SYSTRACKER_LIBEXECDIR=$scratch/libexec
goes_on lab-links-1 'systracker: package files are not kept: No such file or directory'
hook 'no program'
goes_on lab-links-1 'systracker: package files are not kept: Exec format error'
hook '#!/bin/false'
goes_on lab-links-1 'systracker: package files are not kept: the hook failed'
# Killed when the first file comes, and the second is not there to be sent for.
need_program strace
hook "#!/bin/sh
exec strace -D -f -o '$scratch/strace' -e trace=fsync -e inject=fsync:signal=KILL '$real_hook' \"\$@\""
lab_erase lab-links
lab_install lab-links-1 lab-doc-1 lab-priv-1
installed lab-links-1 lab-doc-1 lab-priv-1
soon grep -q 'killed by SIGKILL' "$scratch/strace" || fail "the hook was not killed"
[ -z "$(find "$store/packages" -name '*.rpm')" ] || fail "kept by a hook that was killed"
forget_kept
hook '#!/bin/sh'
goes_on lab-links-1 'systracker: package files are not kept: Broken pipe'
# shellcheck disable=SC2016
hook '#!/bin/sh
kill -9 $$'
goes_on lab-links-1 'systracker: package files are not kept: the hook failed'
# It stays for longer than rpm waits: that is said, and rpm ends.
hook "#!/bin/sh
exec 3<&0
sleep 3600 <&3 >/dev/null 2>&1 &
echo \$! >>'$scratch/stays'"
at_end "xargs kill <'$scratch/stays' 2>/dev/null"
goes_on lab-links-1 'systracker: package files are still being kept'
SYSTRACKER_LIBEXECDIR=$(dirname "$real_hook")

# A store that is damaged, a configuration that is: each is said.
: >"$store/packages"
lab_erase lab-links
lab_install lab-links-1
contains "$scratch/rpm.log" 'systracker-rpm-hook: warning: package files are not kept: cannot open the packages'
rm "$store/packages"
echo 'nonsense {' >"$scratch/bad.conf"
SYSTRACKER_CONFIG=$scratch/bad.conf goes_on lab-links-1 'systracker: warning: package files are not kept:.*bad.conf'
# There is no store: nothing to keep, nothing to say.
serving "$root=$scratch/none"
lab_erase lab-links
lab_install lab-links-1
[ ! -s "$scratch/rpm.log" ] || { cat "$scratch/rpm.log"; fail "something was said"; }

# ---- By dnf, which tests first: each is kept once.
root=$scratch/dnf-root
forget_kept
serving "$root"
make_dnf_root
kept lab-filesystem-1 lab-setup-1 lab-base-1
lab_dnf install lab-conf-2
kept lab-filesystem-1 lab-setup-1 lab-base-1 lab-conf-2
lab_dnf install --downloadonly lab-doc-1
kept lab-filesystem-1 lab-setup-1 lab-base-1 lab-conf-2
