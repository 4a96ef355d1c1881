/* SPDX-License-Identifier: GPL-2.0-or-later */
/* api-hosts.c - hosts and their checkpoints. */
#include <string.h>

#include "archive-sync/serve/api.h"
#include "systracker/base/escape.h"
#include "systracker/commands/command.h"

/* ---- Hosts --------------------------------------------------------------------------------------
 */

/* "3,0,12" as numbers. */
static json_t *nights_json(const char *nights)
{
  json_t *array = json_array();
  while (nights && *nights) {
    char *end;
    json_array_append_new(array, json_integer(strtoll(nights, &end, 10)));
    nights = *end == ',' ? end + 1 : "";
  }
  return array;
}

/* null, too, where they may not know of it. */
static json_t *other_json(struct st_request *r, const char *other)
{
  return st_api_name(st_access_may_see(r->server->access, &r->who, other) ? other : "");
}

/* What is known of its key and of who goes on for whom. */
static void set_access(struct st_request *r, const char *id, json_t *o)
{
  struct st_access_host host;
  bool known = st_access_host(r->server->access, id, &host);
  json_object_set_new(o, "state",
                      known ? json_string(st_host_state_name(host.state)) : json_null());
  json_object_set_new(o, "continues", known ? other_json(r, host.continues) : json_null());
  json_object_set_new(o, "continued_by", known ? other_json(r, host.continued) : json_null());
  json_object_set_new(o, "two_machines", known ? st_api_time(host.twins) : json_null());
}

static json_t *host_json(struct st_request *r, const struct st_fleet_host *host)
{
  json_t *o = json_object();
  json_object_set_new(o, "host", json_string(host->id));
  json_object_set_new(o, "name", st_json_path(host->name ? host->name : ""));
  json_object_set_new(o, "checkpoints", json_integer(host->number));
  json_object_set_new(o, "time", st_api_time(host->time));
  json_object_set_new(o, "received", st_api_time(host->received));
  json_object_set_new(o, "epoch", json_integer(host->epoch));
  json_object_set_new(o, "incomplete", json_boolean(host->incomplete));
  json_object_set_new(o, "silent", json_boolean(host->silent));
  json_object_set_new(o, "packages", json_integer(host->packages));
  json_object_set_new(o, "deviations", json_integer(host->deviations));
  json_object_set_new(o, "files", json_integer(host->files));
  json_object_set_new(o, "bytes", json_integer(host->bytes));
  json_object_set_new(o, "nights", nights_json(host->nights));
  set_access(r, host->id, o);
  return o;
}

struct listing {
  struct st_request *r;
  json_t *array;
};

static int add_host(void *arg, const struct st_fleet_host *host, struct st_error *err)
{
  struct listing *l = arg;
  (void)err;
  return json_array_append_new(l->array, host_json(l->r, host));
}

static bool may_see(void *arg, const char *host)
{
  struct st_request *r = arg;
  return st_access_may_see(r->server->access, &r->who, host);
}

static int read_sort(struct st_request *r, struct st_fleet_query *query)
{
  static const char *const sorts[] = {"name", "age", "changes", "size", "silent"};
  const char *sort = st_request_query(r, "sort");
  query->sort = "name";
  for (size_t i = 0; sort && i < ST_COUNT(sorts); i++)
    if (strcmp(sort, sorts[i]) == 0) {
      query->sort = sorts[i];
      return 0;
    }
  if (sort)
    st_reply_refuse(r, 400, "sort is one of name, age, changes, size, silent");
  return sort != NULL;
}

int st_api_hosts(struct st_request *r, struct st_error *err)
{
  struct st_view_span span;
  struct st_fleet_query query = {.arg = r};
  size_t total;
  const char *name = st_request_query(r, "name");
  if (st_api_span(r, &span) || read_sort(r, &query) ||
      st_api_flag(r, "descending", &query.descending) ||
      st_api_flag(r, "silent", &query.silent_only))
    return 0;
  query.match = name && *name ? name : NULL;
  query.offset = span.offset;
  query.limit = span.limit;
  query.visible = st_access_sees_all(r->server->access, &r->who) ? NULL : may_see;
  struct listing l = {r, json_array()};
  if (st_fleet_hosts(r->server->fleet, &query, add_host, &l, &total, err) < 0) {
    json_decref(l.array);
    return -1;
  }
  return st_reply_json(r, json_pack("{s:I, s:o}", "total", (json_int_t)total, "hosts", l.array));
}

