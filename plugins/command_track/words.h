/* SPDX-License-Identifier: GPL-2.0-or-later */
/* words.h - a command line as words, without a shell. */
#ifndef ST_COMMAND_TRACK_WORDS_H
#define ST_COMMAND_TRACK_WORDS_H

#include "systracker/plugin.h"

/* Splits at blanks; '...' and "..." keep what is between them as it is, backslashes included, and
 * may stand inside a word.  Nothing else is special.  `*ret` ends with NULL and is freed by one
 * free(3).  A line without words, an open quote and control characters are errors. */
int words_split(const char *line, char ***ret, struct st_error *err);

#endif
