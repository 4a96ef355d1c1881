#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A Debian system changed by hand and by apt, put back exactly, and undone; proved without us.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"
make_debian
shipped_config

# What the comparison leaves out, beside directories' sizes and times: files that programs make
# anew from others, as the shipped configuration says of them.
left_out='./etc/ld.so.cache
./etc/ssl/certs/ca-certificates.crt'
echo "left out of the comparison: the size and time of a directory; and"
echo "$left_out"

look()
{
  manifest "$1.all" etc usr/local opt root srv var/spool/cron
  tr '\n\0' '\001\n' <"$1.all" | awk -v out="$left_out" '
    BEGIN { n = split(out, o, "\n"); for (i = 1; i <= n; i++) skip[substr(o[i], 3)] = 1 }
    { path = $1; if (path ~ /^[0-9a-f]+$/ && length(path) == 64) path = $2 }
    !(path in skip)' >"$1"
}
equal()
{
  look "$scratch/now"
  [ "$(wc -l <"$scratch/now")" -gt 250 ] || fail "the comparison saw too little"
  diff "$scratch/$1" "$scratch/now" >"$scratch/difference" ||
    { head -n 40 "$scratch/difference"; fail "$2"; }
}

# change N: by hand and by apt, never twice the same.
change()
{
  n=$1
  for file in etc/profile etc/bash.bashrc etc/login.defs etc/adduser.conf etc/nsswitch.conf \
    etc/security/limits.conf; do
    [ -f "$root/$file" ] || fail "no $file in this root"
    sed -i "2s/\$/ # night $n/; \$a # added at night $n" "$root/$file"
  done
  in_root groupadd -g "300$n" "crew$n"
  in_root useradd -m -d "/srv/alice$n" -u "301$n" -g "crew$n" "alice$n"
  in_root useradd -M -u "302$n" "bob$n"
  echo "alice$n:secret$n" | chroot "$root" chpasswd
  mkdir -p "$root/opt/app$n/conf" "$root/var/spool/cron/crontabs"
  echo "setting = $n" >"$root/opt/app$n/conf/main.conf"
  echo "$n * * * * true" >"$root/var/spool/cron/crontabs/alice$n"
  chmod 600 "$root/var/spool/cron/crontabs/alice$n"
  echo "export NIGHT=$n" >>"$root/root/.bashrc"
  chmod "71$n" "$root/etc/skel"
  chmod "64$n" "$root/etc/issue"
  chown "$n:$n" "$root/etc/issue.net"
  # A tree with a setuid program and odd names.
  tree=$root/usr/local/lib/tree$n
  mkdir -p "$tree/deep/$(printf 'new\nline')" "$tree/ blank "
  cp "$root/usr/bin/id" "$tree/deep/id"
  chmod 4755 "$tree/deep/id"
  chmod 2775 "$tree/deep"
  chgrp "300$n" "$tree/deep"
  echo odd >"$tree/deep/$(printf 'new\nline')/$(printf 'bad\377\033name')"
  echo odd >"$tree/ blank /-rf *"
  ln -s "$(printf '../target\nof %s' "$n")" "$tree/link"
  mkfifo "$tree/fifo"
  mknod "$tree/null" c 1 3
}
retype()
{
  # What was a file becomes a directory, what was a directory a symlink.
  rm "$root/etc/$1"
  mkdir "$root/etc/$1"
  echo inside >"$root/etc/$1/inside"
  rm -r "${root:?}/etc/$2"
  ln -s /etc/profile.d "$root/etc/$2"
  rm "$root/etc/$3"
}

look "$scratch/baseline"
expect_status 0 systracker checkpoint -m 'as installed'
change 1
retype debian_version update-motd.d deluser.conf 2>/dev/null || retype debian_version skel deluser.conf
# shellcheck disable=SC2086
install_in_root $first_packages
look "$scratch/2"
expect_status 0 systracker checkpoint -m 'the first change'
expect_status 1 systracker diff baseline 2 --stat
contains "$out" /etc/profile /usr/local/lib/tree1/deep/id hello

change 2
retype host.conf terminfo pam.conf
rm -r "$root/usr/local/lib/tree1/deep"
echo again >>"$root/opt/app1/conf/main.conf"
# shellcheck disable=SC2086
install_in_root $more_packages
look "$scratch/3"
expect_status 0 systracker checkpoint -m 'more of the same'
expect_status 0 systracker verify
! cmp -s "$scratch/2" "$scratch/3" || fail "the comparison sees nothing"

expect_status 0 systracker restore --checkpoint 2 --exact --packages=none
equal 2 "restored, but not as at checkpoint 2"
expect_status 0 systracker undo --yes
equal 3 "undone, but not as at checkpoint 3"

expect_status 0 systracker restore --checkpoint baseline --yes -- /etc/login.defs
look "$scratch/now"
diff "$scratch/3" "$scratch/now" >"$scratch/difference" && fail "nothing was restored"
grep '^[<>]' "$scratch/difference" | grep -vE '^[<>] ([0-9a-f]{64}  )?etc/login\.defs( |$)' &&
  fail "more than the path was changed"
grep '  etc/login\.defs$' "$scratch/now" >"$scratch/line"
grep -qxFf "$scratch/line" "$scratch/baseline" || fail "the path is not as at the baseline"
expect_status 0 systracker verify
