/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/committer.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "archive-sync/serve/committer-internal.h"
#include "systracker/base/file.h"
#include "systracker/base/log.h"

#define WAITING_MAX 256  /* jobs */
#define BATCH_MAX 128    /* jobs */
#define HOLD_SECONDS 5   /* that the lock is held without a pause, while there is work */
#define PAUSE_MS 300     /* of it: longer than others wait between two tries */
#define WAIT_MS 3000     /* for whoever else has the lock, before those who wait are sent away */
#define WAIT_MORE_MS 200 /* after that, until it is free again: workers have other things to do */
#define IDLE_MS 20       /* that the lock is held for more work to come */

/* ---- Jobs --------------------------------------------------------------------------------------
 */

static void push(struct st_committer *c, struct st_job *job)
{
  *c->tail = job;
  c->tail = &job->next;
  c->waiting++;
  pthread_cond_signal(&c->more);
}

/* Told where it was given in. */
void st_job_done(struct st_committer *c, struct st_job *job, int result)
{
  pthread_mutex_lock(&c->lock);
  job->result = result;
  job->done = true;
  pthread_cond_signal(&job->ready);
  pthread_mutex_unlock(&c->lock);
}

static int submit(struct st_committer *c, struct st_job *job)
{
  pthread_cond_init(&job->ready, NULL);
  pthread_mutex_lock(&c->lock);
  if (c->waiting >= WAITING_MAX || c->ending) {
    job->result = ST_COMMIT_BUSY;
  } else {
    push(c, job);
    while (!job->done)
      pthread_cond_wait(&job->ready, &c->lock);
  }
  pthread_mutex_unlock(&c->lock);
  pthread_cond_destroy(&job->ready);
  return job->result;
}

int st_commit_records(struct st_committer *c, struct st_commit_records *work,
                      struct st_error *words, struct st_error *err)
{
  struct st_job job = {
      .kind = ST_JOB_RECORDS, .host = work->host, .records = work, .words = words, .err = err};
  return submit(c, &job);
}

int st_commit_checkpoint(struct st_committer *c, struct st_commit_checkpoint *work,
                         struct st_error *words, struct st_error *err)
{
  struct st_job job = {.kind = ST_JOB_CHECKPOINT,
                       .host = work->host,
                       .checkpoint = work,
                       .words = words,
                       .err = err};
  return submit(c, &job);
}

int st_commit_epoch(struct st_committer *c, const char *host, int64_t epoch, struct st_error *words,
                    struct st_error *err)
{
  struct st_job job = {
      .kind = ST_JOB_EPOCH, .host = host, .epoch = epoch, .words = words, .err = err};
  return submit(c, &job);
}

int st_commit_lost(struct st_committer *c, const char *host, struct st_buffer *ret_ids,
                   struct st_error *words, struct st_error *err)
{
  struct st_job job = {
      .kind = ST_JOB_LOST, .host = host, .ids = ret_ids, .words = words, .err = err};
  return submit(c, &job);
}

/* What waits, in the order in which it came; NULL: nothing came for so long (0: until some comes,
 * or it is to end). */
static struct st_job *take_batch(struct st_committer *c, unsigned milliseconds)
{
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += (long)milliseconds * 1000000;
  until.tv_sec += until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  pthread_mutex_lock(&c->lock);
  while (!c->head && !c->ending) {
    if (milliseconds == 0)
      pthread_cond_wait(&c->more, &c->lock);
    else if (pthread_cond_timedwait(&c->more, &c->lock, &until) != 0)
      break;
  }
  struct st_job *first = c->head, **at = &c->head;
  for (unsigned n = 0; *at && n < BATCH_MAX; n++) {
    at = &(*at)->next;
    c->waiting--;
  }
  c->head = *at;
  *at = NULL;
  if (!c->head)
    c->tail = &c->head;
  if (first == c->head)
    first = NULL;
  pthread_mutex_unlock(&c->lock);
  return first;
}

/* ---- The archive's lock ------------------------------------------------------------------------
 */

static void sleep_ms(unsigned milliseconds)
{
  const struct timespec t = {.tv_sec = milliseconds / 1000,
                             .tv_nsec = (long)(milliseconds % 1000) * 1000000};
  nanosleep(&t, NULL);
}

