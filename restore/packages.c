/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/packages.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "restore/flusher.h"
#include "restore/locked.h"
#include "restore/manager.h"
#include "restore/sources.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/text.h"

#define LOG_LINES 12 /* shown of a run that failed */

static const struct st_package_work *const works[ST_NMANAGERS] = {
    [ST_DPKG] = &st_apt_work,
    [ST_RPM] = &st_rpm_work,
};

void st_package_phase_close(struct st_package_phase *p)
{
  if (p->repository.dir >= 0)
    st_repository_remove(p->tracker->root, p->journal);
  st_repository_close(&p->repository);
}

bool st_package_plugin_is_known(const char *plugin)
{
  for (size_t i = 0; i < ST_NMANAGERS; i++) {
    if (strcmp(works[i]->plugin, plugin) == 0)
      return true;
  }
  return false;
}

/* ---- What is to be done ---------------------------------------------------------------------- */

static char *text_of(const struct st_fact_row *fact, const char *name)
{
  const struct st_table *d = &fact->table->declaration;
  for (size_t i = 0; i < d->ncolumns; i++) {
    const struct st_value *v = &fact->values[i];
    if (strcmp(d->columns[i].name, name) == 0 && v->type == ST_TEXT)
      return st_memdup(v->u.bytes.data, v->u.bytes.length);
  }
  return st_strdup("");
}

/* A public key, which lies in the store; NULL: the row names none. */
static int read_key(struct st_tracker *t, const struct st_fact_row *fact, char **ret,
                    struct st_error *err)
{
  const struct st_table *d = &fact->table->declaration;
  ST_AUTO_BUFFER key = ST_BUFFER_INIT;
  for (size_t i = 0; i < d->ncolumns; i++) {
    const struct st_value *v = &fact->values[i];
    if (v->type != ST_ID || strcmp(d->columns[i].name, "key") != 0)
      continue;
    if (st_store_get(t->store, &v->u.id, &key, err) < 0)
      return st_wrap(err, "a public key of rpm's");
    *ret = st_memdup(key.data ? key.data : (void *)"", key.length);
  }
  return 0;
}

struct reading {
  struct st_tracker *tracker;
  struct st_package_facts *facts;
  bool keys; /* are wanted */
};

static int add_fact(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  const struct reading *r = arg;
  ST_AUTO_FREE char *name = text_of(fact, "name"), *architecture = text_of(fact, "architecture"),
                    *version = text_of(fact, "version"), *state = text_of(fact, "state"),
                    *instance = text_of(fact, "instance");
  struct st_package_fact *new = st_package_facts_add(r->facts, name, architecture, version, state);
  new->digest = text_of(fact, "digest");
  new->beside = *instance;
  return r->keys ? read_key(r->tracker, fact, &new->key, err) : 0;
}

struct gap {
  const char *plugin;
  bool found;
};

static int find_gap(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  struct gap *gap = arg;
  ST_AUTO_FREE char *plugin = text_of(fact, "plugin");
  gap->found |= strcmp(plugin, gap->plugin) == 0;
  return 0;
}

static const char *when(int64_t number)
{
  return number == ST_LIVE ? "now" : "at that checkpoint";
}

int st_package_facts_read(struct st_tracker *t, int64_t number, enum st_package_manager manager,
                          struct st_package_facts *ret, struct st_error *err)
{
  const struct st_catalog_table *table = st_catalog_table(t->catalog, works[manager]->table);
  const struct st_catalog_table *gaps = st_catalog_table(t->catalog, ST_CORE_UNOBSERVED);
  struct gap gap = {works[manager]->plugin, false};
  struct reading r = {t, ret, number != ST_LIVE};
  ret->manager = manager;
  if ((table && st_catalog_each(t->catalog, number, table, NULL, add_fact, &r, err) < 0) ||
      (gaps && st_catalog_each(t->catalog, number, gaps, NULL, find_gap, &gap, err) < 0))
    return -1;
  if (gap.found)
    return st_refuse(err, "the packages could not be seen %s: --packages=none leaves them alone",
                     when(number));
  return 0;
}

/* Where one side has none at all, its database was not understood, or is gone. */
static int find_steps(struct st_tracker *t, int64_t checkpoint, enum st_package_manager manager,
                      struct st_package_steps *ret, struct st_error *err)
{
  ST_AUTO_PACKAGE_FACTS target = {0}, live = {0};
  if (st_package_facts_read(t, checkpoint, manager, &target, err) < 0 ||
      st_package_facts_read(t, ST_LIVE, manager, &live, err) < 0)
    return -1;
  if (target.count == 0 && live.count == 0)
    return 0;
  if (target.count == 0 || live.count == 0)
    return st_refuse(err, "no packages of %s are known %s: --packages=none leaves them alone",
                     st_package_manager_name(manager),
                     when(live.count == 0 ? ST_LIVE : checkpoint));
  st_package_steps_find(&target, &live, ret);
  return 0;
}

