#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Chromium walks the pages of a served archive with three hosts, with and without scripts: what they say, that the
# keyboard reaches all of it, contrast in light and dark, a telephone's width, nothing in the console, no request to
# elsewhere.  With SCREENSHOTS=FOLDER it takes pictures of the main pages there instead (make screenshots).
. "$ST_SOURCE/tests/functions.sh"
need_program curl
need_program jq
need_program chromium
. "$ST_SOURCE/tests/browser/node.sh"
. "$ST_SOURCE/tests/served.sh"
node_packages
make_hosts
start_server

expect=$(jq -n --arg one "$one" --arg two "$two" --arg three "$three" '[
  {path: "/", text: ["web", "sql", "cache"]},
  {path: "/hosts/\($one)", text: ["web", "the upgrade", "before the upgrade"]},
  {path: "/hosts/\($one)/checkpoints/2", text: ["/etc/app/app.conf", "upgraded 1.0-1 → 2.0-1", "/etc/issue", "nginx"],
   lacks: ["canary"]},
  {path: "/hosts/\($one)/diff?from=1&to=2", text: ["/etc/shadow"], lacks: ["canary"]},
  {path: "/hosts/\($one)/diff?from=1&to=2&path=/etc/app/app.conf&view=unified", text: ["second", "SECOND", "fourth"]},
  {path: "/hosts/\($one)/diff?from=1&to=2&path=/etc/app/app.conf&view=split", text: ["second", "SECOND", "fourth"]},
  {path: "/hosts/\($one)/diff?from=1&to=2&path=/etc/shadow", lacks: ["canary", "8d1f"]},
  {path: "/diff?a=\($one):1&b=\($two):1", text: ["/etc/app/app.conf", "postgresql"]},
  {path: "/hosts/\($one)/files/2?path=/etc/app/app.conf", text: ["SECOND", "systracker restore"]},
  {path: "/hosts/\($one)/files/2?path=/etc/shadow", lacks: ["canary", "8d1f"]},
  {path: "/hosts/\($one)/history?path=/etc/app/app.conf", text: ["/etc/app/app.conf", "the upgrade"]},
  {path: "/hosts/\($one)/packages", text: ["tool", "nginx", "1.22.1-9"]},
  {path: "/search?q=hello&in=package", text: ["web", "sql", "cache"]},
  {path: "/search?q=/etc/app/db.conf&in=path", text: ["sql"]},
  {path: "/admin/users", text: ["watcher"]},
  {path: "/admin/groups", text: ["first-ones"]}
]')
shots=null
if [ -n "${SCREENSHOTS:-}" ]; then
  mkdir -p "$SCREENSHOTS"
  shots=$(jq -n --arg folder "$(realpath "$SCREENSHOTS")" --arg one "$one" --arg two "$two" '{folder: $folder, pages: [
    {name: "hosts", path: "/"},
    {name: "hosts-dark", path: "/", scheme: "dark"},
    {name: "hosts-narrow", path: "/", width: 390, height: 780},
    {name: "host", path: "/hosts/\($one)"},
    {name: "checkpoint", path: "/hosts/\($one)/checkpoints/2"},
    {name: "diff", path: "/hosts/\($one)/diff?from=1&to=2&path=/etc/app/app.conf&view=unified"},
    {name: "diff-split-dark", path: "/hosts/\($one)/diff?from=1&to=2&path=/etc/app/app.conf&view=split", scheme: "dark"},
    {name: "two-hosts", path: "/diff?a=\($one):1&b=\($two):1"},
    {name: "packages", path: "/hosts/\($one)/packages"},
    {name: "search", path: "/search?q=hello&in=package"}
  ]}')
fi
jq -n --arg base "$url" --argjson expect "$expect" --argjson shots "$shots" \
  '{base: $base, user: "boss", password: "boss password", expect: $expect, shots: $shots}' >"$scratch/plan.json"
node_run walk.js "$scratch/plan.json"
