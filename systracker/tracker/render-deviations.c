/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * render-deviations.c - what is not as its package has it, grouped by packages: what differs, and
 * from which default.  What is stored of entries either deviates, or no package speaks of it.
 */
#include <inttypes.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/tracker/render-internal.h"

/* What a package's paths are compared with. */
enum compared_with { PACKAGE_FILE, PACKAGE, OBSERVED };

static const struct {
  const char *key, *words;
} defaults[] = {
    [PACKAGE_FILE] = {"package file", "its package file is kept"},
    [PACKAGE] = {"package", "its package file is not kept: digests and metadata are compared"},
    [OBSERVED] =
        {"observed",
         "no package file is kept: compared with what was there when it was first seen, and "
         "with the checksums that came with it"},
};

/* One path of a package that may deviate. */
struct place {
  char *path;
  char *package; /* its name in words, to sort by */
  struct st_packaged from;
};

struct deviations {
  struct st_tracker *t;
  int64_t number;
  const char *wanted; /* package; NULL: all */
  bool stat;
  st_deviation_fn *fn;
  int (*unpackaged)(void *arg, const char *path); /* NULL: nobody asks */
  void *arg;
  struct st_set *paths; /* that are stored, each once */
  struct place *places;
  size_t count;
  struct st_patch_sides sides;
  const char *told;        /* the package that was told of last */
  enum compared_with from; /* its default */
};

static void deviations_clear(struct deviations *d)
{
  for (size_t i = 0; i < d->count; i++) {
    free(d->places[i].path);
    free(d->places[i].package);
    st_packaged_clear(&d->places[i].from);
  }
  free(d->places);
  st_set_free(d->paths);
  st_packaged_texts_free(d->sides.texts);
}

/* ---- Which paths ------------------------------------------------------------------------------
 */

/* Tables that manifests speak of: they say what an entry is, or what it contains. */
static bool is_compared(const struct st_catalog_table *table)
{
  const struct st_table *d = &table->declaration;
  bool object = false, says = false;
  for (size_t i = 1; i < d->ncolumns; i++) {
    object |= (d->columns[i].flags & ST_OBJECT) != 0;
    says |= strcmp(d->columns[i].name, "type") == 0 || strcmp(d->columns[i].name, "digest") == 0;
  }
  return (d->flags & ST_TABLE_ENTRY) && says && !object;
}

static int take_path(struct deviations *d, const char *path, bool present, struct st_error *err)
{
  struct st_packaged p;
  int r = st_packaged_find(d->t, d->number, path, &p, err);
  if (r < 0)
    return -1;
  if (r == 0)
    return present && d->unpackaged ? d->unpackaged(d->arg, path) : 0;
  if (d->wanted && strcmp(d->wanted, p.name) != 0) {
    st_packaged_clear(&p);
    return 0;
  }
  if ((d->count & (d->count - 1)) == 0) /* a power of 2: full */
    d->places = st_realloc(d->places, d->count ? 2 * d->count : 1, sizeof(*d->places));
  d->places[d->count++] = (struct place){st_strdup(path), st_packaged_name(&p), p};
  return 0;
}

static int on_stored(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  struct deviations *d = arg;
  const struct st_value *key = &fact->values[0];
  if (!st_set_add(d->paths, key->u.bytes.data, key->u.bytes.length, 0))
    return 0;
  ST_AUTO_FREE char *path = st_memdup(key->u.bytes.data, key->u.bytes.length);
  return take_path(d, path, fact->present, err);
}

static int by_package(const void *a, const void *b)
{
  const struct place *x = a, *y = b;
  int r = strcmp(x->package, y->package);
  return r ? r : strcmp(x->path, y->path);
}

/* Tables that say what an entry is come last in the alphabet, but of a path whose content alone is
 * stored the entry is there, too. */
