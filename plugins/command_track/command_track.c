/* SPDX-License-Identifier: GPL-2.0-or-later */
/* command_track - what configured commands say; never restored. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "plugins/command_track/words.h"
#include "plugins/values.h"

#define TABLE "output"

enum column { COMMAND, STATUS, OUTPUT, COLUMNS };

static const struct st_column columns[COLUMNS] = {
    [COMMAND] = {"command", ST_TEXT, ST_KEY},
    [STATUS] = {"status", ST_INTEGER, 0},
    [OUTPUT] = {"output", ST_ID, ST_OBJECT},
};

static const struct st_table tables[] = {{TABLE, 0, COLUMNS, columns}, {0}};

static const struct st_option options[] = {
    {"command", ST_OPT_LIST, NULL, "the commands, a string each"},
    {"timeout", ST_OPT_NUMBER, "30", "seconds that one may take"},
    {"max_output", ST_OPT_SIZE, "1M", "more output than this is a failure"},
    {0}};

struct command {
  const char *line; /* as configured */
  char **argv;
};

struct command_track {
  const struct st_context *ctx;
  struct command *commands;
  size_t count;
  unsigned timeout;  /* seconds */
  size_t max_output; /* bytes */
};

/* ---- Options ---------------------------------------------------------------------------- */

static void close_plugin(void *self)
{
  struct command_track *t = self;
  for (size_t i = 0; i < t->count; i++)
    free(t->commands[i].argv);
  free(t->commands);
  free(t);
}

static int add_command(struct command_track *t, const char *line, struct st_error *err)
{
  for (size_t i = 0; i < t->count; i++) {
    if (strcmp(t->commands[i].line, line) == 0)
      return 0;
  }
  struct command *commands = reallocarray(t->commands, t->count + 1, sizeof(*commands));
  if (!commands)
    return st_fail(err, 0, "out of memory");
  t->commands = commands;
  commands[t->count] = (struct command){.line = line};
  if (words_split(line, &commands[t->count].argv, err) < 0)
    return -1;
  t->count++;
  return 0;
}

static int read_options(struct command_track *t, struct st_error *err)
{
  int64_t timeout = st_option_number(t->ctx, "timeout");
  int64_t max_output = st_option_number(t->ctx, "max_output");
  if (timeout <= 0 || timeout > 3600)
    return st_fail(err, 0, "timeout: is not between 1 and 3600 seconds");
  if (max_output <= 0 || max_output > (int64_t)1 << 30)
    return st_fail(err, 0, "max_output: is not above 0 and at most 1G");
  t->timeout = (unsigned)timeout;
  t->max_output = (size_t)max_output;
  const char *line;
  for (size_t n = 0; (line = st_option_list(t->ctx, "command", n)); n++) {
    if (add_command(t, line, err) < 0)
      return -1;
  }
  return 0;
}

static int open_plugin(const struct st_context *ctx, void **self, struct st_error *err)
{
  struct command_track *t = calloc(1, sizeof(*t));
  if (!t)
    return st_fail(err, 0, "out of memory");
  t->ctx = ctx;
  if (read_options(t, err) < 0) {
    close_plugin(t);
    return -1;
  }
  *self = t;
  return 0;
}

/* ---- Facts ------------------------------------------------------------------------------ */

static int put_output(const struct command *c, int status, const char *output, size_t length,
                      struct st_facts *out, struct st_error *err)
{
  struct st_id id;
  struct st_value row[COLUMNS] = {
      [COMMAND] = st_text_value(c->line),
      [STATUS] = st_integer(status),
      [OUTPUT] = st_null(),
  };
  if (st_keep(out, TABLE, "output", row, COLUMNS, output, length, &id, err) < 0)
    return -1;
  row[OUTPUT] = st_id_value(&id);
  return st_fact(out, TABLE, row, COLUMNS, err);
}

static int run(const struct command_track *t, const struct command *c, struct st_facts *out,
               struct st_error *err)
{
  char *output = NULL;
  size_t length = 0;
  int status = st_run(c->argv, t->max_output, t->timeout, &output, &length, err);
  if (status == -ENOENT) {
    st_log(ST_LOG_DEBUG, "command_track: not installed: %s", c->line);
    return 0;
  }
  if (status < 0)
    return status;
  int r = put_output(c, status, output, length, out, err);
  free(output);
  return r;
}

/* A command that was not seen to its end leaves the whole table as it was: its fact must not end,
 * and this callback has one answer for all of them. */
static int collect(void *self, struct st_facts *out, struct st_error *err)
{
  const struct command_track *t = self;
  if (!st_context_is_live_root(t->ctx))
    return 0;
  for (size_t i = 0; i < t->count; i++) {
    if (run(t, &t->commands[i], out, err) < 0)
      return -1;
  }
  return 0;
}

/* ---- Words ------------------------------------------------------------------------------ */

static int explain(void *self, const struct st_change *c, struct st_text *out, struct st_error *err)
{
  (void)self;
  (void)err;
  struct parts parts = {out, 0};
  if (!c->before)
    st_say(next_part(&parts), "added (exit status %lld)",
           (long long)value_integer(value_after(c, STATUS)));
  else if (!c->after)
    st_say(next_part(&parts), "removed");
  if (value_differs(c, OUTPUT))
    st_say(next_part(&parts), "output changed");
  if (value_differs(c, STATUS))
    st_say(next_part(&parts), "exit status %lld → %lld",
           (long long)value_integer(value_before(c, STATUS)),
           (long long)value_integer(value_after(c, STATUS)));
  return 0;
}

/* ---- The plug-in ------------------------------------------------------------------------ */

static int plan(void *self, const struct st_change *c, struct st_plan *out, struct st_error *err)
{
  (void)self;
  (void)c;
  (void)out;
  (void)err;
  return 0; /* nothing of it is restored */
}

static struct st_plugin plugin = {
    .name = "command_track",
    .version = "1",
    .description = "the output of commands",
    .options = options,
    .tables = tables,
    .open = open_plugin,
    .close = close_plugin,
    .collect = collect,
    .explain = explain,
    .plan = plan,
};

ST_REGISTER_PLUGIN(plugin)
