/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/rpm_track/rpm/readonly.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/buffer.h"

#define NAME "systracker-readonly"

/* As sqlite3_io_methods wants it: the base comes first. */
struct file {
  sqlite3_file base;
  int fd;       /* -1: it is not there, and reads as empty */
  void **index; /* pages of the log's index */
  int pages;
};

static void forget_index(struct file *f)
{
  for (int i = 0; i < f->pages; i++)
    free(f->index[i]);
  free(f->index);
  f->index = NULL;
  f->pages = 0;
}

static int close_file(sqlite3_file *file)
{
  struct file *f = (struct file *)file;
  forget_index(f);
  if (f->fd >= 0)
    close(f->fd);
  f->fd = -1;
  return SQLITE_OK;
}

static int read_file(sqlite3_file *file, void *to, int length, sqlite3_int64 offset)
{
  struct file *f = (struct file *)file;
  ssize_t done = 0;
  while (f->fd >= 0 && done < length) {
    ssize_t n = pread(f->fd, (char *)to + done, (size_t)(length - done), offset + done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return SQLITE_IOERR_READ;
    if (n == 0)
      break;
    done += n;
  }
  memset((char *)to + done, 0, (size_t)(length - done));
  return done == length ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int write_file(sqlite3_file *file, const void *data, int length, sqlite3_int64 offset)
{
  (void)file;
  (void)data;
  (void)length;
  (void)offset;
  return SQLITE_READONLY;
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 size)
{
  (void)file;
  (void)size;
  return SQLITE_READONLY;
}

static int sync_file(sqlite3_file *file, int flags)
{
  (void)file;
  (void)flags;
  return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
  const struct file *f = (struct file *)file;
  struct stat st = {0};
  if (f->fd >= 0 && fstat(f->fd, &st) < 0)
    return SQLITE_IOERR_FSTAT;
  *ret = st.st_size;
  return SQLITE_OK;
}

/* To write, or to fold the log in at the end, it would need more than a shared lock. */
static int lock_file(sqlite3_file *file, int level)
{
  (void)file;
  return level <= SQLITE_LOCK_SHARED ? SQLITE_OK : SQLITE_BUSY;
}

static int unlock_file(sqlite3_file *file, int level)
{
  (void)file;
  (void)level;
  return SQLITE_OK;
}

static int is_reserved(sqlite3_file *file, int *ret)
{
  (void)file;
  *ret = 0;
  return SQLITE_OK;
}

static int control_file(sqlite3_file *file, int what, void *arg)
{
  (void)file;
  (void)what;
  (void)arg;
  return SQLITE_NOTFOUND;
}

static int sector_size(sqlite3_file *file)
{
  (void)file;
  return 4096;
}

static int characteristics(sqlite3_file *file)
{
  (void)file;
  return 0;
}

static int map_index(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
  struct file *f = (struct file *)file;
  *ret = NULL;
  if (page >= f->pages && !extend)
    return SQLITE_OK;
  for (; f->pages <= page; f->pages++) {
    f->index = st_realloc(f->index, (size_t)f->pages + 1, sizeof(*f->index));
    f->index[f->pages] = st_calloc(1, (size_t)size);
  }
  *ret = f->index[page];
  return SQLITE_OK;
}

static int lock_index(sqlite3_file *file, int offset, int count, int flags)
{
  (void)file;
  (void)offset;
  (void)count;
  (void)flags;
  return SQLITE_OK;
}

static void index_barrier(sqlite3_file *file)
{
  (void)file;
}

static int unmap_index(sqlite3_file *file, int remove)
{
  (void)remove;
  forget_index((struct file *)file);
  return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = file_size,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = is_reserved,
    .xFileControl = control_file,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = map_index,
    .xShmLock = lock_index,
    .xShmBarrier = index_barrier,
    .xShmUnmap = unmap_index,
};

/* A log that is not there is an empty one: SQLite would make it. */
static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret)
{
  (void)vfs;
  struct file *f = (struct file *)file;
  struct stat st;
  *f = (struct file){.fd = -1};
  if (!name || !(flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)))
    return SQLITE_CANTOPEN;
  f->fd = open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (f->fd < 0 && !(flags & SQLITE_OPEN_WAL && errno == ENOENT))
    return SQLITE_CANTOPEN;
  if (f->fd >= 0 && (fstat(f->fd, &st) < 0 || !S_ISREG(st.st_mode))) {
    close_file(file);
    return SQLITE_CANTOPEN;
  }
  f->base.pMethods = &methods;
  if (ret)
    *ret = (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
  return SQLITE_OK;
}

static int delete_file(sqlite3_vfs *vfs, const char *name, int sync)
{
  (void)vfs;
  (void)name;
  (void)sync;
  return SQLITE_READONLY;
}

int rpm_readonly_sqlite(struct st_error *err)
{
  const sqlite3_vfs *usual = sqlite3_vfs_find(NULL);
  if (usual && strcmp(usual->zName, NAME) == 0)
    return 0;
  sqlite3_vfs *vfs = usual ? st_memdup(usual, sizeof(*usual)) : NULL; /* SQLite's from now on */
  if (!vfs)
    return st_fail(err, 0, "SQLite knows no files");
  vfs->pNext = NULL;
  vfs->zName = NAME;
  vfs->szOsFile = sizeof(struct file);
  vfs->xOpen = open_file;
  vfs->xDelete = delete_file;
  if (sqlite3_vfs_register(vfs, 1) != SQLITE_OK) {
    free(vfs);
    return st_fail(err, 0, "SQLite cannot be told to read only");
  }
  return 0;
}
