/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rpm_track - the packages that rpm knows, what they expect, and what deviates from them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/deviations.h"
#include "plugins/rpm_track/database.h"
#include "plugins/rpm_track/packages.h"
#include "plugins/rpm_track/tables.h"
#include "plugins/rpm_track/words.h"

#define PROGRAM "systracker-rpm"
#define MOST_OUTPUT ((size_t)1 << 30) /* bytes; a hundred for a file, and Fedora whole has less */
#define MOST_SECONDS 600
#define MOST_TEXT 1024

/* What systracker-rpm ends with (rpm/verbs.h). */
enum { EXIT_DONE = 0, EXIT_NONE = 3 };

struct rpm_track {
  const struct st_context *ctx;
  const char *folder; /* where the database is, by the option; NULL: it is looked for */
  uint64_t max_size;  /* bytes, of a deviating file */
  bool any;           /* there are packages: what is no package's deviates */
  bool listed;        /* `packages` was read */
  struct packages packages;
};

static const struct st_column package_columns[PACKAGE_COLUMNS] = {
    [PACKAGE_NAME] = {"name", ST_TEXT, ST_KEY},
    [PACKAGE_ARCHITECTURE] = {"architecture", ST_TEXT, ST_KEY},
    [PACKAGE_INSTANCE] = {"instance", ST_TEXT, ST_KEY},
    [PACKAGE_VERSION] = {"version", ST_TEXT, 0},
    [PACKAGE_STATE] = {"state", ST_TEXT, ST_DERIVED},
    [PACKAGE_VENDOR] = {"vendor", ST_TEXT, 0},
    [PACKAGE_INSTALLED] = {"installed", ST_INTEGER, ST_AS_TIME | ST_QUIET},
    [PACKAGE_TRANSACTION] = {"transaction", ST_INTEGER, ST_AS_TIME | ST_QUIET},
    [PACKAGE_DIGEST] = {"digest", ST_TEXT, 0},
    [PACKAGE_MANIFEST] = {"manifest", ST_ID, ST_MANIFEST},
    [PACKAGE_KEY] = {"key", ST_ID, ST_OBJECT},
    [PACKAGE_FLAGS] = {"flags", ST_BYTES, ST_DERIVED}, /* they change with the version */
};

static const struct st_table tables[] = {
    {PACKAGE, ST_TABLE_PACKAGES, PACKAGE_COLUMNS, package_columns},
    {DEVIATION, ST_TABLE_ENTRY, DEVIATION_COLUMNS, deviation_columns},
    {0},
};

static const struct st_option options[] = {
    {"dbpath", ST_OPT_STRING, NULL,
     "rpm's database folder, within the root, where it is elsewhere"},
    {"max_size", ST_OPT_SIZE, "64M", "of larger files that deviate the content is not kept"},
    {0}};

/* ---- The program that reads the database ------------------------------------------------------
 */

/* Its last words are on its standard output, with a newline. */
static int say_why(char *output, size_t length, struct st_error *err)
{
  size_t n = strcspn(output, "\n");
  output[n < length ? n : length] = 0;
  return st_fail(err, 0, "%s", *output ? output : PROGRAM " ended without a word");
}

/* `*ret` is malloc'ed.  1: there is no database (any more). */
static int run_rpm(const struct rpm_track *d, const char *verb, const char *folder, char **ret,
                   size_t *length, struct st_error *err)
{
  char *const argv[] = {PROGRAM, (char *)verb, (char *)folder, NULL};
  int status = st_run_own(d->ctx, argv, MOST_OUTPUT, MOST_SECONDS, ret, length, err);
  if (status < 0 || status == EXIT_DONE)
    return status;
  int r = status == EXIT_NONE ? 1 : say_why(*ret, *length, err);
  free(*ret);
  return r;
}

static void forget(struct rpm_track *d)
{
  packages_free(&d->packages);
  d->listed = false;
}

