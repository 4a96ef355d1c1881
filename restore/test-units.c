/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "restore/units.h"

/* As systemctl 252 prints it. */
static const char shown[] =
    "MainPID=712\n"
    "ExecStart={ path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -D -f=/etc/ssh/other $SSHD_OPTS ; "
    "ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }\n"
    "ControlGroup=/system.slice/ssh.service\n"
    "EnvironmentFiles=/etc/default/ssh (ignore_errors=yes)\n"
    "Id=ssh.service\n"
    "SubState=running\n"
    "FragmentPath=/lib/systemd/system/ssh.service\n"
    "DropInPaths=/etc/systemd/system/ssh.service.d/a.conf /run/systemd/b.conf\n"
    "RefuseManualStart=no\nRefuseManualStop=no\n"
    "ActiveEnterTimestampMonotonic=5125017\n"
    "\n"
    "Id=networking.service\nSubState=exited\nFragmentPath=/lib/systemd/system/networking.service\n"
    "\n"
    "SubState=running\nMainPID=0x10\nNoValue\n"
    "\n"
    "Id=auditd.service\nSubState=running\nRefuseManualStop=yes\nMainPID=99999999999999999999\n";

static void test_services_that_run(void **state)
{
  (void)state;
  ST_AUTO_UNITS u = {0};
  st_units_parse(shown, &u);
  assert_int_equal(u.count, 2);
  const struct st_unit *ssh = &u.items[0];
  static const char *const files[] = {"/usr/sbin/sshd",
                                      "/etc/ssh/other",
                                      "/etc/default/ssh",
                                      "/lib/systemd/system/ssh.service",
                                      "/etc/systemd/system/ssh.service.d/a.conf",
                                      "/run/systemd/b.conf"};
  assert_string_equal(ssh->id, "ssh.service");
  assert_string_equal(ssh->fragment, "/lib/systemd/system/ssh.service");
  assert_string_equal(ssh->group, "/system.slice/ssh.service");
  assert_int_equal(ssh->pid, 712);
  assert_int_equal(ssh->since_usec, 5125017);
  assert_false(ssh->manual);
  assert_int_equal(ssh->files.count, ST_COUNT(files));
  for (size_t i = 0; i < ST_COUNT(files); i++)
    assert_string_equal(ssh->files.items[i], files[i]);
  assert_string_equal(u.items[1].id, "auditd.service");
  assert_string_equal(u.items[1].fragment, "");
  assert_int_equal(u.items[1].pid, 0);
  assert_true(u.items[1].manual);
}

static const char *stays(const char *id, const char *group, const char *own)
{
  struct st_unit u = {.id = (char *)id, .group = (char *)group};
  return st_unit_stays(&u, own);
}

static void test_what_stays(void **state)
{
  (void)state;
  assert_null(stays("ssh.service", "/system.slice/ssh.service", "/user.slice/session-1.scope"));
  assert_null(stays("ssh.service", "/system.slice/ssh.service", "/system.slice/ssh.services"));
  assert_non_null(
      stays("cron.service", "/system.slice/cron.service", "/system.slice/cron.service"));
  assert_non_null(stays("a.service", "/system.slice/a.service", "/system.slice/a.service/below"));
  assert_null(stays("a.service", "", ""));
  assert_null(stays("a.service", "/", "/"));
  assert_non_null(stays("dbus.service", "", ""));
  assert_non_null(stays("user@1000.service", "", ""));
  assert_non_null(stays("serial-getty@ttyS0.service", "", ""));
  struct st_unit u = {.id = (char *)"auditd.service", .group = (char *)"", .manual = true};
  assert_non_null(st_unit_stays(&u, "/"));
}

static void test_maps(void **state)
{
  (void)state;
  ST_AUTO_STRINGS here = {0}, gone = {0};
  st_units_parse_maps("55d0-55d1 r-xp 00000000 fe:01 123   /usr/sbin/sshd\n"
                      "55d1-55d2 r--p 00001000 fe:01 123   /usr/sbin/sshd\n"
                      "7f00-7f01 r-xp 00000000 fe:01 124   /usr/lib/libx.so.1 (deleted)\n"
                      "7f01-7f02 r-xp 00000000 fe:01 125   /usr/lib/libx.so.1\n"
                      "7f02-7f03 rw-p 00000000 00:00 0 \n"
                      "7ffd-7ffe rw-p 00000000 00:00 0     [stack]\n"
                      "7f04-7f05 r-xp 00000000 fe:01 126   /opt/a (deleted) b",
                      &here, &gone);
  assert_int_equal(here.count, 3);
  assert_string_equal(here.items[0], "/usr/sbin/sshd");
  assert_string_equal(here.items[1], "/usr/lib/libx.so.1");
  assert_string_equal(here.items[2], "/opt/a (deleted) b");
  assert_int_equal(gone.count, 1);
  assert_string_equal(gone.items[0], "/usr/lib/libx.so.1");
}

/* Of this process itself: what it runs is there. */
static void test_mapped(void **state)
{
  (void)state;
  ST_AUTO_STRINGS here = {0}, gone = {0};
  ST_AUTO_FREE char *self = realpath("/proc/self/exe", NULL);
  struct st_unit u = {.id = (char *)"a.service", .group = (char *)"", .pid = getpid()};
  st_unit_mapped(&u, &here, &gone);
  assert_non_null(self);
  assert_true(st_strings_has(&here, self));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_services_that_run),
      cmocka_unit_test(test_what_stays),
      cmocka_unit_test(test_maps),
      cmocka_unit_test(test_mapped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
