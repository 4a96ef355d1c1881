#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What the archive's server says as JSON: the same as the command line says on the spot, to whoever may know it and to
# nobody else; what it changes; and that all of it is described.
. "$ST_SOURCE/tests/functions.sh"
need_program curl
need_program jq
. "$ST_SOURCE/tests/served.sh"

# ---- Described -----------------------------------------------------------------------------------
# Each route is a path and method of the description, and the other way round; parameters stand for "*".
"$ST_BUILD/tests/list-routes" | sort -u >"$scratch/routes"
[ "$(wc -l <"$scratch/routes")" -gt 40 ] || fail "too few routes"
awk '/^components:/ { exit }
     /^  \// { path = $1; sub(/:$/, "", path); gsub(/\{[a-z]+\}/, "*", path) }
     /^    (get|put|post|delete):/ { sub(/:/, "", $1); print toupper($1), path }' \
  "$ST_SOURCE/doc/openapi.yaml" | sort -u >"$scratch/described"
diff -u "$scratch/routes" "$scratch/described" || fail "doc/openapi.yaml and the routes differ"

# ---- The server ----------------------------------------------------------------------------------
make_hosts
start_server
admin=$(api_token admin)
viewer=$(api_token viewer)
few=$(api_token viewer --group first-ones)
as=$viewer

# ask METHOD PATH [OPTION...]: the answer to $out, its status to $status.
ask()
{
  method=$1 path=$2
  shift 2
  status=$(curl -sk --max-time 60 -X "$method" -H "Authorization: Bearer $as" -o "$out" -D "$scratch/headers" \
    -w '%{http_code}' "$@" "$url$path") || fail "no answer: $path"
}
# get PATH FILTER: 200, and the jq filter says true.
get()
{
  ask GET "$1"
  [ "$status" = 200 ] || { cat "$out"; fail "$1: $status"; }
  shift
  for filter in "$@"; do
    jq -e "$filter" "$out" >/dev/null || { jq . "$out"; fail "$path: not so: $filter"; }
  done
}
# refused STATUS METHOD PATH [OPTION...]: with words.
refused()
{
  expected=$1
  shift
  ask "$@"
  [ "$status" = "$expected" ] || { cat "$out"; fail "$2: $status instead of $expected"; }
  jq -e '.error | type == "string" and length > 0' "$out" >/dev/null || { cat "$out"; fail "$2: no words"; }
}
# same PATH FILTER COMMAND...: what the filter makes of the answer is what the command prints.
same()
{
  get "$1" true
  jq -cS "$2" "$out" >"$scratch/there"
  shift 2
  "$@" | jq -cS . >"$scratch/here" || :
  [ -s "$scratch/here" ] || fail "nothing to compare: $*"
  diff -u "$scratch/here" "$scratch/there" || fail "the server and the command line differ: $*"
}

# ---- The same as on the spot -----------------------------------------------------------------------
get /v1/hosts '.total == 3' '[.hosts[].name] == ["cache", "sql", "web"]' ".hosts[2].host == \"$one\"" \
  '.hosts[2].checkpoints == 3' '.hosts[2].packages == 4'
get '/v1/hosts?name=sql' '.total == 1' ".hosts[0].host == \"$two\""
get '/v1/hosts?limit=1&offset=1' '.total == 3' '[.hosts[].name] == ["sql"]'
get "/v1/hosts/$one" '.name == "web"' '.older_epochs == []' '.state == null'
same "/v1/hosts/$one/checkpoints" '.checkpoints[] | del(.words)' systracker_archive --json log "$archive" web
get "/v1/hosts/$one/checkpoints?limit=1" '.total == 3' '.checkpoints[0].number == 3'
get "/v1/hosts/$one/checkpoints/good" '.number == 2' '.before == 1' '.tags == ["good"]' \
  '.plugins | length > 2'
