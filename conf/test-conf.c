/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>

#include "conf/conf.h"

static const struct st_option config_options[] = {
    {"max_size", ST_OPT_SIZE, "64M", "larger files are not kept"},
    {"depth", ST_OPT_NUMBER, NULL, "a number"},
    {"follow", ST_OPT_BOOL, NULL, "yes or no"},
    {"label", ST_OPT_STRING, NULL, "words"},
    {"command", ST_OPT_LIST, NULL, "commands"},
    {.name = NULL},
};
static const struct st_option no_options[] = {{.name = NULL}};

static const struct st_option *schema(void *arg, const char *plugin)
{
  (void)arg;
  if (strcmp(plugin, "config_track") == 0)
    return config_options;
  return strcmp(plugin, "dpkg_track") == 0 ? no_options : NULL;
}

struct scratch {
  char folder[64], file[96];
};

static int setup(void **state)
{
  struct scratch *s = st_calloc(1, sizeof(*s));
  snprintf(s->folder, sizeof(s->folder), "/tmp/test-conf.XXXXXX");
  if (!mkdtemp(s->folder))
    return -1;
  ST_AUTO_FREE char *d = st_format("%s/conf.d", s->folder);
  snprintf(s->file, sizeof(s->file), "%s/main.conf", s->folder);
  *state = s;
  return mkdir(d, 0700);
}

static int teardown(void **state)
{
  struct scratch *s = *state;
  const char *const names[] = {"main.conf",          "conf.d/10-a.conf", "conf.d/9-b.conf",
                               "conf.d/ignored.txt", "conf.d/.x.conf",   "conf.d"};
  for (size_t i = 0; i < ST_COUNT(names); i++) {
    ST_AUTO_FREE char *path = st_format("%s/%s", s->folder, names[i]);
    remove(path);
  }
  int r = rmdir(s->folder);
  free(s);
  return r;
}

static void put_bytes(const struct scratch *s, const char *name, const char *text, size_t n)
{
  ST_AUTO_FREE char *path = st_format("%s/%s", s->folder, name);
  ST_AUTO_FCLOSE FILE *f = fopen(path, "w");
  assert_non_null(f);
  assert_int_equal(fwrite(text, 1, n, f), n);
}

static void put(const struct scratch *s, const char *name, const char *text)
{
  put_bytes(s, name, text, strlen(text));
}

static struct st_conf *read_conf(const struct scratch *s)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_conf *conf = NULL;
  if (st_conf_read(&conf, s->file, schema, NULL, &err) < 0)
    fail_msg("%s", st_error_text(&err));
  return conf;
}

static void assert_option(const struct st_conf *conf, const char *plugin, const char *name,
                          size_t n, const char *first)
{
  const struct st_conf_plugin *p = st_conf_plugin(conf, plugin);
  assert_non_null(p);
  const struct st_conf_option *o = st_conf_option(p, name);
  assert_non_null(o);
  assert_int_equal(o->values.count, n);
  if (n > 0)
    assert_string_equal(o->values.items[0], first);
}

