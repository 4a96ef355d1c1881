/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/unread.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "systracker/base/buffer.h"

/* As many as have large answers at this time: fewer than there are connections. */
struct reader {
  char name[ST_UNREAD_NAME];
  uint64_t bytes;
};

struct st_unread {
  uint64_t each, all, memory;
  pthread_mutex_t lock;
  struct reader *readers;
  size_t count, size;
  uint64_t bytes, in_memory;
};

struct st_unread *st_unread_new(uint64_t each, uint64_t all, uint64_t memory)
{
  struct st_unread *u = st_calloc(1, sizeof(*u));
  u->each = each;
  u->all = all;
  u->memory = memory;
  pthread_mutex_init(&u->lock, NULL);
  return u;
}

void st_unread_free(struct st_unread *u)
{
  pthread_mutex_destroy(&u->lock);
  free(u->readers);
  free(u);
}

static struct reader *find(struct st_unread *u, const char *name)
{
  for (size_t i = 0; i < u->count; i++)
    if (strncmp(u->readers[i].name, name, ST_UNREAD_NAME - 1) == 0)
      return &u->readers[i];
  return NULL;
}

static struct reader *need(struct st_unread *u, const char *name)
{
  struct reader *r = find(u, name);
  if (r)
    return r;
  if (u->count == u->size) {
    u->size = u->size ? 2 * u->size : 16;
    u->readers = st_realloc(u->readers, u->size, sizeof(*u->readers));
  }
  r = &u->readers[u->count++];
  *r = (struct reader){0};
  snprintf(r->name, sizeof(r->name), "%s", name);
  return r;
}

enum st_unread_room st_unread_look(struct st_unread *u, const char *name, bool brief)
{
  pthread_mutex_lock(&u->lock);
  const struct reader *r = find(u, name);
  enum st_unread_room room = r && r->bytes >= u->each       ? ST_UNREAD_EACH
                             : u->bytes >= u->all && !brief ? ST_UNREAD_ALL
                                                            : ST_UNREAD_ROOM;
  pthread_mutex_unlock(&u->lock);
  return room;
}

bool st_unread_add(struct st_unread *u, const char *name, uint64_t bytes, bool memory)
{
  pthread_mutex_lock(&u->lock);
  bool room = !memory || u->in_memory + bytes <= u->memory;
  if (room) {
    need(u, name)->bytes += bytes;
    u->bytes += bytes;
    u->in_memory += memory ? bytes : 0;
  }
  pthread_mutex_unlock(&u->lock);
  return room;
}

void st_unread_end(struct st_unread *u, const char *name, uint64_t bytes, bool memory)
{
  pthread_mutex_lock(&u->lock);
  struct reader *r = find(u, name);
  if (r) {
    r->bytes -= bytes;
    u->bytes -= bytes;
    u->in_memory -= memory ? bytes : 0;
    if (r->bytes == 0)
      *r = u->readers[--u->count];
  }
  pthread_mutex_unlock(&u->lock);
}
