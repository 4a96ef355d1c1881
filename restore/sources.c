/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/sources.h"

#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/tracker/packagefetch.h"
#include "systracker/tracker/packagefile.h"

/* The package files of some steps, as they are asked for; names are borrowed from the steps. */
struct files {
  struct st_installed_list list;
  enum st_package_source **sources; /* where the answer to each goes */
  size_t size;
};
#define ST_AUTO_FILES ST_CLEANUP(files_free) struct files

static void files_free(struct files *f)
{
  free(f->list.items);
  free(f->sources);
}

static void add_file(struct files *f, const struct st_package_step *s, char *version, char *digest,
                     enum st_package_source *source)
{
  if (f->list.count == f->size) {
    f->size = f->size ? 2 * f->size : 64;
    f->list.items = st_realloc(f->list.items, f->size, sizeof(*f->list.items));
    f->sources = st_realloc(f->sources, f->size, sizeof(enum st_package_source *));
  }
  f->sources[f->list.count] = source;
  f->list.items[f->list.count++] = (struct st_installed){
      .name = s->name,
      .version = version,
      .architecture = s->architecture,
      .rpm = s->manager == ST_RPM,
      .header = digest,
  };
}

/* Those whose source is this one. */
static void gather(struct files *f, struct st_package_steps *steps, bool undo,
                   enum st_package_source source)
{
  for (size_t i = 0; i < steps->count; i++) {
    struct st_package_step *s = &steps->items[i];
    if (st_package_step_is_key(s))
      continue;
    if (st_package_step_installs(s) && s->source == source)
      add_file(f, s, s->after, s->digest, &s->source);
    if (undo && st_package_step_loses(s) && s->source_before == source)
      add_file(f, s, s->before, s->digest_before, &s->source_before);
  }
}

static int find_kept(struct st_tracker *t, struct files *f, struct st_error *err)
{
  ST_CLEANUP(st_packages_closep) struct st_packages *kept = NULL;
  if (st_packages_open(&kept, t->store_dir, err) < 0)
    return -1;
  for (size_t i = 0; i < f->list.count; i++) {
    const struct st_installed *p = &f->list.items[i];
    if (st_packages_find(kept, p->name, p->version, p->architecture))
      *f->sources[i] = ST_PACKAGE_KEPT;
  }
  return 0;
}

/* Where nobody has the package's own file, one that was put together again. */
static enum st_package_source repacked_or(const struct st_packages *kept,
                                          const struct st_installed *p,
                                          enum st_package_source otherwise)
{
  bool has = st_packages_find_repacked(kept, p->name, p->version, p->architecture);
  return has ? ST_PACKAGE_REPACKED : otherwise;
}

static void find_repacked(struct st_tracker *t, struct files *f)
{
  ST_CLEANUP(st_packages_closep) struct st_packages *kept = NULL;
  if (st_packages_open(&kept, t->store_dir, NULL) < 0)
    return;
  for (size_t i = 0; i < f->list.count; i++)
    *f->sources[i] = repacked_or(kept, &f->list.items[i], *f->sources[i]);
}

/* Of what is not kept, whether the root's own lists have it. */
static int find_obtainable(struct st_tracker *t, struct files *f, struct st_error *err)
{
  bool *obtainable = st_calloc(f->list.count + 1, sizeof(*obtainable));
  ST_AUTO_FREE void *owned = obtainable;
  if (f->list.count > 0 && st_fetch_look(t, &f->list, true, obtainable, err) < 0)
    return -1;
  for (size_t i = 0; i < f->list.count; i++)
    *f->sources[i] = obtainable[i] ? ST_PACKAGE_OBTAINABLE : ST_PACKAGE_MISSING;
  return 0;
}

void st_sources_find(struct st_tracker *t, struct st_package_steps *steps)
{
  ST_AUTO_FILES all = {0}, rest = {0}, missing = {0}, unknown = {0};
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  gather(&all, steps, true, ST_PACKAGE_NO_SOURCE);
  int r = find_kept(t, &all, &why);
  gather(&rest, steps, true, ST_PACKAGE_NO_SOURCE);
  if (r == 0)
    r = find_obtainable(t, &rest, &why);
  if (r < 0)
    fprintf(stderr, "systracker: the root's own sources cannot be asked: %s\n",
            st_error_text(&why));
  gather(&missing, steps, true, ST_PACKAGE_MISSING);
  find_repacked(t, &missing);
  gather(&unknown, steps, true, ST_PACKAGE_NO_SOURCE);
  find_repacked(t, &unknown);
}

/* ---- Fetching -------------------------------------------------------------------------------- */

struct fetched {
  struct st_tracker *t;
  struct st_packages *kept;
  struct files *files;
};

static enum st_package_source *find_wanted(const struct fetched *f,
                                           const struct st_packagefile *file)
{
  for (size_t i = 0; i < f->files->list.count; i++) {
    const struct st_installed *p = &f->files->list.items[i];
    bool other = p->header && *p->header && file->header && strcmp(p->header, file->header) != 0;
    if (st_installed_is(p, &file->is) && !other)
      return f->files->sources[i];
  }
  return NULL;
}

/* One that is not what was asked for is passed over, and stays missing. */
static int keep_fetched(void *arg, int fd, const char *name, struct st_error *err)
{
  const struct fetched *f = arg;
  ST_AUTO_PACKAGEFILE file = {0};
  if (st_packagefile_read(&file, fd, name, true, err) < 0) {
    st_error_clear(err);
    return 0;
  }
  enum st_package_source *source = find_wanted(f, &file);
  if (!source)
    return 0;
  if (st_packages_keep(f->kept, fd, &file.is, f->t->conf->min_free, err) < 0)
    return st_wrap(err, "%s %s cannot be kept", st_quote(file.is.name), st_quote(file.is.version));
  *source = ST_PACKAGE_KEPT;
  return 0;
}

static int fetch(struct st_tracker *t, struct files *files, struct st_error *err)
{
  ST_CLEANUP(st_packages_closep) struct st_packages *kept = NULL;
  bool *wanted = st_calloc(files->list.count, sizeof(*wanted));
  ST_AUTO_FREE void *owned = wanted;
  for (size_t i = 0; i < files->list.count; i++)
    wanted[i] = true;
  if (st_packages_open(&kept, t->store_dir, err) < 0)
    return -1;
  struct fetched f = {t, kept, files};
  return st_fetch(t, &files->list, wanted, keep_fetched, &f, err);
}

int st_sources_fetch(struct st_tracker *t, struct st_package_steps *steps, bool undo,
                     struct st_error *err)
{
  ST_AUTO_FILES files = {0};
  gather(&files, steps, undo, ST_PACKAGE_OBTAINABLE);
  if (files.list.count == 0)
    return 0;
  if (fetch(t, &files, err) < 0)
    return st_wrap(err, "package files cannot be fetched, nothing was changed");
  for (size_t i = 0; i < files.list.count; i++) {
    if (*files.sources[i] != ST_PACKAGE_KEPT)
      *files.sources[i] = ST_PACKAGE_UNFETCHED;
  }
  ST_AUTO_FILES rest = {0};
  gather(&rest, steps, undo, ST_PACKAGE_UNFETCHED);
  find_repacked(t, &rest);
  return 0;
}

int st_sources_show(struct st_tracker *t, const struct st_package_step *step, char **ret,
                    struct st_error *err)
{
  const struct st_installed package = {
      .name = step->name, .version = step->after, .architecture = step->architecture};
  return st_fetch_show(t, &package, ret, err);
}
