/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source.h - the text of one configuration file, looked over before libconfuse gets it.
 *
 * libconfuse expands "${", drops characters that it does not expect without a word (the star of a
 * bare /etc/ *), counts lines wrongly after a comment of several, keeps its state after a string
 * that does not end, lets a block replace an earlier one of the same name, and wants to know every
 * option's name beforehand.  So the text is cut into tokens once here: what is not clear is refused
 * with its line, comments become spaces, and the names that are set are noted.
 */
#ifndef ST_CONF_SOURCE_H
#define ST_CONF_SOURCE_H

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

/* KIND ["title"] { ... }.  The first is the file itself, without kind and title. */
struct st_source_block {
  char *kind, *title; /* as written, without the quotes */
  int line;
};

/* name = ... or name += ..., in a block. */
struct st_source_name {
  char *name;
  size_t block;
  int line;
};

struct st_source {
  const char *file; /* borrowed */
  struct st_buffer text;
  struct st_source_block *blocks;
  size_t nblocks;
  struct st_source_name *names;
  size_t nnames;
};

/* Reads the file: regular, at most 1 MiB, without NUL. */
int st_source_read(struct st_source *ret, const char *file, struct st_error *err);
void st_source_clear(struct st_source *s);

/* Fails with "MESSAGE (FILE:LINE)". */
int st_source_fail(const char *file, int line, struct st_error *err, const char *fmt, ...)
    ST_PRINTF(4, 5);

#endif