static int64_t now_ms(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Whoever takes the lock writes his number into it, and we a word of ours behind it: so that is
 * still there where nobody took it since, this process's other threads among them. */
static bool was_ours(struct st_committer *c)
{
  char text[64] = "";
  return pread(c->lock_fd, text, sizeof(text) - 1, 0) > 0 && strcmp(text, c->mark) == 0;
}

static void write_mark(struct st_committer *c)
{
  if (ftruncate(c->lock_fd, 0) == 0 && lseek(c->lock_fd, 0, SEEK_SET) == 0)
    dprintf(c->lock_fd, "%s", c->mark);
}

static int make_mark(struct st_committer *c, struct st_error *err)
{
  uint64_t random;
  if (st_random(&random, sizeof(random), err) < 0)
    return -1;
  snprintf(c->mark, sizeof(c->mark), "%ld %016llx\n", (long)getpid(), (unsigned long long)random);
  return 0;
}

static void close_store(struct st_committer *c)
{
  if (c->a->store)
    st_store_close(st_steal(&c->a->store));
}

static int open_lock(struct st_committer *c, struct st_error *err)
{
  if (c->lock_fd < 0)
    c->lock_fd = openat(c->a->dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  return c->lock_fd < 0 ? st_fail(err, errno, "cannot open the archive's lock") : 0;
}

/* 1: somebody else has it. */
static int take_lock(struct st_committer *c, struct st_error *err)
{
  if (open_lock(c, err) < 0)
    return -1;
  int64_t until = now_ms() + (c->elsewhere ? WAIT_MORE_MS : WAIT_MS);
  while (flock(c->lock_fd, LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return st_fail(err, errno, "cannot lock the archive");
    if (now_ms() > until) {
      c->elsewhere = true;
      return 1;
    }
    sleep_ms(50);
  }
  c->elsewhere = false;
  c->locked = true;
  c->locked_since = now_ms();
  return 0;
}

/* Opened again where somebody else may have changed it, or we could not. */
static int prepare(struct st_committer *c, struct st_error *err)
{
  if (!was_ours(c)) {
    close_store(c);
    write_mark(c);
  }
  if (c->a->store)
    return 0;
  return st_archive_objects(c->a, ST_STORE_WRITE, NULL, err);
}

static void let_go(struct st_committer *c)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  if (!c->locked)
    return;
  /* The index's view of its file is given up too, or nobody else could write to it. */
  if (c->a->store && st_store_sync(c->a->store, &ignored) < 0)
    close_store(c);
  flock(c->lock_fd, LOCK_UN);
  c->locked = false;
}

/* ---- A batch -----------------------------------------------------------------------------------
 */

static void finish_all(struct st_committer *c, struct st_job *jobs, int result,
                       const struct st_error *why)
{
  for (struct st_job *job = jobs, *next; job; job = next) {
    next = job->next;
    if (result < 0) {
      st_fail(job->err, 0, "%s", st_error_text(why));
      job->err->code = why->code;
    }
    st_job_done(c, job, result);
  }
}

/* Each kind by itself, in the order that makes what is named durable first. */
static struct st_job *take_kind(struct st_job **jobs, enum st_job_kind kind)
{
  struct st_job *taken = NULL, **tail = &taken;
  for (struct st_job **at = jobs; *at;) {
    if ((*at)->kind != kind) {
      at = &(*at)->next;
      continue;
    }
    *tail = *at;
    *at = (*at)->next;
    tail = &(*tail)->next;
    *tail = NULL;
  }
  return taken;
}

static void tell(struct st_committer *c, struct st_job *jobs)
{
  for (struct st_job *job = jobs, *next; job; job = next) {
    next = job->next;
    st_job_done(c, job, job->result);
  }
}

static void run_records(struct st_committer *c, struct st_job *jobs)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (!jobs)
    return;
  if (st_job_records(c, jobs, &why) == 0) {
    tell(c, jobs);
    return;
  }
  close_store(c); /* it takes no more after a failure: the next batch opens it again */
  finish_all(c, jobs, -1, &why);
}

/* What one host sent does not keep others from theirs. */
static void run_others(struct st_committer *c, struct st_job *jobs)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_job *checkpoints = take_kind(&jobs, ST_JOB_CHECKPOINT);
  st_job_checkpoints(c, checkpoints);
  for (struct st_job *job = jobs; job; job = job->next)
    job->result = st_job_one(c, job);
  if ((jobs || checkpoints) && st_fleet_flush(c->server->fleet, &why) < 0)
    st_log(ST_LOG_WARNING, "%s", st_error_text(&why)); /* it catches up when it is opened */
  tell(c, checkpoints);
  tell(c, jobs);
}

