/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/staged.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/cbor.h"
#include "systracker/base/digest.h"
#include "systracker/base/file.h"
#include "systracker/base/meta.h"

#define NAME "staged"
#define MAGIC "systracker-staged"
#define VERSION 1
#define MOST ((size_t)64 << 20) /* bytes of the note */
#define DEEPEST 32              /* levels that are gone down at once, each with two descriptors */

void st_staged_list_free(struct st_staged_list *l)
{
  for (size_t i = 0; i < l->count; i++)
    free(l->items[i].path);
  free(l->items);
  *l = (struct st_staged_list){0};
}

/* ---- On the way ------------------------------------------------------------------------------ */

int st_staged_look(int root, struct st_staged *s)
{
  const char *name;
  struct st_meta above;
  ST_AUTO_CLOSE int parent = st_open_parent(root, s->path, &name);
  int e = parent < 0 ? parent : st_meta_read(parent, "", &above);
  if (e < 0)
    return e;
  s->before = above.mtime;
  s->before_nsec = above.mtime_nsec;
  return 0;
}

int st_staged_make(int root, struct st_staged *s)
{
  const char *name;
  struct st_meta above, made;
  ST_AUTO_CLOSE int parent = st_open_parent(root, s->path, &name);
  int e = parent < 0 ? parent : st_meta_read(parent, "", &above);
  if (e < 0)
    return e;
  s->before = above.mtime; /* another tree may have been made there by now */
  s->before_nsec = above.mtime_nsec;
  if (mkdirat(parent, name, 0700) < 0)
    return -errno;
  if ((e = st_meta_read(parent, name, &made)) < 0 || (e = st_meta_read(parent, "", &above)) < 0) {
    unlinkat(parent, name, AT_REMOVEDIR);
    return e;
  }
  s->inode = made.inode;
  s->ours = above.mtime;
  s->ours_nsec = above.mtime_nsec;
  return 0;
}

/* ---- Removed --------------------------------------------------------------------------------- */

/* What lies deeper than we go down is brought up to the top of the tree, where it is removed in its
 * turn: so no depth takes more descriptors. */
struct removal {
  int top;
  uint64_t mount;
  unsigned names; /* that were tried up there */
  bool moved;
};

static void remove_below(struct removal *r, int dir, unsigned depth);

/* Over what has that name nothing is moved but over an empty directory, which is to go, too. */
static void bring_up(struct removal *r, int dir, const char *name)
{
  char beside[32];
  int result;
  do {
    snprintf(beside, sizeof(beside), ".systracker-%u", r->names++);
    result = renameat(dir, name, r->top, beside);
  } while (result < 0 && (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR));
  r->moved |= result == 0;
}

static void remove_name(struct removal *r, int dir, const char *name, unsigned depth)
{
  struct st_meta m;
  if (unlinkat(dir, name, 0) == 0 || (errno != EISDIR && errno != EPERM))
    return;
  ST_AUTO_CLOSE int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || st_meta_read(fd, "", &m) < 0 || m.mount_id != r->mount)
    return;
  if (depth == DEEPEST)
    bring_up(r, dir, name);
  else
    remove_below(r, fd, depth + 1);
  unlinkat(dir, name, AT_REMOVEDIR);
}

static void remove_below(struct removal *r, int dir, unsigned depth)
{
  int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ST_AUTO_CLOSEDIR DIR *d = again < 0 ? NULL : fdopendir(again);
  if (!d && again >= 0)
    close(again);
  for (struct dirent *e; d && (e = readdir(d));) {
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
      remove_name(r, dir, e->d_name, depth);
  }
}

static void remove_all(int top, uint64_t mount)
{
  struct removal r = {.top = top, .mount = mount};
  do {
    r.moved = false;
    remove_below(&r, top, 0);
  } while (r.moved);
}

static bool is_still(const struct st_staged *s, const struct st_meta *m,
                     const struct st_meta *above)
{
  return m->type == 'd' && m->inode == s->inode && m->uid == geteuid() &&
         m->mount_id == above->mount_id;
}

static void set_time(int parent, const struct st_staged *s)
{
  const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {s->before, s->before_nsec}};
  ST_AUTO_CLOSE int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0)
    futimens(fd, times);
}

void st_staged_remove(int root, const struct st_staged *s)
{
  const char *name;
  struct st_meta above, m;
  ST_AUTO_CLOSE int parent = st_open_parent(root, s->path, &name);
  if (parent < 0 || st_meta_read(parent, "", &above) < 0)
    return;
  ST_AUTO_CLOSE int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || st_meta_read(fd, "", &m) < 0)
    return;
  bool since = s->inode != 0 && (above.mtime != s->ours || above.mtime_nsec != s->ours_nsec);
  if (s->inode != 0 && !is_still(s, &m, &above))
    return;
  if (s->inode != 0)
    remove_all(fd, m.mount_id);
  if (unlinkat(parent, name, AT_REMOVEDIR) == 0 && !since)
    set_time(parent, s);
}

/* ---- The note -------------------------------------------------------------------------------- */

