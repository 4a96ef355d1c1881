/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dpkg_track - the packages that dpkg knows, and what belongs to them without being a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/deviations.h"
#include "plugins/dpkg_track/action.h"
#include "plugins/dpkg_track/database.h"
#include "plugins/dpkg_track/diverted.h"
#include "plugins/dpkg_track/expected.h"
#include "plugins/dpkg_track/fingerprint.h"
#include "plugins/dpkg_track/lots.h"
#include "plugins/dpkg_track/plan.h"
#include "plugins/dpkg_track/tables.h"
#include "plugins/dpkg_track/unpacked.h"
#include "plugins/dpkg_track/words.h"

static const struct st_column package_columns[PACKAGE_COLUMNS] = {
    [PACKAGE_NAME] = {"name", ST_TEXT, ST_KEY},
    [PACKAGE_ARCHITECTURE] = {"architecture", ST_TEXT, ST_KEY},
    [PACKAGE_VERSION] = {"version", ST_TEXT, 0},
    [PACKAGE_STATE] = {"state", ST_TEXT, 0},
    [PACKAGE_CHANGED] = {"changed", ST_INTEGER, ST_AS_TIME | ST_QUIET},
    [PACKAGE_MANIFEST] = {"manifest", ST_ID, ST_MANIFEST},
    [PACKAGE_AUTO] = {"auto", ST_INTEGER, 0},
    [PACKAGE_DIVERTED] = {"diverted", ST_BYTES, ST_DERIVED | ST_QUIET},
};

static const struct st_column choice_columns[CHOICE_COLUMNS] = {
    [CHOICE_NAME] = {"name", ST_TEXT, ST_KEY},       [CHOICE_PATH] = {"path", ST_BYTES, ST_KEY},
    [CHOICE_PRIORITY] = {"priority", ST_INTEGER, 0}, [CHOICE_LINK] = {"link", ST_BYTES, 0},
    [CHOICE_SLAVES] = {"slaves", ST_BYTES, 0},
};

static const struct st_column alternative_columns[ALTERNATIVE_COLUMNS] = {
    [ALTERNATIVE_NAME] = {"name", ST_TEXT, ST_KEY},
    [ALTERNATIVE_LINK] = {"link", ST_BYTES, 0},
    [ALTERNATIVE_MODE] = {"mode", ST_TEXT, 0},
    [ALTERNATIVE_VALUE] = {"value", ST_BYTES, 0},
};

static const struct st_column diversion_columns[DIVERSION_COLUMNS] = {
    [DIVERSION_PATH] = {"path", ST_BYTES, ST_KEY},
    [DIVERSION_TO] = {"to", ST_BYTES, 0},
    [DIVERSION_PACKAGE] = {"package", ST_TEXT, 0},
};

static const struct st_column statoverride_columns[STATOVERRIDE_COLUMNS] = {
    [STATOVERRIDE_PATH] = {"path", ST_BYTES, ST_KEY},
    [STATOVERRIDE_OWNER] = {"owner", ST_TEXT, 0},
    [STATOVERRIDE_GROUP] = {"group", ST_TEXT, 0},
    [STATOVERRIDE_MODE] = {"mode", ST_INTEGER, ST_AS_MODE},
};

static const struct st_table tables[] = {
    {PACKAGE, ST_TABLE_PACKAGES, PACKAGE_COLUMNS, package_columns},
    {CHOICE, 0, CHOICE_COLUMNS, choice_columns},
    {ALTERNATIVE, 0, ALTERNATIVE_COLUMNS, alternative_columns},
    {DIVERSION, 0, DIVERSION_COLUMNS, diversion_columns},
    {STATOVERRIDE, 0, STATOVERRIDE_COLUMNS, statoverride_columns},
    {DEVIATION, ST_TABLE_ENTRY, DEVIATION_COLUMNS, deviation_columns},
    {0},
};

static const struct st_option options[] = {
    {"admindir", ST_OPT_STRING, "/var/lib/dpkg", "dpkg's own folder, within the root"},
    {"max_size", ST_OPT_SIZE, "64M", "of larger files that deviate the content is not kept"},
    {0}};

/* ---- Facts ------------------------------------------------------------------------------ */

/* When the package's files last changed: the time of its list, which dpkg writes then.  Its name
 * has the architecture where several may be installed beside each other. */
