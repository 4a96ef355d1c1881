#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What a proxy puts into its own answer is not the server's; and a server that somebody has taken over, with its key,
# changes nothing of a host's chain by what it says.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/remote.sh"
need_program jq
need_program curl
need_program python3

on a new_host alpha
on b new_host beta
start one
expect_status 0 on a systracker sync "$(join one)"
expect_status 1 on b systracker sync "$url/#$digest"

# ---- A proxy ----------------------------------------------------------------------------------------
cat >"$scratch/proxy.py" <<'END'
import socket, threading
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1], flush=True)
def pour(a, b):
    try:
        while d := a.recv(65536): b.sendall(d)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass
while True:
    c, _ = s.accept()
    head = b""
    while b"\r\n\r\n" not in head: head += c.recv(4096)
    host, port = head.split()[1].decode().split(":")
    to = socket.create_connection((host, int(port)))
    c.sendall(b"HTTP/1.1 200 yes\r\nSystracker-Session: of-the-proxy\r\nSystracker-Session-Expires: 9999999999\r\n\r\n")
    print("used", flush=True)
    for pair in ((c, to), (to, c)): threading.Thread(target=pour, args=pair, daemon=True).start()
END
python3 "$scratch/proxy.py" >"$scratch/proxy" &
proxy=$!
at_end "kill $proxy 2>/dev/null"
soon [ -s "$scratch/proxy" ] || fail "no proxy"
expect_status 1 on b env -u no_proxy -u NO_PROXY "https_proxy=http://127.0.0.1:$(head -n 1 "$scratch/proxy")" \
  "$ST_SYSTRACKER" --config "$scratch/config-b" --root "$scratch/root-b" --store "$scratch/store-b" sync "$url/#$digest"