static int find_places(struct deviations *d, struct st_error *err)
{
  const struct st_catalog_table *table;
  for (size_t n = 0; (table = st_catalog_table_at(d->t->catalog, n)); n++)
    if (is_compared(table) &&
        st_catalog_each_stored(d->t->catalog, d->number, table, on_stored, d, err) < 0)
      return -1;
  if (d->count > 0)
    qsort(d->places, d->count, sizeof(*d->places), by_package);
  return 0;
}

/* ---- What differs -----------------------------------------------------------------------------
 */

static int to_digester(void *arg, const void *data, size_t n, struct st_error *err)
{
  (void)err;
  st_digester_add(arg, data, n);
  return 0;
}

/* A secret's digest is keyed, the package's is not: they compare where the content is at hand.  1:
 * it is the package's; 0: it is not; -1: nobody can tell. */
static int is_packages_secret(struct deviations *d, const struct place *place,
                              const struct st_id *now)
{
  struct st_id id = {.keyed = 1};
  ST_CLEANUP(st_digester_freep) struct st_digester *digester = st_digester_new(d->t->keys.id_key);
  if (!place->from.has_content ||
      st_packaged_content(d->t, &place->from, to_digester, digester, NULL) != 0)
    return -1;
  st_digester_final(digester, id.digest);
  return st_id_equal(&id, now);
}

/* The keyed digest that stands against a plain one; NULL: there is none. */
static const struct st_id *keyed_against(const struct st_change *change)
{
  for (size_t i = 0; change->after && i < change->declaration->ncolumns; i++)
    if (change->after[i].type == ST_ID && change->after[i].u.id.keyed &&
        change->before[i].type == ST_ID && !change->before[i].u.id.keyed)
      return &change->after[i].u.id;
  return NULL;
}

/* What cannot be compared. */
struct unknown {
  bool packaged; /* the package's content */
  bool secret;   /* whether a secret is the package's */
};

static int add_table(struct deviations *d, const struct place *place,
                     const struct st_catalog_table *table, struct st_group *g,
                     struct unknown *unknown, struct st_error *err)
{
  struct st_value key = st_path_value(place->path);
  ST_CLEANUP(st_fact_freep) struct st_fact_row *expected = NULL, *actual = NULL;
  if (st_catalog_expected(d->t->catalog, d->number, table, &key, &expected, err) < 0 ||
      st_catalog_fact(d->t->catalog, d->number, table, &key, &actual, err) < 0)
    return -1;
  if (!expected) {
    unknown->packaged |= actual->present;
    return 0;
  }
  const struct st_change change = {
      .table = table->name,
      .declaration = &table->declaration,
      .before = expected->values,
      .after = actual->present ? actual->values : NULL,
  };
  const struct st_id *secret = keyed_against(&change);
  int same = secret ? is_packages_secret(d, place, secret) : 0;
  unknown->secret |= same < 0;
  if (!actual->expected && same == 0 && st_change_is_loud(&change))
    st_group_add(g, &change, place->path);
  return 0;
}

static int compare(struct deviations *d, const struct place *place, struct st_group *g,
                   struct unknown *unknown, struct st_error *err)
{
  const struct st_catalog_table *table;
  *unknown = (struct unknown){0};
  for (size_t n = 0; (table = st_catalog_table_at(d->t->catalog, n)); n++)
    if (is_compared(table) && add_table(d, place, table, g, unknown, err) < 0)
      return -1;
  g->letter = 'M';
  if (g->count > 0 && st_group_finish(g, d->t, d->number, err) < 0)
    return -1;
  unknown->packaged &= g->letter == 'M';
  g->secret |= unknown->secret;
  return 0;
}

/* A configuration's rule says so; whether the package calls it a conffile is its own affair. */
static bool is_configuration(const struct deviations *d, const char *path)
{
  const struct st_catalog_table *table = st_catalog_table(d->t->catalog, "config_track_file");
  struct st_value key = st_path_value(path);
  ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
  return table && st_catalog_fact(d->t->catalog, d->number, table, &key, &fact, NULL) == 0 &&
         fact->present;
}

