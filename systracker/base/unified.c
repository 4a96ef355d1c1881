/* SPDX-License-Identifier: GPL-2.0-or-later */
/* unified.c - lines that differ are found by Myers' greedy algorithm, and shown in hunks. */
#include "config.h"

#include "systracker/base/unified.h"

#include <string.h>

#include "systracker/base/process.h"

#define CONTEXT 3
#define LINES_MAX ((size_t)1 << 18) /* of a side */
#define EDITS_MAX 256 /* lines deleted and inserted; what is kept grows with its square */
#define NOWHERE (-1)

struct line {
  const char *text;
  size_t length; /* with the newline, which the last may not have */
};

struct side {
  struct line *lines;
  bool *changed; /* of each line: it is on this side alone */
  size_t count;
};

struct texts {
  struct side a, b;
};

static void texts_clear(struct texts *t)
{
  free(t->a.lines);
  free(t->a.changed);
  free(t->b.lines);
  free(t->b.changed);
}

static size_t line_length(const char *text, size_t rest)
{
  const char *newline = memchr(text, '\n', rest);
  return newline ? (size_t)(newline - text) + 1 : rest;
}

/* False: there are too many. */
static bool split(struct side *s, const char *text, size_t length)
{
  size_t count = 0;
  for (size_t at = 0; at < length && count <= LINES_MAX; count++)
    at += line_length(text + at, length - at);
  if (count > LINES_MAX)
    return false;
  s->lines = st_calloc(count + 1, sizeof(*s->lines));
  s->changed = st_calloc(count + 1, sizeof(*s->changed));
  for (size_t at = 0; at < length; at += s->lines[s->count++].length)
    s->lines[s->count] = (struct line){text + at, line_length(text + at, length - at)};
  return true;
}

