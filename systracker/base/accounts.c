/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/accounts.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/buffer.h"
#include "systracker/base/file.h"

struct account {
  char *name;
  uint32_t id;
};

struct list {
  struct account *items;
  size_t count, size;
  struct st_set *by_name, *by_id; /* both: the place in items */
};

struct st_accounts {
  struct list users, groups;
};

static void add(struct list *l, const char *name, uint32_t id)
{
  /* "+" and "-" stand for what NIS would add. */
  if (!*name || *name == '+' || *name == '-')
    return;
  if (l->count == l->size) {
    l->size = l->size ? l->size * 2 : 64;
    l->items = st_realloc(l->items, l->size, sizeof *l->items);
  }
  if (!st_set_get(l->by_name, name, strlen(name), NULL))
    st_set_add(l->by_name, name, strlen(name), l->count);
  if (!st_set_get(l->by_id, &id, sizeof id, NULL))
    st_set_add(l->by_id, &id, sizeof id, l->count);
  l->items[l->count++] = (struct account){st_strdup(name), id};
}

static void list_free(struct list *l)
{
  for (size_t i = 0; i < l->count; i++)
    free(l->items[i].name);
  free(l->items);
  st_set_free(l->by_name);
  st_set_free(l->by_id);
}

static int open_text(const struct st_buffer *text, FILE **ret, struct st_error *err)
{
  *ret = NULL;
  if (text->length == 0)
    return 0;
  *ret = fmemopen(text->data, text->length, "r");
  return *ret ? 0 : st_fail(err, errno, "cannot read accounts");
}

/* `*ret` NULL: there is none.  `text`: in the place of the file, or NULL. */
static int open_list(int root, const char *path, const struct st_buffer *text, FILE **ret,
                     struct st_error *err)
{
  struct stat st;
  if (text)
    return open_text(text, ret, err);
  *ret = NULL;
  ST_AUTO_CLOSE int fd = st_open_in(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
  if (fd == -ENOENT)
    return 0;
  if (fd < 0)
    return st_fail(err, -fd, "cannot open (/%s)", path);
  if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
    return st_fail(err, 0, "cannot read: not a regular file (/%s)", path);
  *ret = fdopen(fd, "r");
  if (!*ret)
    return st_fail(err, errno, "cannot open (/%s)", path);
  st_steal_fd(&fd);
  return 0;
}

static int read_users(struct list *l, int root, const struct st_buffer *text, struct st_error *err)
{
  ST_AUTO_FCLOSE FILE *f = NULL;
  if (open_list(root, "etc/passwd", text, &f, err) < 0)
    return -1;
  struct passwd *p;
  while (f && (p = fgetpwent(f)))
    add(l, p->pw_name, p->pw_uid);
  if (f && ferror(f))
    return st_fail(err, errno, "cannot read (/etc/passwd)");
  return 0;
}

static int read_groups(struct list *l, int root, const struct st_buffer *text, struct st_error *err)
{
  ST_AUTO_FCLOSE FILE *f = NULL;
  if (open_list(root, "etc/group", text, &f, err) < 0)
    return -1;
  struct group *g;
  while (f && (g = fgetgrent(f)))
    add(l, g->gr_name, g->gr_gid);
  if (f && ferror(f))
    return st_fail(err, errno, "cannot read (/etc/group)");
  return 0;
}

static struct list list_new(void)
{
  return (struct list){.by_name = st_set_new(), .by_id = st_set_new()};
}

int st_accounts_read(struct st_accounts **ret, int root, struct st_error *err)
{
  return st_accounts_read_with(ret, root, NULL, NULL, err);
}

int st_accounts_read_with(struct st_accounts **ret, int root, const struct st_buffer *passwd,
                          const struct st_buffer *group, struct st_error *err)
{
  ST_CLEANUP(st_accounts_freep) struct st_accounts *a = st_calloc(1, sizeof *a);
  a->users = list_new();
  a->groups = list_new();
  if (read_users(&a->users, root, passwd, err) < 0 || read_groups(&a->groups, root, group, err) < 0)
    return -1;
  *ret = st_steal(&a);
  return 0;
}

void st_accounts_free(struct st_accounts *a)
{
  if (!a)
    return;
  list_free(&a->users);
  list_free(&a->groups);
  free(a);
}

/* Most of what there is belongs to the account that is listed first. */
static const char *name_of(const struct list *l, uint32_t id)
{
  uint64_t at;
  if (l->count == 0 || l->items[0].id == id)
    return l->count ? l->items[0].name : NULL;
  return st_set_get(l->by_id, &id, sizeof id, &at) ? l->items[at].name : NULL;
}

static bool id_of(const struct list *l, const char *name, uint32_t *ret)
{
  uint64_t at;
  if (!st_set_get(l->by_name, name, strlen(name), &at))
    return false;
  *ret = l->items[at].id;
  return true;
}

const char *st_account_user(const struct st_accounts *a, uint32_t uid)
{
  return name_of(&a->users, uid);
}

const char *st_account_group(const struct st_accounts *a, uint32_t gid)
{
  return name_of(&a->groups, gid);
}

bool st_account_uid(const struct st_accounts *a, const char *name, uint32_t *ret)
{
  return id_of(&a->users, name, ret);
}

bool st_account_gid(const struct st_accounts *a, const char *name, uint32_t *ret)
{
  return id_of(&a->groups, name, ret);
}

/* Only what a lookup by name finds: a second entry of a name does not count. */
static int each(const struct list *l, bool group,
                int (*fn)(void *arg, bool group, const char *name, uint32_t id), void *arg)
{
  for (size_t i = 0; i < l->count; i++) {
    const struct account *item = &l->items[i];
    uint64_t at;
    if (!st_set_get(l->by_name, item->name, strlen(item->name), &at) || at != i)
      continue;
    int r = fn(arg, group, item->name, item->id);
    if (r)
      return r;
  }
  return 0;
}

int st_accounts_each(const struct st_accounts *a,
                     int (*fn)(void *arg, bool group, const char *name, uint32_t id), void *arg)
{
  int r = each(&a->users, false, fn, arg);
  return r ? r : each(&a->groups, true, fn, arg);
}
