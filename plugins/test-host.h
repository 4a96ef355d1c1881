/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-host.h - a host for one plug-in under test: the functions of plugin.h, which write down what
 * the plug-in hands over.  A test links the plug-in's source and this. */
#ifndef ST_PLUGINS_TEST_HOST_H
#define ST_PLUGINS_TEST_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "systracker/plugin.h"

#define HOST_MOST 65536

struct st_error {
  char message[1024]; /* "": none */
};

struct st_text {
  char words[HOST_MOST];
  size_t length;
};

/* A fact is a line "TABLE|VALUE|VALUE|...": integers in decimal, texts as they are, ids as
 * "id:" or "secret:" and two digits of the digest, ST_NULL as "-". */
struct st_facts {
  char lines[HOST_MOST];
  size_t length;
  unsigned count, kept;
};

/* What is expected: lines as facts have, "observed" first where it is that. */
struct st_manifest {
  char lines[HOST_MOST];
  size_t length;
};

/* An action is a line "yes: WORDS" or "no: WORDS"; of the last one there is its data, too. */
struct st_plan {
  struct st_text text;
  char data[4096];
  size_t data_length;
};

/* An option as the test sets it; those that are not named have their fallback. */
struct host_option {
  const char *name;
  const char *const *values; /* ends with NULL */
};

struct st_context {
  const struct host_option *options; /* ends with a NULL name; may be NULL */
  int root;
  bool live_root;
};

/* What st_unchanged says: set by the test; NULL: false. */
extern bool (*host_unchanged)(const void *fingerprint, size_t length);

/* The folder in which st_package_file finds NAME_VERSION_ARCHITECTURE; NULL: none is kept. */
extern const char *host_packages;

/* What st_run answers: set by the test; NULL fails every command. */
extern int (*host_run)(char *const argv[], char **ret, size_t *length);

/* Opens the plug-in; a failure fails the test. */
void *host_open(const struct st_context *ctx);
/* That `open` refuses, in words that hold these. */
void host_open_fails(const struct st_context *ctx, const char *words);
/* The words of a change of the plug-in's first table; valid until the next call. */
const char *host_explain(void *self, const struct st_value *before, const struct st_value *after);
/* The lines of its plan, likewise. */
const char *host_plan(void *self, const struct st_value *before, const struct st_value *after);
/* The same of a change of another table; and the data of the last action that was planned. */
const char *host_explain_in(const char *table, void *self, const struct st_value *before,
                            const struct st_value *after);
const char *host_plan_in(const char *table, void *self, const struct st_value *before,
                         const struct st_value *after);
const char *host_plan_data(size_t *length);
/* The facts that `entry` says of this, likewise. */
const char *host_entry(void *self, const struct st_entry *entry);
/* A test: the man page beside the plug-in has its options, no others, each with its fallback, and
 * names its tables and columns. */
void host_test_manpage(void **state);
/* A digest of one byte repeated. */
struct st_id host_id(bool keyed, uint8_t byte);

#endif