contains "$err" 'join string with a token'
contains "$scratch/proxy" '^used'
! grep -q of-the-proxy "$scratch"/store-b/remote/*.json || fail "a session that the proxy made up is taken for the server's"
kill "$proxy"

# ---- A server that says another archive's id -------------------------------------------------------------
# A host that is told to use it, too, believes that the first time; but what it signs is for that server by its key, and
# the one whose id it is takes none of it.  What is kept of that one stays.
cp "$scratch"/store-a/remote/*.json "$scratch/kept"
first_url=$url first_digest=$digest id=$(sed -n 's/^id //p' "$archive/archive")
server_at liar
sed -i '/^id /d' "$archive/archive"
echo "id $id" >>"$archive/archive"
start liar
expect_status 0 on a systracker sync "$(join liar)"
cmp -s "$scratch/kept" "$scratch/store-a/remote/$(printf %s "$first_url" | sha256sum | cut -c 1-32).json" ||
  fail "what is kept of an archive's server was changed by another server"
# passed_on STATUS SERVER: a request of host a that was signed for this server, sent to the first.
passed_on()
{
  "$ST_BUILD/tests/host-client" sign "$scratch/store-a" "$id" GET /v1/hosts /dev/null '' "$2" >"$scratch/curlrc"
  status=$(curl -sk -K "$scratch/curlrc" -X GET --data-binary @/dev/null -o "$scratch/answer" -w '%{http_code}' \
    "$first_url/v1/hosts")
  [ "$status" = "$1" ] || { cat "$scratch/answer"; fail "$status instead of $1, for $2"; }
}
passed_on 421 "key:$digest"
contains "$scratch/answer" 'signed for another server'
passed_on 421 name:liar.example
passed_on 421 key:
passed_on 200 "key:$first_digest"
passed_on 200 name:localhost # in its certificate
stop liar
rm "$scratch/store-a/remote/$(printf %s "$url" | sha256sum | cut -c 1-32).json"
# The same behind a proxy: as whom it is known there has to be said.
stop one
start one --public "https://archive.example:7440/#$digest" --public https://Other.Example/
passed_on 421 name:archive.example
passed_on 200 name:other.example
expect_status 0 on a systracker sync "$url/#$digest"
stop one
expect_status 1 systracker_archive serve "$archive" --public 'https://other.example/#.jToken'
contains "$err" 'without a token' 'other.example'
! grep -q jToken "$err" || fail "the token is shown"

# What is no server of ours, and answers as one.
cat >"$scratch/liar.py" <<'END'
import http.server, ssl
class Liar(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *words): pass
    def say(self, status, body):
        self.send_response(status)
        self.send_header("Systracker-Session", "s")
        self.send_header("Systracker-Session-Expires", "9999999999")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
def serve(folder, port, liar):
    s = http.server.ThreadingHTTPServer(("127.0.0.1", port), liar)
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(folder + "/tls.crt", folder + "/tls.key")
    s.socket = c.wrap_socket(s.socket, server_side=True)
    s.serve_forever()
END

# ---- A server that was taken over ------------------------------------------------------------------------
cat >"$scratch/taken.py" <<'END'
import json, liar, sys
folder, port, archive, claim, shown, keys = sys.argv[1], int(sys.argv[2]), *sys.argv[3:7]
class Taken(liar.Liar):
    def do_GET(self):
        if self.path == "/v1/archive":
            return self.say(200, json.dumps({"protocol": 1, "audience": True, "id": archive, "recipients": ["age1" + 58 * "q"] * int(keys)}).encode())
        if "/changesets/" in self.path:
            print("asked", flush=True)
            return self.say(200, open(shown, "rb").read()) if shown else self.say(404, b"{}")
        self.say(404, b"{}")
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.say(200, claim.encode() if self.path == "/v1/sync" else b"{}")
liar.serve(folder, port, Taken)
END
# taken CLAIM FILE [KEYS]: one that says CLAIM of every host, shows FILE as any checkpoint, and names so many recovery keys.
taken()
{
  : >"$scratch/asked"
  python3 "$scratch/taken.py" "$archive" "$port" "$(sed -n 's/^id //p' "$archive/archive")" "$1" "$2" "${3-0}" >"$scratch/asked" &
  echo $! >"$scratch/taken.pid"
  at_end "stop taken"
  answers "$url"
}
chain() { on a systracker --json log; }
refused()
{
  expect_status 2 on a systracker sync "$url/#$digest"
  contains "$err" 'says that this store was set back, and that is not proved: '
  contains "$scratch/asked" '^asked'
  stop taken
  [ "$(chain)" = "$before" ] || fail "a server has changed the host's chain"
}
before=$(chain)
number=99
head=$(printf '%064d' 7)
for epoch in 1 9223372036854775807; do
  taken "{\"state\":\"new\",\"epoch\":$epoch,\"number\":$number,\"head\":\"$head\",\"wanted\":false,\"packages\":\"\",\"key\":\"\"}" ''
  refused
done

# It shows a checkpoint that the host has made, but another than the one it claims.
start one
contains "$archive/archive" '^id '
expect_status 0 on a systracker sync "$url/#$digest"
session=$(jq -r .session "$scratch"/store-a/remote/*.json)
shown()
{
  curl -sfk -H "Authorization: Bearer $session" -H "Systracker-Archive: $(sed -n 's/^id //p' "$archive/archive")" \
    "$url/v1/hosts/$(id_of a)/$1"
}
shown changesets/1 >"$scratch/shown"
real=$(shown chain | jq -r .head)
stop one
taken "{\"state\":\"new\",\"epoch\":1,\"number\":2,\"head\":\"$head\",\"wanted\":false,\"packages\":\"\",\"key\":\"\"}" "$scratch/shown"
refused
contains "$err" 'showed another checkpoint'

# ---- Another recovery key ----------------------------------------------------------------------------------
sealed() { jq -r .values.sealed_to "$scratch"/store-a/remote/*.json; }
to=$(sealed)
server_at one
# So many that what is remembered of them could not be read again.
taken "{\"state\":\"new\",\"epoch\":1,\"number\":1,\"head\":\"$real\",\"wanted\":false,\"packages\":\"\",\"key\":\"\"}" '' 2000
expect_status 2 on a systracker sync "$url/#$digest"
contains "$err" 'too long to be remembered'
stop taken
[ "$(stat -c %s "$scratch"/store-a/remote/*.json)" -le 65536 ] || fail "a server has made the host forget it"
[ "$(sealed)" = "$to" ] || fail "a server has made the host forget whom its key is sealed to"
server_at two
other=$(sed -n 's/^recipient //p' "$archive/archive")
start one
expect_status 0 on a systracker sync "$url/#$digest"
stop one
key=$(sha256sum <"$archive/hosts/$(id_of a)/key.age")
sed -i "s/^recipient .*/recipient $other/" "$archive/archive"
start one
echo more >>"$scratch/root-a/opt/own"
on a systracker checkpoint >/dev/null
expect_status 0 on a systracker sync "$url/#$digest"
contains "$err" "names other recovery keys than before, .*: $other\$"
[ "$(sha256sum <"$archive/hosts/$(id_of a)/key.age")" != "$key" ] || fail "the data key was not sealed to the new one"
expect_status 0 on a systracker sync "$url/#$digest"
lacks "$err" .

