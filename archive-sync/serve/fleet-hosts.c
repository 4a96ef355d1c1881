/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fleet-hosts.c - the list of hosts, from memory. */
#include <ctype.h>
#include <string.h>
#include <time.h>

#include "archive-sync/serve/fleet-internal.h"

/* ---- Chosen ------------------------------------------------------------------------------------
 */

static bool contains(const char *text, const char *part)
{
  size_t n = strlen(part);
  for (; *text; text++)
    if (strncasecmp(text, part, n) == 0)
      return true;
  return n == 0;
}

/* An older epoch is no host, and one that has sent nothing is not listed. */
static bool is_listed(const struct st_fleet *f, const struct st_fleet_query *q,
                      const struct st_fleet_entry *e, int64_t now)
{
  return e && !strchr(e->key, '/') && e->head.number > 0 &&
         (!q->match || contains(e->name, q->match) || contains(e->key, q->match)) &&
         (!q->silent_only || st_fleet_is_silent(f, e, now)) &&
         (!q->visible || q->visible(q->arg, e->key));
}

/* ---- Sorted ------------------------------------------------------------------------------------
 */

struct item {
  const struct st_fleet_entry *e;
  int64_t by; /* less comes first; all equal: by name */
};

static int compare(const void *x, const void *y)
{
  const struct item *a = x, *b = y;
  if (a->by != b->by)
    return a->by < b->by ? -1 : 1;
  int c = strcasecmp(a->e->name, b->e->name);
  return c ? c : strcmp(a->e->key, b->e->key);
}

static int64_t weight(const struct st_fleet *f, const struct st_fleet_entry *e, const char *sort,
                      int64_t now)
{
  if (strcmp(sort, "age") == 0)
    return now - e->received;
  if (strcmp(sort, "changes") == 0)
    return e->nights[ST_FLEET_NIGHTS - 1];
  if (strcmp(sort, "size") == 0)
    return e->bytes;
  return strcmp(sort, "silent") == 0 ? !st_fleet_is_silent(f, e, now) : 0;
}

static void reverse(struct item *items, size_t count)
{
  for (size_t i = 0; i < count / 2; i++) {
    struct item swapped = items[i];
    items[i] = items[count - 1 - i];
    items[count - 1 - i] = swapped;
  }
}

static size_t choose(const struct st_fleet *f, const struct st_fleet_query *q, int64_t now,
                     struct item *items)
{
  const char *sort = q->sort ? q->sort : "name";
  size_t count = 0;
  for (size_t i = 0; i < f->count; i++)
    if (is_listed(f, q, f->hosts[i], now))
      items[count++] = (struct item){f->hosts[i], weight(f, f->hosts[i], sort, now)};
  if (count > 0)
    qsort(items, count, sizeof(*items), compare);
  if (q->descending)
    reverse(items, count);
  return count;
}

/* ---- Shown -------------------------------------------------------------------------------------
 */

/* A copy, so that nothing is held while others do with it what they like. */
struct shown {
  struct st_fleet_host host;
  char *name, *nights;
};

static char *nights_of(const struct st_fleet_entry *e)
{
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  for (size_t i = 0; i < ST_FLEET_NIGHTS; i++)
    st_buffer_printf(&b, "%s%u", i ? "," : "", e->nights[i]);
  return st_buffer_steal(&b, NULL);
}

static void copy(struct shown *to, const struct st_fleet *f, const struct st_fleet_entry *e,
                 int64_t now)
{
  to->name = st_strdup(e->name);
  to->nights = nights_of(e);
  to->host = (struct st_fleet_host){
      .name = to->name,
      .epoch = e->head.epoch,
      .number = e->head.number,
      .time = e->head.time,
      .received = e->received,
      .incomplete = e->incomplete,
      .silent = st_fleet_is_silent(f, e, now),
      .packages = e->packages,
      .deviations = e->deviations,
      .files = e->files,
      .bytes = e->bytes,
      .nights = to->nights,
  };
  snprintf(to->host.id, sizeof(to->host.id), "%.*s", ST_HOST_ID_SIZE - 1, e->key);
}

static int show(struct shown *items, size_t count, st_fleet_host_fn *fn, void *arg,
                struct st_error *err)
{
  int r = 0;
  for (size_t i = 0; i < count; i++) {
    if (r == 0)
      r = fn(arg, &items[i].host, err);
    free(items[i].name);
    free(items[i].nights);
  }
  return r;
}

int st_fleet_hosts(struct st_fleet *f, const struct st_fleet_query *query, st_fleet_host_fn *fn,
                   void *arg, size_t *ret_total, struct st_error *err)
{
  int64_t now = (int64_t)time(NULL);
  pthread_rwlock_rdlock(&f->lock);
  ST_AUTO_FREE struct item *items = st_calloc(f->count + 1, sizeof(*items));
  size_t total = choose(f, query, now, items);
  size_t first = query->offset < total ? query->offset : total, count = total - first;
  if (query->limit > 0 && query->limit < count)
    count = query->limit;
  ST_AUTO_FREE struct shown *shown = st_calloc(count + 1, sizeof(*shown));
  for (size_t i = 0; i < count; i++)
    copy(&shown[i], f, items[first + i].e, now);
  pthread_rwlock_unlock(&f->lock);
  if (ret_total)
    *ret_total = total;
  return show(shown, count, fn, arg, err);
}

int st_fleet_host(struct st_fleet *f, const char *host, st_fleet_host_fn *fn, void *arg,
                  struct st_error *err)
{
  struct shown shown;
  pthread_rwlock_rdlock(&f->lock);
  const struct st_fleet_entry *e = st_fleet_find(f, host);
  if (e)
    copy(&shown, f, e, (int64_t)time(NULL));
  pthread_rwlock_unlock(&f->lock);
  return e ? show(&shown, 1, fn, arg, err) : 1;
}
