/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shipped configuration: every pattern is one, and decides as it is meant to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "conf/conf.h"
#include "systracker/scan/walk.h"

struct shipped {
  struct st_conf *conf;
  struct st_scope *scope;
  struct st_rules *secret, *identity;
  unsigned standard, config; /* bits */
};

static void add(struct st_rules *rules, enum st_rule_kind kind, const char *pattern,
                const struct st_conf_place *place, const char *reason)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_FREE char *origin = st_format("%s:%d", place->file, place->line);
  if (st_rules_add(rules, kind, pattern, origin, reason, &err) < 0)
    fail_msg("%s", st_error_text(&err));
}

static struct st_rules *list_rules(const struct st_conf *conf, enum st_conf_list list)
{
  struct st_rules *rules = st_rules_new();
  for (size_t i = 0; i < conf->nlists[list]; i++) {
    const struct st_conf_entry *e = &conf->lists[list][i];
    add(rules, ST_RULE_EXCLUDE, e->pattern, &e->place, e->reason);
  }
  return rules;
}

static void add_plugin(struct shipped *s, const char *name)
{
  const struct st_conf_plugin *p = st_conf_plugin(s->conf, name);
  assert_non_null(p);
  const struct st_conf_option *track = st_conf_option(p, "track");
  assert_non_null(track);
  struct st_rules *rules = st_rules_new();
  for (size_t i = 0; i < track->values.count; i++)
    add(rules, ST_RULE_TRACK, track->values.items[i], &track->place, NULL);
  st_scope_add(s->scope, rules);
}

static int setup(void **state)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  const char *source = getenv("ST_SOURCE");
  ST_AUTO_FREE char *file = st_format("%s/conf/systracker.conf", source ? source : ".");
  struct shipped *s = st_calloc(1, sizeof(*s));
  *state = s;
  if (st_conf_read(&s->conf, file, NULL, NULL, &err) < 0) {
    print_error("%s\n", st_error_text(&err));
    return -1;
  }
  s->scope = st_scope_new();
  s->secret = list_rules(s->conf, ST_CONF_SECRET);
  s->identity = list_rules(s->conf, ST_CONF_IDENTITY);
  st_scope_set_excluded(s->scope, list_rules(s->conf, ST_CONF_EXCLUDED));
  st_scope_set_generated(s->scope, list_rules(s->conf, ST_CONF_GENERATED));
  add_plugin(s, "standard_track");
  add_plugin(s, "config_track");
  s->standard = 1;
  s->config = 2;
  return 0;
}

static int teardown(void **state)
{
  struct shipped *s = *state;
  st_scope_free(s->scope);
  st_rules_free(s->secret);
  st_rules_free(s->identity);
  st_conf_free(s->conf);
  free(s);
  return 0;
}

static void assert_tracked(const struct shipped *s, unsigned plugins, const char *const *paths)
{
  for (; *paths; paths++) {
    struct st_scope_verdict v = st_scope_match(s->scope, *paths, false);
    if (v.plugins != plugins)
      fail_msg("%s is tracked by %x, not %x", *paths, v.plugins, plugins);
  }
}
#define PATHS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_tracked(void **state)
{
  const struct shipped *s = *state;
  assert_tracked(s, s->standard | s->config,
                 PATHS("/etc/passwd", "/etc/shadow", "/etc/shadow-", "/etc/ssl/certs/a.pem",
                       "/usr/local/bin/x", "/opt/app/conf", "/root/.bashrc", "/srv/www/index.html",
                       "/var/spool/cron/crontabs/root", "/etc/mtab", "/etc/alternatives/vi"));
  assert_tracked(s, s->standard,
                 PATHS("/usr/bin/ls", "/bin", "/lib64", "/boot/vmlinuz-6.1.0",
                       "/usr/share/info/a.gz", "/usr/lib/modules/6.1.0/modules.order",
                       "/usr/share/mime/packages/a.xml"));
}

