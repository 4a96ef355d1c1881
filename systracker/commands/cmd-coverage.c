/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-coverage.c - what a restore of the latest checkpoint could not bring back. */
#include "systracker/commands/command.h"

#include <inttypes.h>
#include <string.h>

#include "systracker/base/set.h"
#include "systracker/tracker/packaged.h"
#include "systracker/tracker/packagefetch.h"

#define LARGEST 10

static const struct st_cli_verb verb = {
    .name = "coverage",
    .usage = "",
    .summary = "what a restore could not bring back: files not kept, trees out of scope, packages",
};

struct file {
  char *path;
  uint64_t size;
};

/* A folder of the first two levels, and what lies in it whose content is not kept. */
struct tree {
  char *path;
  uint64_t files, bytes;
};

struct coverage {
  struct st_tracker *t;
  int64_t number;
  struct st_set *kept; /* paths whose content is in the store */
  /* Paths whose content is what a package has -> 1: its package file is kept. */
  struct st_set *packaged;
  struct st_set *needed; /* name of a package without -> its files of that kind */
  struct st_set *sizes;  /* path -> bytes, of the files that a table knows by size */
  uint64_t kept_files, expected_files, packaged_files, files, bytes;
  struct st_packages *packages; /* whose files are kept */
  struct st_installed_list installed;
  enum st_package_at *at; /* of each of them */
  struct tree *trees;
  size_t ntrees;
  struct file largest[LARGEST + 1]; /* descending; the last place is for sorting in */
  struct st_strings mounts, unobserved;
};

static void coverage_clear(struct coverage *c)
{
  st_set_free(c->kept);
  st_set_free(c->packaged);
  st_set_free(c->needed);
  st_set_free(c->sizes);
  for (size_t i = 0; i < c->ntrees; i++)
    free(c->trees[i].path);
  free(c->trees);
  for (size_t i = 0; i < ST_COUNT(c->largest); i++)
    free(c->largest[i].path);
  st_installed_clear(&c->installed);
  free(c->at);
  if (c->packages)
    st_packages_close(c->packages);
  st_strings_free(&c->mounts);
  st_strings_free(&c->unobserved);
}

/* ---- Counting
 * ----------------------------------------------------------------------------- */

/* The table's column of that name and type, or -1. */
static int column_of(const struct st_table *d, const char *name, enum st_value_type type)
{
  for (size_t i = 1; i < d->ncolumns; i++)
    if (d->columns[i].type == type && (!name || strcmp(d->columns[i].name, name) == 0))
      return (int)i;
  return -1;
}

/* Whether it can be had out of a kept package file; if not, what the package is missed for. */
static int take_packaged(struct coverage *c, const struct st_value *path, struct st_error *err)
{
  ST_AUTO_PACKAGED p = {0};
  ST_CLEANUP(st_fact_freep) struct st_fact_row *package = NULL;
  ST_AUTO_FREE char *text = st_memdup(path->u.bytes.data, path->u.bytes.length);
  if (st_catalog_expecting(c->t->catalog, c->number, text, &package, err) < 0)
    return -1;
  if (!package)
    return 0;
  st_packaged_of(package, &p);
  int kept = st_packaged_is_kept(c->t, &p, err);
  if (kept < 0)
    return -1;
  st_set_add(c->packaged, path->u.bytes.data, path->u.bytes.length, (uint64_t)kept);
  if (kept > 0)
    return 0;
  uint64_t files = 0;
  ST_AUTO_FREE char *name = st_packaged_name(&p);
  st_set_get(c->needed, name, strlen(name), &files);
  st_set_add(c->needed, name, strlen(name), files + 1);
  return 0;
}

static int on_content(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  struct coverage *c = arg;
  const struct st_table *d = &fact->table->declaration;
  const struct st_value *path = &fact->values[0];
  int size = column_of(d, "size", ST_INTEGER);
  for (size_t i = 1; i < d->ncolumns; i++)
    if ((d->columns[i].flags & ST_OBJECT) && fact->values[i].type == ST_ID &&
        st_store_has(c->t->store, &fact->values[i].u.id))
      st_set_add(c->kept, path->u.bytes.data, path->u.bytes.length, 0);
  if (size >= 0 && fact->values[size].type == ST_INTEGER && fact->values[size].u.integer >= 0)
    st_set_add(c->sizes, path->u.bytes.data, path->u.bytes.length,
               (uint64_t)fact->values[size].u.integer);
  return fact->expected && size >= 0 ? take_packaged(c, path, err) : 0;
}

/* "/usr/lib" of "/usr/lib/x/y", "/etc" of "/etc/hosts". */
static size_t tree_length(const char *path)
{
  const char *second = strchr(path + 1, '/');
  const char *third = second ? strchr(second + 1, '/') : NULL;
  return third ? (size_t)(third - path) : second ? (size_t)(second - path) : 1;
}