same "/v1/hosts/$one/diff?from=1&to=3" \
  '[.changes[].changes[]] | sort_by(.table, .key.path, .key.name, .key.kind, .key.pattern)[]' \
  sh -c "\"${ST_SYSTRACKER%/*}/systracker-archive\" --json diff '$archive' web 1 3 |
    jq -c 'del(.diff)' | jq -cs 'sort_by(.table, .key.path, .key.name, .key.kind, .key.pattern)[]'"
get "/v1/hosts/$one/checkpoints/2/changes" '.from == 1' '.to == 2' \
  '.total == (.totals.packages + .totals.configuration + .totals.other)' \
  '[.changes[] | select(.kind == "configuration") | .path] | index("/etc/app/app.conf") != null' \
  '[.changes[] | select(.kind == "packages") | .words[0]] | index("upgraded 1.0-1 → 2.0-1") != null' \
  '[.changes[] | select(.path == "/etc/shadow")] | length == 1 and .[0].secret' \
  '[.changes[] | select(.path == "/etc/issue")] | .[0].status == "D"'
lacks "$out" canary
get "/v1/hosts/$one/diff?from=1&to=2&kind=packages" 'all(.changes[]; .kind == "packages")' '.changes | length > 0'
get "/v1/hosts/$one/diff?from=1&to=2&path=/usr" '.totals.configuration == 1' '.changes[0].path == "/usr/local/bin/hello"'
get "/v1/hosts/$one/patch?from=1&to=2&path=/etc/app/app.conf" '.status == "M"' \
  '.diff | contains("-second\\n+SECOND\\n")' '.why == null'
get "/v1/hosts/$one/patch?from=1&to=2&path=/etc/shadow" '.secret' '.diff == null' '.why | contains("secret")'
lacks "$out" canary
same "/v1/hosts/$one/history?path=/etc/app/app.conf" '.events[].changes[]' \
  systracker_archive --json log "$archive" web /etc/app/app.conf
get "/v1/hosts/$one/history?path=/etc/app/app.conf&limit=1" '.more' '.events | length == 1'
get "/v1/hosts/$one/files/1?path=/etc/app/app.conf" '.content == "store"' '.secret == false'
get "/v1/hosts/$one/files/2?path=/etc/shadow" '.secret' 'all(.facts[]; .columns.digest == null and .columns.size == null)'
ask GET "/v1/hosts/$one/files/1/content?path=/etc/app/app.conf"
printf 'first\nsecond\nthird\n' | cmp - "$out" || fail "content"
contains "$scratch/headers" '^[Cc]ontent-[Tt]ype: application/octet-stream' '^[Cc]ontent-[Dd]isposition: attachment'
refused 404 GET "/v1/hosts/$one/files/2/content?path=/etc/shadow"
contains "$out" secret
get "/v1/hosts/$one/installed" '.total == 4' '[.packages[].package] == ["hello", "libfoo", "nginx", "tool"]'
get "/v1/hosts/$one/installed?deviating=yes" 'all(.packages[]; .deviations > 0)' \
  '[.packages[] | select(.package == "tool") | .deviations] == [1]' '[.packages[].package] | index("hello") == null'
# Words are those of the plug-ins, where there are some.
same "/v1/hosts/$one/deviations" '.deviations[] | del(.words)' sh -c "'$ST_SYSTRACKER' --config '$scratch/config-web' --root \
  '$scratch/root-web' --store '$scratch/store-web' --json packages --deviations --stat | jq -c 'select(.path) | del(.words)'"

# ---- Two hosts -----------------------------------------------------------------------------------
get "/v1/diff?a=$one:1&b=$two:1" '.from_host != .to_host' \
  '[.changes[] | select(.path == "/etc/app/app.conf")] | .[0].status == "M"' \
  '[.changes[] | select(.kind == "packages") | .name] | index("package postgresql amd64") != null' \
  '[.changes[] | select(.path == "/etc/shadow")] | length == 0'