/* An older epoch is known by its catalog alone. */
static json_t *epoch_json(struct st_request *r, struct st_hostview *v, struct st_error *err)
{
  ST_CLEANUP(st_checkpoint_clear) struct st_checkpoint cp = {0};
  if (v->latest > 0 && st_catalog_checkpoint(v->t->catalog, v->latest, &cp, err) < 0)
    return NULL;
  json_t *o = json_object();
  ST_AUTO_FREE char *id = st_memdup(v->host, ST_HOST_ID_SIZE - 1);
  json_object_set_new(o, "host", json_string(v->host));
  json_object_set_new(o, "name", st_json_words(v->name));
  json_object_set_new(o, "checkpoints", json_integer(v->latest));
  json_object_set_new(o, "time", st_api_time(cp.time));
  json_object_set_new(o, "epoch", json_integer(cp.epoch));
  json_object_set_new(o, "incomplete", json_boolean(cp.incomplete));
  set_access(r, id, o);
  return o;
}

static int set_epochs(struct st_request *r, const char *host, json_t *o, struct st_error *err)
{
  ST_AUTO_STRINGS epochs = {0};
  json_t *older = json_array();
  json_object_set_new(o, "older_epochs", older);
  if (strchr(host, '/'))
    return 0;
  if (st_archive_epochs(r->server->archive, host, &epochs, err) < 0)
    return -1;
  for (size_t i = 0; i < epochs.count; i++)
    json_array_append_new(older, json_integer(strtoll(epochs.items[i], NULL, 10)));
  return 0;
}

static int find_host(struct st_request *r, const char *host, json_t **ret, struct st_error *err)
{
  struct listing l = {r, json_array()};
  ST_AUTO_HOSTVIEW *v = NULL;
  int found = strchr(host, '/') ? 1 : st_fleet_host(r->server->fleet, host, add_host, &l, err);
  *ret = json_incref(json_array_get(l.array, 0));
  json_decref(l.array);
  if (found <= 0)
    return found;
  st_error_clear(err);
  found = st_api_open(r, host, &v, err);
  if (found == 0)
    *ret = epoch_json(r, v, err);
  return found ? found : *ret ? 0 : -1;
}

int st_api_host(struct st_request *r, struct st_error *err)
{
  json_t *o = NULL;
  int found = find_host(r, r->parts[0], &o, err);
  if (found)
    return found < 0 ? -1 : 0;
  if (set_epochs(r, r->parts[0], o, err) < 0) {
    json_decref(o);
    return -1;
  }
  return st_reply_json(r, o);
}

/* ---- Checkpoints --------------------------------------------------------------------------------
 */

static int add_checkpoint(void *arg, const struct st_checkpoint *cp, const char *words,
                          struct st_error *err)
{
  json_t *o = cmd_checkpoint_json(cp);
  (void)err;
  json_object_set_new(o, "words", json_string(words));
  return json_array_append_new(arg, o);
}

int st_api_checkpoints(struct st_request *r, struct st_error *err)
{
  ST_AUTO_HOSTVIEW *v = NULL;
  struct st_view_span span;
  size_t total;
  if (st_api_span(r, &span))
    return 0;
  int found = st_api_open(r, r->parts[0], &v, err);
  if (found)
    return found < 0 ? -1 : 0;
  json_t *array = json_array();
  if (st_hostview_checkpoints(v, span, add_checkpoint, array, &total, err) < 0) {
    json_decref(array);
    return -1;
  }
  return st_reply_json(r,
                       json_pack("{s:I, s:o}", "total", (json_int_t)total, "checkpoints", array));
}

static json_t *show_json(struct st_hostview *v, const struct st_checkpoint *cp,
                         const struct st_view_scope *scope)
{
  int64_t before = st_catalog_before(v->t->catalog, cp->number);
  json_t *o = cmd_checkpoint_json(cp);
  json_object_set_new(o, "before", before > 0 ? json_integer(before) : json_null());
  json_object_set_new(o, "plugins", st_json_words_each(&scope->plugins));
  json_object_set_new(o, "mounts", st_json_words_each(&scope->mounts));
  json_object_set_new(o, "unobserved", st_json_words_each(&scope->missed));
  return o;
}

int st_api_show(struct st_request *r, struct st_error *err)
{
  ST_AUTO_HOSTVIEW *v = NULL;
  ST_CLEANUP(st_checkpoint_clear) struct st_checkpoint cp = {0};
  ST_CLEANUP(st_view_scope_clear) struct st_view_scope scope = {0};
  int64_t number;
  int found = st_api_open(r, r->parts[0], &v, err);
  if (found == 0)
    found = st_api_checkpoint(r, v, r->parts[1], &number);
  if (found)
    return found < 0 ? -1 : 0;
  if (st_catalog_checkpoint(v->t->catalog, number, &cp, err) < 0 ||
      st_hostview_scope(v, number, &scope, err) < 0)
    return -1;
  return st_reply_json(r, show_json(v, &cp, &scope));
}
