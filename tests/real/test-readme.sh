#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# README's first day, as written there, on a Debian system with what make install installs.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"
make_debian
install_systracker
echo '127.0.0.1 localhost' >"$root/etc/hosts"

awk '/<!-- first day/ { on = 1; next } on && /^```$/ { exit } on && !/^```/' "$ST_SOURCE/README.md" \
  >"$scratch/commands"
[ "$(grep -c '^systracker ' "$scratch/commands")" -ge 8 ] || fail "README has no first day"
number=0
while read -r command; do
  number=$((number + 1))
  status=0
  in_root sh -c "$command" >"$out" 2>"$err" || status=$?
  printf '$ %s\n[%s]\n' "$command" "$status"
  cat "$out" "$err"
  # 1 is an answer of status and diff, and of nothing else.
  case $status:$command in
  0:* | 1:systracker\ status* | 1:systracker\ diff*) ;;
  *) fail "README's command ended with $status: $command" ;;
  esac
  case $command in
  'systracker diff') contains "$out" '^\+127\.0\.0\.2 build$' 'mode 0644 → 0600' ;;
  'systracker log '*) contains "$out" '^ *2 .*content: .*a name for the build host' ;;
  'systracker restore '*) grep -q build "$root/etc/hosts" && fail "/etc/hosts was not restored" ;;
  'systracker undo '*) grep -q build "$root/etc/hosts" || fail "/etc/hosts was not put back" ;;
  esac
done <"$scratch/commands"
[ "$status" -eq 0 ] || fail "in the end something differs"
