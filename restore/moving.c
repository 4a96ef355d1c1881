/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/moving.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "restore/flusher.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/meta.h"

/* The name that an O_PATH descriptor has for the calls that refuse one; it leads to that inode. */
#define PROC_PATH_SIZE 32
static void proc_path(char out[PROC_PATH_SIZE], int fd)
{
  snprintf(out, PROC_PATH_SIZE, "/proc/self/fd/%d", fd);
}

/* ---- Flags ----------------------------------------------------------------------------------- */

static int set_flags(int fd, const struct st_move *m, bool on, struct st_error *err)
{
  char path[PROC_PATH_SIZE];
  int flags, mine = (m->immutable ? FS_IMMUTABLE_FL : 0) | (m->append ? FS_APPEND_FL : 0);
  if (mine == 0 || (m->type != 'f' && m->type != 'd'))
    return 0;
  proc_path(path, fd);
  ST_AUTO_CLOSE int real = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (real < 0 || ioctl(real, FS_IOC_GETFLAGS, &flags) < 0)
    return st_fail(err, errno, "cannot read its flags");
  int wanted = on ? flags | mine : flags & ~mine;
  if (wanted != flags && ioctl(real, FS_IOC_SETFLAGS, &wanted) < 0)
    return st_fail(err, errno, "cannot set its flags");
  return 0;
}

/* ---- What chown drops, and ACLs -------------------------------------------------------------- */

static int set_mode(int fd, const struct st_move *m, struct st_error *err)
{
  char path[PROC_PATH_SIZE];
  struct st_meta now;
  int r = st_meta_read(fd, "", &now);
  if (r < 0)
    return st_fail(err, -r, "cannot look at it");
  /* Another mode is somebody else's doing. */
  if (m->type == 'l' || now.mode == m->mode ||
      (now.mode | ST_MOVE_LOST) != (m->mode | ST_MOVE_LOST))
    return 0;
  proc_path(path, fd);
  return chmod(path, m->mode) < 0 ? st_fail(err, errno, "cannot set the mode") : 0;
}

static int set_attribute(int fd, enum st_move_attribute which, const struct st_move_value *v,
                         struct st_error *err)
{
  char path[PROC_PATH_SIZE];
  const char *name = st_move_attribute_name(which);
  ST_AUTO_FREE uint8_t *now = st_malloc(v->length + 1);
  if (!v->before)
    return 0;
  proc_path(path, fd);
  ssize_t n = getxattr(path, name, now, v->length + 1);
  bool as_before = n == (ssize_t)v->length && memcmp(now, v->before, v->length) == 0;
  bool as_after = n == (ssize_t)v->length && memcmp(now, v->after, v->length) == 0;
  bool dropped = n < 0 && errno == ENODATA && which == ST_MOVE_CAPABILITY;
  if (as_after || (!as_before && !dropped))
    return 0;
  if (setxattr(path, name, v->after, v->length, 0) < 0)
    return st_fail(err, errno, "cannot set %s", name);
  return 0;
}

/* ---- One inode ------------------------------------------------------------------------------- */

/* 0 with a descriptor of -1: it is gone, or there is something else by now. */
static int open_one(int root, const struct st_move *m, int *ret, struct st_error *err)
{
  const char *name;
  struct st_meta now;
  *ret = -1;
  ST_AUTO_CLOSE int parent = st_open_parent(root, m->path, &name);
  if (parent == -ENOENT || parent == -ENOTDIR || parent == -ELOOP)
    return 0;
  if (parent < 0)
    return st_fail(err, -parent, "cannot open its directory");
  ST_AUTO_CLOSE int fd = *name ? openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC)
                               : fcntl(parent, F_DUPFD_CLOEXEC, 0);
  if (fd < 0)
    return errno == ENOENT ? 0 : st_fail(err, errno, "cannot open it");
  int r = st_meta_read(fd, "", &now);
  if (r < 0)
    return st_fail(err, -r, "cannot look at it");
  bool before = now.uid == m->uid_before && now.gid == m->gid_before;
  if (now.type != m->type || (!before && (now.uid != m->uid || now.gid != m->gid)))
    return st_fail(err, 0, "it was changed meanwhile: left alone");
  *ret = st_steal_fd(&fd);
  return 0;
}

