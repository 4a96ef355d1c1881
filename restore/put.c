/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/put.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/flags.h"
#include "systracker/base/xattr.h"
#include "systracker/scan/metadata.h"

/* ---- What the file system does not take -------------------------------------------------------
 */

static void tell(const struct st_put *put, const char *what, int code)
{
  char text[64];
  ST_AUTO_FREE char *words = st_format("%s: %s", what, strerror_r(code, text, sizeof(text)));
  put->problem(put->arg, words);
}

static void tell_attribute(void *arg, const char *name, int code)
{
  ST_AUTO_FREE char *escaped = st_escaped(name, strlen(name));
  ST_AUTO_FREE char *words = st_format("cannot set or remove its attribute %s", escaped);
  tell(arg, words, code);
}

/* ---- Metadata -------------------------------------------------------------------------------- */

/* Owners by name where the name exists here by now, by number otherwise. */
static struct st_meta meta_of(const struct st_put *put, const struct st_state *s)
{
  struct st_meta m = {
      .type = s->type,
      .mode = s->mode,
      .uid = s->uid,
      .gid = s->gid,
      .mtime = s->mtime,
      .mtime_nsec = s->mtime_nsec,
      .rdev = s->rdev,
  };
  uint32_t id;
  if (s->owner && st_account_uid(put->accounts, s->owner, &id))
    m.uid = id;
  if (s->group && st_account_gid(put->accounts, s->group, &id))
    m.gid = id;
  return m;
}

static bool find_uid(void *arg, const char *name, uint32_t *ret)
{
  return st_account_uid(arg, name, ret);
}

static bool find_gid(void *arg, const char *name, uint32_t *ret)
{
  return st_account_gid(arg, name, ret);
}

/* Whether something was changed; `from`: the entry that this one replaces, -1: none. */
static bool set_xattrs(const struct st_put *put, int fd, int from, const struct st_state *s)
{
  const struct st_xattr_names names = {(void *)put->accounts, find_uid, find_gid, NULL};
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  st_xattrs_resolve(s->xattrs ? s->xattrs : "", s->xattrs_length, &names, &list);
  return st_xattrs_apply(fd, from, list.data ? list.data : "", list.length,
                         !(s->known & ST_KNOWN_NO_POLICY), tell_attribute, (void *)put);
}

/* What is new, and open for writing, has the attributes that it is to have already: none. */
static bool has_attributes(const struct st_put *put, const struct st_state *s)
{
  return (s->known & ST_KNOWN_XATTRS) && !(put->bare && s->xattrs_length == 0);
}

/* Owner first, as chown drops setuid and capabilities; then attributes; then once more, as an ACL
 * has changed the mode.  Who is not root may set attributes only of what may be written. */
static int set_metadata(const struct st_put *put, int fd, int from, const struct st_state *s,
                        struct st_error *err)
{
  struct st_meta meta = meta_of(put, s), first = meta;
  bool keep_time = !(s->known & ST_KNOWN_TIME), attributes = has_attributes(put, s);
  bool twice = attributes && geteuid() != 0 && s->type != 'l';
  if (twice)
    first.mode |= S_IRUSR | S_IWUSR;
  if (st_meta_apply(fd, "", &first, keep_time, err) < 0)
    return -1;
  twice |= attributes && set_xattrs(put, fd, from, s);
  return twice ? st_meta_apply(fd, "", &meta, keep_time, err) : 0;
}

/* The same where `fd` is open for reading or writing.  `*ret`: as it is behind all that, if it is
 * to be noted. */
static int set_metadata_open(const struct st_put *put, int fd, int from, const struct st_state *s,
                             struct st_meta *ret, struct st_error *err)
{
  const struct st_meta meta = meta_of(put, s);
  if (!has_attributes(put, s))
    return st_meta_apply_open(fd, &meta, !(s->known & ST_KNOWN_TIME), ret, err);
  if (set_metadata(put, fd, from, s, err) < 0)
    return -1;
  int e = put->written ? st_meta_read(fd, "", ret) : 0;
  return e < 0 ? st_fail(err, -e, "cannot look at what was made") : 0;
}

