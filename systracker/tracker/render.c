/* SPDX-License-Identifier: GPL-2.0-or-later */
/* render.c - all differences between two states, printed: the changes of one path under one
 * heading. */
#include <inttypes.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/process.h"
#include "systracker/tracker/render-internal.h"

struct render {
  struct st_tracker *t;
  const struct st_cli *cli;
  const struct st_render_options *options;
  struct st_patch_sides sides;
  struct st_group group;
  struct st_patches patches;
  int64_t added, deleted, changed, retyped;
  struct st_package_counts counts;
  int64_t packaged;        /* paths of packages, not shown one by one */
  int64_t packages, paths; /* of what is shown */
  bool rules;              /* they changed, too */
};

/* ---- Files of packages ----------------------------------------------------------------------- */

/* What is named is shown, as git does. */
static bool hides_packaged(const struct st_render_options *options)
{
  return !options->files && (!options->paths || options->paths->count == 0);
}

/* Counts it to its package; 1: and that is all. */
static int take_packaged(struct render *r, struct st_error *err)
{
  if (!st_group_is_packaged(&r->group))
    return 0;
  if (!r->options->name_only &&
      st_package_counts_add(&r->counts, r->t, &r->group, r->sides.a, r->sides.b, err) < 0)
    return -1;
  if (!hides_packaged(r->options))
    return 0;
  r->packaged++;
  return 1;
}

/* What a package's line says besides what its plug-in does. */
static void add_counts(const struct render *r, struct st_strings *words)
{
  const struct st_change *change = &r->group.items[0].change;
  if (!st_change_is_package(change))
    return;
  struct st_package_count c = st_package_counts_of(&r->counts, change);
  char *said = st_package_count_words(&c);
  if (said)
    st_strings_take(words, said);
}

static int group_words(const struct render *r, bool patched, struct st_strings *ret,
                       struct st_error *err)
{
  if (st_group_words(&r->group, r->t, r->options->times, patched, ret, err) < 0)
    return -1;
  add_counts(r, ret);
  return 0;
}

/* ---- Lines
 * -------------------------------------------------------------------------------- */

/* "/etc/hosts"; "package bash amd64". */
static void group_name(const struct st_group *g, struct st_buffer *out)
{
  const struct st_change *change = &g->items[0].change;
  if (!g->entry)
    st_buffer_printf(out, "%s ", change->declaration->name);
  st_render_key(change, out);
}

static const char *letter_colour(const struct render *r, char letter)
{
  if (!r->cli->colour)
    return "";
  return letter == 'A' ? "\033[32m" : letter == 'D' ? "\033[31m" : "\033[33m";
}

static int print_stat(struct render *r, const char *name, struct st_error *err)
{
  ST_AUTO_STRINGS words = {0};
  const struct st_group *g = &r->group;
  if (group_words(r, false, &words, err) < 0)
    return -1;
  printf("%s%c%s %s", letter_colour(r, g->letter), g->letter, r->cli->colour ? "\033[m" : "", name);
  for (size_t i = 0; i < words.count; i++)
    printf("%s%s", i == 0 ? ": " : ", ", words.items[i]);
  putchar('\n');
  return 0;
}

const char *st_render_letter(char letter)
{
  return letter == 'A'   ? "added"
         : letter == 'D' ? "deleted"
         : letter == 'T' ? "retyped"
                         : "changed";
}

static void full_head(const struct render *r, const char *name, const struct st_strings *words,
                      const struct st_buffer *why, struct st_buffer *out)
{
  char letter = r->group.letter;
  st_buffer_printf(out, "%s%s%s %s\n", letter_colour(r, letter), st_render_letter(letter),
                   r->cli->colour ? "\033[m" : "", name);
  for (size_t i = 0; i < words->count; i++)
    st_buffer_printf(out, "  %s\n", words->items[i]);
  if (why->length > 0)
    st_buffer_printf(out, "  no line by line comparison: %s\n", why->data);
}

