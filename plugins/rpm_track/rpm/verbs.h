/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verbs.h - what systracker-rpm does, one verb a file.
 *
 * A verb appends to `out` what goes to standard output when it succeeded; its caller reads it from
 * a pipe.  Fields are bytes without NUL, each with a NUL behind it. */
#ifndef ST_RPM_VERBS_H
#define ST_RPM_VERBS_H

#include "plugins/rpm_track/rpm/root.h"

/* What a verb is given: the words that librpm says, and its own arguments (argv[0] is the verb). */
struct rpm_call {
  struct rpm_words *words;
  int argc;
  char **argv;
};

enum rpm_exit {
  RPM_EXIT_OK = 0,
  RPM_EXIT_REFUSED = 1,
  RPM_EXIT_TROUBLE = 2, /* standard output holds the words */
  RPM_EXIT_NONE = 3,    /* no rpm database in the root */
};

/* Each returns an enum rpm_exit, or a negative number with the words in `err`. */
typedef int rpm_verb_fn(const struct rpm_call *call, struct st_buffer *out, struct st_error *err);

/* cookie [FOLDER]: rpmdbCookie(), one field, which is another after every transaction. */
rpm_verb_fn rpm_verb_cookie;
/* list [FOLDER]: all packages with all their files; list.h has the fields. */
rpm_verb_fn rpm_verb_list;
/* transaction test|run|recover [FOLDER]: packages as a restore wants them; tracker/rpmrequest.h has
 * what is asked and answered.  "test" changes nothing; "recover" waits for a transaction that still
 * runs, and mends what a killed one left in the database. */
rpm_verb_fn rpm_verb_transaction;

/* identify [prove]: of the package file that is descriptor 3 here, its name,
 * [EPOCH:]VERSION-RELEASE, architecture and the SHA-256 of its header ("": it has none); with
 * "prove" the payload is read, too, and has to have the digest that the header says. */
rpm_verb_fn rpm_verb_identify;

/* repack NAME VERSION ARCHITECTURE [FOLDER]: writes an .rpm of an installed package, made of its
 * files as they are now, to descriptor 4; says how many of them are not there. */
rpm_verb_fn rpm_verb_repack;

/* A field from a string; NULL is the empty one. */
static inline void rpm_put(struct st_buffer *out, const char *field)
{
  st_buffer_append(out, field ? field : "", field ? __builtin_strlen(field) + 1 : 1);
}
/* A field from a number that is not negative, by its base; 10 of them a file, so no printf. */
static inline void rpm_put_digits(struct st_buffer *out, uint64_t n, unsigned base)
{
  char digits[32], *at = digits + sizeof(digits);
  *--at = 0;
  do
    *--at = (char)('0' + n % base);
  while ((n /= base) > 0);
  st_buffer_append(out, at, (size_t)(digits + sizeof(digits) - at));
}
static inline void rpm_put_number(struct st_buffer *out, int64_t n)
{
  rpm_put_digits(out, n > 0 ? (uint64_t)n : 0, 10);
}

#endif