static void test_all(void **state)
{
  const struct scratch *s = *state;
  put(s, "main.conf",
      "# a comment with ${HOME}, a \" and a {\n"
      "store = \"/srv/tracker\" // another\n"
      "log = none\nmin_free = 1G\nmax_night = \"10M\"\n"
      "package_caches = { /srv/cache } checkpoint_after_transaction = yes\n"
      "/* of\n several lines ' */\n"
      "plugin config_track {\n"
      "  track = { \"/etc\",\n   '/usr/local' }\n"
      "  exclude = /etc/cache\n"
      "  max_size = 64M depth = 3 follow = yes label = 'a ${b} \\ c'\n"
      "  command = \"ip -j addr\"\n"
      "}\n"
      "plugin dpkg_track {}\n"
      "archive { url = \"https://a.example:7440\" }\n"
      "archive { url = https://b.example }\n"
      "secret \"/etc/shadow*\" { reason = \"passwords\" }\n"
      "prune { keep_daily = 14 keep_yearly = \"3\" keep_tag = { good, 'best' }"
      " keep_packages = all }\n"
      "excluded \"/tmp\" { reason = \"temporary\" }\n"
      "generated '*.py\\[co]' { reason = 'made by python' }\n"
      "identity \"/etc/hostname\" { reason = \"its name\" }\n");
  ST_CLEANUP(st_conf_freep) struct st_conf *conf = read_conf(s);
  assert_string_equal(conf->store, "/srv/tracker");
  assert_string_equal(conf->log, "none");
  assert_int_equal(conf->min_free, 1 << 30);
  assert_int_equal(conf->max_night, 10 << 20);
  assert_int_equal(conf->caches.count, 1);
  assert_string_equal(conf->caches.items[0], "/srv/cache");
  assert_true(conf->after_transaction);
  assert_int_equal(conf->nplugins, 2);
  assert_option(conf, "config_track", "track", 2, "/etc");
  assert_option(conf, "config_track", "exclude", 1, "/etc/cache");
  assert_option(conf, "config_track", "max_size", 1, "64M");
  assert_option(conf, "config_track", "label", 1, "a ${b} \\ c");
  assert_int_equal(conf->plugins[0].place.line, 9);
  assert_int_equal(st_conf_option(&conf->plugins[0], "max_size")->place.line, 13);
  assert_string_equal(st_conf_option(&conf->plugins[0], "max_size")->place.file, s->file);
  assert_int_equal(conf->archives.count, 2);
  assert_string_equal(conf->archives.items[1], "https://b.example");
  assert_int_equal(conf->prune.daily, 14);
  assert_int_equal(conf->prune.yearly, 3);
  assert_int_equal(conf->prune.weekly, 0);
  assert_true(conf->prune.all_packages);
  assert_int_equal(conf->prune.tags.count, 2);
  assert_string_equal(conf->prune.tags.items[1], "best");
  for (int list = 0; list < ST_CONF_NLISTS; list++)
    assert_int_equal(conf->nlists[list], 1);
  assert_string_equal(conf->lists[ST_CONF_GENERATED][0].pattern, "*.py\\[co]");
  assert_string_equal(conf->lists[ST_CONF_SECRET][0].reason, "passwords");
  assert_int_equal(conf->lists[ST_CONF_SECRET][0].place.line, 19);
}

static void test_defaults(void **state)
{
  put(*state, "main.conf", "");
  ST_CLEANUP(st_conf_freep) struct st_conf *conf = read_conf(*state);
  assert_string_equal(conf->store, "/var/lib/systracker");
  assert_string_equal(conf->log, "syslog");
  assert_int_equal(conf->min_free, 256 << 20);
  assert_int_equal(conf->nplugins, 0);
}

static void test_merge(void **state)
{
  const struct scratch *s = *state;
  put(s, "main.conf",
      "plugin config_track { track = /etc max_size = 1M }\n"
      "plugin absent { anything = { 1, 2 } }\n"
      "excluded \"/tmp\" { reason = \"a\" }\nstore = /one\n");
  put(s, "conf.d/10-a.conf",
      "plugin config_track { track += { /opt } max_size = 2M }\nstore = /two\n"
      "excluded \"/tmp\" { reason = \"b\" }\nexcluded \"/run\" { reason = \"c\" }\n");
  put(s, "conf.d/9-b.conf",
      "plugin config_track { track = /srv reset = true }\n"
      "plugin dpkg_track { track = /var/lib/dpkg }\n");
  put(s, "conf.d/ignored.txt", "nonsense");
  put(s, "conf.d/.x.conf", "nonsense");
  ST_CLEANUP(st_conf_freep) struct st_conf *conf = read_conf(s);
  assert_int_equal(conf->files.count, 3);
  assert_non_null(strstr(conf->files.items[1], "/conf.d/10-a.conf"));
  assert_string_equal(conf->store, "/two");
  assert_option(conf, "config_track", "track", 1, "/srv");
  assert_null(st_conf_option(&conf->plugins[0], "max_size"));
  assert_null(st_conf_option(&conf->plugins[0], "reset"));
  assert_option(conf, "dpkg_track", "track", 1, "/var/lib/dpkg");
  assert_option(conf, "absent", "anything", 2, "1");
  assert_int_equal(conf->nlists[ST_CONF_EXCLUDED], 2);
  assert_string_equal(conf->lists[ST_CONF_EXCLUDED][0].reason, "b");
}

