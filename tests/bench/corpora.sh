# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# corpora.sh - what is measured on, each made once; see corpus.c.  Sourced by bench.sh.
# shellcheck disable=SC2034,SC2154 # variables are shared with bench.sh
: "${dir:?}" "${entries:?}" "${bytes:?}"

floor=$BENCH_PROGRAMS/floor
usr_root=$dir/usr-root
usr=$usr_root/usr
etc_root=$dir/etc-root

# A root to track needs names of accounts and, of dpkg's database, what is read of it.
make_accounts()
{
  mkdir -p "$1/etc"
  cp /etc/passwd /etc/group "$1/etc"
  : >"$1/BENCH-SCRATCH"
}

copy_selected()
{
  mkdir -p "$2"
  tar -C /usr --null --no-recursion --verbatim-files-from -T "$1" -c | tar -C "$2" -xp
}

# A copy of /usr of so many entries; parts of it twice where it has fewer.
make_usr()
{
  mark=$usr_root/made-$entries-$bytes
  [ ! -e "$mark" ] || return 0
  note "bench: copying $entries entries of /usr"
  rm -rf "$usr_root" "$dir/stores"
  mkdir -p "$usr"
  make_accounts "$usr_root"
  if [ -d /var/lib/dpkg/info ]; then
    mkdir -p "$usr_root/var/lib/dpkg"
    for part in status info diversions statoverride alternatives arch; do
      [ ! -e "/var/lib/dpkg/$part" ] || cp -a "/var/lib/dpkg/$part" "$usr_root/var/lib/dpkg"
    done
  fi
  have=0
  copy=1
  while [ "$have" -lt "$entries" ]; do
    "$BENCH_PROGRAMS/corpus" select /usr "$((entries - have))" "$bytes" >"$dir/list"
    [ "$copy" -eq 1 ] && to=$usr || to=$usr/copy-$copy
    copy_selected "$dir/list" "$to"
    copy=$((copy + 1))
    have=$(find "$usr" -mindepth 1 -printf x | wc -c)
    [ "$have" -gt 0 ] || { note "bench: /usr has nothing to copy"; exit 2; }
  done
  rm "$dir/list"
  sync
  : >"$mark"
}

# A copy of /etc without its secrets, as it was before the first night.
make_etc()
{
  rm -rf "$etc_root"
  make_accounts "$etc_root"
  tar -C /etc --exclude=./shadow* --exclude=./gshadow* --exclude=./ssl/private \
    --exclude=./ssh/ssh_host_* --exclude=*.key --ignore-failed-read -c . 2>>"$log" |
    tar -C "$etc_root/etc" -xp
}

make_million()
{
  million_root=$dir/million-root
  [ ! -e "$million_root/made" ] || return 0
  note "bench: making a million files"
  rm -rf "$million_root"
  mkdir -p "$million_root/srv"
  make_accounts "$million_root"
  "$BENCH_PROGRAMS/corpus" small "$million_root/srv" 1000000
  sync
  : >"$million_root/made"
}

# What dpkg knows of 1,000 packages with 150 paths each, 129 of them files: directories first, in
# order, as dpkg has them.
make_packages()
{
  packages_root=$dir/packages-root
  [ ! -e "$packages_root/made" ] || return 0
  note "bench: making 1,000 packages"
  rm -rf "$packages_root"
  mkdir -p "$packages_root/var/lib/dpkg/info" "$packages_root/var/lib/dpkg/updates"
  awk -v dpkg="$packages_root/var/lib/dpkg" '
    function line(path) { print path >list }
    function file(path) {
      line("/" path)
      printf "%08x%08x%08x%08x  %s\n", p * 7919, f * 104729, p * f, ++made, path >sums
    }
    BEGIN {
      for (p = 1; p <= 1000; p++) {
        name = sprintf("bench-package-%04d", p)
        list = dpkg "/info/" name ".list"
        sums = dpkg "/info/" name ".md5sums"
        printf "Package: %s\nStatus: install ok installed\nPriority: optional\nSection: libs\n" \
          "Installed-Size: %d\nMaintainer: Nobody <nobody@localhost>\nArchitecture: amd64\n" \
          "Version: 1.%d-1+deb12u%d\nDepends: libc6 (>= 2.36), bench-package-%04d\n",
          name, p * 11, p, p % 5, 1 + p * 31 % 1000 >(dpkg "/status")
        if (p % 4 == 0)
          printf "Conffiles:\n /etc/%s/main.conf %032x\n /etc/%s/other.conf %032x\n", name, p,
            name, p * 3 >(dpkg "/status")
        printf "Description: package %d of a benchmark\n It has nothing but its names,\n" \
          " and this text of some lines.\nHomepage: https://www.example.org/%s\n\n", p,
          name >(dpkg "/status")
        line("/.")
        line("/etc")
        line("/etc/" name)
        line("/etc/" name "/main.conf")
        line("/etc/" name "/other.conf")
        line("/usr")
        line("/usr/lib")
        line("/usr/lib/x86_64-linux-gnu")
        line("/usr/lib/x86_64-linux-gnu/" name)
        for (d = 1; d <= 7; d++) {
          line("/usr/lib/x86_64-linux-gnu/" name "/part-" d)
          for (f = 10; f <= 26; f++)
            file("usr/lib/x86_64-linux-gnu/" name "/part-" d "/module-of-some-length-" f ".so")
        }
        line("/usr/share")
        line("/usr/share/doc")
        line("/usr/share/doc/" name)
        for (f = 1; f <= 10; f++)
          file("usr/share/doc/" name "/page-" sprintf("%02d", f) ".html")
        file("usr/share/doc/" name "/copyright")
        line("/usr/share/man")
        close(list)
        close(sums)
      }
    }'
  : >"$packages_root/made"
}
