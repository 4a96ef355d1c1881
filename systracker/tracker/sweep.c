/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/log.h"
#include "systracker/base/set.h"
#include "systracker/tracker/packagefile.h"

#define DEPTH_MAX 4 /* /var/cache/dnf/REPOSITORY-.../packages/FILE */
#define MEMO_MAX ((size_t)8 << 20)
#define HEX (2 * ST_DIGEST_SIZE)

struct sweep {
  struct st_tracker *t;
  const struct st_installed_list *list;
  struct st_set *names;         /* a file's name -> its package's place in the list, and 1 */
  struct st_set *refused;       /* identities of files that were read and are none of them */
  struct st_buffer memo;        /* the same of what is there now, a line each */
  struct st_packages *packages; /* opened when the first is kept */
  int kept;
};

static void sweep_clear(struct sweep *s)
{
  st_set_free(s->names);
  st_set_free(s->refused);
  st_buffer_free(&s->memo);
  if (s->packages)
    st_packages_close(s->packages);
}

/* ---- What is wanted ----------------------------------------------------------------------------
 */

/* What apt calls its file: a colon stands as %3a. */
static char *deb_name(const struct st_installed *p)
{
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  st_buffer_printf(&b, "%s_", p->name);
  for (const char *s = p->version; *s; s++)
    if (*s == ':')
      st_buffer_append_string(&b, "%3a");
    else
      st_buffer_append_byte(&b, (uint8_t)*s);
  st_buffer_printf(&b, "_%s.deb", p->architecture);
  return st_buffer_steal(&b, NULL);
}

/* What every repository of rpms calls it: without the epoch. */
static char *rpm_name(const struct st_installed *p)
{
  const char *colon = strchr(p->version, ':');
  return st_format("%s-%s.%s.rpm", p->name, colon ? colon + 1 : p->version, p->architecture);
}

static size_t add_names(struct sweep *s)
{
  size_t count = 0;
  for (size_t i = 0; i < s->list->count; i++) {
    const struct st_installed *p = &s->list->items[i];
    if (p->kept)
      continue;
    ST_AUTO_FREE char *name = p->rpm ? rpm_name(p) : deb_name(p);
    st_set_add(s->names, name, strlen(name), i + 1);
    count++;
  }
  return count;
}

/* ---- What was seen ----------------------------------------------------------------------------
 */

static const char *memo_name(const struct sweep *s)
{
  return s->list->items[0].rpm ? "swept.rpm" : "swept.deb";
}

/* Lines of a digest each; anything else is passed over. */
static void read_memo(struct sweep *s)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  if (st_read_file(s->t->store_dir, memo_name(s), MEMO_MAX, &text, NULL) < 0)
    return;
  for (size_t at = 0; at + HEX + 1 <= text.length; at += HEX + 1)
    st_set_add(s->refused, text.data + at, HEX, 0);
}

static int write_memo(const struct sweep *s, struct st_error *err)
{
  ST_AUTO_BUFFER before = ST_BUFFER_INIT;
  st_read_file(s->t->store_dir, memo_name(s), MEMO_MAX, &before, NULL);
  if (before.length == s->memo.length &&
      (before.length == 0 || memcmp(before.data, s->memo.data, before.length) == 0))
    return 0;
  return st_write_file(s->t->store_dir, memo_name(s), 0600, s->memo.data, s->memo.length, err);
}

