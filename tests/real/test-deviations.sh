#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What deviates from a Debian root's packages: diversions, edited, deleted and unpackaged files in
# /usr, put back across upgrades, downgrades, purges, and undone.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"
. "$ST_SOURCE/tests/real/toys.sh"
need_program dpkg-deb
make_debian
shipped_config
for version in 1.0 2.0; do
  toy toy-x "$version"
  toy toy-lib "$version"
done
toy toy-same 1.0
toy toy-lost 3.0
kept() { sql "SELECT count(*) FROM dpkg_track_deviation WHERE until IS NULL"; }

# ---- As packaged.
quietly install_in_root ed
install_toys toy-x_1.0 toy-lib_1.0 toy-same_1.0 toy-lost_3.0
expect_status 0 systracker checkpoint --tag packaged
expect_status 0 systracker packages --keep "$root/var/cache/apt/archives" "$debs"
[ "$(kept)" -le 5 ] || fail "of a root as packaged the content of $(kept) files is kept"
look "$scratch/packaged"

# ---- In every way otherwise.
in_root dpkg-divert --local --rename --divert /usr/bin/toy-x.distrib --add /usr/bin/toy-x
printf '#!/bin/sh\necho ours\n' >"$root/usr/bin/toy-x"
chmod 750 "$root/usr/bin/toy-x"
echo '# edited' >>"$root/usr/bin/toy-lib"
echo '# edited' >>"$root/usr/bin/toy-same"
rm "$root/usr/bin/red"
rm "$root/usr/share/doc/ed/copyright"
mkdir "$root/usr/lib/ours"
echo 'no package has it' >"$root/usr/lib/ours/tool"
in_root dpkg-statoverride --update --add root mail 2755 /usr/bin/ed
expect_status 0 systracker checkpoint --tag deviating
look "$scratch/deviating"
expect_status 0 systracker cat deviating /usr/lib/ours/tool
expect_status 0 systracker cat deviating /usr/bin/toy-x
contains "$out" '^echo ours$'

# ---- And upgraded: the diverted one beside, the edited one over.
install_toys toy-x_2.0 toy-lib_2.0
contains "$root/usr/bin/toy-x.distrib" 2.0
lacks "$root/usr/bin/toy-lib" edited
rm "$root"/etc/*.dpkg-* 2>/dev/null || :
echo 'another' >"$root/usr/lib/ours/tool"
expect_status 0 systracker checkpoint --tag upgraded
look "$scratch/upgraded"

# ---- There and back.
expect_status 0 offline restore --checkpoint packaged --exact --dry-run
contains "$out" 'diversion of /usr/bin/toy-x: remove' '^replace +/usr/bin/toy-same ' \
  '^package toy-x 2.0 → 1.0  \(kept\)$'
for night in deviating packaged upgraded deviating; do
  expect_status 0 offline restore --checkpoint "$night" --exact
  equal "$night" "restored"
done
expect_status 0 offline restore --checkpoint packaged --exact
equal packaged "restored"
expect_status 0 offline undo
equal deviating "undone"
expect_status 0 offline undo
equal packaged "undone again"

# ---- A diversion of what is not installed yet: dpkg has to know it first.
in_root dpkg --purge toy-x toy-lib >"$scratch/dpkg.log"
rm -r "${root:?}/usr/bin/toy-same" "${root:?}/usr/share/doc/ed"
expect_status 0 systracker checkpoint --tag purged
look "$scratch/purged"
expect_status 0 offline restore --checkpoint deviating --exact
equal deviating "restored from nothing"
expect_status 0 offline restore --checkpoint purged --exact
equal purged "restored to nothing"

# ---- Diversions alone, and files of packages alone.
expect_status 0 offline restore --checkpoint deviating --exact
in_root sh -c 'rm /usr/bin/toy-x && dpkg-divert --rename --remove /usr/bin/toy-x'
expect_status 0 offline restore --checkpoint deviating --exact
contains "$out" 'diversion of /usr/bin/toy-x: to /usr/bin/toy-x.distrib by the administrator'
equal deviating "a diversion alone"
expect_status 0 offline undo
[ "$("$root/usr/bin/toy-x")" = 1.0 ] || fail "the diversion was not undone"
expect_status 0 offline restore --checkpoint packaged --exact
rm "$root/usr/bin/toy-lost"
expect_status 0 offline restore --checkpoint packaged --exact
contains "$out" '^create +/usr/bin/toy-lost '
lacks "$out" '^package'
equal packaged "a file alone"

# ---- Edited, and too large to be kept: undo could not bring it back, which is said.
mkdir -p "$scratch/conf.d"
printf 'plugin dpkg_track { max_size = "1K" }\n' >"$scratch/conf.d/small.conf"
head -c 2000 /dev/urandom >>"$root/usr/bin/toy-x"
expect_status 0 systracker checkpoint
contains "$out" '^checkpoint '
[ "$(sql "SELECT count(*) FROM dpkg_track_deviation WHERE until IS NULL AND object IS NULL")" = 1 ] ||
  fail "it is not known that one is too large"
all_of_root "$scratch/everything"
for way in --yes --dry-run; do
  expect_status 1 offline restore --checkpoint upgraded --exact "$way"
  one_error '/usr/bin/toy-x: it is not as packaged, and too large to be kept' '--no-undo' 'max_size'
  unchanged "with a large edited file ($way)"
done
expect_status 0 offline restore --checkpoint upgraded --exact --no-undo
equal upgraded "restored without undo"
