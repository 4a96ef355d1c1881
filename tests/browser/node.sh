# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# node.sh - what is written for node, with the packages that its lock file names; sourced after functions.sh.

need_program node
need_program npm

# node_packages: $node_folder has them, below $ST_CACHE.
node_packages()
{
  version=$(cat "$ST_SOURCE"/tests/browser/package*.json | sha256sum | cut -c1-16)
  node_folder=$ST_CACHE/browser-$version
  mkdir -p "$ST_CACHE"
  (
    flock 9
    [ -e "$node_folder/done" ] || {
      rm -rf "$node_folder"
      mkdir "$node_folder"
      cp "$ST_SOURCE"/tests/browser/package*.json "$node_folder"
      (cd "$node_folder" && npm ci --no-audit --no-fund --ignore-scripts) || fail "npm ci"
      touch "$node_folder/done"
    }
  ) 9>"$ST_CACHE/browser.lock" || exit 1
}

# node_run SCRIPT ARGUMENT...: of tests/browser.
node_run()
{
  script=$ST_SOURCE/tests/browser/$1
  shift
  NODE_PATH=$node_folder/node_modules node "$script" "$@"
}