/* What the file is known by, as long as nobody touches it. */
static void identity(char hex[HEX + 1], const char *path, const struct stat *st)
{
  struct st_id id;
  ST_AUTO_FREE char *words =
      st_format("%s %" PRIu64 " %" PRIu64 " %lld.%09ld %lld.%09ld", path, (uint64_t)st->st_ino,
                (uint64_t)st->st_size, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
                (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
  st_id_of(&id, NULL, words, strlen(words));
  st_hex(hex, id.digest, sizeof(id.digest));
}

static void remember(struct sweep *s, const char hex[HEX + 1])
{
  st_buffer_append(&s->memo, hex, HEX);
  st_buffer_append_byte(&s->memo, '\n');
}

/* ---- Keeping -----------------------------------------------------------------------------------
 */

static int check(const struct st_installed *wanted, const struct st_packagefile *p,
                 struct st_error *err)
{
  if (!st_installed_is(wanted, &p->is))
    return st_fail(err, 0, "it is %s %s %s", st_quote(p->is.name), st_quote(p->is.version),
                   st_quote(p->is.architecture));
  if (wanted->header && *wanted->header && p->header && strcmp(wanted->header, p->header) != 0)
    return st_fail(err, 0, "it is another build than is installed");
  return 0;
}

/* 1: it is not what it is called. */
static int keep(struct sweep *s, int fd, const char *path, const struct st_installed *wanted,
                struct st_error *err)
{
  ST_AUTO_PACKAGEFILE p = {0};
  if (st_packagefile_read(&p, fd, path, true, err) < 0 || check(wanted, &p, err) < 0)
    return 1;
  if (!s->packages && st_packages_open(&s->packages, s->t->store_dir, err) < 0)
    return -1;
  int r = st_packages_keep(s->packages, fd, &p.is, s->t->conf->min_free, err);
  s->kept += r == 0;
  return r < 0 ? r : 0;
}

static bool is_regular(const struct stat *st)
{
  return S_ISREG(st->st_mode);
}

/* What is opened is what was looked at, or nothing is done. */
static void consider(struct sweep *s, int dir, const char *name, const char *path, uint64_t index)
{
  char hex[HEX + 1], again[HEX + 1];
  struct stat st;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !is_regular(&st))
    return;
  identity(hex, path, &st);
  if (st_set_get(s->refused, hex, HEX, NULL)) {
    remember(s, hex);
    return;
  }
  ST_AUTO_CLOSE int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) < 0 || !is_regular(&st))
    return;
  identity(again, path, &st);
  int r = strcmp(hex, again) == 0 ? keep(s, fd, path, &s->list->items[index], &why) : 0;
  if (r == 1)
    remember(s, hex);
  if (r != 0)
    st_log(ST_LOG_INFO, "a package file of a cache is not kept: %s (%s)", st_error_text(&why),
           st_quote(path));
}

/* ---- The caches --------------------------------------------------------------------------------
 */

static bool is_below(const char *name)
{
  return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, "partial") != 0;
}

/* Takes the descriptor. */
static void look_through(struct sweep *s, int fd, const char *folder, int depth)
{
  ST_AUTO_CLOSEDIR DIR *d = fdopendir(fd);
  if (!d) {
    close(fd);
    return;
  }
  for (struct dirent *e; (e = readdir(d));) {
    ST_AUTO_FREE char *path = st_format("%s/%s", folder, e->d_name);
    uint64_t index;
    if (st_set_get(s->names, e->d_name, strlen(e->d_name), &index)) {
      consider(s, fd, e->d_name, path, index - 1);
    } else if ((e->d_type == DT_DIR || e->d_type == DT_UNKNOWN) && depth < DEPTH_MAX &&
               is_below(e->d_name)) {
      int below = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (below >= 0)
        look_through(s, below, path, depth + 1);
    }
  }
}

int st_sweep_caches(struct st_tracker *t, const struct st_installed_list *list,
                    struct st_error *err)
{
  ST_CLEANUP(sweep_clear)
  struct sweep s = {.t = t, .list = list, .names = st_set_new(), .refused = st_set_new()};
  if (list->count == 0 || add_names(&s) == 0)
    return 0;
  read_memo(&s);
  for (size_t i = 0; i < t->conf->caches.count; i++) {
    int fd = st_open_in(t->root, t->conf->caches.items[i], O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0)
      look_through(&s, fd, t->conf->caches.items[i], 1);
  }
  if (s.kept > 0)
    st_tracker_forget_packages(t);
  if (s.kept > 0)
    st_log(ST_LOG_INFO, "%d package files of installed packages were kept from caches", s.kept);
  if (write_memo(&s, err) < 0)
    return st_wrap(err, "what caches have");
  return s.kept;
}
