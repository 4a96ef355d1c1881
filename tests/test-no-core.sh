#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What has keys in its memory leaves no core when it crashes, whatever the limit is: sync, fetch, restore and serve.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/remote.sh"
need_program python3
need_program curl
cat >"$scratch/crash.py" <<'END'
# crash.py COMMAND...: starts it in a folder of its own, has it crash once it connects to us (PORT in its arguments is
# ours) or, with "serve", answers; says whether it left a core.
import os, resource, signal, socket, sys, time, urllib.request, ssl
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); s.settimeout(180)
port = str(s.getsockname()[1])
argv = [a.replace("PORT", port) for a in sys.argv[1:]]
pid = os.fork()
if pid == 0:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.execvp(argv[0], argv)
if "serve" in argv:
    port = argv[-1].split(":")[1]
    context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
    for _ in range(1800):
        try:
            urllib.request.urlopen(f"https://127.0.0.1:{port}/health", context=context)
            break
        except OSError:
            time.sleep(0.1)
elif "sleep" in argv:
    while open(f"/proc/{pid}/comm").read() != "sleep\n":
        time.sleep(0.01)
else:
    s.accept()
os.kill(pid, signal.SIGSEGV)
_, status = os.waitpid(pid, 0)
print("core" if os.WCOREDUMP(status) else "none" if os.WIFSIGNALED(status) else "it lives")
END
mkdir "$scratch/cores"
crash() { (cd "$scratch/cores" && python3 "$scratch/crash.py" "$@"); }
[ "${ST_SANITIZERS:-no}" = no ] || skip "leaks are looked for by who may trace"
[ "$(crash sleep 60)" = core ] || skip "nothing leaves a core here"
on a new_host alpha
server_at one
program() { crash "$ST_SYSTRACKER" --config "$scratch/config-a" --root "$scratch/root-a" --store "$scratch/store-a" "$@"; }
for verb in "sync https://127.0.0.1:PORT/#$digest" "fetch https://127.0.0.1:PORT/#$digest" \
  "restore --from https://127.0.0.1:PORT/#$digest --checkpoint 1 --dry-run"; do
  # shellcheck disable=SC2086
  [ "$(program $verb)" = none ] || fail "a core is left by $verb"
done
user=
[ "$(id -u)" -ne 0 ] || user='--user root'
# shellcheck disable=SC2086
[ "$(crash "${ST_SYSTRACKER%/*}/systracker-archive" serve "$archive" $user --log none --listen "127.0.0.1:$port")" = none ] ||
  fail "a core is left by serve"
