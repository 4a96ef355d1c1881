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
  bool colour;        /* standard output is a terminal and NO_COLOR is not set */
  bool terminal;      /* standard output is a terminal */
  bool help, version; /* asked for before the verb */
  bool of_archive;    /* of systracker-archive: --config, --root and --store mean nothing there */
};

/* One option of a verb; values of `letter` above 255 have no short form (use 256 to 999). */
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
  const char *program; /* NULL: systracker */
};

/* Parses a verb's arguments, the global options among them; --help prints and ends with 0.
 * `argv[0]` is the verb.  Moves the operands to the end of argv, in their order, and returns the
 * index of the first; `*ret_dashes` (may be NULL): how many operands came before "--", or -1 when
 * there was none. */
int st_cli_parse(struct st_cli *cli, const struct st_cli_verb *verb, int argc, char **argv,
                 void *arg, int *ret_dashes, struct st_error *err);
/* The options before the verb (--help and --version only set their flags); returns the verb's index
 * in argv, argc when there is none. */
int st_cli_global(struct st_cli *cli, int argc, char **argv, struct st_error *err);
/* What --help of the verb prints; NULL: the global options alone. */
void st_cli_help(FILE *out, const struct st_cli *cli, const struct st_cli_verb *verb);
/* An error unless the operands are between `least` and `most` (-1: any number). */
int st_cli_operands(const struct st_cli_verb *verb, int count, int least, int most,
                    struct st_error *err);
/* A path as it was typed, as a path within the root: what is relative starts from the working
 * directory, which is an error with another root than the running system's.  Malloc'ed. */
int st_cli_path(const struct st_cli *cli, const char *text, char **ret, struct st_error *err);

/* The first thing a program does: gives closed standard descriptors away, so that no file of the
 * store becomes one of them and gets what is printed. */
void st_cli_begin(void);
/* Prints "systracker: MESSAGE", clears the error and returns the exit status that it carried. */
int st_cli_fail(struct st_error *err);
/* The last thing a program does: what could not be written turns the status into trouble. */
int st_cli_end(int status);

/* A program's main: begins, runs it (exit status, or negative with an error) and ends.  What it
 * makes is its owner's alone. */
int st_cli_main(struct st_cli *cli, int argc, char **argv,
                int (*run)(struct st_cli *cli, int argc, char **argv, struct st_error *err));

/* Starts a pager for text on a terminal; give what it returned to st_cli_pager_end. */
pid_t st_cli_pager(const struct st_cli *cli);
void st_cli_pager_end(pid_t pid);

/* One JSON object as a line; takes the reference. */
int st_cli_json(json_t *object);
/* A string of escaped bytes (escape.h). */
json_t *st_json_bytes(const void *data, size_t length);
json_t *st_json_path(const char *path);
/* A text of people's own (a message, a pattern), escaped; NULL becomes null. */
json_t *st_json_text(const char *text);
/* Words whose paths are escaped already. */
json_t *st_json_words(const char *words);
json_t *st_json_words_each(const struct st_strings *words);
/* A list of extended attributes (base/xattr.h) as an object, ACLs as setfacl(1) has them; file
 * flags as an array of their names. */
json_t *st_xattrs_json(const void *list, size_t length);
json_t *st_flags_json(uint32_t flags);

#endif
