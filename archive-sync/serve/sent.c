/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/sent.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define LIST_MAX ((size_t)1 << 30)

/* ---- Claims ------------------------------------------------------------------------------------
 */

char *st_sent_package_file(const struct st_package *p)
{
  ST_AUTO_FREE char *path = st_package_path(p);
  return st_strdup(path + 3 + 2 * ST_DIGEST_SIZE + 1);
}

void st_sent_claim(const struct st_package *p, uint8_t out[ST_SENT_CLAIM_SIZE])
{
  ST_AUTO_FREE char *file = st_sent_package_file(p);
  memcpy(out, p->digest, ST_DIGEST_SIZE);
  st_digest(out + ST_DIGEST_SIZE, file, strlen(file));
}

size_t st_sent_item_size(const char *list)
{
  return strcmp(list, ST_SENT_PACKAGES) == 0 ? ST_SENT_CLAIM_SIZE : ST_WIRE_ID_SIZE;
}

/* ---- The files ---------------------------------------------------------------------------------
 */

static int open_folder(int archive_dir, const char *host, bool make, struct st_error *err)
{
  ST_AUTO_FREE char *folder = st_format("hosts/%s", host);
  int fd = st_open_beneath(archive_dir, folder, O_RDONLY | O_DIRECTORY, 0);
  if (fd == -ENOENT && make) {
    if (st_make_dirs(archive_dir, folder, 0700, err) < 0)
      return -1;
    fd = st_open_beneath(archive_dir, folder, O_RDONLY | O_DIRECTORY, 0);
  }
  if (fd >= 0 || (fd == -ENOENT && !make))
    return fd;
  return st_fail(err, -fd, "cannot open (%s)", st_quote(folder));
}

int st_sent_read(int archive_dir, const char *host, const char *list, struct st_buffer *out,
                 struct st_error *err)
{
  ST_AUTO_CLOSE int dir = open_folder(archive_dir, host, false, err);
  st_buffer_clear(out);
  if (dir < 0)
    return dir == -ENOENT ? 0 : -1;
  int r = st_read_file(dir, list, LIST_MAX, out, err);
  if (r == -ENOENT) {
    st_error_clear(err);
    return 0;
  }
  out->length -= out->length % st_sent_item_size(list);
  return r;
}

/* Opens it at its end, a torn item cut off. */
static int open_to_append(int dir, const char *list, bool *ret_new, struct st_error *err)
{
  struct stat st;
  const int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC;
  ST_AUTO_CLOSE int fd = openat(dir, list, flags);
  bool made = fd < 0 && errno == ENOENT;
  if (made)
    fd = openat(dir, list, flags | O_CREAT, 0600);
  if (fd < 0 || fstat(fd, &st) < 0)
    return st_fail(err, errno, "cannot open a host's list (%s)", list);
  off_t torn = st.st_size % (off_t)st_sent_item_size(list);
  if (torn > 0 && ftruncate(fd, st.st_size - torn) < 0)
    return st_fail(err, errno, "cannot append to a host's list (%s)", list);
  *ret_new = made;
  return st_steal_fd(&fd);
}

int st_sent_add(int archive_dir, const char *host, const char *list, const void *items,
                size_t length, struct st_error *err)
{
  bool is_new = false;
  if (length == 0)
    return 0;
  ST_AUTO_CLOSE int dir = open_folder(archive_dir, host, true, err);
  ST_AUTO_CLOSE int fd = dir < 0 ? -1 : open_to_append(dir, list, &is_new, err);
  if (fd < 0 || st_write_all(fd, items, length, err) < 0)
    return -1;
  if (fdatasync(fd) < 0 || (is_new && fsync(dir) < 0))
    return st_fail(err, errno, "cannot sync a host's list (%s)", list);
  return 0;
}

int st_sent_replace(int archive_dir, const char *host, const char *list, const void *items,
                    size_t length, struct st_error *err)
{
  ST_AUTO_CLOSE int dir = open_folder(archive_dir, host, length > 0, err);
  if (dir < 0)
    return dir == -ENOENT ? 0 : -1;
  if (length > 0)
    return st_write_file(dir, list, 0600, items, length, err);
  /* Emptied, so that the next one need not be synced in the folder too.  That it comes back after a
   * power cut does no harm. */
  ST_AUTO_CLOSE int fd = openat(dir, list, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno != ENOENT)
    return st_fail(err, errno, "cannot empty a host's list (%s)", list);
  return 0;
}

/* ---- For gc ------------------------------------------------------------------------------------
 */

