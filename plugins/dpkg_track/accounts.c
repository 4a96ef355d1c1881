/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/accounts.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/dpkg_track/lines.h"

static void clear(struct account_list *l)
{
  for (size_t i = 0; i < l->count; i++)
    free(l->items[i].name);
  free(l->items);
}

void accounts_clear(struct accounts *a)
{
  clear(&a->users);
  clear(&a->groups);
  *a = (struct accounts){0};
}

/* "+" and "-" stand for what NIS would add. */
static int add(struct account_list *l, const char *name, uint32_t id, struct st_error *err)
{
  if (!*name || *name == '+' || *name == '-')
    return 0;
  if (!array_room((void **)&l->items, l->count, sizeof(*l->items)))
    return st_fail(err, 0, "out of memory");
  char *copy = strdup(name);
  if (!copy)
    return st_fail(err, 0, "out of memory");
  l->items[l->count++] = (struct account){copy, id};
  return 0;
}

/* `*ret` NULL: there is none. */
static int open_list(const struct st_context *ctx, const char *path, FILE **ret,
                     struct st_error *err)
{
  struct stat st;
  *ret = NULL;
  int fd = st_open_in_root(ctx, path, err);
  if (fd < 0)
    return fd == -ENOENT ? 0 : -1;
  bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
  *ret = regular ? fdopen(fd, "r") : NULL;
  if (*ret)
    return 0;
  close(fd);
  return st_fail(err, 0, "cannot read a list of accounts (%s)", path);
}

static int read_users(struct account_list *l, const struct st_context *ctx, struct st_error *err)
{
  FILE *f;
  struct passwd *p;
  int r = open_list(ctx, "/etc/passwd", &f, err);
  while (f && r == 0 && (p = fgetpwent(f)))
    r = add(l, p->pw_name, p->pw_uid, err);
  if (f)
    fclose(f);
  return r;
}

static int read_groups(struct account_list *l, const struct st_context *ctx, struct st_error *err)
{
  FILE *f;
  struct group *g;
  int r = open_list(ctx, "/etc/group", &f, err);
  while (f && r == 0 && (g = fgetgrent(f)))
    r = add(l, g->gr_name, g->gr_gid, err);
  if (f)
    fclose(f);
  return r;
}

int accounts_read(struct accounts *ret, const struct st_context *ctx, struct st_error *err)
{
  *ret = (struct accounts){0};
  return read_users(&ret->users, ctx, err) < 0 ? -1 : read_groups(&ret->groups, ctx, err);
}

static const struct account *by_id(struct account_list *l, uint32_t id)
{
  if (l->last < l->count && l->items[l->last].id == id)
    return &l->items[l->last];
  for (size_t i = 0; i < l->count; i++) {
    if (l->items[i].id == id)
      return &l->items[l->last = i];
  }
  return NULL;
}

uint32_t account_id(struct account_list *l, const char *name, uint32_t otherwise)
{
  if (!name || !*name)
    return otherwise;
  for (size_t i = 0; i < l->count; i++) {
    if (strcmp(l->items[i].name, name) == 0)
      return l->items[i].id;
  }
  return otherwise;
}

const char *account_name(struct account_list *l, uint32_t id)
{
  const struct account *a = by_id(l, id);
  const char *s = a ? a->name : NULL;
  while (s && *s > 0)
    s++;
  return s && *s == 0 ? a->name : NULL;
}
