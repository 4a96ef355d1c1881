#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The archive's pages, over a served archive with hostile names in it: what each says, what nobody's
# name can do there, links that all lead somewhere, well-formed HTML, headers; who sees which host.
. "$ST_SOURCE/tests/functions.sh"
need_program curl
systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }
archive=$scratch/archive
# init also says what to keep: not of interest here.
systracker_archive init "$archive" >/dev/null

# ---- Two hosts ------------------------------------------------------------------------------------
# The first has two nights of changes, with names that would be markup, an order to a terminal, or a
# trick; the second differs a little.

make_root
make_config
. "$ST_SOURCE/tests/packaging.sh"
t=$scratch/tool-1
mkdir -p "$t/usr/bin" "$t/etc"
printf '#!/bin/sh\necho one\n' >"$t/usr/bin/tool"
printf 'a=1\nb=2\n' >"$t/etc/tool.conf"
build tool 1 "$t"
install_package tool 1 "$t"
tab=$(printf '\t')
newline='
'
script='/etc/app/<script>alert(1)'
handler='/etc/app/" onload="alert(1)'
broken="/etc/app/new${newline}line"
bidi=$(printf '/etc/app/\342\200\256gpj.exe')
invalid=$(printf '/etc/app/not-utf8-\377')
image="/etc/app/'><img src=x onerror=alert(1)>"
echo '<i>one' >"$root/etc/hostname"
for path in "$script" "$handler" "$broken" "$bidi" "$invalid" "$image"; do
  echo 'first content' >"$root$path"
done
expect_status 0 systracker checkpoint -m 'the <b>first</b>'
printf 'first\n<u>second</u> & "third"%stabbed\n' "$tab" >"$root/etc/app/app.conf"
for path in "$script" "$handler" "$broken" "$bidi" "$invalid" "$image"; do
  echo 'second content' >"$root$path"
done
echo 'CANARY-SECRET' >>"$root/etc/shadow"
sed -i 's/b=2/b=3/' "$root/etc/tool.conf"
packages 'hello 1.0-2'
printf '\000\001binary' >"$root/etc/app/binary"
rm "$root/etc/issue"
expect_status 0 systracker checkpoint --tag good
expect_status 0 systracker checkpoint
expect_status 0 systracker sync "$archive"
one=$(basename "$store"/hosts/*)

store=$scratch/store-two
sed -i "s,^store = .*,store = \"$store\"," "$config"
echo two >"$root/etc/hostname"
echo 'colour=red' >"$root/etc/app/other.conf"
expect_status 0 systracker checkpoint
expect_status 0 systracker sync "$archive"
two=$(basename "$store"/hosts/*)

# ---- The server -----------------------------------------------------------------------------------

jar=$scratch/cookies
printf 'boss password\n' | systracker_archive user "$archive" add boss --role admin
printf 'first password\n' | systracker_archive user "$archive" add watcher --role none
systracker_archive group "$archive" add first-ones
systracker_archive group "$archive" add-host first-ones "$one"
systracker_archive group "$archive" role first-ones watcher viewer
free_ports
port=$ports
"${ST_SYSTRACKER%/*}/systracker-archive" serve "$archive" --user "$(id -un)" --listen "127.0.0.1:$port" --log "$scratch/serve.log" \
  2>"$scratch/serve.err" &
server=$!
at_end "kill $server 2>/dev/null; wait $server"
url=https://127.0.0.1:$port
# get PATH [OPTION...]: the body to $out, the headers to $scratch/headers, the status to $status.
get()
{
  path=$1
  shift
  status=$(curl -sk --max-time 30 -b "$jar" -o "$out" -D "$scratch/headers" -w '%{http_code}' \
    "$@" "$url$path") || fail "no answer: $path"
}
answers()
{
  kill -0 $server 2>/dev/null || { cat "$scratch/serve.err"; fail "the server ended"; }
  curl -sk --max-time 5 -o /dev/null "$url/login"
}
soon answers || fail "the server does not answer"

# ---- Nobody ---------------------------------------------------------------------------------------

for path in / /search /admin "/hosts/$one" "/hosts/$one/checkpoints/2" /diff; do
  get "$path"
  [ "$status" = 303 ] || fail "$path without a login: $status"
  contains "$scratch/headers" '^[Ll]ocation: /login'
  lacks "$out" one two
done
get /style.css
[ "$status" = 200 ] || fail "style sheet: $status"
contains "$scratch/headers" '^[Cc]ontent-[Tt]ype: text/css' '^[Ee][Tt]ag: "'
tag=$(sed -n 's/^[Ee][Tt]ag: \(.*"\).*/\1/p' "$scratch/headers")
get /style.css -H "If-None-Match: $tag"
[ "$status" = 304 ] || fail "style sheet again: $status"
get /login
[ "$status" = 200 ] || fail "login: $status"
contains "$out" '<form' 'type="password"'

# login NAME PASSWORD: a new cookie in the jar.
login()
{
  rm -f "$jar"
  get /login -c "$jar"
  token=$(form_token)
  get /login -c "$jar" --data-urlencode "user=$1" --data-urlencode "password=$2" \
    --data-urlencode "form-token=$token"
}
form_token() { sed -n 's/.*name="form-token" value="\([^"]*\)".*/\1/p' "$out" | head -n 1; }
login boss 'wrong password'
case $status in 40?) ;; *) fail "a wrong password: $status" ;; esac
login boss 'boss password'
[ "$status" = 303 ] || fail "the login: $status"