static int print_full(struct render *r, const char *name, struct st_error *err)
{
  ST_AUTO_STRINGS words = {0};
  ST_AUTO_BUFFER head = ST_BUFFER_INIT;
  ST_AUTO_BUFFER why = ST_BUFFER_INIT;
  struct st_diff *diff = NULL;
  const struct st_change *of;
  if (r->options->patch && st_start_patch(&r->sides, &r->group, &of, &diff, &why, err) < 0)
    return -1;
  if (group_words(r, diff != NULL, &words, err) < 0) {
    st_diff_end(diff);
    return -1;
  }
  full_head(r, name, &words, &why, &head);
  return st_patches_add(&r->patches, &head, diff, err);
}

/* ---- JSON
 * --------------------------------------------------------------------------------- */

/* The package's own object, with what became of its files. */
static void set_counts(const struct render *r, json_t *o)
{
  const struct st_change *change = &r->group.items[0].change;
  if (!st_change_is_package(change))
    return;
  struct st_package_count c = st_package_counts_of(&r->counts, change);
  json_object_set_new(o, "files", st_package_count_json(&c));
}

static int print_json_name(struct render *r, struct st_error *err)
{
  const struct st_group *g = &r->group;
  ST_AUTO_STRINGS words = {0};
  const char letter[] = {g->letter, 0};
  if (!r->options->name_only && group_words(r, false, &words, err) < 0)
    return -1;
  json_t *o = json_object();
  if (g->entry) {
    json_object_set_new(o, "path", st_json_path(g->path));
  } else {
    json_object_set_new(o, "table", json_string(g->items[0].change.table));
    json_object_set_new(o, "key", st_key_json(&g->items[0].change));
  }
  json_object_set_new(o, "status", json_string(letter));
  if (g->secret)
    json_object_set_new(o, "secret", json_true());
  if (!r->options->name_only) {
    json_object_set_new(o, "words", st_json_words_each(&words));
    set_counts(r, o);
  }
  return st_cli_json(o);
}

static int print_json_change(struct render *r, const struct st_change *change,
                             const struct st_buffer *patch)
{
  if (!r->options->times && !st_change_is_loud(change))
    return 0;
  json_t *o = st_group_json(&r->group, r->t, change, r->options->times);
  set_counts(r, o);
  if (patch->length > 0)
    json_object_set_new(o, "diff", st_json_bytes(patch->data, patch->length));
  return st_cli_json(o);
}

static int print_json(struct render *r, struct st_error *err)
{
  const struct st_group *g = &r->group;
  const struct st_change *of = NULL;
  ST_AUTO_BUFFER patch = ST_BUFFER_INIT;
  ST_AUTO_BUFFER why = ST_BUFFER_INIT;
  static const struct st_buffer none = {0};
  if (r->options->stat || r->options->name_only)
    return print_json_name(r, err);
  if (r->options->patch && st_render_patch(&r->sides, g, &of, &patch, &why, err) < 0)
    return -1;
  for (size_t i = 0; i < g->count; i++) {
    const struct st_change *change = &g->items[i].change;
    if (print_json_change(r, change, change == of ? &patch : &none) < 0)
      return -1;
  }
  return 0;
}

/* ---- All
 * ---------------------------------------------------------------------------------- */

static void count_group(struct render *r)
{
  r->paths += r->group.entry;
  r->packages += st_change_is_package(&r->group.items[0].change);
  switch (r->group.letter) {
  case 'A':
    r->added++;
    break;
  case 'D':
    r->deleted++;
    break;
  case 'T':
    r->retyped++;
    break;
  default:
    r->changed++;
  }
}

static int print_group(struct render *r, struct st_error *err)
{
  if (r->cli->json)
    return print_json(r, err);
  ST_AUTO_BUFFER name = ST_BUFFER_INIT;
  group_name(&r->group, &name);
  if (r->options->name_only)
    return puts(name.data) < 0 ? -1 : 0;
  return r->options->stat ? print_stat(r, name.data, err) : print_full(r, name.data, err);
}

/* The group is complete: shows it, where there is anything to show. */
static int flush_group(struct render *r, struct st_error *err)
{
  struct st_group *g = &r->group;
  if (g->count == 0)
    return 0;
  int result = 0;
  if (r->options->times || st_group_is_loud(g)) {
    result = st_group_finish(g, r->t, r->sides.b, err);
    if (result == 0)
      result = take_packaged(r, err);
    if (result == 0) {
      count_group(r);
      result = print_group(r, err);
    }
  }
  st_group_clear(g);
  return result;
}

