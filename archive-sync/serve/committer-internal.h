/* SPDX-License-Identifier: GPL-2.0-or-later */
/* committer-internal.h - one piece of the committer's work (commit.c), and what it works on. */
#ifndef ARCHIVE_SYNC_SERVE_COMMITTER_INTERNAL_H
#define ARCHIVE_SYNC_SERVE_COMMITTER_INTERNAL_H

#include <pthread.h>

#include "archive-sync/serve/committer.h"
#include "archive-sync/serve/hosts.h"
#include "archive-sync/serve/objects.h"

enum st_job_kind { ST_JOB_RECORDS, ST_JOB_CHECKPOINT, ST_JOB_EPOCH, ST_JOB_LOST };

/* On the stack of the worker that waits for it. */
struct st_job {
  enum st_job_kind kind;
  const char *host;
  struct st_commit_records *records;
  struct st_commit_checkpoint *checkpoint;
  int64_t epoch;
  struct st_buffer *ids;
  struct st_error *words, *err;
  int result; /* enum st_commit, or negative */
  bool done;
  pthread_cond_t ready;
  struct st_job *next;
};

struct st_committer {
  struct st_server *server;
  struct st_archive *a; /* with the writer's store; the thread's alone */
  struct st_objects *objects;
  struct st_hosts *hosts;
  int lock_fd;
  char mark[48];  /* what we write into the lock's file */
  bool elsewhere; /* somebody else had it for longer than we wait */
  bool locked;
  int64_t locked_since; /* ms, monotonic */
  pthread_t thread;
  pthread_mutex_t lock; /* of what follows */
  pthread_cond_t more;
  struct st_job *head, **tail;
  unsigned waiting;
  bool ending;
};

/* After this the job is gone. */
void st_job_done(struct st_committer *c, struct st_job *job, int result);

/* ---- commit.c, the archive locked and its store open to be written ------------------------------
 */

/* All records of these jobs, durable with the hosts' lists: sets err and result of each; or none
 * of them is acknowledged. */
int st_job_records(struct st_committer *c, struct st_job *jobs, struct st_error *err);
/* All checkpoints of these jobs, each of another host; sets words, err and result of each. */
void st_job_checkpoints(struct st_committer *c, struct st_job *jobs);
/* One of another kind; sets words or err of the job. */
int st_job_one(struct st_committer *c, struct st_job *job);

#endif
