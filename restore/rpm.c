/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/manager.h"

#include <fcntl.h>
#include <string.h>

#include "restore/rpmtool.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/text.h"

static bool is_ours(const struct st_package_step *s)
{
  return s->manager == ST_RPM && st_package_step_counts(s);
}

/* ---- What is asked for ----------------------------------------------------------------------- */

/* A request, and of each of its steps the restore's. */
struct asked {
  struct st_rpm_request request;
  struct st_package_step **steps;
};
#define AUTO_ASKED ST_CLEANUP(asked_free) struct asked

static void asked_free(struct asked *a)
{
  st_rpm_request_free(&a->request);
  free(a->steps);
}

static enum st_rpm_step_kind kind_of(const struct st_package_step *s)
{
  switch (s->kind) {
  case ST_PACKAGE_UPGRADE:
  case ST_PACKAGE_DOWNGRADE:
    return ST_RPM_STEP_UPGRADE;
  case ST_PACKAGE_REPAIR:
    return ST_RPM_STEP_REINSTALL;
  case ST_PACKAGE_INSTALL:
    return st_package_step_is_key(s) ? ST_RPM_STEP_IMPORT : ST_RPM_STEP_INSTALL;
  default:
    return ST_RPM_STEP_ERASE;
  }
}

static void set(char **field, const char *value)
{
  free(*field);
  *field = st_strdup(value ? value : "");
}

/* No epoch is epoch 0. */
static const char *without_epoch_0(const char *version)
{
  return strncmp(version, "0:", 2) == 0 ? version + 2 : version;
}

/* A version of a step's package: the one that is to be there, or the one that was. */
struct wanted {
  const struct st_package_step *step;
  const char *version;
  enum st_package_source source;
};

static struct wanted wanted_after(const struct st_package_step *s)
{
  return (struct wanted){s, s->after, s->source};
}

static struct wanted wanted_before(const struct st_package_step *s)
{
  return (struct wanted){s, s->before, s->source_before};
}

/* Its own file, or where nobody has that, one that was put together again; of a restore that was
 * killed the source is not known, and either is looked at. */
static bool is_source(const struct st_package *p, enum st_package_source source)
{
  if (strcmp(p->kind, "repacked-rpm") == 0)
    return source == ST_PACKAGE_REPACKED || source == ST_PACKAGE_NO_SOURCE;
  return strcmp(p->kind, "rpm") == 0 && source != ST_PACKAGE_REPACKED;
}

static bool is_file_of(const struct st_package *p, struct wanted w)
{
  return strcmp(p->name, w.step->name) == 0 && strcmp(p->architecture, w.step->architecture) == 0 &&
         strcmp(without_epoch_0(p->version), without_epoch_0(w.version)) == 0 &&
         is_source(p, w.source);
}

/* Every build that is kept of it: which is the one, their headers say. */
static void add_files(const struct st_packages *kept, struct wanted w, struct st_strings *files)
{
  const struct st_package *p;
  for (size_t i = 0; (p = st_packages_at(kept, i)); i++) {
    if (is_file_of(p, w))
      st_strings_take(files, st_package_path(p));
  }
}

static struct st_rpm_step *add_step(struct asked *a, struct st_package_step *s,
                                    enum st_rpm_step_kind kind)
{
  struct st_rpm_step *new = st_rpm_request_add(&a->request, kind);
  a->steps = st_realloc(a->steps, a->request.count, sizeof(*a->steps));
  a->steps[a->request.count - 1] = s;
  set(&new->name, s->name);
  set(&new->before, s->before);
  set(&new->after, s->after);
  set(&new->architecture, s->architecture);
  set(&new->digest, s->source == ST_PACKAGE_REPACKED ? "" : s->digest);
  return new;
}

static bool is_kept(const struct st_packages *kept, struct wanted w)
{
  ST_AUTO_STRINGS files = {0};
  add_files(kept, w, &files);
  return files.count > 0;
}

/* Whether what is optional has what it takes. */
static bool could_be_done(const struct st_packages *kept, const struct st_package_step *s,
                          enum st_rpm_step_kind kind)
{
  return kind == ST_RPM_STEP_ERASE ||
         (kind != ST_RPM_STEP_IMPORT && is_kept(kept, wanted_after(s)));
}

