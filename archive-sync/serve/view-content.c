/* SPDX-License-Identifier: GPL-2.0-or-later */
/* view-content.c - a file's content, and two of them side by side. */
#include <inttypes.h>
#include <string.h>

#include "archive-sync/serve/view-internal.h"
#include "systracker/base/escape.h"
#include "systracker/base/process.h"

/* ---- One content --------------------------------------------------------------------------------
 */

struct bounded {
  struct st_buffer *out;
  size_t max;
  bool too_large;
};

static int append(void *arg, const void *data, size_t n, struct st_error *err)
{
  struct bounded *b = arg;
  b->too_large |= n > b->max || b->out->length > b->max - n;
  if (b->too_large)
    return st_fail(err, 0, "too large to be shown");
  st_buffer_append(b->out, data, n);
  return 0;
}

/* What is there instead of a file, in words; NULL: it may be one. */
static int other_type(struct st_hostview *v, int64_t number, const char *path, const char **ret,
                      struct st_error *err)
{
  static const struct {
    char type;
    const char *words;
  } types[] = {{'d', "it is a directory"}, {'l', "it is a symbolic link"}, {'c', "it is a device"},
               {'b', "it is a device"},    {'p', "it is a pipe"},          {'s', "it is a socket"}};
  char type;
  *ret = NULL;
  if (st_view_type(v, number, path, &type, err) < 0)
    return -1;
  for (size_t i = 0; i < ST_COUNT(types); i++)
    if (types[i].type == type)
      *ret = types[i].words;
  return 0;
}

int st_view_type(struct st_hostview *v, int64_t number, const char *path, char *ret,
                 struct st_error *err)
{
  const struct st_catalog_table *table = st_catalog_table(v->t->catalog, "standard_track_entry");
  struct st_value key = st_path_value(path);
  ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
  *ret = 0;
  if (!table || table->declaration.ncolumns < 2)
    return 0;
  if (st_catalog_fact(v->t->catalog, number, table, &key, &fact, err) < 0)
    return -1;
  if (fact->present && fact->values[1].type == ST_TEXT && fact->values[1].u.bytes.length == 1)
    *ret = *(const char *)fact->values[1].u.bytes.data;
  return 0;
}

int st_hostview_content(struct st_hostview *v, int64_t number, const char *path, size_t max,
                        struct st_buffer *out, struct st_buffer *why, struct st_error *err)
{
  struct bounded b = {out, max < ST_VIEW_CONTENT_MAX ? max : ST_VIEW_CONTENT_MAX, false};
  const char *other;
  if (other_type(v, number, path, &other, err) < 0)
    return -1;
  if (other) {
    st_buffer_append_string(why, other);
    return 0;
  }
  ST_AUTO_ERROR said = ST_ERROR_INIT;
  if (st_tracker_content(v->t, number, path, false, append, &b, &said) == 0)
    return 1;
  st_buffer_clear(out);
  st_buffer_append_string(why, b.too_large ? "too large to be shown" : st_error_text(&said));
  return 0;
}

/* ---- Lines of a unified diff --------------------------------------------------------------------
 */

static void add(struct st_diff_line **list, size_t *count, const struct st_diff_line *line)
{
  if ((*count & (*count - 1)) == 0) /* a power of 2: full */
    *list = st_realloc(*list, *count ? 2 * *count : 1, sizeof(**list));
  (*list)[(*count)++] = *line;
}

struct reading {
  struct st_view_diff *d;
  int64_t left, right; /* the next line's number */
};

/* "@@ -12,7 +12,8 @@", as this file or diff(1) wrote it. */
static void read_hunk(struct reading *r, const char *text)
{
  char *end;
  r->left = r->right = 1;
  if (strncmp(text, "@@ -", 4) != 0)
    return;
  r->left = strtoll(text + 4, &end, 10);
  end += strcspn(end, "+\n");
  if (*end == '+')
    r->right = strtoll(end + 1, NULL, 10);
}

static struct st_diff_line read_line(struct reading *r, const char *text, size_t n)
{
  struct st_diff_line line = {.left = text, .left_length = n};
  const char *rest = text + (n > 0);
  size_t length = n - (n > 0);
  switch (n > 0 ? *text : ' ') {
  case '@':
    line.kind = ST_DIFF_HUNK;
    read_hunk(r, text);
    return line;
  case '\\':
    line.kind = ST_DIFF_NOTE;
    return line;
  case '-':
    return (struct st_diff_line){ST_DIFF_DELETED, r->left++, 0, rest, NULL, length, 0};
  case '+':
    return (struct st_diff_line){ST_DIFF_ADDED, 0, r->right++, NULL, rest, 0, length};
  default:
    return (struct st_diff_line){ST_DIFF_SAME, r->left++, r->right++, rest, rest, length, length};
  }
}

/* Skips the two header lines. */
static const char *body_of(const struct st_view_diff *d)
{
  const char *at = d->unified;
  for (int i = 0; i < 2 && at; i++) {
    at = memchr(at, '\n', d->length - (size_t)(at - d->unified));
    at = at ? at + 1 : NULL;
  }
  return at;
}

static void read_lines(struct st_view_diff *d)
{
  struct reading r = {.d = d};
  const char *end = d->unified + d->length;
  for (const char *at = body_of(d), *newline; at && at < end; at = newline + 1) {
    newline = memchr(at, '\n', (size_t)(end - at));
    if (!newline)
      newline = end;
    if (d->nlines == ST_VIEW_LINES) {
      d->cut = true;
      return;
    }
    struct st_diff_line line = read_line(&r, at, (size_t)(newline - at));
    add(&d->lines, &d->nlines, &line);
    if (newline == end)
      return;
  }
}

