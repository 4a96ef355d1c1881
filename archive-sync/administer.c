/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/administer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "archive-sync/policy.h"
#include "archive-sync/serve/access.h"
#include "systracker/base/escape.h"
#include "systracker/base/text.h"
#include "systracker/store/packages.h"

static int open_to_look(const char *dir, struct st_archive **ret, struct st_error *err)
{
  return st_archive_open(ret, dir, true, err) < 0 ||
                 st_archive_objects(*ret, ST_STORE_READ, NULL, err) < 0
             ? -1
             : 0;
}

int st_administer_list(struct st_archive *a, struct st_strings *ret, struct st_error *err)
{
  ST_AUTO_STRINGS ids = {0};
  if (st_archive_hosts(a, &ids, err) < 0)
    return -1;
  for (size_t i = 0; i < ids.count; i++) {
    ST_AUTO_STRINGS epochs = {0};
    st_strings_add(ret, ids.items[i]);
    if (st_archive_epochs(a, ids.items[i], &epochs, err) < 0)
      return -1;
    for (size_t k = 0; k < epochs.count; k++)
      st_strings_take(ret, st_format("%s/epoch-%s", ids.items[i], epochs.items[k]));
  }
  return 0;
}

/* ---- hosts --------------------------------------------------------------------------------------
 */

/* A host, as it is listed. */
struct listed {
  const char *id, *name; /* name NULL: not kept */
  struct st_checkpoint cp;
  struct st_strings epochs;
  bool asked; /* the server: `access` says what it knows */
  struct st_access_host access;
  int64_t received, bytes; /* when the latest came; of catalog and chain */
  bool silent;
};

static void print_host_json(const struct listed *h)
{
  json_t *o = json_object(), *older = json_array();
  ST_AUTO_FREE char *time = st_format_time_utc(h->cp.time);
  ST_AUTO_FREE char *twins = st_format_time_utc(h->access.twins);
  ST_AUTO_FREE char *received = st_format_time_utc(h->received);
  for (size_t i = 0; i < h->epochs.count; i++)
    json_array_append_new(older, json_integer(strtoll(h->epochs.items[i], NULL, 10)));
  json_object_set_new(o, "host", json_string(h->id));
  json_object_set_new(o, "name", st_json_words(h->name ? h->name : ""));
  json_object_set_new(o, "checkpoints", json_integer(h->cp.number));
  json_object_set_new(o, "time", h->cp.number ? json_string(time) : json_null());
  json_object_set_new(o, "epoch", json_integer(h->cp.epoch));
  json_object_set_new(o, "older_epochs", older);
  json_object_set_new(o, "state",
                      h->asked ? json_string(st_host_state_name(h->access.state)) : json_null());
  json_object_set_new(o, "continues",
                      *h->access.continues ? json_string(h->access.continues) : json_null());
  json_object_set_new(o, "continued_by",
                      *h->access.continued ? json_string(h->access.continued) : json_null());
  json_object_set_new(o, "two_machines", h->access.twins ? json_string(twins) : json_null());
  json_object_set_new(o, "received", h->received ? json_string(received) : json_null());
  json_object_set_new(o, "silent", json_boolean(h->silent));
  json_object_set_new(o, "bytes", json_integer(h->bytes));
  st_cli_json(o);
}

/* "3 hours ago" */
static char *age_words(int64_t seconds)
{
  static const struct {
    int64_t seconds;
    const char *one, *many;
  } units[] = {{86400, "day", "days"}, {3600, "hour", "hours"}, {60, "minute", "minutes"}};
  for (size_t i = 0; i < ST_COUNT(units); i++)
    if (seconds >= units[i].seconds) {
      ST_AUTO_FREE char *n = cmd_count(seconds / units[i].seconds, units[i].one, units[i].many);
      return st_format("%s ago", n);
    }
  return st_strdup("just now");
}

static void print_state(const struct listed *h)
{
  ST_AUTO_FREE char *age = age_words((int64_t)time(NULL) - h->received);
  ST_AUTO_FREE char *size = st_format_size((uint64_t)h->bytes);
  if (h->received)
    printf(", received %s, catalog %s", age, size);
  if (h->silent)
    printf("; silent");
}

