/* SPDX-License-Identifier: GPL-2.0-or-later */
/* operation.c - what tells how the server is: health, metrics, what archive it is. */
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "archive-sync/serve/request.h"
#include "archive-sync/serve/server.h"
#include "archive-sync/wire.h"
#include "systracker/base/file.h"

#define SPACE_LEAST ((uint64_t)256 << 20) /* bytes free, under which nothing is taken */

/* ---- Health -------------------------------------------------------------------------------------
 */

static int get_health(struct st_request *r, struct st_error *err)
{
  (void)err;
  uint64_t space = 0;
  if (st_free_space(r->server->incoming, &space, NULL) < 0)
    return st_reply_refuse(r, 503, "the archive cannot be reached");
  if (space < SPACE_LEAST)
    return st_reply_refuse(r, 503, "the archive has no space left");
  json_t *o = json_object();
  json_object_set_new(o, "status", json_string("ok"));
  return st_reply_json(r, o);
}

/* ---- The archive --------------------------------------------------------------------------------
 */

/* Recovery keys may change while it is served. */
static int get_archive(struct st_request *r, struct st_error *err)
{
  const struct st_archive *a = r->server->archive;
  ST_AUTO_STRINGS names = {0};
  if (st_archive_recipients(a, &names, err) < 0)
    return -1;
  json_t *o = json_object(), *recipients = json_array();
  for (size_t i = 0; i < names.count; i++)
    json_array_append_new(recipients, json_string(names.items[i]));
  json_object_set_new(o, "protocol", json_integer(ST_WIRE_PROTOCOL));
  json_object_set_new(o, "id", json_string(a->id));
  json_object_set_new(o, "audience", json_true()); /* it reads Systracker-Server */
  json_object_set_new(o, "recipients", recipients);
  json_object_set_new(o, "enrolment",
                      json_string(st_enrolment_name(st_access_enrolment(r->server->access))));
  return st_reply_json(r, o);
}

/* ---- Metrics ------------------------------------------------------------------------------------
 */

/* The machine itself, and who may look at the fleet. */
static bool may_measure(const struct st_request *r)
{
  const char *peer = st_request_peer(r);
  return r->who.role >= ST_ROLE_VIEWER || strncmp(peer, "127.", 4) == 0 || strcmp(peer, "::1") == 0;
}

static int64_t resident(void)
{
  ST_AUTO_FCLOSE FILE *f = fopen("/proc/self/statm", "re");
  long long all, in_memory;
  return f && fscanf(f, "%lld %lld", &all, &in_memory) == 2 ? in_memory * sysconf(_SC_PAGESIZE) : 0;
}

static void print_process(const struct st_server *s, struct st_buffer *out)
{
  struct rusage used = {0};
  uint64_t space = 0;
  getrusage(RUSAGE_SELF, &used);
  st_free_space(s->incoming, &space, NULL);
  st_metrics_value(out, "free_bytes", "gauge", "Free space of the archive.", (int64_t)space);
  st_metrics_value(out, "resident_bytes", "gauge", "Memory of the server.", resident());
  st_metrics_value(out, "resident_max_bytes", "gauge", "The most memory it has had.",
                   (int64_t)used.ru_maxrss * 1024);
  st_metrics_value(out, "cpu_milliseconds_total", "counter", "Time of processors.",
                   (int64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
                       (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000);
  st_metrics_value(out, "start_time_seconds", "gauge", "When it was started, since 1970.",
                   s->started);
}

static int count_hosts(struct st_fleet *f, bool silent, int64_t *ret, struct st_error *err)
{
  const struct st_fleet_query query = {.silent_only = silent, .offset = SIZE_MAX};
  size_t total = 0;
  if (st_fleet_hosts(f, &query, NULL, NULL, &total, err) < 0)
    return -1;
  *ret = (int64_t)total;
  return 0;
}

static int print_fleet(struct st_fleet *f, struct st_buffer *out, struct st_error *err)
{
  int64_t hosts = 0, silent = 0;
  if (count_hosts(f, false, &hosts, err) < 0 || count_hosts(f, true, &silent, err) < 0)
    return -1;
  st_metrics_value(out, "hosts", "gauge", "Hosts that have sent checkpoints.", hosts);
  st_metrics_value(out, "silent_hosts", "gauge", "Hosts that have sent none for too long.", silent);
  return 0;
}

/* Bytes on the disk of the files in a folder. */
static int64_t size_of(int dir, const char *name)
{
  struct stat st;
  int64_t bytes = 0;
  int fd = st_open_beneath(dir, name, O_RDONLY | O_DIRECTORY, 0);
  ST_AUTO_CLOSEDIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
  for (struct dirent *e; d && (e = readdir(d));)
    if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
      bytes += (int64_t)st.st_blocks * 512;
  return bytes;
}

static void print_sizes(const struct st_archive *a, struct st_buffer *out)
{
  st_metrics_value(out, "packs_bytes", "gauge", "Size of all objects.", size_of(a->dir, "packs"));
  st_metrics_value(out, "package_files_bytes", "gauge", "Size of all package files.",
                   size_of(a->dir, "packages"));
}

static int get_metrics(struct st_request *r, struct st_error *err)
{
  if (!may_measure(r))
    return st_reply_refuse(r, 401, "metrics are for this machine, and for viewers' tokens");
  r->reply.type = "text/plain; version=0.0.4; charset=utf-8";
  st_metrics_print(r->server->metrics, &r->reply.body);
  print_process(r->server, &r->reply.body);
  print_sizes(r->server->archive, &r->reply.body);
  return print_fleet(r->server->fleet, &r->reply.body, err);
}

const struct st_route st_operation_routes[] = {
    {"GET", "/health", ST_ROLE_NONE, 0, ST_BODY_NONE, 0, get_health},
    {"GET", "/metrics", ST_ROLE_NONE, ST_ROUTE_WORK, ST_BODY_NONE, 0, get_metrics},
    {"GET", "/v1/archive", ST_ROLE_NONE, 0, ST_BODY_NONE, 0, get_archive},
    {0},
};
