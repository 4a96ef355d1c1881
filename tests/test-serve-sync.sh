#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What hosts send to an archive's server, and what they may not: said piece by piece, by curl, with what
# the client of SysTracker would never say.
. "$ST_SOURCE/tests/functions.sh"
need_program curl
need_program jq
. "$ST_SOURCE/tests/served.sh"
client=$ST_BUILD/tests/host-client

# ---- Three hosts and a server ------------------------------------------------------------------------
for name in one two; do
  host "$name"
  echo "only $name has this" >"$root/etc/app/own.conf"
  systracker checkpoint >/dev/null
  echo "$name again" >>"$root/etc/app/own.conf"
  systracker checkpoint >/dev/null
done
systracker_archive init "$archive" --name 127.0.0.1 >/dev/null
token=$(systracker_archive --json token "$archive" add | jq -r .token)
id=$(sed -n 's/^id //p' "$archive/archive")
free_ports
port=$ports
url=https://127.0.0.1:$port
serve()
{
  "${ST_SYSTRACKER%/*}/systracker-archive" serve "$archive" --user "$(id -un)" --listen "127.0.0.1:$port" --log "$scratch/serve.log" \
    2>"$scratch/serve.err" &
  server=$!
  soon answers || fail "the server does not answer"
}
stop() { kill -9 "$server" 2>/dev/null && wait "$server" 2>/dev/null; }
at_end stop
serve

one=$scratch/store-one two=$scratch/store-two
id_one=$(id_of "$one") id_two=$(id_of "$two")
reply=$scratch/reply head=$scratch/head
# as HOST METHOD TARGET FILE STATUS [TOKEN]: signed; the session is kept for the host.
as()
{
  "$client" sign "$1" "$id" "$2" "$3" "$4" ${6:+"$6"} >"$scratch/curlrc"
  status=$(curl -sk -K "$scratch/curlrc" -X "$2" --data-binary "@$4" -D "$head" -o "$reply" \
    -w '%{http_code}' -H 'Content-Type: application/octet-stream' "$url$3")
  [ "$status" = "$5" ] || { cat "$reply"; fail "$status instead of $5: $2 $3 as $1"; }
}
# by SESSION METHOD TARGET FILE STATUS
by()
{
  status=$(curl -sk -X "$2" --data-binary "@$4" -o "$reply" -w '%{http_code}' \
    -H "Authorization: Bearer $1" -H 'Content-Type: application/octet-stream' "$url$3")
  [ "$status" = "$5" ] || { cat "$reply"; fail "$status instead of $5: $2 $3"; }
}
get() # SESSION TARGET STATUS
{
  status=$(curl -sk -o "$reply" -w '%{http_code}' -H "Authorization: Bearer $1" "$url$2")
  [ "$status" = "$3" ] || { cat "$reply"; fail "$status instead of $3: GET $2"; }
}
session() { sed -n 's/^[Ss]ystracker-[Ss]ession: \([^[:space:]]*\).*/\1/p' "$head"; }
says() { jq -e "$1" "$reply" >/dev/null || { cat "$reply"; fail "the reply does not say: $1"; }; }
none='{"epoch":0,"number":0,"head":"","packages":""}'

# ---- Who may come in ----------------------------------------------------------------------------------
printf '%s' "$none" >"$scratch/question"
as "$one" POST /v1/sync "$scratch/question" 403
as "$one" POST /v1/sync "$scratch/question" 200 "$token"
s1=$(session)
[ -n "$s1" ] || fail "no session"
says '.number == 0 and .state == "same" and .wanted == false and .packages == "" and .key == ""'
as "$two" POST /v1/sync "$scratch/question" 200 "$token"
s2=$(session)
by nonsense POST /v1/sync "$scratch/question" 401

