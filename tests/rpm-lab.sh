# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154
# rpm-lab.sh - small rpm packages of every kind, and roots made of them; sourced after functions.sh.
#
# The packages are built once by rpmbuild, made a repository by createrepo_c, and kept below
# $ST_CACHE.  Nothing in them comes from elsewhere, but the shell and a few tools of this machine,
# which scriptlets run.
#
#   need_rpm_lab           builds the packages where they are not there yet: $lab/repo
#   lab_file NAME-VERSION  the package file of one; lab_files: of several
#   make_rpm_root          $root: a database and what every root here has, by rpm
#   make_dnf_root          the same by dnf
#   lab_rpm ARGUMENT...    rpm on $root; lab_dnf ARGUMENT...: dnf, with a configuration of its own
#   lab_night N rpm|dnf    from the root of the night before to night N (1, 2, 3)
#   lab_config             the shipped configuration, for a root of rpm's
#   lab_capture            from here on rpm and dnf have the package files of $root kept in $store
#   look_at_rpm FILE       what rpm says of $root: FILE.packages, FILE.verify
#   look_at_lab FILE       the same, and FILE: every entry, but of rpm's and dnf's own
#
# rpm's macros of a test are in $lab_home/.rpmmacros; a test may append to it.

lab_home=$scratch/lab-home
lab_keys=$ST_SOURCE/tests/fixtures

# ---- Specs -----------------------------------------------------------------------------------

# spec 'VERSION...' NAME [native] [TAG-LINE...]: %install, %files and scriptlets on standard input;
# @V@ is the version.
spec()
{
  spec_versions=$1 spec_name=$2 spec_arch='BuildArch: noarch'
  shift 2
  [ "${1:-}" != native ] || { spec_arch=''; shift; }
  cat >"$lab_new/body"
  for spec_version in $spec_versions; do
    {
      printf 'Name: %s\nVersion: %s\nRelease: 1\nSummary: Lab\nLicense: MIT\nAutoReqProv: no\n' \
        "$spec_name" "$spec_version"
      for line in "$spec_arch" "$@"; do printf '%s\n' "$line"; done
      printf '%%description\nLab.\n'
      cat "$lab_new/body"
    } | sed "s/@V@/$spec_version/g" >"$lab_new/specs/$spec_name-$spec_version.spec"
  done
}

