/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/scan/metadata.h"

#include <fcntl.h>
#include <string.h>

#include "systracker/base/file.h"
#include "systracker/base/flags.h"
#include "systracker/base/holes.h"

void st_metadata_clear(struct st_metadata *m)
{
  st_buffer_free(&m->xattrs);
  st_buffer_free(&m->holes);
  *m = (struct st_metadata){0};
}

/* What vanished meanwhile is no trouble: it is missing at the end of the walk. */
static void cannot(struct st_metadata *m, const char *what, int code)
{
  char text[64];
  if (code == ENOENT || code == ELOOP || m->why[0])
    return;
  const char *why =
      code == E2BIG ? "they are larger than 4 MiB" : strerror_r(code, text, sizeof(text));
  snprintf(m->why, sizeof(m->why), "its %s cannot be read: %s", what, why);
}

static void read_xattrs(struct st_metadata *m, int dirfd, const char *name,
                        const struct st_xattr_options *options)
{
  int e = st_xattrs_read(dirfd, name, options, &m->xattrs);
  m->has_xattrs = e == 0;
  if (e < 0)
    cannot(m, "extended attributes", -e);
}

static void read_flags(struct st_metadata *m, int fd)
{
  int e = st_flags_get(fd, &m->flags);
  m->has_flags = e == 0;
  if (e < 0)
    cannot(m, "flags", -e);
}

static void read_holes(struct st_metadata *m, int fd, const struct st_meta *meta)
{
  int e = 0;
  if (st_meta_is_sparse(meta))
    e = st_holes_read(fd, meta->size, &m->holes);
  m->has_holes = e == 0;
  if (e < 0)
    cannot(m, "holes", -e);
}

static int open_entry(int dirfd, const char *name, char type)
{
  const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  if (type == 'd')
    return openat(dirfd, *name ? name : ".", flags | O_DIRECTORY);
  ST_AUTO_CLOSE int fd = openat(dirfd, name, flags | O_NOATIME);
  if (fd < 0 && errno == EPERM)
    fd = openat(dirfd, name, flags);
  struct st_meta now;
  if (fd < 0 || st_meta_read(fd, "", &now) < 0 || now.type != type)
    return -1;
  return st_steal_fd(&fd);
}

/* A file or directory that cannot be opened keeps its flags to itself: that is not worth a word, as
 * whatever needs it open says so. */
static void read_opened(struct st_metadata *m, int fd, const struct st_meta *meta)
{
  read_flags(m, fd);
  if (meta->type == 'f')
    read_holes(m, fd, meta);
}

void st_metadata_read(struct st_metadata *m, int fd, int dirfd, const char *name,
                      const struct st_meta *meta, const struct st_xattr_options *options)
{
  ST_AUTO_CLOSE int opened = -1;
  st_metadata_clear(m);
  m->read = true;
  if (fd < 0 && (meta->type == 'f' || meta->type == 'd'))
    fd = opened = open_entry(dirfd, name, meta->type);
  /* By the descriptor where there is one, which spares a path in /proc. */
  if (fd >= 0)
    read_xattrs(m, fd, "", options);
  else
    read_xattrs(m, dirfd, name, options);
  if (fd >= 0)
    read_opened(m, fd, meta);
}

bool st_metadata_is_plain(const struct st_metadata *m, char type)
{
  bool flags = type == 'l' || (m->has_flags && m->flags == 0);
  bool holes = type != 'f' || (m->has_holes && m->holes.length == 0);
  bool known = type == 'f' || type == 'd' || type == 'l';
  return known && flags && holes && m->has_xattrs && m->xattrs.length == 0 && !m->why[0];
}

void st_metadata_set_plain(struct st_metadata *m, char type)
{
  st_metadata_clear(m);
  m->read = m->has_xattrs = true;
  m->has_flags = type != 'l';
  m->has_holes = type == 'f';
}

void st_metadata_fill(const struct st_metadata *m, struct st_entry *entry)
{
  if (m->has_xattrs) {
    entry->xattrs = m->xattrs.data ? m->xattrs.data : "";
    entry->xattrs_length = m->xattrs.length;
  }
  if (m->has_holes) {
    entry->holes = m->holes.data ? m->holes.data : "";
    entry->holes_length = m->holes.length;
  }
  entry->has_flags = m->has_flags;
  entry->flags = m->flags;
}