/* ---- Told ---------------------------------------------------------------------------------------
 */

static void find_default(struct deviations *d, const struct place *place)
{
  if (d->told && strcmp(d->told, place->package) == 0)
    return;
  d->told = place->package;
  if (st_packaged_is_kept(d->t, &place->from, NULL) > 0)
    d->from = PACKAGE_FILE;
  else
    d->from = st_packaged_is_observed(d->t, &place->from) ? OBSERVED : PACKAGE;
}

/* `why`: there is no comparison line by line. */
static int find_words(struct deviations *d, const struct st_group *g, const struct unknown *unknown,
                      bool patched, const struct st_buffer *why, struct st_strings *words,
                      struct st_error *err)
{
  if (g->count > 0 && st_group_words(g, d->t, false, patched, words, err) < 0)
    return -1;
  if (g->letter == 'D')
    st_strings_add(words, "missing");
  if (unknown->packaged)
    st_strings_add(words, "other content than the package's, which is not known");
  if (unknown->secret)
    st_strings_add(words, "a secret, which cannot be compared without the package file");
  if (why->length > 0 && !d->stat)
    st_strings_take(words, st_format("no line by line comparison: %s", why->data));
  return 0;
}

static int tell(struct deviations *d, const struct place *place, const struct st_group *g,
                const struct unknown *unknown, struct st_error *err)
{
  ST_AUTO_STRINGS words = {0};
  ST_AUTO_BUFFER patch = ST_BUFFER_INIT;
  ST_AUTO_BUFFER why = ST_BUFFER_INIT;
  const struct st_change *of;
  ST_AUTO_FREE char *a_words = st_format("as %s has it", place->package);
  d->sides.a_words = a_words;
  int patched = d->stat ? 0 : st_render_patch(&d->sides, g, &of, &patch, &why, err);
  if (patched < 0 || find_words(d, g, unknown, patch.length > 0, &why, &words, err) < 0)
    return -1;
  find_default(d, place);
  const struct st_deviation told = {
      .package = &place->from,
      .name = place->package,
      .from = defaults[d->from].key,
      .path = place->path,
      .letter = g->letter,
      .configuration = is_configuration(d, place->path),
      .secret = g->secret,
      .words = &words,
      .patch = &patch,
  };
  return d->fn(d->arg, &told, err);
}

static int tell_place(struct deviations *d, const struct place *place, struct st_group *g,
                      struct st_error *err)
{
  struct unknown unknown;
  if (compare(d, place, g, &unknown, err) < 0)
    return -1;
  if (g->count == 0 && !unknown.packaged && !unknown.secret)
    return 0;
  return tell(d, place, g, &unknown, err);
}

static int tell_all(struct deviations *d, struct st_error *err)
{
  struct st_group g = {0};
  int r = find_places(d, err);
  for (size_t i = 0; r == 0 && i < d->count; i++) {
    r = tell_place(d, &d->places[i], &g, err);
    st_group_clear(&g);
  }
  st_group_free(&g);
  return r;
}

int st_deviations_each(struct st_tracker *t, int64_t number, const char *package, bool stat,
                       st_deviation_fn *fn, void *arg, struct st_error *err)
{
  ST_CLEANUP(deviations_clear)
  struct deviations d = {
      .t = t,
      .number = number,
      .wanted = package,
      .stat = stat,
      .fn = fn,
      .arg = arg,
      .paths = st_set_new(),
      .sides = {.t = t, .a = number, .b = number, .texts = st_packaged_texts_new(t)},
  };
  return tell_all(&d, err);
}

