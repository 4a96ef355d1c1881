#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Answers of a served archive are as doc/openapi.yaml describes them, refusals too.
. "$ST_SOURCE/tests/functions.sh"
need_program curl
need_program jq
. "$ST_SOURCE/tests/browser/node.sh"
. "$ST_SOURCE/tests/served.sh"
node_packages
make_hosts
start_server
as=$(api_token admin)
answers=$scratch/answers

# ask METHOD PATH [OPTION...]: noted under the path as it is described.
ask()
{
  method=$1 path=$2
  shift 2
  told=$(curl -sk --max-time 60 -X "$method" -H "Authorization: Bearer $as" -o "$out" \
    -w '%{http_code} %{content_type}' "$@" "$url$path") || fail "no answer: $path"
  described=$(printf '%s' "${path%%\?*}" | sed -E "s,/(checkpoints|files)/[^/]+,/\1/{checkpoint},
    s,/hosts/[0-9a-f]+,/hosts/{host},; s,/tokens/[^/]+,/tokens/{token},; s,/users/[^/]+,/users/{user},
    s,/groups/[^/]+,/groups/{group},; s,/changesets/[^/]+,/changesets/{number},; s,/packages/[^/]+,/packages/{digest},")
  body=null
  type=${told#* }
  case $type in application/json*) body=$(cat "$out") ;; esac
  jq -cn --arg m "$method" --arg p "$described" --arg s "${told%% *}" --arg t "${type%%;*}" \
    --argjson b "$body" '{method: $m, path: $p, status: $s, type: $t, body: $b}' >>"$answers"
}

none=00000000000000000000000000000000
ask GET /health
ask GET /metrics
ask GET /v1/archive
ask GET /v1/hosts
ask GET '/v1/hosts?silent=yes&sort=age&descending=yes'
ask GET '/v1/hosts?limit=none'
for host in "$one" "$two" "$three" "$none"; do
  for path in '' /checkpoints /checkpoints/latest /checkpoints/latest/changes '/diff?from=1' /installed \
    '/installed?deviating=yes' /deviations '/diff?from=1&times=yes&files=yes' /chain /changesets/1 /epochs /key \
    /packages '/history?path=/etc/app/app.conf' '/history?path=/etc/shadow' '/history?path=/etc/tool.conf' \
    '/files/latest?path=/etc/app/app.conf' '/files/latest?path=/etc/shadow' '/files/latest?path=/usr/bin/tool' \
    '/files/latest?path=/nowhere' '/files/1/content?path=/etc/app/app.conf' '/files/latest/content?path=/etc/shadow' \
    '/patch?from=1&path=/etc/app/app.conf' '/patch?from=1&path=/etc/shadow' '/patch?from=1&path=/etc/issue' \
    '/patch?from=1&path=/etc/hosts' '/patch?from=1' '/checkpoints?offset=-1' '/diff?from=77' '/deviations?limit=0'; do
    ask GET "/v1/hosts/$host$path"
  done
done
for a in "$one:1" "$two" "$none:1"; do
  ask GET "/v1/diff?a=$a&b=$three:1"
  ask GET "/v1/patch?a=$a&b=$three:1&path=/etc/app/app.conf"
done
ask GET /v1/diff
ask GET '/v1/search?q=/etc/*'
ask GET '/v1/search?in=package&q=hello'
ask GET "/v1/search?in=digest&q=$(printf 'colour=green\n' | sha256sum | cut -c1-12)"
ask GET '/v1/search?q='

ask GET /v1/policy
ask GET /v1/enrolment
ask PUT /v1/enrolment -d '{"enrolment":"open"}'
ask PUT /v1/enrolment -d '{}'
ask GET /v1/enrolment/hosts
ask GET '/v1/enrolment/hosts?state=lost'
ask POST "/v1/enrolment/hosts/$none/approve"
ask POST "/v1/enrolment/hosts/$none/deny"
ask POST /v1/tokens -d '{"kind":"join","uses":3}'
ask POST /v1/tokens -d '{"kind":"api","role":"viewer","name":"script"}'
ask POST /v1/tokens -d '{"kind":"api","role":"viewer","name":"script"}'
ask POST /v1/tokens -d "{\"kind\":\"restore\",\"host\":\"$one\"}"
ask POST /v1/tokens -d '{"kind":"restore","host":"none"}'
ask POST /v1/tokens -d '{"kind":"nothing"}'
ask GET /v1/tokens
ask DELETE /v1/tokens/script
ask DELETE /v1/tokens/none
ask POST /v1/users -d '{"user":"carol","role":"none","password":"carols password"}'
ask POST /v1/users -d '{"user":"carol","role":"none","password":"carols password"}'
ask POST /v1/users -d '{"user":"carol"}'
ask PUT /v1/users/carol -d '{"role":"viewer"}'
ask PUT /v1/users/none -d '{"role":"viewer"}'
ask GET /v1/users
ask POST /v1/groups -d '{"group":"all"}'
ask POST /v1/groups -d '{"group":"all"}'
ask POST /v1/groups -d '{}'
ask PUT "/v1/groups/all/hosts/$one"
ask PUT /v1/groups/all/users/carol -d '{"role":"viewer"}'
ask PUT /v1/groups/all/users/carol -d '{"role":"admin"}'
ask GET /v1/groups
ask DELETE /v1/groups/all/users/carol
ask DELETE "/v1/groups/all/hosts/$one"
ask DELETE /v1/groups/all
ask DELETE /v1/users/carol
ask DELETE /v1/users/carol
as=$(api_token viewer --group first-ones)
for path in /v1/hosts "/v1/hosts/$one" "/v1/hosts/$two" /v1/tokens /v1/users /v1/groups /v1/enrolment \
  /v1/enrolment/hosts; do
  ask GET "$path"
done
ask POST /v1/tokens -d '{"kind":"join"}'
as=nonsense
for path in /v1/hosts "/v1/hosts/$one" "/v1/hosts/$one/diff" "/v1/search?q=x" "/v1/diff?a=x&b=x"; do
  ask GET "$path"
done
ask POST /v1/sync -d '{}'
ask POST /v1/sync/have

! grep -q '"status":"5' "$answers" || { grep '"status":"5' "$answers"; fail "the server failed"; }
node_run schemas.js "$ST_SOURCE/doc/openapi.yaml" "$answers"
