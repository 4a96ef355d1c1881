/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "archive-sync/administer.h"
#include "archive-sync/expire.h"
#include "archive-sync/gc.h"
#include "archive-sync/policy.h"
#include "archive-sync/serve/privileges.h"

#define LOCK_SECONDS 600
/* The lock is held for so long, and then left to whoever waits for it, who looks five times a
 * second. */
#define HELD_NS ((int64_t)1000 * 1000 * 1000)
#define PAUSE_NS (250 * 1000 * 1000)

#define THREADS 8

enum { OPT_CONFIGURED = 256, OPT_DRY_RUN, OPT_LAZILY, OPT_NO_GC };

struct prune {
  struct st_cli *cli;
  struct st_retention keep;
  bool configured, dry_run, lazily, no_gc;
  struct st_archive *a;
  struct st_fleet *fleet; /* NULL: there is none */
  struct st_strings hosts;
  int64_t since; /* when the lock was taken */
  _Atomic size_t next;
  pthread_mutex_t saying;              /* what follows, and output */
  int64_t changed, checkpoints, facts; /* hosts that were pruned, and of what */
  int64_t failed;
};

static void prune_free(struct prune *p)
{
  st_strings_free(&p->keep.tags);
  st_strings_free(&p->hosts);
  st_fleet_closep(&p->fleet);
  st_archive_closep(&p->a);
}

static const struct st_cli_option options[] = {
    CMD_KEEP_OPTIONS,
    {"configured", OPT_CONFIGURED, NULL, "do nothing where the policy says nothing of it"},
    {"lazily", OPT_LAZILY, NULL,
     "leave hosts of which less than one in sixteen of what they keep is to go"},
    {"no-gc", OPT_NO_GC, NULL, "leave it to gc to remove what nothing names any more"},
    {"dry-run", OPT_DRY_RUN, NULL, "change nothing; say what would go"},
    {NULL, 0, NULL, NULL},
};

static int set(void *arg, int letter, const char *value, struct st_error *err)
{
  struct prune *p = arg;
  if (letter == OPT_CONFIGURED)
    p->configured = true;
  else if (letter == OPT_DRY_RUN)
    p->dry_run = true;
  else if (letter == OPT_LAZILY)
    p->lazily = true;
  else if (letter == OPT_NO_GC)
    p->no_gc = true;
  else
    return cmd_keep_set(&p->keep, letter, value, err);
  return 0;
}

static const struct st_cli_verb verb = {
    .program = "systracker-archive",
    .name = "prune",
    .usage = "DIR [HOST...]",
    .summary = "forget checkpoints, but for those that are to be kept",
    .options = options,
    .set = set,
};

/* ---- The lock, in turns ------------------------------------------------------------------------
 */

static int64_t now_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Hosts that send meanwhile are learned of here, too. */
static int begin_turn(struct prune *p, struct st_error *err)
{
  if (p->dry_run || p->a->lock >= 0)
    return 0;
  if (st_archive_lock(p->a, LOCK_SECONDS, err) < 0)
    return -1;
  if (st_fleet_open_beside(&p->fleet, p->a, err) < 0) {
    st_archive_unlock(p->a);
    return -1;
  }
  p->since = now_ns();
  return 0;
}

static int end_turn(struct prune *p, struct st_error *err)
{
  if (p->a->lock < 0)
    return 0;
  int r = p->fleet ? st_fleet_flush(p->fleet, err) : 0;
  if (p->fleet)
    st_fleet_close(st_steal(&p->fleet));
  st_archive_unlock(p->a);
  return r;
}

/* ---- Hosts -------------------------------------------------------------------------------------
 */

static void say_host(const struct prune *p, const char *host, const struct st_expiry *e)
{
  if (p->cli->json) {
    json_t *o = json_object(), *gone = json_array();
    for (size_t i = 0; i < e->choices.count; i++)
      if (!e->choices.items[i].kept)
        json_array_append_new(gone, json_integer(e->choices.items[i].number));
    json_object_set_new(o, "host", json_string(host));
    json_object_set_new(o, "checkpoints", json_integer((json_int_t)e->choices.count));
    json_object_set_new(o, "pruned", gone);
    json_object_set_new(o, "facts", json_integer(e->result.rows));
    st_cli_json(o);
    return;
  }
  printf("%s\n", host);
  cmd_choices_say(&e->choices, p->dry_run);
}

static void note_host(struct prune *p, const char *host, const struct st_expiry *e)
{
  p->changed += e->result.checkpoints > 0;
  p->checkpoints += e->result.checkpoints;
  p->facts += e->result.rows;
  if (p->cli->json ? e->result.checkpoints > 0 : p->hosts.count == 1 && !p->cli->quiet)
    say_host(p, host, e);
}