get "/v1/patch?a=$one:1&b=$two&path=/etc/app/app.conf" '.diff | contains("-second\\n+zwei\\n")'

# ---- Search ----------------------------------------------------------------------------------------
get '/v1/search?q=/etc/app/db.conf' "[.hits[].host] == [\"$two\"]"
get '/v1/search?in=package&q=hello' '[.hits[] | select(.now) | .name] | sort == ["cache", "sql", "web"]'
get '/v1/search?in=package&q=hello%20%3C%202.0' '[.hits[] | select(.now) | .name] | sort == ["cache", "sql"]'
digest=$(printf 'colour=green\n' | sha256sum | cut -c1-64)
get "/v1/search?in=digest&q=$digest" "[.hits[].host] == [\"$one\"]"

# ---- What cannot be --------------------------------------------------------------------------------
refused 400 GET "/v1/hosts?limit=0"
refused 400 GET "/v1/hosts?limit=1001"
refused 400 GET "/v1/hosts?offset=x"
refused 400 GET "/v1/hosts?sort=colour"
refused 400 GET "/v1/hosts/$one/diff?kind=none"
refused 400 GET "/v1/hosts/$one/files/1"
refused 400 GET "/v1/hosts/$one/files/1?path=etc"
refused 400 GET "/v1/hosts/$one/files/1?path=/etc/../root"
refused 400 GET "/v1/diff?a=$one"
refused 400 GET "/v1/search?q="
refused 400 GET "/v1/search?q=x&in=all"
refused 404 GET "/v1/hosts/$one/files/1?path=/nowhere"
refused 404 GET "/v1/hosts/$one/checkpoints/9"
refused 404 GET "/v1/hosts/$one/checkpoints/1/changes"
refused 404 GET "/v1/hosts/$(echo "$one" | tr 0-9a-f 1-9a-f0)"
refused 404 GET "/v1/hosts/nothing"
refused 404 GET "/v1/diff?a=$one:1&b=$(echo "$one" | tr 0-9a-f 1-9a-f0):1"
refused 404 GET "/v1/diff?a=$one:1&b=..%2F..:1"

# ---- Who may know ----------------------------------------------------------------------------------
as=$few
get /v1/hosts '.total == 1' '.hosts[0].name == "web"'
get "/v1/hosts/$one" '.name == "web"'
for path in "/v1/hosts/$two" "/v1/hosts/$two/checkpoints" "/v1/hosts/$two/files/1?path=/etc/hosts" \
  "/v1/diff?a=$one:1&b=$two:1" "/v1/patch?a=$two:1&b=$one:1&path=/etc/hosts"; do
  refused 404 GET "$path"
  cp "$out" "$scratch/refused"
  ask GET "$(printf '%s' "$path" | sed "s/$two/00000000000000000000000000000000/")"
  cmp "$out" "$scratch/refused" || fail "$path: another host's existence is told"
done
get '/v1/search?in=package&q=hello' '[.hits[].name] | unique == ["web"]'
get '/v1/search?q=/etc/app/db.conf' '.hits == []'
for path in /v1/tokens /v1/users /v1/groups /v1/enrolment; do
  refused 403 GET $path
done
as=nonsense
refused 401 GET /v1/hosts
status=$(curl -sk -o "$out" -w '%{http_code}' "$url/v1/hosts")
[ "$status" = 401 ] || fail "nobody: $status"

