/* SPDX-License-Identifier: GPL-2.0-or-later */
/* page-changes.c - a list of changes, grouped and folded, and comparisons line by line. */
#include "config.h"

#include "archive-sync/serve/page.h"

#include <inttypes.h>
#include <string.h>

#include "systracker/tracker/render.h"

/* So many comparisons are shown within a list, of so many lines each: a page is made in a moment
 * (each reads two contents), and can be read. */
#define TEXTS_MAX 10
#define TEXT_LINES_MAX 60
/* A longer group is folded at first. */
#define UNFOLDED_MAX 30

/* ---- Comparisons --------------------------------------------------------------------------------
 */

static const char *line_class(enum st_diff_kind kind)
{
  switch (kind) {
  case ST_DIFF_DELETED:
    return "deleted";
  case ST_DIFF_ADDED:
    return "added";
  case ST_DIFF_HUNK:
  case ST_DIFF_NOTE:
    return "hunk";
  default:
    return NULL;
  }
}

static void write_line(struct st_html *h, const struct st_diff_line *line)
{
  bool right = line->kind == ST_DIFF_ADDED;
  const char *sign = right                           ? "+"
                     : line->kind == ST_DIFF_DELETED ? "-"
                     : line->kind == ST_DIFF_SAME    ? " "
                                                     : "";
  const char *text = right ? line->right : line->left;
  st_html_open(h, "span");
  st_html_attr_text(h, "class", line_class(line->kind));
  st_html_text(h, sign);
  if (text)
    st_html_content(h, text, right ? line->right_length : line->left_length);
  st_html_content(h, "\n", 1);
  st_html_close(h, "span");
}

static void write_unified(struct st_html *h, const struct st_view_diff *diff, size_t most)
{
  st_html_open(h, "pre");
  st_html_attr(h, "class", "diff");
  st_html_attr(h, "tabindex", "0");
  for (size_t i = 0; i < diff->nlines && i < most; i++)
    write_line(h, &diff->lines[i]);
  st_html_close(h, "pre");
  if (diff->nlines > most)
    st_html_printf(h, "%zu more lines.", diff->nlines - most);
}

/* One side of a row: its number, with what it is in a sign, and its text. */
static void write_side(struct st_html *h, int64_t number, const char *text, size_t length,
                       const char *class, const char *sign)
{
  st_html_open(h, "td");
  st_html_attr(h, "class", "number");
  if (number > 0)
    st_html_printf(h, "%" PRId64 "%s", number, sign);
  st_html_close(h, "td");
  st_html_open(h, "td");
  st_html_attr(h, "class", text ? class : "none");
  if (text) {
    st_html_open(h, "pre");
    st_html_content(h, text, length);
    st_html_close(h, "pre");
  }
  st_html_close(h, "td");
}

static void write_row(struct st_html *h, const struct st_diff_line *row)
{
  bool same = row->kind == ST_DIFF_SAME;
  st_html_open(h, "tr");
  if (row->kind == ST_DIFF_HUNK || row->kind == ST_DIFF_NOTE) {
    st_html_open(h, "td");
    st_html_attr(h, "colspan", "4");
    st_html_attr(h, "class", "hunk");
    st_html_content(h, row->left, row->left_length);
  } else {
    write_side(h, row->left_number, row->left, row->left_length, same ? NULL : "deleted",
               same ? "" : " -");
    write_side(h, row->right_number, row->right, row->right_length, same ? NULL : "added",
               same ? "" : " +");
  }
  st_html_close(h, "tr");
}

static void write_split(struct st_html *h, const struct st_view_diff *diff)
{
  static const char *const heads[] = {"Line", "Before", "Line", "After"};
  st_html_open(h, "div");
  st_html_attr(h, "class", "scroll");
  st_html_attr(h, "tabindex", "0");
  st_html_attr(h, "role", "region");
  st_html_attr(h, "aria-label", "Side by side");
  st_html_open(h, "table");
  st_html_attr(h, "class", "split");
  st_page_heads(h, heads, ST_COUNT(heads));
  for (size_t i = 0; i < diff->nrows; i++)
    write_row(h, &diff->rows[i]);
  st_html_close(h, "div");
}

void st_page_diff(struct st_html *h, const struct st_view_diff *diff, bool split)
{
  if (diff->why) {
    st_html_open(h, "p");
    st_html_printf(h, "No line by line comparison: %s", diff->why);
    st_html_close(h, "p");
  } else if (diff->nlines == 0) {
    st_html_element(h, "p", "The texts are the same.");
  } else if (split) {
    write_split(h, diff);
  } else {
    write_unified(h, diff, SIZE_MAX);
  }
  if (diff->cut)
    st_html_element(h, "p", "There are more lines, which are not shown.");
}

/* ---- Lists --------------------------------------------------------------------------------------
 */

void st_page_link_sides(struct st_link *to, const struct st_page_sides *sides, const char *path,
                        const char *view)
{
  if (sides->a == sides->b) {
    st_page_link_host(to, sides->b->host);
    st_link_to(to, "/diff");
    st_link_query_number(to, "from", sides->at_a);
    st_link_query_number(to, "to", sides->at_b);
  } else {
    ST_AUTO_FREE char *a = st_format("%s:%" PRId64, sides->a->host, sides->at_a);
    ST_AUTO_FREE char *b = st_format("%s:%" PRId64, sides->b->host, sides->at_b);
    st_link_to(to, "/diff");
    st_link_query(to, "a", a);
    st_link_query(to, "b", b);
  }
  st_link_query(to, "path", path);
  st_link_query(to, "view", view);
}

