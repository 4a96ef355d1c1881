/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stage-internal.h - what stage.c and pouring.c share: the trees as they are made ready. */
#ifndef ST_RESTORE_STAGE_INTERNAL_H
#define ST_RESTORE_STAGE_INTERNAL_H

#include <pthread.h>
#include <string.h>

#include "restore/contents.h"
#include "restore/flusher.h"
#include "restore/put.h"
#include "restore/stage.h"
#include "restore/staged.h"
#include "restore/workers.h"

#define DIRS_OPEN 32 /* descriptors that a thread keeps of directories */

/* A directory that is made anew in one that is there. */
struct top {
  size_t action;
  bool made, bare, placed;
};

/* A directory that is made ready: a top, or below one. */
struct dir {
  uint32_t action, top;
  uint32_t parent; /* counted from 1; 0: it is the top */
  bool later;      /* something is put into it by itself */
  bool finished;
};

struct item {
  uint32_t dir; /* it lies in, or is; counted from 1; 0: it is not made ready */
  bool ready, proved;
  uint64_t size; /* of a content that was proved */
};

/* The looking up of contents, which goes on beside the preflight. */
struct finding {
  bool begun;
  pthread_t thread;
  int result;
  struct st_error error;
};

/* What a thread has open, and goes on with. */
struct going {
  struct st_store *store;
  struct st_hashes *hashes;
  struct st_buffer several; /* contents that were proved together */
  size_t top;               /* of top_fd */
  int top_fd;               /* -1: none */
  struct {
    uint32_t dir; /* 0: none */
    int fd;
  } open[DIRS_OPEN];
};

struct st_stage {
  struct st_stage_options o;
  struct item *items; /* one an action */
  struct top *tops;
  struct st_staged_list staged; /* one a top */
  struct dir *dirs;
  size_t ndirs;
  struct st_flusher *flusher;
  struct finding finding;
  struct st_contents contents; /* of the files; which of them is an action */
  uint32_t *others;            /* actions that make neither a directory nor a file */
  size_t nothers;
  struct going going[ST_WORKERS_MOST];
  struct st_accounts *accounts; /* as they will be */
  pthread_mutex_t telling;
  struct st_strings *refusals;
  struct st_error failed; /* why the journal could not be drafted */
  bool noted;
};

static inline struct st_action *action_of(const struct st_stage *s, size_t i)
{
  return s->o.journal->actions.items[i];
}

static inline const char *name_of(const struct st_action *a)
{
  return strrchr(a->path, '/') + 1;
}

/* After these nothing more can be written. */
static inline bool ends_everything(int code)
{
  return code == ENOSPC || code == EDQUOT || code == EROFS || code == EIO;
}

/* Says what is wrong with a path: `format` and `why` follow each other. */
void st_stage_refuse(struct st_stage *s, const char *path, const char *format, const char *why);

/* With what an action is carried out; `*problem` becomes true where something is not taken. */
struct st_put st_stage_put_of(struct st_stage *s, size_t action, bool *problem);

/* The directory that it lies in.  Negative: it is put later, by itself. */
int st_stage_parent_of(struct st_stage *s, struct going *g, size_t action);

/* 1, said: nothing more can be written; 0: it is put later, by itself. */
int st_stage_fail(struct st_stage *s, size_t action, const struct st_error *why);

#endif
