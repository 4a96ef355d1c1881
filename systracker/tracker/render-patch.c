/* SPDX-License-Identifier: GPL-2.0-or-later */
/* render-patch.c - contents as unified diffs. */
#include <inttypes.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/process.h"
#include "systracker/tracker/render-internal.h"

/* The first column that is set on some side, differs, and names the content of an object, or, not
 * `object`, says its digest; -1: none. */
static int content_column(const struct st_change *change, bool object)
{
  const struct st_table *d = change->declaration;
  for (size_t i = 0; i < d->ncolumns; i++) {
    unsigned flags = d->columns[i].flags;
    bool fits = object ? flags & ST_OBJECT
                       : st_change_is_entry(change) && d->columns[i].type == ST_ID &&
                             !(flags & (ST_OBJECT | ST_MANIFEST));
    if (fits && st_column_differs(change, i) &&
        ((change->before && change->before[i].type == ST_ID) ||
         (change->after && change->after[i].type == ST_ID)))
      return (int)i;
  }
  return -1;
}

#define BINARY 2 /* of one side's content: there is no text to compare */

static void say(struct st_buffer *why, const char *words)
{
  if (why->length == 0)
    st_buffer_append_string(why, words);
}

/* From the live file; what changed or went since the scan is no error. */
static int read_live(const struct st_patch_sides *sides, const struct st_change *change,
                     const struct st_id *id, struct st_buffer *out, struct st_buffer *why)
{
  if (!st_change_is_entry(change)) {
    if (st_tracker_live_object(sides->t, id, out) == 0)
      return 1;
    say(why, "the live content is not kept");
    return 0;
  }
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  const struct st_value *key = &st_change_row(change)[0];
  ST_AUTO_FREE char *path = st_memdup(key->u.bytes.data, key->u.bytes.length);
  if (st_tracker_live_content(sides->t, path, ST_PATCH_MAX, out, &err) == 0)
    return 1;
  say(why, st_error_text(&err));
  return 0;
}

static int read_stored(const struct st_patch_sides *sides, const struct st_id *id,
                       struct st_buffer *out, struct st_buffer *why)
{
  if (st_store_length(sides->t->store, id) > (int64_t)ST_PATCH_MAX) {
    say(why, "too large to compare line by line");
    return 0;
  }
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  if (st_store_get(sides->t->store, id, out, &err) == 0)
    return 1;
  say(why, st_error_text(&err));
  return 0;
}

/* As a package has it at that side: 1; 0, with words; BINARY; -1: it is not as any package has it.
 */
static int read_packaged(const struct st_patch_sides *sides, const struct st_change *change,
                         const struct st_id *id, bool after, struct st_buffer *out,
                         struct st_buffer *why)
{
  ST_AUTO_PACKAGED p = {0};
  const struct st_value *key = &st_change_row(change)[0];
  if (!st_change_is_entry(change) || id->keyed || !sides->texts)
    return -1;
  ST_AUTO_FREE char *path = st_memdup(key->u.bytes.data, key->u.bytes.length);
  if (st_packaged_find(sides->t, after ? sides->b : sides->a, path, &p, NULL) <= 0 ||
      !p.has_content || memcmp(p.content.digest, id->digest, ST_DIGEST_SIZE) != 0)
    return -1;
  bool binary;
  int r = st_packaged_text(sides->texts, &p, ST_PATCH_MAX, out, &binary, why);
  return binary ? BINARY : r;
}

/* One side's content: 1 it is there (nothing for a side without a row), 0 it is not to be had, or
 * BINARY. */
static int read_side(const struct st_patch_sides *sides, const struct st_change *change, int column,
                     bool after, struct st_buffer *out, struct st_buffer *why)
{
  const struct st_value *row = after ? change->after : change->before;
  if (!row)
    return 1;
  const struct st_value *v = &row[column];
  if (v->type != ST_ID)
    return 0;
  if (st_store_has(sides->t->store, &v->u.id))
    return read_stored(sides, &v->u.id, out, why);
  if (after && sides->live)
    return read_live(sides, change, &v->u.id, out, why);
  int packaged = read_packaged(sides, change, &v->u.id, after, out, why);
  bool object = change->declaration->columns[column].flags & ST_OBJECT;
  if (packaged < 0 && (object || after))
    say(why, object ? "its content is missing from the store" : "what it is now is not kept");
  return packaged < 0 ? 0 : packaged;
}

/* "a/etc/hosts at 3", "b/etc/hosts live", "/dev/null". */
static char *label(const struct st_patch_sides *sides, const struct st_change *change, bool after)
{
  if (!(after ? change->after : change->before))
    return st_strdup("/dev/null");
  ST_AUTO_BUFFER name = ST_BUFFER_INIT;
  if (!st_change_is_entry(change))
    st_buffer_printf(&name, "/%s/", change->table);
  st_render_key(change, &name);
  int64_t number = after ? sides->b : sides->a;
  if (after && sides->live)
    return st_format("b%s live", name.data);
  if (!after && sides->a_words)
    return st_format("a%s %s", name.data, sides->a_words);
  return st_format("%c%s at %" PRId64, after ? 'b' : 'a', name.data, number);
}

/* Of a file that stays, a side without a row is one whose content nobody kept, not an empty one. */
static bool is_one_sided(const struct st_change *change, char letter, struct st_buffer *why)
{
  if (letter != 'M' || !st_change_is_entry(change) || (change->before && change->after))
    return false;
  say(why, change->before ? "what it is now is not kept" : "what it was before is not kept");
  return true;
}