void st_staged_encode(struct st_buffer *out, const struct st_staged_list *l)
{
  size_t start = out->length;
  st_cbor_array(out, 3);
  st_cbor_string(out, MAGIC);
  st_cbor_integer(out, VERSION);
  st_cbor_integer(out, (int64_t)l->count);
  for (size_t i = 0; i < l->count; i++) {
    const struct st_staged *s = &l->items[i];
    st_cbor_array(out, 6);
    st_cbor_bytes(out, s->path, strlen(s->path));
    st_cbor_integer(out, (int64_t)s->inode);
    st_cbor_integer(out, s->before);
    st_cbor_integer(out, s->before_nsec);
    st_cbor_integer(out, s->ours);
    st_cbor_integer(out, s->ours_nsec);
  }
  uint8_t digest[ST_DIGEST_SIZE];
  st_digest(digest, out->data + start, out->length - start);
  st_cbor_bytes(out, digest, sizeof(digest));
}

static int read_nsec(struct st_cbor *in, uint32_t *ret, struct st_error *err)
{
  int64_t n;
  if (st_cbor_read_integer(in, &n, err) < 0)
    return -1;
  if (n < 0 || n > 999999999)
    return st_fail(err, 0, "a time is out of range");
  *ret = (uint32_t)n;
  return 0;
}

/* Only below the root, and only a name that we would have given. */
static bool is_ours(const char *path)
{
  const char *name = strrchr(path, '/');
  ST_AUTO_FREE char *normal = NULL;
  return name && strncmp(name, "/.systracker-", 13) == 0 &&
         st_normal_path(path, &normal, NULL) == 0 && strcmp(path, normal) == 0;
}

static int decode_one(struct st_cbor *in, struct st_staged_list *l, struct st_error *err)
{
  struct st_staged s = {0};
  const void *data;
  size_t length;
  uint64_t members;
  int64_t inode;
  if (st_cbor_read_array(in, &members, err) < 0 || st_cbor_read_bytes(in, &data, &length, err) < 0)
    return -1;
  ST_AUTO_FREE char *path = st_memdup(data, length);
  if (members != 6 || memchr(data, 0, length) || !is_ours(path))
    return st_fail(err, 0, "a tree's path is none of ours");
  if (st_cbor_read_integer(in, &inode, err) < 0 || st_cbor_read_integer(in, &s.before, err) < 0 ||
      read_nsec(in, &s.before_nsec, err) < 0 || st_cbor_read_integer(in, &s.ours, err) < 0 ||
      read_nsec(in, &s.ours_nsec, err) < 0)
    return -1;
  s.inode = (uint64_t)inode;
  s.path = st_steal(&path);
  l->items = st_realloc(l->items, l->count + 1, sizeof(*l->items));
  l->items[l->count++] = s;
  return 0;
}

static int decode(struct st_cbor *in, struct st_staged_list *l, struct st_error *err)
{
  const char *magic;
  size_t length;
  uint64_t members;
  int64_t version, count;
  if (st_cbor_read_array(in, &members, err) < 0 ||
      st_cbor_read_text(in, &magic, &length, err) < 0 ||
      st_cbor_read_integer(in, &version, err) < 0 || st_cbor_read_integer(in, &count, err) < 0)
    return -1;
  if (members != 3 || length != strlen(MAGIC) || memcmp(magic, MAGIC, length) != 0 ||
      version != VERSION)
    return st_fail(err, 0, "it is no note of this version");
  for (int64_t i = 0; i < count; i++) {
    if (decode_one(in, l, err) < 0)
      return -1;
  }
  return st_cbor_at_end(in) ? 0 : st_fail(err, 0, "something follows where it should end");
}

int st_staged_decode(const void *data, size_t length, struct st_staged_list *ret,
                     struct st_error *err)
{
  enum { TRAILER = 2 + ST_DIGEST_SIZE };
  uint8_t end[TRAILER] = {0x58, ST_DIGEST_SIZE}; /* a byte string of 32 */
  if (length < TRAILER)
    return st_fail(err, 0, "it is cut off");
  st_digest(end + 2, data, length - TRAILER);
  if (memcmp((const char *)data + length - TRAILER, end, TRAILER) != 0)
    return st_fail(err, 0, "its checksum does not fit");
  struct st_cbor in = {.data = data, .length = length - TRAILER};
  if (decode(&in, ret, err) == 0)
    return 0;
  st_staged_list_free(ret);
  return -1;
}

static int open_folder(int store_dir)
{
  return openat(store_dir, "journal", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int st_staged_note(int store_dir, const struct st_staged_list *l, struct st_error *err)
{
  ST_AUTO_BUFFER note = ST_BUFFER_INIT;
  if (st_make_dirs(store_dir, "journal", 0700, err) < 0)
    return -1;
  ST_AUTO_CLOSE int dir = open_folder(store_dir);
  if (dir < 0)
    return st_fail(err, errno, "cannot open the store's journal");
  st_staged_encode(&note, l);
  if (note.length > MOST)
    return st_refuse(err, "too many directories to be made ready at once");
  return st_write_file(dir, NAME, 0600, note.data, note.length, err);
}

void st_staged_forget(int store_dir)
{
  ST_AUTO_CLOSE int dir = open_folder(store_dir);
  if (dir >= 0)
    unlinkat(dir, NAME, 0);
}

void st_staged_read(int store_dir, struct st_staged_list *ret)
{
  ST_AUTO_BUFFER note = ST_BUFFER_INIT;
  ST_AUTO_CLOSE int dir = open_folder(store_dir);
  *ret = (struct st_staged_list){0};
  if (dir >= 0 && st_read_file(dir, NAME, MOST, &note, NULL) == 0)
    st_staged_decode(note.data, note.length, ret, NULL);
}
