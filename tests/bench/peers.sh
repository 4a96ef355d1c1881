# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# peers.sh - other programs that do a part of it, each with its usual settings and nothing encrypted.
# Sourced by bench.sh.
# shellcheck disable=SC2034,SC2154 # variables are shared with bench.sh
: "${dir:?}" "${usr:?}"

all_peers="find git bup rsync restic borg aide casync tar-zstd"
peer=$dir/peers
export BORG_BASE_DIR="$peer/borg-home" BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes \
  BORG_RELOCATED_REPO_ACCESS_IS_OK=yes BORG_REPO="$peer/borg" \
  RESTIC_REPOSITORY="$peer/restic" RESTIC_PASSWORD=bench RESTIC_CACHE_DIR="$peer/restic-cache" \
  BUP_DIR="$peer/bup" GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 \
  GIT_AUTHOR_NAME=bench GIT_AUTHOR_EMAIL=bench@localhost \
  GIT_COMMITTER_NAME=bench GIT_COMMITTER_EMAIL=bench@localhost

peer_program()
{
  case $1 in
  tar-zstd) echo zstd ;;
  cp) echo cp ;;
  *) echo "$1" ;;
  esac
}

# fresh_PEER: an empty repository; keep PEER: the command that puts the corpus into it, as the first
# or as a later night.
fresh_git() { rm -rf "$peer/git" && quietly git init -q "$peer/git"; }
fresh_bup() { rm -rf "$peer/bup" && quietly bup init; }
fresh_restic() { rm -rf "$peer/restic" "$peer/restic-cache" && quietly restic init -q; }
fresh_borg() { rm -rf "$peer/borg" "$peer/borg-home" && quietly borg init -e none; }
fresh_rsync() { rm -rf "$peer/rsync"; }
fresh_casync() { rm -rf "$peer/casync" && mkdir -p "$peer/casync"; }
fresh_tar_zstd() { rm -rf "$peer/tar-zstd" && mkdir -p "$peer/tar-zstd"; }
fresh_aide()
{
  rm -rf "$peer/aide"
  mkdir -p "$peer/aide"
  cat >"$peer/aide/conf" <<END
database_in=file:$peer/aide/db
database_out=file:$peer/aide/db
gzip_dbout=no
report_url=stdout
$usr p+i+n+u+g+s+m+c+sha256
END
}

keep_git()
{
  "$@" sh -c "git --git-dir='$peer/git/.git' --work-tree='$usr' add -A -f &&
    git --git-dir='$peer/git/.git' --work-tree='$usr' commit -q --allow-empty -m night"
}
keep_bup() { "$@" sh -c "bup index -u '$usr' && bup save -q -n usr '$usr'"; }
keep_restic() { "$@" restic backup -q "$usr"; }
keep_borg()
{
  borg_nights=$((${borg_nights:-0} + 1))
  "$@" borg create --compression zstd,3 "::night-$$-$borg_nights" "$usr"
}
keep_rsync() { "$@" rsync -a "$usr/" "$peer/rsync/"; }
keep_casync()
{
  "$@" casync make --store="$peer/casync/store.castr" "$peer/casync/usr.caidx" "$usr"
}
keep_tar_zstd()
{
  "$@" sh -c "tar -C '$usr_root' -c usr | zstd -q -3 -T2 -f -o '$peer/tar-zstd/usr.tar.zst'"
}
keep_aide() { "$@" aide --init --config "$peer/aide/conf"; }

peer_function() { echo "$1_$2" | tr - _; }

# first PEER...: measures the first time.
first()
{
  mkdir -p "$peer"
  "$(peer_function fresh "$1")"
  "$(peer_function keep "$1")" measured
  : >"$peer/made-$1"
}

# after_first PEER: makes its first night where it was not.
after_first()
{
  [ ! -e "$peer/made-$1" ] || return 0
  note "bench: $1 needs its first copy"
  mkdir -p "$peer"
  "$(peer_function fresh "$1")"
  "$(peer_function keep "$1")" quietly
  : >"$peer/made-$1"
}

tell_what_was_left_out()
{
  missing=
  for p in $all_peers; do
    program "$(peer_program "$p")" || missing="$missing $p"
  done
  [ -z "$missing" ] || echo "Not installed, so not compared with (make bench-peers):$missing"
  case $peers in
  none) echo "No other programs were run (BENCH_PEERS=none)." ;;
  once) echo "Other programs were run in the first round alone (BENCH_PEERS=paired: in each)." ;;
  esac
  [ -z "${disk_left_out:-}" ] || echo "$disk_left_out"
  for r in $all_rows million; do
    case " $rows " in
    *" $r "*) ;;
    *) left="${left:-} $r" ;;
    esac
  done
  [ -z "${left:-}" ] || echo "Rows that were not run:$left"
}