static int read_text(const struct st_patch_sides *sides, const struct st_change *change, int column,
                     bool after, struct st_buffer *out, struct st_buffer *why)
{
  int r = read_side(sides, change, column, after, out, why);
  return r == 1 && st_is_binary(out->data, out->length) ? BINARY : r;
}

/* The one before first: whether it can be had decides, and what is now mostly can. */
static int compare_sides(const struct st_patch_sides *sides, const struct st_change *change,
                         int column, struct st_diff **ret, struct st_buffer *why,
                         struct st_error *err)
{
  ST_AUTO_BUFFER old = ST_BUFFER_INIT;
  ST_AUTO_BUFFER new_ = ST_BUFFER_INIT;
  int r = read_text(sides, change, column, false, &old, why);
  if (r == 1)
    r = read_text(sides, change, column, true, &new_, why);
  if (r == BINARY)
    st_buffer_clear(why); /* which another table's row may have filled */
  if (r != 1)
    return 0;
  ST_AUTO_FREE char *a = label(sides, change, false);
  ST_AUTO_FREE char *b = label(sides, change, true);
  r = st_diff_start(ret, old.data, old.length, a, new_.data, new_.length, b, err);
  return r < 0 ? r : 1;
}

int st_start_patch(const struct st_patch_sides *sides, const struct st_group *g,
                   const struct st_change **ret, struct st_diff **ret_diff, struct st_buffer *why,
                   struct st_error *err)
{
  int r = 0;
  *ret_diff = NULL;
  if (g->secret)
    return 0;
  for (int object = 1; object >= 0; object--)
    for (size_t i = 0; i < g->count && r == 0; i++) {
      const struct st_change *change = &g->items[i].change;
      int column = content_column(change, object);
      /* What is there on one side alone is shown where somebody chose to keep it. */
      if (column < 0 || st_change_is_secret(change) ||
          (!object && !(change->before && change->after)) || is_one_sided(change, g->letter, why))
        continue;
      *ret = change;
      r = compare_sides(sides, change, column, ret_diff, why, err);
    }
  if (r > 0)
    st_buffer_clear(why);
  return r;
}

int st_render_patch(const struct st_patch_sides *sides, const struct st_group *g,
                    const struct st_change **ret, struct st_buffer *out, struct st_buffer *why,
                    struct st_error *err)
{
  struct st_diff *diff;
  int r = st_start_patch(sides, g, ret, &diff, why, err);
  return diff && st_diff_finish(diff, out, err) < 0 ? -1 : r;
}

static const char *line_colour(const char *line, size_t length)
{
  if (length >= 4 && (memcmp(line, "--- ", 4) == 0 || memcmp(line, "+++ ", 4) == 0))
    return "\033[1m";
  switch (length > 0 ? line[0] : ' ') {
  case '@':
    return "\033[36m";
  case '+':
    return "\033[32m";
  case '-':
    return "\033[31m";
  default:
    return NULL;
  }
}

static void print_line(const struct st_cli *cli, const char *line, size_t length)
{
  const char *colour = cli->colour ? line_colour(line, length) : NULL;
  ST_AUTO_BUFFER safe = ST_BUFFER_INIT;
  st_escape_content(&safe, line, length);
  printf("%s%s%s\n", colour ? colour : "", safe.data ? safe.data : "", colour ? "\033[m" : "");
}

void st_print_patch(const struct st_cli *cli, const struct st_buffer *patch)
{
  if (patch->length == 0)
    return;
  if (!cli->terminal) {
    fwrite(patch->data, 1, patch->length, stdout);
    return;
  }
  const char *line = patch->data, *end = patch->data + patch->length;
  while (line && line < end) {
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    print_line(cli, line, (size_t)((newline ? newline : end) - line));
    line = newline ? newline + 1 : end;
  }
}

/* ---- Several side by side -------------------------------------------------------------------- */

static int print_first(struct st_patches *p, struct st_error *err)
{
  ST_AUTO_BUFFER head = p->items[0].head;
  ST_AUTO_BUFFER patch = ST_BUFFER_INIT;
  struct st_diff *diff = p->items[0].diff;
  memmove(p->items, p->items + 1, --p->count * sizeof(*p->items));
  if (diff && st_diff_finish(diff, &patch, err) < 0)
    return -1;
  fwrite(head.data, 1, head.length, stdout);
  st_print_patch(p->cli, &patch);
  return 0;
}

int st_patches_print(struct st_patches *p, struct st_error *err)
{
  int r = 0;
  while (p->count > 0 && r == 0)
    r = print_first(p, err);
  return r;
}

int st_patches_add(struct st_patches *p, struct st_buffer *head, struct st_diff *diff,
                   struct st_error *err)
{
  p->items[p->count++] = (struct st_patch){*head, diff};
  *head = ST_BUFFER_INIT;
  if ((p->count == 1 && !diff) || (diff && diff->limit > ST_PATCHES_LIMIT))
    return st_patches_print(p, err);
  return p->count == ST_PATCHES ? print_first(p, err) : 0;
}

void st_patches_free(struct st_patches *p)
{
  for (size_t i = 0; i < p->count; i++) {
    st_diff_end(p->items[i].diff);
    st_buffer_free(&p->items[i].head);
  }
}
