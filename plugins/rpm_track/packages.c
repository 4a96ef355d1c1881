/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/rpm_track/packages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/rpm_track/prove.h"
#include "plugins/entries.h"
#include "plugins/values.h"

/* ---- Fields -------------------------------------------------------------------------------- */

/* A place in the text. */
struct reader {
  const char *at, *end;
};

static int cut_off(struct st_error *err)
{
  return st_fail(err, 0, "what systracker-rpm says of rpm's database is not whole");
}

static const char *next_field(struct reader *in)
{
  const char *field = in->at;
  const char *end = field < in->end ? memchr(field, 0, (size_t)(in->end - field)) : NULL;
  if (!end)
    return NULL;
  in->at = end + 1;
  return field;
}

static int next_fields(struct reader *in, const char **ret, size_t count, struct st_error *err)
{
  for (size_t i = 0; i < count; i++) {
    ret[i] = next_field(in);
    if (!ret[i])
      return cut_off(err);
  }
  return 0;
}

static int number(const char *field, int base, int64_t *ret, struct st_error *err)
{
  char *end;
  errno = 0;
  *ret = strtoll(field, &end, base);
  if (errno || end == field || *end || *field == '+' || *field == ' ')
    return st_fail(err, 0, "systracker-rpm says a number that is none");
  return 0;
}

/* ---- Packages ------------------------------------------------------------------------------ */

void packages_free(struct packages *p)
{
  for (size_t i = 0; i < p->count; i++)
    free(p->items[i].instance);
  free(p->items);
  free(p->text);
  *p = (struct packages){0};
}

static struct package *add(struct packages *p)
{
  if ((p->count & (p->count - 1)) == 0) { /* full */
    struct package *more = reallocarray(p->items, p->count ? 2 * p->count : 1, sizeof(*more));
    if (!more)
      return NULL;
    p->items = more;
  }
  p->items[p->count] = (struct package){0};
  return &p->items[p->count++];
}

static int read_package(struct packages *p, struct reader *in, struct st_error *err)
{
  const char *file[FILE_FIELDS];
  int64_t files;
  struct package *package = add(p);
  if (!package)
    return st_fail(err, 0, "out of memory");
  if (next_fields(in, package->field, PACKAGE_FIELDS, err) < 0 ||
      number(package->field[FIELD_FILES], 10, &files, err) < 0)
    return -1;
  if (files < 0 || files > (in->end - in->at) / FILE_FIELDS)
    return cut_off(err);
  package->files = in->at;
  package->nfiles = (size_t)files;
  for (int64_t i = 0; i < files; i++) {
    if (next_fields(in, file, FILE_FIELDS, err) < 0)
      return -1;
  }
  package->files_end = in->at;
  return 0;
}

static int read_all(struct packages *p, struct reader *in, struct st_error *err)
{
  const char *field;
  while ((field = next_field(in)) && strcmp(field, LIST_END) != 0) {
    if (strcmp(field, LIST_NOTE) == 0) {
      if (!(field = next_field(in)))
        return cut_off(err);
      st_log(ST_LOG_WARNING, "%s", field);
    } else if (strcmp(field, LIST_PACKAGE) != 0) {
      return st_fail(err, 0, "systracker-rpm says what is not known here");
    } else if (read_package(p, in, err) < 0) {
      return -1;
    }
  }
  return field && in->at == in->end ? 0 : cut_off(err);
}