/* 1: there is no database. */
static int list(struct rpm_track *d, const char *folder, struct st_error *err)
{
  char *text;
  size_t length;
  forget(d);
  int r = run_rpm(d, "list", folder, &text, &length, err);
  if (r == 0)
    r = packages_parse(&d->packages, text, length, err);
  d->listed = r == 0;
  return r;
}

/* ---- Facts --------------------------------------------------------------------------------- */

static struct st_value text_or_none(const char *field)
{
  return *field ? st_text_value(field) : st_null();
}

static struct st_value time_of(const char *field)
{
  long long n = strtoll(field, NULL, 10);
  return n > 0 ? st_integer(n) : st_null();
}

/* A vendor's name can be in any old encoding. */
static bool is_ascii(const char *s)
{
  while (*s && !(*s & 0x80))
    s++;
  return *s == 0;
}

static int put_package(const struct package *p, struct st_facts *out, struct st_error *err)
{
  const char *const *f = p->field;
  struct st_value row[PACKAGE_COLUMNS] = {
      [PACKAGE_NAME] = st_text_value(f[FIELD_NAME]),
      [PACKAGE_ARCHITECTURE] = st_text_value(f[FIELD_ARCHITECTURE]),
      [PACKAGE_INSTANCE] = st_text_value(p->instance),
      [PACKAGE_VERSION] = st_text_value(f[FIELD_VERSION]),
      [PACKAGE_STATE] = st_text_value("installed"),
      [PACKAGE_VENDOR] = is_ascii(f[FIELD_VENDOR]) ? text_or_none(f[FIELD_VENDOR]) : st_null(),
      [PACKAGE_INSTALLED] = time_of(f[FIELD_INSTALLED]),
      [PACKAGE_TRANSACTION] = time_of(f[FIELD_TRANSACTION]),
      [PACKAGE_DIGEST] = text_or_none(f[FIELD_DIGEST]),
      [PACKAGE_MANIFEST] = st_null(), /* SysTracker asks for it */
      [PACKAGE_KEY] = st_null(),
      [PACKAGE_FLAGS] = st_string_value(ST_BYTES, f[FIELD_FLAGS]),
  };
  struct st_id id;
  size_t length = strlen(f[FIELD_KEY]);
  if (length > 0 &&
      st_keep(out, PACKAGE, "key", row, PACKAGE_COLUMNS, f[FIELD_KEY], length, &id, err) < 0)
    return -1;
  if (length > 0)
    row[PACKAGE_KEY] = st_id_value(&id);
  return st_fact(out, PACKAGE, row, PACKAGE_COLUMNS, err);
}

/* By what stat says without a process; else by rpm's own cookie, which every transaction changes.
 * Where there was no package, neither was remembered. */
static bool is_unchanged(const struct rpm_track *d, const struct database *db)
{
  char *cookie;
  size_t length;
  if (db->settled && st_unchanged(d->ctx, db->identity, strlen(db->identity)))
    return true;
  if (run_rpm(d, "cookie", db->folder, &cookie, &length, NULL) != 0)
    return false;
  bool same = length > 1 && st_unchanged(d->ctx, cookie, length);
  free(cookie);
  return same;
}

/* What was said last is what counts the next time. */
static void remember(const struct rpm_track *d, const struct database *db)
{
  static const char none[] = "no packages";
  const char *cookie = d->packages.cookie;
  if (d->packages.count == 0)
    st_unchanged(d->ctx, none, sizeof(none));
  else if (db->settled)
    st_unchanged(d->ctx, db->identity, strlen(db->identity));
  else if (*cookie)
    st_unchanged(d->ctx, cookie, strlen(cookie) + 1);
}

