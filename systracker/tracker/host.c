/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/host.h"

#include <ctype.h>
#include <dlfcn.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/escape.h"
#include "systracker/base/log.h"
#include "systracker/tracker/tracker.h"

/* The least that a plug-in of API 1 can be: everything up to its first optional callback. */
#define ST_PLUGIN_LEAST offsetof(struct st_plugin, close)

/* ---- Where things are --------------------------------------------------------------- */

static bool ends_with(const char *text, const char *tail)
{
  size_t n = strlen(text), m = strlen(tail);
  return n >= m && strcmp(text + n - m, tail) == 0;
}

/* What stands before the installed folders: "" when installed where it was configured for, DESTDIR
 * when it runs from a staged tree. */
static char *stage(void)
{
  char exe[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
  if (n <= 0)
    return st_strdup("");
  exe[n] = 0;
  char *slash = strrchr(exe, '/');
  if (!slash)
    return st_strdup("");
  *slash = 0;
  static const char *const folders[] = {ST_BINDIR, ST_PROGRAMDIR};
  for (size_t i = 0; i < ST_COUNT(folders); i++) {
    if (!ends_with(exe, folders[i]))
      continue;
    exe[strlen(exe) - strlen(folders[i])] = 0;
    return st_strdup(exe);
  }
  return st_strdup("");
}

/* Environment first, as the tests need it; secure_getenv(3) never gives it to a set-user-ID one. */
static char *place(const char *variable, const char *installed)
{
  const char *set = secure_getenv(variable);
  if (set && *set)
    return st_strdup(set);
  ST_AUTO_FREE char *before = stage();
  return st_format("%s%s", before, installed);
}

char *st_host_plugin_dir(void)
{
  return place("SYSTRACKER_PLUGINDIR", ST_PLUGINDIR);
}

char *st_host_libexec_dir(void)
{
  return place("SYSTRACKER_LIBEXECDIR", ST_PROGRAMDIR);
}

char *st_host_bin_dir(void)
{
  return place("SYSTRACKER_BINDIR", ST_BINDIR);
}

char *st_host_config_file(void)
{
  return place("SYSTRACKER_CONFIG", ST_CONFDIR "/systracker.conf");
}

/* ---- Checking what a plug-in says of itself ------------------------------------------- */

static bool is_name(const char *s)
{
  if (!s || !islower((unsigned char)*s) || strlen(s) > 63)
    return false;
  for (; *s; s++) {
    if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != '_')
      return false;
  }
  return true;
}

static int check_column(const struct st_table *table, size_t i, struct st_error *err)
{
  const struct st_column *c = &table->columns[i];
  if (!is_name(c->name))
    return st_fail(err, 0, "table %s: column %zu has no proper name", table->name, i);
  if (c->type <= ST_NULL || c->type > ST_ID)
    return st_fail(err, 0, "table %s: column %s has an unknown type", table->name, c->name);
  if ((c->flags & (ST_OBJECT | ST_MANIFEST)) && c->type != ST_ID)
    return st_fail(err, 0, "table %s: column %s names an object but is no id", table->name,
                   c->name);
  if ((c->flags & ST_KEY) && i > 0 && !(table->columns[i - 1].flags & ST_KEY))
    return st_fail(err, 0, "table %s: key column %s must come first", table->name, c->name);
  for (size_t k = 0; k < i; k++) {
    if (strcmp(table->columns[k].name, c->name) == 0)
      return st_fail(err, 0, "table %s: column %s twice", table->name, c->name);
  }
  return 0;
}

static int check_table(const struct st_table *table, struct st_error *err)
{
  if (!is_name(table->name))
    return st_fail(err, 0, "a table has no proper name");
  if (table->ncolumns == 0 || table->ncolumns > 64 || !table->columns)
    return st_fail(err, 0, "table %s: has no columns, or more than 64", table->name);
  for (size_t i = 0; i < table->ncolumns; i++) {
    if (check_column(table, i, err) < 0)
      return -1;
  }
  if (!(table->columns[0].flags & ST_KEY))
    return st_fail(err, 0, "table %s: has no key", table->name);
  bool one_path = table->columns[0].type == ST_PATH &&
                  (table->ncolumns == 1 || !(table->columns[1].flags & ST_KEY));
  if ((table->flags & ST_TABLE_ENTRY) && !one_path)
    return st_fail(err, 0, "table %s: the key of an entry table is one path", table->name);
  return 0;
}

static int check_plugin(const struct st_plugin *p, const char *name, struct st_error *err)
{
  if (!p->name || strcmp(p->name, name) != 0)
    return st_fail(err, 0, "it calls itself %s", p->name ? st_quote(p->name) : "nothing");
  if (!p->version || !p->tables || !p->open)
    return st_fail(err, 0, "it lacks a version, its tables or `open`");
  for (const struct st_table *t = p->tables; t->name; t++) {
    if (check_table(t, err) < 0)
      return -1;
    if ((t->flags & ST_TABLE_ENTRY) && !p->entry)
      return st_fail(err, 0, "table %s: nobody fills it, there is no `entry`", t->name);
  }
  for (const struct st_option *o = p->options; o && o->name; o++) {
    if (!is_name(o->name))
      return st_fail(err, 0, "an option has no proper name");
  }
  return 0;
}

/* ---- Loading ------------------------------------------------------------------------- */

/* What root loads, only root may have written. */
static int check_file(const char *path, struct st_error *err)
{
  struct stat st;
  if (stat(path, &st) < 0)
    return errno == ENOENT ? st_fail(err, 0, "is not installed (%s)", st_quote(path))
                           : st_fail(err, errno, "cannot be read (%s)", st_quote(path));
  if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)))
    return st_fail(err, 0, "others may write it, so it is not loaded (%s)", st_quote(path));
  return 0;
}