# What a root needs for scriptlets: folders, accounts, a shell.
base_specs()
{
  spec '1 2' lab-filesystem <<'END'
%install
cd %{buildroot}
mkdir -p boot dev etc opt proc root run srv sys tmp usr/bin usr/sbin usr/lib usr/lib64 \
  usr/share usr/local/bin var/cache var/lib/rpm var/log var/tmp
for folder in bin sbin lib lib64; do ln -s usr/$folder $folder; done
printf 'ID=lab\nID_LIKE=fedora\nVERSION_ID=@V@\nPRETTY_NAME="Lab @V@"\n' >usr/lib/os-release
ln -s ../usr/lib/os-release etc/os-release
%files
%dir /boot
%dir /dev
%dir /etc
%dir /opt
%attr(555,root,root) %dir /proc
%attr(550,root,root) %dir /root
%dir /run
%dir /srv
%attr(555,root,root) %dir /sys
%attr(1777,root,root) %dir /tmp
%dir /usr
%dir /usr/bin
%dir /usr/sbin
%dir /usr/lib
%dir /usr/lib64
%dir /usr/share
%dir /usr/local
%dir /usr/local/bin
%dir /var
%dir /var/cache
%dir /var/lib
%dir /var/log
%attr(1777,root,root) %dir /var/tmp
/bin
/sbin
/lib
/lib64
/usr/lib/os-release
/etc/os-release
END
  spec 1 lab-setup 'Requires: lab-filesystem' <<'END'
%install
mkdir -p %{buildroot}/etc
cd %{buildroot}/etc
printf 'root:x:0:0:root:/root:/bin/sh\nbin:x:1:1::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n' >passwd
printf 'root:x:0:\nbin:x:1:\nmail:x:12:\nnobody:x:65534:\n' >group
printf 'root:*:19000:0:99999:7:::\nbin:*:19000:0:99999:7:::\n' >shadow
%files
%config(noreplace) /etc/passwd
%config(noreplace) /etc/group
%attr(600,root,root) %config(noreplace) /etc/shadow
END
  spec '1 2' lab-base native 'Requires: lab-filesystem' 'Provides: /bin/sh' <<'END'
%install
mkdir -p %{buildroot}/usr/bin
for tool in sh cat chmod cp ln mkdir rm touch; do
  program=$(readlink -f "$(command -v $tool)")
  cp "$program" %{buildroot}/usr/bin/$tool
  ldd "$program"
done | grep -o '/[^ ]*' | sort -u | while read -r library; do
  case $library in /usr/*) ;; *) library=/usr$library ;; esac
  mkdir -p "%{buildroot}${library%%/*}"
  cp -L "$library" "%{buildroot}$library"
done
echo @V@ >%{buildroot}/usr/bin/lab-base.version
find %{buildroot} -type f -printf '/%%P\n' >files.base.@V@
%files -f files.base.@V@
END
}

file_specs()
{
  spec '1 2 3' lab-conf <<'END'
%install
mkdir -p %{buildroot}/etc/lab/conf.d %{buildroot}/usr/share/lab-conf
cd %{buildroot}/etc/lab
printf 'version = @V@\ncolour = blue\n' >plain.conf
printf 'version = @V@\ncolour = green\n' >keep.conf
printf 'the same in all\n' >same.conf
printf 'state @V@\n' >state
printf 'password = @V@\n' >secret.conf
touch ghost.conf conf.d/missing.conf
printf 'default @V@\n' >%{buildroot}/usr/share/lab-conf/default
%files
%dir /etc/lab
%dir /etc/lab/conf.d
%config /etc/lab/plain.conf
%config(noreplace) /etc/lab/keep.conf
%config(noreplace) /etc/lab/same.conf
%verify(not filedigest size mtime) %config(noreplace) /etc/lab/state
%attr(640,root,mail) %config(noreplace) /etc/lab/secret.conf
%config(missingok) /etc/lab/conf.d/missing.conf
%ghost %config /etc/lab/ghost.conf
/usr/share/lab-conf
END
  spec '1 2' lab-priv <<'END'
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/usr/share/lab-priv/drop
for name in cap suid sgid; do echo "$name @V@" >%{buildroot}/usr/bin/lab-$name; done
echo same >%{buildroot}/usr/bin/lab-same
%files
%caps(cap_net_raw,cap_net_admin=ep) %attr(755,root,root) /usr/bin/lab-cap
%attr(4755,root,root) /usr/bin/lab-suid
%attr(2755,root,mail) /usr/bin/lab-sgid
%caps(cap_setgid=ep) %attr(750,bin,mail) /usr/bin/lab-same
%attr(3770,root,mail) %dir /usr/share/lab-priv/drop
END
  spec '1 2' lab-links <<'END'
%install
mkdir -p %{buildroot}/usr/share/lab-links/other %{buildroot}/usr/bin
cd %{buildroot}/usr/share/lab-links
echo "hard @V@" >one
ln one two
ln one other/three
echo "pair" >pair-a
ln pair-a pair-b
ln -s one soft-@V@
ln -s one soft
ln -s /usr/share/lab-links/two absolute
ln -s nowhere dangling
ln -s other folder
ln -s ../share/lab-links/one %{buildroot}/usr/bin/lab-link
%files
/usr/share/lab-links
/usr/bin/lab-link
END
  spec '1 2' lab-doc <<'END'
%install
mkdir -p "%{buildroot}/usr/share/lab-doc/with space" %{buildroot}/usr/share/doc/lab-doc
cd %{buildroot}/usr/share/lab-doc
echo "@V@" >"with space/a b"
echo "@V@" >'ümlaut'
: >empty
echo "read me @V@" >../doc/lab-doc/README
head -c 100000 /dev/zero | tr '\0' '@V@' >large
seq 1 40 | while read -r n; do mkdir -p deep/$n && echo "$n" >deep/$n/file; done
chmod 444 large
%files
%dir /usr/share/lab-doc
"/usr/share/lab-doc/with space"
"/usr/share/lab-doc/ümlaut"
/usr/share/lab-doc/empty
/usr/share/lab-doc/deep
%attr(444,root,root) /usr/share/lab-doc/large
%doc /usr/share/doc/lab-doc/README
END
  # What is a file and what is a symlink changes places.
  spec 1 lab-types <<'END'
%install
mkdir -p %{buildroot}/usr/share/lab-types
cd %{buildroot}/usr/share/lab-types
echo "file 1" >a
ln -s a b
%files
/usr/share/lab-types
END
  spec 2 lab-types <<'END'
%install
mkdir -p %{buildroot}/usr/share/lab-types
cd %{buildroot}/usr/share/lab-types
echo "file 2" >b
ln -s b a
%files
/usr/share/lab-types
END
  for name in a b; do
    spec 1 "lab-shared-$name" <<END
%install
mkdir -p %{buildroot}/usr/share/lab-shared
cd %{buildroot}/usr/share/lab-shared
echo shared >both
touch -d 2024-01-01 both
echo $name >$name
%files
/usr/share/lab-shared
END
  done
}

relation_specs()
{
  spec '1 2 3' lab-lib 'Provides: lab-lib(api) = @V@' <<'END'
%install
mkdir -p %{buildroot}/usr/lib/lab
echo @V@ >%{buildroot}/usr/lib/lab/version
%files
/usr/lib/lab
END
  spec '1 2 3' lab-app 'Requires: lab-lib(api) = @V@' <<'END'
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc
printf '#!/bin/sh\necho @V@\n' >%{buildroot}/usr/bin/lab-app
echo 'app = @V@' >%{buildroot}/etc/lab-app.conf
%files
%attr(755,root,root) /usr/bin/lab-app
%config(noreplace) /etc/lab-app.conf
END
  # Several versions at once, for rpm -i and for dnf.
  spec '1 2 3' kernel-lab 'Provides: kernel = @V@' 'Provides: installonlypkg(kernel)' <<'END'
%install
mkdir -p %{buildroot}/boot %{buildroot}/usr/lib/modules/@V@
echo "kernel @V@" >%{buildroot}/boot/vmlinuz-@V@
echo "module @V@" >%{buildroot}/usr/lib/modules/@V@/lab.ko
%files
/boot/vmlinuz-@V@
/usr/lib/modules/@V@
END
  simple 1 lab-old
  simple 2 lab-new 'Obsoletes: lab-old < 2' 'Provides: lab-old = 2'
  simple 1 lab-left
  simple 1 lab-right 'Conflicts: lab-left'
  simple 1.0 lab-epoch 'Epoch: 1'
  simple 0.5 lab-epoch 'Epoch: 2'
  simple '1 2' lab-gone
  simple 2 lab-late
  simple 1 lab-broken 'Requires: lab-nowhere'
  # A file that goes over to another package.
  spec 1 lab-split <<'END'
%install
mkdir -p %{buildroot}/usr/share/lab-split
echo main >%{buildroot}/usr/share/lab-split/main
echo data 1 >%{buildroot}/usr/share/lab-split/data
%files
/usr/share/lab-split
END
  spec 2 lab-split 'Requires: lab-split-data = 2' <<'END'
%install
mkdir -p %{buildroot}/usr/share/lab-split
echo main >%{buildroot}/usr/share/lab-split/main
%files
%dir /usr/share/lab-split
/usr/share/lab-split/main
END
  spec 2 lab-split-data <<'END'
%install
mkdir -p %{buildroot}/usr/share/lab-split
echo data 2 >%{buildroot}/usr/share/lab-split/data
%files
%dir /usr/share/lab-split
/usr/share/lab-split/data
END
  spec 1 lab-huge <<'END'
%install
mkdir -p %{buildroot}/usr/share/lab-huge
truncate -s 300M %{buildroot}/usr/share/lab-huge/huge
%files
/usr/share/lab-huge
END
}

# simple 'VERSION...' NAME [TAG-LINE...]: one file and one configuration file.
simple()
{
  simple_versions=$1 simple_name=$2
  shift 2
  spec "$simple_versions" "$simple_name" "$@" <<END
%install
mkdir -p %{buildroot}/usr/share/$simple_name %{buildroot}/etc
echo @V@ >%{buildroot}/usr/share/$simple_name/version
echo 'version = @V@' >%{buildroot}/etc/$simple_name.conf
%files
/usr/share/$simple_name
%config(noreplace) /etc/$simple_name.conf
END
}

script_specs()
{
  spec '1 2' lab-script <<'END'
%install
mkdir -p %{buildroot}/usr/share/lab-script
echo @V@ >%{buildroot}/usr/share/lab-script/version
%files
/usr/share/lab-script
%pretrans -p <lua>
f = io.open("/var/log/lab.log", "a")
if f then f:write("pretrans lab-script @V@\n") f:close() end
%pre
echo "pre lab-script @V@ $1" >>/var/log/lab.log
%post
echo "post lab-script @V@ $1" >>/var/log/lab.log
echo "made by the scriptlet of @V@" >/etc/lab-script.made
%preun
echo "preun lab-script @V@ $1" >>/var/log/lab.log
%postun
echo "postun lab-script @V@ $1" >>/var/log/lab.log
[ "$1" -gt 0 ] || rm -f /etc/lab-script.made
%posttrans
echo "posttrans lab-script @V@ $1" >>/var/log/lab.log
END
  # An account of its own, which stays when the package goes.
  spec '1 2' lab-daemon <<'END'
%install
mkdir -p %{buildroot}/etc %{buildroot}/usr/share/labd %{buildroot}/var/lib/labd
echo 'version = @V@' >%{buildroot}/etc/labd.conf
echo @V@ >%{buildroot}/usr/share/labd/version
%files
%attr(640,root,labd) %config(noreplace) /etc/labd.conf
%attr(644,labd,labd) /usr/share/labd/version
%attr(755,labd,labd) %dir /usr/share/labd
%attr(700,labd,labd) %dir /var/lib/labd
%pre
case $(cat /etc/group) in *labd:*) ;; *) echo 'labd:x:90:' >>/etc/group ;; esac
case $(cat /etc/passwd) in *labd:*) ;; *) echo 'labd:x:90:90::/:/bin/false' >>/etc/passwd ;; esac
END
  spec '1 2' lab-trigger <<'END'
%install
mkdir -p %{buildroot}/usr/share/lab-trigger
echo @V@ >%{buildroot}/usr/share/lab-trigger/version
%files
/usr/share/lab-trigger
%triggerin -- lab-lib
echo "triggerin @V@ $1 $2" >>/var/log/lab.log
cat /usr/lib/lab/version >/etc/lab-trigger.made
%triggerun -- lab-lib
echo "triggerun @V@ $1 $2" >>/var/log/lab.log
%triggerpostun -- lab-lib
echo "triggerpostun @V@ $1 $2" >>/var/log/lab.log
%filetriggerin -- /usr/lib/lab /usr/lib/modules
while read -r file; do echo "filetriggerin @V@ $file" >>/var/log/lab.log; done
%transfiletriggerin -- /usr/lib/lab /usr/lib/modules
cat >/var/cache/lab-trigger.files
END
  # It can be installed, and removed, only as long as that is allowed.
  spec 1 lab-moody <<'END'
%install
mkdir -p %{buildroot}/usr/share/lab-moody
echo @V@ >%{buildroot}/usr/share/lab-moody/version
%files
/usr/share/lab-moody
%pre
[ -e /var/tmp/allowed ]
%preun
[ -e /var/tmp/allowed ]
END
}

# ---- Building --------------------------------------------------------------------------------

build_spec()
{
  HOME=$lab_home rpmbuild -bb --quiet --define "_topdir $2" --define "_rpmdir $2/repo" \
    --define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
    --define '__os_install_post %{nil}' --define 'debug_package %{nil}' \
    --define '_build_id_links none' "$1"
}

# make_lab FOLDER
make_lab()
{
  lab_new=$1.$$
  mkdir -p "$lab_new/specs" "$lab_new/repo" "$lab_new/BUILD"
  base_specs
  file_specs
  relation_specs
  script_specs
  for each in "$lab_new"/specs/*.spec; do
    build_spec "$each" "$lab_new" >"$scratch/rpmbuild.log" 2>&1 </dev/null ||
      { tail -n 20 "$scratch/rpmbuild.log"; rm -rf "$lab_new"; fail "rpmbuild ${each##*/}"; }
  done
  createrepo_c -q "$lab_new/repo" >"$scratch/createrepo.log" 2>&1 ||
    { cat "$scratch/createrepo.log"; rm -rf "$lab_new"; fail "createrepo_c"; }
  rm -rf "$lab_new/BUILD" "$lab_new/BUILDROOT" "$lab_new/body"
  mv "$lab_new" "$1"
}

