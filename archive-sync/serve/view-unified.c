/* SPDX-License-Identifier: GPL-2.0-or-later */
/* view-unified.c - a unified diff: by libgit2, in this process, where it is there; else by diff(1).
 */
#include "config.h"

#include "archive-sync/serve/view-internal.h"
#include "systracker/base/process.h"

#ifdef HAVE_LIBGIT2

#include <git2.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

/* The library counts who uses it; it is never given back, as other threads may be using it. */
static void init(void)
{
  git_libgit2_init();
}

/* As diff(1) has it: without the count where it is one. */
static void put_range(struct st_buffer *out, int start, int lines)
{
  st_buffer_printf(out, "%d", start);
  if (lines != 1)
    st_buffer_printf(out, ",%d", lines);
}

static void put_hunk(struct st_buffer *out, const git_diff_hunk *hunk)
{
  st_buffer_append_string(out, "@@ -");
  put_range(out, hunk->old_start, hunk->old_lines);
  st_buffer_append_string(out, " +");
  put_range(out, hunk->new_start, hunk->new_lines);
  st_buffer_append_string(out, " @@\n");
}

static int on_line(const git_diff_delta *delta, const git_diff_hunk *hunk,
                   const git_diff_line *line, void *arg)
{
  struct st_buffer *out = arg;
  (void)delta;
  switch (line->origin) {
  case GIT_DIFF_LINE_HUNK_HDR:
    put_hunk(out, hunk);
    break;
  case GIT_DIFF_LINE_CONTEXT:
  case GIT_DIFF_LINE_ADDITION:
  case GIT_DIFF_LINE_DELETION:
    st_buffer_append_byte(out, (uint8_t)line->origin);
    st_buffer_append(out, line->content, line->content_len);
    break;
  case GIT_DIFF_LINE_CONTEXT_EOFNL:
  case GIT_DIFF_LINE_ADD_EOFNL:
  case GIT_DIFF_LINE_DEL_EOFNL: /* with the newline that the line itself has not */
    st_buffer_append(out, line->content, line->content_len);
    break;
  default: /* the file's header */
    break;
  }
  return 0;
}

int st_view_unified(const void *old, size_t old_length, const char *old_label, const void *new_,
                    size_t new_length, const char *new_label, struct st_buffer *out,
                    struct st_error *err)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  git_diff_options options;
  git_patch *patch = NULL;
  if (old_length == new_length && (!new_length || memcmp(old, new_, new_length) == 0))
    return 0;
  pthread_once(&once, init);
  git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
  options.context_lines = 3;
  options.flags = GIT_DIFF_FORCE_TEXT;
  int r = git_patch_from_buffers(&patch, old ? old : "", old_length, "a", new_ ? new_ : "",
                                 new_length, "b", &options);
  if (r < 0)
    return st_fail(err, 0, "cannot compare");
  st_buffer_printf(out, "--- %s\n+++ %s\n", old_label, new_label);
  git_patch_print(patch, on_line, out);
  git_patch_free(patch);
  return 1;
}

#else

int st_view_unified(const void *old, size_t old_length, const char *old_label, const void *new_,
                    size_t new_length, const char *new_label, struct st_buffer *out,
                    struct st_error *err)
{
  return st_unified_diff(old, old_length, old_label, new_, new_length, new_label, out, err);
}

#endif