/* Where there is more to see of the change: the comparison, or the path where it is. */
static void link_change(struct st_link *to, const struct st_page_sides *sides,
                        const struct st_view_change *change)
{
  if (change->content && !change->secret && (sides->a != sides->b || sides->at_a > 0))
    st_page_link_sides(to, sides, change->path, NULL);
  else if (change->letter == 'D')
    st_page_link_file(to, sides->a->host, sides->at_a, change->path);
  else
    st_page_link_file(to, sides->b->host, sides->at_b, change->path);
}

static void write_words(struct st_html *h, const struct st_view_change *change)
{
  if (change->words.count == 0)
    return;
  st_html_open(h, "ul");
  st_html_attr(h, "class", "words");
  for (size_t i = 0; i < change->words.count; i++)
    st_html_element(h, "li", change->words.items[i]);
  st_html_close(h, "ul");
}

static int write_text(struct st_html *h, const struct st_page_sides *sides,
                      const struct st_view_change *change, struct st_error *err)
{
  ST_AUTO_DIFF diff = {0};
  if (st_hostview_diff(sides->a, sides->at_a, sides->b, sides->at_b, change->path, &diff, err) < 0)
    return -1;
  if (!diff.why && diff.nlines > 0)
    write_unified(h, &diff, TEXT_LINES_MAX);
  return 0;
}

void st_page_change(struct st_html *h, const struct st_page_sides *sides,
                    const struct st_view_change *change)
{
  const char letter[] = {change->letter, 0};
  st_html_open(h, "span");
  st_html_attr(h, "class", "letter");
  st_html_attr(h, "data-letter", letter);
  st_html_text(h, st_render_letter(change->letter));
  st_html_close(h, "span");
  st_html_text(h, " ");
  if (change->path) {
    ST_AUTO_LINK to = {0};
    link_change(&to, sides, change);
    st_html_anchor(h, &to, change->name);
  } else {
    st_html_text(h, change->name);
  }
  write_words(h, change);
}

static void begin_group(struct st_html *h, enum st_view_kind kind, size_t total)
{
  st_html_open(h, "details");
  if (kind == ST_VIEW_CONFIGURATION || total <= UNFOLDED_MAX)
    st_html_flag(h, "open");
  st_html_open(h, "summary");
  st_html_open(h, "h2");
  st_html_printf(h, "%s: %zu", st_view_kind_words[kind], total);
  st_html_close(h, "summary");
}

/* Kinds of which this page shows a part, or nothing. */
static void write_kinds(struct st_html *h, const struct st_view_changes *changes,
                        const struct st_link *base)
{
  size_t total = st_page_total(changes, -1);
  if (total <= changes->count)
    return;
  ST_AUTO_FREE char *all = st_format("All (%zu)", total);
  st_html_open(h, "ul");
  st_html_attr(h, "class", "links");
  st_page_item(h, base, all);
  for (size_t i = 0; i < ST_VIEW_KINDS; i++) {
    if (changes->totals[i] == 0)
      continue;
    ST_AUTO_LINK to = {0};
    ST_AUTO_FREE char *text = st_format("Only %s (%zu)", st_view_kind_words[i], changes->totals[i]);
    st_page_link_copy(&to, base);
    st_link_query(&to, "kind", st_view_kind_words[i]);
    st_page_item(h, &to, text);
  }
  st_html_close(h, "ul");
}

/* The items of one kind, from `*at` on. */
static int write_group(struct st_html *h, const struct st_page_sides *sides,
                       const struct st_view_changes *changes, size_t *at, size_t *texts,
                       struct st_error *err)
{
  enum st_view_kind kind = changes->items[*at].kind;
  begin_group(h, kind, changes->totals[kind]);
  st_html_open(h, "ul");
  st_html_attr(h, "class", "changes");
  for (; *at < changes->count && changes->items[*at].kind == kind; ++*at) {
    const struct st_view_change *change = &changes->items[*at];
    st_html_open(h, "li");
    st_page_change(h, sides, change);
    if (*texts > 0 && kind == ST_VIEW_CONFIGURATION && change->content && !change->secret) {
      --*texts;
      if (write_text(h, sides, change, err) < 0)
        return -1;
    }
    st_html_close(h, "li");
  }
  st_html_close(h, "details");
  return 0;
}

size_t st_page_total(const struct st_view_changes *changes, int kind)
{
  size_t total = 0;
  for (int i = 0; i < ST_VIEW_KINDS; i++)
    if (kind < 0 || kind == i)
      total += changes->totals[i];
  return total;
}

int st_page_changes(struct st_html *h, const struct st_page_sides *sides,
                    const struct st_view_changes *changes, bool texts, const struct st_link *base,
                    struct st_error *err)
{
  size_t at = 0, left = texts ? TEXTS_MAX : 0;
  if (changes->rules)
    st_html_element(h, "p",
                    "The rules changed, too: what they took in or left out is said to be "
                    "added or deleted.");
  if (changes->truncated)
    st_html_element(h, "p", "There is too much to look at all of it: ask for less, below a path.");
  write_kinds(h, changes, base);
  while (at < changes->count)
    if (write_group(h, sides, changes, &at, &left, err) < 0)
      return -1;
  if (changes->packaged > 0) {
    st_html_open(h, "p");
    st_html_printf(h, "%zu files as their packages have them are not shown one by one.",
                   changes->packaged);
    st_html_close(h, "p");
  }
  return 0;
}