need_rpm_lab()
{
  need_root "rpm"
  for program in rpm rpmbuild createrepo_c flock; do need_program "$program"; done
  mkdir -p "$lab_home" "$ST_CACHE"
  # Debian's rpm has the database in the home folder, and its plug-ins nowhere.
  printf '%%_dbpath /var/lib/rpm\n' >"$lab_home/.rpmmacros"
  # Other specs, another rpm: another lab.
  lab=$ST_CACHE/rpm-lab-$({ rpm --version; cat "$ST_SOURCE/tests/rpm-lab.sh"; } | sha256sum |
    cut -c 1-16)
  (
    flock 8
    [ -d "$lab" ] || make_lab "$lab"
  ) 8>"$ST_CACHE/rpm-lab.lock" || exit 1
}

lab_file()
{
  found=$(find "$lab/repo" -name "$1-1.*.rpm")
  [ -f "$found" ] || fail "the lab has no package $1"
  printf '%s\n' "$found"
}
lab_files() { for each in "$@"; do lab_file "$each"; done; }

# ---- Roots -----------------------------------------------------------------------------------

lab_rpm() { HOME=$lab_home rpm --force-debian --root "$root" "$@"; }

# rpm_quietly ARGUMENT...: it is said what went wrong only.
rpm_quietly()
{
  check_scratch "$root"
  lab_rpm "$@" >"$scratch/rpm.log" 2>&1 || { cat "$scratch/rpm.log"; fail "rpm $*"; }
}

