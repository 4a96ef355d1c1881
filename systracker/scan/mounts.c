/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/scan/mounts.h"

#include <string.h>

struct mount {
  uint64_t id;
  char type[32];
};

struct st_mounts {
  struct mount *mounts;
  size_t count;
};

/* 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue */
static void add_line(struct st_mounts *m, const char *line)
{
  struct mount one = {0};
  unsigned long long id;
  const char *dash = strstr(line, " - ");
  if (!dash || sscanf(line, "%llu", &id) != 1 || sscanf(dash, " - %31s", one.type) != 1)
    return;
  one.id = id;
  m->mounts = st_realloc(m->mounts, m->count + 1, sizeof(*m->mounts));
  m->mounts[m->count++] = one;
}

struct st_mounts *st_mounts_read(void)
{
  struct st_mounts *m = st_calloc(1, sizeof(*m));
  ST_AUTO_FCLOSE FILE *f = fopen("/proc/self/mountinfo", "re");
  ST_AUTO_FREE char *line = NULL;
  size_t size = 0;
  while (f && getline(&line, &size, f) > 0)
    add_line(m, line);
  return m;
}

void st_mounts_free(struct st_mounts *m)
{
  free(m->mounts);
  free(m);
}

const char *st_mounts_type(const struct st_mounts *m, uint64_t mount_id)
{
  for (size_t i = 0; i < m->count; i++) {
    if (m->mounts[i].id == mount_id)
      return m->mounts[i].type;
  }
  return "unknown";
}