/* A claim that came back with the power would be of a file that is gone. */
static int empty_durably(int archive_dir, const char *host, struct st_error *err)
{
  ST_AUTO_CLOSE int dir = open_folder(archive_dir, host, false, err);
  ST_AUTO_CLOSE int fd =
      dir < 0 ? -1 : openat(dir, ST_SENT_PACKAGES, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 || fsync(fd) < 0
             ? st_fail(err, errno, "cannot empty a host's list (" ST_SENT_PACKAGES ")")
             : 0;
}

static int drop_claims(int archive_dir, const char *host, const struct st_set *gone,
                       struct st_error *err)
{
  ST_AUTO_BUFFER list = ST_BUFFER_INIT, left = ST_BUFFER_INIT;
  if (st_sent_read(archive_dir, host, ST_SENT_PACKAGES, &list, err) < 0)
    return -1;
  for (size_t at = 0; at < list.length; at += ST_SENT_CLAIM_SIZE)
    if (!st_set_get(gone, list.data + at, ST_SENT_CLAIM_SIZE, NULL))
      st_buffer_append(&left, list.data + at, ST_SENT_CLAIM_SIZE);
  if (left.length == list.length)
    return 0;
  if (left.length > 0)
    return st_sent_replace(archive_dir, host, ST_SENT_PACKAGES, left.data, left.length, err);
  return empty_durably(archive_dir, host, err);
}

int st_sent_drop_claims(struct st_archive *a, const struct st_set *gone, struct st_error *err)
{
  ST_AUTO_STRINGS hosts = {0};
  if (st_archive_hosts(a, &hosts, err) < 0)
    return -1;
  for (size_t i = 0; i < hosts.count; i++)
    if (drop_claims(a->dir, hosts.items[i], gone, err) < 0)
      return -1;
  if (utimensat(a->dir, ST_PACKAGES_DIR, NULL, 0) < 0)
    return st_fail(err, errno, "cannot tell the server what is gone");
  return 0;
}

static int each_id(const struct st_buffer *ids, int (*fn)(void *arg, const struct st_id *id),
                   void *arg, struct st_error *err)
{
  struct st_id id;
  for (size_t n = 0; n < ids->length / ST_WIRE_ID_SIZE; n++) {
    if (st_wire_id_at(ids->data, ids->length, n, &id, NULL) < 0)
      continue; /* of some other version, or damaged: it names nothing that we have */
    if (fn(arg, &id) < 0)
      return st_fail(err, 0, "cannot note what hosts sent");
  }
  return 0;
}

static bool is_old(struct st_archive *a, const char *host, int64_t now)
{
  struct stat st;
  ST_AUTO_FREE char *path = st_format("hosts/%s/" ST_SENT, host);
  return fstatat(a->dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtime < now - ST_SENT_AGE;
}

int st_sent_each(struct st_archive *a, int64_t now, int (*fn)(void *arg, const struct st_id *id),
                 void *arg, struct st_error *err)
{
  ST_AUTO_STRINGS hosts = {0};
  ST_AUTO_BUFFER ids = ST_BUFFER_INIT;
  if (st_archive_hosts(a, &hosts, err) < 0)
    return -1;
  for (size_t i = 0; i < hosts.count; i++) {
    if (is_old(a, hosts.items[i], now)) {
      if (st_sent_replace(a->dir, hosts.items[i], ST_SENT, NULL, 0, err) < 0)
        return -1;
      continue;
    }
    if (st_sent_read(a->dir, hosts.items[i], ST_SENT, &ids, err) < 0 ||
        each_id(&ids, fn, arg, err) < 0)
      return st_wrap(err, "host %s", hosts.items[i]);
  }
  return 0;
}

/* ---- What is a host's own ----------------------------------------------------------------------
 */

struct st_own {
  struct st_fleet *fleet;
  char host[ST_HOST_ID_SIZE];
  struct st_set *ids; /* 33 bytes each */
};

static void id_bytes(const struct st_id *id, uint8_t out[ST_WIRE_ID_SIZE])
{
  out[0] = id->keyed;
  memcpy(out + 1, id->digest, ST_DIGEST_SIZE);
}

static int add_list(struct st_own *o, struct st_archive *a, const char *list, struct st_error *err)
{
  ST_AUTO_BUFFER ids = ST_BUFFER_INIT;
  if (st_sent_read(a->dir, o->host, list, &ids, err) < 0)
    return -1;
  for (size_t at = 0; at < ids.length; at += ST_WIRE_ID_SIZE)
    st_set_add(o->ids, ids.data + at, ST_WIRE_ID_SIZE, 0);
  return 0;
}

int st_own_open(struct st_own **ret, struct st_archive *a, struct st_fleet *f, const char *host,
                struct st_error *err)
{
  ST_CLEANUP(st_own_closep) struct st_own *o = st_calloc(1, sizeof(*o));
  o->fleet = f;
  o->ids = st_set_new();
  snprintf(o->host, sizeof(o->host), "%.*s", (int)strcspn(host, "/"), host);
  if (add_list(o, a, ST_SENT, err) < 0 || add_list(o, a, ST_SENT_CHUNKS, err) < 0)
    return -1;
  *ret = st_steal(&o);
  return 0;
}

void st_own_close(struct st_own *o)
{
  if (o->ids)
    st_set_free(o->ids);
  free(o);
}

bool st_own_has(const struct st_own *o, const struct st_id *id)
{
  uint8_t bytes[ST_WIRE_ID_SIZE];
  id_bytes(id, bytes);
  return st_set_get(o->ids, bytes, sizeof(bytes), NULL) || st_fleet_names(o->fleet, o->host, id);
}

void st_own_add(struct st_own *o, const struct st_id *id)
{
  uint8_t bytes[ST_WIRE_ID_SIZE];
  id_bytes(id, bytes);
  st_set_add(o->ids, bytes, sizeof(bytes), 0);
}