/* What is optional is asked for as that. */
static void ask(const struct st_package_phase *p, const struct st_packages *kept, struct asked *a)
{
  const struct st_package_steps *steps = &p->journal->packages;
  for (size_t i = 0; i < steps->count; i++) {
    struct st_package_step *s = &steps->items[i];
    enum st_rpm_step_kind kind = kind_of(s);
    if (s->manager != ST_RPM || (!is_ours(s) && !could_be_done(kept, s, kind)))
      continue;
    struct st_rpm_step *new = add_step(a, s, kind);
    new->optional = !is_ours(s);
    set(&new->key, s->key);
    if (kind < ST_RPM_STEP_ERASE)
      add_files(kept, wanted_after(s), &new->files);
  }
}

/* What going back takes is looked at, too. */
static void ask_undo(const struct st_package_phase *p, const struct st_packages *kept,
                     struct asked *a)
{
  const struct st_package_steps *steps = &p->journal->packages;
  for (size_t i = 0; i < steps->count; i++) {
    struct st_package_step *s = &steps->items[i];
    if (!is_ours(s) || !st_package_step_loses(s) || st_package_step_is_key(s) ||
        !is_kept(kept, wanted_before(s)))
      continue;
    struct st_rpm_step *new = add_step(a, s, ST_RPM_STEP_PROVE);
    set(&new->after, s->before);
    set(&new->digest, s->source_before == ST_PACKAGE_REPACKED ? "" : s->digest_before);
    add_files(kept, wanted_before(s), &new->files);
  }
}

/* ---- What is answered ------------------------------------------------------------------------ */

struct heard {
  const struct asked *asked;
  struct st_strings *problems; /* refusals, or what went wrong */
  struct st_strings left;
  uint64_t bytes;
};

static void refuse_file(struct heard *h, size_t step, const char *why)
{
  const struct st_package_step *s = h->asked->steps[step];
  bool undo = h->asked->request.items[step].kind == ST_RPM_STEP_PROVE;
  ST_AUTO_FREE char *words =
      undo ? st_package_why_no_undo(s, why)
           : st_format("%s: %s: `systracker packages --keep FILE` keeps it anew; " ST_PACKAGES_ELSE,
                       s->after, why);
  st_package_refuse(h->problems, s, words);
}

static void hear_words(struct heard *h, const char *text)
{
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  st_escape_message(&words, text, strlen(text));
  st_strings_add(h->problems, (const char *)words.data);
}

static void add_size(struct heard *h, size_t step, const char *text)
{
  int64_t n;
  if (h->asked->request.items[step].kind == ST_RPM_STEP_PROVE ||
      st_parse_number(text, &n, NULL) < 0 || n < 0 ||
      __builtin_add_overflow(h->bytes, (uint64_t)n, &h->bytes))
    return;
}

static void hear(void *arg, enum st_rpm_said what, size_t step, const char *text)
{
  struct heard *h = arg;
  if (what == ST_RPM_SAID_LEFT)
    st_strings_add(&h->left, text);
  else if (what == ST_RPM_SAID_FILE && step != ST_RPM_NO_STEP)
    refuse_file(h, step, text);
  else if (what == ST_RPM_SAID_SIZE && step != ST_RPM_NO_STEP)
    add_size(h, step, text);
  else if (what == ST_RPM_SAID_NEEDED && step != ST_RPM_NO_STEP)
    h->asked->steps[step]->needed = true;
  else
    hear_words(h, text);
}

/* ---- Preflight ------------------------------------------------------------------------------- */

/* The content is what it is kept as: what rpm reads later needs no second look. */
static void prove(const struct st_packages *kept, struct wanted w, bool undo,
                  struct st_strings *refusals)
{
  const struct st_package *p;
  for (size_t i = 0; (p = st_packages_at(kept, i)); i++) {
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    if (!is_file_of(p, w) || st_repository_prove(kept, p, &why) == 0)
      continue;
    ST_AUTO_FREE char *words =
        undo ? st_package_why_no_undo(w.step, st_error_text(&why))
             : st_format(
                   "%s: %s: `systracker packages --keep FILE` keeps it anew; " ST_PACKAGES_ELSE,
                   w.version, st_error_text(&why));
    st_package_refuse(refusals, w.step, words);
  }
}