static void test_append(void **state)
{
  put(*state, "main.conf", "plugin config_track { track = /etc depth = 1 }\n");
  put(*state, "conf.d/10-a.conf", "plugin config_track { track = { /opt, /srv } depth = 2 }\n");
  ST_CLEANUP(st_conf_freep) struct st_conf *conf = read_conf(*state);
  assert_option(conf, "config_track", "track", 3, "/etc");
  assert_option(conf, "config_track", "depth", 1, "2");
}

/* Each is refused, names file and line, and says this. */
static const struct {
  const char *text;
  int line;
  const char *says;
} wrong[] = {
    {"\nplugin config_track {\n trak = \"/etc\" }", 3, "unknown option 'trak', perhaps 'track'"},
    {"plugin config_track { trak = {} }", 1, "unknown option 'trak'"},
    {"plugin dpkg_track { max_size = 1M }", 1, "unknown option 'max_size'"},
    {"plugin config_track { max_sise = 1M }", 1, "perhaps 'max_size'"},
    {"stor = /x", 1, "perhaps 'store'"},
    {"colour = blue", 1, "unknown option 'colour' ("},
    {"plugins x { }", 1, "unknown block 'plugins', perhaps 'plugin'"},
    {"plugin \"../x\" { }", 1, "not a plug-in's name"},
    {"plugin X { }", 1, "not a plug-in's name"},
    {"plugin absent { \"a|b\" = 1 }", 1, "unknown option"},
    {"\nstore = \"/x${HOME}\"", 2, "${"},
    {"store = ${HOME}", 1, "${"},
    {"store = relative", 1, "absolute"},
    {"log = loud", 1, "absolute"},
    {"min_free = lots", 1, "option 'min_free'"},
    {"package_caches = var/cache", 1, "not an absolute path"},
    {"checkpoint_after_transaction = often", 1, "option 'checkpoint_after_transaction'"},
    {"plugin config_track { max_size = lots }", 1, "option 'max_size'"},
    {"plugin config_track { depth = 3x }", 1, "option 'depth'"},
    {"plugin config_track { follow = maybe }", 1, "option 'follow'"},
    {"plugin config_track { max_size = { 1M, 2M } }", 1, "one value"},
    {"plugin config_track { max_size = { } }", 1, "one value"},
    {"plugin config_track { reset = perhaps }", 1, "option 'reset'"},
    {"plugin config_track {\n track = a\n track = b }", 3, "set twice"},
    {"store = /a\nplugin x {}\nstore = /b", 3, "set twice"},
    {"plugin x {}\nplugin x {}", 2, "duplicate"},
    {"excluded \"/tmp\" { }", 1, "needs a reason"},
    {"\nexcluded \"/tmp\" { reason = \" \" }", 2, "needs a reason"},
    {"excluded { reason = x }", 1, ""},
    {"excluded \"\" { reason = x }", 1, "needs a pattern"},
    {"archive { }", 1, "url"},
    {"prune { keep_daily = many }", 1, "option 'keep_daily'"},
    {"prune { keep_packages = some }", 1, "option 'keep_packages'"},
    {"prune {\n keep_daly = 3 }", 2, "'keep_daily'"},
    {"store = \"/never ends\n\n", 1, "string that does not end"},
    {"store = '/never ends", 1, "string that does not end"},
    {"/* never ends", 1, "comment that does not end"},
    {"plugin x {\n", 2, "ends too early"},
    {"store =", 1, "ends too early"},
    {"plugin x { track = {\n", 2, "ends too early"},
    {"}", 1, "unexpected '}'"},
    {"store \"/x\"\nlog = none", 1, ""},
    {"plugin x { track = /etc/*.conf }", 1, "unexpected character '*'"},
    {"include(\"x\")", 1, "unexpected character '('"},
    {"store = \"/a\\0b\"", 1, "bad escape"},
    {"store = \"/a\\x00b\"", 1, "NUL"},
    {"store = \"/a\\777\"", 1, "bad escape"},
    {"store = \"/a\\9\"", 1, "bad escape"},
    {"plugin x { y { } }", 1, "unexpected '{'"},
    {"= /x", 1, "unexpected '='"},
    {"store = { /x }", 1, ""},
    {"\x01", 1, "unexpected character '\\x01'"},
};

