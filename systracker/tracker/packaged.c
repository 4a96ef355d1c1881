/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/packaged.h"

#include <string.h>

#include "systracker/base/cbor.h"
#include "systracker/base/escape.h"

#define CONTENT_TABLE "checksum_track_file"

void st_packaged_clear(struct st_packaged *p)
{
  free(p->name);
  free(p->version);
  free(p->architecture);
  *p = (struct st_packaged){0};
}

/* ---- What a package expects -------------------------------------------------------------------
 */

static const struct st_value *column(const struct st_fact_row *fact, const char *name,
                                     enum st_value_type type)
{
  const struct st_table *d = &fact->table->declaration;
  for (size_t i = 0; i < d->ncolumns; i++)
    if (strcmp(d->columns[i].name, name) == 0)
      return fact->values[i].type == type ? &fact->values[i] : NULL;
  return NULL;
}

static char *text(const struct st_fact_row *fact, const char *name)
{
  const struct st_value *v = column(fact, name, ST_TEXT);
  return v ? st_memdup(v->u.bytes.data, v->u.bytes.length) : st_strdup("");
}

void st_packaged_of(const struct st_fact_row *package, struct st_packaged *ret)
{
  const struct st_table *d = &package->table->declaration;
  *ret = (struct st_packaged){
      .name = text(package, "name"),
      .version = text(package, "version"),
      .architecture = text(package, "architecture"),
      .since = package->since,
  };
  for (size_t i = 0; i < d->ncolumns; i++)
    if ((d->columns[i].flags & ST_MANIFEST) && package->values[i].type == ST_ID) {
      ret->manifest = package->values[i].u.id;
      ret->has_manifest = true;
    }
}

static int find_content(struct st_tracker *t, int64_t number, const char *path,
                        struct st_packaged *ret, struct st_error *err)
{
  const struct st_catalog_table *table = st_catalog_table(t->catalog, CONTENT_TABLE);
  struct st_value key = st_path_value(path);
  ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
  if (!table)
    return 0;
  if (st_catalog_expected(t->catalog, number, table, &key, &fact, err) < 0)
    return -1;
  const struct st_value *digest = fact ? column(fact, "digest", ST_ID) : NULL;
  const struct st_value *size = fact ? column(fact, "size", ST_INTEGER) : NULL;
  if (!digest || digest->u.id.keyed || !size || size->u.integer < 0)
    return 0;
  ret->has_content = true;
  ret->content.size = (uint64_t)size->u.integer;
  memcpy(ret->content.digest, digest->u.id.digest, ST_DIGEST_SIZE);
  return 0;
}

int st_packaged_find(struct st_tracker *t, int64_t number, const char *path,
                     struct st_packaged *ret, struct st_error *err)
{
  ST_CLEANUP(st_fact_freep) struct st_fact_row *package = NULL;
  *ret = (struct st_packaged){0};
  if (st_catalog_expecting(t->catalog, number, path, &package, err) < 0)
    return -1;
  if (!package)
    return 0;
  st_packaged_of(package, ret);
  if (find_content(t, number, path, ret, err) < 0) {
    st_packaged_clear(ret);
    return -1;
  }
  return 1;
}

char *st_packaged_name(const struct st_packaged *p)
{
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  st_escape(&b, p->name, strlen(p->name));
  for (const char *const *part = (const char *const[]){p->version, p->architecture, NULL}; *part;
       part++) {
    if (!**part)
      continue;
    st_buffer_append_byte(&b, ' ');
    st_escape(&b, *part, strlen(*part));
  }
  return st_buffer_steal(&b, NULL);
}

/* doc/formats: ["systracker-manifest", 1, "package" or "observed", ...]. */
bool st_packaged_is_observed(struct st_tracker *t, const struct st_packaged *p)
{
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  const char *format, *kind;
  size_t length;
  uint64_t n;
  int64_t version;
  if (!p->has_manifest || st_store_get(t->store, &p->manifest, &bytes, NULL) < 0)
    return false;
  struct st_cbor in = {(const uint8_t *)bytes.data, bytes.length};
  return st_cbor_read_array(&in, &n, NULL) == 0 &&
         st_cbor_read_text(&in, &format, &length, NULL) == 0 &&
         st_cbor_read_integer(&in, &version, NULL) == 0 &&
         st_cbor_read_text(&in, &kind, &length, NULL) == 0 && length == 8 &&
         memcmp(kind, "observed", 8) == 0;
}

/* ---- Contents ---------------------------------------------------------------------------------
 */

/* The package's own file, else one that was put together again: what it contains is proved all the
 * same. */
static const struct st_package *first_file(struct st_tracker *t, const struct st_packaged *p,
                                           const struct st_packages **ret, struct st_error *err)
{
  *ret = t->store_dir >= 0 ? st_tracker_packages(t, err) : NULL;
  return *ret ? st_packaged_next_file(*ret, p, NULL) : NULL;
}

const struct st_package *st_packaged_next_file(const struct st_packages *packages,
                                               const struct st_packaged *p,
                                               const struct st_package *before)
{
  const struct st_package *file =
      before ? st_packages_next(packages, before)
             : st_packages_find(packages, p->name, p->version, p->architecture);
  if (!file && (!before || !st_package_is_repacked(before)))
    file = st_packages_find_repacked(packages, p->name, p->version, p->architecture);
  return file;
}

int st_packaged_is_kept(struct st_tracker *t, const struct st_packaged *p, struct st_error *err)
{
  const struct st_packages *packages;
  const struct st_package *file = first_file(t, p, &packages, err);
  return file ? 1 : packages ? 0 : -1;
}

