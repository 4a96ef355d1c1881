/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/packagefile.h"

#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/process.h"
#include "systracker/tracker/host.h"

#define SECONDS 600 /* a package may have gigabytes, on a slow disk */
#define FIELDS 4    /* name, version, architecture, digest of the header */
#define OUTPUT_MAX 65536

void st_packagefile_clear(struct st_packagefile *p)
{
  st_deb_clear(&p->is);
  free(p->header);
  p->header = NULL;
}

static int split(struct st_packagefile *ret, char *text, size_t length)
{
  const char *fields[FIELDS];
  size_t at = 0;
  for (size_t i = 0; i < FIELDS; i++) {
    if (at >= length)
      return -1;
    fields[i] = text + at;
    at += strlen(fields[i]) + 1;
  }
  for (size_t i = 0; i < FIELDS - 1; i++)
    if (!*fields[i])
      return -1;
  ret->is = (struct st_package){
      .name = st_strdup(fields[0]),
      .version = st_strdup(fields[1]),
      .architecture = st_strdup(fields[2]),
      .kind = st_strdup("rpm"),
  };
  ret->header = *fields[3] ? st_strdup(fields[3]) : NULL;
  return 0;
}

static int read_rpm(struct st_packagefile *ret, int fd, const char *name, bool prove,
                    struct st_error *err)
{
  ST_AUTO_FREE char *folder = st_host_libexec_dir();
  ST_AUTO_FREE char *path = st_format("%s/systracker-rpm", folder);
  ST_AUTO_FREE char *text = NULL;
  char *argv[] = {(char *)"systracker-rpm", (char *)"identify", prove ? (char *)"prove" : NULL,
                  NULL};
  size_t length;
  int r = st_run_with(path, argv, fd, OUTPUT_MAX, SECONDS, &text, &length, err);
  if (r < 0)
    return st_wrap(err, "cannot read the package file (%s)", st_quote(name));
  if (r > 0 || split(ret, text, length) < 0) {
    text[strcspn(text, "\n")] = 0;
    return st_fail(err, 0, "%s (%s)", *text ? text : "not a package file", st_quote(name));
  }
  return 0;
}

int st_packagefile_read(struct st_packagefile *ret, int fd, const char *name, bool prove,
                        struct st_error *err)
{
  char magic[4] = "";
  *ret = (struct st_packagefile){0};
  if (pread(fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) &&
      memcmp(magic, "\xed\xab\xee\xdb", sizeof(magic)) == 0)
    return read_rpm(ret, fd, name, prove, err);
  return st_deb_read(&ret->is, fd, name, err);
}
