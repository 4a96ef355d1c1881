#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A package that changes is one line of diff, status and show; what deviates is shown by itself, with
# the text's difference from what the package has; --files and named paths show all; log and cat are
# exact across the change.
. "$ST_SOURCE/tests/functions.sh"
make_root
make_config
. "$ST_SOURCE/tests/packaging.sh"

# tool VERSION: 20 files, a script and a binary, and what only one of the versions has.
tool()
{
  t=$scratch/tool-$1
  mkdir -p "$t/usr/bin" "$t/usr/share/tool" "$t/usr/lib/tool" "$t/etc"
  printf '#!/bin/sh\necho one\necho two %s\necho three\n' "$1" >"$t/usr/bin/tool"
  printf '\0\1binary %s' "$1" >"$t/usr/lib/tool/binary"
  printf 'option=%s\n' "$1" >"$t/etc/tool.conf"
  printf 'the same\n' >"$t/usr/share/tool/same"
  for n in 1 2 3 4 5 6 7 8 9; do printf 'file %s of %s\n' "$n" "$1" >"$t/usr/share/tool/$n"; done
  echo x >"$t/usr/share/tool/only-$1"
  chmod 755 "$t/usr/bin/tool"
  build tool "$1" "$t"
}
tool 1
tool 2
mkdir -p "$scratch/other-5/usr/share/other"
echo other >"$scratch/other-5/usr/share/other/file"
build other 5 "$scratch/other-5"

install_package tool 1 "$scratch/tool-1"
expect_status 0 systracker checkpoint -m one
expect_status 0 systracker packages --keep "$scratch/debs"

# An upgrade and an installation: two lines, and what became of the files.
install_package tool 2 "$scratch/tool-2"
install_package other 5 "$scratch/other-5"
expect_status 1 systracker status
contains "$out" '^M package tool amd64: upgraded 1 → 2, its files: 1 added, 12 changed, 1 deleted$' \
  '^A package other amd64: installed 5, its files: 2 added$' \
  '^2 differ: .*; and 16 files as their packages have them \(--files shows them\)$'
[ "$(wc -l <"$out")" -eq 3 ] || fail "more than one line a package"
expect_status 1 systracker --json status
jq -se 'length == 2 and (.[1].files == {added: 1, changed: 12, deleted: 1})
  and (.[1].words[0] == "upgraded 1 → 2")' "$out" >/dev/null || fail "JSON of a package's line"
expect_status 0 systracker checkpoint -m two
expect_status 1 systracker diff --stat 1 2
[ "$(wc -l <"$out")" -eq 3 ] || fail "more than one line a package"
expect_status 0 systracker show 2
contains "$out" '^M package tool amd64: upgraded 1 → 2, its files: '
lacks "$out" '/usr/share/tool'
expect_status 1 systracker diff 2 1
contains "$out" '^changed package tool amd64$' '^  downgraded 2 → 1$' '^deleted package other amd64$' \
  '^  removed \(was 5\)$'

# One by one, with the texts' differences out of the package files.
expect_status 1 systracker diff --files 1 2
contains "$out" '^changed /usr/bin/tool$' '^-echo two 1$' '^\+echo two 2$' '^\+option=2$' \
  '^changed /usr/lib/tool/binary$' '^added /usr/share/tool/only-2$' '^deleted /usr/share/tool/only-1$' \
  '^-file 7 of 1$' '^\+file 7 of 2$'
lacks "$out" '/usr/share/tool/same' 'line by line'
expect_status 1 systracker --json diff --files 1 2
jq -se 'any(.key.path == "/usr/bin/tool" and (.diff // "" | contains("+echo two 2")))' "$out" \
  >/dev/null || fail "no difference in JSON"
expect_status 1 systracker diff 1 2 /usr/bin
contains "$out" '^changed /usr/bin/tool$' '^\+echo two 2$'
expect_status 1 systracker diff --name-only 1 2
[ "$(wc -l <"$out")" -eq 2 ] || fail "names of files of packages"

# The history of one path, and its contents.
expect_status 0 systracker log /usr/bin/tool
contains "$out" '^ *2 .* M /usr/bin/tool: .*as tool 2 amd64 has it' '^ *1 .* A /usr/bin/tool'
expect_status 0 systracker log /usr/share/tool/only-1
contains "$out" '^ *2 .* D /usr/share/tool/only-1: as tool 1 amd64 went'
for n in 1 2; do
  systracker cat "$n" /usr/bin/tool | cmp - "$scratch/tool-$n/usr/bin/tool" || fail "cat $n"
done

# What deviates stands by itself: a mode, a text, one byte of a binary, something missing.
chmod 4755 "$root/usr/lib/tool/binary"
sed -i 's/three/four/' "$root/usr/bin/tool"
printf '\0\1binary X' >"$root/usr/share/tool/3"
rm "$root/usr/share/tool/4"
expect_status 1 systracker status
contains "$out" '^M /usr/lib/tool/binary: mode 0644 → 4755$' '^M /usr/bin/tool: ' \
  '^M /usr/share/tool/3: ' '^D /usr/share/tool/4$' '^4 differ'
expect_status 1 systracker diff
contains "$out" '^-echo three$' '^\+echo four$' '^--- a/usr/bin/tool at 2' '^\+\+\+ b/usr/bin/tool live'
expect_status 0 systracker checkpoint -m deviating
expect_status 1 systracker diff 1 3
contains "$out" '^changed package tool amd64$' '^changed /usr/lib/tool/binary$' '^-echo two 1$'
[ "$(grep -ac '^changed /\|^added /\|^deleted /' "$out")" -eq 4 ] || fail "more than what deviates"
tool_lines=$(grep -c 'tool' "$out")
[ "$tool_lines" -lt 40 ] || fail "too many lines"

# A package that goes, deviations and all.
remove_package tool
expect_status 1 systracker status
contains "$out" '^D package tool amd64: removed \(was 2\), its files: '
[ "$(grep -c '^D /' "$out")" -le 4 ] || fail "what is gone with its package is shown one by one"