static bool is_same(const struct line *a, const struct line *b)
{
  return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

/* What is between the lines that both texts begin and end with. */
struct middle {
  const struct line *a, *b;
  int n, m; /* lines of a and of b */
};

static struct middle find_middle(const struct texts *t)
{
  size_t head = 0, a = t->a.count, b = t->b.count;
  while (head < a && head < b && is_same(&t->a.lines[head], &t->b.lines[head]))
    head++;
  while (a > head && b > head && is_same(&t->a.lines[a - 1], &t->b.lines[b - 1])) {
    a--;
    b--;
  }
  return (struct middle){t->a.lines + head, t->b.lines + head, (int)(a - head), (int)(b - head)};
}

/* With d edits: of each diagonal k (lines of a passed less lines of b), -d to d by twos, how many
 * lines of a can be passed at most.  All rows lie one behind the other. */
static int *row_of(int *rows, int d)
{
  return rows + d * (d + 1) / 2;
}

static int reached(int *rows, int d, int k)
{
  return d < 0 || k < -d || k > d ? NOWHERE : row_of(rows, d)[(k + d) / 2];
}

/* How many lines of a are passed on diagonal k right behind the d-th edit, NOWHERE: k cannot be
 * reached; and whether that edit passed one of b, as in figure 2 of Myers, "An O(ND) Difference
 * Algorithm and Its Variations" (1986). */
static int behind_edit(const struct middle *mid, int *rows, int d, int k, bool *ret_inserted)
{
  int deleted = reached(rows, d - 1, k - 1), inserted = reached(rows, d - 1, k + 1);
  deleted = deleted == NOWHERE || deleted >= mid->n ? NOWHERE : deleted + 1;
  if (inserted != NOWHERE && inserted - (k + 1) >= mid->m)
    inserted = NOWHERE;
  *ret_inserted = inserted >= deleted;
  return *ret_inserted ? inserted : deleted;
}

/* The least number of edits; NOWHERE: more than EDITS_MAX. */
static int count_edits(const struct middle *mid, int *rows)
{
  bool ignored;
  for (int d = 0; d <= EDITS_MAX; d++)
    for (int k = -d; k <= d; k += 2) {
      int x = d == 0 ? 0 : behind_edit(mid, rows, d, k, &ignored);
      while (x != NOWHERE && x < mid->n && x - k < mid->m && is_same(&mid->a[x], &mid->b[x - k]))
        x++;
      row_of(rows, d)[(k + d) / 2] = x;
      if (x == mid->n && x - k == mid->m)
        return d;
    }
  return NOWHERE;
}

/* From the end back to the beginning. */
static void mark_edits(struct texts *t, const struct middle *mid, int *rows, int edits)
{
  bool *a = t->a.changed + (mid->a - t->a.lines), *b = t->b.changed + (mid->b - t->b.lines);
  int k = mid->n - mid->m;
  for (int d = edits; d > 0; d--) {
    bool inserted;
    int x = behind_edit(mid, rows, d, k, &inserted);
    if (inserted)
      b[x - k - 1] = true;
    else
      a[x - 1] = true;
    k += inserted ? 1 : -1;
  }
}

/* False: too much differs. */
static bool compare(struct texts *t)
{
  struct middle mid = find_middle(t);
  if (mid.n == 0 || mid.m == 0) { /* nothing was put in another's place, however much it is */
    memset(t->a.changed + (mid.a - t->a.lines), true, (size_t)mid.n);
    memset(t->b.changed + (mid.b - t->b.lines), true, (size_t)mid.m);
    return true;
  }
  ST_AUTO_FREE int *rows = st_malloc(sizeof(*rows) * (EDITS_MAX + 1) * (EDITS_MAX + 2) / 2);
  int edits = count_edits(&mid, rows);
  if (edits != NOWHERE)
    mark_edits(t, &mid, rows, edits);
  return edits != NOWHERE;
}

/* ---- Where a run stands ---------------------------------------------------------------------- */

static bool is_changed(const struct side *s, size_t i)
{
  return i < s->count && s->changed[i];
}

/* Moves the run at `i`, which stands alone before line `j` of the other side, down as far as the
 * lines behind it are like its first ones; behind it in `i` and `j`. */
static void move_run(struct side *s, const struct side *other, size_t *i, size_t *j)
{
  size_t end = *i;
  while (is_changed(s, end))
    end++;
  while (end < s->count && !is_changed(other, *j) && is_same(&s->lines[*i], &s->lines[end])) {
    s->changed[(*i)++] = false;
    s->changed[end++] = true;
    (*j)++;
    while (is_changed(s, end))
      end++;
  }
  *i = end;
}

/* Of places that are as good, diff(1) takes the last. */
static void move_runs(struct side *s, const struct side *other)
{
  size_t i = 0, j = 0;
  while (i < s->count) {
    if (is_changed(s, i) && !is_changed(other, j)) {
      move_run(s, other, &i, &j);
      continue;
    }
    while (is_changed(s, i))
      i++;
    while (is_changed(other, j))
      j++;
    i++;
    j++;
  }
}

/* ---- Showing --------------------------------------------------------------------------------- */

struct place {
  size_t a, b;
};

static struct place next_change(const struct texts *t, struct place p)
{
  while (p.a < t->a.count && !is_changed(&t->a, p.a) && !is_changed(&t->b, p.b)) {
    p.a++;
    p.b++;
  }
  return p;
}

static struct place behind_change(const struct texts *t, struct place p)
{
  while (is_changed(&t->a, p.a))
    p.a++;
  while (is_changed(&t->b, p.b))
    p.b++;
  return p;
}

/* Without the count where it is one; nothing stands behind the line before it. */
static void put_range(struct st_buffer *out, size_t from, size_t to)
{
  st_buffer_printf(out, "%zu", to > from ? from + 1 : from);
  if (to - from != 1)
    st_buffer_printf(out, ",%zu", to - from);
}

static void put_line(struct st_buffer *out, char sign, const struct line *line)
{
  st_buffer_append_byte(out, (uint8_t)sign);
  st_buffer_append(out, line->text, line->length);
  if (line->text[line->length - 1] != '\n')
    st_buffer_append_string(out, "\n\\ No newline at end of file\n");
}

static void put_hunk(struct st_buffer *out, const struct texts *t, struct place p, struct place end)
{
  st_buffer_append_string(out, "@@ -");
  put_range(out, p.a, end.a);
  st_buffer_append_string(out, " +");
  put_range(out, p.b, end.b);
  st_buffer_append_string(out, " @@\n");
  while (p.a < end.a || p.b < end.b) {
    for (; is_changed(&t->a, p.a); p.a++)
      put_line(out, '-', &t->a.lines[p.a]);
    for (; is_changed(&t->b, p.b); p.b++)
      put_line(out, '+', &t->b.lines[p.b]);
    if (p.a < end.a)
      put_line(out, ' ', &t->a.lines[p.a++]);
    p.b += p.b < end.b;
  }
}

/* Changes with no more lines between them than both have around them are one hunk. */
static void put_hunks(struct st_buffer *out, const struct texts *t)
{
  struct place p = next_change(t, (struct place){0, 0});
  while (p.a < t->a.count || p.b < t->b.count) {
    size_t before = p.a < CONTEXT ? p.a : CONTEXT;
    struct place start = {p.a - before, p.b - before}, end = behind_change(t, p);
    for (p = next_change(t, end); p.a - end.a <= 2 * CONTEXT; p = next_change(t, end)) {
      if (p.a == t->a.count && p.b == t->b.count)
        break;
      end = behind_change(t, p);
    }
    size_t rest = t->a.count - end.a, behind = rest < CONTEXT ? rest : CONTEXT;
    put_hunk(out, t, start, (struct place){end.a + behind, end.b + behind});
  }
}

int st_unified_diff(const void *old, size_t old_length, const char *old_label, const void *new_,
                    size_t new_length, const char *new_label, struct st_buffer *out,
                    struct st_error *err)
{
  ST_CLEANUP(texts_clear) struct texts t = {0};
  if (old_length == new_length && (!new_length || memcmp(old, new_, new_length) == 0))
    return 0;
  if (!split(&t.a, old, old_length) || !split(&t.b, new_, new_length) || !compare(&t))
    return st_run_diff(old, old_length, old_label, new_, new_length, new_label, out, err);
  move_runs(&t.a, &t.b);
  move_runs(&t.b, &t.a);
  st_buffer_printf(out, "--- %s\n+++ %s\n", old_label, new_label);
  put_hunks(out, &t);
  return 1;
}
