/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/expire.h"

#include "systracker/base/escape.h"

void st_expiry_clear(struct st_expiry *e)
{
  st_choices_free(&e->choices);
  st_prune_result_free(&e->result);
}

struct tags {
  const struct st_strings *wanted;
  struct st_strings *ret;
};

static int add_tag(void *arg, const char *name, int64_t number)
{
  const struct tags *t = arg;
  (void)number;
  if (st_strings_has(t->wanted, name))
    st_strings_add(t->ret, name);
  return 0;
}

static int choose(struct st_catalog *c, const struct st_retention *keep, struct st_choices *ret,
                  struct st_error *err)
{
  struct st_retention own = *keep;
  own.tags = (struct st_strings){0};
  struct tags tags = {&keep->tags, &own.tags};
  int r = keep->tags.count ? st_catalog_tags(c, add_tag, &tags, err) : 0;
  if (r == 0)
    r = st_prune_choose(c, &own, NULL, 0, ret, err);
  st_strings_free(&own.tags);
  return r;
}

static int64_t count_going(const struct st_choices *choices)
{
  int64_t n = 0;
  for (size_t i = 0; i < choices->count; i++)
    n += choices->items[i].kept == 0;
  return n;
}

/* All stay. */
static int64_t leave(struct st_choices *choices)
{
  choices->count = 0;
  return 0;
}

static int prune(struct st_archive *a, struct st_fleet *fleet, const char *host,
                 struct st_expiry *e, struct st_error *err)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *c = NULL;
  if (st_archive_catalog(a, host, ST_CATALOG_WRITE | ST_CATALOG_REPLICA, &c, err) < 0 ||
      st_catalog_prune(c, &e->choices, &e->result, err) < 0 || st_catalog_prune_commit(c, err) < 0)
    return -1;
  return fleet ? st_fleet_learn(fleet, host, c, err) : 0;
}

int st_expire_host(struct st_archive *a, struct st_fleet *fleet, const char *host,
                   const struct st_expiry_options *options, struct st_expiry *ret,
                   struct st_error *err)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *c = NULL;
  *ret = (struct st_expiry){0};
  int r = st_archive_catalog(a, host, ST_CATALOG_READ, &c, err);
  if (r == -ENOENT) { /* its first sync was interrupted */
    st_error_clear(err);
    return 1;
  }
  if (r < 0 || choose(c, options->keep, &ret->choices, err) < 0)
    return st_wrap(err, "host %s", st_quote(host));
  st_catalog_close(st_steal(&c));
  int64_t going = count_going(&ret->choices);
  if (options->lazily && going < 1 + ((int64_t)ret->choices.count - going) / 16)
    going = leave(&ret->choices);
  if (going == 0 || options->dry_run) {
    ret->result.checkpoints = going;
    return 0;
  }
  return prune(a, fleet, host, ret, err) < 0 ? st_wrap(err, "host %s", st_quote(host)) : 0;
}