/* A copy as large as ours is: fields that an older header did not have are zero. */
static int adopt(struct st_loaded *l, const struct st_plugin *theirs, struct st_error *err)
{
  if (theirs->api_version != ST_API_VERSION)
    return st_fail(err, 0, "it is made for plug-in interface %d, this SysTracker has %d",
                   theirs->api_version, ST_API_VERSION);
  if (theirs->size < ST_PLUGIN_LEAST || theirs->size > 65536)
    return st_fail(err, 0, "its description has a size of %zu bytes, which cannot be",
                   theirs->size);
  struct st_plugin *p = st_calloc(1, sizeof(*p));
  memcpy(p, theirs, theirs->size < sizeof(*p) ? theirs->size : sizeof(*p));
  l->plugin = p;
  return check_plugin(p, l->name, err);
}

static int load_library(struct st_loaded *l, struct st_error *err)
{
  ST_AUTO_FREE char *folder = st_host_plugin_dir();
  ST_AUTO_FREE char *path = st_format("%s/%s.so", folder, l->name);
  if (check_file(path, err) < 0)
    return -1;
  l->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!l->library)
    return st_fail(err, 0, "cannot be loaded: %s", dlerror());
  const struct st_plugin *(*get)(void);
  *(void **)&get = dlsym(l->library, "st_plugin_register");
  if (!get)
    return st_fail(err, 0, "is no plug-in (%s)", st_quote(path));
  return adopt(l, get(), err);
}

static struct st_loaded *add(struct st_host *host, const char *name)
{
  host->plugins = st_realloc(host->plugins, host->count + 1, sizeof(*host->plugins));
  struct st_loaded *l = &host->plugins[host->count++];
  *l = (struct st_loaded){.name = st_strdup(name), .bit = (unsigned)host->count - 1};
  l->context.memo = st_calloc(1, sizeof(struct st_memo));
  return l;
}

static void unload(struct st_loaded *l)
{
  if (l->open && l->plugin->close)
    l->plugin->close(l->self);
  free((void *)l->plugin);
  if (l->library)
    dlclose(l->library);
  l->plugin = NULL;
  l->library = NULL;
  l->open = false;
}

int st_host_load(struct st_host *host, const char *name, struct st_error *err)
{
  struct st_loaded *l = st_host_find(host, name);
  if (l)
    return l->plugin ? 0 : st_fail(err, 0, "plug-in %s: %s", name, l->why);
  if (!is_name(name))
    return st_fail(err, 0, "plug-in %s: that is no name of a plug-in", st_quote(name));
  l = add(host, name);
  if (load_library(l, err) < 0) {
    l->why = st_strdup(st_error_text(err));
    unload(l);
    return st_wrap(err, "plug-in %s", name);
  }
  return 0;
}

const struct st_option *st_host_schema(void *arg, const char *name)
{
  static const struct st_option none[] = {{0}};
  ST_AUTO_ERROR ignored = ST_ERROR_INIT; /* kept in `why`, reported when it is opened */
  if (st_host_load(arg, name, &ignored) < 0)
    return NULL;
  const struct st_option *options = st_host_find(arg, name)->plugin->options;
  return options ? options : none;
}

static void open_one(struct st_loaded *l)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  if (!l->plugin)
    return;
  if (l->plugin->open(&l->context, &l->self, &err) < 0)
    l->why = st_strdup(st_error_text(&err));
  else
    l->open = true;
}

int st_host_open(struct st_host *host, struct st_tracker *tracker, struct st_error *err)
{
  const struct st_conf *conf = tracker->conf;
  if (conf->nplugins > 32)
    return st_fail(err, 0, "more than 32 plug-ins are configured");
  for (size_t i = 0; i < conf->nplugins; i++) {
    ST_AUTO_ERROR ignored = ST_ERROR_INIT;
    st_host_load(host, conf->plugins[i].name, &ignored);
    struct st_loaded *l = st_host_find(host, conf->plugins[i].name);
    if (!l)
      return st_fail(err, 0, "plug-in %s: that is no name of a plug-in (%s:%d)",
                     st_quote(conf->plugins[i].name), conf->plugins[i].place.file,
                     conf->plugins[i].place.line);
    l->context = (struct st_context){
        l->plugin, tracker, &conf->plugins[i], tracker->root, tracker->live_root, l->context.memo};
  }
  for (size_t i = 0; i < host->count; i++) {
    if (host->plugins[i].context.conf)
      open_one(&host->plugins[i]);
  }
  return 0;
}

void st_host_close(struct st_host *host)
{
  for (size_t i = 0; i < host->count; i++) {
    unload(&host->plugins[i]);
    free(host->plugins[i].name);
    free(host->plugins[i].why);
    free(host->plugins[i].tables);
    free(host->plugins[i].context.memo);
  }
  free(host->plugins);
  *host = (struct st_host){0};
}

struct st_loaded *st_host_find(struct st_host *host, const char *name)
{
  for (size_t i = 0; i < host->count; i++) {
    if (strcmp(host->plugins[i].name, name) == 0)
      return &host->plugins[i];
  }
  return NULL;
}

static bool has_table(const struct st_loaded *l, const char *full)
{
  size_t n = strlen(l->name);
  if (!l->plugin || strncmp(full, l->name, n) != 0 || full[n] != '_')
    return false;
  for (const struct st_table *t = l->plugin->tables; t->name; t++) {
    if (strcmp(t->name, full + n + 1) == 0)
      return true;
  }
  return false;
}

struct st_loaded *st_host_of_table(struct st_host *host, const char *full_table)
{
  for (size_t i = 0; i < host->count; i++) {
    if (has_table(&host->plugins[i], full_table))
      return &host->plugins[i];
  }
  return NULL;
}
