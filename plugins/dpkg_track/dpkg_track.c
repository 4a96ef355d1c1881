/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dpkg_track - the packages that dpkg knows, by its status file and the journal beside it. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/dpkg_track/status.h"
#include "plugins/values.h"

#define TABLE "package"
#define MOST_STATUS ((size_t)512 << 20) /* bytes of a file; Debian's whole archive is 60 MB */
#define MOST_UPDATES 10000
#define TRIES 5

enum column { NAME, ARCHITECTURE, VERSION, STATE, CHANGED, MANIFEST, COLUMNS };

static const struct st_column columns[COLUMNS] = {
    [NAME] = {"name", ST_TEXT, ST_KEY},
    [ARCHITECTURE] = {"architecture", ST_TEXT, ST_KEY},
    [VERSION] = {"version", ST_TEXT, 0},
    [STATE] = {"state", ST_TEXT, 0},
    [CHANGED] = {"changed", ST_INTEGER, ST_AS_TIME | ST_QUIET},
    [MANIFEST] = {"manifest", ST_ID, ST_MANIFEST},
};

static const struct st_table tables[] = {{TABLE, ST_TABLE_PACKAGES, COLUMNS, columns}, {0}};

static const struct st_option options[] = {
    {"admindir", ST_OPT_STRING, "/var/lib/dpkg", "dpkg's own folder, within the root"}, {0}};

struct dpkg_track {
  const struct st_context *ctx;
  char status[PATH_MAX], updates[PATH_MAX], info[PATH_MAX];
};

/* The database as one look found it. */
struct database {
  struct packages packages;
  char **texts; /* what the packages' strings lie in */
  size_t ntexts;
};

static void database_free(struct database *db)
{
  for (size_t i = 0; i < db->ntexts; i++)
    free(db->texts[i]);
  free(db->texts);
  packages_free(&db->packages);
  *db = (struct database){0};
}

/* ---- Reading ---------------------------------------------------------------------------- */

/* Reads a file whose text lives as long as the database.  -ENOENT as st_read_in_root. */
static int read_text(struct dpkg_track *d, struct database *db, const char *path, size_t *length,
                     struct st_error *err)
{
  char **texts = reallocarray(db->texts, db->ntexts + 1, sizeof(*texts));
  if (!texts)
    return st_fail(err, 0, "out of memory");
  db->texts = texts;
  int r = st_read_in_root(d->ctx, path, MOST_STATUS, &texts[db->ntexts], length, err);
  if (r >= 0)
    db->ntexts++;
  return r;
}

/* dpkg takes only names that are all digits for entries of its journal. */
static int is_update(const struct dirent *entry)
{
  const char *s = entry->d_name;
  while (isdigit((unsigned char)*s))
    s++;
  return *s == 0 && s > entry->d_name;
}

static int by_number(const struct dirent **a, const struct dirent **b)
{
  size_t n = strlen((*a)->d_name), m = strlen((*b)->d_name);
  return n != m ? (n < m ? -1 : 1) : strcmp((*a)->d_name, (*b)->d_name);
}

static int read_update(struct dpkg_track *d, struct database *db, const char *name,
                       struct st_error *err)
{
  char path[PATH_MAX];
  size_t length;
  if (snprintf(path, sizeof(path), "%s/%s", d->updates, name) >= (int)sizeof(path))
    return st_fail(err, 0, "the path of dpkg's journal is too long");
  int r = read_text(d, db, path, &length, err);
  if (r < 0)
    return r;
  return packages_update(&db->packages, db->texts[db->ntexts - 1], length, path, err);
}

static int read_listed(struct dpkg_track *d, struct database *db, struct dirent **names, int count,
                       struct st_error *err)
{
  if (count > MOST_UPDATES)
    return st_fail(err, 0, "dpkg's journal has more than %d files (%s)", MOST_UPDATES, d->updates);
  for (int i = 0; i < count; i++) {
    int r = read_update(d, db, names[i]->d_name, err);
    if (r < 0)
      return r;
  }
  return 0;
}

/* The journal: what dpkg did since it last wrote its status file.  -ENOENT: a file went away. */
static int read_updates(struct dpkg_track *d, struct database *db, struct st_error *err)
{
  struct dirent **names = NULL;
  char here[32];
  int fd = st_open_in_root(d->ctx, d->updates, err);
  if (fd < 0)
    return fd == -ENOENT ? 0 : fd;
  snprintf(here, sizeof(here), "/proc/self/fd/%d", fd);
  int count = scandir(here, &names, is_update, by_number);
  int r = count < 0 ? st_fail(err, errno, "cannot list dpkg's journal (%s)", d->updates)
                    : read_listed(d, db, names, count, err);
  for (int i = 0; i < count; i++)
    free(names[i]);
  free(names);
  close(fd);
  return r;
}