/* One after another, what is wrong with one does not keep the others from being pruned. */
static void *prune_some(void *arg)
{
  struct prune *p = arg;
  const struct st_expiry_options how = {&p->keep, p->lazily, p->dry_run};
  while (p->dry_run || now_ns() - p->since < HELD_NS) {
    ST_AUTO_EXPIRY e = {0};
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    size_t at = atomic_fetch_add(&p->next, 1);
    if (at >= p->hosts.count)
      break;
    const char *host = p->hosts.items[at];
    int r = st_expire_host(p->a, p->fleet, host, &how, &e, &why);
    pthread_mutex_lock(&p->saying);
    if (r == 0)
      note_host(p, host, &e);
    p->failed += r < 0;
    if (r < 0) {
      fflush(stdout);
      fprintf(stderr, "systracker: not pruned: %s\n", st_error_text(&why));
    }
    pthread_mutex_unlock(&p->saying);
  }
  return NULL;
}

/* Each waits for the disk most of the time. */
static void prune_by_several(struct prune *p)
{
  pthread_t threads[THREADS];
  size_t n = 0;
  while (n < THREADS && n < p->hosts.count && pthread_create(&threads[n], NULL, prune_some, p) == 0)
    n++;
  if (n == 0)
    prune_some(p);
  for (size_t i = 0; i < n; i++)
    pthread_join(threads[i], NULL);
}

static int prune_hosts(struct prune *p, struct st_error *err)
{
  const struct timespec pause = {.tv_nsec = PAUSE_NS};
  while (p->next < p->hosts.count) {
    if (p->since != 0)
      nanosleep(&pause, NULL);
    if (begin_turn(p, err) < 0)
      return -1;
    prune_by_several(p);
    if (end_turn(p, err) < 0)
      return -1;
  }
  return 0;
}

static int find_hosts(struct prune *p, char **argv, int count, struct st_error *err)
{
  if (count == 0)
    return st_administer_list(p->a, &p->hosts, err);
  if (st_archive_objects(p->a, ST_STORE_READ, NULL, err) < 0)
    return -1;
  for (int i = 0; i < count; i++) {
    char *host;
    if (st_archive_find_host(p->a, argv[i], &host, err) < 0)
      return -1;
    st_strings_take(&p->hosts, host);
  }
  st_store_close(st_steal(&p->a->store));
  return 0;
}

/* ---- The whole ---------------------------------------------------------------------------------
 */

static void report(const struct prune *p)
{
  if (p->cli->json) {
    json_t *o = json_object();
    json_object_set_new(o, "dry_run", json_boolean(p->dry_run));
    json_object_set_new(o, "hosts", json_integer((json_int_t)p->hosts.count));
    json_object_set_new(o, "changed", json_integer(p->changed));
    json_object_set_new(o, "pruned", json_integer(p->checkpoints));
    json_object_set_new(o, "facts", json_integer(p->facts));
    st_cli_json(o);
  } else if (!p->cli->quiet) {
    ST_AUTO_FREE char *count = cmd_count(p->checkpoints, "checkpoint", "checkpoints");
    ST_AUTO_FREE char *hosts = cmd_count(p->changed, "host", "hosts");
    printf("%s %s, of %s\n", count, p->dry_run ? "would be pruned" : "pruned", hosts);
  }
}

static int sweep(struct prune *p, struct st_error *err)
{
  struct st_gc_result result;
  if (st_gc(p->a, 0, &result, err) < 0)
    return -1;
  st_administer_gc_report(p->cli, &result);
  return result.repacked.left > 0 ? ST_EXIT_INCOMPLETE : ST_EXIT_OK;
}

static int use_policy(struct prune *p, struct st_error *err)
{
  ST_AUTO_POLICY policy = {0};
  if (st_policy_read(p->a, &policy, err) < 0)
    return -1;
  p->keep = policy.keep;
  policy.keep = (struct st_retention){0};
  return 0;
}

static int run_with(struct prune *p, char **argv, int count, struct st_error *err)
{
  if (st_archive_open(&p->a, argv[0], false, err) < 0 || st_privileges_follow(p->a->dir, err) < 0 ||
      (!st_retention_is_set(&p->keep) && use_policy(p, err) < 0))
    return -1;
  if (!st_retention_is_set(&p->keep) && p->configured)
    return ST_EXIT_OK;
  if (!st_retention_is_set(&p->keep))
    return st_refuse(err, "nothing says what to keep: give one of the options --keep-..., or set "
                          "the archive's policy");
  if (find_hosts(p, argv + 1, count - 1, err) < 0 || prune_hosts(p, err) < 0)
    return -1;
  report(p);
  int status = p->dry_run || p->no_gc ? ST_EXIT_OK : sweep(p, err);
  return status == ST_EXIT_OK && p->failed > 0 ? ST_EXIT_INCOMPLETE : status;
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  ST_CLEANUP(prune_free) struct prune p = {.cli = cli, .saying = PTHREAD_MUTEX_INITIALIZER};
  int first = st_cli_parse(cli, &verb, argc, argv, &p, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 1, -1, err) < 0)
    return -1;
  return run_with(&p, argv + first, argc - first, err);
}

const struct st_command archive_prune = {&verb, run};