# lab_install, lab_upgrade NAME-VERSION...; lab_erase NAME[-VERSION]...: by rpm.
# shellcheck disable=SC2046
lab_install() { rpm_quietly -i $(lab_files "$@"); }
# shellcheck disable=SC2046
lab_upgrade() { rpm_quietly -U --oldpackage $(lab_files "$@"); }
lab_erase() { rpm_quietly -e "$@"; }
# lab_import N, lab_forget N: a public key of the lab.
lab_import() { HOME=$lab_home rpmkeys --root "$root" --import "$lab_keys/lab-$1.asc"; }
lab_forget()
{
  lab_erase "$(lab_rpm -q gpg-pubkey --qf '%{name}-%{version}-%{release} %{summary}\n' |
    sed -n "s/ .*Lab $1.*//p")"
}

make_rpm_root()
{
  check_scratch "$root"
  mkdir -p "$root"
  HOME=$lab_home rpm --root "$root" --initdb
  lab_install lab-filesystem-1 lab-setup-1 lab-base-1
}

make_dnf_root()
{
  need_program dnf
  check_scratch "$root"
  mkdir -p "$root" "$scratch/dnf/repos" "$scratch/dnf/plugins"
  cat >"$scratch/dnf/dnf.conf" <<END
[main]
gpgcheck=0
keepcache=1
cachedir=$scratch/dnf/cache
logdir=/var/log
persistdir=/var/lib/dnf
reposdir=$scratch/dnf/repos
pluginpath=$scratch/dnf/plugins
pluginconfpath=$scratch/dnf/plugins
varsdir=$scratch/dnf/vars
installonly_limit=0
[lab]
name=lab
baseurl=file://$lab/repo
END
  lab_dnf install lab-filesystem-1 lab-setup-1 lab-base-1
}

