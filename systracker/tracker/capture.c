/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/capture.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "systracker/base/escape.h"
#include "systracker/base/log.h"
#include "systracker/tracker/host.h"

/* Any plug-in's options will do: none is loaded here. */
static const struct st_option *no_schema(void *arg, const char *plugin)
{
  (void)arg;
  (void)plugin;
  return NULL;
}

/* -1 without an error: there is no store, so nothing is to be kept. */
static int open_store(const char *path, struct st_error *err)
{
  struct stat st;
  ST_AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 && errno != ENOENT)
    st_fail(err, errno, "cannot open the store (%s)", st_quote(path));
  if (fd < 0 || fstatat(fd, "key", &st, AT_SYMLINK_NOFOLLOW) < 0)
    return -1;
  return st_steal_fd(&fd);
}

void st_capture_close(struct st_capture *c)
{
  if (!c)
    return;
  st_packages_close(c->packages);
  if (c->store >= 0)
    close(c->store);
  st_conf_free(c->conf);
  free(c);
}

int st_capture_open(struct st_capture **ret, const char *program, const char *config,
                    const char *store, struct st_error *err)
{
  ST_CLEANUP(st_capture_closep) struct st_capture *c = st_calloc(1, sizeof(*c));
  ST_AUTO_FREE char *file = config ? st_strdup(config) : st_host_config_file();
  c->store = -1;
  if (st_conf_read(&c->conf, file, no_schema, NULL, err) < 0 ||
      st_log_open(program, c->conf->log, ST_LOG_INFO, err) < 0)
    return -1;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  c->store = open_store(store ? store : c->conf->store, &why);
  if (c->store < 0 && why.message)
    return st_fail(err, 0, "%s", why.message);
  if (c->store >= 0 && st_packages_open(&c->packages, c->store, err) < 0)
    return -1;
  *ret = st_steal(&c);
  return 0;
}

int st_capture_keep(struct st_capture *c, int fd, const struct st_package *is, struct st_error *err)
{
  return st_packages_keep(c->packages, fd, is, c->conf->min_free, err);
}