/* ---- Which is which ------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
  const struct package *x = a, *y = b;
  int r = strcmp(x->field[FIELD_NAME], y->field[FIELD_NAME]);
  if (r == 0)
    r = strcmp(x->field[FIELD_ARCHITECTURE], y->field[FIELD_ARCHITECTURE]);
  if (r == 0)
    r = strcmp(x->field[FIELD_VERSION], y->field[FIELD_VERSION]);
  return r != 0 ? r : (x->files > y->files) - (x->files < y->files);
}

static int by_key(const void *a, const void *b)
{
  const struct package *x = a, *y = b;
  int r = strcmp(x->field[FIELD_NAME], y->field[FIELD_NAME]);
  if (r == 0)
    r = strcmp(x->field[FIELD_ARCHITECTURE], y->field[FIELD_ARCHITECTURE]);
  return r != 0 ? r : strcmp(x->instance, y->instance);
}

static bool same_name(const struct package *a, const struct package *b)
{
  return strcmp(a->field[FIELD_NAME], b->field[FIELD_NAME]) == 0 &&
         strcmp(a->field[FIELD_ARCHITECTURE], b->field[FIELD_ARCHITECTURE]) == 0;
}

/* How many of the same name and version stand before it, which rpm itself would not have. */
static size_t same_before(const struct packages *p, size_t i)
{
  size_t n = 0;
  while (n < i && same_name(&p->items[i], &p->items[i - n - 1]) &&
         strcmp(p->items[i].field[FIELD_VERSION], p->items[i - n - 1].field[FIELD_VERSION]) == 0)
    n++;
  return n;
}

/* The version, where it is what tells it from its like; with a number where even that does not. */
static char *instance_of(const struct packages *p, size_t i)
{
  const struct package *this = &p->items[i];
  bool several = strcmp(this->field[FIELD_SEVERAL], "0") != 0 ||
                 (i > 0 && same_name(this, &p->items[i - 1])) ||
                 (i + 1 < p->count && same_name(this, &p->items[i + 1]));
  size_t same = same_before(p, i);
  char *text = NULL;
  if (!several || same == 0)
    return strdup(several ? this->field[FIELD_VERSION] : "");
  return asprintf(&text, "%s#%zu", this->field[FIELD_VERSION], same + 1) < 0 ? NULL : text;
}

static int name_instances(struct packages *p, struct st_error *err)
{
  if (p->count > 1)
    qsort(p->items, p->count, sizeof(*p->items), by_name);
  for (size_t i = 0; i < p->count; i++) {
    p->items[i].instance = instance_of(p, i);
    if (!p->items[i].instance)
      return st_fail(err, 0, "out of memory");
  }
  if (p->count > 1)
    qsort(p->items, p->count, sizeof(*p->items), by_key);
  return 0;
}

int packages_parse(struct packages *ret, char *text, size_t length, struct st_error *err)
{
  const char *head[3];
  struct reader in = {text, text + length};
  *ret = (struct packages){.text = text};
  int r = next_fields(&in, head, COUNT(head), err);
  if (r == 0 && (strcmp(head[0], LIST_MAGIC) != 0 || strcmp(head[1], LIST_VERSION) != 0))
    r = st_fail(err, 0, "systracker-rpm is of another version than rpm_track");
  if (r == 0)
    r = read_all(ret, &in, err);
  if (r == 0)
    r = name_instances(ret, err);
  if (r < 0)
    packages_free(ret);
  else
    ret->cookie = head[2];
  return r;
}

const struct package *packages_find(const struct packages *p, const char *name,
                                    const char *architecture, const char *instance)
{
  struct package key = {.instance = (char *)instance};
  key.field[FIELD_NAME] = name;
  key.field[FIELD_ARCHITECTURE] = architecture;
  return p->count ? bsearch(&key, p->items, p->count, sizeof(key), by_key) : NULL;
}

/* ---- What it expects ----------------------------------------------------------------------- */

/* NULL where the field is empty. */
static int number_value(const char *field, int base, struct st_value *ret, struct st_error *err)
{
  int64_t n = 0;
  int r = *field ? number(field, base, &n, err) : 0;
  *ret = *field ? st_integer(n) : st_null();
  return r;
}

static struct st_value text_or_none(enum st_value_type type, const char *field)
{
  return *field ? st_string_value(type, field) : st_null();
}