# ---- What it changes -------------------------------------------------------------------------------
as=$viewer
refused 403 POST /v1/users -d '{"user":"x","role":"admin","password":"long enough"}'
as=$admin
same /v1/policy . systracker_archive --json policy "$archive"
get /v1/enrolment '.enrolment == "token"'
ask PUT /v1/enrolment -d '{"enrolment":"closed"}'
get /v1/enrolment '.enrolment == "closed"'
refused 400 PUT /v1/enrolment -d '{"enrolment":"all"}'
refused 400 PUT /v1/enrolment -d '[]'
refused 400 PUT /v1/enrolment -d '{'
ask POST /v1/users -d '{"user":"carol","role":"viewer","password":"carols password"}'
[ "$status" = 201 ] || fail "a user: $status"
refused 409 POST /v1/users -d '{"user":"carol","role":"viewer","password":"carols password"}'
refused 400 POST /v1/users -d '{"user":"dave","role":"viewer","password":"short"}'
refused 400 POST /v1/users -d '{"user":"dave","role":"king","password":"long enough"}'
get /v1/users '[.users[].user] | index("carol") != null'
ask PUT /v1/users/carol -d '{"role":"operator"}'
get /v1/users '[.users[] | select(.user == "carol") | .role] == ["operator"]'
refused 404 PUT /v1/users/nobody -d '{"role":"operator"}'
ask POST /v1/groups -d '{"group":"databases"}'
ask PUT "/v1/groups/databases/hosts/$two"
ask PUT /v1/groups/databases/users/carol -d '{"role":"operator"}'
get /v1/groups "[.groups[] | select(.group == \"databases\")][0] | .hosts == [\"$two\"] and .users[0].role == \"operator\""
refused 400 PUT /v1/groups/databases/users/carol -d '{"role":"admin"}'
ask DELETE "/v1/groups/databases/hosts/$two"
ask DELETE /v1/groups/databases/users/carol
get /v1/groups '[.groups[] | select(.group == "databases")][0] | .hosts == [] and .users == []'
ask DELETE /v1/groups/databases
get /v1/groups '[.groups[].group] == ["first-ones"]'
ask DELETE /v1/users/carol
get /v1/users '[.users[].user] | index("carol") == null'
ask POST /v1/tokens -d '{"kind":"api","role":"viewer","name":"for-a-script","seconds":3600}'
[ "$status" = 201 ] || fail "a token: $status"
made=$(jq -r .token "$out")
as=$made
get /v1/hosts '.total == 3'
as=$admin
get /v1/tokens '[.tokens[] | select(.name == "for-a-script")][0] | .role == "viewer" and .expires != null' \
  '[.tokens[] | has("token")] | any | not'
ask DELETE /v1/tokens/for-a-script
as=$made
refused 401 GET /v1/hosts
as=$admin
refused 404 DELETE /v1/tokens/none-such
refused 400 POST /v1/tokens -d '{"kind":"restore"}'
refused 400 POST /v1/tokens -d '{"kind":"api"}'
refused 404 POST /v1/tokens -d '{"kind":"restore","host":"00000000000000000000000000000000"}'
refused 404 POST /v1/enrolment/hosts/00000000000000000000000000000000/approve
ask POST /v1/tokens -d "{\"kind\":\"restore\",\"host\":\"$two\"}"
[ "$status" = 201 ] || fail "a restore token: $status"
jq -e '.token | startswith("r")' "$out" >/dev/null || fail "a restore token: $(cat "$out")"

# A browser's cookie is for looking: another site cannot make it change anything.
jar=$scratch/cookies
page=$(curl -sk -c "$jar" "$url/login")
form=$(printf '%s' "$page" | sed -n 's/.*name="form-token" value="\([^"]*\)".*/\1/p' | head -n 1)
curl -sk -b "$jar" -c "$jar" -o /dev/null --data-urlencode user=boss --data-urlencode 'password=boss password' \
  --data-urlencode "form-token=$form" "$url/login"
status=$(curl -sk -b "$jar" -o "$out" -w '%{http_code}' "$url/v1/hosts")
[ "$status" = 200 ] || fail "with a cookie: $status"
status=$(curl -sk -b "$jar" -X PUT -d '{"enrolment":"open"}' -o "$out" -w '%{http_code}' "$url/v1/enrolment")
[ "$status" = 403 ] || fail "with a cookie something is changed: $status"

# The secret is in no answer and not in the log; neither are tokens.
lacks "$scratch/serve.log" canary "$admin" "$made" 'boss password'
