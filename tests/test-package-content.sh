#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The content of a file that is as its package has it comes out of the kept package file: cat, diff,
# and nothing of it is in the packs.
. "$ST_SOURCE/tests/functions.sh"
make_root
make_config
. "$ST_SOURCE/tests/packaging.sh"

# One package of every kind of file, with a name as it was before /usr was merged.
mkdir "$root/usr/bin" && ln -s usr/bin "$root/bin"
# tree VERSION: what the package `tool` has.
tree()
{
  t=$scratch/tool-$1
  mkdir -p "$t/bin" "$t/usr/share/tool" "$t/usr/lib/tool" "$t/etc"
  printf '#!/bin/sh\necho tool %s\n' "$1" >"$t/bin/tool"
  chmod 755 "$t/bin/tool"
  ln "$t/bin/tool" "$t/bin/tool-again"
  printf 'a\nb %s\nc\n' "$1" >"$t/usr/share/tool/text"
  head -c 3000000 /dev/zero | tr '\0' "${1%.*}" >"$t/usr/share/tool/long"
  noise "$1" >"$t/usr/lib/tool/large"
  : >"$t/usr/share/tool/empty"
  printf 'x\0y %s' "$1" >"$t/usr/lib/tool/binary"
  ln -s text "$t/usr/share/tool/link"
  echo "option=$1" >"$t/etc/tool.conf"
}
# Bytes that do not compress, the same each time.
noise() { awk -v s="$1" 'BEGIN { srand(s); for (i = 0; i < 500000; i++)
  printf "%012.0f", rand() * 1e12 }'; }
tree 1
build tool 1 "$scratch/tool-1"
tree 2
echo new >"$scratch/tool-2/usr/share/tool/more"
build tool 2 "$scratch/tool-2" zstd

install_package tool 1 "$scratch/tool-1"
expect_status 0 systracker checkpoint -m one
expect_status 0 systracker status
at() { sql "SELECT count(*) FROM checksum_track_file f JOIN path p ON p.id = f.path WHERE
  CAST(p.path AS TEXT) LIKE '%/tool%'"; }
[ "$(at)" -eq 0 ] || fail "files that are as packaged have rows: $(at)"

# Without the package file their content is nowhere, and that is said.
expect_status 1 systracker cat 1 /usr/share/tool/text
one_error 'as its package has it' 'not kept \(tool 1 amd64\)'
expect_status 0 systracker explain /usr/share/tool/text
contains "$out" '  expected by the package tool 1 amd64, since checkpoint 1: as the package declares' \
  '^  content: as its package has it, whose file is not kept'
expect_status 0 systracker coverage
contains "$out" '^files that are as their package has them: 7, of these in kept package files: 0$' \
  '^  tool 1 amd64: missing, with 8 files$'
# What a configuration's rule keeps is in the store all the same.
expect_status 0 systracker cat 1 /etc/tool.conf

expect_status 0 systracker packages --keep "$scratch/debs"
# same NUMBER PATH FILE: cat prints the file.
same()
{
  systracker cat "$1" "$2" >"$out" || fail "no content: $2 at $1"
  cmp "$out" "$3" || fail "another content: $2 at $1"
}
each_path() # VERSION CHECKPOINT
{
  t=$scratch/tool-$1
  same "$2" /usr/share/tool/text "$t/usr/share/tool/text"
  same "$2" /usr/share/tool/long "$t/usr/share/tool/long"
  same "$2" /usr/share/tool/empty "$t/usr/share/tool/empty"
  same "$2" /usr/lib/tool/large "$t/usr/lib/tool/large"
  same "$2" /usr/lib/tool/binary "$t/usr/lib/tool/binary"
  same "$2" /usr/bin/tool "$t/bin/tool"
  same "$2" /usr/bin/tool-again "$t/bin/tool"
  same "$2" /etc/tool.conf "$t/etc/tool.conf"
}
each_path 1 1

expect_status 0 systracker explain /usr/bin/tool-again
contains "$out" '^  content: as its package has it, whose file is kept$'
expect_status 0 systracker --json explain /usr/lib/tool/large
jq -e '.package.package == "tool" and .package.manifest == "package" and .package.file == "kept"
  and .content == "package file" and .kept == false' "$out" >/dev/null || fail "JSON of explain"
expect_status 0 systracker explain /etc/tool.conf
contains "$out" '^  expected by the package tool 1' '^  content: kept'
expect_status 0 systracker --json explain /etc/hosts
jq -e '.package == null and .content == "store"' "$out" >/dev/null || fail "JSON of explain"
expect_status 0 systracker coverage
contains "$out" '^files that are as their package has them: 7, of these in kept package files: 7$'
expect_status 0 systracker --json coverage
jq -e '.expected_files == 7 and .packaged_files == 7' "$out" >/dev/null || fail "JSON of coverage"

# Across an upgrade: both nights are exact.
install_package tool 2 "$scratch/tool-2"
expect_status 0 systracker checkpoint -m two
each_path 1 1
each_path 2 2
same 2 /usr/share/tool/more "$scratch/tool-2/usr/share/tool/more"
expect_status 1 systracker cat 1 /usr/share/tool/more
one_error 'no such path'
[ "$(at)" -eq 0 ] || fail "files that are as packaged have rows: $(at)"
stored=$(find "$store/packs" -name '*.pack' -exec cat {} + | wc -c)
[ "$stored" -lt 1000000 ] || fail "contents of packages are in the packs: $stored bytes"

# A damaged or short package file is an error, and gives nothing wrong.
kept=$(echo "$store"/packages/*/*_tool_2_amd64.deb)
cp "$kept" "$scratch/good"
[ "$(stat -c %s "$kept")" -gt 1000000 ] || fail "the package file is too small to be cut"
head -c 500000 "$scratch/good" >"$kept"
expect_status 1 systracker cat 2 /usr/lib/tool/large
one_error 'damaged' 'tool 2 amd64'
[ ! -s "$out" ] || fail "something was printed of a damaged package"
flip "$kept" 300000
status=0
systracker cat 2 /usr/share/tool/text >"$out" 2>"$err" || status=$?
[ "$status" -ne 0 ] || cmp "$out" "$scratch/tool-2/usr/share/tool/text" || fail "a wrong content"
cp "$scratch/good" "$kept"
each_path 2 2

# An archive has the package files, and no plug-in; and so has a store that fetched from one.
archive=$scratch/archive
archive_program=${ST_SYSTRACKER%/*}/systracker-archive
expect_status 0 "$archive_program" init "$archive"
expect_status 0 systracker sync "$archive"
host=$("$archive_program" hosts "$archive" --json | jq -r 'select(.host).host')
for number in 1 2; do
  "$archive_program" cat "$archive" "$host" "$number" /usr/bin/tool >"$out" || fail "no content in an archive"
  cmp "$out" "$scratch/tool-$number/bin/tool" || fail "another content in an archive"
done
expect_status 1 "$archive_program" diff "$archive" "$host" 1 2
contains "$out" '^changed package tool amd64$' '^  upgraded 1 → 2$' '^  its files: 1 added, [0-9]+ changed$'
expect_status 1 "$archive_program" diff "$archive" "$host" --files 1 2
contains "$out" '^-b 1$' '^\+b 2$'
