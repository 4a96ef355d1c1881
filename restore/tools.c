/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/tools.h"

#include <string.h>

#include "systracker/base/process.h"
#include "systracker/plugin.h"

#define MOST ((size_t)16 << 20) /* bytes that an answer may have */

/* The words, ended by NULL, which borrow from `words`. */
static char **argument_vector(const struct st_strings *words)
{
  char **argv = st_calloc(words->count + 1, sizeof(*argv));
  memcpy(argv, words->items, words->count * sizeof(*argv));
  return argv;
}

void st_tools_add(struct st_strings *to, const char *const *words)
{
  for (; *words; words++)
    st_strings_add(to, *words);
}

int st_tools_run(struct st_tracker *t, const struct st_strings *words, char **ret,
                 size_t *ret_length, struct st_error *err)
{
  char **argv = argument_vector(words);
  int status = t->live_root ? st_run(argv, MOST, 0, ret, ret_length, err)
                            : st_run_in(t->root, argv, MOST, 0, ret, ret_length, err);
  free(argv);
  return status;
}

int st_tools_ask(struct st_tracker *t, const char *program, const char *argument, char **ret,
                 size_t *ret_length, struct st_error *err)
{
  ST_AUTO_STRINGS words = {0};
  st_tools_add(&words, (const char *const[]){program, argument, NULL});
  return st_tools_run(t, &words, ret, ret_length, err);
}
