#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Without anybody's hands: what the systemd unit and the cron file run sends each checkpoint to every
# archive of the configuration, and an archive that is not there costs neither the checkpoint nor the
# other archives.
. "$ST_SOURCE/tests/functions.sh"

systracker_archive() { "${ST_SYSTRACKER%/*}/systracker-archive" "$@"; }
checkpoints() # ARCHIVE: how many it has
{
  systracker_archive --json hosts "$1" | sed -n 's/.*"checkpoints":\([0-9]*\).*/\1/p'
}
make_root
make_config
first=$scratch/first second=$scratch/second
systracker_archive init "$first" >/dev/null
systracker_archive init "$second" >/dev/null

# ---- The lines as they are installed, on our root ---------------------------------------------------
program=$scratch/bin/systracker
mkdir "$scratch/bin"
cat >"$program" <<END
#!/bin/sh
exec "$ST_SYSTRACKER" --config "$config" --root "$root" --store "$store" "\$@"
END
chmod 755 "$program"
unit=$ST_UNITDIR/systracker.service
lines_of() { sed -n "s|^$1=||p" "$unit" | sed "s|$ST_BINDIR/systracker|$program|"; }
start=$(lines_of ExecStart)
# What fails there is said, and the unit is not failed.
! lines_of ExecStartPost | grep -qv '^-' || fail "the unit fails with what comes after the checkpoint"
post=$(lines_of ExecStartPost | sed -n 's/^-\(.* sync .*\)/\1/p')
[ -n "$post" ] || fail "the unit sends nothing to an archive"
contains "$unit" '^SuccessExitStatus=1$'
cron=$(grep -E '^[0-9*]' "$ST_SYSCONFDIR/cron.d/systracker" |
  sed -E 's/^([^[:space:]]+[[:space:]]+){6}//' |
  sed "s|$ST_BINDIR/systracker|$program|g; s|/run/systemd/system|$scratch/no-systemd|")

silent() { [ ! -s "$out" ] && [ ! -s "$err" ]; }

# ---- No archive in the configuration ----------------------------------------------------------------
expect_status 0 sh -c "$start"
expect_status 0 sh -c "$post"
silent || fail "something was said though nothing is configured"
expect_status 2 systracker sync
one_error 'no archive is named'
expect_status 0 sh -c "$cron"
silent || fail "cron would send mail"

# ---- Two, each gets all ------------------------------------------------------------------------------
for archive in "$first" "$second"; do
  printf 'archive { url = "file://%s" }\n' "$archive" >>"$config"
done
expect_status 0 sh -c "$start"
expect_status 0 sh -c "$post"
silent || fail "a quiet sync is not quiet"
expect_status 0 sh -c "$cron"
for archive in "$first" "$second"; do
  [ "$(checkpoints "$archive")" -eq 4 ] || fail "$archive has $(checkpoints "$archive") checkpoints"
done

# ---- One is not there: the checkpoint is made, the other gets it, and it is said ----------------------
mv "$first" "$scratch/unplugged"
echo changed >"$root/etc/issue"
expect_status 0 sh -c "$start"
expect_status 2 sh -c "$post"
one_error "cannot sync: cannot open the archive .*first"
expect_status 2 sh -c "$cron"
[ "$(checkpoints "$second")" -eq 6 ] || fail "the other archive did not get it"
mkdir "$first" # nothing is mounted there
expect_status 2 sh -c "$post"
contains "$err" 'no archive of SysTracker'
[ -z "$(ls -A "$first")" ] || fail "something was written where nothing is mounted"
rmdir "$first"
mv "$scratch/unplugged" "$first"
expect_status 0 sh -c "$post"
[ "$(checkpoints "$first")" -eq 6 ] || fail "what was missed was not sent later"

# ---- An incomplete checkpoint is sent, too; after a failed one there is nothing to send --------------------------------
echo 'plugin nosuch { }' >>"$config"
expect_status 1 sh -c "$start"
expect_status 0 sh -c "$cron"
[ "$(checkpoints "$first")" -eq 8 ] || fail "an incomplete checkpoint was not sent by cron"
echo 'plugin standard_track { track = 7 { } }' >>"$config"
expect_status 1 sh -c "$cron"
[ "$(grep -c . "$err")" -eq 1 ] || fail "a checkpoint that failed was followed by a sync"
for archive in "$first" "$second"; do expect_status 0 systracker_archive verify "$archive"; done
