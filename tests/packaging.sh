# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# packaging.sh - packages for tests: real .deb files, put into the root without dpkg, and known by the
# plug-in of tests/fixtures/packaging.c, whose manifests say what the .deb files say.  Sourced behind
# functions.sh and make_config.
: "${root:?}" "${scratch:?}" "${config:?}"

need_program dpkg-deb
packaging=$root/var/packaging
mkdir -p "$packaging" "$scratch/debs"
: >"$packaging/installed"
build_plugin packaging
echo 'plugin packaging { track = { "/usr" } }' >>"$config"

# build NAME VERSION FOLDER [COMPRESSION]: a .deb of what is in the folder.
build()
{
  mkdir -p "$3/DEBIAN"
  printf 'Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: nobody <n@example.org>\n' \
    "$1" "$2" >"$3/DEBIAN/control"
  printf 'Description: a toy\n' >>"$3/DEBIAN/control"
  find "$3" -exec touch -h -d '2024-03-01 12:00:00' {} +
  dpkg-deb --root-owner-group -Z"${4:-xz}" --build "$3" "$scratch/debs/$1_$2_amd64.deb" >/dev/null
}

# path_here PATH: as the root's directories resolve it.
path_here()
{
  folder=$(realpath "$root${1%/*}")
  printf '%s/%s\n' "${folder#"$root"}" "${1##*/}"
}

# describe FOLDER: the manifest of what is in a folder that was built.
describe()
{
  (cd "$1" && find . -mindepth 1 -path ./DEBIAN -prune -o -printf '%P\n') | sort |
    while read -r path; do
      file=$1/$path target=- group=- digest=- size=-
      type=$(find "$file" -maxdepth 0 -printf '%y')
      if [ "$type" = l ]; then target=$(readlink "$file"); fi
      if [ "$type" = f ]; then
        digest=$(sha256sum <"$file" | cut -c1-64) size=$(stat -c %s "$file")
        if [ "$(stat -c %h "$file")" -gt 1 ]; then
          group=$(path_here "/$(cd "$1" && find . -samefile "$path" -printf '%P\n' | sort | head -n 1)")
        fi
      fi
      printf '%s %s %s root %s %s %s %s %s\n' "$(path_here "/$path")" "$type" \
        "$(stat -c %a "$file")" "$(stat -c %Y "$file")" "$target" "$group" "$digest" "$size"
    done
}

# install NAME VERSION FOLDER: what the folder was built into, in the root.
install_package()
{
  check_scratch "$root"
  remove_package "$1"
  dpkg-deb --fsys-tarfile "$scratch/debs/$1_$2_amd64.deb" | tar -x -C "$root" --keep-directory-symlink
  describe "$3" >"$packaging/$1_$2"
  echo "$1 $2 amd64" >>"$packaging/installed"
}

remove_package()
{
  old=$(sed -n "s/^$1 \([^ ]*\) .*/\1/p" "$packaging/installed")
  [ -n "$old" ] || return 0
  while read -r path type _; do
    if [ "$type" != d ]; then rm -f "$root$path"; fi
  done <"$packaging/$1_$old"
  sed -i "/^$1 /d" "$packaging/installed"
}
