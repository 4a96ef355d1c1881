/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "tests/bench/fleet/crew.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct work {
  const struct fleet_crew *crew;
  atomic_uint_fast64_t next;
  atomic_bool failed;
  float *took; /* milliseconds of each task */
  pthread_mutex_t lock;
  struct fleet_count count;
  struct st_error *err; /* of the first that failed */
};

/* ---- Clocks ------------------------------------------------------------------------------------
 */

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double own_cpu(void)
{
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* proc_stat(5): user, nice, system, irq, softirq, in ticks. */
static double machine_cpu(void)
{
  uint64_t t[7] = {0};
  ST_AUTO_FCLOSE FILE *f = fopen("/proc/stat", "re");
  if (!f ||
      fscanf(f,
             "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
             &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6]) != 7)
    return 0;
  return (double)(t[0] + t[1] + t[2] + t[5] + t[6]) / (double)sysconf(_SC_CLK_TCK);
}

/* utime and stime, behind the name in parentheses and eleven more fields. */
static double server_cpu(long pid)
{
  ST_AUTO_FREE char *path = st_format("/proc/%ld/stat", pid);
  uint64_t user = 0, kernel = 0;
  ST_AUTO_FCLOSE FILE *f = pid ? fopen(path, "re") : NULL;
  if (!f ||
      fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
             &user, &kernel) != 2)
    return 0;
  return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static double server_peak(long pid)
{
  ST_AUTO_FREE char *path = st_format("/proc/%ld/status", pid);
  ST_AUTO_FCLOSE FILE *f = pid ? fopen(path, "re") : NULL;
  char line[256];
  while (f && fgets(line, sizeof(line), f))
    if (strncmp(line, "VmHWM:", 6) == 0)
      return strtod(line + 6, NULL) / 1024;
  return 0;
}

/* ---- Work --------------------------------------------------------------------------------------
 */

static void add_count(struct fleet_count *to, const struct fleet_count *c)
{
  to->requests += c->requests;
  to->signatures += c->signatures;
  to->checkpoints += c->checkpoints;
  to->objects += c->objects;
  to->most_sent = c->most_sent > to->most_sent ? c->most_sent : to->most_sent;
  to->most_received = c->most_received > to->most_received ? c->most_received : to->most_received;
}

static void *run_hand(void *arg)
{
  struct work *w = arg;
  struct fleet_hand hand = {.arg = w->crew->arg, .link.fd = -1};
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  uint64_t n;
  while (!atomic_load(&w->failed) && (n = atomic_fetch_add(&w->next, 1)) < w->crew->tasks) {
    double start = now();
    if (w->crew->task(&hand, n, &err) < 0 && !atomic_exchange(&w->failed, true)) {
      *w->err = err;
      err = ST_ERROR_INIT;
    }
    w->took[n] = (float)((now() - start) * 1e3);
  }
  fleet_link_close(&hand.link);
  pthread_mutex_lock(&w->lock);
  add_count(&w->count, &hand.count);
  pthread_mutex_unlock(&w->lock);
  return NULL;
}

static int by_size(const void *a, const void *b)
{
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static void sum_up(const struct work *w, struct fleet_result *ret)
{
  uint64_t n = w->crew->tasks;
  if (n == 0)
    return;
  qsort(w->took, n, sizeof(*w->took), by_size);
  ret->median_ms = (double)w->took[n / 2];
  ret->p99_ms = (double)w->took[n - 1 - n / 100];
  ret->most_ms = (double)w->took[n - 1];
}

int fleet_crew_run(const struct fleet_crew *crew, struct fleet_result *ret, struct st_error *err)
{
  struct work w = {.crew = crew, .lock = PTHREAD_MUTEX_INITIALIZER, .err = err};
  ST_AUTO_FREE pthread_t *threads = st_calloc(crew->threads, sizeof(*threads));
  ST_AUTO_FREE float *took = w.took = st_calloc(crew->tasks, sizeof(*took));
  unsigned started = 0;
  *ret = (struct fleet_result){.wall_s = -now(),
                               .cpu_s = -own_cpu(),
                               .server_cpu_s = -server_cpu(crew->pid),
                               .others = -machine_cpu()};
  while (started < crew->threads && pthread_create(&threads[started], NULL, run_hand, &w) == 0)
    started++;
  for (unsigned i = 0; i < started; i++)
    pthread_join(threads[i], NULL);
  ret->wall_s += now();
  ret->server_cpu_s += server_cpu(crew->pid);
  ret->cpu_s += own_cpu() + ret->server_cpu_s;
  ret->others = (ret->others + machine_cpu() - ret->cpu_s) / ret->wall_s;
  ret->peak_mb = server_peak(crew->pid);
  ret->count = w.count;
  sum_up(&w, ret);
  if (started == 0)
    return st_fail(err, 0, "no thread could be started");
  return atomic_load(&w.failed) ? -1 : 0;
}
