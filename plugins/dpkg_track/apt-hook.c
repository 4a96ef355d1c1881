/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * systracker-apt-hook - keeps each .deb that apt is about to install.
 *
 * apt runs it (DPkg::Pre-Install-Pkgs, protocol version 3) before dpkg, when each file is there for
 * certain; a moment later it may be gone.  Whatever goes wrong here is logged and no reason for apt
 * to stop: the status is 0, always.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/conf.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/log.h"
#include "systracker/store/packages.h"
#include "systracker/tracker/host.h"

#define INPUT_MAX ((size_t)64 << 20)
#define FIELDS 9

enum field { NAME, OLD_VERSION, OLD_ARCH, OLD_MULTI, SIGN, VERSION, ARCHITECTURE, MULTI, PATH };

/* Any plug-in's options will do: none is loaded here. */
static const struct st_option *no_schema(void *arg, const char *plugin)
{
  (void)arg;
  (void)plugin;
  return NULL;
}

/* Splits "name oldversion oldarch oldmulti < version arch multi path" in place.  None of the first
 * eight can hold a space, so what is left is the path, whatever it holds. */
static bool split(char *line, char *fields[FIELDS])
{
  for (int i = 0; i < FIELDS - 1; i++) {
    fields[i] = strsep(&line, " ");
    if (!line || !*fields[i])
      return false;
  }
  fields[PATH] = line;
  return strlen(fields[SIGN]) == 1 && strchr("<>=", *fields[SIGN]);
}

/* Its file, if the package is to be installed from one: a path; "**REMOVE**" and its like are none.
 */
static int keep_line(struct st_packages *packages, char *line, uint64_t least_free,
                     struct st_error *err)
{
  char *f[FIELDS];
  struct stat st;
  if (!split(line, f))
    return st_fail(err, 0, "a line of apt's that is not understood");
  if (*f[PATH] != '/')
    return 0;
  ST_AUTO_CLOSE int fd = open(f[PATH], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 || fstat(fd, &st) < 0)
    return st_fail(err, errno, "cannot open (%s)", st_quote(f[PATH]));
  /* apt has compared the file with what it says of it. */
  const struct st_package is = {.name = f[NAME],
                                .version = f[VERSION],
                                .architecture = f[ARCHITECTURE],
                                .kind = (char *)"deb"};
  if (st_packages_keep(packages, fd, &is, least_free, err) < 0)
    return st_wrap(err, "%s", st_quote(f[PATH]));
  return 0;
}

/* The lines behind the version and the configuration, which ends with an empty one. */
static int keep_all(struct st_packages *packages, char *text, uint64_t least_free,
                    struct st_error *err)
{
  char *rest = text;
  const char *version = strsep(&rest, "\n");
  if (!rest || strcmp(version, "VERSION 3") != 0)
    return st_fail(err, 0,
                   "apt does not speak version 3 of its protocol: no package file is kept "
                   "(DPkg::Tools::Options)");
  for (char *line = strsep(&rest, "\n"); line && *line;)
    line = strsep(&rest, "\n");
  for (char *line; (line = strsep(&rest, "\n"));) {
    ST_AUTO_ERROR mine = ST_ERROR_INIT;
    if (*line && keep_line(packages, line, least_free, &mine) < 0)
      st_log(ST_LOG_WARNING, "a package file is not kept: %s", st_error_text(&mine));
  }
  return 0;
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

static int run(struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  ST_CLEANUP(st_conf_freep) struct st_conf *conf = NULL;
  ST_CLEANUP(st_packages_closep) struct st_packages *packages = NULL;
  int r = st_read_all(STDIN_FILENO, INPUT_MAX, &text, err);
  if (r < 0)
    return st_wrap(err, "what apt says");
  st_buffer_append(&text, "", 1); /* terminated, also where it is empty */
  ST_AUTO_FREE char *file = st_host_config_file();
  if (st_conf_read(&conf, file, no_schema, NULL, err) < 0 ||
      st_log_open("systracker-apt-hook", conf->log, ST_LOG_INFO, err) < 0)
    return -1;
  ST_AUTO_CLOSE int store = open_store(conf->store, err);
  if (store < 0)
    return err->message ? -1 : 0;
  if (st_packages_open(&packages, store, err) < 0)
    return -1;
  return keep_all(packages, text.data, conf->min_free, err);
}

int main(void)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  umask(077);
  st_digest_init();
  if (run(&err) < 0)
    st_log(ST_LOG_WARNING, "package files are not kept: %s", st_error_text(&err));
  st_log_close();
  return 0;
}
