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
    in_root dpkg --verify || : # what deviates then is known, and has to deviate now
  } >>"$1" 2>/dev/null
}
equal() # NIGHT [PATHS LEFT OUT]
{
  look "$scratch/now"
  [ "$(wc -l <"$scratch/now")" -gt 2000 ] || fail "the comparison saw too little"
  for list in "night$1" now; do grep -avE "${2:-^$}" "$scratch/$list" >"$scratch/$list.seen"; done
  diff "$scratch/night$1.seen" "$scratch/now.seen" >"$scratch/difference" ||
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
in_root dpkg-query -W >"$scratch/packages1"

install_in_root hello ed cron bc # with cron-daemon-common, libreadline8, readline-common, ...
[ "$(in_root dpkg-query -W | wc -l)" -ge "$(($(grep -c . "$scratch/packages1") + 7))" ] ||
  fail "the four packages brought no others"
install_toys toyone_2.0_all.deb
in_root dpkg --purge toygone >/dev/null
in_root dpkg --remove toyrest >/dev/null
in_root groupadd -g 3001 crew
in_root useradd -m -d /srv/alice -u 3011 -g crew alice
in_root useradd -r -u 320 -d /opt/app daemonette
in_root usermod -a -G crew games
printf 'root:%s:19000:0:99999:7:::\n' "$canary" >"$scratch/shadow"
sed '1d' "$root/etc/shadow" >>"$scratch/shadow"
cat "$scratch/shadow" >"$root/etc/shadow"
in_root apt-mark hold hello >/dev/null
in_root update-alternatives --set pager /bin/more >/dev/null
in_root dpkg-divert --local --no-rename --divert /usr/bin/later.distrib --add /usr/bin/later >/dev/null
in_root dpkg-divert --local --rename --divert /usr/bin/bc.distrib --add /usr/bin/bc >/dev/null
printf '#!/bin/sh\nexec bc.distrib -l "$@"\n' >"$root/usr/bin/bc"
chmod 755 "$root/usr/bin/bc"
# Files changed in every way.
echo '# night 2' >>"$root/etc/profile"
echo '# ours' >>"$root/etc/toyone.conf"
chmod 700 "$root/etc/skel"
chmod 4711 "$root/usr/bin/ed"
in_root chown games:crew /etc/issue.net
rm "$root/etc/issue"
ln -s /etc/debian_version "$root/etc/issue"
rm "$root/etc/motd"
mkdir "$root/etc/motd"
: >"$root/etc/environment"
touch -d '2001-02-03 04:05:06.789' "$root/etc/debian_version"
mkdir -p "$root/opt/app/with space" "$root/usr/local/lib/ours"
printf 'odd\n' >"$root/opt/app/$(printf 'line\nbreak\377')"
echo 'setting = 2' >"$root/opt/app/main.conf"
in_root chown -R daemonette:crew /opt/app
mkfifo "$root/srv/pipe"
head -c 3000000 /dev/urandom >"$root/usr/local/lib/ours/blob"
echo '17 3 * * * true' >"$root/var/spool/cron/crontabs/root"
chmod 600 "$root/var/spool/cron/crontabs/root"
in_root chown root:crontab /var/spool/cron/crontabs/root
expect_status 0 systracker checkpoint -m 'second night'
look "$scratch/night2"

install_in_root less tree
in_root apt-get -qq -y purge ed >/dev/null 2>&1
in_root dpkg-divert --rename --remove /usr/bin/bc >/dev/null 2>&1 ||
  { rm "$root/usr/bin/bc"; in_root dpkg-divert --rename --remove /usr/bin/bc >/dev/null; }
in_root userdel daemonette
in_root apt-mark unhold hello >/dev/null
in_root apt-mark auto tree >/dev/null
rmdir "$root/etc/motd"
echo 'a file again' >"$root/etc/motd"
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
# What nobody tracks carries the moved ids, too.
mkdir -p "$root/var/games" "$root/home/somebody"
echo 1200 >"$root/var/games/score"
in_root chown games:games /var/games/score
in_root chown man:man /home/somebody
chmod 2755 "$root/var/games/score"
moved_along()
{
  [ "$(in_root stat -c '%U %u %a' /var/games/score)" = "games $1 2755" ] ||
    fail "the score is not of games: $(in_root stat -c '%U %u %a' /var/games/score)"
  [ "$(in_root stat -c '%U %u' /home/somebody)" = "man $2" ] || fail "man's folder is not man's"
}
restore_to() # NIGHT OPTION...
{
  night=$1
  shift
  offline restore --from "$archive" --checkpoint "$night" --as same --exact --yes "$@"
}
look "$scratch/fresh"

# Without the recovery key: all but the secrets, which are named.
secrets='etc/g?shadow-?( |$)'
expect_status 1 restore_to 2
contains "$out" '^cannot +/etc/shadow  .*--recovery-key' '^cannot +/etc/gshadow  .*--recovery-key'
equal 2 "$secrets"
moved_along 5 6
grep -aqF "$canary" "$root/etc/shadow" && fail "the secret came without its key"

for night in 2 3 baseline 2; do
  expect_status 0 restore_to "$night" --recovery-key "$recovery"
  case $night in baseline) equal 1 ;; *) equal "$night" ;; esac
  moved_along 5 6
  expect_status 0 offline status
done
expect_status 0 offline undo --yes
equal 1
moved_along 5 6
expect_status 0 offline status