static void check_step(const struct st_packages *kept, const struct st_package_step *s,
                       struct st_strings *refusals)
{
  bool is_key = st_package_step_is_key(s);
  if (!st_package_step_installs(s))
    return;
  if (is_key && (!s->key || !*s->key)) {
    st_package_refuse(refusals, s,
                      "the checkpoint does not have the public key; " ST_PACKAGES_ELSE);
    return;
  }
  if (is_key)
    return;
  if (is_kept(kept, wanted_after(s))) {
    prove(kept, wanted_after(s), false, refusals);
    return;
  }
  if (s->source == ST_PACKAGE_OBTAINABLE)
    return;
  ST_AUTO_FREE char *words = st_package_why_missing(s);
  st_package_refuse(refusals, s, words);
}

static void check_undo(const struct st_packages *kept, const struct st_package_step *s,
                       struct st_strings *refusals)
{
  if (!st_package_step_loses(s) || st_package_step_is_key(s))
    return;
  if (is_kept(kept, wanted_before(s))) {
    prove(kept, wanted_before(s), true, refusals);
    return;
  }
  if (s->source_before == ST_PACKAGE_OBTAINABLE)
    return;
  ST_AUTO_FREE char *words = st_package_why_no_undo(s, NULL);
  st_package_refuse(refusals, s, words);
}

static void check_steps(struct st_package_phase *p, const struct st_packages *kept, bool undo,
                        struct st_strings *refusals)
{
  const struct st_package_steps *steps = &p->journal->packages;
  for (size_t i = 0; i < steps->count; i++) {
    if (is_ours(&steps->items[i]))
      check_step(kept, &steps->items[i], refusals);
  }
  bool possible = refusals->count == 0; /* else undo is not the question yet */
  for (size_t i = 0; i < steps->count && undo && possible; i++) {
    if (is_ours(&steps->items[i]))
      check_undo(kept, &steps->items[i], refusals);
  }
}

static bool lacks_files(const struct st_package_phase *p, const struct st_packages *kept)
{
  const struct st_package_steps *steps = &p->journal->packages;
  for (size_t i = 0; i < steps->count; i++) {
    const struct st_package_step *s = &steps->items[i];
    if (is_ours(s) && st_package_step_installs(s) && s->source == ST_PACKAGE_OBTAINABLE &&
        !is_kept(kept, wanted_after(s)))
      return true;
  }
  return false;
}

static int test(struct st_package_phase *p, const struct st_packages *kept, bool undo,
                struct st_strings *refusals, struct st_error *err)
{
  AUTO_ASKED a = {0};
  ST_AUTO_BUFFER answer = ST_BUFFER_INIT, log = ST_BUFFER_INIT;
  struct heard h = {.asked = &a, .problems = refusals};
  ask(p, kept, &a);
  if (undo)
    ask_undo(p, kept, &a);
  int status = st_rpm_transaction(p->tracker, "test", &a.request, &answer, &log, err);
  if (status < 0 ||
      st_rpm_answer_decode(answer.data, answer.length, a.request.count, hear, &h, err) < 0)
    return st_wrap(err, "rpm cannot be asked, nothing was changed");
  st_strings_free(&h.left);
  st_package_check_space(p->tracker, h.bytes, refusals);
  if (status == 0)
    return 0;
  if (refusals->count == 0)
    st_strings_add(refusals, "rpm's test of the transaction failed");
  st_package_say_log(log.data, log.length, refusals);
  return 0;
}

static int check(struct st_package_phase *p, const struct st_packages *kept, bool undo,
                 bool dry_run, struct st_strings *refusals, struct st_error *err)
{
  (void)dry_run; /* nothing is written either way, but what is to be fetched comes later */
  check_steps(p, kept, undo, refusals);
  if (refusals->count > 0)
    return 0;
  if (!lacks_files(p, kept))
    return test(p, kept, undo, refusals, err);
  fprintf(stderr, "systracker: rpm is not asked in a dry run as long as package files are to be "
                  "fetched\n");
  return 0;
}