/* ---- Side by side -------------------------------------------------------------------------------
 */

static size_t run_of(const struct st_view_diff *d, size_t from, enum st_diff_kind kind)
{
  size_t n = 0;
  while (from + n < d->nlines && d->lines[from + n].kind == kind)
    n++;
  return n;
}

/* What went and what came in its place stand beside each other. */
static void pair(struct st_view_diff *d, size_t from, size_t deleted, size_t to, size_t added)
{
  for (size_t i = 0; i < deleted || i < added; i++) {
    struct st_diff_line row = {.kind = i >= deleted ? ST_DIFF_ADDED
                                       : i >= added ? ST_DIFF_DELETED
                                                    : ST_DIFF_CHANGED};
    if (i < deleted) {
      const struct st_diff_line *l = &d->lines[from + i];
      row.left_number = l->left_number, row.left = l->left, row.left_length = l->left_length;
    }
    if (i < added) {
      const struct st_diff_line *l = &d->lines[to + i];
      row.right_number = l->right_number, row.right = l->right, row.right_length = l->right_length;
    }
    add(&d->rows, &d->nrows, &row);
  }
}

static void make_rows(struct st_view_diff *d)
{
  for (size_t i = 0; i < d->nlines;) {
    size_t deleted = run_of(d, i, ST_DIFF_DELETED);
    size_t notes = deleted > 0 ? run_of(d, i + deleted, ST_DIFF_NOTE) : 0;
    size_t added = run_of(d, i + deleted + notes, ST_DIFF_ADDED);
    if (deleted + added == 0) {
      add(&d->rows, &d->nrows, &d->lines[i++]);
      continue;
    }
    pair(d, i, deleted, i + deleted + notes, added);
    for (size_t n = 0; n < notes; n++)
      add(&d->rows, &d->nrows, &d->lines[i + deleted + n]);
    i += deleted + notes + added;
  }
}

int st_view_compare(const void *old, size_t old_length, const char *old_label, const void *new_,
                    size_t new_length, const char *new_label, struct st_view_diff *ret,
                    struct st_error *err)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  *ret = (struct st_view_diff){0};
  if (st_view_unified(old, old_length, old_label, new_, new_length, new_label, &out, err) < 0)
    return -1;
  ret->unified = st_buffer_steal(&out, &ret->length);
  read_lines(ret);
  make_rows(ret);
  return 0;
}

void st_view_diff_clear(struct st_view_diff *d)
{
  free(d->unified);
  free(d->lines);
  free(d->rows);
  free(d->why);
  *d = (struct st_view_diff){0};
}

/* ---- Two contents of a path ---------------------------------------------------------------------
 */

/* "a/etc/hosts at 3", and of another host its name; "/dev/null". */
static char *label(const struct st_view_at *at, const struct st_view_at *other, char side,
                   bool there, const char *path)
{
  const char *name = *at->v->name ? at->v->name : at->v->host;
  if (!there)
    return st_strdup("/dev/null");
  if (strcmp(at->v->host, other->v->host) == 0)
    return st_format("%c%s at %" PRId64, side, st_quote(path), at->number);
  return st_format("%c%s of %s at %" PRId64, side, st_quote(path), name, at->number);
}

/* 1: it is text; 0: `why` says why there is nothing to compare. */
static int read_text(const struct st_view_at *at, const char *path, struct st_buffer *out,
                     struct st_buffer *why, struct st_error *err)
{
  int r = st_hostview_content(at->v, at->number, path, ST_VIEW_CONTENT_MAX, out, why, err);
  if (r > 0 && st_is_binary(out->data, out->length)) {
    st_buffer_append_string(why, "it is no text");
    return 0;
  }
  return r;
}

static int compare(const struct st_view_at *a, const struct st_view_at *b, const char *path,
                   char letter, struct st_view_diff *ret, struct st_error *err)
{
  ST_AUTO_BUFFER old = ST_BUFFER_INIT;
  ST_AUTO_BUFFER new_ = ST_BUFFER_INIT;
  ST_AUTO_BUFFER why = ST_BUFFER_INIT;
  int r = letter == 'A' ? 1 : read_text(a, path, &old, &why, err);
  if (r == 1 && letter != 'D')
    r = read_text(b, path, &new_, &why, err);
  if (r < 0)
    return -1;
  if (r == 0) {
    ret->why = st_buffer_steal(&why, NULL);
    return 0;
  }
  ST_AUTO_FREE char *x = label(a, b, 'a', letter != 'A', path);
  ST_AUTO_FREE char *y = label(b, a, 'b', letter != 'D', path);
  return st_view_compare(old.data, old.length, x, new_.data, new_.length, y, ret, err);
}

int st_hostview_diff(struct st_hostview *a, int64_t at_a, struct st_hostview *b, int64_t at_b,
                     const char *path, struct st_view_diff *ret, struct st_error *err)
{
  const struct st_view_at before = {a, at_a}, after = {b, at_b};
  struct st_view_change change;
  *ret = (struct st_view_diff){0};
  if (st_hostview_change_of(a, at_a, b, at_b, path, &change, err) < 0)
    return -1;
  char letter = change.letter;
  bool secret = change.secret;
  st_view_change_clear(&change);
  if (secret)
    ret->why = st_strdup("it is a secret: its content is not shown");
  else if (letter == 0)
    ret->unified = st_strdup("");
  else
    return compare(&before, &after, path, letter, ret, err);
  return 0;
}
