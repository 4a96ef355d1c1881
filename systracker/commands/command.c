/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/commands/command.h"

#include <inttypes.h>
#include <string.h>

int cmd_open_to_write(struct st_tracker **ret, const struct st_cli *cli, struct st_error *err)
{
  struct st_tracker *reader;
  int r = st_tracker_open(&reader, &cli->tracker, ST_TRACKER_LOOK, err);
  if (r < 0)
    return r;
  st_tracker_close(reader);
  return st_tracker_open(ret, &cli->tracker, ST_TRACKER_WRITE, err);
}

int64_t cmd_latest(struct st_tracker *t, struct st_error *err)
{
  int64_t latest = st_catalog_latest(t->catalog);
  if (latest > 0)
    return latest;
  return st_fail(err, 0,
                 "there is no checkpoint yet: take the first one with "
                 "\"systracker checkpoint\"");
}

int cmd_paths(const struct st_cli *cli, char **argv, int count, struct st_strings *ret,
              struct st_error *err)
{
  for (int i = 0; i < count; i++) {
    char *path;
    if (st_cli_path(cli, argv[i], &path, err) < 0)
      return -1;
    st_strings_take(ret, path);
  }
  return 0;
}

void cmd_say_missed(const struct st_scan_result *scan)
{
  if (scan->missed.count > 0)
    fflush(stdout);
  for (size_t i = 0; i < scan->missed.count; i++)
    fprintf(stderr, "systracker: not seen: %s\n", scan->missed.items[i]);
}

char *cmd_count(int64_t n, const char *one, const char *many)
{
  return st_format("%" PRId64 " %s", n, n == 1 ? one : many);
}

/* "a, b" as an array. */
static json_t *tags_json(const char *tags)
{
  json_t *array = json_array();
  while (tags && *tags) {
    const char *end = tags + strcspn(tags, ",");
    json_array_append_new(array, st_json_bytes(tags, (size_t)(end - tags)));
    tags = *end ? end + 1 + (end[1] == ' ') : end;
  }
  return array;
}

json_t *cmd_checkpoint_json(const struct st_checkpoint *cp)
{
  char root[2 * ST_DIGEST_SIZE + 1], header[2 * ST_DIGEST_SIZE + 1];
  st_hex(root, cp->state_root, ST_DIGEST_SIZE);
  st_hex(header, cp->header_digest, ST_DIGEST_SIZE);
  static const char *const held[] = {"here", "not fetched", "pruned"};
  bool here = cp->held == ST_HELD;
  ST_AUTO_FREE char *time = st_format_time_utc(cp->time);
  json_t *o = json_object();
  json_object_set_new(o, "number", json_integer(cp->number));
  json_object_set_new(o, "time", json_string(time));
  json_object_set_new(o, "message", st_json_text(cp->message));
  json_object_set_new(o, "tags", tags_json(cp->tags));
  json_object_set_new(o, "incomplete", json_boolean(cp->incomplete));
  json_object_set_new(o, "facts", json_string(held[cp->held]));
  json_object_set_new(o, "begun", here ? json_integer(cp->begun) : json_null());
  json_object_set_new(o, "ended", here ? json_integer(cp->ended) : json_null());
  json_object_set_new(o, "state_root", json_string(root));
  json_object_set_new(o, "header", json_string(header));
  return o;
}

const struct st_cli_option cmd_changes_options[] = {CMD_CHANGES_OPTIONS, {NULL, 0, NULL, NULL}};

int cmd_changes_set(void *arg, int letter, const char *value, struct st_error *err)
{
  (void)value;
  (void)err;
  struct st_render_options *o = arg;
  o->stat |= letter == CMD_OPT_STAT;
  o->name_only |= letter == CMD_OPT_NAME_ONLY;
  o->files |= letter == CMD_OPT_FILES;
  o->times |= letter == CMD_OPT_TIMES;
  return 0;
}