/* Paths come in order, but a tree may come again after one below it. */
static void count_tree(struct coverage *c, const char *path, uint64_t size)
{
  size_t n = tree_length(path), i = c->ntrees;
  while (i > 0 &&
         !(strlen(c->trees[i - 1].path) == n && memcmp(c->trees[i - 1].path, path, n) == 0))
    i--;
  if (i == 0) {
    c->trees = st_realloc(c->trees, c->ntrees + 1, sizeof(*c->trees));
    c->trees[c->ntrees++] = (struct tree){.path = st_memdup(path, n)};
    i = c->ntrees;
  }
  c->trees[i - 1].files++;
  c->trees[i - 1].bytes += size;
}

static void note_largest(struct coverage *c, const char *path, uint64_t size)
{
  struct file *last = &c->largest[LARGEST];
  if (c->largest[LARGEST - 1].path && c->largest[LARGEST - 1].size >= size)
    return;
  *last = (struct file){st_strdup(path), size};
  for (size_t i = LARGEST; i > 0; i--) {
    struct file *a = &c->largest[i - 1], *b = &c->largest[i];
    if (a->path && a->size >= b->size)
      break;
    struct file swapped = *a;
    *a = *b;
    *b = swapped;
  }
  free(last->path);
  *last = (struct file){0};
}

/* One regular file of the host. */
static void count_file(struct coverage *c, const struct st_value *path)
{
  uint64_t size = 0, kept;
  ST_AUTO_FREE char *name = st_memdup(path->u.bytes.data, path->u.bytes.length);
  if (st_set_get(c->kept, path->u.bytes.data, path->u.bytes.length, NULL)) {
    c->kept_files++;
    return;
  }
  if (st_set_get(c->packaged, path->u.bytes.data, path->u.bytes.length, &kept)) {
    c->expected_files++;
    c->packaged_files += kept;
    return;
  }
  st_set_get(c->sizes, path->u.bytes.data, path->u.bytes.length, &size);
  c->files++;
  c->bytes += size;
  count_tree(c, name, size);
  note_largest(c, name, size);
}

static int on_entry(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  int type = column_of(&fact->table->declaration, "type", ST_TEXT);
  const struct st_value *v = type >= 0 ? &fact->values[type] : NULL;
  if (v && v->type == ST_TEXT && v->u.bytes.length == 1 && *(const char *)v->u.bytes.data == 'f')
    count_file(arg, &fact->values[0]);
  return 0;
}

static int on_mount(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  struct coverage *c = arg;
  const struct st_column *columns = fact->table->declaration.columns;
  if (fact->values[2].type == ST_INTEGER && fact->values[2].u.integer != 0)
    return 0;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  st_render_value(&columns[0], &fact->values[0], &words);
  st_buffer_append_string(&words, " (");
  st_render_value(&columns[1], &fact->values[1], &words);
  st_buffer_append_string(&words, ")");
  st_strings_add(&c->mounts, words.data);
  return 0;
}

static int on_unobserved(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  struct coverage *c = arg;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  for (size_t i = 0; i < 3; i++) {
    const struct st_value *v = &fact->values[i];
    if (v->type == ST_NULL || v->u.bytes.length == 0)
      continue;
    st_buffer_append_string(&words, words.length == 0 ? "" : i == 2 ? ": " : " ");
    st_render_value(&fact->table->declaration.columns[i], v, &words);
  }
  st_strings_add(&c->unobserved, words.data ? words.data : "");
  return 0;
}

/* Runs fn over the facts of a table; nothing where there is no such table. */
static int each(struct coverage *c, const struct st_catalog_table *table, st_fact_fn *fn,
                struct st_error *err)
{
  return table ? st_catalog_each(c->t->catalog, c->number, table, NULL, fn, c, err) : 0;
}

static bool all_kept(const struct st_installed_list *list)
{
  for (size_t i = 0; i < list->count; i++)
    if (!list->items[i].kept)
      return false;
  return true;
}

static int gather(struct coverage *c, struct st_error *err)
{
  struct st_catalog *catalog = c->t->catalog;
  const struct st_catalog_table *table;
  /* First what is kept, then the files: a file's entry is counted by what was learnt. */
  for (size_t n = 0; (table = st_catalog_table_at(catalog, n)); n++) {
    unsigned flags = table->declaration.flags;
    if ((flags & ST_TABLE_ENTRY) && each(c, table, on_content, err) < 0)
      return -1;
  }
  for (size_t n = 0; (table = st_catalog_table_at(catalog, n)); n++)
    if ((table->declaration.flags & ST_TABLE_ENTRY) &&
        column_of(&table->declaration, "type", ST_TEXT) >= 0 && each(c, table, on_entry, err) < 0)
      return -1;
  if (each(c, st_catalog_table(catalog, ST_CORE_MOUNT), on_mount, err) < 0 ||
      each(c, st_catalog_table(catalog, ST_CORE_UNOBSERVED), on_unobserved, err) < 0)
    return -1;
  if (st_packages_open(&c->packages, c->t->store_dir, err) < 0 ||
      st_tracker_installed(c->t, c->number, c->packages, &c->installed, err) < 0)
    return -1;
  c->at = st_calloc(c->installed.count + 1, sizeof(*c->at));
  if (all_kept(&c->installed)) /* nobody has to be asked */
    return 0;
  return st_fetch_classify(c->t, &c->installed, c->at, err);
}

