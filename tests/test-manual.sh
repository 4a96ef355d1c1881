#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The manual, --help and the program say the same of verbs and options.
. "$ST_SOURCE/tests/functions.sh"
need_program mandoc
# Without the overstriking that makes letters bold.
plain() { sed "s/.$(printf '\b')//g"; }
page=$ST_MANDIR/man8/systracker.8
[ -e "$page" ] || fail "systracker.8 is not installed"
[ -e "$ST_MANDIR/man5/systracker.conf.5" ] || fail "systracker.conf.5 is not installed"
mandoc -T ascii "$page" | plain >"$scratch/page"

expect_status 0 "$ST_SYSTRACKER" --help
sed -n '/^Verbs:/,/^$/s/^  \([a-z-]*\) .*/\1/p' "$out" | grep -vx help >"$scratch/verbs"
[ "$(wc -l <"$scratch/verbs")" -ge 13 ] || fail "--help lists too few verbs"

# The page has a subsection for each verb: "   diff [A [B]] ...".
awk '/^[A-Z]/ { on = $0 == "VERBS" } on' "$scratch/page" >"$scratch/section"
sed -n 's/^   \([a-z][a-z-]*\)\( .*\)\{0,1\}$/\1/p' "$scratch/section" | sort >"$scratch/in-page"
sort "$scratch/verbs" | diff - "$scratch/in-page" || fail "the verbs of --help (<) and of the page (>)"

options() { grep -oE -e '(^|[^a-z-])--[a-z][a-z-]+' | grep -oE -e '--[a-z-]+' | sort -u; }
# The options of every verb, and of the program.
"$ST_SYSTRACKER" --help | sed -n '/^Options/,$p' | options | grep -vx -e --help >"$scratch/global"
awk '/^[A-Z]/ { on = $0 == "OPTIONS" } on' "$scratch/page" | options | grep -vx -e --help |
  diff "$scratch/global" - || fail "the global options of --help (<) and of the page (>)"

# A verb's options are in its own page, or in its subsection.
while read -r verb; do
  expect_status 0 "$ST_SYSTRACKER" "$verb" --help
  sed -n '/^Options:/,/^$/p' "$out" | sed -E 's/(--[a-z-]+( [A-Z]+)?) .*/\1/' | options \
    >"$scratch/help"
  # What the page says in the verb's own subsection, in its list of options.
  if [ -e "$ST_MANDIR/man8/systracker-$verb.8" ]; then
    mandoc -T ascii "$ST_MANDIR/man8/systracker-$verb.8" | plain |
      awk '/^[A-Z]/ { on = $0 == "DESCRIPTION" } on'
  else
    awk -v verb="$verb" '/^   [a-z]/ { on = $1 == verb; next } on' "$scratch/section"
  fi |
    sed -nE 's/^ {4,9}((-.*)?--[a-z-]+.*)$/\1/p' | sed -E 's/(--[a-z-]+).*/\1/' | options \
    >"$scratch/said-all"
  grep -vxF -e --help -f "$scratch/global" "$scratch/said-all" >"$scratch/said" || :
  diff "$scratch/help" "$scratch/said" || fail "options of $verb: --help (<), the page (>)"
done <"$scratch/verbs"

# The archive's program: the options of all its verbs are those of its page, and each verb is there.
archive=${ST_SYSTRACKER%/*}/systracker-archive
mandoc -T ascii "$ST_MANDIR/man8/systracker-archive.8" | plain >"$scratch/archive-page"
expect_status 0 "$archive" --help
sed -n '/^Verbs:/,/^$/s/^  \([a-z-][a-z-]*\) .*/\1/p' "$out" >"$scratch/archive-verbs"
[ "$(wc -l <"$scratch/archive-verbs")" -ge 10 ] || fail "--help lists too few verbs"
printf '%s\n' --help --json --quiet --version >"$scratch/archive-options"
# What stands behind any of them is what the page says stands behind all: no host is chosen there.
awk '/^ +The options are as follows/ { on = 1 } /^[A-Z]/ { on = 0 } on' "$scratch/archive-page" |
  sed -nE 's/^ {4,9}((-.*)?--[a-z-]+.*)$/\1/p' | options | grep -vx -e --version >"$scratch/everywhere"
while read -r verb; do
  contains "$scratch/archive-page" "^ +(.*, )?$verb([ ,].*)?\$"
  expect_status 0 "$archive" "$verb" --help
  contains "$out" "^usage: systracker-archive $verb "
  sed -n '/^Options of every verb:/,$p' "$out" | options | diff - "$scratch/everywhere" ||
    fail "options of every verb of systracker-archive: $verb --help (<), the page (>)"
  case $verb in log | show | diff | cat) continue ;; esac
  sed -n '/^Options:/,/^$/p' "$out" | sed -E 's/(--[a-z-]+( [A-Z]+)?) .*/\1/' | options \
    >>"$scratch/archive-options"
done <"$scratch/archive-verbs"
awk '/^[A-Z]/ { on = $0 == "DESCRIPTION" } on' "$scratch/archive-page" |
  sed -nE 's/^ {4,20}((-.*)?--[a-z-]+.*)$/\1/p' |
  sed -E 's/(--[a-z-]+( [A-Za-z:]+)?)  .*/\1/' | options >"$scratch/archive-said"
sort -u "$scratch/archive-options" | diff - "$scratch/archive-said" ||
  fail "options of systracker-archive: --help (<), the page (>)"
for option in --config --root --store; do
  expect_status 2 "$archive" hosts "$scratch" "$option" /x
  contains "$err" "no such option: $option .see systracker-archive hosts --help"
  expect_status 2 "$archive" "$option" /x hosts "$scratch"
  contains "$err" "no such option: $option .see systracker-archive --help"
done

# Each key of the shipped configuration has its place in the page,
# or, where it is a plug-in's own option, in the plug-in's.
for conf_page in "$ST_MANDIR/man5/systracker.conf.5" "$ST_MANDIR"/man8/systracker-*_track.8; do
  mandoc -T ascii "$conf_page" | plain
done >"$scratch/conf"
for word in store log min_free max_night plugin track exclude secret reset excluded generated identity \
  reason archive url; do
  contains "$scratch/conf" "(^|[^a-z_])$word([^a-z_]|\$)"
done
sed -n 's/^ *\([a-z_]*\) *=.*/\1/p; s/^\([a-z]*\) .*{.*/\1/p' "$ST_CONFIG" | sort -u |
  while read -r word; do
    [ -z "$word" ] || contains "$scratch/conf" "(^|[^a-z_])$word([^a-z_]|\$)"
  done
