/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/commands/command.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "systracker/store/repack.h"
#include "systracker/tracker/wanted.h"

#define MIN_AGE 86400 /* seconds, of package files that no checkpoint may have yet */

enum { OPT_PACKAGES = 256, OPT_CONFIGURED, OPT_DRY_RUN };

struct prune_options {
  struct st_retention keep;
  bool packages_said, all_packages;
  bool configured, dry_run;
};

static const struct st_cli_option options[] = {
    CMD_KEEP_OPTIONS,
    {"keep-packages", OPT_PACKAGES, "WHICH",
     "of package files: installed, those of packages that a checkpoint has; or all"},
    {"configured", OPT_CONFIGURED, NULL, "do nothing where the configuration says nothing of it"},
    {"dry-run", OPT_DRY_RUN, NULL, "change nothing; say what would go"},
    {NULL, 0, NULL, NULL},
};

static int set_packages(struct prune_options *o, const char *value, struct st_error *err)
{
  o->packages_said = true;
  o->all_packages = strcmp(value, "all") == 0;
  if (o->all_packages || strcmp(value, "installed") == 0)
    return 0;
  return st_fail(err, 0, "--keep-packages takes installed or all");
}

static int set(void *arg, int letter, const char *value, struct st_error *err)
{
  struct prune_options *o = arg;
  if (letter == OPT_DRY_RUN)
    o->dry_run = true;
  else if (letter == OPT_CONFIGURED)
    o->configured = true;
  else if (letter == OPT_PACKAGES)
    return set_packages(o, value, err);
  else
    return cmd_keep_set(&o->keep, letter, value, err);
  return 0;
}

static const struct st_cli_verb verb = {
    .name = "prune",
    .usage = "[--keep-...]",
    .summary = "forget checkpoints, but for those that are to be kept",
    .options = options,
    .set = set,
};

/* One run. */
struct prune {
  const struct st_cli *cli;
  const struct prune_options *o;
  struct st_tracker *t;
  struct st_choices choices;
  struct st_prune_result catalog;
  struct st_repack_result store;
  int64_t packages; /* files removed */
  uint64_t package_bytes;
};

static void prune_free(struct prune *p)
{
  st_choices_free(&p->choices);
  st_prune_result_free(&p->catalog);
  if (p->t)
    st_tracker_close(p->t);
}

/* ---- Said ------------------------------------------------------------------------------------ */

static void say_summary(const struct prune *p)
{
  const struct st_repack_result *s = &p->store;
  bool dry = p->o->dry_run;
  uint64_t freed = s->before > s->after ? s->before - s->after : 0;
  ST_AUTO_FREE char *bytes = st_format_size(freed);
  ST_AUTO_FREE char *count = cmd_count(p->catalog.checkpoints, "checkpoint", "checkpoints");
  ST_AUTO_FREE char *objects = cmd_count((int64_t)s->unwanted, "object", "objects");
  ST_AUTO_FREE char *packs = cmd_count((int64_t)s->packs, "pack", "packs");
  printf("%s %s of %zu; %s of no use any more, %s in %s %s\n", count,
         dry ? "would be pruned" : "pruned", p->choices.count, objects, bytes, packs,
         dry ? "would be freed" : "freed");
}

static void say_packages(const struct prune *p)
{
  ST_AUTO_FREE char *bytes = st_format_size(p->package_bytes);
  ST_AUTO_FREE char *files = cmd_count(p->packages, "package file", "package files");
  if (p->packages > 0)
    printf("%s that no checkpoint needs, %s, %s\n", files, bytes,
           p->o->dry_run ? "would be removed" : "removed");
}

static void choices_json(const struct prune *p)
{
  for (size_t i = 0; i < p->choices.count; i++) {
    const struct st_choice *choice = &p->choices.items[i];
    ST_AUTO_FREE char *time = st_format_time_utc(choice->time);
    json_t *o = json_object();
    json_object_set_new(o, "number", json_integer(choice->number));
    json_object_set_new(o, "time", json_string(time));
    json_object_set_new(o, "kept", cmd_kept_json(choice->kept));
    st_cli_json(o);
  }
}

