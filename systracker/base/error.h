/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * error.h - the one rule for errors.
 *
 * A function that can fail takes `struct st_error *err` as its last argument and returns a
 * negative number when it did; it has then set the message, once, at the place that knows why.
 * Callers pass it on untouched or wrap it: st_wrap(err, "outer") makes "outer: inner".
 * The message has no newline and no program name; main() prints "systracker: MESSAGE".
 * Paths in messages go through st_quote() (escape.h).
 *
 *   struct st_error err = ST_ERROR_INIT;   // in main() and in tests
 *   ST_AUTO_ERROR err = ST_ERROR_INIT;     // freed at the end of the scope
 */
#ifndef ST_BASE_ERROR_H
#define ST_BASE_ERROR_H

#include "systracker/plugin.h"

enum st_exit {
  ST_EXIT_OK = 0,
  ST_EXIT_INCOMPLETE = 1, /* incomplete or refused; for diff and status: differences */
  ST_EXIT_TROUBLE = 2,
};

struct st_error {
  char *message; /* malloc'ed, NULL: none */
  int status;    /* enum st_exit that main() ends with; ST_EXIT_TROUBLE unless refused */
  int code;      /* the errno value behind it, or 0 */
};

#define ST_ERROR_INIT ((struct st_error){0})
#define ST_AUTO_ERROR __attribute__((cleanup(st_error_clear))) struct st_error

/* st_fail(): plugin.h.  A NULL err is allowed everywhere: the message is dropped. */

/* Like st_fail, for what is refused rather than broken: status ST_EXIT_INCOMPLETE. */
int st_refuse(struct st_error *err, const char *fmt, ...) ST_PRINTF(2, 3);

/* Puts "TEXT: " before the message; returns -1. */
int st_wrap(struct st_error *err, const char *fmt, ...) ST_PRINTF(2, 3);

/* What failed elsewhere becomes the error as it is, and `from` is empty; returns -1. */
int st_error_move(struct st_error *err, struct st_error *from);

/* Whether no space was left, or no quota. */
bool st_error_is_full(const struct st_error *err);

/* The message, or "unknown error". */
const char *st_error_text(const struct st_error *err);

/* Frees the message; the error may be used again. */
void st_error_clear(struct st_error *err);

#endif
