#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Single files of packages come back out of kept package files: what is missing, changed, or of another
# version; refused before any change where the package file cannot give them; undone and resumed.
. "$ST_SOURCE/tests/functions.sh"
make_root
make_config
. "$ST_SOURCE/tests/packaging.sh"
need_root 'to put owners back'

tool()
{
  t=$scratch/tool-$1
  mkdir -p "$t/usr/bin" "$t/usr/share/tool" "$t/usr/lib/tool"
  printf '#!/bin/sh\necho %s\n' "$1" >"$t/usr/bin/tool"
  chmod 4755 "$t/usr/bin/tool"
  ln "$t/usr/bin/tool" "$t/usr/bin/tool-again"
  head -c 5000000 /dev/zero | tr '\0' "$1" >"$t/usr/lib/tool/large"
  : >"$t/usr/lib/tool/empty"
  for n in 1 2 3; do echo "$n of $1" >"$t/usr/share/tool/$n"; done
  ln -s 1 "$t/usr/share/tool/link"
  build tool "$1" "$t"
}
tool 1
tool 2
install_package tool 1 "$scratch/tool-1"
expect_status 0 systracker checkpoint -m one
expect_status 0 systracker packages --keep "$scratch/debs"
manifest "$scratch/before" usr
stored() { find "$store/packs" -name '*.pack' -exec cat {} + | wc -c; }
same_as_before()
{
  manifest "$scratch/now" usr
  cmp "$scratch/before" "$scratch/now" || fail "not as it was: $1"
}

wreck()
{
  echo mine >"$root/usr/share/tool/1"
  rm "$root/usr/share/tool/2" "$root/usr/bin/tool-again" "$root/usr/lib/tool/empty"
  chmod 600 "$root/usr/share/tool/3"
  head -c 100 "$scratch/tool-1/usr/lib/tool/large" >"$root/usr/lib/tool/large"
  rm "$root/usr/share/tool/link" && mkdir "$root/usr/share/tool/link"
  find "$root/usr" -newermt 2024-03-02 -exec touch -h -d '2025-01-01 12:00:00' {} +
}
wreck
manifest "$scratch/wrecked" usr
expect_status 0 systracker restore --checkpoint 1 --dry-run
contains "$out" '^replace +/usr/share/tool/1' '^create +/usr/share/tool/2' '/usr/lib/tool/large'
lacks "$out" 'not kept'
expect_status 0 systracker restore --checkpoint 1
same_as_before 'all'
expect_status 0 systracker status
expect_status 0 systracker undo
manifest "$scratch/now" usr
cmp "$scratch/wrecked" "$scratch/now" || fail "undo did not bring back what was there"
expect_status 0 systracker restore --checkpoint 1 -- /usr/bin /usr/share/tool /usr/lib/tool
same_as_before 'by paths'

# A file of the version before, as it was, beside a newer package.
install_package tool 2 "$scratch/tool-2"
expect_status 0 systracker checkpoint -m two --tag two
expect_status 0 systracker restore --checkpoint 1 -- /usr/share/tool/3
cmp "$root/usr/share/tool/3" "$scratch/tool-1/usr/share/tool/3" || fail "not of version 1"
expect_status 1 systracker status
contains "$out" '^M /usr/share/tool/3: '
expect_status 0 systracker restore --checkpoint two
cmp "$root/usr/share/tool/3" "$scratch/tool-2/usr/share/tool/3" || fail "not of version 2"

# What the package file cannot give is refused before any change, with the package named.
rm "$root/usr/share/tool/2" "$root/usr/lib/tool/large"
echo other >"$root/etc/issue"
kept=$(echo "$store"/packages/*/*_tool_2_amd64.deb)
cp "$kept" "$scratch/good"

for damage in truncated flipped another; do
  case $damage in
  truncated) head -c 700 "$scratch/good" >"$kept" ;;
  flipped) flip "$kept" $(($(stat -c %s "$kept") / 2)) ;;
  another) cp "$scratch/debs/tool_1_amd64.deb" "$kept" ;;
  esac
  status=0
  systracker restore --checkpoint two >"$out" 2>"$err" || status=$?
  cat "$err"
  [ "$status" -eq 1 ] || fail "status $status with a package file that is $damage"
  contains "$err" '^systracker: .*/usr/(share/tool/2|lib/tool/large): its content cannot be had' \
    'tool 2 amd64'
  [ "$(cat "$root/etc/issue")" = other ] || fail "something was changed ($damage)"
  [ ! -e "$root/usr/share/tool/2" ] || fail "something was put back ($damage)"
  status=0
  systracker restore --checkpoint two --dry-run >"$out" 2>"$err" || status=$?
  [ "$status" -eq 1 ] || fail "a dry run does not say it ($damage)"
  cp "$scratch/good" "$kept"
done
# Where it is not kept, that is said of the paths, and the rest is put back.
mv "$kept" "$scratch/aside"
expect_status 1 systracker restore --checkpoint two
contains "$out" '/usr/share/tool/2.*not kept'
[ "$(cat "$root/etc/issue")" = 'Debian scratch' ] || fail "the rest was not put back"
mv "$scratch/aside" "$kept"
expect_status 0 systracker restore --checkpoint two
expect_status 0 systracker status
expect_status 0 systracker verify
