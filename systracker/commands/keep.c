/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keep.c - which checkpoints prune keeps: its options, and what it says of them. */
#include "systracker/commands/command.h"

#include <inttypes.h>
#include <string.h>

static const char *const names[] = {"keep-last", "keep-daily", "keep-weekly", "keep-monthly",
                                    "keep-yearly"};

int cmd_keep_set(struct st_retention *keep, int letter, const char *value, struct st_error *err)
{
  int64_t *const counts[] = {&keep->last, &keep->daily, &keep->weekly, &keep->monthly,
                             &keep->yearly};
  if (letter < CMD_OPT_KEEP_LAST || letter > CMD_OPT_KEEP_TAG)
    return 1;
  if (letter == CMD_OPT_KEEP_TAG)
    st_strings_add(&keep->tags, value);
  else if (st_parse_number(value, counts[letter - CMD_OPT_KEEP_LAST], err) < 0)
    return st_wrap(err, "--%s", names[letter - CMD_OPT_KEEP_LAST]);
  return 0;
}

char *cmd_keep_words(const struct st_retention *keep)
{
  const int64_t counts[] = {keep->last, keep->daily, keep->weekly, keep->monthly, keep->yearly};
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  for (size_t i = 0; i < ST_COUNT(counts); i++)
    if (counts[i] > 0)
      st_buffer_printf(&b, " --%s %" PRId64, names[i], counts[i]);
  for (size_t i = 0; i < keep->tags.count; i++)
    st_buffer_printf(&b, " --keep-tag %s", st_quote(keep->tags.items[i]));
  return st_buffer_steal(&b, NULL);
}

/* ---- Said ------------------------------------------------------------------------------------ */

static const char *const reasons[] = {"baseline", "latest", "last",   "daily", "weekly",
                                      "monthly",  "yearly", "tagged", "undo"};

static void say_kept(const struct st_choice *choice)
{
  const char *between = "";
  ST_AUTO_FREE char *time = st_format_time(choice->time);
  printf("%4" PRId64 "  %s  kept: ", choice->number, time);
  for (size_t i = 0; i < ST_COUNT(reasons); i++)
    if (choice->kept >> i & 1) {
      printf("%s%s", between, reasons[i]);
      between = ", ";
    }
  putchar('\n');
}

void cmd_choices_say(const struct st_choices *choices, bool dry_run)
{
  const struct st_choice *items = choices->items;
  const char *pruned = dry_run ? "would be pruned" : "pruned";
  for (size_t i = 0, next; i < choices->count; i = next) {
    next = i + 1;
    if (items[i].kept) {
      say_kept(&items[i]);
      continue;
    }
    while (next < choices->count && !items[next].kept)
      next++;
    if (next == i + 1)
      printf("%4" PRId64 "  %s\n", items[i].number, pruned);
    else
      printf("%4" PRId64 "  to %" PRId64 " %s\n", items[next - 1].number, items[i].number, pruned);
  }
}

json_t *cmd_kept_json(unsigned kept)
{
  json_t *array = json_array();
  for (size_t i = 0; i < ST_COUNT(reasons); i++)
    if (kept >> i & 1)
      json_array_append_new(array, json_string(reasons[i]));
  return array;
}