# Nobody is asked; what it says is shown when it fails.
lab_dnf()
{
  check_scratch "$root"
  HOME=$lab_home dnf -q -y --config "$scratch/dnf/dnf.conf" --installroot "$root" --releasever 1 \
    --setopt=module_platform_id=platform:lab "$@" >"$scratch/dnf.log" 2>&1 </dev/null ||
    { cat "$scratch/dnf.log"; fail "dnf $*"; }
}

# ---- Nights ----------------------------------------------------------------------------------

lab_night()
{
  case $1-$2 in
  1-rpm)
    lab_install lab-conf-1 lab-lib-1 lab-app-1 lab-priv-1 lab-links-1 lab-doc-1 lab-script-1 \
      lab-daemon-1 lab-trigger-1 lab-old-1 lab-left-1 lab-epoch-1.0 lab-gone-1 lab-split-1 \
      lab-shared-a-1 lab-shared-b-1 lab-types-1 kernel-lab-1
    lab_import 1
    ;;
  1-dnf)
    lab_dnf install lab-conf-1 lab-lib-1 lab-app-1 lab-priv-1 lab-links-1 lab-doc-1 lab-script-1 \
      lab-daemon-1 lab-trigger-1 lab-old-1 lab-left-1 lab-epoch-1:1.0 lab-gone-1 lab-split-1 \
      lab-shared-a lab-shared-b lab-types-1 kernel-lab-1
    lab_import 1
    ;;
  2-rpm)
    lab_upgrade lab-filesystem-2 lab-base-2 lab-conf-2 lab-lib-2 lab-app-2 lab-priv-2 lab-links-2 \
      lab-doc-2 lab-script-2 lab-daemon-2 lab-trigger-2 lab-new-2 lab-epoch-0.5 lab-split-2 \
      lab-split-data-2 lab-types-2 lab-late-2
    lab_install kernel-lab-2
    lab_erase lab-gone lab-left
    lab_install lab-right-1
    lab_import 2
    ;;
  2-dnf)
    lab_dnf upgrade lab-filesystem-2 lab-base-2 lab-conf-2 lab-lib-2 lab-app-2 lab-priv-2 \
      lab-links-2 lab-doc-2 lab-script-2 lab-daemon-2 lab-trigger-2 lab-old lab-epoch lab-split \
      lab-types
    lab_dnf install kernel-lab-2 lab-late
    lab_dnf remove lab-gone lab-left
    lab_dnf install lab-right
    lab_import 2
    ;;
  3-rpm)
    lab_upgrade lab-conf-3 lab-lib-3 lab-app-3 lab-doc-1
    lab_install kernel-lab-3
    lab_erase kernel-lab-1-1 lab-late lab-right lab-daemon
    lab_install lab-gone-2 lab-left-1
    lab_forget 1
    ;;
  3-dnf)
    lab_dnf upgrade lab-conf lab-lib lab-app
    lab_dnf downgrade lab-doc-1
    lab_dnf install kernel-lab-3
    lab_dnf remove kernel-lab-1 lab-late lab-right lab-daemon
    lab_dnf install lab-gone-2 lab-left
    lab_forget 1
    ;;
  *) fail "no night $1 by $2" ;;
  esac
}

