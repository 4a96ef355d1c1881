/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/chain.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "restore/journal.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/process.h"

#define ST_FETCH_SECONDS (24 * 3600)
#define ST_FETCH_OUTPUT 65536

/* ---- From an archive: systracker-fetch, as `systracker fetch` runs it --------------------------
 */

static void add_option(struct st_strings *argv, const char *name, const char *value)
{
  if (!value)
    return;
  st_strings_add(argv, name);
  st_strings_add(argv, value);
}

static int parse_host(const char *line, char **ret, struct st_error *err)
{
  json_t *o = json_loads(line, 0, NULL);
  const char *host = json_string_value(json_object_get(o, "host"));
  const char *error = json_string_value(json_object_get(o, "error"));
  if (host)
    *ret = st_strdup(host);
  else
    st_refuse(err, "%s", error ? error : "fetch did not say which host it brought");
  json_decref(o);
  return host ? 0 : -1;
}

/* What is behind the "#" of a server's URL goes to the program by a descriptor: in its arguments
 * everybody would see it.  -1: there is nothing of it. */
static int hand_over(const struct st_request *r, struct st_error *err)
{
  const char *join = r->join ? r->join : getenv("SYSTRACKER_JOIN");
  if (!join || r->join_file)
    return -1;
  ST_AUTO_CLOSE int fd = memfd_create("join", MFD_CLOEXEC);
  if (fd < 0)
    return st_fail(err, errno, "cannot hand the join string over");
  if (st_write_all(fd, join, strlen(join), err) < 0)
    return -1;
  return st_steal_fd(&fd);
}

static void add_arguments(const struct st_request *r, int join, struct st_strings *argv)
{
  const struct st_tracker_options *o = &r->cli->tracker;
  add_option(argv, "--config", o->config);
  add_option(argv, "--root", o->root);
  add_option(argv, "--store", o->store);
  add_option(argv, "--host", r->host);
  add_option(argv, "--join-file", join >= 0 ? "/proc/self/fd/3" : r->join_file);
  st_strings_add(argv, "--json");
  st_strings_add(argv, "--");
  st_strings_add(argv, r->from);
}

static int fetch(const struct st_request *r, char **ret, struct st_error *err)
{
  ST_AUTO_FREE char *folder = st_host_libexec_dir();
  ST_AUTO_STRINGS argv = {0};
  ST_AUTO_FREE char *out = NULL;
  size_t length;
  ST_AUTO_CLOSE int join = hand_over(r, err);
  if (join < 0 && err->message)
    return -1;
  st_strings_take(&argv, st_format("%s/systracker-fetch", folder));
  add_arguments(r, join, &argv);
  int status = join < 0 ? st_run(argv.items, ST_FETCH_OUTPUT, ST_FETCH_SECONDS, &out, &length, err)
                        : st_run_with(argv.items[0], argv.items, join, ST_FETCH_OUTPUT,
                                      ST_FETCH_SECONDS, &out, &length, err);
  if (status < 0)
    return st_wrap(err, "cannot fetch from %s", st_quote(r->from));
  if (length == 0)
    return st_refuse(err, "nothing could be fetched: `systracker fetch %s` says why",
                     st_quote(r->from));
  return parse_host(out, ret, err);
}

/* ---- Fetched before
 * -------------------------------------------------------------------------------- */

/* The one host of the store whose id begins so. */
static int find_host(int store, const char *text, char **ret, struct st_error *err)
{
  int fd = st_open_beneath(store, "hosts", O_RDONLY | O_DIRECTORY, 0);
  ST_AUTO_CLOSEDIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
  ST_AUTO_FREE char *found = NULL;
  size_t n = strcspn(text, "/");
  for (struct dirent *e; d && (e = readdir(d));) {
    if (!st_journal_is_chain(e->d_name) || n == 0 || strncmp(e->d_name, text, n) != 0)
      continue;
    if (found)
      return st_refuse(err, "more than one host's id begins so (%s)", st_quote(text));
    found = st_format("%s%s", e->d_name, text + n);
    if (!st_journal_is_chain(found))
      return st_refuse(err, "ID or ID/epoch-N names a chain (%s)", st_quote(text));
  }
  if (!found)
    return st_refuse(err, "no chain of such a host is here: `systracker fetch` brings it (%s)",
                     st_quote(text));
  *ret = st_steal(&found);
  return 0;
}

int st_chain_choose(const struct st_request *r, char **ret, struct st_error *err)
{
  ST_CLEANUP(st_tracker_closep) struct st_tracker *t = NULL;
  ST_AUTO_FREE char *host = NULL;
  if (!r->from && !r->host)
    return 0;
  if (r->from && fetch(r, &host, err) < 0)
    return -1;
  if (st_tracker_open_store(&t, &r->cli->tracker, err) < 0)
    return -1;
  if (!host && find_host(t->store_dir, r->host, &host, err) < 0)
    return -1;
  if (strcmp(host, t->keys.host_id) != 0)
    *ret = st_steal(&host);
  return 0;
}
