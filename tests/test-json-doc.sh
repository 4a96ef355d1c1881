#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Every key that the programs print as JSON is in doc/json.md.  What goes between a host and a server is in
# doc/formats.md and doc/openapi.yaml, and has tests of its own.
. "$ST_SOURCE/tests/functions.sh"
cd "$ST_SOURCE"
code()
{
  grep -r --include='*.c' --exclude='test-*' --exclude-dir=serve --exclude=remotestate.c --exclude='upload-*.c' "$@" \
    systracker restore archive-sync || :
}
code -hoE 'json_object_set_new\([^;"]*, "[a-z_]+"' 2>"$scratch/no-such-folder" |
  sed 's/.*"\([a-z_]*\)"/\1/' | sort -u >"$scratch/keys"
[ "$(wc -l <"$scratch/keys")" -ge 60 ] || fail "too few keys found: are they set in another way?"
missing=
while read -r key; do
  grep -qF "\`$key\`" doc/json.md || missing="$missing $key"
done <"$scratch/keys"
[ -z "$missing" ] || fail "not in doc/json.md:$missing"

# And nobody goes around what this test reads: pairs are the only use of json_pack.
code -nE 'json_pack\("[^"]*\{' >"$scratch/packed" 2>"$scratch/no-such-folder"
[ ! -s "$scratch/packed" ] || fail "objects are made with json_object_set_new: $(cat "$scratch/packed")"