# ---- Every page -----------------------------------------------------------------------------------

# look PATH: it is there, is well-formed, has its headers, and nothing in it runs.
well_formed()
{
  if command -v xmllint >/dev/null; then
    xmllint --html --noout "$1" 2>&1 | grep -a ': HTML parser error' | grep -av 'Tag [a-z]* invalid' >"$scratch/lint" || :
    [ ! -s "$scratch/lint" ] || { cat "$scratch/lint"; fail "$2 is not well-formed"; }
  else
    echo "not checked, for want of xmllint: whether $2 is well-formed"
  fi
}
look()
{
  printf '+ GET %s\n' "$1"
  get "$1"
  [ "$status" = "${2:-200}" ] || { cat "$out"; fail "$1: $status"; }
  contains "$scratch/headers" '^[Cc]ontent-[Tt]ype: text/html; charset=utf-8' \
    "^[Cc]ontent-[Ss]ecurity-[Pp]olicy: default-src 'none'; .*frame-ancestors 'none'" \
    '^X-Content-Type-Options: nosniff'
  lacks "$scratch/headers" 'unsafe-inline' 'unsafe-eval'
  lacks "$out" '<script' ' style=' '<style' '<img' ' on[a-z]+="' 'javascript:' '<i>one' '<b>first' '<u>second' \
    'CANARY-SECRET' 'https?://[a-z]*\.(com|org|net)'
  contains "$out" '^<!DOCTYPE html>' '<html lang="en">' '<main id="main"' 'name="viewport"' \
    'class="skip"' '<h1>'
  # No control but newline and tab, no bidirectional control, and nothing that is no UTF-8.
  ! LC_ALL=C grep -aqP '[\x00-\x08\x0b-\x1f\x7f]|\xe2\x80[\x8e\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]' "$out" ||
    fail "$1 has a control character"
  iconv -f UTF-8 -t UTF-8 "$out" >/dev/null || fail "$1 is no UTF-8"
  well_formed "$out" "$1"
}
look /
contains "$out" "/hosts/$one" "/hosts/$two" '&lt;i&gt;one' '>two<' '<svg' ' a night|none in ' 'just now|ago'
look "/?sort=name&descending=1&q=two"
contains "$out" "/hosts/$two"
lacks "$out" "/hosts/$one"
look "/hosts/$one"
contains "$out" 'checkpoints/3' 'nothing changed' 'good' 'the &lt;b&gt;first'
look "/hosts/$one?limit=1&offset=1"
contains "$out" 'checkpoints/2"' '2 to 2 of 3'
lacks "$out" '/checkpoints/1"'
look "/hosts/$one/checkpoints/2"
contains "$out" '>packages: ' 'configuration: ' 'upgraded 1.0-1 → 1.0-2' 'removed .was 2.3' \
  '/etc/app/&lt;script&gt;alert\(1\)' '/etc/app/&quot; onload=&quot;alert' 'new\\nline' \
  'not-utf8-\\xff' '\\xe2\\x80\\xaegpj' '&lt;u&gt;second&lt;/u&gt; &amp; &quot;third' \
  "restore --from &#39;https://127.0.0.1:$port/#[A-Za-z0-9_-]{43}&#39; --host $one --checkpoint 2"
