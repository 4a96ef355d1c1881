/* SPDX-License-Identifier: GPL-2.0-or-later */
/* list.h - the names in a directory, in the order of their bytes. */
#ifndef ST_SCAN_LIST_H
#define ST_SCAN_LIST_H

#include "systracker/base/buffer.h"

/* Used again and again: nothing is allocated once it is large enough. */
struct st_list {
  char **names; /* without "." and ".." */
  size_t count, size;
  struct st_buffer bytes;
  char *piece;
};

/* Reads all of a directory that is open for reading and at its beginning.  Returns 0 or -errno. */
int st_list_read(struct st_list *list, int fd);
void st_list_free(struct st_list *list);

#endif
