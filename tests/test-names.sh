#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Names with newlines, control characters, invalid UTF-8: through every verb, none unescaped.
. "$ST_SOURCE/tests/functions.sh"
make_root
make_config
line=$(printf 'a\nb')
escape=$(printf 'esc\033[31mred')
bell=$(printf 'bell\007 tab\t back\\slash')
invalid=$(printf 'bad\377\300utf')
control=$(printf 'c1\302\233x bidi\342\200\256y')
leading='-rf'
blank=' '

for folder in etc srv; do
  for name in "$line" "$escape" "$bell" "$invalid" "$control" "$leading" "$blank"; do
    mkdir -p "$root/$folder/odd"
    printf 'one\n' >"$root/$folder/odd/$name"
    mkdir "$root/$folder/odd/$name.d"
    ln -s -- "$name" "$root/$folder/odd/$name.link"
  done
done
manifest "$scratch/one" etc srv

# No byte below space but newline, no DEL, no C1 control, no bidirectional control, valid UTF-8.
clean()
{
  for file in "$out" "$err"; do
    ! LC_ALL=C grep -naP '[\x00-\x08\x0b-\x1f\x7f]' "$file" || fail "a control character: $*"
    ! LC_ALL=C grep -naP '\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]' "$file" ||
      fail "a control character: $*"
    iconv -f UTF-8 -t UTF-8 "$file" >"$scratch/iconv" || fail "no UTF-8: $*"
  done
}
check()
{
  expect_status "$@"
  clean "$@"
}

check 0 systracker checkpoint -m "$escape"
for name in "$line" "$escape" "$bell" "$invalid" "$control" "$leading" "$blank"; do
  printf 'two\n' >"$root/etc/odd/$name"
  chmod 600 "$root/srv/odd/$name"
  ln -sfn "to-$name" "$root/etc/odd/$name.link"
done
check 1 systracker status
contains "$out" 'a\\nb' 'esc\\x1b\[31mred' 'bad\\xff\\xc0utf' 'back\\\\slash'
check 1 systracker diff
contains "$out" 'a\\nb' 'esc\\x1b\[31mred' 'bad\\xff\\xc0utf' 'mode 0644 → 0600'
check 1 systracker --json diff
manifest "$scratch/two" etc srv
check 0 systracker checkpoint
for options in '' --stat --name-only --files --times; do
  # shellcheck disable=SC2086
  check 1 systracker diff 1 2 $options
done
check 0 systracker log
check 0 systracker show 2
check 0 systracker coverage
check 0 systracker verify
for name in "$line" "$escape" "$bell" "$invalid" "$control" "$leading" "$blank"; do
  check 0 systracker log "/etc/odd/$name"
  check 0 systracker explain "/etc/odd/$name"
  check 0 systracker cat 1 "/etc/odd/$name"
  [ "$(cat "$out")" = one ] || fail "cat gave something else"
  check 1 systracker diff 1 2 -- "/etc/odd/$name"
  check 1 systracker cat 1 "/srv/none/$name"
  check 2 systracker diff "$name"
  check 2 systracker "$name"
  check 1 systracker tag -- "$name" 1
done

# On a terminal, too.
need_program script
script -qec "'$ST_SYSTRACKER' --config '$config' --root '$root' --store '$store' diff 1 2" \
  "$scratch/typescript" >/dev/null </dev/null || :
grep -q . "$scratch/typescript" || fail "nothing on the terminal"
tr -d '\r' <"$scratch/typescript" | sed '1d;$d' >"$out"
NO_COLOR=1 clean terminal

# There and back again.
check 0 systracker restore --checkpoint 1 --dry-run
check 0 systracker restore --checkpoint 1 --exact --packages=none --yes
manifest "$scratch/back" etc srv
cmp "$scratch/one" "$scratch/back" || fail "restore did not bring the odd names back"
check 0 systracker restore --status
check 0 systracker undo --yes
manifest "$scratch/back" etc srv
cmp "$scratch/two" "$scratch/back" || fail "undo did not bring the odd names back"
