#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The disk is gone: a Debian host with its store is destroyed, and a fresh baseline, without a
# network and with two system users of each other's ids, is made equal to it from an archive: to
# its second night, its third, its baseline, and back; proved by find, stat, sha256sum and dpkg.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"
need_program jq
make_debian
shipped_config
# Found by apt's own cache of the base root, and by hand: nothing comes from the network.
kept=$scratch/debs
archive=$scratch/archive
recovery=$scratch/recovery.key
canary='canary-93b5e0c7d1'
mkdir -p "$kept"

systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }
offline() { unshare -n -- "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" "$@"; }

# ---- Packages of our own -----------------------------------------------------------------------------
# toy NAME VERSION: with a conffile and a program.
toy()
{
  tree=$scratch/toy/$1-$2
  mkdir -p "$tree/DEBIAN" "$tree/etc" "$tree/usr/bin"
  echo "version = $2" >"$tree/etc/$1.conf"
  printf '#!/bin/sh\necho %s %s\n' "$1" "$2" >"$tree/usr/bin/$1"
  chmod 755 "$tree/usr/bin/$1"
  echo "/etc/$1.conf" >"$tree/DEBIAN/conffiles"
  cat >"$tree/DEBIAN/control" <<END
Package: $1
Version: $2
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: $1, to be put back
END
  dpkg-deb --root-owner-group -b "$tree" "$kept/$1_$2_all.deb" >/dev/null
}
toy toyone 1.0
toy toyone 2.0
toy toyrest 1.0
toy toygone 1.0
cp "$root"/var/cache/apt/archives/*.deb "$kept/"
install_toys()
{
  for deb in "$@"; do cp "$kept/$deb" "$root/tmp/"; done
  in_root sh -c 'dpkg -i /tmp/*.deb && rm /tmp/*.deb' >"$scratch/dpkg.log" 2>&1 ||
    { tail "$scratch/dpkg.log"; fail "dpkg -i $*"; }
}

# ---- What is compared ---------------------------------------------------------------------------------
left_out='./etc/ld.so.cache
./etc/apt/sources.list'
echo "left out of the comparison: the size and time of a directory; and"
echo "$left_out"
look()
{
  manifest "$1.all" etc usr opt root boot srv var/spool/cron
  tr '\n\0' '\001\n' <"$1.all" | awk -v out="$left_out" '
    BEGIN { n = split(out, o, "\n"); for (i = 1; i <= n; i++) skip[substr(o[i], 3)] = 1 }
    { path = $1; if (path ~ /^[0-9a-f]+$/ && length(path) == 64) path = $2 }
    !(path in skip) && path !~ /__pycache__/' >"$1"
  # shellcheck disable=SC2016
  {
    in_root dpkg-query -W -f '${db:Status-Abbrev} ${binary:Package} ${Version}\n'
    in_root dpkg --get-selections '*'
    in_root apt-mark showauto
    in_root update-alternatives --get-selections
    in_root dpkg-divert --list
    in_root dpkg-statoverride --list || :
  } >>"$1" 2>/dev/null
}
equal() # NIGHT
{
  look "$scratch/now"
  [ "$(wc -l <"$scratch/now")" -gt 2000 ] || fail "the comparison saw too little"
  diff "$scratch/night$1" "$scratch/now" >"$scratch/difference" ||
    { head -n 60 "$scratch/difference"; fail "it is not as it was at $1"; }
  in_root dpkg --audit >"$scratch/audit" 2>&1
  [ ! -s "$scratch/audit" ] || { cat "$scratch/audit"; fail "dpkg --audit is not silent"; }
}

# ---- The host that will be lost -------------------------------------------------------------------------
base=$root
install_toys toyone_1.0_all.deb toyrest_1.0_all.deb toygone_1.0_all.deb
expect_status 0 systracker checkpoint -m 'as installed'
expect_status 0 systracker packages --keep "$kept"
look "$scratch/night1"

# shellcheck disable=SC2086
install_in_root $first_packages
install_toys toyone_2.0_all.deb
in_root dpkg --purge toygone >/dev/null
in_root dpkg --remove toyrest >/dev/null
in_root groupadd -g 3001 crew
in_root useradd -m -d /srv/alice -u 3011 -g crew alice
printf 'root:%s:19000:0:99999:7:::\n' "$canary" >"$scratch/shadow"
sed '1d' "$root/etc/shadow" >>"$scratch/shadow"
cat "$scratch/shadow" >"$root/etc/shadow"
in_root apt-mark hold hello >/dev/null
in_root update-alternatives --set pager /bin/more >/dev/null
in_root dpkg-divert --local --no-rename --divert /usr/bin/later.distrib --add /usr/bin/later >/dev/null
echo '# night 2' >>"$root/etc/profile"
echo '# ours' >>"$root/etc/toyone.conf"
chmod 700 "$root/etc/skel"
mkdir -p "$root/opt/app"
echo 'setting = 2' >"$root/opt/app/main.conf"
expect_status 0 systracker checkpoint -m 'second night'
look "$scratch/night2"

# shellcheck disable=SC2086
install_in_root $more_packages
in_root apt-get -qq -y purge ed >/dev/null 2>&1
echo '# night 3' >>"$root/etc/profile"
rm "$root/opt/app/main.conf"
expect_status 0 systracker checkpoint -m 'third night'
look "$scratch/night3"

systracker_archive init "$archive" >"$recovery"
expect_status 0 systracker sync "$archive"
! grep -raqF "$canary" "$archive" || fail "the secret is in the archive"
rm -rf --one-file-system "$root" "$store"

# ---- A fresh baseline ---------------------------------------------------------------------------------------
root=$base
make_debian
swap_ids() # two system users have each other's ids
{
  sed -i -e 's/^games:x:5:60:/games:x:6:60:/' -e 's/^man:x:6:12:/man:x:5:12:/' "$root/etc/passwd"
  find "$root" -xdev \( -uid 5 -exec chown -h 60005 {} + -o -uid 6 -exec chown -h 60006 {} + \)
  find "$root" -xdev \( -uid 60005 -exec chown -h 6 {} + -o -uid 60006 -exec chown -h 5 {} + \)
}
swap_ids
for night in 2 3 baseline 2; do
  expect_status 0 offline restore --from "$archive" --checkpoint "$night" --as same --exact --yes \
    --recovery-key "$recovery"
  case $night in baseline) equal 1 ;; *) equal "$night" ;; esac
done
expect_status 0 offline undo --yes
equal 1
