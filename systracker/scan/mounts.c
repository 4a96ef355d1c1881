/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/scan/mounts.h"

#include <string.h>

#include "systracker/base/file.h"

struct mount {
  uint64_t id;
  char device[32]; /* "8:1" */
  char *point;
  char type[32];
};

struct st_mounts {
  struct mount *mounts;
  size_t count;
};

/* What mountinfo escapes, in place: space, tab, newline and backslash, as \ooo. */
static void unescape(char *s)
{
  char *out = s;
  for (; *s; out++) {
    bool octal = s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
                 s[3] >= '0' && s[3] <= '7';
    *out = octal ? (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0')) : *s;
    s += octal ? 4 : 1;
  }
  *out = 0;
}

/* The n-th word (from 0), malloc'ed. */
static char *word(const char *line, int n)
{
  for (; n > 0; n--) {
    line += strcspn(line, " ");
    line += strspn(line, " ");
  }
  return st_memdup(line, strcspn(line, " "));
}

/* 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue */
static void add_line(struct st_mounts *m, const char *line)
{
  struct mount one = {0};
  unsigned long long id;
  const char *dash = strstr(line, " - ");
  if (!dash || sscanf(line, "%llu", &id) != 1 || sscanf(dash, " - %31s", one.type) != 1)
    return;
  one.id = id;
  ST_AUTO_FREE char *device = word(line, 2);
  snprintf(one.device, sizeof(one.device), "%s", device);
  one.point = word(line, 4);
  unescape(one.point);
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
  for (size_t i = 0; i < m->count; i++)
    free(m->mounts[i].point);
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

static const struct mount *find(const struct st_mounts *m, uint64_t mount_id)
{
  for (size_t i = 0; i < m->count; i++) {
    if (m->mounts[i].id == mount_id)
      return &m->mounts[i];
  }
  return NULL;
}

bool st_mounts_outside(const struct st_mounts *m, uint64_t mount_id, const char *root)
{
  const struct mount *one = find(m, mount_id);
  for (size_t i = 0; one && i < m->count; i++) {
    if (strcmp(m->mounts[i].device, one->device) == 0 && !st_path_below(m->mounts[i].point, root))
      return true;
  }
  return false;
}
