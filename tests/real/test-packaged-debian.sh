#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A real Debian root across a change of 30 packages: about a line each; a chmod on one packaged binary
# and one changed byte in another stand out; diff, log, cat and restore are exact for packaged files.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"
. "$ST_SOURCE/tests/real/toys.sh"
need_program dpkg-deb
make_debian
shipped_config
toys=$(seq -f 'toy-%02g' 1 30)
for toy in $toys; do
  toy "$toy" 1.0
  toy "$toy" 2.0
done
of() { for toy in $toys; do printf '%s_%s ' "$toy" "$1"; done; }

# same NUMBER PATH FILE: cat prints the file.
same() { systracker cat "$1" "$2" | cmp - "$3" || fail "another content: $2 at $1"; }
# Files of the distribution and of the toys, as they were at a night.
some_files="$(cd "$root" && find usr/share usr/lib usr/sbin -type f -size -200k | sort |
  awk 'NR % 97 == 0' | grep -v __pycache__ | head -n 40)"
each_file() # NUMBER TREE
{
  for path in $some_files $(cd "$2" && find usr/bin -name 'toy-*'); do
    same "$1" "/$path" "$2/$path"
  done
}
keep_tree() # NAME
{
  mkdir -p "$scratch/$1/usr/bin"
  # shellcheck disable=SC2086
  (cd "$root" && tar -c usr/bin/toy-* $some_files) | tar -x -C "$scratch/$1"
}

# shellcheck disable=SC2046
install_toys $(of 1.0)
expect_status 0 systracker checkpoint -m one
expect_status 0 systracker packages --keep "$root/var/cache/apt/archives" "$debs"
expect_status 0 systracker packages --deviations
keep_tree night-1
manifest "$scratch/usr-1" usr
each_file 1 "$scratch/night-1"

# shellcheck disable=SC2046
install_toys $(of 2.0)
chmod 4750 "$root/usr/bin/toy-07"
printf 'X' | dd of="$root/usr/bin/toy-08" bs=1 seek=11 conv=notrunc status=none
expect_status 0 systracker checkpoint -m two
keep_tree night-2
manifest "$scratch/usr-2" usr
expect_status 1 systracker diff --stat 1 2
[ "$(grep -c '^M package toy-.*: upgraded 1.0 → 2.0, its files: ' "$out")" -eq 30 ] ||
  fail "not a line each package"
contains "$out" '^M /usr/bin/toy-07: mode 0755 → 4750' '^M /usr/bin/toy-08: content: '
# The configuration files were kept as they are, as dpkg was told to, so they deviate now.
[ "$(grep -c '^. /' "$out")" -le 32 ] || fail "files of packages are shown one by one"
[ "$(wc -l <"$out")" -le 64 ] || fail "more than a line each"
expect_status 1 systracker diff --files 1 2
contains "$out" '^changed /usr/bin/toy-01$' '^-echo 1.0$' '^\+echo 2.0$'
expect_status 0 systracker log /usr/bin/toy-01
contains "$out" '^ *2 .* M /usr/bin/toy-01: .*as toy-01 2.0 all has it'
expect_status 0 systracker packages --deviations
contains "$out" '^toy-07 2.0 all \(its package file is kept\)$' '^  M /usr/bin/toy-07: mode 0755 → 4750$' \
  '^  M /usr/bin/toy-08$' '^-echo 2.0$' '^\+eXho 2.0$'
each_file 1 "$scratch/night-1"
each_file 2 "$scratch/night-2"

# Single files come back without a package being installed again, and the night with its packages.
rm "$root/usr/bin/toy-01"
echo ours >"$root/usr/bin/toy-02"
expect_status 0 offline restore --checkpoint 2
lacks "$out" 'package toy'
manifest "$scratch/usr-now" usr
cmp "$scratch/usr-2" "$scratch/usr-now" || fail "not as it was at 2"
expect_status 0 offline restore --checkpoint 1 --exact
manifest "$scratch/usr-now" usr
cmp "$scratch/usr-1" "$scratch/usr-now" || fail "not as it was at 1"
expect_status 0 systracker verify
