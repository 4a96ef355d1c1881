/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/deb.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/escape.h"
#include "systracker/base/process.h"

#define SECONDS 60
#define CONTROL_MAX 4096

void st_deb_clear(struct st_package *p)
{
  free(p->name);
  free(p->version);
  free(p->architecture);
  free(p->kind);
  *p = (struct st_package){0};
}

/* The next line, of printable ASCII without spaces, malloc'ed; NULL where it is anything else. */
static char *take_line(char **rest)
{
  char *line = strsep(rest, "\n");
  bool good = line && *line && *rest;
  for (const char *s = line; good && *s; s++)
    good = *s > ' ' && *s < 127;
  return good ? st_strdup(line) : NULL;
}

int st_deb_read(struct st_package *ret, int fd, const char *name, struct st_error *err)
{
  /* By our own descriptor, so that what is read is what will be kept. */
  ST_AUTO_FREE char *path = st_format("/proc/%ld/fd/%d", (long)getpid(), fd);
  ST_AUTO_FREE char *text = NULL;
  size_t length;
  char *argv[] = {(char *)"dpkg-deb", (char *)"--show",
                  (char *)"--showformat=${Package}\\n${Version}\\n${Architecture}\\n", path, NULL};
  *ret = (struct st_package){0};
  int r = st_run(argv, CONTROL_MAX, SECONDS, &text, &length, err);
  if (r < 0)
    return st_wrap(err, "cannot read the package file (%s)", st_quote(name));
  if (r > 0)
    return st_fail(err, 0, "not a package file, or damaged (%s)", st_quote(name));
  char *rest = text;
  ret->name = take_line(&rest);
  ret->version = ret->name ? take_line(&rest) : NULL;
  ret->architecture = ret->version ? take_line(&rest) : NULL;
  ret->kind = st_strdup("deb");
  if (ret->architecture && rest == text + length)
    return 0;
  st_deb_clear(ret);
  return st_fail(err, 0, "the package file does not say what it is (%s)", st_quote(name));
}

int st_deb_open(int dirfd, const char *path, struct st_error *err)
{
  struct stat st;
  ST_AUTO_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 || fstat(fd, &st) < 0)
    return st_fail(err, errno, "cannot open the package file (%s)", st_quote(path));
  if (!S_ISREG(st.st_mode))
    return st_fail(err, 0, "the package file is not a regular file (%s)", st_quote(path));
  return st_steal_fd(&fd);
}