# ---- SysTracker ------------------------------------------------------------------------------

lab_config()
{
  sed '/^log *=/d; /^store *=/d; /^plugin command_track/,/^}/d; /^plugin dpkg_track/,/^}/d' \
    "$ST_CONFIG" >"$config"
  printf 'store = "%s"\nlog = "%s"\n' "$store" "$scratch/log" >>"$config"
  grep -q '^plugin rpm_track' "$config" || echo 'plugin rpm_track { }' >>"$config"
}

lab_capture()
{
  plugin=$(find "$ST_STAGE" -name systracker.so -path '*rpm-plugins*')
  [ -n "$plugin" ] || fail "rpm's plug-in is not installed"
  SYSTRACKER_LIBEXECDIR=$(dirname "$(find "$ST_STAGE" -name systracker-rpm-hook)")
  SYSTRACKER_CONFIG=$config
  export SYSTRACKER_LIBEXECDIR SYSTRACKER_CONFIG
  cat >"$lab_home/.rpmmacros" <<END
%_dbpath /var/lib/rpm
%__plugindir ${plugin%/*}
%__transaction_systracker %{__plugindir}/systracker.so $root=$store
END
}

# What rpm knows, and what it finds changed; the times of installation are left out.
look_at_rpm()
{
  lab_rpm -qa --qf '%{NAME} %{EPOCH}:%{VERSION}-%{RELEASE} %{ARCH} %{SHA256HEADER} %{SUMMARY}\n' |
    sort >"$1.packages"
  lab_rpm -Va 2>&1 | sort >"$1.verify" || :
}

# Times of directories are no facts; rpm's database, logs and caches are no part of it.
look_at_lab()
{
  look_at_rpm "$1"
  "$ST_BUILD/tests/list-tree" "$root" >"$1.all" || fail "the root cannot be listed"
  grep -vE '^/?(var/(lib/(rpm|dnf)|log|cache|tmp)|proc|dev|tmp)(/| |$)' "$1.all" >"$1"
  [ "$(wc -l <"$1")" -gt 50 ] || fail "the comparison saw too little"
}
