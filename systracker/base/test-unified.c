/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <string.h>

#include "systracker/base/process.h"
#include "systracker/base/test-scratch.h"
#include "systracker/base/unified.h"

#define HEAD "--- a/x y\n+++ -b\n"

static void diff(const char *old, const char *new_, int expected, const char *text)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  int r = st_unified_diff(old, strlen(old), "a/x y", new_, strlen(new_), "-b", &out, &err);
  if (r != expected)
    fail_msg("%d: %s", r, st_error_text(&err));
  assert_string_equal(out.data ? out.data : "", text);
}

static void test_forms(void **state)
{
  (void)state;
  diff("", "", 0, "");
  diff("same\n", "same\n", 0, "");
  diff("a\nb\n", "a\nc\n", 1, HEAD "@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
  diff("", "new\n", 1, HEAD "@@ -0,0 +1 @@\n+new\n");
  diff("old\nolder\n", "", 1, HEAD "@@ -1,2 +0,0 @@\n-old\n-older\n");
  diff("old", "old\n", 1, HEAD "@@ -1 +1 @@\n-old\n\\ No newline at end of file\n+old\n");
  diff("a\nb", "c\nb", 1, HEAD "@@ -1,2 +1,2 @@\n-a\n+c\n b\n\\ No newline at end of file\n");
  diff("\xff\n", "\xfe\n", 1, HEAD "@@ -1 +1 @@\n-\xff\n+\xfe\n");
  diff("\n\n", "\n", 1, HEAD "@@ -1,2 +1 @@\n \n-\n");
}

/* Three lines around each change; with up to six between them changes are one hunk. */
static void test_hunks(void **state)
{
  (void)state;
  diff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n6\n7\n8\n9\n", 1,
       HEAD "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n");
  diff("a\n1\n2\n3\n4\n5\n6\nb\n", "x\n1\n2\n3\n4\n5\n6\ny\n", 1,
       HEAD "@@ -1,8 +1,8 @@\n-a\n+x\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+y\n");
  diff("a\n1\n2\n3\n4\n5\n6\n7\nb\n", "x\n1\n2\n3\n4\n5\n6\n7\n", 1,
       HEAD "@@ -1,4 +1,4 @@\n-a\n+x\n 1\n 2\n 3\n@@ -6,4 +6,3 @@\n 5\n 6\n 7\n-b\n");
}

/* Of places that are as good the last is taken. */
static void test_places(void **state)
{
  (void)state;
  diff("{\n}\n", "{\n}\n{\n}\n", 1, HEAD "@@ -1,2 +1,4 @@\n {\n }\n+{\n+}\n");
  diff("a\nx\nx\nx\nb\n", "a\nx\nx\nb\n", 1, HEAD "@@ -1,5 +1,4 @@\n a\n x\n x\n-x\n b\n");
  diff("a\nb\nc\n", "c\na\nb\n", 1, HEAD "@@ -1,3 +1,3 @@\n+c\n a\n b\n-c\n");
}

/* ---- Texts at random ------------------------------------------------------------------------- */

static uint32_t draw(uint32_t *seed, uint32_t below)
{
  *seed = *seed * 1664525 + 1013904223;
  return (*seed >> 16) % below;
}

/* Lines of a few letters, so that many are the same; the last may be without its newline. */
static void make_text(struct st_buffer *out, uint32_t *seed, uint32_t lines)
{
  for (uint32_t i = draw(seed, lines); i > 0; i--)
    st_buffer_printf(out, "%c\n", (int)('a' + draw(seed, 4)));
  if (out->length > 0 && draw(seed, 8) == 0)
    out->length--;
}

#define MOST 64

/* The least number of lines that have to be deleted and inserted. */
static int least_edits(const struct st_strings *a, const struct st_strings *b)
{
  int least[MOST][MOST];
  for (size_t i = 0; i <= a->count; i++)
    for (size_t j = 0; j <= b->count; j++) {
      int best = i == 0 || j == 0 ? (int)(i + j) : 0;
      if (i > 0 && j > 0) {
        best = 1 + (least[i - 1][j] < least[i][j - 1] ? least[i - 1][j] : least[i][j - 1]);
        if (strcmp(a->items[i - 1], b->items[j - 1]) == 0 && least[i - 1][j - 1] < best)
          best = least[i - 1][j - 1];
      }
      least[i][j] = best;
    }
  return least[a->count][b->count];
}