int st_package_phase_find(struct st_tracker *t, int64_t checkpoint, struct st_package_steps *ret,
                          struct st_error *err)
{
  for (int i = 0; i < ST_NMANAGERS; i++) {
    if (find_steps(t, checkpoint, (enum st_package_manager)i, ret, err) < 0)
      return -1;
  }
  for (size_t i = 0; i < ret->count; i++) {
    const struct st_package_step *s = &ret->items[i];
    if (!st_package_step_valid(s))
      return st_refuse(err, "package %s: its name, version or architecture is none for %s",
                       st_quote(s->name), st_package_manager_name(s->manager));
  }
  return 0;
}

/* ---- In common ------------------------------------------------------------------------------- */

void st_package_refuse(struct st_strings *refusals, const struct st_package_step *s,
                       const char *why)
{
  st_strings_take(refusals, st_format("package %s: %s", st_quote(s->name), why));
}

const struct st_package *st_package_file_of(const struct st_packages *kept,
                                            const struct st_package_step *s, const char *version,
                                            enum st_package_source source)
{
  return source == ST_PACKAGE_REPACKED
             ? st_packages_find_repacked(kept, s->name, version, s->architecture)
             : st_packages_find(kept, s->name, version, s->architecture);
}

char *st_package_why_missing(const struct st_package_step *s)
{
  if (s->source == ST_PACKAGE_UNFETCHED)
    return st_format("%s is not kept, and did not come from the root's own sources: `systracker "
                     "packages --keep FILE` keeps it, or --fetch-missing on a host that has it; "
                     "is there a network? " ST_PACKAGES_ELSE,
                     s->after);
  return st_format("%s is not kept, and the root's own sources do not have it by their lists: "
                   "`systracker packages --keep FILE` keeps it, or --fetch-missing on a host that "
                   "has it; " ST_PACKAGES_ELSE,
                   s->after);
}

char *st_package_why_no_undo(const struct st_package_step *s, const char *why)
{
  return st_format("undo could not install %s again: %s: `systracker packages --keep FILE` keeps "
                   "it, --no-undo goes on without",
                   s->before,
                   why ? why : "it is not kept, and does not come from the root's own sources");
}

/* The path or the one above it at which the same file system begins. */
static char *top_of(int root, const char *path, dev_t dev)
{
  char *top = st_strdup(path);
  for (char *slash; (slash = strrchr(top, '/'));) {
    struct stat st;
    ST_AUTO_FREE char *above =
        slash == top ? st_strdup("/") : st_memdup(top, (size_t)(slash - top));
    ST_AUTO_CLOSE int fd = st_open_in(root, above, O_PATH | O_DIRECTORY, 0);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != dev)
      break;
    if (slash == top) {
      slash[1] = 0;
      break;
    }
    *slash = 0;
  }
  return top;
}

static void check_space(struct st_tracker *t, const char *path, uint64_t needed, dev_t *last,
                        struct st_strings *refusals)
{
  struct stat st;
  uint64_t free_space, least = t->conf->min_free;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  ST_AUTO_CLOSE int fd = st_open_in(t->root, path, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev == *last)
    return;
  *last = st.st_dev;
  ST_AUTO_FREE char *top = top_of(t->root, path, st.st_dev);
  if (st_free_space(fd, &free_space, &why) < 0) {
    st_strings_take(refusals, st_format("%s: %s", top, st_error_text(&why)));
    return;
  }
  if (!__builtin_add_overflow(needed, least, &least) && least <= free_space)
    return;
  ST_AUTO_FREE char *need = st_format_size(needed), *have = st_format_size(free_space);
  st_strings_take(refusals, st_format("%s: too little space for the packages on this file system: "
                                      "%s needed beside min_free, %s free",
                                      top, need, have));
}

void st_package_check_space(struct st_tracker *t, uint64_t needed, struct st_strings *refusals)
{
  dev_t seen = 0;
  if (needed == 0)
    return;
  check_space(t, "/usr", needed, &seen, refusals);
  check_space(t, "/var/lib", needed, &seen, refusals);
}

void st_package_say_log(const void *log, size_t length, struct st_strings *ret)
{
  const char *data = log, *end = data + length, *at = end;
  for (int lines = 0; at > data; at--) {
    if (at < end && at[-1] == '\n' && ++lines >= LOG_LINES)
      break;
  }
  while (at < end) {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    const char *stop = newline ? newline : end;
    ST_AUTO_BUFFER line = ST_BUFFER_INIT;
    st_escape(&line, at, (size_t)(stop - at));
    if (line.length > 0)
      st_strings_take(ret, st_format("  %s", (const char *)line.data));
    at = stop + 1;
  }
}

