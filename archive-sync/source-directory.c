/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "archive-sync/recovery.h"
#include "archive-sync/source.h"
#include "systracker/base/escape.h"

struct directory {
  struct st_source s;
  struct st_archive *a;
  struct st_packages *packages;
};

static void close_directory(struct st_source *s)
{
  struct directory *dir = (struct directory *)s;
  st_packages_closep(&dir->packages);
  if (dir->a)
    st_archive_close(dir->a);
  free(dir);
}

/* ---- Which host --------------------------------------------------------------------------------
 */

static int default_host(struct directory *dir, char **ret, struct st_error *err)
{
  ST_AUTO_STRINGS ids = {0};
  const char *own = dir->s.pull->t->keys.host_id;
  if (st_archive_hosts(dir->a, &ids, err) < 0)
    return -1;
  if (ids.count == 0)
    return st_refuse(err, "there is no host in the archive yet");
  if (!st_strings_has(&ids, own) && ids.count > 1)
    return st_fail(err, 0, "there are %zu hosts in the archive: --host names one", ids.count);
  *ret = st_strdup(ids.count > 1 ? own : ids.items[0]);
  return 0;
}

static int choose(struct st_source *s, bool early, struct st_error *err)
{
  struct directory *dir = (struct directory *)s;
  const char *name = s->pull->options->host;
  char *to = s->pull->result->host;
  size_t size = sizeof(s->pull->result->host);
  ST_AUTO_FREE char *host = NULL;
  if (early && !name)
    return 1;
  int r = name ? st_archive_find_host(dir->a, name, &host, err) : default_host(dir, &host, err);
  if (r < 0)
    return -1;
  if (strlen(host) >= size)
    return st_fail(err, 0, "there is no such epoch (%s)", host);
  strncpy(to, host, size - 1);
  return 0;
}

static int open_host(struct st_source *s, struct st_catalog **ret,
                     const struct st_packages **ret_packages, struct st_error *err)
{
  struct directory *dir = (struct directory *)s;
  if (st_archive_catalog(dir->a, s->pull->result->host, ST_CATALOG_READ, ret, err) < 0 ||
      st_packages_open(&dir->packages, dir->a->dir, err) < 0)
    return -1;
  *ret_packages = dir->packages;
  return 0;
}

/* ---- What is brought ---------------------------------------------------------------------------
 */

static int bring_object(struct directory *dir, const struct st_id *id, struct st_error *err)
{
  struct st_pull *p = dir->s.pull;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int r = st_store_copy(p->t->store, dir->a->store, id, &why);
  p->result->objects += r > 0;
  if (r >= 0)
    return 0;
  if (st_store_has(dir->a->store, id) && why.code != 0)
    return st_fail(err, 0, "%s", st_error_text(&why));
  st_pull_passed_over(p, &why);
  return 0;
}

static int objects(struct st_source *s, const struct st_id *ids, size_t count, struct st_error *err)
{
  int r = 0;
  for (size_t i = 0; i < count && r == 0; i++)
    r = bring_object((struct directory *)s, &ids[i], err);
  return r;
}

static int package(struct st_source *s, struct st_packages *to, const struct st_package *package,
                   struct st_error *err)
{
  return st_package_copy(to, ((struct directory *)s)->packages, package, err);
}

static int key(struct st_source *s, const char *id, struct st_error *err)
{
  return st_recovery_bring(((struct directory *)s)->a, id, s->pull->t->store_dir, err);
}

int st_source_directory(struct st_source **ret, struct st_pull *p, const char *url,
                        struct st_error *err)
{
  static const struct st_source_ops ops = {
      .choose = choose,
      .open = open_host,
      .objects = objects,
      .package = package,
      .key = key,
      .close = close_directory,
  };
  ST_CLEANUP(st_source_closep) struct st_source *s = NULL;
  struct directory *dir = st_calloc(1, sizeof(*dir));
  dir->s = (struct st_source){.ops = &ops, .pull = p};
  s = &dir->s;
  if (st_archive_open(&dir->a, url, false, err) < 0 ||
      st_archive_objects(dir->a, ST_STORE_READ, NULL, err) < 0)
    return -1;
  *ret = st_steal(&s);
  return 0;
}