static int collect(void *self, struct st_facts *out, struct st_error *err)
{
  struct rpm_track *d = self;
  struct database db;
  forget(d);
  d->any = false;
  int r = database_look(d->ctx, d->folder, &db, err);
  if (r != 0)
    return r < 0 ? r : 0;
  if (is_unchanged(d, &db)) {
    d->any = true;
    return ST_UNCHANGED;
  }
  r = list(d, db.folder, err);
  for (size_t i = 0; i < d->packages.count && r == 0; i++)
    r = put_package(&d->packages.items[i], out, err);
  if (r != 0)
    return r < 0 ? r : 0;
  d->any = d->packages.count > 0;
  remember(d, &db);
  return 0;
}

/* ---- What packages expect -----------------------------------------------------------------------
 */

/* A text of the row, terminated.  False: it has none, or one that cannot be. */
static bool take_text(const struct st_value *row, enum package_column column, char ret[MOST_TEXT])
{
  const struct st_value *v = &row[column];
  if (v->type != ST_TEXT || v->u.bytes.length >= MOST_TEXT)
    return false;
  memcpy(ret, v->u.bytes.data, v->u.bytes.length);
  ret[v->u.bytes.length] = 0;
  return true;
}

/* The header says all, so it is never `observed`. */
static int expected(void *self, const char *table, const struct st_value *row,
                    struct st_manifest *out, struct st_error *err)
{
  struct rpm_track *d = self;
  char name[MOST_TEXT], architecture[MOST_TEXT], instance[MOST_TEXT], version[MOST_TEXT];
  struct database db;
  if (strcmp(table, PACKAGE) != 0 || !take_text(row, PACKAGE_NAME, name) ||
      !take_text(row, PACKAGE_ARCHITECTURE, architecture) ||
      !take_text(row, PACKAGE_INSTANCE, instance) || !take_text(row, PACKAGE_VERSION, version))
    return 1;
  int r = d->listed ? 0 : database_look(d->ctx, d->folder, &db, err);
  if (r == 0 && !d->listed)
    r = list(d, db.folder, err);
  if (r != 0)
    return r;
  const struct package *p = packages_find(&d->packages, name, architecture, instance);
  if (!p || strcmp(p->field[FIELD_VERSION], version) != 0)
    return 1; /* it went meanwhile */
  return packages_expect(p, d->ctx, out, err);
}

/* ---- What deviates ------------------------------------------------------------------------------
 */

static unsigned want(void *self, const struct st_entry *e)
{
  const struct rpm_track *d = self;
  return d->any ? deviation_want(e, d->max_size) : ST_WANT_ENTRY;
}

static int entry(void *self, const struct st_entry *e, struct st_facts *out, struct st_error *err)
{
  struct rpm_track *d = self;
  forget(d); /* manifests are made before the walk */
  return d->any ? deviation_put(e, d->max_size, out, err) : 0;
}

/* ---- The plug-in --------------------------------------------------------------------------- */

static void close_plugin(void *self)
{
  struct rpm_track *d = self;
  forget(d);
  free(d);
}

static int open_plugin(const struct st_context *ctx, void **self, struct st_error *err)
{
  const char *folder = st_option_string(ctx, "dbpath");
  int64_t max_size = st_option_number(ctx, "max_size");
  if (folder && *folder != '/')
    return st_fail(err, 0, "dbpath: is not an absolute path");
  if (max_size <= 0)
    return st_fail(err, 0, "max_size: is not a size above 0");
  struct rpm_track *d = calloc(1, sizeof(*d));
  if (!d)
    return st_fail(err, 0, "out of memory");
  d->ctx = ctx;
  d->folder = folder;
  d->max_size = (uint64_t)max_size;
  *self = d;
  return 0;
}

static struct st_plugin plugin = {
    .name = "rpm_track",
    .version = "1",
    .description = "packages of rpm, what they expect, and files that deviate from them",
    .options = options,
    .tables = tables,
    .open = open_plugin,
    .close = close_plugin,
    .want = want,
    .entry = entry,
    .collect = collect,
    .expected = expected,
    .explain = rpm_explain,
    .flags = ST_PLUGIN_TIMELESS,
};

ST_REGISTER_PLUGIN(plugin)
