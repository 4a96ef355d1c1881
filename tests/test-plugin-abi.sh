#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The plug-in interface: the example, built against the installed header alone, and a binary that
# was built long ago; their facts with and without them; one of a foreign interface is refused.
. "$ST_SOURCE/tests/functions.sh"
need_program "${ST_CC%% *}"
installed=$(dirname "$(find "$ST_STAGE" -name standard_track.so)")
plugins=$scratch/plugins
export SYSTRACKER_PLUGINDIR="$plugins"

# build NAME FLAG...: the example, as someone else would build it.
build()
{
  name=$1
  shift
  $ST_CC -Wall -Wextra -Werror -shared -fPIC "-I$ST_INCLUDEDIR" "$@" -o "$plugins/$name.so" \
    "$ST_SOURCE/tests/example-plugin/$name.c"
}

begin()
{
  rm -rf "$root" "$store" "$plugins"
  mkdir "$plugins"
  cp "$installed"/*.so "$plugins/"
  make_root
  mkdir -p "$root/var/lib/hello"
  echo 'good morning' >"$root/var/lib/hello/greeting"
  make_config
  echo 'plugin hello_track { track = { "/etc/app" } }' >>"$config"
}

greeting() { cat "$root/var/lib/hello/greeting"; }

# What a plug-in can do, with whichever library stands there as hello_track.so.
exercise()
{
  expect_status 0 systracker check-config
  expect_status 0 systracker checkpoint
  echo fourth >>"$root/etc/app/app.conf"
  echo 'good evening' >"$root/var/lib/hello/greeting"
  expect_status 0 systracker checkpoint

  expect_status 1 systracker diff 1 2
  contains "$out" 'line count 3 → 4' 'greeting good morning → good evening'
  expect_status 0 systracker log /etc/app/app.conf
  contains "$out" 'line count 3 → 4'
  expect_status 0 systracker restore --checkpoint 1 --dry-run
  contains "$out" 'greet with: good morning'
  [ "$(greeting)" = 'good evening' ] || fail "--dry-run changed the greeting"
}

# The facts of a plug-in that is gone still diff, column by column, and stand.
without_it()
{
  rm "$plugins/hello_track.so"
  expect_status 1 systracker diff 1 2
  contains "$out" 'lines 3 → 4' 'words good morning → good evening'
  expect_status 0 systracker log /etc/app/app.conf
  contains "$out" 'lines 3 → 4'
  echo fifth >>"$root/etc/app/app.conf"
  expect_status 1 systracker checkpoint
  contains "$err" hello_track
  [ "$(sql 'SELECT lines FROM hello_track_lines WHERE until IS NULL ORDER BY lines' |
    tr '\n' ' ')" = '1 4 ' ] || fail "facts of the absent plug-in changed"
  expect_status 0 systracker verify
}

begin
build hello_track
exercise
if [ "$(id -u)" -eq 0 ]; then
  expect_status 0 systracker restore --checkpoint 1 --yes
  [ "$(greeting)" = 'good morning' ] || fail "the plug-in's part was not restored"
  begin
  build hello_track
  exercise
fi
without_it

# Another interface: one clear line, from every verb that needs plug-ins.
sed 's/^ST_REGISTER_PLUGIN.*//' "$ST_SOURCE/tests/example-plugin/hello_track.c" >"$scratch/foreign.c"
cat >>"$scratch/foreign.c" <<END
const struct st_plugin *st_plugin_register(void)
{
  hello.size = sizeof(hello);
  hello.api_version = 99;
  return &hello;
}
END
$ST_CC -shared -fPIC "-I$ST_INCLUDEDIR" -o "$plugins/hello_track.so" "$scratch/foreign.c"
expect_status 2 systracker check-config
one_error hello_track 99

# The binary of interface 1, as it was built when that was new.
machine=$(uname -m)
[ "$machine" = x86_64 ] ||
  skip "the kept binary of plug-in interface 1 is for x86_64, this is $machine; the rest passed"
begin
cp "$ST_SOURCE/tests/fixtures/abi1-x86_64/hello_track.so" "$plugins/"
exercise
without_it
