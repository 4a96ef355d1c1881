/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rebuildrpm.c - an .rpm from rpm's database and the installed files, by systracker-rpm. */
#include <fcntl.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/process.h"
#include "systracker/tracker/rebuild.h"

#define SECONDS 3600
#define OUTPUT_MAX 65536

int st_rebuild_rpm(struct st_tracker *t, const struct st_installed *package, struct st_rebuilt *ret,
                   struct st_error *err)
{
  ST_AUTO_FREE char *folder = st_host_libexec_dir();
  ST_AUTO_FREE char *path = st_format("%s/systracker-rpm", folder);
  ST_AUTO_FREE char *text = NULL;
  char *argv[] = {(char *)"systracker-rpm", (char *)"repack",      package->name,
                  package->version,         package->architecture, NULL};
  size_t length;
  ST_AUTO_CLOSE int out = openat(t->store_dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (out < 0)
    return st_fail(err, errno, "cannot make a file in the store");
  int r = st_run_to(path, argv, t->root, out, OUTPUT_MAX, SECONDS, &text, &length, err);
  if (r < 0)
    return -1;
  if (r > 0) {
    text[strcspn(text, "\n")] = 0;
    return st_fail(err, 0, "%s", r == 3 || !*text ? "rpm's database does not have it" : text);
  }
  ret->missing = strtoul(text, NULL, 10);
  ret->fd = st_steal_fd(&out);
  return 0;
}