static void summary_json(const struct prune *p)
{
  const struct st_repack_result *s = &p->store;
  json_t *o = json_object(), *tags = json_array();
  for (size_t i = 0; i < p->catalog.tags.count; i++)
    json_array_append_new(tags, st_json_path(p->catalog.tags.items[i]));
  json_object_set_new(o, "dry_run", json_boolean(p->o->dry_run));
  json_object_set_new(o, "checkpoints", json_integer((json_int_t)p->choices.count));
  json_object_set_new(o, "pruned", json_integer(p->catalog.checkpoints));
  json_object_set_new(o, "tags", tags);
  json_object_set_new(o, "facts", json_integer(p->catalog.rows));
  json_object_set_new(o, "objects", json_integer((json_int_t)s->objects));
  json_object_set_new(o, "unwanted", json_integer((json_int_t)s->unwanted));
  json_object_set_new(o, "packs", json_integer((json_int_t)s->packs));
  json_object_set_new(o, "stored_before", json_integer((json_int_t)s->before));
  json_object_set_new(o, "stored", json_integer((json_int_t)s->after));
  json_object_set_new(o, "package_files", json_integer(p->packages));
  json_object_set_new(o, "package_bytes", json_integer((json_int_t)p->package_bytes));
  st_cli_json(o);
}

static void say_tags(const struct prune *p)
{
  for (size_t i = 0; i < p->catalog.tags.count; i++)
    printf("the tag %s %s with its checkpoint\n", st_quote(p->catalog.tags.items[i]),
           p->o->dry_run ? "would go" : "went");
}

static void report(const struct prune *p)
{
  if (p->cli->json) {
    choices_json(p);
    summary_json(p);
  } else if (!p->cli->quiet) {
    cmd_choices_say(&p->choices, p->o->dry_run);
    say_tags(p);
    say_summary(p);
    say_packages(p);
  }
}

static void say_left(void *arg, const char *words)
{
  (void)arg;
  fflush(stdout);
  fprintf(stderr, "systracker: %s\n", words);
}

/* ---- Done ------------------------------------------------------------------------------------ */

static int choose(struct prune *p, struct st_error *err)
{
  ST_CLEANUP(st_wanted_numbers_free) struct st_wanted_numbers undo = {0};
  if (st_wanted_by_journals(p->t->store_dir, NULL, &undo, err) < 0)
    return st_wrap(err, "nothing was pruned");
  return st_prune_choose(p->t->catalog, &p->o->keep, undo.items, undo.count, &p->choices, err);
}

/* Files put there before this may be removed: what is installed after the latest checkpoint, or
 * just then, is in none yet. */
static int64_t oldest_new(struct prune *p)
{
  int64_t latest = p->choices.count > 0 ? p->choices.items[0].time : 0;
  int64_t day_ago = (int64_t)time(NULL) - MIN_AGE;
  return latest < day_ago ? latest : day_ago;
}

static bool is_older(const struct st_packages *packages, const struct st_package *package,
                     int64_t limit)
{
  struct stat st;
  ST_AUTO_CLOSE int fd = st_packages_read(packages, package, NULL);
  return fd >= 0 && fstat(fd, &st) == 0 && st.st_mtime < limit;
}

/* One that was put together again has served where the package's own is there. */
static bool is_needed(const struct st_packages *packages, const struct st_package *package,
                      const struct st_set *wanted)
{
  bool served =
      st_package_is_repacked(package) &&
      st_packages_find(packages, package->name, package->version, package->architecture) != NULL;
  return !served && st_wanted_has_package(wanted, package);
}

