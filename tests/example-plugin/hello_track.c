/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hello_track - an example of a plug-in, built against the installed header alone:
 *
 *   cc -shared -fPIC -I PREFIX/include -o hello_track.so hello_track.c
 *
 * It keeps the number of lines of each regular file that its rules track (a table of entries), and
 * the first line of one file (a table that it collects), which it also puts back.
 */
#include <systracker/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST 65536 /* bytes of a file */

static const struct st_column lines_columns[] = {
    {"path", ST_PATH, ST_KEY},
    {"lines", ST_INTEGER, 0},
};

static const struct st_column greeting_columns[] = {
    {"name", ST_TEXT, ST_KEY},
    {"words", ST_TEXT, 0},
};

static const struct st_table tables[] = {
    {"lines", ST_TABLE_ENTRY, 2, lines_columns},
    {"greeting", 0, 2, greeting_columns},
    {0},
};

static const struct st_option options[] = {
    {"file", ST_OPT_STRING, "/var/lib/hello/greeting", "where the greeting stands"},
    {0},
};

struct hello {
  const struct st_context *ctx;
  const char *file;
};

static int hello_open(const struct st_context *ctx, void **self, struct st_error *err)
{
  const char *file = st_option_string(ctx, "file");
  if (!file || *file != '/')
    return st_fail(err, 0, "file: is not an absolute path");
  struct hello *h = malloc(sizeof(*h));
  if (!h)
    return st_fail(err, ENOMEM, "cannot begin");
  *h = (struct hello){ctx, file};
  *self = h;
  return 0;
}

/* ---- Facts ------------------------------------------------------------------------------ */

static int hello_entry(void *self, const struct st_entry *e, struct st_facts *out,
                       struct st_error *err)
{
  struct hello *h = self;
  char *text;
  size_t length;
  int64_t lines = 0;
  if (e->type != 'f' || e->size > MOST)
    return 0;
  int r = st_read_in_root(h->ctx, e->path, MOST, &text, &length, err);
  if (r < 0)
    return r == -ENOENT ? 0 : r;
  for (size_t i = 0; i < length; i++)
    lines += text[i] == '\n';
  free(text);
  const struct st_value row[] = {st_path_value(e->path), st_integer(lines)};
  return st_fact(out, "lines", row, 2, err);
}

/* The first line, as plain ASCII; malloc'ed.  -ENOENT: there is none. */
static int read_greeting(struct hello *h, char **ret, struct st_error *err)
{
  size_t length;
  int r = st_read_in_root(h->ctx, h->file, MOST, ret, &length, err);
  if (r < 0)
    return r;
  char *s = *ret;
  for (; *s && *s != '\n'; s++) {
    if (*s < ' ' || *s > '~')
      *s = '?';
  }
  *s = 0;
  return 0;
}

static int hello_collect(void *self, struct st_facts *out, struct st_error *err)
{
  char *words;
  int r = read_greeting(self, &words, err);
  if (r < 0)
    return r == -ENOENT ? 0 : r;
  const struct st_value row[] = {st_text_value("greeting"), st_text_value(words)};
  r = st_fact(out, "greeting", row, 2, err);
  free(words);
  return r;
}

/* ---- Words ------------------------------------------------------------------------------ */

static void say_value(struct st_text *out, const struct st_value *row)
{
  if (!row)
    st_say(out, "nothing");
  else if (row[1].type == ST_INTEGER)
    st_say(out, "%lld", (long long)row[1].u.integer);
  else if (row[1].type == ST_TEXT)
    st_say_bytes(out, row[1].u.bytes.data, row[1].u.bytes.length);
}

static int hello_explain(void *self, const struct st_change *change, struct st_text *out,
                         struct st_error *err)
{
  (void)self;
  (void)err;
  bool lines = change->declaration->flags & ST_TABLE_ENTRY;
  st_say(out, lines ? "line count " : "greeting ");
  say_value(out, change->before);
  st_say(out, " → ");
  say_value(out, change->after);
  return 0;
}

/* ---- Restore ---------------------------------------------------------------------------- */

static int hello_plan(void *self, const struct st_change *change, struct st_plan *out,
                      struct st_error *err)
{
  (void)self;
  if (!change->after || change->after[1].type != ST_TEXT)
    return st_plan_action(out, "a greeting is not taken away", false, NULL, 0, err);
  const struct st_value *words = &change->after[1];
  char text[256];
  snprintf(text, sizeof(text), "greet with: %.*s", (int)words->u.bytes.length,
           (const char *)words->u.bytes.data);
  return st_plan_action(out, text, true, words->u.bytes.data, words->u.bytes.length, err);
}

/* Paths below the root are resolved inside it, whatever symlinks lie there. */
static int open_for_writing(struct hello *h)
{
  struct open_how how = {
      .flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, .mode = 0644, .resolve = RESOLVE_IN_ROOT};
  return (int)syscall(SYS_openat2, st_context_root(h->ctx), h->file, &how, sizeof(how));
}

static int hello_apply(void *self, const void *data, size_t length, struct st_error *err)
{
  struct hello *h = self;
  int fd = open_for_writing(h);
  if (fd < 0)
    return st_fail(err, errno, "cannot write the greeting (%s)", h->file);
  bool written = dprintf(fd, "%.*s\n", (int)length, (const char *)data) == (int)length + 1;
  int code = errno;
  if (close(fd) == 0 && written)
    return 0;
  return st_fail(err, code, "cannot write the greeting (%s)", h->file);
}

static int hello_verify(void *self, const void *data, size_t length, struct st_text *out,
                        struct st_error *err)
{
  char *words;
  int r = read_greeting(self, &words, err);
  if (r < 0 && r != -ENOENT)
    return r;
  bool same = r == 0 && strlen(words) == length && memcmp(words, data, length) == 0;
  if (r == 0)
    free(words);
  if (!same)
    st_say(out, "the greeting is another");
  return !same;
}

/* ---- The plug-in ------------------------------------------------------------------------ */

static struct st_plugin hello = {
    .name = "hello_track",
    .version = "1",
    .description = "an example: line counts and a greeting",
    .options = options,
    .tables = tables,
    .open = hello_open,
    .close = free,
    .entry = hello_entry,
    .collect = hello_collect,
    .explain = hello_explain,
    .plan = hello_plan,
    .apply = hello_apply,
    .verify = hello_verify,
};

ST_REGISTER_PLUGIN(hello)
