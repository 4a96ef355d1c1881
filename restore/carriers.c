/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/carriers.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/meta.h"
#include "systracker/scan/mounts.h"

#define MAX_VALUE 65536 /* bytes: XATTR_SIZE_MAX */

struct walk {
  const struct st_carriers *c;
  struct st_moves *out;
  struct st_mounts *mounts;
  struct st_ids_in_use *used;
  struct st_strings folders; /* still to be listed, the next one last */
};

/* ---- File systems ---------------------------------------------------------------------------- */

/* What is no file system of files, has no owners, or whose owners are another machine's matter. */
static bool is_left(const char *type)
{
  static const char *const types[] = {
      "9p",         "afs",        "autofs",    "binfmt_misc", "bpf",       "ceph",     "cgroup",
      "cgroup2",    "cifs",       "coda",      "configfs",    "debugfs",   "devpts",   "devtmpfs",
      "efivarfs",   "exfat",      "fusectl",   "gfs2",        "glusterfs", "hfsplus",  "hugetlbfs",
      "iso9660",    "lustre",     "mqueue",    "msdos",       "nfs",       "nfs4",     "nfsd",
      "nsfs",       "ntfs",       "ntfs3",     "ocfs2",       "orangefs",  "proc",     "pstore",
      "rpc_pipefs", "securityfs", "selinuxfs", "smb3",        "smbfs",     "squashfs", "sysfs",
      "tracefs",    "udf",        "vfat",      "virtiofs"};
  for (size_t i = 0; i < ST_COUNT(types); i++) {
    if (strcmp(type, types[i]) == 0)
      return true;
  }
  return strncmp(type, "fuse", 4) == 0;
}

/* Whether what is mounted there is looked through; if not, that is noted. */
static bool enter_mount(struct walk *w, int dirfd, const char *name, const char *path,
                        uint64_t mount_id)
{
  const char *type = st_mounts_type(w->mounts, mount_id);
  struct statvfs v;
  ST_AUTO_CLOSE int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  bool outside = w->c->root_path && st_mounts_outside(w->mounts, mount_id, w->c->root_path);
  const char *why = is_left(type)                      ? type
                    : outside                          ? "mounted outside of the root, too"
                    : fd < 0 || fstatvfs(fd, &v) < 0   ? "it cannot be looked at"
                    : (v.f_flag & (unsigned)ST_RDONLY) ? "mounted read-only"
                                                       : NULL;
  if (why)
    st_strings_take(&w->out->left, st_format("%s (%s)", st_quote(path), why));
  return !why;
}

/* ---- One inode ------------------------------------------------------------------------------- */

/* In a directory by its name, no symlink followed; NULL: it has none, or none that can be read. */
static uint8_t *read_attribute(int dirfd, const char *name, const char *attribute,
                               size_t *ret_length)
{
  ST_AUTO_FREE char *path = st_format("/proc/self/fd/%d/%s", dirfd, name);
  ST_AUTO_FREE uint8_t *value = st_malloc(MAX_VALUE);
  ssize_t n = lgetxattr(path, attribute, value, MAX_VALUE);
  if (n <= 0)
    return NULL;
  *ret_length = (size_t)n;
  return st_memdup(value, (size_t)n);
}

static bool has_attributes(int dirfd, const char *name)
{
  ST_AUTO_FREE char *path = st_format("/proc/self/fd/%d/%s", dirfd, name);
  return llistxattr(path, NULL, 0) > 0;
}

/* What this ACL becomes; what the past list says of it goes first. */
static uint8_t *acl_after(const struct walk *w, const struct st_move_value *past,
                          const uint8_t *acl, size_t length)
{
  bool same_length = past && past->before && past->length == length;
  if (same_length && memcmp(past->after, acl, length) == 0)
    return st_memdup(past->before, length);
  if (w->c->past && !w->c->past_done)
    return NULL;
  return st_moves_acl(&w->out->changes, acl, length);
}

/* Whether an ACL names an id that matters. */
static bool fill_attributes(const struct walk *w, int dirfd, const char *name, struct st_move *m)
{
  bool found = false;
  if (m->type == 'l' || !has_attributes(dirfd, name))
    return false;
  for (enum st_move_attribute i = 0; i < ST_MOVE_NATTRIBUTES; i++) {
    struct st_move_value *v = &m->values[i];
    v->before = read_attribute(dirfd, name, st_move_attribute_name(i), &v->length);
    if (v->before && i != ST_MOVE_CAPABILITY)
      found |= st_moves_acl_names(&w->out->changes, v->before, v->length);
  }
  return found;
}

/* The id that this one becomes.  `past_before`, `past_after`: of the past list, if it names the
 * entry. */
static uint32_t id_after(const struct walk *w, bool group, uint32_t id, bool listed,
                         uint32_t past_before, uint32_t past_after)
{
  if (listed && id == past_after)
    return past_before;
  if (w->c->past && !w->c->past_done)
    return id;
  return st_id_changed(&w->out->changes, group, id);
}

/* Flags that keep chown(2) away. */
static void fill_flags(int dirfd, const char *name, struct st_move *m)
{
  struct statx s;
  int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);
  if (statx(dirfd, name, flags, 0, &s) < 0)
    return;
  m->immutable = s.stx_attributes & STATX_ATTR_IMMUTABLE;
  m->append = s.stx_attributes & STATX_ATTR_APPEND;
}

/* A list that was interrupted may have left an inode without what chown(2) drops, or without its
 * flags. */