/* ---- Apply ----------------------------------------------------------------------------------- */

/* What a table says of a path at that checkpoint, by its key. */
static bool is_known(struct st_tracker *t, int64_t number, const char *table_name, const char *path,
                     bool with_object)
{
  const struct st_catalog_table *table = st_catalog_table(t->catalog, table_name);
  struct st_value key = st_path_value(path);
  ST_CLEANUP(st_fact_freep) struct st_fact_row *row = NULL;
  if (!table || st_catalog_fact(t->catalog, number, table, &key, &row, NULL) < 0 || !row->present)
    return false;
  for (size_t i = 0; with_object && i < table->declaration.ncolumns; i++) {
    if (row->values[i].type == ST_ID)
      return true;
  }
  return !with_object;
}

/* A copy that rpm left beside a configuration file: what is in it is kept, by the package or as the
 * file's content before, and it was not there before. */
static void remove_left(struct st_package_phase *p, const char *path)
{
  struct st_tracker *t = p->tracker;
  int64_t before = p->journal->before ? p->journal->before : ST_LIVE;
  ST_AUTO_FREE char *file = st_memdup(path, (size_t)(strrchr(path, '.') - path));
  bool is_new = strcmp(path + strlen(file), ".rpmnew") == 0;
  if (is_known(t, before, "standard_track_entry", path, false) ||
      !is_known(t, before, "standard_track_entry", file, false) ||
      (!is_new && !is_known(t, before, "config_track_file", file, true)))
    return;
  const char *name;
  ST_AUTO_CLOSE int parent = st_open_parent(t->root, path, &name);
  if (parent >= 0)
    unlinkat(parent, name, 0);
}

static int run(struct st_package_phase *p, const struct asked *a, struct st_strings *problems,
               struct st_error *err)
{
  ST_AUTO_BUFFER answer = ST_BUFFER_INIT, log = ST_BUFFER_INIT;
  struct heard h = {.asked = a, .problems = problems};
  int status = st_rpm_transaction(p->tracker, "run", &a->request, &answer, &log, err);
  if (status < 0 ||
      st_rpm_answer_decode(answer.data, answer.length, a->request.count, hear, &h, err) < 0) {
    st_package_say_log(log.data, log.length, problems);
    return st_wrap(err, "rpm's transaction failed");
  }
  for (size_t i = 0; i < h.left.count; i++)
    remove_left(p, h.left.items[i]);
  st_strings_free(&h.left);
  if (status == 0)
    return 0;
  st_strings_add(problems, "rpm's last lines:");
  st_package_say_log(log.data, log.length, problems);
  return st_fail(err, 0, "rpm's transaction failed");
}

static int apply(struct st_package_phase *p, struct st_strings *problems, struct st_error *err)
{
  AUTO_ASKED a = {0};
  ST_CLEANUP(st_packages_closep) struct st_packages *kept = NULL;
  if (st_packages_open(&kept, p->tracker->store_dir, err) < 0)
    return -1;
  ask(p, kept, &a);
  return run(p, &a, problems, err);
}

static int recover(struct st_tracker *t, const struct st_journal *j, struct st_strings *problems,
                   struct st_error *err)
{
  AUTO_ASKED a = {0};
  ST_CLEANUP(st_packages_closep) struct st_packages *kept = NULL;
  ST_AUTO_BUFFER answer = ST_BUFFER_INIT, log = ST_BUFFER_INIT;
  struct heard h = {.asked = &a, .problems = problems};
  const struct st_package_phase p = {.tracker = t, .journal = (struct st_journal *)j};
  if (st_packages_open(&kept, t->store_dir, err) < 0)
    return -1;
  ask(&p, kept, &a);
  int status = st_rpm_transaction(t, "recover", &a.request, &answer, &log, err);
  if (status < 0 ||
      st_rpm_answer_decode(answer.data, answer.length, a.request.count, hear, &h, err) < 0)
    return st_wrap(err, "rpm's database cannot be mended");
  st_strings_free(&h.left);
  return 0;
}

const struct st_package_work st_rpm_work = {
    .plugin = "rpm_track",
    .table = "rpm_track_package",
    .check = check,
    .apply = apply,
    .recover = recover,
};