static void split_lines(struct st_strings *out, const struct st_buffer *text)
{
  for (size_t at = 0; at < text->length;) {
    const char *newline = memchr(text->data + at, '\n', text->length - at);
    size_t n = newline ? (size_t)(newline - text->data) + 1 - at : text->length - at;
    ST_AUTO_FREE char *line = st_memdup(text->data + at, n);
    st_strings_add(out, line);
    at += n;
  }
}

/* What the diff makes of the old lines, and how many of its lines have a sign. */
static void apply(const struct st_strings *old, const struct st_buffer *diff_text,
                  struct st_buffer *out, int *ret_edits)
{
  struct st_strings lines = {0};
  size_t at = 0; /* of the old lines */
  split_lines(&lines, diff_text);
  for (size_t i = 2; i < lines.count; i++) {
    const char *line = lines.items[i];
    bool open = i + 1 < lines.count && lines.items[i + 1][0] == '\\';
    size_t n = strlen(line) - 1 - open, from, count = 1;
    if (*line == '@') {
      assert_true(sscanf(line, "@@ -%zu,%zu", &from, &count) >= 1);
      for (; at + (count > 0) < from; at++)
        st_buffer_append_string(out, old->items[at]);
    } else if (*line == '+')
      st_buffer_append(out, line + 1, n);
    else if (*line == '-' || *line == ' ') {
      assert_true(at < old->count && strlen(old->items[at]) == n);
      assert_memory_equal(old->items[at], line + 1, n);
      if (*line == ' ')
        st_buffer_append(out, line + 1, n);
      at++;
    }
    *ret_edits += *line == '+' || *line == '-';
  }
  for (; at < old->count; at++)
    st_buffer_append_string(out, old->items[at]);
  st_strings_free(&lines);
}

static void check_one(uint32_t *seed)
{
  ST_AUTO_BUFFER old = ST_BUFFER_INIT;
  ST_AUTO_BUFFER new_ = ST_BUFFER_INIT;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_BUFFER made = ST_BUFFER_INIT;
  ST_AUTO_STRINGS a = {0};
  ST_AUTO_STRINGS b = {0};
  int edits = 0;
  make_text(&old, seed, MOST - 1);
  make_text(&new_, seed, MOST - 1);
  split_lines(&a, &old);
  split_lines(&b, &new_);
  int r = st_unified_diff(old.data, old.length, "a", new_.data, new_.length, "b", &out, NULL);
  if (r == 0) {
    assert_int_equal(least_edits(&a, &b), 0);
    return;
  }
  assert_int_equal(r, 1);
  apply(&a, &out, &made, &edits);
  assert_int_equal(made.length, new_.length);
  if (made.length > 0)
    assert_memory_equal(made.data, new_.data, made.length);
  assert_int_equal(edits, least_edits(&a, &b));
}

/* Each diff makes the new text of the old one, by as few edits as can be. */
static void test_random(void **state)
{
  (void)state;
  uint32_t seed = 20261121;
  for (int i = 0; i < 2000; i++)
    check_one(&seed);
}

static void make_numbers(struct st_buffer *out, int from, int to)
{
  for (int i = from; i < to; i++)
    st_buffer_printf(out, "%d\n", i);
}

/* What diff(1) makes of the same is the same to the letter. */
static void as_program(const struct st_buffer *old, const struct st_buffer *new_)
{
  ST_AUTO_BUFFER ours = ST_BUFFER_INIT;
  ST_AUTO_BUFFER theirs = ST_BUFFER_INIT;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_ok(
      st_unified_diff(old->data, old->length, "x", new_->data, new_->length, "y", &ours, &err) - 1,
      &err);
  assert_ok(st_run_diff(old->data, old->length, "x", new_->data, new_->length, "y", &theirs, &err) -
                1,
            &err);
  assert_string_equal(ours.data, theirs.data);
}

/* Much at one place; and so much that diff(1) is asked. */
static void test_large(void **state)
{
  (void)state;
  ST_AUTO_BUFFER few = ST_BUFFER_INIT;
  ST_AUTO_BUFFER many = ST_BUFFER_INIT;
  ST_AUTO_BUFFER others = ST_BUFFER_INIT;
  ST_AUTO_BUFFER none = ST_BUFFER_INIT;
  make_numbers(&few, 0, 100);
  make_numbers(&many, 0, 5000);
  make_numbers(&others, 10000, 11000);
  as_program(&none, &many);
  as_program(&many, &few);
  as_program(&few, &many);
  as_program(&few, &others);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_forms),  cmocka_unit_test(test_hunks), cmocka_unit_test(test_places),
      cmocka_unit_test(test_random), cmocka_unit_test(test_large),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
