/* SPDX-License-Identifier: GPL-2.0-or-later */
/* list.c - getdents64(2) without the stream of readdir(3), which costs an allocation and an
 * fstat(2) for each directory. */
#include "systracker/scan/list.h"

#include <string.h>

#define ST_LIST_PIECE 65536

static int by_bytes(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_dots(const char *name)
{
  return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
}

static void add_piece(struct st_list *l, size_t length)
{
  for (size_t at = 0; at < length;) {
    const struct dirent64 *e = (const void *)(l->piece + at);
    at += e->d_reclen;
    if (is_dots(e->d_name))
      continue;
    st_buffer_append(&l->bytes, e->d_name, strlen(e->d_name) + 1);
    l->count++;
  }
}

static void sort(struct st_list *l)
{
  if (l->count > l->size) {
    l->size = 2 * l->count;
    l->names = st_realloc(l->names, l->size, sizeof(*l->names));
  }
  char *at = l->bytes.data;
  for (size_t i = 0; i < l->count; i++) {
    l->names[i] = at;
    at += strlen(at) + 1;
  }
  if (l->count > 1)
    qsort(l->names, l->count, sizeof(*l->names), by_bytes);
}

int st_list_read(struct st_list *l, int fd)
{
  st_buffer_clear(&l->bytes);
  l->count = 0;
  if (!l->piece)
    l->piece = st_malloc(ST_LIST_PIECE);
  for (;;) {
    ssize_t n = getdents64(fd, l->piece, ST_LIST_PIECE);
    if (n < 0)
      return -errno;
    if (n == 0)
      break;
    add_piece(l, (size_t)n);
  }
  sort(l);
  return 0;
}

void st_list_free(struct st_list *l)
{
  free(l->names);
  free(l->piece);
  st_buffer_free(&l->bytes);
}
