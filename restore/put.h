/* SPDX-License-Identifier: GPL-2.0-or-later */
/* put.h - one entry made what a state says: beside its place, and renamed, so that the old one or
 * the new one is there at any moment, whole. */
#ifndef ST_RESTORE_PUT_H
#define ST_RESTORE_PUT_H

#include "restore/state.h"
#include "systracker/base/holes.h"
#include "systracker/scan/written.h"
#include "systracker/store/store.h"

/* With what it is done; each thread has its own. */
struct st_put {
  int root;
  const struct st_accounts *accounts; /* of the root, as they are by now */
  struct st_store *store;             /* that contents come from */
  struct st_written *written;         /* notes what was put, as it was then; may be NULL */
  bool bare; /* what is new there has neither attributes nor flags of itself: st_put_is_bare */
  /* What the file system does not take, or we may not set: the entry is put all the same. */
  void (*problem)(void *arg, const char *words);
  void *arg;
};

/* Where: an open directory and a name in it. */
struct st_place {
  char live; /* what is there: its type, 0: nothing */
  int parent;
  const char *name;
  char beside[64]; /* the name under which a new entry is made ready */
};

/* A new entry in the place of what is there.  A directory is only made: its metadata come when
 * nothing is put into it any more, by st_put_metadata. */
int st_put_entry(const struct st_put *put, const struct st_place *place, const struct st_state *s,
                 struct st_error *err);
/* A new entry under its own name, in a directory in which nobody else is; none that is a link, and
 * neither a directory nor a regular file.  Where it fails nothing is left of it. */
int st_put_fresh(const struct st_put *put, int parent, const char *name, const struct st_state *s,
                 struct st_error *err);

/* A regular file there, whose content comes in pieces. */
struct st_pour {
  int fd;
  const struct st_state *s; /* borrowed */
  struct st_hole hole;      /* the next one that does not end before `offset` */
  size_t at;                /* in the state's holes */
  bool no_more;
  uint64_t offset;
};
int st_pour_open(struct st_pour *ret, const struct st_put *put, int parent, const char *name,
                 const struct st_state *s, struct st_error *err);
/* All but the holes is written: where one was noted and there is something all the same, it is. */
int st_pour_piece(struct st_pour *p, const void *data, size_t n, struct st_error *err);
/* That was all of it: the disk may begin to work on it. */
int st_pour_end(struct st_pour *p, struct st_error *err);
/* Behind that, once its content was proved: what else the entry is to have, while it is open.  The
 * file is closed in any case; who gives one up closes it. */
int st_pour_finish(struct st_pour *p, const struct st_put *put, struct st_error *err);
/* The metadata of a directory there, when nothing is put into it any more. */
int st_put_finish_dir(const struct st_put *put, int parent, const char *name,
                      const struct st_state *s, struct st_error *err);
/* Whether what is made in that empty directory has no attributes (default ACLs, labels) and no
 * flags: then none have to be looked for in each. */
bool st_put_is_bare(int dir);
/* Owner, attributes, mode, time, and the flags but those that lock it (st_put_lock). */
int st_put_metadata(const struct st_put *put, const struct st_place *place,
                    const struct st_state *s, struct st_error *err);
int st_put_deletion(const struct st_place *place, struct st_error *err);
/* The flags ST_FLAGS_LOCK of a file or directory, when all else is done. */
int st_put_lock(const struct st_place *place, uint32_t flags, struct st_error *err);
/* Takes them away, so that it can be changed.  `*ret`: those that it had. */
int st_put_unlock(const struct st_place *place, uint32_t *ret, struct st_error *err);

#endif
