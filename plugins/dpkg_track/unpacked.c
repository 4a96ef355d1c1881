/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/unpacked.h"

#include <gcrypt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/dpkg_track/lines.h"
#include "plugins/processors.h"

#define MOST_THREADS 4

/* ---- One package ------------------------------------------------------------------------------
 */

struct taking {
  struct unpacked *to;
  const atomic_bool *stop;
};

void unpacked_free(struct unpacked *u)
{
  if (!u)
    return;
  for (size_t i = 0; i < u->count; i++)
    free(u->entries[i]);
  free(u->entries);
  free(u->md5sums);
  free(u);
}

static int take_md5sums(void *arg, char *text, struct st_error *err)
{
  struct taking *t = arg;
  if (!t->to->md5sums)
    t->to->md5sums = strdup(text);
  return t->to->md5sums ? 0 : st_fail(err, 0, "out of memory");
}

static size_t size_of(const char *s)
{
  return s ? strlen(s) + 1 : 0;
}

static const char *move(char **to, const char *s)
{
  char *at = *to;
  if (!s)
    return NULL;
  memcpy(at, s, strlen(s) + 1);
  *to += strlen(s) + 1;
  return at;
}

/* The entry with its texts behind it, in one piece. */
static struct deb_entry *copy_of(const struct deb_entry *e)
{
  struct deb_entry *copy = malloc(sizeof(*e) + size_of(e->path) + size_of(e->user) +
                                  size_of(e->group) + size_of(e->target) + size_of(e->hardlink));
  if (!copy)
    return NULL;
  char *text = (char *)(copy + 1);
  *copy = *e;
  copy->path = move(&text, e->path);
  copy->user = move(&text, e->user);
  copy->group = move(&text, e->group);
  copy->target = move(&text, e->target);
  copy->hardlink = move(&text, e->hardlink);
  return copy;
}

static int take_entry(void *arg, const struct deb_entry *e, struct st_error *err)
{
  struct taking *t = arg;
  struct unpacked *u = t->to;
  if (t->stop && atomic_load(t->stop))
    return st_fail(err, 0, "given up");
  if (!array_room((void **)&u->entries, u->count, sizeof(*u->entries)))
    return st_fail(err, 0, "out of memory");
  struct deb_entry *copy = copy_of(e);
  if (!copy)
    return st_fail(err, 0, "out of memory");
  u->entries[u->count++] = copy;
  return 0;
}

static struct unpacked *unpack(int fd, const atomic_bool *stop)
{
  struct unpacked *u = calloc(1, sizeof(*u));
  struct taking taking = {u, stop};
  const struct deb_callbacks callbacks = {&taking, take_md5sums, take_entry};
  if (u)
    u->damaged = debfile_read(fd, &callbacks, NULL) != 0;
  return u;
}

struct unpacked *unpacked_read(int fd)
{
  return unpack(fd, NULL);
}

/* ---- Several ----------------------------------------------------------------------------------
 */

enum slot_state { FREE, WAITING, READING, DONE };

struct slot {
  enum slot_state state;
  size_t number;
  int fd;
  struct unpacked *unpacked;
};

struct readahead {
  pthread_mutex_t lock; /* of all but `stop` */
  pthread_cond_t changed;
  struct slot slots[MOST_AHEAD];
  pthread_t threads[MOST_THREADS];
  unsigned count; /* of threads */
  atomic_bool stop;
};

/* The one that is wanted first. */
static struct slot *next_waiting(struct readahead *r)
{
  struct slot *best = NULL;
  for (size_t i = 0; i < MOST_AHEAD; i++) {
    struct slot *s = &r->slots[i];
    if (s->state == WAITING && (!best || s->number < best->number))
      best = s;
  }
  return best;
}