static void run_batch(struct st_committer *c, struct st_job *jobs)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int r = c->locked ? 0 : take_lock(c, &why);
  if (r == 0)
    r = prepare(c, &why);
  if (r != 0) {
    if (r < 0)
      close_store(c);
    finish_all(c, jobs, r < 0 ? r : ST_COMMIT_BUSY, &why);
    let_go(c);
    return;
  }
  run_records(c, take_kind(&jobs, ST_JOB_RECORDS));
  if (jobs && !c->a->store && prepare(c, &why) < 0) {
    finish_all(c, jobs, -1, &why);
    return;
  }
  run_others(c, jobs);
}

/* Others come to theirs, whatever waits here. */
static void pause_now_and_then(struct st_committer *c)
{
  if (!c->locked || now_ms() - c->locked_since < HOLD_SECONDS * 1000)
    return;
  let_go(c);
  sleep_ms(PAUSE_MS);
}

static bool is_ending(struct st_committer *c)
{
  pthread_mutex_lock(&c->lock);
  bool ending = c->ending && !c->head;
  pthread_mutex_unlock(&c->lock);
  return ending;
}

static void *run(void *arg)
{
  struct st_committer *c = arg;
  while (!is_ending(c)) {
    struct st_job *jobs = take_batch(c, c->locked ? IDLE_MS : 0);
    if (jobs)
      run_batch(c, jobs);
    else
      let_go(c);
    pause_now_and_then(c);
  }
  let_go(c);
  return NULL;
}

/* ---- Begun and ended ---------------------------------------------------------------------------
 */

struct st_objects *st_committer_objects(struct st_committer *c)
{
  return c->objects;
}

struct st_hosts *st_committer_hosts(struct st_committer *c)
{
  return c->hosts;
}

static void committer_free(struct st_committer *c)
{
  st_objects_freep(&c->objects);
  st_hosts_freep(&c->hosts);
  if (c->a)
    st_archive_close(c->a);
  st_cleanup_close(&c->lock_fd);
  pthread_cond_destroy(&c->more);
  pthread_mutex_destroy(&c->lock);
  free(c);
}
ST_DEFINE_CLEANUP(struct st_committer *, committer_free)

/* That the clock is set does not make it hold the archive's lock for longer. */
static void init_more(struct st_committer *c)
{
  pthread_condattr_t how;
  pthread_condattr_init(&how);
  pthread_condattr_setclock(&how, CLOCK_MONOTONIC);
  pthread_cond_init(&c->more, &how);
  pthread_condattr_destroy(&how);
}

int st_committer_open(struct st_committer **ret, struct st_server *server, struct st_error *err)
{
  ST_CLEANUP(committer_freep) struct st_committer *c = st_calloc(1, sizeof(*c));
  c->server = server;
  c->tail = &c->head;
  c->lock_fd = -1;
  pthread_mutex_init(&c->lock, NULL);
  init_more(c);
  c->objects = st_objects_new(server->archive->dir);
  if (make_mark(c, err) < 0 || st_hosts_new(&c->hosts, server->archive->dir, err) < 0 ||
      st_archive_open(&c->a, server->archive->path, false, err) < 0)
    return -1;
  int r = pthread_create(&c->thread, NULL, run, c);
  if (r != 0)
    return st_fail(err, r, "cannot start the committer");
  pthread_setname_np(c->thread, "committer");
  *ret = st_steal(&c);
  return 0;
}

void st_committer_close(struct st_committer *c)
{
  pthread_mutex_lock(&c->lock);
  c->ending = true;
  pthread_cond_broadcast(&c->more);
  pthread_mutex_unlock(&c->lock);
  pthread_join(c->thread, NULL);
  committer_free(c);
}