static int by_bytes(const void *a, const void *b)
{
  const struct tree *x = a, *y = b;
  return x->bytes < y->bytes ? 1 : x->bytes > y->bytes ? -1 : strcmp(x->path, y->path);
}

/* ---- Words
 * -------------------------------------------------------------------------------- */

static void print_sized(uint64_t bytes, const char *path, uint64_t files)
{
  ST_AUTO_FREE char *size = st_format_size(bytes);
  printf("  %12s  %s", size, st_quote(path));
  if (files > 0)
    printf("  (%" PRIu64 ")", files);
  putchar('\n');
}

static void print_files(const struct coverage *c)
{
  ST_AUTO_FREE char *size = st_format_size(c->bytes);
  printf("files whose content is kept: %" PRIu64 "\n", c->kept_files);
  if (c->expected_files > 0)
    printf("files that are as their package has them: %" PRIu64 ", of these in kept package files: "
           "%" PRIu64 "\n",
           c->expected_files, c->packaged_files);
  printf("files whose content is not kept: %" PRIu64 " (%s)\n", c->files, size);
  for (size_t i = 0; i < c->ntrees; i++)
    print_sized(c->trees[i].bytes, c->trees[i].path, c->trees[i].files);
  if (c->files > 0)
    printf("the largest of them:\n");
  for (size_t i = 0; i < LARGEST && c->largest[i].path; i++)
    print_sized(c->largest[i].size, c->largest[i].path, 0);
}

static void print_strings(const char *heading, const struct st_strings *strings)
{
  if (strings->count > 0)
    printf("%s\n", heading);
  for (size_t i = 0; i < strings->count; i++)
    printf("  %s\n", strings->items[i]);
}

/* How many of them are kept, and in how many bytes. */
static size_t count_kept(const struct st_installed_list *list, uint64_t *ret_bytes)
{
  size_t count = 0;
  *ret_bytes = 0;
  for (size_t i = 0; i < list->count; i++)
    if (list->items[i].kept) {
      count++;
      *ret_bytes += list->items[i].kept->size;
    }
  return count;
}

/* How many files that are as the package has them are nowhere but in the package. */
static uint64_t files_of(const struct coverage *c, const struct st_installed *p)
{
  uint64_t files = 0;
  const struct st_packaged package = {
      .name = p->name, .version = p->version, .architecture = p->architecture};
  ST_AUTO_FREE char *name = st_packaged_name(&package);
  st_set_get(c->needed, name, strlen(name), &files);
  return files;
}

static void print_missing(const struct coverage *c, const struct st_installed *p, const char *at)
{
  uint64_t files = files_of(c, p);
  printf("  %s %s %s: %s", st_quote(p->name), st_quote(p->version), st_quote(p->architecture), at);
  if (files > 0)
    printf(", with %" PRIu64 " %s", files, files == 1 ? "file" : "files");
  putchar('\n');
}

static void print_packages(const struct coverage *c)
{
  const struct st_installed_list *list = &c->installed;
  uint64_t bytes;
  size_t kept = count_kept(list, &bytes);
  ST_AUTO_FREE char *size = st_format_size(bytes);
  printf("packages installed: %zu; package files kept: %zu (%s)\n", list->count, kept, size);
  if (kept < list->count)
    printf("package files not kept: %zu (systracker packages --fetch-missing)\n",
           list->count - kept);
  for (size_t i = 0; i < list->count; i++) {
    const struct st_installed *p = &list->items[i];
    if (!p->kept)
      print_missing(c, p, st_package_at_words[c->at[i]]);
  }
}

static void print_words(const struct coverage *c)
{
  const struct st_conf *conf = c->t->conf;
  print_files(c);
  print_packages(c);
  print_strings("mounts that are not entered:", &c->mounts);
  if (conf->nlists[ST_CONF_EXCLUDED] > 0)
    printf("excluded by the configuration:\n");
  for (size_t i = 0; i < conf->nlists[ST_CONF_EXCLUDED]; i++) {
    const struct st_conf_entry *e = &conf->lists[ST_CONF_EXCLUDED][i];
    printf("  %s: %s\n", st_quote(e->pattern), st_quote(e->reason));
  }
  print_strings("not seen:", &c->unobserved);
}