static struct st_value changed(int info, const struct package *p)
{
  char plain[NAME_MAX + 1], full[NAME_MAX + 1];
  struct stat st;
  if (info < 0 || snprintf(plain, NAME_MAX, "%s.list", p->name) >= NAME_MAX ||
      snprintf(full, NAME_MAX, "%s:%s.list", p->name, p->architecture) >= NAME_MAX)
    return st_null();
  const char *first = p->coinstallable ? full : plain, *then = p->coinstallable ? plain : full;
  if (fstatat(info, first, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
      fstatat(info, then, &st, AT_SYMLINK_NOFOLLOW) == 0)
    return st_integer(st.st_mtim.tv_sec);
  return st_null();
}

static int put_package(int info, const struct package *p, const char *diverted,
                       struct st_facts *out, struct st_error *err)
{
  const struct st_value row[PACKAGE_COLUMNS] = {
      [PACKAGE_NAME] = st_text_value(p->name),
      [PACKAGE_ARCHITECTURE] = st_text_value(p->architecture),
      [PACKAGE_VERSION] = st_text_value(p->version),
      [PACKAGE_STATE] = st_text_value(p->state),
      [PACKAGE_CHANGED] = changed(info, p),
      [PACKAGE_MANIFEST] = st_null(), /* SysTracker asks `expected` where it has to */
      [PACKAGE_AUTO] = st_integer(p->automatic),
      [PACKAGE_DIVERTED] = st_string_value(ST_BYTES, diverted),
  };
  return st_fact(out, PACKAGE, row, PACKAGE_COLUMNS, err);
}

static int put_each(const struct database *db, const struct diverted *diverted, int info,
                    struct st_facts *out, struct st_error *err)
{
  int r = 0;
  for (size_t i = 0; i < db->packages.count && r >= 0; i++) {
    const struct package *p = &db->packages.items[i];
    char *paths = NULL;
    if (!p->installed)
      continue;
    r = diverted_paths(diverted, info, p, &paths, err);
    if (r >= 0)
      r = put_package(info, p, paths, out, err);
    free(paths);
  }
  return r;
}

static int put_packages(struct dpkg_track *d, const struct database *db, struct st_facts *out,
                        struct st_error *err)
{
  struct diverted diverted = {.text = NULL};
  int info = st_open_in_root(d->ctx, d->info, err);
  if (info < 0 && info != -ENOENT)
    return info;
  int r = read_diversions(d, &diverted.diversions, &diverted.text, err);
  for (size_t i = 0; i < diverted.diversions.count; i++)
    diverted.of_length[strlen(diverted.diversions.items[i].path)] = true; /* a line at most */
  if (r >= 0)
    r = put_each(db, &diverted, info, out, err);
  free(diverted.diversions.items);
  free(diverted.text);
  if (info >= 0)
    close(info);
  return r;
}

/* Without a status file there are no packages; that yesterday's are gone at once is SysTracker's to
 * judge (ST_TABLE_PACKAGES). */
static int collect_packages(struct dpkg_track *d, struct st_facts *out, struct st_error *err)
{
  int r = database_read(d, &d->database, err);
  d->read = true;
  if (r >= 0)
    r = put_packages(d, &d->database, out, err);
  return r == -ENOENT ? 0 : r;
}

/* What was read of the root stands for one scan. */
static void forget(struct dpkg_track *d)
{
  readahead_free(d->ahead);
  lots_free(d->lots);
  maker_close(&d->maker);
  database_free(&d->database);
  d->ahead = NULL;
  d->lots = NULL;
  d->asked = d->looked = d->begun = d->in_a_row = 0;
  d->read = d->any = false;
}

struct collecting {
  struct dpkg_track *d;
  struct st_facts *out;
};

static int put_alternative(const struct collecting *c, const char *name,
                           const struct alternative *a, struct st_error *err)
{
  char value[PATH_MAX];
  if (read_value(c->d, name, value, err) < 0)
    return -1;
  const struct st_value row[ALTERNATIVE_COLUMNS] = {
      [ALTERNATIVE_NAME] = st_text_value(name),
      [ALTERNATIVE_LINK] = st_string_value(ST_BYTES, a->link),
      [ALTERNATIVE_MODE] = st_text_value(a->mode),
      [ALTERNATIVE_VALUE] = st_string_value(ST_BYTES, value),
  };
  if (st_fact(c->out, ALTERNATIVE, row, ALTERNATIVE_COLUMNS, err) < 0)
    return -1;
  for (size_t i = 0; i < a->count; i++) {
    const struct st_value choice[CHOICE_COLUMNS] = {
        [CHOICE_NAME] = st_text_value(name),
        [CHOICE_PATH] = st_string_value(ST_BYTES, a->choices[i].path),
        [CHOICE_PRIORITY] = st_integer(a->choices[i].priority),
        [CHOICE_LINK] = st_string_value(ST_BYTES, a->link),
        [CHOICE_SLAVES] = st_string_value(ST_BYTES, a->choices[i].slaves),
    };
    if (st_fact(c->out, CHOICE, choice, CHOICE_COLUMNS, err) < 0)
      return -1;
  }
  return 0;
}

static int collect_alternative(void *arg, const char *name, struct st_error *err)
{
  const struct collecting *c = arg;
  struct alternative a;
  char *text;
  int r = read_alternative(c->d, name, &a, &text, err);
  if (r >= 0)
    r = put_alternative(c, name, &a, err);
  alternative_free(&a);
  free(text);
  return r;
}

static int collect_diversions(struct dpkg_track *d, struct st_facts *out, struct st_error *err)
{
  struct diversions diversions;
  char *text;
  int r = read_diversions(d, &diversions, &text, err);
  for (size_t i = 0; i < diversions.count && r >= 0; i++) {
    const struct diversion *v = &diversions.items[i];
    const struct st_value row[DIVERSION_COLUMNS] = {
        [DIVERSION_PATH] = st_string_value(ST_BYTES, v->path),
        [DIVERSION_TO] = st_string_value(ST_BYTES, v->to),
        [DIVERSION_PACKAGE] = st_text_value(v->package),
    };
    r = st_fact(out, DIVERSION, row, DIVERSION_COLUMNS, err);
  }
  free(diversions.items);
  free(text);
  return r;
}

static int collect_statoverrides(struct dpkg_track *d, struct st_facts *out, struct st_error *err)
{
  struct statoverrides overrides;
  char *text;
  int r = read_statoverrides(d, &overrides, &text, err);
  for (size_t i = 0; i < overrides.count && r >= 0; i++) {
    const struct statoverride *o = &overrides.items[i];
    const struct st_value row[STATOVERRIDE_COLUMNS] = {
        [STATOVERRIDE_PATH] = st_string_value(ST_BYTES, o->path),
        [STATOVERRIDE_OWNER] = st_text_value(o->owner),
        [STATOVERRIDE_GROUP] = st_text_value(o->group),
        [STATOVERRIDE_MODE] = st_integer(o->mode),
    };
    r = st_fact(out, STATOVERRIDE, row, STATOVERRIDE_COLUMNS, err);
  }
  free(overrides.items);
  free(text);
  return r;
}

/* The fingerprint is taken first: what changes while the files are read makes another next time. */
static int collect(void *self, struct st_facts *out, struct st_error *err)
{
  struct dpkg_track *d = self;
  struct collecting c = {d, out};
  struct fingerprint print;
  forget(d);
  if (fingerprint_make(d, &print, err) < 0)
    return -1;
  d->any = print.any;
  if (print.settled && st_unchanged(d->ctx, print.digest, sizeof(print.digest)))
    return ST_UNCHANGED;
  if (collect_packages(d, out, err) < 0 || each_alternative(d, collect_alternative, &c, err) < 0 ||
      collect_diversions(d, out, err) < 0)
    return -1;
  return collect_statoverrides(d, out, err);
}

/* ---- What deviates ---------------------------------------------------------------------- */

/* Where dpkg has nothing, nothing deviates from it. */
static unsigned want(void *self, const struct st_entry *e)
{
  const struct dpkg_track *d = self;
  return d->any ? deviation_want(e, d->max_size) : ST_WANT_ENTRY;
}

static int entry(void *self, const struct st_entry *e, struct st_facts *out, struct st_error *err)
{
  const struct dpkg_track *d = self;
  return d->any ? deviation_put(e, d->max_size, out, err) : 0;
}

/* ---- The plug-in ------------------------------------------------------------------------ */

static bool join(char *to, const char *folder, const char *name)
{
  return snprintf(to, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

static bool join_all(struct dpkg_track *d, const char *folder)
{
  return join(d->status, folder, "status") && join(d->updates, folder, "updates") &&
         join(d->info, folder, "info") && join(d->alternatives, folder, "alternatives") &&
         join(d->diversions, folder, "diversions") &&
         join(d->statoverride, folder, "statoverride") &&
         snprintf(d->folder, PATH_MAX, "%s", folder) < PATH_MAX;
}

static void close_plugin(void *self)
{
  struct dpkg_track *d = self;
  forget(d);
  free(d);
}

static int open_plugin(const struct st_context *ctx, void **self, struct st_error *err)
{
  const char *folder = st_option_string(ctx, "admindir");
  int64_t max_size = st_option_number(ctx, "max_size");
  if (!folder || *folder != '/')
    return st_fail(err, 0, "admindir: is not an absolute path");
  if (max_size <= 0)
    return st_fail(err, 0, "max_size: is not a size above 0");
  struct dpkg_track *d = calloc(1, sizeof(*d));
  if (!d)
    return st_fail(err, 0, "out of memory");
  d->ctx = ctx;
  d->max_size = (uint64_t)max_size;
  if (!join_all(d, folder)) {
    close_plugin(d);
    return st_fail(err, 0, "admindir: is too long");
  }
  *self = d;
  return 0;
}

static struct st_plugin plugin = {
    .name = "dpkg_track",
    .version = "4",
    .description = "packages of dpkg, what belongs to them, and files that deviate from them",
    .options = options,
    .tables = tables,
    .open = open_plugin,
    .close = close_plugin,
    .want = want,
    .entry = entry,
    .collect = collect,
    .expected = dpkg_expected,
    .explain = dpkg_explain,
    .plan = dpkg_plan,
    .apply = dpkg_apply,
    .verify = dpkg_verify,
    .flags = ST_PLUGIN_TIMELESS,
};

ST_REGISTER_PLUGIN(plugin)
