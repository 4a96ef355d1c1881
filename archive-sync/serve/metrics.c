/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>

static const struct {
  const char *name, *type, *help;
} words[ST_METRICS] = {
    [ST_METRIC_REQUESTS] = {"requests_total", "counter", "Requests answered."},
    [ST_METRIC_REFUSED] = {"requests_refused_total", "counter", "Requests answered with 4xx."},
    [ST_METRIC_FAILED] = {"requests_failed_total", "counter", "Requests answered with 5xx."},
    [ST_METRIC_BYTES_IN] = {"received_bytes_total", "counter", "Bytes of requests' bodies."},
    [ST_METRIC_BYTES_OUT] = {"sent_bytes_total", "counter", "Bytes of answers' bodies."},
    [ST_METRIC_POLLS] = {"polls_total", "counter", "Syncs of hosts with nothing new."},
    [ST_METRIC_CHECKPOINTS] = {"checkpoints_total", "counter", "Checkpoints accepted."},
    [ST_METRIC_OBJECTS] = {"objects_total", "counter", "Objects accepted."},
    [ST_METRIC_PACKAGES] = {"packages_total", "counter", "Package files accepted."},
    [ST_METRIC_ENROLLED] = {"enrolled_total", "counter", "Hosts enrolled."},
    [ST_METRIC_BUSY] = {"requests_put_off_total", "counter", "Requests put off: 429 or 503."},
    [ST_METRIC_CONNECTIONS] = {"connections", "gauge", "Connections that are open."},
    [ST_METRIC_RUNNING] = {"requests_running", "gauge", "Requests that are not answered yet."},
};

/* Upper bounds in microseconds; the last bucket has none. */
static const int64_t bounds[] = {500,    1000,   2500,   5000,    10000,   25000,   50000,
                                 100000, 250000, 500000, 1000000, 2500000, 10000000};
#define BUCKETS (ST_COUNT(bounds) + 1)

struct st_metrics {
  _Atomic int64_t values[ST_METRICS];
  _Atomic int64_t buckets[BUCKETS];
  _Atomic int64_t microseconds;
};

struct st_metrics *st_metrics_new(void)
{
  return st_calloc(1, sizeof(struct st_metrics));
}

void st_metrics_free(struct st_metrics *m)
{
  free(m);
}

void st_metrics_add(struct st_metrics *m, enum st_metric which, int64_t n)
{
  atomic_fetch_add_explicit(&m->values[which], n, memory_order_relaxed);
}

int64_t st_metrics_get(const struct st_metrics *m, enum st_metric which)
{
  return atomic_load_explicit(&m->values[which], memory_order_relaxed);
}

void st_metrics_took(struct st_metrics *m, int64_t microseconds)
{
  size_t i = 0;
  while (i < ST_COUNT(bounds) && microseconds > bounds[i])
    i++;
  atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&m->microseconds, microseconds, memory_order_relaxed);
}

void st_metrics_value(struct st_buffer *out, const char *name, const char *type, const char *help,
                      int64_t value)
{
  st_buffer_printf(out,
                   "# HELP systracker_%s %s\n# TYPE systracker_%s %s\nsystracker_%s %" PRId64 "\n",
                   name, help, name, type, name, value);
}

static void print_durations(const struct st_metrics *m, struct st_buffer *out)
{
  int64_t count = 0;
  st_buffer_append_string(out, "# HELP systracker_request_seconds How long requests took.\n"
                               "# TYPE systracker_request_seconds histogram\n");
  for (size_t i = 0; i < BUCKETS; i++) {
    count += atomic_load(&m->buckets[i]);
    if (i < ST_COUNT(bounds))
      st_buffer_printf(out, "systracker_request_seconds_bucket{le=\"%g\"} %" PRId64 "\n",
                       (double)bounds[i] / 1e6, count);
  }
  st_buffer_printf(out,
                   "systracker_request_seconds_bucket{le=\"+Inf\"} %" PRId64 "\n"
                   "systracker_request_seconds_sum %.6f\n"
                   "systracker_request_seconds_count %" PRId64 "\n",
                   count, (double)atomic_load(&m->microseconds) / 1e6, count);
}

void st_metrics_print(const struct st_metrics *m, struct st_buffer *out)
{
  for (size_t i = 0; i < ST_METRICS; i++)
    st_metrics_value(out, words[i].name, words[i].type, words[i].help,
                     st_metrics_get(m, (enum st_metric)i));
  print_durations(m, out);
}