static int set_owner(int fd, const struct st_move *m, struct st_error *err)
{
  struct st_meta now;
  int r = st_meta_read(fd, "", &now);
  if (r < 0)
    return st_fail(err, -r, "cannot look at it");
  if (now.uid == m->uid && now.gid == m->gid)
    return 0;
  if (fchownat(fd, "", m->uid, m->gid, AT_EMPTY_PATH) < 0)
    return st_fail(err, errno, "cannot set the owner to %u:%u", m->uid, m->gid);
  return 0;
}

static int move_open(int fd, const struct st_move *m, struct st_error *err)
{
  if (set_flags(fd, m, false, err) < 0 || set_owner(fd, m, err) < 0 || set_mode(fd, m, err) < 0)
    return -1;
  for (enum st_move_attribute i = 0; i < ST_MOVE_NATTRIBUTES; i++) {
    if (set_attribute(fd, i, &m->values[i], err) < 0)
      return -1;
  }
  return set_flags(fd, m, true, err);
}

/* ---- All of them ----------------------------------------------------------------------------- */

struct mounts {
  struct {
    uint64_t id;
    int fd; /* a directory on it */
  } * items;
  size_t count;
};

static void note_mount(struct mounts *mounts, int root, const struct st_move *m, int fd)
{
  struct st_meta meta;
  if (st_meta_read(fd, "", &meta) < 0)
    return;
  for (size_t i = 0; i < mounts->count; i++) {
    if (mounts->items[i].id == meta.mount_id)
      return;
  }
  const char *slash = strrchr(m->path, '/');
  ST_AUTO_FREE char *parent =
      m->type == 'd' ? st_strdup(m->path) : st_memdup(m->path, (size_t)(slash - m->path));
  int folder = st_open_beneath(root, parent, O_RDONLY | O_DIRECTORY, 0);
  if (folder < 0)
    return;
  mounts->items = st_realloc(mounts->items, mounts->count + 1, sizeof(*mounts->items));
  mounts->items[mounts->count].id = meta.mount_id;
  mounts->items[mounts->count++].fd = folder;
}

static void sync_mounts(struct mounts *mounts, struct st_strings *problems)
{
  for (size_t i = 0; i < mounts->count; i++) {
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    if (st_flush(mounts->items[i].fd, &why) < 0)
      st_strings_take(problems, st_format("owners: %s", st_error_text(&why)));
    close(mounts->items[i].fd);
  }
  free(mounts->items);
}

/* After these nothing more can be written. */
static bool ends_everything(int code)
{
  return code == ENOSPC || code == EDQUOT || code == EROFS || code == EIO;
}

static int move_all(int root, const struct st_moves *m, bool (*is_interrupted)(void),
                    struct mounts *mounts, struct st_strings *problems)
{
  for (size_t i = 0; i < m->count; i++) {
    const struct st_move *item = &m->items[i];
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    ST_AUTO_CLOSE int fd = -1;
    if (is_interrupted())
      return 1;
    bool whole = st_move_stays(item) && !item->immutable && !item->append;
    int r = whole ? 0 : open_one(root, item, &fd, &why);
    if (fd >= 0) {
      note_mount(mounts, root, item, fd);
      r = move_open(fd, item, &why);
    }
    if (r < 0) {
      st_strings_take(problems, st_format("%s: %s", st_quote(item->path), st_error_text(&why)));
      if (ends_everything(why.code))
        return 1;
    }
  }
  return 0;
}

int st_moving_apply(int root, const struct st_moves *m, bool (*is_interrupted)(void),
                    struct st_strings *problems)
{
  struct mounts mounts = {0};
  int r = move_all(root, m, is_interrupted, &mounts, problems);
  sync_mounts(&mounts, problems);
  return r;
}