static void test_left_alone(void **state)
{
  const struct shipped *s = *state;
  assert_tracked(s, 0,
                 PATHS("/proc/1/stat", "/sys/kernel", "/dev/null", "/run/lock", "/tmp/x", "/home/a",
                       "/var/lib/dpkg/status", "/var/cache/apt/a", "/root/.cache/x",
                       "/root/.bash_history", "/srv/lost+found/#1", "/boot/grub/grubenv"));
}

static void test_generated(void **state)
{
  const struct shipped *s = *state;
  const char *const *paths = PATHS(
      "/etc/ld.so.cache", "/usr/lib/python3/dist-packages/__pycache__/a.cpython-311.pyc",
      "/usr/local/lib/__pycache__/x", "/opt/a/__pycache__/x", "/boot/initrd.img-6.1.0-9-amd64",
      "/usr/share/mime/mime.cache", "/usr/share/mime/text/plain.xml", "/usr/share/info/dir",
      "/usr/lib/modules/6.1.0/modules.dep.bin", "/usr/lib/modules/6.1.0/modules.builtin.bin",
      "/usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0/2.10.0/loaders.cache",
      "/usr/share/icons/hicolor/icon-theme.cache", "/usr/lib/locale/locale-archive",
      "/usr/lib/x86_64-linux-gnu/gio/modules/giomodule.cache", "/boot/grub/grub.cfg");
  assert_tracked(s, 0, paths);
  for (; *paths; paths++) {
    if (!st_scope_match(s->scope, *paths, false).generated)
      fail_msg("%s does not count as generated", *paths);
  }
}

static void assert_listed(const struct st_rules *rules, bool listed, const char *const *paths)
{
  for (; *paths; paths++) {
    if ((st_rules_match(rules, *paths, false) != NULL) != listed)
      fail_msg("%s is %slisted", *paths, listed ? "not " : "");
  }
}

static void test_secret(void **state)
{
  const struct shipped *s = *state;
  assert_listed(s->secret, true,
                PATHS("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/ssh/ssh_host_rsa_key",
                      "/etc/ssl/private/a.pem", "/etc/nginx/tls/site.key", "/etc/krb5.keytab",
                      "/root/.ssh/id_ed25519", "/srv/app/.env", "/root/.pgpass", "/root/.netrc",
                      "/etc/ppp/chap-secrets", "/etc/wireguard/wg0.conf", "/etc/mysql/debian.cnf",
                      "/etc/NetworkManager/system-connections/home.nmconnection",
                      "/etc/letsencrypt/archive/a.example/privkey1.pem"));
  assert_listed(s->secret, false,
                PATHS("/etc/passwd", "/etc/ssh/sshd_config", "/etc/ssh/ssh_host_rsa_key.pub",
                      "/etc/sudoers", "/root/.ssh/authorized_keys", "/etc/ssl/certs/a.pem",
                      "/etc/apt/sources.list", "/etc/machine-id"));
}

static void test_identity(void **state)
{
  const struct shipped *s = *state;
  assert_listed(s->identity, true,
                PATHS("/etc/machine-id", "/etc/hostname", "/etc/ssh/ssh_host_rsa_key", "/etc/fstab",
                      "/etc/network/interfaces.d/eth0", "/etc/resolv.conf",
                      "/etc/udev/rules.d/70-persistent-net.rules", "/etc/lvm/backup/vg0"));
  assert_listed(s->identity, false,
                PATHS("/etc/passwd", "/etc/nsswitch.conf", "/etc/ssh/sshd_config"));
}

/* Whoever reads a list wants to know why. */
static void test_reasons(void **state)
{
  const struct shipped *s = *state;
  for (int list = 0; list < ST_CONF_NLISTS; list++) {
    assert_true(s->conf->nlists[list] > 10);
    for (size_t i = 0; i < s->conf->nlists[list]; i++)
      assert_true(strlen(s->conf->lists[list][i].reason) > 8);
  }
}

int main(void)
{
  st_digest_init();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tracked),   cmocka_unit_test(test_left_alone),
      cmocka_unit_test(test_generated), cmocka_unit_test(test_secret),
      cmocka_unit_test(test_identity),  cmocka_unit_test(test_reasons),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