static void fill_lost(const struct walk *w, const struct st_move *past, struct st_move *m)
{
  const struct st_move_value *had;
  struct st_move_value *v = &m->values[ST_MOVE_CAPABILITY];
  if (!past || w->c->past_done || past->type != m->type)
    return;
  had = &past->values[ST_MOVE_CAPABILITY];
  if ((m->mode | ST_MOVE_LOST) == (past->mode | ST_MOVE_LOST))
    m->mode = past->mode;
  m->immutable |= past->immutable;
  m->append |= past->append;
  if (v->before || !had->before)
    return;
  v->before = st_memdup(had->before, had->length);
  v->length = had->length;
}

static void note_inode(struct walk *w, int dirfd, const char *name, const char *path,
                       const struct st_meta *meta)
{
  const struct st_move *past = w->c->past ? st_moves_find(w->c->past, path) : NULL;
  struct st_move m = {
      .type = meta->type, .mode = meta->mode, .uid_before = meta->uid, .gid_before = meta->gid};
  st_id_is_used(w->used, false, meta->uid);
  st_id_is_used(w->used, true, meta->gid);
  bool acl = fill_attributes(w, dirfd, name, &m);
  if (!acl && !past && !st_id_matters(&w->out->changes, false, meta->uid) &&
      !st_id_matters(&w->out->changes, true, meta->gid)) {
    st_move_clear(&m);
    return;
  }
  fill_flags(dirfd, name, &m);
  fill_lost(w, past, &m);
  struct st_move *item = st_moves_add(w->out, path);
  m.path = item->path;
  *item = m;
}

/* ---- The walk -------------------------------------------------------------------------------- */

static char *join(const char *folder, const char *name)
{
  return st_format("%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name);
}

static void visit(struct walk *w, int dirfd, uint64_t mount_id, const char *folder,
                  const char *name)
{
  struct st_meta meta;
  ST_AUTO_FREE char *path = join(folder, name);
  if (st_meta_read(dirfd, name, &meta) < 0)
    return; /* it went */
  if (meta.mount_id != mount_id && !enter_mount(w, dirfd, name, path, meta.mount_id))
    return;
  note_inode(w, dirfd, name, path, &meta);
  if (meta.type == 'd')
    st_strings_take(&w->folders, st_steal(&path));
}

/* A folder that went meanwhile, or became something else, has nothing to tell. */
static int list(struct walk *w, const char *folder, struct st_error *err)
{
  int fd = st_open_beneath(w->c->root, folder, O_RDONLY | O_DIRECTORY, 0);
  if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
    return 0;
  if (fd < 0)
    return st_fail(err, -fd, "cannot look for what moves with the accounts (%s)", st_quote(folder));
  ST_AUTO_CLOSEDIR DIR *d = fdopendir(fd);
  struct st_meta meta;
  if (!d) {
    close(fd);
    return st_fail(err, errno, "cannot list (%s)", st_quote(folder));
  }
  int r = st_meta_read(fd, "", &meta);
  if (r < 0)
    return st_fail(err, -r, "cannot look at (%s)", st_quote(folder));
  if (strcmp(folder, "/") == 0)
    note_inode(w, fd, "", folder, &meta);
  errno = 0;
  for (struct dirent *e; (e = readdir(d)); errno = 0) {
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
      visit(w, fd, meta.mount_id, folder, e->d_name);
  }
  return errno ? st_fail(err, errno, "cannot list (%s)", st_quote(folder)) : 0;
}

static int walk(struct walk *w, struct st_error *err)
{
  st_strings_add(&w->folders, "/");
  while (w->folders.count > 0) {
    ST_AUTO_FREE char *folder = w->folders.items[--w->folders.count];
    w->folders.items[w->folders.count] = NULL;
    if (list(w, folder, err) < 0)
      return -1;
  }
  return 0;
}

/* What the walk left open, as those that make room had no id yet. */
static void settle(struct walk *w)
{
  for (size_t i = 0; i < w->out->count; i++) {
    struct st_move *m = &w->out->items[i];
    const struct st_move *past = w->c->past ? st_moves_find(w->c->past, m->path) : NULL;
    m->uid =
        id_after(w, false, m->uid_before, past, past ? past->uid_before : 0, past ? past->uid : 0);
    m->gid =
        id_after(w, true, m->gid_before, past, past ? past->gid_before : 0, past ? past->gid : 0);
    for (enum st_move_attribute k = 0; k < ST_MOVE_NATTRIBUTES; k++) {
      struct st_move_value *v = &m->values[k];
      uint8_t *after = v->before && k != ST_MOVE_CAPABILITY
                           ? acl_after(w, past ? &past->values[k] : NULL, v->before, v->length)
                           : NULL;
      free(v->after);
      v->after = after ? after : v->before ? st_memdup(v->before, v->length) : NULL;
    }
  }
}

int st_carriers_find(const struct st_carriers *c, struct st_moves *ret, struct st_error *err)
{
  ST_CLEANUP(st_mounts_freep) struct st_mounts *mounts = st_mounts_read();
  ST_AUTO_FREE struct st_ids_in_use *used = st_calloc(1, sizeof(*used));
  struct walk w = {.c = c, .out = ret, .mounts = mounts, .used = used};
  int r = walk(&w, err);
  st_strings_free(&w.folders);
  if (r < 0 || st_id_changes_make_room(&ret->changes, c->target, c->live, used, err) < 0)
    return -1;
  settle(&w);
  st_moves_sort(ret);
  return 0;
}