static int digit(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 0, or -1 where it is not exactly that many bytes. */
static int unhex(const char *field, unsigned char *ret, size_t length)
{
  for (size_t i = 0; i < length; i++, field += 2) {
    int high = digit(field[0]), low = high < 0 ? -1 : digit(field[1]);
    if (low < 0)
      return -1;
    ret[i] = (unsigned char)(high << 4 | low);
  }
  return *field ? -1 : 0;
}

static int fill_numbers(const char *const *f, struct st_value *row, struct st_error *err)
{
  static const struct {
    enum entry_column column;
    enum file_field field;
    int base;
  } numbers[] = {{MODE, FIELD_MODE, 8},
                 {UID, FIELD_UID, 10},
                 {GID, FIELD_GID, 10},
                 {MTIME, FIELD_MTIME, 10},
                 {RDEV, FIELD_RDEV, 10}};
  for (size_t i = 0; i < COUNT(numbers); i++) {
    if (number_value(f[numbers[i].field], numbers[i].base, &row[numbers[i].column], err) < 0)
      return -1;
  }
  row[MTIME_NSEC] = row[MTIME].type == ST_NULL ? st_null() : st_integer(0);
  return 0;
}

/* Attributes are those of doc/formats; of most files there are none, and nothing is said. */
static int expect_entry(const char *const *f, struct st_manifest *out, struct st_error *err)
{
  unsigned char xattrs[256];
  size_t length = strlen(f[FIELD_XATTRS]) / 2;
  struct st_value row[ENTRY_COLUMNS] = {
      [PATH] = st_path_value(f[FIELD_PATH]),
      [TYPE] = st_text_value(f[FIELD_TYPE]),
      [OWNER] = text_or_none(ST_TEXT, f[FIELD_OWNER]),
      [GROUP] = text_or_none(ST_TEXT, f[FIELD_GROUP]),
      [TARGET] = *f[FIELD_TYPE] == 'l' ? st_string_value(ST_BYTES, f[FIELD_TARGET]) : st_null(),
      [LINK_GROUP] = text_or_none(ST_BYTES, f[FIELD_LINK_GROUP]),
  };
  if (fill_numbers(f, row, err) < 0)
    return -1;
  if (length > sizeof(xattrs) || unhex(f[FIELD_XATTRS], xattrs, length) < 0)
    return st_fail(err, 0, "systracker-rpm says attributes that cannot be");
  if (length > 0)
    row[XATTRS] = st_bytes_value(ST_BYTES, xattrs, length);
  return st_expect(out, ENTRY_TABLE, row, length > 0 ? ENTRY_COLUMNS : LINK_GROUP + 1, err);
}

/* Of a package with other digests the content is known as long as it is what they say. */
static int content_of(const struct st_context *ctx, const char *const *f, int64_t size,
                      struct st_id *ret, struct st_error *err)
{
  const struct declared d = {f[FIELD_PATH], f[FIELD_OTHER], size};
  if (*f[FIELD_SHA256] == 0)
    return *d.digest ? prove(ctx, &d, ret) : 1;
  if (unhex(f[FIELD_SHA256], ret->digest, sizeof(ret->digest)) < 0)
    return st_fail(err, 0, "systracker-rpm says a digest that is none");
  return 0;
}

static int expect_content(const struct st_context *ctx, const char *const *f,
                          struct st_manifest *out, struct st_error *err)
{
  struct st_id id = {0};
  int64_t size = 0;
  if (*f[FIELD_TYPE] != 'f')
    return 0;
  if (number(f[FIELD_SIZE], 10, &size, err) < 0)
    return -1;
  int r = content_of(ctx, f, size, &id, err);
  const struct st_value row[FILE_COLUMNS] = {
      [FILE_PATH] = st_path_value(f[FIELD_PATH]),
      [DIGEST] = st_id_value(&id),
      [SIZE] = st_integer(size),
  };
  if (r != 0)
    return r < 0 ? r : 0;
  return st_expect(out, FILE_TABLE, row, FILE_COLUMNS, err);
}

int packages_expect(const struct package *p, const struct st_context *ctx, struct st_manifest *out,
                    struct st_error *err)
{
  struct reader in = {p->files, p->files_end};
  const char *f[FILE_FIELDS];
  for (size_t i = 0; i < p->nfiles; i++) {
    if (next_fields(&in, f, FILE_FIELDS, err) < 0 || expect_entry(f, out, err) < 0 ||
        expect_content(ctx, f, out, err) < 0)
      return -1;
  }
  return 0;
}