static void print_host(const struct listed *h)
{
  ST_AUTO_FREE char *latest = st_format_time(h->cp.time);
  printf("%s  %-16s %5" PRId64 " checkpoints", h->id, h->name ? h->name : "-", h->cp.number);
  if (h->cp.number)
    printf(", latest %s", latest);
  print_state(h);
  if (h->cp.epoch > 1)
    printf(", epoch %" PRId64, h->cp.epoch);
  for (size_t i = 0; i < h->epochs.count; i++)
    printf("%s%s", i ? ", " : "; older epochs: ", h->epochs.items[i]);
  if (h->asked && h->access.state != ST_HOST_APPROVED)
    printf("; %s", st_host_state_name(h->access.state));
  if (*h->access.continues)
    printf("; continues %s", h->access.continues);
  if (*h->access.continued)
    printf("; continued by %s", h->access.continued);
  if (h->access.twins)
    printf("; two machines use its key, from %s and %s", st_quote(h->access.address),
           st_quote(h->access.twin));
  putchar('\n');
}

static int show_host(struct st_cli *cli, struct st_archive *a, struct st_access *access,
                     const struct st_policy *policy, const char *id, struct st_error *err)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *c = NULL;
  struct listed h = {.id = id};
  ST_AUTO_FREE char *name = st_archive_host_name(a, id);
  int r = st_archive_catalog(a, id, ST_CATALOG_READ, &c, err);
  if (r < 0 && r != -ENOENT)
    return -1;
  st_error_clear(err);
  h.name = name;
  st_archive_stamp(a, id, &h.received, &h.bytes);
  h.asked = access && st_access_host(access, id, &h.access);
  h.silent = a->marked && h.received && !*h.access.continued &&
             (int64_t)time(NULL) - h.received > policy->silent_after * 3600;
  int64_t latest = c ? st_catalog_latest(c) : 0;
  r = (latest > 0 && st_catalog_checkpoint(c, latest, &h.cp, err) < 0) ||
              st_archive_epochs(a, id, &h.epochs, err) < 0
          ? -1
          : 0;
  if (r == 0 && cli->json)
    print_host_json(&h);
  else if (r == 0)
    print_host(&h);
  st_checkpoint_clear(&h.cp);
  st_strings_free(&h.epochs);
  return r;
}

/* What a server knows of them, where there was one. */
static int open_access(struct st_archive *a, struct st_access **ret, struct st_error *err)
{
  if (faccessat(a->dir, "access.db", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
    return 0;
  return st_access_open(ret, a->dir, err);
}

int st_administer_hosts(struct st_cli *cli, const char *dir, struct st_error *err)
{
  ST_AUTO_ARCHIVE *a = NULL;
  ST_CLEANUP(st_access_closep) struct st_access *access = NULL;
  ST_AUTO_POLICY policy = {0};
  ST_AUTO_STRINGS ids = {0};
  if (open_to_look(dir, &a, err) < 0 || st_archive_hosts(a, &ids, err) < 0 ||
      open_access(a, &access, err) < 0 || st_policy_read(a, &policy, err) < 0)
    return -1;
  for (size_t i = 0; i < ids.count; i++)
    if (show_host(cli, a, access, &policy, ids.items[i], err) < 0)
      return -1;
  return ST_EXIT_OK;
}

/* ---- verify -------------------------------------------------------------------------------------
 */

struct damage {
  const struct st_cli *cli;
  struct st_archive *a;
  const char *host; /* NULL: the objects */
  int64_t count, checkpoints;
  int64_t missing; /* objects, of the host */
  int64_t not_fetched;
  char own[ST_HOST_ID_SIZE]; /* whose store it is; "": an archive */
};

static void on_damage(void *arg, const char *words)
{
  struct damage *d = arg;
  d->count++;
  if (d->cli->json) {
    json_t *o = json_object();
    json_object_set_new(o, "host", d->host ? json_string(d->host) : json_null());
    json_object_set_new(o, "damage", st_json_words(words));
    st_cli_json(o);
  }
  fflush(stdout);
  fprintf(stderr, "systracker: damaged: %s%s%s\n", d->host ? d->host : "", d->host ? ": " : "",
          words);
}

/* Of a chain that was fetched into a host's store there may be as much as was asked for. */
static bool is_fetched(const struct damage *d)
{
  return !d->a->marked && strncmp(d->host, d->own, sizeof(d->own) - 1) != 0;
}

static int on_object(void *arg, const struct st_id *id)
{
  struct damage *d = arg;
  if (st_store_has_whole(d->a->store, id))
    return 0;
  if (is_fetched(d)) {
    d->not_fetched++;
    return 0;
  }
  d->missing++;
  char hex[2 * sizeof(id->digest) + 1] = "a secret";
  if (!id->keyed)
    st_hex(hex, id->digest, sizeof(id->digest));
  ST_AUTO_FREE char *words = st_format("an object that a checkpoint needs is missing (%s)", hex);
  on_damage(d, words);
  return 0;
}

/* A writer that was killed leaves a chain that lags behind its catalog: a writer completes it. */
static void complete_chain(struct damage *d)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *c = NULL;
  ST_AUTO_ERROR ignored = ST_ERROR_INIT; /* what is wrong with it is found below */
  if (d->a->lock >= 0)
    st_archive_catalog(d->a, d->host, ST_CATALOG_WRITE | ST_CATALOG_REPLICA, &c, &ignored);
}

static int verify_host(struct damage *d, struct st_error *err)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *c = NULL;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int r = st_archive_catalog(d->a, d->host, ST_CATALOG_READ, &c, &why);
  if (r < 0) {
    if (r != -ENOENT) /* a host whose first sync was interrupted has none */
      on_damage(d, st_error_text(&why));
    return 0;
  }
  complete_chain(d);
  d->checkpoints += st_catalog_latest(c);
  d->missing = 0;
  if (st_catalog_verify(c, on_damage, d, err) < 0 || st_catalog_objects(c, on_object, d, err) < 0)
    return -1;
  if (!d->a->marked || d->a->lock < 0 ||
      strchr(d->host, '/')) /* older epochs: nobody has them any more */
    return 0;
  return st_archive_want(d->a, d->host, d->missing > 0, err);
}