# ---- A host's first night -------------------------------------------------------------------------------
"$client" ids "$one" >"$scratch/ids-1"
"$client" pack "$one" >"$scratch/pack-1"
"$client" changeset "$one" 1 >"$scratch/set-1"
"$client" changeset "$one" 2 >"$scratch/set-2"
bits() { od -An -v -tx1 "$reply" | tr -d ' \n0'; }
by "$s1" POST /v1/sync/have "$scratch/ids-1" 200
[ -z "$(bits)" ] || fail "something is there before it was sent"
by "$s1" POST /v1/sync/checkpoint "$scratch/set-1" 409
says '.missing | length > 3'
by "$s1" POST /v1/sync/pack "$scratch/pack-1" 200
says '.kept > 3 and .refused == []'
by "$s1" POST /v1/sync/pack "$scratch/pack-1" 200 # again
by "$s1" POST /v1/sync/have "$scratch/ids-1" 200
[ -n "$(bits)" ] || fail "what was sent is not there"
by "$s1" POST /v1/sync/checkpoint "$scratch/set-2" 400 # before the first
by "$s1" POST /v1/sync/checkpoint "$scratch/set-1" 200
by "$s1" POST /v1/sync/checkpoint "$scratch/set-1" 200
says '.number == 1'
by "$s1" POST /v1/sync/checkpoint "$scratch/set-2" 200
by "$s1" POST /v1/sync/checkpoint "$scratch/set-1" 200 # replayed: nothing changes
by "$s1" POST /v1/sync "$scratch/question" 200
says '.state == "new" and .number == 2 and .epoch == 1'
printf '{"epoch":1,"number":2,"head":"%s","packages":""}' "$(jq -r .head "$reply")" >"$scratch/same"
by "$s1" POST /v1/sync "$scratch/same" 200
says '.state == "same"'
sizes=$(curl -sk -X POST --data-binary "@$scratch/same" -H "Authorization: Bearer $s1" -o "$reply" \
  -w '%{size_request} %{size_upload} %{size_header} %{size_download}' "$url/v1/sync")
echo "$sizes" | awk '{ exit !($1 + $2 <= 1024 && $3 + $4 <= 1024) }' || fail "too much for nothing new: $sizes"

# ---- What another may not --------------------------------------------------------------------------------
by "$s2" POST /v1/sync/have "$scratch/ids-1" 200
[ -z "$(bits)" ] || fail "another host is told what the first one sent"
by "$s2" POST /v1/sync/checkpoint "$scratch/set-1" 400
nobody=$(printf '%032d' 0)
for what in chain epochs key packages 'changesets/1' "packages/$(printf '%064d' 0)"; do
  get "$s2" "/v1/hosts/$id_one/$what" 404
  cp "$reply" "$scratch/theirs"
  get "$s2" "/v1/hosts/$nobody/$what" 404
  cmp -s "$reply" "$scratch/theirs" || fail "a host that exists answers otherwise: $what"
done
by "$s2" POST "/v1/hosts/$id_one/objects" "$scratch/ids-1" 404
"$client" changeset "$two" 1 >"$scratch/set-two"
"$client" pack "$two" >"$scratch/pack-two"
by "$s2" POST /v1/sync/checkpoint "$scratch/set-two" 409 # though much of it is there from the first
says '.missing | length > 3'
by "$s2" POST /v1/sync/pack "$scratch/pack-two" 200
by "$s2" POST /v1/sync/checkpoint "$scratch/set-two" 200
by "$s2" POST "/v1/hosts/$id_two/objects" "$scratch/ids-1" 200
cp "$reply" "$scratch/common"
get "$s1" "/v1/hosts/$id_one/chain" 200
says '.number == 2 and .epoch == 1 and (.head | length) == 64'
by "$s1" POST "/v1/hosts/$id_one/objects" "$scratch/ids-1" 200
[ "$(wc -c <"$reply")" -gt "$(wc -c <"$scratch/common")" ] || fail "a host gets no more of its own"
grep -aq 'only one has' "$scratch/common" && fail "another host's content was handed out"
get "$s1" "/v1/hosts/$id_one/changesets/2?after=1" 200
cmp -s "$reply" "$scratch/set-2" || fail "the changeset comes back as another one"
get "$s1" "/v1/hosts/$id_one/changesets/3" 404

# ---- What is not what it says ------------------------------------------------------------------------------
head -c 100000 /dev/urandom >"$scratch/noise"
for what in pack checkpoint have key packages packages/proof epoch; do
  method=POST
  [ "$what" != key ] || method=PUT
  : >"$scratch/nothing"
  for file in noise nothing; do
    status=$(curl -sk -X "$method" --data-binary "@$scratch/$file" -o "$reply" -w '%{http_code}' \
      -H "Authorization: Bearer $s1" "$url/v1/sync/$what")
    case $what-$file-$status in
    pack-nothing-200 | have-nothing-200 | *-4??) ;;
    *) fail "$file for $what: $status" ;;
    esac
  done
done
for cut in 1 20 40 100; do
  head -c -"$cut" "$scratch/pack-1" >"$scratch/cut"
  by "$s1" POST /v1/sync/pack "$scratch/cut" 400
  head -c -"$cut" "$scratch/set-2" >"$scratch/cut"
  by "$s1" POST /v1/sync/checkpoint "$scratch/cut" 400
