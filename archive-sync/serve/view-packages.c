/* SPDX-License-Identifier: GPL-2.0-or-later */
/* view-packages.c - a host's packages, and what is not as they have it. */
#include <string.h>
#include <time.h>

#include "archive-sync/serve/view-internal.h"
#include "systracker/base/set.h"

/* ---- Deviations ---------------------------------------------------------------------------------
 */

struct deviations {
  struct st_view_span span;
  st_view_deviation_fn *fn;
  void *arg;
  size_t n;
};

static int on_deviation(void *arg, const struct st_deviation *d, struct st_error *err)
{
  struct deviations *all = arg;
  if (!st_view_span_has(all->span, all->n++))
    return 0;
  const struct st_view_deviation told = {
      .package = d->package->name,
      .version = d->package->version,
      .architecture = d->package->architecture,
      .from = d->from,
      .path = d->path,
      .letter = d->letter,
      .configuration = d->configuration,
      .secret = d->secret,
      .words = d->words,
      .json = st_deviation_json(d),
  };
  int r = all->fn(all->arg, &told, err);
  json_decref(told.json);
  return r;
}

int st_hostview_deviations(struct st_hostview *v, int64_t number, const char *package,
                           struct st_view_span span, st_view_deviation_fn *fn, void *arg,
                           size_t *ret_total, struct st_error *err)
{
  struct deviations d = {.span = span, .fn = fn, .arg = arg};
  int r = st_deviations_each(v->t, number, package, true, on_deviation, &d, err);
  *ret_total = d.n;
  return r;
}

/* ---- Packages -----------------------------------------------------------------------------------
 */

/* To compare each stored path with what its package says takes seconds where there are 200,000: so
 * the counts are kept with the view, for as long as somebody turns pages.  A package's file that
 * came meanwhile may tell more. */
#define COUNTS_SECONDS 60

struct st_view_counts {
  int64_t number, made; /* the checkpoint; seconds, monotonic */
  struct st_set *names; /* the package in words -> its place */
  size_t *items;
  size_t count;
};

void st_view_counts_free(struct st_view_counts *c)
{
  st_set_free(c->names);
  free(c->items);
  free(c);
}

static int64_t monotonic(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec;
}

static int count(void *arg, const struct st_deviation *d, struct st_error *err)
{
  struct st_view_counts *c = arg;
  uint64_t at = c->count;
  (void)err;
  if (!st_set_get(c->names, d->name, strlen(d->name), &at)) {
    c->items = st_realloc(c->items, c->count + 1, sizeof(*c->items));
    c->items[c->count++] = 0;
    st_set_add(c->names, d->name, strlen(d->name), at);
  }
  c->items[at]++;
  return 0;
}

static int need_counts(struct st_hostview *v, int64_t number, struct st_error *err)
{
  struct st_view_counts *c = v->counts;
  if (c && c->number == number && monotonic() - c->made < COUNTS_SECONDS)
    return 0;
  v->counts = NULL;
  if (c)
    st_view_counts_free(c);
  c = st_calloc(1, sizeof(*c));
  *c = (struct st_view_counts){.number = number, .made = monotonic(), .names = st_set_new()};
  if (st_deviations_each(v->t, number, NULL, true, count, c, err) < 0) {
    st_view_counts_free(c);
    return -1;
  }
  v->counts = c;
  return 0;
}

struct list {
  struct st_hostview *v;
  const struct st_view_package_query *query;
  struct st_packaged *items;
  size_t count;
};

static void list_clear(struct list *l)
{
  for (size_t i = 0; i < l->count; i++)
    st_packaged_clear(&l->items[i]);
  free(l->items);
}

static size_t deviations_of(const struct list *l, const struct st_packaged *p)
{
  ST_AUTO_FREE char *name = st_packaged_name(p);
  uint64_t at;
  const struct st_view_counts *c = l->v->counts;
  return st_set_get(c->names, name, strlen(name), &at) ? c->items[at] : 0;
}

static int on_package(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  struct list *l = arg;
  struct st_packaged p;
  (void)err;
  st_packaged_of(fact, &p);
  if ((l->query->match && !strstr(p.name, l->query->match)) ||
      (l->query->deviating && deviations_of(l, &p) == 0)) {
    st_packaged_clear(&p);
    return 0;
  }
  if ((l->count & (l->count - 1)) == 0) /* a power of 2: full */
    l->items = st_realloc(l->items, l->count ? 2 * l->count : 1, sizeof(*l->items));
  l->items[l->count++] = p;
  return 0;
}

static int by_name(const void *a, const void *b)
{
  const struct st_packaged *x = a, *y = b;
  int r = strcmp(x->name, y->name);
  if (r == 0)
    r = strcmp(x->architecture, y->architecture);
  return r ? r : strcmp(x->version, y->version);
}

static int tell(struct list *l, const struct st_packaged *p, st_view_package_fn *fn, void *arg,
                struct st_error *err)
{
  int kept = st_packaged_is_kept(l->v->t, p, err);
  const struct st_view_package told = {
      .name = p->name,
      .version = p->version,
      .architecture = p->architecture,
      .since = p->since,
      .kept = kept > 0,
      .deviations = deviations_of(l, p),
  };
  return kept < 0 ? -1 : fn(arg, &told, err);
}

static int read_packages(struct list *l, int64_t number, struct st_error *err)
{
  struct st_catalog *c = l->v->t->catalog;
  const struct st_catalog_table *table;
  for (size_t n = 0; (table = st_catalog_table_at(c, n)); n++)
    if ((table->declaration.flags & ST_TABLE_PACKAGES) &&
        st_catalog_each(c, number, table, NULL, on_package, l, err) < 0)
      return -1;
  if (l->count > 1)
    qsort(l->items, l->count, sizeof(*l->items), by_name);
  return 0;
}

int st_hostview_packages(struct st_hostview *v, int64_t number,
                         const struct st_view_package_query *query, st_view_package_fn *fn,
                         void *arg, size_t *ret_total, struct st_error *err)
{
  ST_CLEANUP(list_clear) struct list l = {.v = v, .query = query};
  if (need_counts(v, number, err) < 0 || read_packages(&l, number, err) < 0)
    return -1;
  int r = 0;
  for (size_t i = 0; i < l.count && r == 0; i++)
    if (st_view_span_has(query->span, i))
      r = tell(&l, &l.items[i], fn, arg, err);
  *ret_total = l.count;
  return r;
}
