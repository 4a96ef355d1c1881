/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "plugins/dpkg_track/lines.h"
#include "plugins/entries.h"

void manifest_clear(struct manifest *m)
{
  for (size_t i = 0; i < m->count; i++) {
    free(m->items[i].path);
    free(m->items[i].target);
  }
  free(m->items);
  *m = (struct manifest){0};
}

int manifest_add(struct manifest *m, const struct expectation *e, struct st_error *err)
{
  if (!array_room((void **)&m->items, m->count, sizeof(*e)))
    return st_fail(err, 0, "out of memory");
  struct expectation *copy = &m->items[m->count];
  *copy = *e;
  copy->path = strdup(e->path);
  copy->target = e->target ? strdup(e->target) : NULL;
  m->count++;
  if (!copy->path || (e->target && !copy->target))
    return st_fail(err, 0, "out of memory");
  return 0;
}

/* ---- Order ------------------------------------------------------------------------------------
 */

/* What stays, where a package has several at one place. */
static int rank(char type)
{
  return type == 'f' ? 4 : type == 'd' ? 2 : type == 'l' ? 1 : type ? 3 : 0;
}

static int by_path(const void *a, const void *b)
{
  const struct expectation *x = a, *y = b;
  int r = strcmp(x->path, y->path);
  return r != 0 ? r : rank(y->type) - rank(x->type);
}

static int by_links(const void *a, const void *b)
{
  const struct expectation *x = *(struct expectation *const *)a,
                           *y = *(struct expectation *const *)b;
  if (x->group_of_links != y->group_of_links)
    return x->group_of_links < y->group_of_links ? -1 : 1;
  return strcmp(x->path, y->path);
}

static void drop_doubles(struct manifest *m)
{
  size_t kept = 0;
  for (size_t i = 0; i < m->count; i++) {
    struct expectation *e = &m->items[i];
    if (kept > 0 && strcmp(e->path, m->items[kept - 1].path) == 0) {
      free(e->path);
      free(e->target);
      continue;
    }
    m->items[kept++] = *e;
  }
  m->count = kept;
}

/* Those that are one inode, each group by itself and in order of paths; malloc'ed. */
static struct expectation **linked(struct manifest *m, size_t *ret_count)
{
  struct expectation **list = calloc(m->count + 1, sizeof(struct expectation *));
  *ret_count = 0;
  for (size_t i = 0; list && i < m->count; i++) {
    if (m->items[i].group_of_links)
      list[(*ret_count)++] = &m->items[i];
  }
  if (list)
    qsort(list, *ret_count, sizeof(struct expectation *), by_links);
  return list;
}

/* ---- Rows -------------------------------------------------------------------------------------
 */

static struct st_value number_if(bool known, int64_t number)
{
  return known ? st_integer(number) : st_null();
}

/* `first`: the name of its group of links; NULL: it is the only one. */
static int tell_entry(const struct expectation *e, const char *first, struct st_manifest *out,
                      struct st_error *err)
{
  bool seen = e->type != 0, timed = seen && e->type != 'd';
  const struct st_value row[LINK_GROUP + 1] = {
      [PATH] = st_path_value(e->path),
      [TYPE] = seen ? st_bytes_value(ST_TEXT, &e->type, 1) : st_null(),
      [MODE] = number_if(seen, e->mode),
      [UID] = number_if(seen, e->uid),
      [GID] = number_if(seen, e->gid),
      [OWNER] = st_text_value(e->owner),
      [GROUP] = st_text_value(e->group),
      [MTIME] = number_if(timed, e->mtime),
      [MTIME_NSEC] = number_if(timed, e->mtime_nsec),
      [RDEV] = number_if(e->type == 'c' || e->type == 'b', (int64_t)e->rdev),
      [TARGET] = st_string_value(ST_BYTES, e->target),
      [LINK_GROUP] = st_string_value(ST_BYTES, first),
  };
  const struct st_value file[FILE_COLUMNS] = {
      [FILE_PATH] = st_path_value(e->path),
      [DIGEST] = st_id_value(&e->digest),
      [SIZE] = st_integer((int64_t)e->size),
  };
  if (st_expect(out, ENTRY_TABLE, row, LINK_GROUP + 1, err) < 0)
    return -1;
  return e->has_digest ? st_expect(out, FILE_TABLE, file, FILE_COLUMNS, err) : 0;
}

static int tell_linked(struct expectation **list, size_t count, struct st_manifest *out,
                       struct st_error *err)
{
  for (size_t i = 0, first = 0; i < count; i++) {
    if (list[i]->group_of_links != list[first]->group_of_links)
      first = i;
    bool alone = i == first &&
                 (i + 1 == count || list[i + 1]->group_of_links != list[first]->group_of_links);
    if (tell_entry(list[i], alone ? NULL : list[first]->path, out, err) < 0)
      return -1;
  }
  return 0;
}

int manifest_tell(struct manifest *m, struct st_manifest *out, struct st_error *err)
{
  size_t count;
  if (m->count > 0)
    qsort(m->items, m->count, sizeof(*m->items), by_path);
  drop_doubles(m);
  struct expectation **list = linked(m, &count);
  int r = list ? tell_linked(list, count, out, err) : st_fail(err, 0, "out of memory");
  for (size_t i = 0; i < m->count && r == 0; i++) {
    if (!m->items[i].group_of_links)
      r = tell_entry(&m->items[i], NULL, out, err);
  }
  free(list);
  return r;
}
