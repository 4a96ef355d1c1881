# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154
# debian.sh - a Debian root to work on; sourced after functions.sh.
#
# Made once by debootstrap from the mirror that this machine's own apt is set to, with the packages
# that the tests install fetched into its cache of packages; kept below $ST_CACHE, and copied.

first_packages='hello ed less'
more_packages='cron bc tree'

# For a root of more than 250 packages: what they want comes along.
larger_packages='systemd-sysv udev dbus openssh-server git vim man-db python3 rsync curl nginx-light cron
  logrotate bash-completion file xz-utils bzip2 locales gnupg ca-certificates sudo less nano lsof
  strace gcc make libc6-dev iproute2 netbase procps psmisc wget unzip zip jq exim4-daemon-light
  at groff w3m pciutils'

# mirror: its address and the release's name.
mirror()
{
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' 2>/dev/null |
    awk -v c="$codename" '($2 == c || $3 == c) && $NF == "main" { print $1, c; exit }'
}

# run_in ROOT COMMAND...: in a mount namespace, with what a package's scripts expect.
run_in()
{
  where=$1
  shift
  # shellcheck disable=SC2016
  unshare -m sh -c '
    mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
    exec chroot "$0" /usr/bin/env -i \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root \
      DEBIAN_FRONTEND=noninteractive "$@"' "$where" "$@" </dev/null
}
in_root() { run_in "$root" "$@"; }

make_debian()
{
  need_root "debootstrap"
  need_program debootstrap
  unshare -m true 2>/dev/null || skip "no mount namespaces here"
  found=$(mirror)
  [ -n "$found" ] || skip "this machine's apt has no Debian mirror"
  base=${found#* }-$(dpkg --print-architecture)
  mkdir -p "$ST_CACHE"
  (
    flock 8
    [ -d "$ST_CACHE/$base" ] || make_base "${found% *}" "${found#* }"
  ) 8>"$ST_CACHE/lock"
  check_scratch "$root"
  cp -a --reflink=auto "$ST_CACHE/$base" "$root"
}

# A root with the larger packages, and their files in its cache of packages.
make_larger_debian()
{
  make_debian
  larger=$ST_CACHE/${found#* }-$(dpkg --print-architecture)-larger
  (
    flock 8
    [ -d "$larger" ] || make_larger
  ) 8>"$ST_CACHE/lock"
  check_scratch "$root"
  rm -rf --one-file-system "$root"
  cp -a --reflink=auto "$larger" "$root"
}

make_larger()
{
  new=$ST_CACHE/new.$$
  cp -a --reflink=auto "$root" "$new"
  # shellcheck disable=SC2086
  run_in "$new" apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 \
    -o APT::Keep-Downloaded-Packages=true install $larger_packages >"$scratch/larger.log" 2>&1 ||
    { tail -n 5 "$scratch/larger.log"; rm -rf --one-file-system "$new"; fail "apt-get in the root"; }
  mv "$new" "$larger"
}

# make_base MIRROR RELEASE
make_base()
{
  new=$ST_CACHE/new.$$
  debootstrap --variant=minbase "$2" "$new" "$1" >"$scratch/debootstrap.log" 2>&1 ||
    { tail -n 5 "$scratch/debootstrap.log"; rm -rf --one-file-system "$new"; fail "debootstrap"; }
  printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"
  chmod 755 "$new/usr/sbin/policy-rc.d"
  cp -L /etc/resolv.conf "$new/etc/resolv.conf"
  # shellcheck disable=SC2086
  { run_in "$new" apt-get -qq update && run_in "$new" apt-get -qq -y --no-install-recommends -d \
    install $first_packages $more_packages; } >"$scratch/fetch.log" 2>&1 ||
    { tail -n 5 "$scratch/fetch.log"; rm -rf --one-file-system "$new"; fail "apt-get in the root"; }
  mv "$new" "$ST_CACHE/$base"
}

install_in_root()
{
  in_root apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install "$@" \
    >"$scratch/apt.log" 2>&1 || { tail -n 20 "$scratch/apt.log"; fail "apt-get install $*"; }
}

# The shipped configuration, with a log of our own.
shipped_config()
{
  sed '/^log *=/d; /^store *=/d' "$ST_CONFIG" >"$config"
  printf 'store = "%s"\nlog = "%s"\n' "$store" "$scratch/log" >>"$config"
}

# Puts the staged tree into the root, with the libraries that its programs want.
install_systracker()
{
  check_scratch "$root"
  # By tar: it leaves the root's own folders and symlinks as they are.
  tar -C "$ST_STAGE" --exclude ./done -c . |
    tar -C "$root" --keep-directory-symlink --no-overwrite-dir --no-same-owner -x
  find "$ST_STAGE" -type f -perm /100 -exec ldd {} + 2>/dev/null |
    sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | sort -u |
    while read -r library; do
      [ -e "$root$library" ] || cp -L "$library" "$root/usr/lib/"
    done
  in_root ldconfig
}