/* `opened`: `fd` is not O_PATH. */
static void set_flags(const struct st_put *put, int fd, bool opened, const struct st_state *s)
{
  uint32_t flags = s->flags & ~(uint32_t)ST_FLAGS_LOCK;
  if (!(s->known & ST_KNOWN_FLAGS) || (s->type != 'f' && s->type != 'd') ||
      (put->bare && flags == 0))
    return;
  int e = opened ? st_flags_set(fd, flags) : st_flags_set_at(fd, "", flags);
  if (e < 0)
    tell(put, "cannot set its flags", -e);
}

/* ---- Contents -------------------------------------------------------------------------------- */

static bool is_zero(const char *data, size_t length)
{
  return length == 0 || (data[0] == 0 && memcmp(data, data + 1, length - 1) == 0);
}

static int write_at(int fd, const char *data, size_t length, off_t offset, struct st_error *err)
{
  while (length > 0) {
    ssize_t n = pwrite(fd, data, length, offset);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return st_fail(err, errno, "cannot write");
    data += n;
    offset += n;
    length -= (size_t)n;
  }
  return 0;
}

static void find_hole(struct st_pour *p)
{
  while (!p->no_more && p->hole.offset + p->hole.length <= p->offset)
    p->no_more =
        !p->s->holes || st_hole_next(p->s->holes, p->s->holes_length, &p->at, &p->hole) != 1;
}

int st_pour_piece(struct st_pour *p, const void *data, size_t n, struct st_error *err)
{
  const char *from = data;
  while (n > 0) {
    find_hole(p);
    bool in_hole = !p->no_more && p->hole.offset <= p->offset;
    uint64_t end = in_hole ? p->hole.offset + p->hole.length : p->hole.offset;
    size_t part = !p->no_more && end - p->offset < n ? (size_t)(end - p->offset) : n;
    if (!(in_hole && is_zero(from, part)) && write_at(p->fd, from, part, (off_t)p->offset, err) < 0)
      return -1;
    from += part;
    p->offset += part;
    n -= part;
  }
  return 0;
}

static int take_piece(void *arg, const void *data, size_t n, struct st_error *err)
{
  return st_pour_piece(arg, data, n, err);
}

/* A hole at the end. */
static int set_size(const struct st_pour *p, struct st_error *err)
{
  if (p->s->holes && ftruncate(p->fd, (off_t)p->offset) < 0)
    return st_fail(err, errno, "cannot set its size");
  return 0;
}

static int write_content(const struct st_put *put, int fd, const struct st_state *s,
                         struct st_error *err)
{
  struct st_pour pour = {.fd = fd, .s = s};
  if (st_store_get_to(put->store, &s->digest, take_piece, &pour, err) < 0)
    return -1;
  return set_size(&pour, err);
}

/* What is replaced is not lost before its successor is durable.  Where nothing was before, the sync
 * of the file system at the end serves, for which the disk begins to work now. */
static int make_durable(int fd, bool replacing, struct st_error *err)
{
  if (replacing)
    return fsync(fd) < 0 ? st_fail(err, errno, "cannot sync it") : 0;
  sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
  return 0;
}

/* ---- One entry made ready beside, and renamed ---------------------------------------------------
 */