json_t *st_deviation_json(const struct st_deviation *d)
{
  const char letter[] = {d->letter, 0};
  json_t *o = st_packaged_json(d->package);
  json_object_set_new(o, "default", json_string(d->from));
  json_object_set_new(o, "path", st_json_path(d->path));
  json_object_set_new(o, "status", json_string(letter));
  json_object_set_new(o, "configuration", json_boolean(d->configuration));
  if (d->secret)
    json_object_set_new(o, "secret", json_true());
  json_object_set_new(o, "words", st_json_words_each(d->words));
  if (d->patch->length > 0)
    json_object_set_new(o, "diff", st_json_bytes(d->patch->data, d->patch->length));
  return o;
}

/* ---- Printed ------------------------------------------------------------------------------------
 */

struct printing {
  const struct st_cli *cli;
  const struct st_deviation_options *options;
  int64_t number, found, packages, unpackaged;
  char *heading; /* the package that was printed last */
};

static int print_unpackaged(void *arg, const char *path)
{
  struct printing *p = arg;
  p->unpackaged++;
  if (!p->options->unpackaged)
    return 0;
  if (!p->cli->json)
    return printf("%s\n", st_quote(path)) < 0 ? -1 : 0;
  json_t *o = json_object();
  json_object_set_new(o, "path", st_json_path(path));
  json_object_set_new(o, "package", json_null());
  return st_cli_json(o);
}

static const char *default_words(const char *key)
{
  size_t i = 0;
  while (strcmp(defaults[i].key, key) != 0)
    i++;
  return defaults[i].words;
}

static void print_heading(struct printing *p, const struct st_deviation *d)
{
  if (p->heading && strcmp(p->heading, d->name) == 0)
    return;
  free(p->heading);
  p->heading = st_strdup(d->name);
  p->packages++;
  if (!p->cli->json)
    printf("%s%s (%s)\n", p->packages > 1 ? "\n" : "", d->name, default_words(d->from));
}

static int print_deviation(void *arg, const struct st_deviation *d, struct st_error *err)
{
  struct printing *p = arg;
  (void)err;
  print_heading(p, d);
  p->found++;
  if (p->cli->json)
    return st_cli_json(st_deviation_json(d));
  printf("  %c %s", d->letter, st_quote(d->path));
  for (size_t i = 0; i < d->words->count; i++)
    printf("%s%s", i == 0 ? ": " : ", ", d->words->items[i]);
  printf("%s\n", d->configuration ? "  [configuration]" : "");
  st_print_patch(p->cli, d->patch);
  return 0;
}

static void print_sum(const struct printing *p)
{
  const char *between = p->found > 0 ? "\n" : "";
  if (p->cli->json) {
    json_t *o = json_object();
    json_object_set_new(o, "deviations", json_integer(p->found));
    json_object_set_new(o, "packages", json_integer(p->packages));
    json_object_set_new(o, "unpackaged", json_integer(p->unpackaged));
    st_cli_json(o);
    return;
  }
  printf("%s%" PRId64 " %s of %" PRId64 " %s at checkpoint %" PRId64 "\n", between, p->found,
         p->found == 1 ? "deviation" : "deviations", p->packages,
         p->packages == 1 ? "package" : "packages", p->number);
  if (p->unpackaged > 0 && !p->options->unpackaged)
    printf("%" PRId64 " tracked paths belong to no package (--unpackaged lists them)\n",
           p->unpackaged);
}

int st_render_deviations(struct st_tracker *t, const struct st_cli *cli, int64_t number,
                         const struct st_deviation_options *options, struct st_error *err)
{
  struct printing p = {.cli = cli, .options = options, .number = number};
  ST_CLEANUP(deviations_clear)
  struct deviations d = {
      .t = t,
      .number = number,
      .stat = options->stat,
      .fn = print_deviation,
      .unpackaged = print_unpackaged,
      .arg = &p,
      .paths = st_set_new(),
      .sides = {.t = t, .a = number, .b = number, .texts = st_packaged_texts_new(t)},
  };
  int r = tell_all(&d, err);
  free(p.heading);
  if (r < 0)
    return -1;
  print_sum(&p);
  return 0;
}
