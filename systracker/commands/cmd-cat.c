/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/commands/command.h"

#include <string.h>

enum { OPT_SECRETS = 256 };

static const struct st_cli_option options[] = {
    {"secrets", OPT_SECRETS, NULL, "print the content of a secret, too"},
    {NULL, 0, NULL, NULL},
};

static int set(void *arg, int letter, const char *value, struct st_error *err)
{
  (void)letter;
  (void)value;
  (void)err;
  *(bool *)arg = true;
  return 0;
}

static const struct st_cli_verb verb = {
    .name = "cat",
    .usage = "CHECKPOINT PATH",
    .summary = "the content of a file as it was, byte for byte",
    .options = options,
    .set = set,
};

/* The file's kind at the checkpoint as find's %y has it, or 0 where no table says it. */
static int entry_type(struct st_tracker *t, int64_t number, const char *path, char *ret,
                      struct st_error *err)
{
  const struct st_catalog_table *table = st_catalog_table(t->catalog, "standard_track_entry");
  struct st_value key = st_path_value(path);
  ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
  *ret = 0;
  if (!table)
    return 0;
  if (st_catalog_fact(t->catalog, number, table, &key, &fact, err) < 0)
    return -1;
  if (fact->present && fact->values[1].type == ST_TEXT && fact->values[1].u.bytes.length == 1)
    *ret = *(const char *)fact->values[1].u.bytes.data;
  return 0;
}

static int refuse_other_types(char type, const char *path, struct st_error *err)
{
  static const struct {
    char type;
    const char *word;
  } words[] = {{'d', "a directory"}, {'l', "a symbolic link"}, {'c', "a device"},
               {'b', "a device"},    {'p', "a pipe"},          {'s', "a socket"}};
  for (size_t i = 0; i < ST_COUNT(words); i++)
    if (words[i].type == type)
      return st_refuse(err, "it is %s, not a file (%s)", words[i].word, st_quote(path));
  return 0;
}

static int print_piece(void *arg, const void *data, size_t n, struct st_error *err)
{
  (void)arg, (void)err;
  fwrite(data, 1, n, stdout); /* st_cli_end says what failed */
  return 0;
}

static int print_content(struct st_tracker *t, int64_t number, const char *path, bool secrets,
                         struct st_error *err)
{
  char type;
  if (entry_type(t, number, path, &type, err) < 0 || refuse_other_types(type, path, err) < 0)
    return -1;
  int r = st_tracker_content(t, number, path, secrets, print_piece, NULL, err);
  if (r != 0) {
    err->status = r > 0 ? ST_EXIT_INCOMPLETE : err->status;
    return -1;
  }
  return 0;
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  bool secrets = false;
  int64_t number;
  int first = st_cli_parse(cli, &verb, argc, argv, &secrets, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 2, 2, err) < 0)
    return -1;
  ST_AUTO_FREE char *path = NULL;
  ST_AUTO_TRACKER *t = NULL;
  if (st_cli_path(cli, argv[first + 1], &path, err) < 0 ||
      st_tracker_open(&t, &cli->tracker, ST_TRACKER_LOOK, err) < 0 || cmd_latest(t, err) < 0 ||
      st_catalog_resolve(t->catalog, argv[first], &number, err) < 0)
    return -1;
  return print_content(t, number, path, secrets, err) < 0 ? st_wrap(err, "cannot print the content")
                                                          : ST_EXIT_OK;
}

const struct st_command cmd_cat = {&verb, run};
