#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# --json: one valid object a line, from every verb that reports.
. "$ST_SOURCE/tests/functions.sh"
need_program jq
make_root
make_config
printf 'odd\n' >"$(printf '%s/srv/new\nline \377' "$root")"

# json N COMMAND...: and each line is an object.
json()
{
  expect_status "$@"
  [ -s "$out" ] || fail "no output"
  jq -e -s 'all(type == "object")' "$out" >/dev/null || fail "not an object on each line"
  [ "$(jq -c . "$out" | wc -l)" -eq "$(wc -l <"$out")" ] || fail "an object is not one line"
}

json 0 systracker --json checkpoint -m 'with "quotes"'
json 0 systracker checkpoint --json
chmod 600 "$root/etc/hosts"
echo more >>"$root/etc/app/app.conf"
rm "$root/etc/issue"
printf 'changed\n' >"$(printf '%s/srv/new\nline \377' "$root")"
packages 'hello 2'
json 1 systracker --json status
json 1 systracker --json diff
jq -e -s 'map(select(.key.path == "/etc/hosts")) | length > 0' "$out" >/dev/null ||
  fail "no object about /etc/hosts"
grep -qF '"/srv/new\\nline \\xff"' "$out" || fail "the odd name is not escaped as said"
json 0 systracker --json checkpoint
json 1 systracker --json diff 1 latest
for verb in log 'log /etc/hosts' 'show latest' coverage 'explain /etc/hosts' tag verify check-config; do
  # shellcheck disable=SC2086
  case $verb in
  tag) expect_status 0 systracker tag one 1 && json 0 systracker --json tag ;;
  *) json 0 systracker --json $verb ;;
  esac
done
json 0 systracker --json restore --checkpoint 1 --dry-run
json 0 systracker --json restore --checkpoint 1 --yes
json 0 systracker --json undo --yes

# Output that cannot be written is one line, and trouble.
for format in '' --json; do
  status=0
  # shellcheck disable=SC2086
  systracker $format diff 1 latest >/dev/full 2>"$err" || status=$?
  [ "$status" -eq 2 ] || fail "status $status where the output cannot be written"
  one_error 'cannot write the output'
done