contains "$out" 'content changed'
look "/hosts/$one/checkpoints/good"
look "/hosts/$one/checkpoints/1"
look "/hosts/$one/checkpoints/9" 404
look "/hosts/$one/checkpoints/%3Cscript%3E" 404
look "/hosts/00000000000000000000000000000000" 404
look "/hosts/$one/diff?from=1&to=2&path=/etc/app/app.conf"
contains "$out" '^@@|@@ -1,3' '-second' '\+&lt;u&gt;second'
look "/hosts/$one/diff?from=1&to=2&path=/etc/app/app.conf&view=split"
contains "$out" '<table class="split"' 'As a unified diff'
look "/hosts/$one/diff?from=2&to=3"
contains "$out" 'Nothing differs'
look "/hosts/$one/diff?from=1&to=2&path=/etc/shadow"
contains "$out" 'content changed'
lacks "$out" 'daemon:'
look "/diff?a=$one:3&b=two"
contains "$out" 'other.conf' 'colour=red'
look '/diff?a=nobody&b=two' 404
look /diff
look "/hosts/$one/files/2?path=/etc/app/app.conf"
contains "$out" '&lt;u&gt;second' 'Who else has it' -- '-- /etc/app/app.conf'
look "/hosts/$one/files/2?path=/etc/shadow"
contains "$out" 'a secret'
lacks "$out" 'daemon:'
look "/hosts/$one/files/2?path=/etc/app/binary"
contains "$out" 'no text'
look "/hosts/$one/files/2?path=/etc/issue"
contains "$out" 'not there'
look "/hosts/$one/files/2?path=/etc/app/not-utf8-%FF"
contains "$out" 'second content' "[$]&#39;/etc/app/not-utf8-\\\\xff&#39;"
look "/hosts/$one/files/2?path=/etc/app/new%0Aline"
contains "$out" 'second content'
look "/hosts/$one/files/2?shown=/etc/app/new%5Cnline"
contains "$out" 'second content'
look "/hosts/$one/files/2" 400
look "/hosts/$one/history?path=/etc/app/app.conf"
contains "$out" 'checkpoints/2"' 'checkpoints/1"' 'comparison'
look "/hosts/$one/packages"
contains "$out" '>hello<' '1.0-2'
look "/hosts/$one/packages?deviating=1"
contains "$out" '>tool<'
look "/hosts/$one/packages?package=tool&checkpoint=2"
contains "$out" '/etc/tool.conf'
look '/search?q=/etc/app/*&in=path'
contains "$out" '/etc/app/&lt;script' '&lt;i&gt;one' '>two<'
look '/search?q=hello+%3C+1.0-2&in=package'
contains "$out" 'until checkpoint'
digest=$(sha256sum <"$root/etc/app/app.conf" | cut -c1-64)
look "/search?q=$digest&in=digest"
contains "$out" '/etc/app/app.conf'
look '/search?q=%3Cscript%3E%22&in=digest'
contains "$out" 'begin a digest'
for path in /admin /admin/tokens /admin/users /admin/groups; do look "$path"; done
contains "$out" 'first-ones'
look /nothing 404

# ---- All links lead somewhere ---------------------------------------------------------------------

# Addresses are encoded: no white space is in them.
printf '/\n' >"$scratch/todo"
: >"$scratch/done"
crawled=0
while [ -s "$scratch/todo" ] && [ $crawled -lt 60 ]; do
  path=$(head -n 1 "$scratch/todo")
  sed -i 1d "$scratch/todo"
  ! grep -qxF -e "$path" "$scratch/done" || continue
  printf '%s\n' "$path" >>"$scratch/done"
  crawled=$((crawled + 1))
  look "$path"
  grep -aoE 'href="[^"]*"' "$out" | sed -e 's/^href="//' -e 's/"$//' -e 's/&amp;/\&/g' -e 's/#.*//' |
    grep -av -e '^$' -e '^/style.css' >>"$scratch/todo" || :
done
[ $crawled -ge 40 ] || fail "only $crawled pages were found by links"
lacks "$scratch/done" '^[^/]' '^//'

# ---- In a text browser ----------------------------------------------------------------------------

if command -v w3m >/dev/null; then
  look "/hosts/$one/checkpoints/2"
  w3m -dump -T text/html -I UTF-8 -O UTF-8 -cols 100 "$out" >"$scratch/text"
  contains "$scratch/text" 'changed /etc/app/app.conf' '\+<u>second</u>' 'upgraded 1.0-1' \
    'systracker restore --from'
else
  echo "not checked, for want of w3m: a text browser"
fi

# ---- Administration -------------------------------------------------------------------------------

