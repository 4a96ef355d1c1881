/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cli.h - what every verb's main needs: the global options, before or after the verb; messages and
 * exit statuses; output as text or JSON lines, through a pager.
 */
#ifndef ST_TRACKER_CLI_H
#define ST_TRACKER_CLI_H

#include <getopt.h>
#include <jansson.h>

#include "systracker/tracker/tracker.h"

struct st_cli {
  struct st_tracker_options tracker;
  bool json, quiet;
  bool colour;   /* standard output is a terminal and NO_COLOR is not set */
  bool terminal; /* standard output is a terminal */
  const char *verb;
};

/* One option of a verb; values of `letter` above 255 have no short form. */
struct st_cli_option {
  const char *name;     /* long, without dashes */
  int letter;           /* short, and what `set` gets */
  const char *argument; /* NULL: takes none; else its name for --help */
  const char *help;
};

struct st_cli_verb {
  const char *name, *usage, *summary;  /* "diff", "[A [B]] [--] [PATH...]", one line */
  const struct st_cli_option *options; /* ends with a NULL name; may be NULL */
  /* One option; 0, or -1 with an error. */
  int (*set)(void *arg, int letter, const char *value, struct st_error *err);
};

/* Parses a verb's arguments, the global options among them; --help prints and ends with 0.
 * `argv[0]` is the verb.  Returns the index of the first operand; `*ret_dashes` (may be NULL): how
 * many operands came before "--", or -1 when there was none. */
int st_cli_parse(struct st_cli *cli, const struct st_cli_verb *verb, int argc, char **argv,
                 void *arg, int *ret_dashes, struct st_error *err);
/* The options before the verb; returns the verb's index in argv. */
int st_cli_global(struct st_cli *cli, int argc, char **argv, struct st_error *err);

/* Prints "systracker: MESSAGE" and returns the exit status that the error carries. */
int st_cli_fail(struct st_error *err);

/* One JSON object as a line; takes the reference. */
int st_cli_json(json_t *object);
/* A string of escaped bytes (escape.h). */
json_t *st_json_bytes(const void *data, size_t length);
json_t *st_json_path(const char *path);

#endif
