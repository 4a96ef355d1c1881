#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# bootstrap: installs only what is missing, only by root, never in a package build.
. "$ST_SOURCE/tests/functions.sh"
cp "$ST_SOURCE/bootstrap" "$scratch/bootstrap"
mkdir "$scratch/bin" "$scratch/build"
touch "$scratch/build/Makefile" "$scratch/configure" "$scratch/Makefile.in"
# Two files that are older than configure, and programs that only say what they were asked for.
touch -d '2020-01-01' "$scratch/configure.ac" "$scratch/Makefile.am"
cat >"$scratch/bin/dpkg-query" <<END
#!/bin/sh
[ -e "$scratch/all" ] || { echo 'installed gcc'; echo 'config-files make'; exit 0; }
tr ' ' '\n' <"$scratch/all" | sed 's/^/installed /'
END
cat >"$scratch/bin/apt-get" <<END
#!/bin/sh
echo "\$*" >>"$scratch/asked"
[ -e "$scratch/updated" ] || { [ "\$1" = update ] && touch "$scratch/updated"; }
END
# shellcheck disable=SC2016
printf '#!/bin/sh\necho "${FAKE_ID:-0}"\n' >"$scratch/bin/id"
chmod +x "$scratch"/bin/*
boot() { env -u DEB_BUILD_OPTIONS "PATH=$scratch/bin:$PATH" "$@"; }

expect_status 1 boot NO_BOOTSTRAP=1 "$scratch/bootstrap" build build
contains "$err" 'missing: .*autoconf' 'missing: .* make '
lacks "$err" 'missing:.* gcc '
expect_status 1 boot FAKE_ID=1000 "$scratch/bootstrap" check build
contains "$err" 'missing: .*sqlite3' 'apt-get install'
[ ! -e "$scratch/asked" ] || fail "packages were asked for"
for variable in DEB_BUILD_OPTIONS=nocheck DEB_BUILD_ARCH=amd64 RPM_BUILD_ROOT=/x; do
  expect_status 0 boot "$variable" "$scratch/bootstrap" real build
  expect_status 1 boot "$variable" "$scratch/bootstrap" real elsewhere
done
[ ! -e "$scratch/asked" ] || fail "packages were asked for in a package build"

# The lists are fetched when the first try fails, and not before.
expect_status 0 boot "$scratch/bootstrap" real build
contains "$scratch/asked" '^update$' '^install .* debootstrap '
head -n 1 "$scratch/asked" | grep -q '^install ' || fail "the lists were fetched without need"
lacks "$scratch/asked" ' gcc '

# Everything there: nothing is asked for, and nothing is made again.
sed -n 's/^  *//; /packages="/,/"$/p' "$scratch/bootstrap" | tr '"' ' ' | tr '\n' ' ' >"$scratch/all"
rm "$scratch/asked"
expect_status 0 boot "$scratch/bootstrap" real build
[ ! -e "$scratch/asked" ] || fail "packages were asked for that are there: $(cat "$scratch/asked")"
[ ! -s "$out" ] || fail "something was made again"

# What is not needed is asked for before the first configure, where apt knows it; it goes on without.
printf '#!/bin/sh\n' >"$scratch/configure"
# shellcheck disable=SC2016
printf '#!/bin/sh\n[ ! -e "%s/known" ] || echo "$3"\n' "$scratch" >"$scratch/bin/apt-cache"
chmod +x "$scratch/configure" "$scratch/bin/apt-cache"
sed -i 's/libipsec-mb-dev//' "$scratch/all"
expect_status 0 boot "$scratch/bootstrap" build new1
[ ! -e "$scratch/asked" ] || fail "what apt does not know was asked for"
touch "$scratch/known"
expect_status 0 boot "$scratch/bootstrap" build build
expect_status 0 boot NO_BOOTSTRAP=1 "$scratch/bootstrap" build new2
expect_status 0 boot FAKE_ID=1000 "$scratch/bootstrap" build new3
[ ! -e "$scratch/asked" ] || fail "what is not needed was asked for without need"
expect_status 0 boot "$scratch/bootstrap" build new4
contains "$scratch/asked" '^install .* libipsec-mb-dev$'
printf '#!/bin/sh\nexit 1\n' >"$scratch/bin/apt-get"
expect_status 0 boot "$scratch/bootstrap" build new5
contains "$err" 'goes on without libipsec-mb-dev'
