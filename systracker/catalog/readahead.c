/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * readahead.c - manifests that a scan will ask for are read by a thread before it does.
 *
 * The scan names them in the order in which it will ask, takes what the thread has read, and reads
 * those itself that the thread has not begun; the thread begins with the largest, as nobody should
 * have to wait for that at the end.  What the thread cannot read is read again when it is asked
 * for, and said then.
 */
#include "systracker/catalog/internal.h"

#include "systracker/base/process.h"
#include "systracker/base/thread.h"

/* Bytes of manifests that were read and nobody has asked for: no other one is begun then. */
#define MOST_AHEAD ((size_t)32 << 20)

enum job_state { JOB_WAITING, JOB_TAKEN, JOB_DONE };

struct st_read_job {
  struct st_read_job *next; /* of all, in the order in which they will be asked for */
  struct st_id id;
  size_t paths; /* how many it speaks of, about */
  enum job_state state;
  struct st_declared *declared; /* NULL: it could not be read */
};

struct st_readahead {
  struct st_catalog *c;
  pthread_mutex_t mutex;
  pthread_cond_t more, done;
  struct st_read_job *jobs, **end_of_jobs; /* where the next one is hung on */
  unsigned waiting;
  size_t bytes; /* of what was read and nobody has asked for */
  bool started, end;
  pthread_t thread;
};

static struct st_declared *read_manifest(struct st_catalog *c, const struct st_id *id)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  ST_AUTO_BUFFER data = ST_BUFFER_INIT;
  struct st_declared *d;

  if (c->objects.get(c->objects.arg, id, &data, &ignored) < 0 ||
      st_declared_read(c, &data, true, &d, &ignored) < 0)
    return NULL;
  return d;
}

/* One that may be read now, the first or the largest; NULL: none. */
static struct st_read_job *next_job(const struct st_readahead *r, bool largest)
{
  struct st_read_job *found = NULL;

  if (r->bytes >= r->c->reads_ahead)
    return NULL;
  for (struct st_read_job *job = r->jobs; job && (largest || !found); job = job->next)
    if (job->state == JOB_WAITING && (!found || job->paths > found->paths))
      found = job;
  return found;
}

/* The mutex is held, but while it is read. */
static void do_job(struct st_readahead *r, struct st_read_job *job)
{
  job->state = JOB_TAKEN;
  r->waiting--;
  pthread_mutex_unlock(&r->mutex);
  struct st_declared *d = read_manifest(r->c, &job->id);
  pthread_mutex_lock(&r->mutex);
  job->declared = d;
  job->state = JOB_DONE;
  r->bytes += d ? d->bytes.length : 0;
  pthread_cond_signal(&r->done);
}

static void *work(void *arg)
{
  struct st_readahead *r = arg;
  struct st_read_job *job;

  pthread_mutex_lock(&r->mutex);
  while (!r->end) {
    if ((job = next_job(r, true)))
      do_job(r, job);
    else
      pthread_cond_wait(&r->more, &r->mutex);
  }
  pthread_mutex_unlock(&r->mutex);
  return NULL;
}

static struct st_readahead *begin(struct st_catalog *c)
{
  struct st_readahead *r = st_calloc(1, sizeof(*r));

  r->c = c;
  r->end_of_jobs = &r->jobs;
  pthread_mutex_init(&r->mutex, NULL);
  pthread_cond_init(&r->more, NULL);
  pthread_cond_init(&r->done, NULL);
  return r;
}

void st_readahead_add(struct st_catalog *c, struct st_known *k)
{
  struct st_readahead *r = c->readahead ? c->readahead : (c->readahead = begin(c));
  struct st_read_job *job = k->job = st_calloc(1, sizeof(*job));

  job->id = k->id;
  job->paths = k->count;
  pthread_mutex_lock(&r->mutex);
  *r->end_of_jobs = job;
  r->end_of_jobs = &job->next;
  r->waiting++;
  /* One alone is read as fast by who asks for it. */
  if (!r->started && r->waiting > 1)
    r->started = st_thread_start(&r->thread, work, r);
  pthread_cond_signal(&r->more);
  pthread_mutex_unlock(&r->mutex);
}

static void remove_job(struct st_readahead *r, struct st_read_job *job)
{
  struct st_read_job **at = &r->jobs;

  while (*at != job)
    at = &(*at)->next;
  *at = job->next;
  if (r->end_of_jobs == &job->next)
    r->end_of_jobs = at;
  r->waiting -= job->state == JOB_WAITING;
  free(job);
}

struct st_declared *st_readahead_take(struct st_catalog *c, struct st_known *k)
{
  struct st_readahead *r = c->readahead;
  struct st_read_job *job = st_steal(&k->job), *other;

  if (!job)
    return NULL;
  pthread_mutex_lock(&r->mutex);
  while (job->state == JOB_TAKEN) {
    if ((other = next_job(r, false))) /* it will be asked for, too */
      do_job(r, other);
    else
      pthread_cond_wait(&r->done, &r->mutex);
  }
  struct st_declared *d = job->declared;
  r->bytes -= d ? d->bytes.length : 0;
  remove_job(r, job);
  pthread_cond_signal(&r->more);
  pthread_mutex_unlock(&r->mutex);
  return d;
}

void st_readahead_stop(struct st_catalog *c)
{
  struct st_readahead *r = st_steal(&c->readahead);

  if (!r)
    return;
  pthread_mutex_lock(&r->mutex);
  r->end = true;
  pthread_cond_signal(&r->more);
  pthread_mutex_unlock(&r->mutex);
  if (r->started)
    pthread_join(r->thread, NULL);
  for (size_t i = 0; i < c->manifests.count; i++)
    c->manifests.items[i].job = NULL;
  while (r->jobs) {
    st_declared_free(r->jobs->declared);
    remove_job(r, r->jobs);
  }
  pthread_mutex_destroy(&r->mutex);
  pthread_cond_destroy(&r->more);
  pthread_cond_destroy(&r->done);
  free(r);
}

void st_catalog_read_ahead(struct st_catalog *c)
{
  c->reads_ahead = st_processors(2) > 1 ? MOST_AHEAD : 0;
}

void st_catalog_soon(struct st_catalog *c, const char *path)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  struct st_value value = st_path_value(path);
  struct st_known *k = NULL;

  if (c->reads_ahead && c->scanning && st_first_owner(c, &value, &k, &ignored) > 0 &&
      !k->declared && !k->job)
    st_readahead_add(c, k);
}