static void *read_slots(void *arg)
{
  struct readahead *r = arg;
  pthread_mutex_lock(&r->lock);
  while (!atomic_load(&r->stop)) {
    struct slot *s = next_waiting(r);
    if (!s) {
      pthread_cond_wait(&r->changed, &r->lock);
      continue;
    }
    s->state = READING;
    pthread_mutex_unlock(&r->lock);
    struct unpacked *u = unpack(s->fd, &r->stop);
    close(s->fd);
    pthread_mutex_lock(&r->lock);
    s->unpacked = u;
    s->state = DONE;
    pthread_cond_broadcast(&r->changed);
  }
  pthread_mutex_unlock(&r->lock);
  return NULL;
}

/* Signals are for the thread that called us. */
static void start_threads(struct readahead *r)
{
  sigset_t all, before;
  unsigned wanted = processors_at_most(MOST_THREADS);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (r->count < wanted && pthread_create(&r->threads[r->count], NULL, read_slots, r) == 0)
    r->count++;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct readahead *readahead_new(void)
{
  struct readahead *r = calloc(1, sizeof(*r));
  if (!r)
    return NULL;
  gcry_check_version(NULL);
  pthread_mutex_init(&r->lock, NULL);
  pthread_cond_init(&r->changed, NULL);
  start_threads(r);
  if (r->count > 0)
    return r;
  readahead_free(r);
  return NULL;
}

void readahead_free(struct readahead *r)
{
  if (!r)
    return;
  pthread_mutex_lock(&r->lock);
  atomic_store(&r->stop, true);
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->lock);
  for (unsigned i = 0; i < r->count; i++)
    pthread_join(r->threads[i], NULL);
  for (size_t i = 0; i < MOST_AHEAD; i++) {
    if (r->slots[i].state == WAITING)
      close(r->slots[i].fd);
    unpacked_free(r->slots[i].unpacked);
  }
  pthread_cond_destroy(&r->changed);
  pthread_mutex_destroy(&r->lock);
  free(r);
}

static struct slot *find_slot(struct readahead *r, size_t number)
{
  for (size_t i = 0; i < MOST_AHEAD; i++) {
    if (r->slots[i].state != FREE && r->slots[i].number == number)
      return &r->slots[i];
  }
  return NULL;
}

static struct slot *free_slot(struct readahead *r)
{
  for (size_t i = 0; i < MOST_AHEAD; i++) {
    if (r->slots[i].state == FREE)
      return &r->slots[i];
  }
  return NULL;
}

bool readahead_has(struct readahead *r, size_t number)
{
  pthread_mutex_lock(&r->lock);
  bool has = find_slot(r, number) != NULL;
  pthread_mutex_unlock(&r->lock);
  return has;
}

bool readahead_has_room(struct readahead *r)
{
  pthread_mutex_lock(&r->lock);
  bool has = free_slot(r) != NULL;
  pthread_mutex_unlock(&r->lock);
  return has;
}

void readahead_begin(struct readahead *r, size_t number, int fd)
{
  pthread_mutex_lock(&r->lock);
  struct slot *s = find_slot(r, number) ? NULL : free_slot(r);
  if (s)
    *s = (struct slot){.state = WAITING, .number = number, .fd = fd};
  else
    close(fd);
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->lock);
}

/* With the lock held. */
static struct unpacked *empty(struct readahead *r, struct slot *s)
{
  while (s->state == WAITING || s->state == READING)
    pthread_cond_wait(&r->changed, &r->lock);
  struct unpacked *u = s->unpacked;
  *s = (struct slot){.state = FREE};
  return u;
}

struct unpacked *readahead_take(struct readahead *r, size_t number)
{
  pthread_mutex_lock(&r->lock);
  struct slot *s = find_slot(r, number);
  struct unpacked *u = s ? empty(r, s) : NULL;
  pthread_mutex_unlock(&r->lock);
  return u;
}

void readahead_drop_before(struct readahead *r, size_t number)
{
  pthread_mutex_lock(&r->lock);
  for (size_t i = 0; i < MOST_AHEAD; i++) {
    struct slot *s = &r->slots[i];
    if (s->state != FREE && s->number < number)
      unpacked_free(empty(r, s));
  }
  pthread_mutex_unlock(&r->lock);
}