static int make_file(const struct st_put *put, const struct st_place *p, int from,
                     const struct st_state *s, struct st_error *err)
{
  struct st_meta made;
  ST_AUTO_CLOSE int fd =
      openat(p->parent, p->beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return st_fail(err, errno, "cannot make a file beside it");
  set_flags(put, fd, true, s); /* some take effect on an empty file alone */
  if (write_content(put, fd, s, err) < 0 || set_metadata_open(put, fd, from, s, &made, err) < 0)
    return -1;
  return make_durable(fd, p->live != 0, err);
}

static int make_special(int parent, const char *name, const struct st_state *s,
                        struct st_error *err)
{
  mode_t type = s->type == 'p' ? S_IFIFO : s->type == 'c' ? S_IFCHR : S_IFBLK;
  if (mknodat(parent, name, type | 0600, s->type == 'p' ? 0 : (dev_t)s->rdev) < 0)
    return st_fail(err, errno, "cannot make the node");
  return 0;
}

/* What is no regular file. */
static int make_other(const struct st_put *put, int parent, const char *name, int from,
                      const struct st_state *s, struct st_error *err)
{
  if (s->type == 'l' && symlinkat(s->target, parent, name) < 0)
    return st_fail(err, errno, "cannot make the symlink");
  if (s->type != 'l' && make_special(parent, name, s, err) < 0)
    return -1;
  ST_AUTO_CLOSE int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return st_fail(err, errno, "cannot open what was made");
  return set_metadata(put, fd, from, s, err);
}

static int make_own(const struct st_put *put, const struct st_place *p, int from,
                    const struct st_state *s, struct st_error *err)
{
  return s->type == 'f' ? make_file(put, p, from, s, err)
                        : make_other(put, p->parent, p->beside, from, s, err);
}

/* Another link to what was put there already. */
static int make_link(const struct st_put *put, const struct st_place *p, const struct st_state *s,
                     struct st_error *err)
{
  struct st_meta meta;
  const char *name;
  ST_AUTO_CLOSE int parent = st_open_parent(put->root, s->linked_to, &name);
  int e = parent < 0 ? parent : st_meta_read(parent, name, &meta);
  if (e == 0 && (meta.type != s->type || (s->type == 'f' && s->size != 0 && meta.size != s->size)))
    return st_fail(err, 0, "cannot link it to %s, which is something else", st_quote(s->linked_to));
  if (e == 0 && linkat(parent, name, p->parent, p->beside, 0) < 0)
    e = -errno;
  return e < 0 ? st_fail(err, -e, "cannot link it to %s", st_quote(s->linked_to)) : 0;
}

/* Where no link can be made, the entry is put back by itself. */
static int make_beside(const struct st_put *put, const struct st_place *p, int from,
                       const struct st_state *s, struct st_error *err)
{
  if (unlinkat(p->parent, p->beside, 0) < 0 && errno != ENOENT)
    return st_fail(err, errno, "cannot remove what an interrupted restore left beside it");
  if (!s->linked_to)
    return make_own(put, p, from, s, err);
  if (make_link(put, p, s, err) == 0)
    return 0;
  if (s->type == 'f' && !st_store_has(put->store, &s->digest))
    return -1;
  put->problem(put->arg, st_error_text(err));
  st_error_clear(err);
  return make_own(put, p, from, s, err);
}

/* A directory in the place of something else. */
static int put_directory(const struct st_place *p, struct st_error *err)
{
  if (p->live == 'd')
    return 0;
  if (p->live != 0 && unlinkat(p->parent, p->name, 0) < 0)
    return st_fail(err, errno, "cannot remove what is there");
  if (mkdirat(p->parent, p->name, 0700) < 0)
    return st_fail(err, errno, "cannot make the directory");
  return 0;
}

/* What is new and of that state has neither attributes nor flags, as nobody but us was at it. */
static bool is_left_bare(const struct st_put *put, const struct st_state *s)
{
  bool flags = (s->known & ST_KNOWN_FLAGS) && s->flags != 0;
  return put->bare && (s->type == 'f' || s->type == 'd') && !has_attributes(put, s) && !flags;
}

/* There is nothing to ask for: whoever comes to it behind the stat data shows in its ctime. */
static bool is_left_plain(const struct st_put *put, const struct st_meta *m,
                          const struct st_state *s)
{
  return is_left_bare(put, s) && !s->holes && !st_meta_is_sparse(m);
}

/* `name` "": of the descriptor, which is open. */
static bool is_plain(const struct st_put *put, int dir, const char *name, const struct st_meta *m)
{
  const struct st_xattr_options options = {put->accounts, NULL};
  ST_AUTO_METADATA metadata = {0};
  st_metadata_read(&metadata, *name ? -1 : dir, dir, name, m, &options);
  return st_metadata_is_plain(&metadata, m->type);
}

/* What has the content that was just proved, and nobody has changed since.  `fd`: it is open, and
 * attributes, flags and holes are asked for, too, behind the stat data, so that what comes to it
 * later shows in its ctime; -1: it is not. */
static void note_file(const struct st_put *put, int fd, const struct st_meta *m, uint64_t size,
                      const struct st_state *s)
{
  const unsigned known = ST_KNOWN_DIGEST | ST_KNOWN_TIME;
  if (!put->written || s->type != 'f' || s->linked_to || (s->known & known) != known)
    return;
  if (m->type != 'f' || m->size != size || m->mtime != s->mtime || m->mtime_nsec != s->mtime_nsec ||
      !st_written_takes(m))
    return;
  const struct st_written_entry entry = {
      .has_digest = true,
      .digest = s->digest,
      .plain = fd >= 0 && (is_left_plain(put, m, s) || is_plain(put, fd, "", m))};
  st_written_add(put->written, m, &entry);
}

static void note_file_at(const struct st_put *put, int dir, const char *name,
                         const struct st_state *s)
{
  struct st_meta m;
  if (put->written && s->type == 'f' && st_meta_read(dir, name, &m) == 0)
    note_file(put, -1, &m, s->size, s);
}

/* The same of a symlink or a directory that was put. */
static void note_other(const struct st_put *put, int dir, const char *name, const struct st_meta *m,
                       const struct st_state *s)
{
  struct st_written_entry entry = {.has_digest = s->type == 'l'};
  if (m->type != s->type || !st_written_takes(m))
    return;
  if (s->type == 'l')
    st_id_of(&entry.digest, NULL, s->target, strlen(s->target));
  entry.plain = is_left_plain(put, m, s) || is_plain(put, dir, name, m);
  st_written_add(put->written, m, &entry);
}

int st_put_entry(const struct st_put *put, const struct st_place *p, const struct st_state *s,
                 struct st_error *err)
{
  if (s->type == 'd')
    return put_directory(p, err);
  ST_AUTO_CLOSE int from =
      p->live == s->type ? openat(p->parent, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
  int result = make_beside(put, p, from, s, err);
  if (result == 0 && p->live == 'd' && unlinkat(p->parent, p->name, AT_REMOVEDIR) < 0)
    result = st_fail(err, errno, "cannot remove the directory that is there");
  if (result == 0 && renameat(p->parent, p->beside, p->parent, p->name) < 0)
    result = st_fail(err, errno, "cannot put it in its place");
  /* Of two links to one inode, rename(2) leaves both. */
  if (result < 0 || s->linked_to)
    unlinkat(p->parent, p->beside, 0);
  if (result == 0)
    note_file_at(put, p->parent, p->name, s);
  return result;
}

int st_put_deletion(const struct st_place *p, struct st_error *err)
{
  if (unlinkat(p->parent, p->name, p->live == 'd' ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
    return st_fail(err, errno, "cannot delete it");
  return 0;
}

/* ---- In a directory of our own ----------------------------------------------------------------
 */

#define LARGE ((uint64_t)1 << 20) /* bytes: the disk begins to work on it now */

/* Whose attributes we may set only where we may write, and are not set, gets its mode at once. */
static mode_t first_mode(const struct st_put *put, const struct st_state *s)
{
  mode_t mode = s->mode & 0777;
  return has_attributes(put, s) ? mode | S_IRUSR | S_IWUSR : mode;
}

int st_pour_open(struct st_pour *ret, const struct st_put *put, int parent, const char *name,
                 const struct st_state *s, struct st_error *err)
{
  *ret = (struct st_pour){.s = s};
  ret->fd =
      openat(parent, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, first_mode(put, s));
  if (ret->fd < 0)
    return st_fail(err, errno, "cannot make it");
  set_flags(put, ret->fd, true, s);
  return 0;
}

int st_pour_end(struct st_pour *p, struct st_error *err)
{
  if (set_size(p, err) < 0)
    return -1;
  if (p->offset >= LARGE)
    sync_file_range(p->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
  return 0;
}

int st_pour_finish(struct st_pour *p, const struct st_put *put, struct st_error *err)
{
  ST_AUTO_CLOSE int fd = st_steal_fd(&p->fd);
  struct st_meta made;
  if (set_metadata_open(put, fd, -1, p->s, &made, err) < 0)
    return -1;
  note_file(put, fd, &made, p->offset, p->s);
  return 0;
}

int st_put_fresh(const struct st_put *put, int parent, const char *name, const struct st_state *s,
                 struct st_error *err)
{
  struct st_meta made;
  int r = make_other(put, parent, name, -1, s, err);
  if (r < 0)
    unlinkat(parent, name, 0);
  else if (put->written && s->type == 'l' && st_meta_read(parent, name, &made) == 0)
    note_other(put, parent, name, &made, s);
  return r;
}

/* Made with all that it is to have, it need not be opened.  `*ret`: as it is. */
static bool is_finished(const struct st_put *put, int parent, const char *name,
                        const struct st_state *s, struct st_meta *ret)
{
  const struct st_meta meta = meta_of(put, s);
  return is_left_bare(put, s) && !(s->known & ST_KNOWN_TIME) &&
         st_meta_read(parent, name, ret) == 0 && ret->type == 'd' && ret->uid == meta.uid &&
         ret->gid == meta.gid && ret->mode == meta.mode;
}

static int finish_open_dir(const struct st_put *put, int fd, const struct st_state *s,
                           struct st_error *err)
{
  struct st_meta made;
  set_flags(put, fd, true, s);
  if (set_metadata_open(put, fd, -1, s, &made, err) < 0)
    return -1;
  if (put->written)
    note_other(put, fd, "", &made, s);
  return 0;
}

int st_put_finish_dir(const struct st_put *put, int parent, const char *name,
                      const struct st_state *s, struct st_error *err)
{
  struct st_meta made;
  if (is_finished(put, parent, name, s, &made)) {
    if (put->written)
      note_other(put, parent, name, &made, s);
    return 0;
  }
  ST_AUTO_CLOSE int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 ? st_fail(err, errno, "cannot open it") : finish_open_dir(put, fd, s, err);
}

static bool has_nothing(int fd)
{
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  uint32_t flags;
  return fd >= 0 && st_xattrs_read(fd, "", NULL, &list) == 0 && list.length == 0 &&
         st_flags_get(fd, &flags) == 0 && (flags & ST_FLAGS_ALL) == 0;
}

bool st_put_is_bare(int dir)
{
  static const char probe[] = "probe";
  ST_AUTO_CLOSE int file =
      openat(dir, probe, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  bool bare = has_nothing(file);
  if (file >= 0)
    unlinkat(dir, probe, 0);
  if (mkdirat(dir, probe, 0700) < 0)
    return false;
  ST_AUTO_CLOSE int made = openat(dir, probe, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  bare = has_nothing(made) && bare;
  unlinkat(dir, probe, AT_REMOVEDIR);
  return bare;
}

/* ---- What is there changed ------------------------------------------------------------------- */

static int open_there(const struct st_place *p)
{
  return *p->name ? openat(p->parent, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC)
                  : fcntl(p->parent, F_DUPFD_CLOEXEC, 0);
}

int st_put_metadata(const struct st_put *put, const struct st_place *p, const struct st_state *s,
                    struct st_error *err)
{
  struct st_meta now;
  ST_AUTO_CLOSE int fd = open_there(p);
  if (fd < 0)
    return st_fail(err, errno, "cannot open it");
  int e = st_meta_read(fd, "", &now);
  if (e < 0)
    return st_fail(err, -e, "cannot look at it");
  if (now.type != s->type)
    return st_fail(err, 0, "it is something else by now: left alone");
  if (set_metadata(put, fd, -1, s, err) < 0)
    return -1;
  set_flags(put, fd, false, s);
  return 0;
}

int st_put_lock(const struct st_place *p, uint32_t flags, struct st_error *err)
{
  uint32_t now;
  ST_AUTO_CLOSE int fd = open_there(p);
  if (fd < 0)
    return errno == ENOENT ? 0 : st_fail(err, errno, "cannot open it");
  int e = st_flags_get_at(fd, "", &now);
  if (e == 0)
    e = st_flags_set_at(fd, "", now | (flags & ST_FLAGS_LOCK));
  return e < 0 ? st_fail(err, -e, "cannot set its flags") : 0;
}

int st_put_unlock(const struct st_place *p, uint32_t *ret, struct st_error *err)
{
  uint32_t now = 0;
  *ret = 0;
  ST_AUTO_CLOSE int fd = open_there(p);
  int e = fd < 0 ? -errno : st_flags_get_at(fd, "", &now);
  if (e < 0 || !(now & ST_FLAGS_LOCK))
    return 0; /* what cannot be opened says so where it matters */
  e = st_flags_set_at(fd, "", now & ~(uint32_t)ST_FLAGS_LOCK);
  if (e < 0)
    return st_fail(err, -e, "cannot take away the flags that lock it");
  *ret = now & ST_FLAGS_LOCK;
  return 0;
}
