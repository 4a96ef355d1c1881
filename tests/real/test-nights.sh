#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# 200 nights of a few edits in a copy of this system's /etc: every revision reads back exactly, and
# the packs are at most twice the same revisions compressed by zstd with their predecessor as prefix.
. "$ST_SOURCE/tests/functions.sh"
need_program zstd
need_program sqlite3

nights=200
mkdir -p "$root" "$scratch/revisions"
cp -a /etc "$root/etc"
make_config

# The files that are edited: texts of some length, the same each run.
cd "$root"
find ./etc -type f -size +1k -size -200k ! -path './etc/shadow*' ! -path './etc/ssl/private/*' \
  -exec grep -Il . {} + | LC_ALL=C sort >"$scratch/texts"
# Sixty of them, evenly, or all where /etc is small.
awk -v step=$(($(wc -l <"$scratch/texts") / 60 + 1)) 'NR % step == 0' "$scratch/texts" >"$scratch/files"
files=$(wc -l <"$scratch/files")
[ "$files" -ge 10 ] || fail "only $files files to edit in /etc"

# edit FILE NIGHT: a line is added, one changed, or one removed.
edit()
{
  case $((($2 + $(stat -c %s "$1")) % 3)) in
  0) echo "# night $2: option$2 = $(($2 * 7919 % 104729))" >>"$1" ;;
  1) sed -i "$((1 + $2 % 20))s/\$/ # $2/" "$1" ;;
  2) sed -i "$((2 + $2 % 30))d" "$1" ;;
  esac
}

pack_bytes() { cat "$store"/packs/*.pack | wc -c; }

expect_status 0 systracker checkpoint -m baseline
first=$(pack_bytes)
night=1
while [ "$night" -le "$nights" ]; do
  for k in 1 2 3; do
    file=$(sed -n "$((1 + (night * 13 + k * 17) % files))p" "$scratch/files")
    number=$(find "$scratch/revisions" -type f | wc -l)
    before=$scratch/last-$(printf '%s' "$file" | sha256sum | cut -c1-16)
    [ -e "$before" ] || cp "$file" "$before"
    edit "$file" "$night"
    cp "$file" "$scratch/now"
    cmp -s "$scratch/now" "$before" && continue
    # The size that zstd itself needs for this revision behind the one before.
    zstd -q -3 --no-check --patch-from="$before" -c "$scratch/now" | wc -c >>"$scratch/deltas"
    mv "$scratch/now" "$before"
    cp "$file" "$scratch/revisions/$number"
    printf '%s %s %s\n' "$((night + 1))" "${file#.}" "$number" >>"$scratch/expected"
  done
  status=0
  systracker checkpoint >"$out" 2>&1 || status=$?
  [ "$status" -eq 0 ] || { cat "$out"; fail "night $night ended with $status"; }
  night=$((night + 1))
done

# A file may be edited twice in a night: the last edit counts.
awk '{ last[$1 " " $2] = $3 } END { for (k in last) print k, last[k] }' "$scratch/expected" |
  LC_ALL=C sort -n >"$scratch/check"
while read -r checkpoint path number; do
  systracker cat "$checkpoint" "$path" >"$scratch/now" || fail "cat $checkpoint $path"
  cmp "$scratch/now" "$scratch/revisions/$number" || fail "$path at $checkpoint is not as it was"
done <"$scratch/check"
echo "revisions read back exactly: $(wc -l <"$scratch/check")"

expect_status 0 systracker verify

# What zstd needs: each first revision by itself, each later one behind its predecessor.
systracker_kept=$(sql "SELECT count(*) FROM config_track_file WHERE since = 1 AND object NOT NULL")
sql "SELECT p.path FROM config_track_file f JOIN path p ON p.id = f.path
  WHERE f.since = 1 AND f.object NOT NULL" >"$scratch/kept"
plain=0
while IFS= read -r path; do
  size=$(systracker cat 1 "$path" --secrets | zstd -q -3 --no-check -c | wc -c)
  plain=$((plain + size))
done <"$scratch/kept"
deltas=$(awk '{ s += $1 } END { print s + 0 }' "$scratch/deltas")
packs=$(pack_bytes)
catalog=$(cat "$store"/hosts/*/catalog.db "$store"/hosts/*/chain "$store"/packs/objects.db | wc -c)
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }
echo "baseline: $systracker_kept files kept; packs $first bytes, zstd alone $plain"
echo "$nights nights: packs grew by $((packs - first)) bytes, zstd alone needs $deltas" \
  "($(ratio $((packs - first)) "$deltas"))"
echo "all: packs $packs, zstd alone $((plain + deltas)) ($(ratio "$packs" $((plain + deltas))));" \
  "catalog, chain and index of objects $catalog"
[ "$packs" -le $((2 * (plain + deltas))) ] || fail "the packs are more than twice what zstd needs"
