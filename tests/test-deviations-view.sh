#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# packages --deviations: what is not as its package has it, from which default, line by line where the
# package file is kept; secrets never; what belongs to no package is counted, or listed.
. "$ST_SOURCE/tests/functions.sh"
make_root
make_config
. "$ST_SOURCE/tests/packaging.sh"

mkdir -p "$scratch/tool-1/usr/bin" "$scratch/tool-1/usr/share/tool" "$scratch/tool-1/etc/ssl/private"
t=$scratch/tool-1
printf '#!/bin/sh\necho one\necho two\n' >"$t/usr/bin/tool"
chmod 755 "$t/usr/bin/tool"
printf '\0binary' >"$t/usr/share/tool/binary"
for n in 1 2 3 4; do echo "$n" >"$t/usr/share/tool/$n"; done
ln -s 1 "$t/usr/share/tool/link"
printf 'a=1\nb=2\n' >"$t/etc/tool.conf"
echo 'CANARY-DEFAULT' >"$t/etc/ssl/private/tool.pem"
build tool 1 "$t"
mkdir -p "$scratch/seen-3/usr/share/seen"
echo seen >"$scratch/seen-3/usr/share/seen/file"
echo other >"$scratch/seen-3/usr/share/seen/other"
build seen 3 "$scratch/seen-3"
mkdir -p "$scratch/clean-1/usr/share/clean"
echo clean >"$scratch/clean-1/usr/share/clean/file"
build clean 1 "$scratch/clean-1"

install_package tool 1 "$t"
install_package clean 1 "$scratch/clean-1"
install_package seen 3 "$scratch/seen-3"
# Of a package whose file was not kept: what was there, and no digest where it is not the package's.
{
  echo observed
  sed '/seen\/other /s/ [0-9a-f]\{64\} [0-9]*$/ - -/' "$packaging/seen_3"
} >"$scratch/observed"
mv "$scratch/observed" "$packaging/seen_3"

expect_status 2 systracker packages --deviations
one_error 'no store yet'
echo own >"$root/usr/local/own"
expect_status 0 systracker checkpoint
expect_status 0 systracker packages --deviations
contains "$out" 'M /usr/share/seen/other: other content than the package.s' '^[0-9]+ tracked paths belong to no'
contains "$out" '^  M /etc/ssl/private/tool.pem: a secret, which cannot be compared'
lacks "$out" '/usr/bin/tool' clean /usr/local/own
systracker packages --keep "$scratch/debs/tool_1_amd64.deb" >"$scratch/kept"
expect_status 0 systracker packages --deviations
lacks "$out" '^tool' tool.pem
rm -r "$store/packages"

sed -i 's/two/three/' "$root/usr/bin/tool"
chmod 4755 "$root/usr/bin/tool"
chmod 600 "$root/usr/share/tool/1"
rm "$root/usr/share/tool/2"
rm "$root/usr/share/tool/3" && ln -s 4 "$root/usr/share/tool/3"
touch -d 2025-05-05 "$root/usr/share/tool/4"
ln -sf 4 "$root/usr/share/tool/link"
printf '\0Binary' >"$root/usr/share/tool/binary"
sed -i 's/b=2/b=3/' "$root/etc/tool.conf"
echo CANARY-OURS >"$root/etc/ssl/private/tool.pem"
chmod 664 "$root/usr/share/seen/file"
expect_status 0 systracker checkpoint

# Without the package file: by digests and metadata.
expect_status 0 systracker packages --deviations
contains "$out" '^tool 1 amd64 \(its package file is not kept: digests' '^seen 3 amd64 \(no package file is kept: ' \
  '^  M /usr/bin/tool: mode 0755 → 4755, content: ' '^  M /usr/share/tool/1: mode 0644 → 0600$' \
  '^  D /usr/share/tool/2: missing$' '^  T /usr/share/tool/3: .*' '^  M /usr/share/tool/link: ' \
  '^  M /usr/share/tool/binary: content: ' '^  M /etc/tool.conf.*\[configuration\]$' \
  'line by line comparison: .*not kept \(tool 1 amd64\)' '^  M /usr/share/seen/file: mode 0644 → 0664$' \
  '^10 deviations of 2 packages at checkpoint 2$'
lacks "$out" CANARY '/usr/share/tool/4' '^\+echo'

# With it: line by line.
expect_status 0 systracker packages --keep "$scratch/debs/tool_1_amd64.deb"
expect_status 0 systracker packages --deviations
contains "$out" '^tool 1 amd64 \(its package file is kept\)$' '^-echo two$' '^\+echo three$' \
  '^--- a/usr/bin/tool as tool 1 amd64 has it' '^\+\+\+ b/usr/bin/tool at 2' '^-b=2$' '^\+b=3$' \
  '^  M /etc/ssl/private/tool.pem: content changed'
lacks "$out" CANARY "$(sha256sum <"$root/etc/ssl/private/tool.pem" | cut -c1-16)" \
  "$(sha256sum <"$t/etc/ssl/private/tool.pem" | cut -c1-16)"
expect_status 0 systracker packages --deviations --stat
lacks "$out" '^\+' '^---' 'line by line'
[ "$(grep -c '^  [MDT] ' "$out")" -eq 10 ] || fail "not a line each"
expect_status 0 systracker packages --deviations --stat --unpackaged
contains "$out" '^/usr/local/own$' '^/etc/hosts$'
lacks "$out" 'belong to no package'
expect_status 0 systracker --json packages --deviations --unpackaged
jq -se '(map(select(.path == "/usr/bin/tool"))[0] | .package == "tool" and .version == "1"
  and .default == "package file" and .status == "M" and (.diff | contains("+echo three")))
  and any(.path == "/usr/local/own" and .package == null)
  and any(.path == "/usr/share/seen/file" and .default == "observed")
  and (.[-1] | .deviations == 10 and .packages == 2 and .unpackaged > 5)' "$out" >/dev/null ||
  fail "JSON of deviations"
lacks "$out" CANARY
expect_status 2 systracker packages --deviations --fetch-missing
one_error 'stands alone'
expect_status 2 systracker packages --stat