done
# One flipped bit anywhere.
for at in 3 40 60 200; do
  cp "$scratch/pack-two" "$scratch/flipped"
  printf '\377' | dd of="$scratch/flipped" bs=1 seek="$at" conv=notrunc 2>/dev/null
  by "$s1" POST /v1/sync/pack "$scratch/flipped" 400
done
printf '{"epoch":3}' >"$scratch/epoch"
by "$s1" POST /v1/sync/epoch "$scratch/epoch" 409
for target in "/v1/hosts/../../etc/passwd" "/v1/hosts/$id_one%2f..%2f$id_two/chain" \
  "/v1/hosts/$id_one~1/../chain"; do
  status=$(curl -sk --path-as-is -o "$reply" -w '%{http_code}' -H "Authorization: Bearer $s2" "$url$target")
  case $status in 4??) ;; *) fail "$target: $status" ;; esac
done

# ---- Package files --------------------------------------------------------------------------------------------
head -c 5000 /dev/urandom >"$scratch/tool.deb"
digest=$(sha256sum <"$scratch/tool.deb" | cut -c1-64)
ask() # SESSION FILE
{
  printf '{"packages":[{"digest":"%s","size":5000,"file":"%s"}]}' "$digest" "$2" >"$scratch/ask"
  by "$1" POST /v1/sync/packages "$scratch/ask" 200
}
ask "$s1" tool_1_all.deb
says '.packages[0].state == "send"'
by "$s1" PUT "/v1/sync/packages/$digest?file=tool_1_all.deb" "$scratch/noise" 400
by "$s1" PUT "/v1/sync/packages/$digest?file=..%2ftool_1_all.deb" "$scratch/tool.deb" 400
by "$s1" PUT "/v1/sync/packages/$digest?file=tool_1_all.deb" "$scratch/tool.deb" 200
ask "$s1" tool_1_all.deb
says '.packages[0].state == "have"'
ask "$s2" tool_1_all.deb
says '.packages[0].state == "prove"'
nonce=$(jq -r '.packages[0].nonce' "$reply")
get "$s2" "/v1/hosts/$id_two/packages/$digest" 404
prove() # SESSION FILE STATUS
{
  printf '{"digest":"%s","nonce":"%s","proof":"%s"}' "$digest" "$nonce" \
    "$("$client" proof "$nonce" "$2")" >"$scratch/proof"
  by "$1" POST /v1/sync/packages/proof "$scratch/proof" "$3"
}
prove "$s2" "$scratch/noise" 403
prove "$s1" "$scratch/tool.deb" 403 # another host's nonce
prove "$s2" "$scratch/tool.deb" 200
get "$s2" "/v1/hosts/$id_two/packages/$digest" 200
cmp -s "$reply" "$scratch/tool.deb" || fail "the package comes back as another one"
get "$s2" "/v1/hosts/$id_two/packages" 200
says '.packages | length == 1 and .[0].file == "tool_1_all.deb" and .[0].size == 5000'
by "$s2" POST /v1/sync "$scratch/question" 200
says '.packages | length == 64'
# By another name it is another one: a restore takes packages by their names.
ask "$s2" bash_9_all.deb
says '.packages[0].state == "send"'
by "$s2" PUT "/v1/sync/packages/$digest?file=bash_9_all.deb" "$scratch/tool.deb" 200
get "$s1" "/v1/hosts/$id_one/packages" 200
says '.packages | length == 1'
# What gc removed, as no checkpoint names it, nobody has sent any more: who has it is asked again.
find "$archive/packages" -name '*.deb' -exec touch -d '2 days ago' {} +
# Killed anywhere, it leaves no claim of a file that is gone.
claims_hold() # ARCHIVE
{
  for file in "$1"/packages/*/*_*; do
    [ ! -e "$file" ] || printf %s "${file##*/}" | cut -d _ -f 2- | tr -d '\n' | sha256sum | cut -d ' ' -f 1
  done >"$scratch/present"
  for list in "$1"/hosts/*/packages; do
    od -An -v -tx1 -w64 "$list" | tr -d ' ' | cut -c 65-128
  done | sort -u >"$scratch/claimed"
  ! grep -qvxFf "$scratch/present" "$scratch/claimed" || fail "a package file is claimed that gc removed"
}
claims_hold "$archive"
[ "$(wc -l <"$scratch/claimed")" -eq 2 ] || fail "the claims are not those of two package files"
if strace -o /dev/null true 2>"$scratch/strace"; then
  i=0
  while :; do
    i=$((i + 1))
    rm -rf "$scratch/killed"
    cp -a "$archive" "$scratch/killed"
    ! ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o /dev/null -e trace=unlinkat \
      -e inject=unlinkat:signal=KILL:when=$i \
      "${ST_SYSTRACKER%/*}/systracker-archive" gc "$scratch/killed" >/dev/null 2>&1 || break
    claims_hold "$scratch/killed"
    [ $i -lt 100 ] || fail "gc is killed for ever"
  done
  [ $i -gt 2 ] || fail "gc was never killed"
  [ ! -s "$scratch/claimed" ] || claims_hold "$scratch/killed"
else
  echo "gc that is killed: left out, as there is no strace that works here"
fi
systracker_archive gc "$archive" >"$scratch/gc" || fail "gc beside the server"
[ -z "$(find "$archive/packages" -name '*.deb')" ] || fail "gc left package files: $(cat "$scratch/gc")"
for session in "$s1" "$s2"; do
  by "$session" POST /v1/sync "$scratch/question" 200
  says '.packages == ""'
done
ask "$s1" tool_1_all.deb
says '.packages[0].state == "send"'
by "$s1" PUT "/v1/sync/packages/$digest?file=tool_1_all.deb" "$scratch/tool.deb" 200
get "$s1" "/v1/hosts/$id_one/packages" 200
says '.packages | length == 1'

# ---- The sealed key, an epoch -----------------------------------------------------------------------------------
printf 'age-encryption.org/v1\nwhatever\n' >"$scratch/key"
by "$s1" PUT /v1/sync/key "$scratch/key" 200
get "$s1" "/v1/hosts/$id_one/key" 200
cmp -s "$reply" "$scratch/key" || fail "the key comes back as another one"

# ---- People, by tokens -----------------------------------------------------------------------------------------
# A viewer gets what pages show: of what a host's store is made of heads and lists alone, as old content of a path that is
# a secret today lies there as it was.
systracker_archive group "$archive" add of-two
systracker_archive group "$archive" add-host of-two "$id_two"
api() { systracker_archive --json token "$archive" add --api "$@" | jq -r .token; }
viewer=$(api viewer) operator=$(api operator) others=$(api operator --group of-two)
# raw TOKEN STATUS
raw()
{
  by "$1" POST "/v1/hosts/$id_one/objects" "$scratch/ids-1" "$2"
  for target in key changesets/1 "packages/$digest"; do
    get "$1" "/v1/hosts/$id_one/$target" "$2"
  done
}
raw "$viewer" 403
says '.error | test("operates")'
for target in chain epochs packages; do
  get "$viewer" "/v1/hosts/$id_one/$target" 200
done
raw "$others" 404
raw "$operator" 200
raw "$s1" 200
raw "$s2" 404
printf '{"epoch":2}' >"$scratch/epoch"
by "$s1" POST /v1/sync/epoch "$scratch/epoch" 200
by "$s1" POST /v1/sync/epoch "$scratch/epoch" 200
get "$s1" "/v1/hosts/$id_one/epochs" 200
says '.epochs == [1]'
get "$s1" "/v1/hosts/$id_one~1/chain" 200
says '.number == 2'
by "$s1" POST /v1/sync "$scratch/question" 200
says '.number == 0'
by "$s1" POST /v1/sync/checkpoint "$scratch/set-1" 200 # its objects are still its own
by "$s1" POST /v1/sync/checkpoint "$scratch/set-2" 200

# ---- Others at the archive beside it, and a kill --------------------------------------------------------------
systracker_archive gc "$archive" >/dev/null
systracker_archive verify "$archive" >/dev/null
host three
systracker checkpoint >/dev/null
systracker --quiet sync "$archive"
by "$s2" POST /v1/sync/pack "$scratch/pack-two" 200
"$client" changeset "$two" 2 >"$scratch/set-two"
by "$s2" POST /v1/sync/checkpoint "$scratch/set-two" 200
kill -9 "$server"
wait "$server" 2>/dev/null || :
expect_status 0 systracker_archive verify "$archive"
serve
as "$two" POST /v1/sync "$scratch/question" 200 "$token"
says '.number == 2'
# What was lost is named, sent again, and then nothing is wanted.
: >"$archive/hosts/$id_two/wanted"
: >"$scratch/nothing"
s2=$(session)
by "$s2" POST /v1/sync/lost "$scratch/nothing" 200
[ ! -s "$reply" ] || fail "something is said to be lost"
[ ! -e "$archive/hosts/$id_two/wanted" ] || fail "it is still wanted"
expect_status 0 systracker_archive verify "$archive"
lacks "$scratch/serve.log" '" 5[0-9][0-9] ' "status=5"
lacks "$scratch/serve.err" 'rror' 'warning: .*catalog'
