#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The nightly checkpoint: the installed systemd unit and timer, and the installed cron file, each
# exercised once on a Debian system.
. "$ST_SOURCE/tests/functions.sh"
. "$ST_SOURCE/tests/real/debian.sh"
unit=$(find "$ST_STAGE" -name systracker-checkpoint.service -o -name systracker.service)
timer=$(find "$ST_STAGE" -name 'systracker*.timer')
cron=$(find "$ST_STAGE" -path '*/cron.d/*' -type f)
for file in "$unit" "$timer" "$cron"; do
  [ -n "$file" ] || fail "not installed: the unit, the timer or the cron file"
done
contains "$timer" '^OnCalendar='
contains "$unit" '^SuccessExitStatus=1$'
make_debian
install_systracker

command=$(sed -n 's/^ExecStart=//p' "$unit")
[ -n "$command" ] || fail "the unit starts nothing"
expect_status 0 in_root sh -c "$command"
expect_status 0 in_root systracker log
expect_status 0 in_root systracker show 1

# The command of the cron line: what is behind five fields and the user.
line=$(grep -E '^[0-9*]' "$cron")
[ -n "$line" ] || fail "the cron file has no line"
user=$(echo "$line" | awk '{ print $6 }')
[ "$user" = root ] || fail "the cron line's user is $user"
command=$(echo "$line" | sed -E 's/^([^[:space:]]+[[:space:]]+){6}//')
echo by-cron >>"$root/etc/issue"
expect_status 0 in_root sh -c "$command"
# Both send it to the archive of the configuration; where that is not there, the checkpoint stands.
post=$(sed -n 's/^ExecStartPost=-\(.* sync .*\)/\1/p' "$unit")
[ -n "$post" ] || fail "the unit sends nothing to an archive"
in_root systracker-archive init /mnt/archive >/dev/null
find "$root" -path '*/systracker/systracker.conf' -type f \
  -exec sh -c 'echo "archive { url = \"file:///mnt/archive\" }" >>"$1"' sh {} \;
expect_status 0 in_root sh -c "$post"
expect_status 0 in_root systracker-archive hosts /mnt/archive
contains "$out" ' 2 checkpoints'
mv "$root/mnt/archive" "$root/mnt/away"
echo without >>"$root/etc/issue"
expect_status 2 in_root sh -c "$command"
contains "$err" 'cannot sync: '
mv "$root/mnt/away" "$root/mnt/archive"
echo with >>"$root/etc/issue"
expect_status 0 in_root sh -c "$command"
expect_status 0 in_root systracker-archive hosts /mnt/archive
contains "$out" ' 4 checkpoints'
# Where systemd runs, its timer does it, and cron's line does nothing.
expect_status 0 in_root systracker show 2
contains "$out" /etc/issue
mkdir -p "$root/run/systemd/system"
echo again >>"$root/etc/issue"
expect_status 0 in_root sh -c "$command"
expect_status 2 in_root systracker show 5

if command -v systemd-analyze >/dev/null; then
  # The program has to be where the unit says, so it is asked inside a root with the stage.
  expect_status 0 systemd-analyze verify --root="$root" --man=no --recursive-errors=no \
    "$(basename "$timer")" "$(basename "$unit")"
  [ ! -s "$err" ] || lacks "$err" 'systracker'
else
  echo "systemd-analyze is not there: the unit's syntax was not checked"
fi