/* Tags are labels, and what was not seen is no difference: both are told elsewhere. */
static bool is_ignored(const char *table)
{
  return strcmp(table, ST_CORE_TAG) == 0 || strcmp(table, ST_CORE_UNOBSERVED) == 0;
}

static bool is_wanted(const struct st_render_options *options, const char *path)
{
  if (!options->paths || options->paths->count == 0)
    return true;
  for (size_t i = 0; path && i < options->paths->count; i++)
    if (st_path_below(path, options->paths->items[i]))
      return true;
  return false;
}

static int on_change(void *arg, const struct st_change *change, struct st_error *err)
{
  struct render *r = arg;
  ST_AUTO_FREE char *path = NULL;
  if (st_change_is_entry(change)) {
    const struct st_value *key = &st_change_row(change)[0];
    path = st_memdup(key->u.bytes.data, key->u.bytes.length);
  }
  r->rules |= strcmp(change->table, ST_CORE_RULE) == 0;
  if (is_ignored(change->table) || !is_wanted(r->options, path))
    return 0;
  bool same = r->group.count > 0 && r->group.path && path && strcmp(r->group.path, path) == 0;
  if (!same && flush_group(r, err) < 0)
    return -1;
  st_group_add(&r->group, change, path);
  return 0;
}

/* "; 30 packages, 2 files, 1 other", where there is more than one kind. */
static void print_kinds(const struct render *r, int64_t all)
{
  int64_t others = all - r->packages - r->paths;
  const char *between = "; ";
  const struct {
    int64_t n;
    const char *one, *many;
  } kinds[] = {{r->packages, "package", "packages"},
               {r->paths, "file", "files"},
               {others, "other", "others"}};
  for (size_t i = 0; i < ST_COUNT(kinds); i++) {
    if (kinds[i].n == 0 || kinds[i].n == all)
      continue;
    printf("%s%" PRId64 " %s", between, kinds[i].n, kinds[i].n == 1 ? kinds[i].one : kinds[i].many);
    between = ", ";
  }
}

static void print_sum(const struct render *r)
{
  int64_t all = r->added + r->deleted + r->changed + r->retyped;
  const struct {
    int64_t n;
    const char *word;
  } parts[] = {{r->added, "added"},
               {r->deleted, "deleted"},
               {r->changed, "changed"},
               {r->retyped, "retyped"}};
  const char *between = ":";
  printf("%" PRId64 " %s", all, all == 1 ? "differs" : "differ");
  for (size_t i = 0; i < ST_COUNT(parts); i++)
    if (parts[i].n > 0) {
      printf("%s %" PRId64 " %s", between, parts[i].n, parts[i].word);
      between = ",";
    }
  print_kinds(r, all);
  if (r->packaged > 0)
    printf("; and %" PRId64 " files as their packages have them (--files shows them)", r->packaged);
  putchar('\n');
}

int64_t st_render_changes(struct st_tracker *t, const struct st_cli *cli, int64_t a, int64_t b,
                          const struct st_render_options *options, struct st_error *err)
{
  struct render r = {
      .t = t,
      .cli = cli,
      .options = options,
      .sides = {.t = t, .a = a, .b = b, .live = b == ST_LIVE},
      .patches = {.cli = cli},
  };
  r.sides.texts = st_packaged_texts_new(t);
  int result = st_catalog_changes(t->catalog, a, b, on_change, &r, err);
  if (result >= 0)
    result = flush_group(&r, err);
  if (st_patches_print(&r.patches, result < 0 ? NULL : err) < 0)
    result = -1;
  st_patches_free(&r.patches);
  st_group_free(&r.group);
  st_package_counts_free(&r.counts);
  st_packaged_texts_free(r.sides.texts);
  if (result < 0)
    return -1;
  int64_t count = r.added + r.deleted + r.changed + r.retyped + r.packaged;
  if (count > 0 && !cli->json && !options->name_only && (options->stat || r.packaged > 0))
    print_sum(&r);
  if (r.rules && r.added + r.deleted > 0 && !cli->quiet) {
    fflush(stdout);
    fprintf(stderr, "systracker: the rules changed, too: what they took in or left out is shown as "
                    "added or deleted\n");
  }
  return count;
}