/* ---- The phase ------------------------------------------------------------------------------- */

static bool has_steps(const struct st_journal *j, enum st_package_manager manager)
{
  for (size_t i = 0; i < j->packages.count; i++) {
    if (j->packages.items[i].manager == manager)
      return true;
  }
  return false;
}

struct check {
  bool undo, dry_run;
};

static int check_each(struct st_package_phase *p, const struct st_packages *kept, struct check c,
                      struct st_strings *refusals, struct st_error *err)
{
  for (int i = 0; i < ST_NMANAGERS; i++) {
    if (has_steps(p->journal, (enum st_package_manager)i) &&
        works[i]->check(p, kept, c.undo, c.dry_run, refusals, err) < 0)
      return -1;
  }
  return 0;
}

static size_t count_needed(const struct st_package_steps *s)
{
  size_t n = 0;
  for (size_t i = 0; i < s->count; i++)
    n += s->items[i].needed;
  return n;
}

/* Where packages are kept, the package managers say which of the optional steps are needed after
 * all: by themselves, or by what they name in a refusal.  Each round takes at least one more. */
static int check_until_settled(struct st_package_phase *p, const struct st_packages *kept,
                               struct check c, struct st_strings *refusals, struct st_error *err)
{
  struct st_package_steps *steps = &p->journal->packages;
  for (;;) {
    size_t needed = count_needed(steps);
    if (check_each(p, kept, c, refusals, err) < 0)
      return -1;
    if (refusals->count > 0)
      st_package_steps_need(steps, refusals);
    if (count_needed(steps) == needed)
      break;
    st_strings_free(refusals);
    st_package_phase_close(p);
  }
  return 0;
}

/* What comes of it is not the package's own file, and may have been changed before. */
static void warn_of_repacked(const struct st_package_steps *steps)
{
  for (size_t i = 0; i < steps->count; i++) {
    const struct st_package_step *s = &steps->items[i];
    if (st_package_step_counts(s) && st_package_step_installs(s) &&
        s->source == ST_PACKAGE_REPACKED)
      fprintf(stderr,
              "systracker: package %s %s: its own file is nowhere to be had: what is installed was "
              "put together again from what was there, changes included\n",
              st_quote(s->name), st_quote(s->after));
  }
}

static int check_all(struct st_package_phase *p, bool undo, bool dry_run,
                     struct st_strings *refusals, struct st_error *err)
{
  ST_CLEANUP(st_packages_closep) struct st_packages *kept = NULL;
  if (p->journal->packages.count == 0)
    return 0;
  /* First, as nothing is written for it. */
  if (st_locked_find(p->tracker, p->journal->checkpoint, &p->journal->packages, refusals, err) < 0)
    return -1;
  if (refusals->count > 0)
    return 0;
  if (!dry_run && st_sources_fetch(p->tracker, &p->journal->packages, undo, err) < 0)
    return -1;
  if (st_packages_open(&kept, p->tracker->store_dir, err) < 0)
    return -1;
  int r = check_until_settled(p, kept, (struct check){undo, dry_run}, refusals, err);
  if (r == 0 && refusals->count == 0 && count_needed(&p->journal->packages) > 0)
    r = st_locked_find(p->tracker, p->journal->checkpoint, &p->journal->packages, refusals, err);
  if (r == 0 && refusals->count == 0)
    warn_of_repacked(&p->journal->packages);
  return r;
}

int st_package_phase_preflight(struct st_package_phase *p, bool undo, bool dry_run,
                               struct st_strings *refusals, struct st_error *err)
{
  int r = check_all(p, undo, dry_run, refusals, err);
  if (r < 0 || refusals->count > 0 || dry_run)
    st_package_phase_close(p);
  return r;
}

int st_package_phase_apply(struct st_package_phase *p, struct st_strings *problems,
                           struct st_error *err)
{
  int r = 0;
  if (p->journal->packages.count == 0)
    return 0;
  for (int i = 0; r == 0 && i < ST_NMANAGERS; i++) {
    if (has_steps(p->journal, (enum st_package_manager)i))
      r = works[i]->apply(p, problems, err);
  }
  st_package_phase_close(p);
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (st_flush(p->tracker->root, &why) < 0)
    st_strings_take(problems, st_format("packages: %s", st_error_text(&why)));
  return r;
}

int st_package_phase_recover(struct st_tracker *t, const struct st_journal *j,
                             struct st_strings *problems, struct st_error *err)
{
  for (int i = 0; i < ST_NMANAGERS; i++) {
    if (has_steps(j, (enum st_package_manager)i) && works[i]->recover(t, j, problems, err) < 0)
      return -1;
  }
  return 0;
}