/* Where there are several of one name, version and architecture, all are kept. */
static int remove_packages(struct prune *p, const struct st_set *wanted, struct st_error *err)
{
  ST_CLEANUP(st_packages_closep) struct st_packages *packages = NULL;
  const struct st_package *package;
  int64_t limit = oldest_new(p);
  bool conf = p->t->conf && p->t->conf->prune.all_packages;
  if (p->o->packages_said ? p->o->all_packages : conf)
    return 0;
  if (st_packages_open(&packages, p->t->store_dir, err) < 0)
    return -1;
  for (size_t n = 0; (package = st_packages_at(packages, n)); n++) {
    if (is_needed(packages, package, wanted))
      continue;
    int r = p->o->dry_run ? is_older(packages, package, limit)
                          : st_packages_remove(packages, package, limit, err);
    if (r < 0)
      return r;
    p->packages += r;
    p->package_bytes += r ? package->size : 0;
  }
  return 0;
}

static int repack(struct prune *p, struct st_set *ids, struct st_error *err)
{
  struct st_repack_options how = {
      .dry_run = p->o->dry_run,
      .least_free = p->t->conf ? p->t->conf->min_free : 0,
      .said = say_left,
  };
  return st_store_repack(p->t->store, st_wanted_has, ids, &how, &p->store, err);
}

/* What nothing names any more. */
static int sweep(struct prune *p, struct st_error *err)
{
  ST_CLEANUP(st_set_freep) struct st_set *ids = st_set_new();
  ST_CLEANUP(st_set_freep) struct st_set *packages = st_set_new();
  struct st_tracker *t = p->t;
  if (st_wanted_by_hosts(t->store_dir, t->catalog, t->keys.host_id, ids, packages, err) < 0 ||
      st_wanted_by_journals(t->store_dir, ids, NULL, err) < 0)
    return st_wrap(err, "nothing was removed from the store");
  return repack(p, ids, err) < 0 ? -1 : remove_packages(p, packages, err);
}

/* First the facts, then what they named: a kill leaves what the next one finds. */
static int prune(struct prune *p, struct st_error *err)
{
  if (choose(p, err) < 0 || st_catalog_prune(p->t->catalog, &p->choices, &p->catalog, err) < 0)
    return -1;
  if (p->o->dry_run) {
    int r = sweep(p, err);
    st_catalog_prune_undo(p->t->catalog);
    return r;
  }
  return st_catalog_prune_commit(p->t->catalog, err) < 0 ? -1 : sweep(p, err);
}

/* What the configuration says, where no option does. */
static int configure(const struct st_cli *cli, struct st_retention *keep, struct st_error *err)
{
  ST_AUTO_TRACKER *t = NULL;
  if (st_tracker_open_config(&t, &cli->tracker, err) < 0)
    return -1;
  const struct st_conf_prune *p = &t->conf->prune;
  keep->last = p->last;
  keep->daily = p->daily;
  keep->weekly = p->weekly;
  keep->monthly = p->monthly;
  keep->yearly = p->yearly;
  for (size_t i = 0; i < p->tags.count; i++)
    st_strings_add(&keep->tags, p->tags.items[i]);
  return 0;
}

static int run_with(struct st_cli *cli, struct prune_options *o, struct st_error *err)
{
  ST_CLEANUP(prune_free) struct prune p = {.cli = cli, .o = o};
  if (!st_retention_is_set(&o->keep) && configure(cli, &o->keep, err) < 0)
    return -1;
  if (!st_retention_is_set(&o->keep) && o->configured)
    return ST_EXIT_OK;
  if (!st_retention_is_set(&o->keep))
    return st_refuse(err, "nothing says what to keep: give one of the options --keep-..., or "
                          "prune { keep_... } in the configuration");
  if (cmd_open_to_write(&p.t, cli, err) < 0 || cmd_latest(p.t, err) < 0 || prune(&p, err) < 0)
    return -1;
  report(&p);
  return p.store.left > 0 ? ST_EXIT_INCOMPLETE : ST_EXIT_OK;
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  struct prune_options o = {0};
  int first = st_cli_parse(cli, &verb, argc, argv, &o, NULL, err);
  int status = first < 0 || st_cli_operands(&verb, argc - first, 0, 0, err) < 0
                   ? -1
                   : run_with(cli, &o, err);
  st_strings_free(&o.keep.tags);
  return status;
}

const struct st_command cmd_prune = {&verb, run};
