/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/commands/command.h"

#include <inttypes.h>

#include "systracker/store/packages.h"

static const struct st_cli_verb verb = {
    .name = "verify",
    .usage = "",
    .summary = "read the whole store again, and name what is damaged",
};

struct damage {
  const struct st_cli *cli;
  int64_t count;
};

static void on_damage(void *arg, const char *words)
{
  struct damage *d = arg;
  d->count++;
  if (d->cli->json) {
    json_t *o = json_object();
    json_object_set_new(o, "damage", st_json_words(words));
    st_cli_json(o);
  }
  fflush(stdout);
  fprintf(stderr, "systracker: damaged: %s\n", words);
}

/* Every object that a fact names has to be there. */
struct missing {
  struct st_tracker *t;
  struct damage *damage;
  int64_t count; /* looked at */
};

static int on_object(void *arg, const struct st_id *id)
{
  struct missing *m = arg;
  m->count++;
  if (st_store_has(m->t->store, id))
    return 0;
  char hex[2 * sizeof(id->digest) + 1] = "a secret";
  if (!id->keyed)
    st_hex(hex, id->digest, sizeof(id->digest));
  ST_AUTO_FREE char *words = st_format("an object that a checkpoint needs is missing (%s)", hex);
  on_damage(m->damage, words);
  return 0;
}

/* A writer, so that what is damaged is put aside; a reader, where another holds the lock. */
static int open_store(struct st_cli *cli, struct st_tracker **ret, struct st_error *err)
{
  if (cmd_open_to_write(ret, cli, err) >= 0)
    return 0;
  if (err->status != ST_EXIT_INCOMPLETE)
    return -1;
  fprintf(stderr, "systracker: damage will be named but not put aside: %s\n", st_error_text(err));
  st_error_clear(err);
  return st_tracker_open(ret, &cli->tracker, ST_TRACKER_LOOK, err);
}

/* What is signed goes by the public key that is stored beside the seed. */
static void check_key(struct st_tracker *t, struct damage *damage)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (st_keys_check(&t->keys, &why) < 0)
    on_damage(damage, st_error_text(&why));
}

/* The package files. */
static int check_packages(struct st_tracker *t, struct damage *damage, struct st_error *err)
{
  ST_CLEANUP(st_packages_closep) struct st_packages *packages = NULL;
  if (st_packages_open(&packages, t->store_dir, err) < 0)
    return -1;
  return st_packages_verify(packages, t->lock >= 0, on_damage, damage, err);
}

static int check(struct st_tracker *t, struct damage *damage, struct st_store_size *size,
                 int64_t *ret_named, struct st_error *err)
{
  struct missing missing = {.t = t, .damage = damage};
  check_key(t, damage);
  if (st_store_verify(t->store, on_damage, damage, err) < 0 || check_packages(t, damage, err) < 0 ||
      st_catalog_verify(t->catalog, on_damage, damage, err) < 0 ||
      st_catalog_objects(t->catalog, on_object, &missing, err) < 0 ||
      st_store_size(t->store, size, err) < 0)
    return -1;
  *ret_named = missing.count;
  return 0;
}

static void report(const struct st_cli *cli, struct st_tracker *t, const struct st_store_size *size,
                   int64_t named, int64_t damaged)
{
  int64_t checkpoints = st_catalog_latest(t->catalog);
  if (cli->json) {
    json_t *o = json_object();
    json_object_set_new(o, "checkpoints", json_integer(checkpoints));
    json_object_set_new(o, "objects", json_integer((json_int_t)size->objects));
    json_object_set_new(o, "packs", json_integer((json_int_t)size->packs));
    json_object_set_new(o, "raw", json_integer((json_int_t)size->raw));
    json_object_set_new(o, "stored", json_integer((json_int_t)size->stored));
    json_object_set_new(o, "named", json_integer(named));
    json_object_set_new(o, "damaged", json_integer(damaged));
    st_cli_json(o);
    return;
  }
  if (cli->quiet)
    return;
  ST_AUTO_FREE char *raw = st_format_size(size->raw);
  ST_AUTO_FREE char *stored = st_format_size(size->stored);
  ST_AUTO_FREE char *count = cmd_count(checkpoints, "checkpoint", "checkpoints");
  ST_AUTO_FREE char *objects = cmd_count((int64_t)size->objects, "object", "objects");
  ST_AUTO_FREE char *packs = cmd_count((int64_t)size->packs, "pack", "packs");
  printf("checked %s, %s (%s, stored in %s) in %s: ", count, objects, raw, stored, packs);
  if (damaged == 0)
    printf("nothing is damaged\n");
  else
    printf("%" PRId64 " damaged\n", damaged);
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  int first = st_cli_parse(cli, &verb, argc, argv, NULL, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 0, 0, err) < 0)
    return -1;
  ST_AUTO_TRACKER *t = NULL;
  struct damage damage = {.cli = cli};
  struct st_store_size size = {0};
  int64_t named = 0;
  if (open_store(cli, &t, err) < 0 || check(t, &damage, &size, &named, err) < 0)
    return -1;
  report(cli, t, &size, named, damage.count);
  return damage.count > 0 ? ST_EXIT_TROUBLE : ST_EXIT_OK;
}

const struct st_command cmd_verify = {&verb, run};
