/* SPDX-License-Identifier: GPL-2.0-or-later */
/* metrics.h - counters of the server, atomic, as /metrics prints them (Prometheus text format
 * 0.0.4). */
#ifndef ARCHIVE_SYNC_SERVE_METRICS_H
#define ARCHIVE_SYNC_SERVE_METRICS_H

#include "systracker/base/buffer.h"

enum st_metric {
  ST_METRIC_REQUESTS,
  ST_METRIC_REFUSED, /* 4xx */
  ST_METRIC_FAILED,  /* 5xx */
  ST_METRIC_BYTES_IN,
  ST_METRIC_BYTES_OUT,
  ST_METRIC_POLLS,       /* syncs with nothing new */
  ST_METRIC_CHECKPOINTS, /* accepted */
  ST_METRIC_OBJECTS,
  ST_METRIC_PACKAGES,
  ST_METRIC_ENROLLED,
  ST_METRIC_BUSY,        /* put off with 429 or 503 */
  ST_METRIC_CONNECTIONS, /* open now */
  ST_METRIC_RUNNING,     /* requests, now */
  ST_METRICS
};
struct st_metrics;
struct st_metrics *st_metrics_new(void);
void st_metrics_free(struct st_metrics *m);
void st_metrics_add(struct st_metrics *m, enum st_metric which, int64_t n);
int64_t st_metrics_get(const struct st_metrics *m, enum st_metric which);

/* One request took so long. */
void st_metrics_took(struct st_metrics *m, int64_t microseconds);
/* Appends all of it as text: counters, the histogram of durations. */
void st_metrics_print(const struct st_metrics *m, struct st_buffer *out);
/* Appends one value of another kind; `type`: "gauge" or "counter". */
void st_metrics_value(struct st_buffer *out, const char *name, const char *type, const char *help,
                      int64_t value);

#endif