/* What tells one status file from the next: dpkg writes a new one beside and renames it. */
static int status_identity(struct dpkg_track *d, struct stat *ret, struct st_error *err)
{
  int fd = st_open_in_root(d->ctx, d->status, err);
  if (fd < 0)
    return fd;
  int r = fstat(fd, ret);
  close(fd);
  return r < 0 ? st_fail(err, errno, "cannot look at dpkg's status (%s)", d->status) : 0;
}

static bool same_status(const struct stat *a, const struct stat *b)
{
  return a->st_ino == b->st_ino && a->st_size == b->st_size &&
         a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* One look: 0, -ENOENT (no status file, or dpkg moved on meanwhile), or another negative number. */
static int read_once(struct dpkg_track *d, struct database *db, bool *ret_moved,
                     struct st_error *err)
{
  struct stat before, after;
  size_t length;
  *ret_moved = false;
  int r = status_identity(d, &before, err);
  if (r < 0)
    return r;
  r = read_text(d, db, d->status, &length, err);
  if (r < 0)
    return r;
  if (packages_parse(&db->packages, db->texts[0], length, d->status, err) < 0)
    return -1;
  r = read_updates(d, db, err);
  *ret_moved =
      r == -ENOENT || status_identity(d, &after, NULL) < 0 || !same_status(&before, &after);
  return *ret_moved ? -ENOENT : r;
}

/* dpkg's lock is never taken: while it works, the status file and its journal are read again until
 * they belong together. */
static int read_database(struct dpkg_track *d, struct database *db, struct st_error *err)
{
  bool moved = false;
  for (int i = 0; i < TRIES; i++) {
    database_free(db);
    int r = read_once(d, db, &moved, err);
    if (!moved)
      return r;
  }
  return st_fail(err, 0, "dpkg's status kept changing while it was read (%s)", d->status);
}

/* ---- Facts ------------------------------------------------------------------------------ */

/* When the package's files last changed: the time of its list, which dpkg writes then. */
static struct st_value changed(int info, const struct package *p)
{
  char name[NAME_MAX + 1];
  struct stat st;
  if (info < 0)
    return st_null();
  int n = snprintf(name, sizeof(name), "%s:%s.list", p->name, p->architecture);
  if (n < (int)sizeof(name) && fstatat(info, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
    return st_integer(st.st_mtim.tv_sec);
  n = snprintf(name, sizeof(name), "%s.list", p->name);
  if (n < (int)sizeof(name) && fstatat(info, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
    return st_integer(st.st_mtim.tv_sec);
  return st_null();
}

static int put_package(int info, const struct package *p, struct st_facts *out,
                       struct st_error *err)
{
  const struct st_value row[COLUMNS] = {
      [NAME] = st_text_value(p->name),
      [ARCHITECTURE] = st_text_value(p->architecture),
      [VERSION] = st_text_value(p->version),
      [STATE] = st_text_value(p->state),
      [CHANGED] = changed(info, p),
      [MANIFEST] = st_null(), /* packages expect nothing yet */
  };
  return st_fact(out, TABLE, row, COLUMNS, err);
}

static int put_packages(struct dpkg_track *d, const struct database *db, struct st_facts *out,
                        struct st_error *err)
{
  int info = st_open_in_root(d->ctx, d->info, err);
  if (info < 0 && info != -ENOENT)
    return info;
  int r = 0;
  for (size_t i = 0; i < db->packages.count && r >= 0; i++) {
    if (db->packages.items[i].installed)
      r = put_package(info, &db->packages.items[i], out, err);
  }
  if (info >= 0)
    close(info);
  return r;
}

/* Without a status file there are no packages; that yesterday's are gone at once is SysTracker's to
 * judge (ST_TABLE_PACKAGES). */
static int collect(void *self, struct st_facts *out, struct st_error *err)
{
  struct dpkg_track *d = self;
  struct database db = {0};
  int r = read_database(d, &db, err);
  if (r >= 0)
    r = put_packages(d, &db, out, err);
  else if (r == -ENOENT)
    r = 0;
  database_free(&db);
  return r;
}

/* ---- Words ------------------------------------------------------------------------------ */

static void say_version(struct st_text *out, const struct st_value *v)
{
  if (v)
    say_value(out, v);
  else
    st_say(out, "no version");
}

static void explain_state(const struct st_change *c, struct parts *parts)
{
  st_say(next_part(parts), "state ");
  say_value(parts->out, value_before(c, STATE));
  st_say(parts->out, " → ");
  say_value(parts->out, value_after(c, STATE));
}

/* The key, name and architecture, is said by whoever asks. */
static int explain(void *self, const struct st_change *c, struct st_text *out, struct st_error *err)
{
  (void)self;
  (void)err;
  struct parts parts = {out, 0};
  if (!c->before) {
    st_say(out, "installed ");
    say_version(out, value_after(c, VERSION));
    if (!value_is_text(value_after(c, STATE), "install ok installed")) {
      st_say(out, ", state ");
      say_value(out, value_after(c, STATE));
    }
    return 0;
  }
  if (!c->after) {
    st_say(out, "removed (was ");
    say_version(out, value_before(c, VERSION));
    st_say(out, ")");
    return 0;
  }
  if (value_differs(c, VERSION)) {
    say_version(next_part(&parts), value_before(c, VERSION));
    st_say(out, " → ");
    say_version(out, value_after(c, VERSION));
  }
  if (value_differs(c, STATE))
    explain_state(c, &parts);
  return 0;
}

/* ---- Restore ---------------------------------------------------------------------------- */

/* Words of a plan are not escaped for us, and a row may have come from elsewhere: only plain ASCII
 * goes on. */
static void print_plain(FILE *to, const struct st_value *v)
{
  const unsigned char *s = v && v->type == ST_TEXT ? v->u.bytes.data : NULL;
  for (size_t i = 0; s && i < v->u.bytes.length; i++)
    fputc(s[i] >= ' ' && s[i] < 127 ? s[i] : '?', to);
}

static void print_side(FILE *to, const struct st_change *c, const struct st_value *row)
{
  if (!row)
    fputs("not installed", to);
  else if (value_at(c, row, VERSION))
    print_plain(to, value_at(c, row, VERSION));
  else
    fputs("no version", to);
}

static bool version_differs(const struct st_change *c)
{
  return !c->before || !c->after || value_differs(c, VERSION);
}

static void print_words(FILE *to, const struct st_change *c)
{
  fputs("package ", to);
  print_plain(to, value_at(c, c->after ? c->after : c->before, NAME));
  fputs(": ", to);
  if (version_differs(c)) {
    print_side(to, c, c->before);
    fputs(" → ", to);
    print_side(to, c, c->after);
  } else {
    fputs("state ", to);
    print_plain(to, value_before(c, STATE));
    fputs(" → ", to);
    print_plain(to, value_after(c, STATE));
  }
  fputs(" is not put back (packages=none)", to);
}

/* Packages are not put back by this version; the plan says which would differ. */
static int plan(void *self, const struct st_change *c, struct st_plan *out, struct st_error *err)
{
  (void)self;
  char *words = NULL;
  size_t length;
  if (!version_differs(c) && !value_differs(c, STATE))
    return 0;
  FILE *to = open_memstream(&words, &length);
  if (!to)
    return st_fail(err, errno, "cannot put words together");
  print_words(to, c);
  int r = fclose(to) == 0 ? st_plan_action(out, words, false, NULL, 0, err)
                          : st_fail(err, errno, "cannot put words together");
  free(words);
  return r;
}

/* ---- The plug-in ------------------------------------------------------------------------ */

static bool join(char *to, const char *folder, const char *name)
{
  return snprintf(to, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

static int open_plugin(const struct st_context *ctx, void **self, struct st_error *err)
{
  const char *folder = st_option_string(ctx, "admindir");
  if (!folder || *folder != '/')
    return st_fail(err, 0, "admindir: is not an absolute path");
  struct dpkg_track *d = calloc(1, sizeof(*d));
  if (!d)
    return st_fail(err, 0, "out of memory");
  d->ctx = ctx;
  if (!join(d->status, folder, "status") || !join(d->updates, folder, "updates") ||
      !join(d->info, folder, "info")) {
    free(d);
    return st_fail(err, 0, "admindir: is too long");
  }
  *self = d;
  return 0;
}

static struct st_plugin plugin = {
    .name = "dpkg_track",
    .version = "1",
    .description = "packages of dpkg, with version, architecture and state",
    .options = options,
    .tables = tables,
    .open = open_plugin,
    .close = free,
    .collect = collect,
    .explain = explain,
    .plan = plan,
};

ST_REGISTER_PLUGIN(plugin)