static void report_verify(const struct st_cli *cli, const struct damage *d, size_t hosts,
                          const struct st_store_size *size)
{
  if (cli->json) {
    json_t *o = json_object();
    json_object_set_new(o, "hosts", json_integer((json_int_t)hosts));
    json_object_set_new(o, "checkpoints", json_integer(d->checkpoints));
    json_object_set_new(o, "objects", json_integer((json_int_t)size->objects));
    json_object_set_new(o, "stored", json_integer((json_int_t)size->stored));
    json_object_set_new(o, "damaged", json_integer(d->count));
    json_object_set_new(o, "not_fetched", json_integer(d->not_fetched));
    st_cli_json(o);
    return;
  }
  if (cli->quiet)
    return;
  ST_AUTO_FREE char *stored = st_format_size(size->stored);
  printf("checked %zu chains with %" PRId64 " checkpoints, %" PRIu64 " objects (%s): ", hosts,
         d->checkpoints, size->objects, stored);
  if (d->count == 0)
    printf("nothing is damaged");
  else
    printf("%" PRId64 " damaged", d->count);
  if (d->not_fetched > 0)
    printf("; %" PRId64 " objects were not fetched", d->not_fetched);
  putchar('\n');
}

/* A writer, where it can be one. */
static int open_to_verify(const char *dir, struct st_archive **ret, struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_archive *a = NULL;
  if (st_archive_open(&a, dir, true, err) < 0)
    return -1;
  if (st_archive_lock(a, 0, &why) < 0) {
    fprintf(stderr, "systracker: damage will be named but not put aside: %s\n",
            st_error_text(&why));
    st_archive_close(a);
    return open_to_look(dir, ret, err);
  }
  *ret = a;
  return st_archive_objects(a, ST_STORE_WRITE, NULL, err);
}

static void read_own(struct damage *d)
{
  struct st_keys keys;
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  if (d->a->marked || st_keys_read(&keys, d->a->dir, &ignored) < 0)
    return;
  memcpy(d->own, keys.host_id, sizeof(d->own));
  st_keys_wipe(&keys);
}

int st_administer_verify(struct st_cli *cli, const char *dir, struct st_error *err)
{
  ST_AUTO_ARCHIVE *a = NULL;
  ST_AUTO_STRINGS hosts = {0};
  struct st_store_size size = {0};
  if (open_to_verify(dir, &a, err) < 0 || st_administer_list(a, &hosts, err) < 0)
    return -1;
  struct damage d = {.cli = cli, .a = a};
  read_own(&d);
  ST_CLEANUP(st_packages_closep) struct st_packages *packages = NULL;
  if (st_store_verify(a->store, on_damage, &d, err) < 0 ||
      st_packages_open(&packages, a->dir, err) < 0 ||
      st_packages_verify(packages, a->lock >= 0, on_damage, &d, err) < 0)
    return -1;
  for (size_t i = 0; i < hosts.count; i++) {
    d.host = hosts.items[i];
    if (verify_host(&d, err) < 0)
      return -1;
  }
  if (st_store_size(a->store, &size, err) < 0)
    return -1;
  report_verify(cli, &d, hosts.count, &size);
  return d.count > 0 ? ST_EXIT_TROUBLE : ST_EXIT_OK;
}
