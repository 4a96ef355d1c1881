/* SPDX-License-Identifier: GPL-2.0-or-later */
/* command.h - the verbs that are built in: one cmd-VERB.c each, joined by main.c. */
#ifndef ST_COMMANDS_COMMAND_H
#define ST_COMMANDS_COMMAND_H

#include "systracker/base/escape.h"
#include "systracker/base/text.h"
#include "systracker/catalog/prune.h"
#include "systracker/tracker/cli.h"
#include "systracker/tracker/render.h"

struct st_command {
  const struct st_cli_verb *verb;
  /* `argv[0]` is the verb.  Returns the exit status, or a negative number with an error. */
  int (*run)(struct st_cli *cli, int argc, char **argv, struct st_error *err);
};

extern const struct st_command cmd_cat, cmd_check_config, cmd_checkpoint, cmd_coverage, cmd_diff,
    cmd_explain, cmd_log, cmd_prune, cmd_show, cmd_status, cmd_tag, cmd_verify;

/* Helpers that several verbs share: command.c. */

/* The store there is, as a writer: unlike ST_TRACKER_WRITE alone it never makes a new one. */
int cmd_open_to_write(struct st_tracker **ret, const struct st_cli *cli, struct st_error *err);
/* The latest checkpoint's number; none yet is an error that says what to do. */
int64_t cmd_latest(struct st_tracker *t, struct st_error *err);
/* Paths as they were typed, as paths within the root. */
int cmd_paths(const struct st_cli *cli, char **argv, int count, struct st_strings *ret,
              struct st_error *err);
/* What was not seen, on standard error. */
void cmd_say_missed(const struct st_scan_result *scan);
/* "1 fact", "2 facts": malloc'ed. */
char *cmd_count(int64_t n, const char *one, const char *many);
/* The pairs that every line about a checkpoint has. */
json_t *cmd_checkpoint_json(const struct st_checkpoint *cp);

/* How changes are shown: options of diff, show and status; `arg` is a struct st_render_options. */
enum { CMD_OPT_STAT = 256, CMD_OPT_NAME_ONLY, CMD_OPT_FILES, CMD_OPT_TIMES };
#define CMD_CHANGES_OPTIONS                                                                        \
  {"files", CMD_OPT_FILES, NULL, "show the files of changed packages one by one"},                 \
  {                                                                                                \
    "times", CMD_OPT_TIMES, NULL, "show changes of times alone, too"                               \
  }
extern const struct st_cli_option cmd_changes_options[];
int cmd_changes_set(void *arg, int letter, const char *value, struct st_error *err);

/* Which checkpoints to keep: options of prune, here and of archives. */
enum {
  CMD_OPT_KEEP_LAST = 300,
  CMD_OPT_KEEP_DAILY,
  CMD_OPT_KEEP_WEEKLY,
  CMD_OPT_KEEP_MONTHLY,
  CMD_OPT_KEEP_YEARLY,
  CMD_OPT_KEEP_TAG,
};
#define CMD_KEEP_OPTIONS                                                                           \
  {"keep-last", CMD_OPT_KEEP_LAST, "N", "keep the N newest"},                                      \
      {"keep-daily", CMD_OPT_KEEP_DAILY, "N",                                                      \
       "keep the newest of each of the last N days that have one"},                                \
      {"keep-weekly", CMD_OPT_KEEP_WEEKLY, "N", "of each of the last N weeks"},                    \
      {"keep-monthly", CMD_OPT_KEEP_MONTHLY, "N", "of each of the last N months"},                 \
      {"keep-yearly", CMD_OPT_KEEP_YEARLY, "N", "of each of the last N years"},                    \
  {                                                                                                \
    "keep-tag", CMD_OPT_KEEP_TAG, "NAME", "keep the one with this tag; may be given several times" \
  }
/* 0, or 1: it is none of these. */
int cmd_keep_set(struct st_retention *keep, int letter, const char *value, struct st_error *err);
/* The rules as those options: " --keep-last 3 ..."; "" where nothing says what to keep.  Malloc'ed.
 */
char *cmd_keep_words(const struct st_retention *keep);

/* Why a checkpoint is kept, and what goes, the newest first; those that go as ranges. */
void cmd_choices_say(const struct st_choices *choices, bool dry_run);
json_t *cmd_kept_json(unsigned kept);

#define ST_AUTO_CHECKPOINT ST_CLEANUP(st_checkpoint_clear) struct st_checkpoint
#define ST_AUTO_SCAN ST_CLEANUP(st_scan_result_clear) struct st_scan_result
#define ST_AUTO_TRACKER ST_CLEANUP(st_tracker_closep) struct st_tracker

#endif