/* Reads one kept file for the wants that no other one had. */
static int read_file(const struct st_packages *packages, const struct st_package *file,
                     const struct st_packaged *p, struct st_package_want *wants, size_t count,
                     const struct st_package_sink *sink, struct st_error *err)
{
  ST_AUTO_FREE char *name = st_packaged_name(p);
  ST_AUTO_CLOSE int fd = st_packages_read(packages, file, err);
  if (fd < 0)
    return st_wrap(err, "%s", name);
  const struct st_package_input source = {fd, file->kind, name};
  return st_package_content(&source, wants, count, sink, err);
}

/* The sink of those that are left, seen from the whole. */
struct part {
  const struct st_package_sink *sink;
  const size_t *places; /* of each want, its place in the whole */
};

static int part_piece(void *arg, size_t want, const void *data, size_t n, struct st_error *err)
{
  const struct part *p = arg;
  return p->sink->piece(p->sink->arg, p->places[want], data, n, err);
}

static int part_done(void *arg, size_t want, struct st_error *err)
{
  const struct part *p = arg;
  return p->sink->done ? p->sink->done(p->sink->arg, p->places[want], err) : 0;
}

/* Asks one kept file for those of `places` (indices of `asked`) that are not found yet. */
static void ask_file(const struct st_packages *packages, const struct st_package *file,
                     struct st_packaged_ask *asked, const size_t *places, size_t count,
                     const struct st_package_sink *sink, struct st_error *err)
{
  ST_AUTO_FREE struct st_package_want *wants = st_calloc(count, sizeof(*wants));
  ST_AUTO_FREE size_t *left = st_calloc(count, sizeof(*left));
  size_t n = 0;
  for (size_t i = 0; i < count; i++)
    if (!asked[places[i]].found) {
      left[n] = places[i];
      wants[n++] = asked[places[i]].from->content;
    }
  struct part part = {sink, left};
  const struct st_package_sink to = {part_piece, part_done, &part};
  if (n > 0)
    read_file(packages, file, asked[left[0]].from, wants, n, &to, err);
  for (size_t i = 0; i < n; i++)
    asked[left[i]].found = wants[i].found;
}

/* All of one package, from whichever of its kept files has it (it may have been built again under
 * the same version). */
static void ask_package(struct st_tracker *t, struct st_packaged_ask *asked, const size_t *places,
                        size_t count, const struct st_package_sink *sink)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  const struct st_packaged *p = asked[places[0]].from;
  const struct st_packages *packages;
  const struct st_package *file = first_file(t, p, &packages, &err);
  ST_AUTO_FREE char *name = st_packaged_name(p);
  if (!file && packages)
    st_fail(&err, 0, "the file of its package is not kept (%s)", name);
  for (; file; file = st_packaged_next_file(packages, p, file))
    ask_file(packages, file, asked, places, count, sink, &err);
  for (size_t i = 0; i < count; i++)
    if (!asked[places[i]].found)
      asked[places[i]].why = err.message ? st_strdup(err.message)
                                         : st_format("the kept file of its package does not have "
                                                     "this content (%s)",
                                                     name);
}

static int compare_packages(const void *a, const void *b, void *arg)
{
  const struct st_packaged_ask *asked = arg;
  const size_t *x = a, *y = b;
  const struct st_packaged *p = asked[*x].from, *q = asked[*y].from;
  int r = strcmp(p->name, q->name);
  if (r == 0)
    r = strcmp(p->version, q->version);
  if (r == 0)
    r = strcmp(p->architecture, q->architecture);
  return r ? r : *x < *y ? -1 : *x > *y;
}

static bool same_package(const struct st_packaged *p, const struct st_packaged *q)
{
  return strcmp(p->name, q->name) == 0 && strcmp(p->version, q->version) == 0 &&
         strcmp(p->architecture, q->architecture) == 0;
}

void st_packaged_contents(struct st_tracker *t, struct st_packaged_ask *asked, size_t count,
                          const struct st_package_sink *sink)
{
  ST_AUTO_FREE size_t *places = st_calloc(count + 1, sizeof(*places));
  for (size_t i = 0; i < count; i++) {
    places[i] = i;
    asked[i].found = false;
    asked[i].why = NULL;
  }
  if (count > 0)
    qsort_r(places, count, sizeof(*places), compare_packages, asked);
  for (size_t first = 0, next; first < count; first = next) {
    next = first + 1;
    while (next < count && same_package(asked[places[first]].from, asked[places[next]].from))
      next++;
    ask_package(t, asked, places + first, next - first, sink);
  }
}

void st_packaged_asks_clear(struct st_packaged_ask *asked, size_t count)
{
  for (size_t i = 0; i < count; i++)
    free(asked[i].why);
}

/* One content, to a function that takes pieces. */
struct to_fn {
  st_piece_fn *fn;
  void *arg;
};

static int fn_piece(void *arg, size_t want, const void *data, size_t n, struct st_error *err)
{
  const struct to_fn *to = arg;
  (void)want;
  return to->fn(to->arg, data, n, err);
}

int st_packaged_content(struct st_tracker *t, const struct st_packaged *p, st_piece_fn *fn,
                        void *arg, struct st_error *err)
{
  struct to_fn to = {fn, arg};
  const struct st_package_sink sink = {fn_piece, NULL, &to};
  struct st_packaged_ask ask = {.from = p};
  st_packaged_contents(t, &ask, 1, &sink);
  if (!ask.found)
    st_refuse(err, "%s", ask.why);
  st_packaged_asks_clear(&ask, 1);
  return !ask.found;
}