/* ---- JSON
 * --------------------------------------------------------------------------------- */

static json_t *sized_json(const char *path, uint64_t bytes)
{
  json_t *o = json_object();
  json_object_set_new(o, "path", st_json_path(path));
  json_object_set_new(o, "bytes", json_integer((json_int_t)bytes));
  return o;
}

static json_t *excluded_json(const struct st_conf *conf)
{
  json_t *array = json_array();
  for (size_t i = 0; i < conf->nlists[ST_CONF_EXCLUDED]; i++) {
    const struct st_conf_entry *e = &conf->lists[ST_CONF_EXCLUDED][i];
    json_t *o = json_object();
    json_object_set_new(o, "pattern", st_json_text(e->pattern));
    json_object_set_new(o, "reason", st_json_text(e->reason));
    json_array_append_new(array, o);
  }
  return array;
}

static void packages_json(json_t *o, const struct coverage *c)
{
  const struct st_installed_list *list = &c->installed;
  uint64_t bytes;
  size_t kept = count_kept(list, &bytes);
  json_t *missing = json_array();
  for (size_t i = 0; i < list->count; i++) {
    const struct st_installed *p = &list->items[i];
    if (p->kept)
      continue;
    json_t *package = json_object();
    json_object_set_new(package, "package", st_json_text(p->name));
    json_object_set_new(package, "version", st_json_text(p->version));
    json_object_set_new(package, "architecture", st_json_text(p->architecture));
    json_object_set_new(package, "file", json_string(st_package_at_words[c->at[i]]));
    json_object_set_new(package, "files", json_integer((json_int_t)files_of(c, p)));
    json_array_append_new(missing, package);
  }
  json_object_set_new(o, "packages", json_integer((json_int_t)list->count));
  json_object_set_new(o, "packages_kept", json_integer((json_int_t)kept));
  json_object_set_new(o, "packages_kept_bytes", json_integer((json_int_t)bytes));
  json_object_set_new(o, "packages_not_kept", missing);
}

static void print_json(const struct coverage *c)
{
  json_t *o = json_object(), *trees = json_array(), *largest = json_array();
  for (size_t i = 0; i < c->ntrees; i++) {
    json_t *tree = sized_json(c->trees[i].path, c->trees[i].bytes);
    json_object_set_new(tree, "files", json_integer((json_int_t)c->trees[i].files));
    json_array_append_new(trees, tree);
  }
  for (size_t i = 0; i < LARGEST && c->largest[i].path; i++)
    json_array_append_new(largest, sized_json(c->largest[i].path, c->largest[i].size));
  json_object_set_new(o, "checkpoint", json_integer(c->number));
  json_object_set_new(o, "kept_files", json_integer((json_int_t)c->kept_files));
  json_object_set_new(o, "expected_files", json_integer((json_int_t)c->expected_files));
  json_object_set_new(o, "packaged_files", json_integer((json_int_t)c->packaged_files));
  json_object_set_new(o, "not_kept_files", json_integer((json_int_t)c->files));
  json_object_set_new(o, "not_kept_bytes", json_integer((json_int_t)c->bytes));
  json_object_set_new(o, "trees", trees);
  json_object_set_new(o, "largest", largest);
  packages_json(o, c);
  json_object_set_new(o, "mounts_not_entered", st_json_words_each(&c->mounts));
  json_object_set_new(o, "excluded", excluded_json(c->t->conf));
  json_object_set_new(o, "unobserved", st_json_words_each(&c->unobserved));
  st_cli_json(o);
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  int first = st_cli_parse(cli, &verb, argc, argv, NULL, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 0, 0, err) < 0)
    return -1;
  ST_AUTO_TRACKER *t = NULL;
  if (st_tracker_open(&t, &cli->tracker, ST_TRACKER_LOOK, err) < 0)
    return -1;
  int64_t latest = cmd_latest(t, err);
  if (latest < 0)
    return -1;
  ST_CLEANUP(coverage_clear)
  struct coverage c = {.t = t,
                       .number = latest,
                       .kept = st_set_new(),
                       .packaged = st_set_new(),
                       .needed = st_set_new(),
                       .sizes = st_set_new()};
  if (gather(&c, err) < 0)
    return -1;
  if (c.ntrees > 0)
    qsort(c.trees, c.ntrees, sizeof(*c.trees), by_bytes);
  pid_t pager = st_cli_pager(cli);
  if (cli->json)
    print_json(&c);
  else
    print_words(&c);
  st_cli_pager_end(pager);
  return c.unobserved.count > 0 ? ST_EXIT_INCOMPLETE : ST_EXIT_OK;
}

const struct st_command cmd_coverage = {&verb, run};