# ---- What is fetched ------------------------------------------------------------------------------------------
# A server's numbers are bounds of ours: of checkpoints, of bytes, of values that are made of them.
cat >"$scratch/boast.py" <<'END'
import json, liar, sys
folder, port, archive, host, what = sys.argv[1], int(sys.argv[2]), *sys.argv[3:6]
many = {"number": 2147483647 if what == "checkpoints" else 1, "epoch": 1, "head": 64 * "7"}
class Boast(liar.Liar):
    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/v1/archive":
            return self.say(200, json.dumps({"protocol": 1, "audience": True, "id": archive, "recipients": []}).encode())
        if path == "/v1/hosts":
            return self.say(200, json.dumps({"hosts": [{"host": host, "name": "x", "checkpoints": 1}]}).encode())
        if path.endswith("/chain"):
            return self.say(200, json.dumps(many).encode())
        if path.endswith("/packages") and what == "bytes":
            return self.say(200, b'{"packages":[' + 40000000 * b" " + b"]}")
        if path.endswith("/packages") and what == "values":
            return self.say(200, b'{"packages":[' + 3000000 * b"0," + b"0]}")
        print("asked for", path, flush=True)
        self.say(404, b"{}")
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.say(200, b"{}")
liar.serve(folder, port, Boast)
END
server_at boast
on c new_host gamma
# boasts WHAT WORDS: status 2, those words, and no checkpoint was asked for.
boasts()
{
  python3 "$scratch/boast.py" "$archive" "$port" "$(printf '%032d' 7)" "$(id_of a)" "$1" >"$scratch/asked" 2>/dev/null &
  echo $! >"$scratch/boast.pid"
  at_end "stop boast"
  answers "$url"
  expect_status 2 on c systracker fetch "$url/#$digest" --host "$(id_of a)"
  contains "$err" "$2"
  ! grep -q changesets "$scratch/asked" || fail "it was believed: $(cat "$scratch/asked")"
  stop boast
}
boasts checkpoints 'says that the host has 2147483647 checkpoints: no more than 1000000'
boasts bytes 'more than it was asked for: no more than [0-9]+ bytes'
boasts values 'more than 2000000 values'

# What a fetch of another host that was killed has left goes with the next.
left=$scratch/store-c/remote/fetch/hosts/$(printf '%032d' 9)
mkdir -p "$left/epoch-2"
: >"$left/catalog.db"
: >"$left/epoch-2/catalog.db-wal"
token=$(join one --restore "$(id_of a)")
expect_status 0 on c systracker fetch "$token" --host "$(id_of a)"
[ ! -e "$scratch/store-c/remote/fetch" ] || fail "what a killed fetch left is still there"
