/* SPDX-License-Identifier: GPL-2.0-or-later */
/* look.h - within the scan: what is on its way through the walk's second part. */
#ifndef ST_SCAN_LOOK_H
#define ST_SCAN_LOOK_H

#include "systracker/scan/large.h"
#include "systracker/scan/links.h"
#include "systracker/scan/metadata.h"
#include "systracker/scan/readfile.h"
#include "systracker/scan/tree.h"

#ifndef ST_RING      /* tests have a smaller one */
#define ST_RING 4096 /* entries on their way */
#endif
#define ST_MOST_AHEAD ((uint64_t)64 << 20) /* bytes of content in memory, but for the head's */

/* A directory held open for those who read in it. */
struct opened {
  int fd; /* or -errno */
  unsigned users;
};

enum look_state { LOOK_WAITING, LOOK_TAKEN, LOOK_DONE };
enum look_result { LOOK_SEEN, LOOK_VANISHED, LOOK_NOT_SEEN, LOOK_FAILED };

/* Something to tell.  `item` says what; what is below `path` is for entries to look at. */
struct look {
  enum look_state state; /* atomic: who finds it done has all of it */
  struct look *next;     /* while it is spare */
  const struct st_item *item;
  struct st_node *node;
  char *path;
  const char *name;
  struct opened *dir;
  struct opened *own;  /* the directory that it is, where that is open for reading; may be NULL */
  struct large *large; /* hashed ahead of its turn; NULL: it is not */
  bool known;          /* in the index: `old` */
  enum look_result result;
  int code; /* of what was not seen */
  struct st_meta meta;
  struct st_entry entry;
  char *target;
  struct st_metadata metadata;
  const struct st_links_group *group; /* looked at for that; NULL: to be held back */
  bool was_read;
  bool if_stored; /* the digest serves if the store has the object */
  struct looker *looker;
  struct st_buffer data; /* its content, where nobody prepares it */
  void *prepared;        /* of its content */
  struct st_error err;   /* of that */
  uint64_t ahead;        /* bytes that count against ST_MOST_AHEAD */

  /* Not cleared for each entry, as they are large: only what says of itself that it is there. */
  struct st_index_entry old;
  struct st_file_read read;
};

struct looker {
  struct st_walk_state *w;
  struct st_links *links; /* entries that are held back until the end */
  struct st_buffer path;
  const struct st_node *path_of; /* that path is the directory's; NULL: another one */
  pthread_mutex_t mutex;
  pthread_cond_t more, done, room;
  struct look *ring[ST_RING]; /* atomic, as who ends one asks which is at the head */
  struct look *spare;         /* of the thread that tells: the one told last first, as it is warm */
  size_t head, next, tail;    /* counted from the beginning of the walk; tail: atomic */
  size_t open;                /* directories, with those above the node at hand */
  uint64_t ahead;
  uint64_t bytes;         /* to be read, perhaps, of all that was put in */
  unsigned idle, crowded; /* threads that wait for more (atomic), for room */
  bool awaited;           /* something near the head is; atomic */
  pthread_t *threads;
  unsigned started;
  bool end;
  struct large_files large;
  struct st_reader reader; /* of the thread that tells */
  struct st_node **incomplete;
  size_t nincomplete;
  const struct st_node *proved; /* the directory whose digests in the index were proved last */
  bool proved_good;
};

static inline struct look *st_look_in_ring(struct looker *l, size_t n)
{
  return __atomic_load_n(&l->ring[n % ST_RING], __ATOMIC_RELAXED);
}

/* lookat.c, any thread: what is asked of one entry, read and hashed.  false: it is done when what
 * the reader holds is hashed, or when its file is (large.h). */
bool st_look_at(struct looker *l, struct look *look, struct st_reader *reader);
/* Whether the digest alone is wanted of it, and not known: for what has its path alone. */
bool st_look_is_to_be_hashed(const struct looker *l, struct look *look);
/* Goes on with one that was parked (large.h), when its file is hashed. */
void st_look_go_on(struct looker *l, struct look *look, struct st_reader *reader);
/* Hashes what the reader holds, and does the rest for these entries. */
void st_look_hash(struct looker *l, struct st_reader *reader);
struct st_entry st_look_entry(const struct looker *l, const char *path, const struct st_meta *meta,
                              const char *target);
struct st_walk_content st_look_content(struct look *look, const struct st_buffer *data);
void st_look_drop_prepared(const struct looker *l, struct look *look);

/* look.c: it is done, which the thread that tells may wait for.  Not under the mutex. */
void st_look_done(struct looker *l, struct look *look);
bool st_look_is_done(const struct look *look);

#endif