# act NAME FIELD=VALUE...: a form of the administration, with its token.
act()
{
  what=$1
  shift
  get /admin
  fields=form-token=$(form_token)
  for field in "$@"; do fields="$fields&$field"; done
  get "/admin/$what" -d "$fields"
}
get /admin/add-group -d 'group=forged'
[ "$status" = 403 ] || fail "a form without its token: $status"
act add-group group=second-ones
[ "$status" = 303 ] || fail "add-group: $status"
act group-host group=second-ones host=two way=in
[ "$status" = 303 ] || fail "group-host: $status"
look /admin/groups
contains "$out" second-ones
lacks "$out" forged
act add-user name=short role=viewer password=x
[ "$status" = 400 ] || fail "a short password: $status"
act join-token name=nodes
[ "$status" = 200 ] || fail "join-token: $status"
contains "$out" "systracker sync &#39;https://127.0.0.1:$port/#[A-Za-z0-9_-]{43}\.j[A-Za-z0-9_-]{43}&#39;"
act restore-token host=two
[ "$status" = 200 ] || fail "restore-token: $status"
contains "$out" "restore --from &#39;https://127.0.0.1:$port/#[A-Za-z0-9_-]{43}\.r[A-Za-z0-9_-]{43}&#39; --host $two"
# The command is one that a new machine can be given as it stands.
command=$(sed -n "s/.*<code>\(systracker restore [^<]*\)<.*/\1/p" "$out" | sed "s/&#39;/'/g")
(
  root=$scratch/new-root store=$scratch/new-store
  mkdir -p "$root/etc"
  eval "expect_status 1 $command --dry-run" # secrets and toys stay out
  contains "$out" '/etc/app/other.conf'
)
look /admin/tokens
contains "$out" nodes "/hosts/$two"
act revoke name=nodes
[ "$status" = 303 ] || fail "revoke: $status"
look /admin/tokens
contains "$out" revoked

# ---- A viewer of one group ------------------------------------------------------------------------

login watcher 'first password'
[ "$status" = 303 ] || fail "the viewer's login: $status"
look /
contains "$out" "/hosts/$one"
lacks "$out" "$two" '>two<'
look '/search?q=/etc/app/*&in=path'
contains "$out" "/hosts/$one"
lacks "$out" "$two" '>two<'
for path in "/hosts/$two" "/hosts/$two/checkpoints/1" "/diff?a=$one&b=$two" "/diff?a=$one&b=two" \
  "/hosts/$two/files/1?path=/etc/hosts" "/hosts/$two/packages"; do
  look "$path" 404
  lacks "$out" 'colour=red' '>two<'
done
for path in /admin /admin/users; do
  get "$path"
  [ "$status" = 403 ] || fail "$path for a viewer: $status"
done
get /admin
get /
token=$(form_token)
get /admin/add-group --data-urlencode "form-token=$token" -d group=mine
[ "$status" = 403 ] || fail "a viewer's form: $status"

# An operator of the group learns nothing of hosts that are not in it, not even that they are there.
systracker_archive group "$archive" role first-ones watcher operator
systracker_archive approve "$archive" "$two"
zeros=$(printf '%032d' 0)
look /admin
lacks "$out" "$two"
token=$(form_token)
for form in approve deny restore-token; do
  get "/admin/$form" --data-urlencode "form-token=$token" -d "host=$two"
  [ "$status" = 404 ] || fail "$form of another group's host: $status"
  sed "s/$two/$zeros/g" "$out" >"$scratch/refused"
  get "/admin/$form" --data-urlencode "form-token=$token" -d "host=$zeros"
  cmp "$out" "$scratch/refused" || fail "$form: another host's existence is told"
done

# Who has no role any more is told so, and not sent to the login and back for ever.
systracker_archive group "$archive" role first-ones watcher none
get /
[ "$status" = 403 ] || fail "without a role: $status"
contains "$out" 'Log out'
lacks "$out" "$one"

# ---- After the logout -----------------------------------------------------------------------------

cp "$jar" "$scratch/stolen"
get /logout -c "$jar" --data-urlencode "form-token=$token"
[ "$status" = 303 ] || fail "logout: $status"
jar=$scratch/stolen
get /
[ "$status" = 303 ] || fail "a cookie after its logout: $status"
lacks "$scratch/serve.log" 'boss password' 'first password' 'wrong password' 'CANARY'

# It ends by itself, and under sanitizers has lost no memory.
kill $server
status=0
wait $server || status=$?
[ $status -eq 0 ] || { cat "$scratch/serve.err"; fail "the server ended with status $status"; }
echo "pages: $crawled by links"