static void test_wrong(void **state)
{
  const struct scratch *s = *state;
  for (size_t i = 0; i < ST_COUNT(wrong); i++) {
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    ST_CLEANUP(st_conf_freep) struct st_conf *conf = NULL;
    ST_AUTO_FREE char *place = st_format("(%s:%d)", s->file, wrong[i].line);
    put(s, "main.conf", wrong[i].text);
    if (st_conf_read(&conf, s->file, schema, NULL, &err) == 0)
      fail_msg("taken: %s", wrong[i].text);
    if (!strstr(st_error_text(&err), wrong[i].says) || !strstr(st_error_text(&err), place))
      fail_msg("of %s it says: %s", wrong[i].text, st_error_text(&err));
    /* What was refused leaves no trace in the parser. */
    put(s, "main.conf", "store = \"/x\"");
    ST_CLEANUP(st_conf_freep) struct st_conf *next = read_conf(s);
    assert_string_equal(next->store, "/x");
  }
}

static void assert_refused(const struct scratch *s, const char *says)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_conf *conf = NULL;
  assert_int_equal(st_conf_read(&conf, s->file, schema, NULL, &err), -1);
  if (!strstr(st_error_text(&err), says) || !strstr(st_error_text(&err), s->file))
    fail_msg("it says: %s", st_error_text(&err));
}

static void test_files(void **state)
{
  const struct scratch *s = *state;
  assert_refused(s, "No such file");
  assert_int_equal(mkdir(s->file, 0700), 0);
  assert_refused(s, "no regular file");
  assert_int_equal(rmdir(s->file), 0);
  assert_int_equal(mkfifo(s->file, 0600), 0);
  assert_refused(s, "no regular file");
  assert_int_equal(unlink(s->file), 0);
  put_bytes(s, "main.conf", "store = /x\n\0", 12);
  assert_refused(s, "NUL");
  ST_AUTO_FREE char *large = st_malloc((1 << 20) + 1);
  memset(large, '\n', (1 << 20) + 1);
  put_bytes(s, "main.conf", large, (1 << 20) + 1);
  assert_refused(s, "");
}

static void test_escapes(void **state)
{
  put(*state, "main.conf",
      "excluded \"/a\\x62\\143\\\"\\\\ \\${x}\" { reason = \"with\n two lines\" }\r\n"
      "excluded '/\xff' { reason = x }\n");
  ST_CLEANUP(st_conf_freep) struct st_conf *conf = read_conf(*state);
  assert_string_equal(conf->lists[ST_CONF_EXCLUDED][0].pattern, "/abc\"\\ ${x}");
  assert_string_equal(conf->lists[ST_CONF_EXCLUDED][1].pattern, "/\xff");
  assert_int_equal(conf->lists[ST_CONF_EXCLUDED][1].place.line, 3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(test_all),   TEST(test_defaults), TEST(test_merge),   TEST(test_append),
      TEST(test_wrong), TEST(test_files),    TEST(test_escapes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
