/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/backup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/lock.h"
#include "systracker/base/set.h"
#include "systracker/base/sqlite.h"

#define MARK "backup" /* in the copy: the id of the archive that it is of */
#define NEW ".new-"   /* what is copied and not in force yet */
#define BUSY_MS 60000
#define TRIES 5
#define DEEPEST 8 /* folders within a host's */

struct backup {
  struct st_archive *a;
  int to; /* the copy's folder */
  struct st_backup_result *result;
  struct st_strings renames; /* paths that lie beside as NEW, in the order in which they come */
  struct st_strings kept;    /* folders whose other files go at the end */
  struct st_set *known;      /* paths that the archive has */
};

static void backup_clear(struct backup *b)
{
  st_cleanup_close(&b->to);
  st_strings_free(&b->renames);
  st_strings_free(&b->kept);
  st_set_free(b->known);
}

/* "a/b/c" as "a/b/.new-c". */
static char *new_path(const char *path)
{
  const char *slash = strrchr(path, '/');
  size_t n = slash ? (size_t)(slash - path) + 1 : 0;
  return st_format("%.*s" NEW "%s", (int)n, path, path + n);
}

static void note(struct backup *b, const char *path)
{
  st_set_add(b->known, path, strlen(path), 0);
}

static bool is_known(const struct backup *b, const char *path)
{
  return st_set_get(b->known, path, strlen(path), NULL);
}

/* ---- One file ----------------------------------------------------------------------------------
 */

static bool is_same(const struct backup *b, const char *path, const struct stat *st)
{
  struct stat there;
  return fstatat(b->to, path, &there, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(there.st_mode) &&
         there.st_size == st->st_size && there.st_mtim.tv_sec == st->st_mtim.tv_sec &&
         there.st_mtim.tv_nsec == st->st_mtim.tv_nsec;
}

/* Blocks are shared where the file system can. */
static int copy_bytes(int from, int to, uint64_t length, struct st_error *err)
{
  ST_AUTO_FREE char *block = NULL;
  const size_t size = (size_t)1 << 20;
  while (length > 0) {
    ssize_t n = block ? -1 : copy_file_range(from, NULL, to, NULL, length, 0);
    if (n <= 0) {
      block = block ? block : st_malloc(size);
      n = read(from, block, length < size ? length : size);
      if (n > 0 && st_write_all(to, block, (size_t)n, err) < 0)
        return -1;
    }
    if (n < 0)
      return st_fail(err, errno, "cannot read");
    if (n == 0)
      return st_fail(err, 0, "it became shorter while it was copied");
    length -= (uint64_t)n;
  }
  return 0;
}

static int create(const struct backup *b, const char *path, struct st_error *err)
{
  unlinkat(b->to, path, 0);
  int fd = st_open_beneath(b->to, path, O_RDWR | O_CREAT | O_EXCL, 0600);
  return fd >= 0 ? fd : st_fail(err, -fd, "cannot write the copy (%s)", st_quote(path));
}

/* It gets the time of what it is a copy of, as it was when copying began. */
static int finish(struct backup *b, int fd, const struct stat *st, struct st_error *err)
{
  const struct timespec times[] = {st->st_mtim, st->st_mtim};
  if (futimens(fd, times) < 0)
    return st_fail(err, errno, "cannot set the time of the copy");
  b->result->files++;
  b->result->bytes += (uint64_t)st->st_size;
  return 0;
}

/* As long as it is now; 1: there is none. */
static int copy_file(struct backup *b, const char *path, struct st_error *err)
{
  ST_AUTO_CLOSE int from = st_open_beneath(b->a->dir, path, O_RDONLY, 0);
  struct stat st;
  if (from == -ENOENT)
    return 1;
  if (from < 0 || fstat(from, &st) < 0)
    return st_fail(err, from < 0 ? -from : errno, "cannot open (%s)", st_quote(path));
  note(b, path);
  if (!S_ISREG(st.st_mode) || is_same(b, path, &st))
    return 0;
  ST_AUTO_FREE char *beside = new_path(path);
  ST_AUTO_CLOSE int to = create(b, beside, err);
  if (to < 0 || copy_bytes(from, to, (uint64_t)st.st_size, err) < 0 || finish(b, to, &st, err) < 0)
    return st_wrap(err, "cannot copy %s", st_quote(path));
  st_strings_add(&b->renames, path);
  return 0;
}

/* ---- One SQLite file ---------------------------------------------------------------------------
 */

static int open_db(int dir, const char *path, int flags, sqlite3 **ret, struct st_error *err)
{
  ST_AUTO_FREE char *full = st_format("/proc/self/fd/%d/%s", dir, path);
  int r = st_sqlite_open(full, flags, ret);
  if (r != SQLITE_OK)
    return st_fail(err, 0, "%s (%s)", sqlite3_errstr(r), st_quote(path));
  sqlite3_busy_timeout(*ret, BUSY_MS);
  return 0;
}

static void close_db(sqlite3 **db)
{
  sqlite3_close(*db);
}

/* All of it in one step, as it is at one moment. */
static int copy_pages(sqlite3 *from, sqlite3 *to, struct st_error *err)
{
  sqlite3_exec(to, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF", NULL, NULL, NULL);
  sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
  if (!backup)
    return st_fail(err, 0, "%s", sqlite3_errmsg(to));
  int r = SQLITE_BUSY;
  for (int i = 0; i < TRIES && (r == SQLITE_BUSY || r == SQLITE_LOCKED); i++)
    r = sqlite3_backup_step(backup, -1);
  sqlite3_backup_finish(backup);
  return r == SQLITE_DONE ? 0 : st_fail(err, 0, "%s", sqlite3_errstr(r));
}

static int copy_db_to(const struct backup *b, const char *path, const char *beside,
                      struct st_error *err)
{
  ST_CLEANUP(close_db) sqlite3 *from = NULL;
  ST_CLEANUP(close_db) sqlite3 *to = NULL;
  if (open_db(b->a->dir, path, SQLITE_OPEN_READWRITE, &from, err) < 0 ||
      open_db(b->to, beside, SQLITE_OPEN_READWRITE, &to, err) < 0)
    return -1;
  return copy_pages(from, to, err);
}

/* 1: there is none.  A WAL beside it may have more than its time tells: then it is copied always.
 */
static int copy_db(struct backup *b, const char *path, struct st_error *err)
{
  ST_AUTO_FREE char *wal = st_format("%s-wal", path);
  ST_AUTO_FREE char *beside = new_path(path);
  struct stat st;
  if (fstatat(b->a->dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 1 : st_fail(err, errno, "cannot look at (%s)", st_quote(path));
  note(b, path);
  if (faccessat(b->a->dir, wal, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && is_same(b, path, &st))
    return 0;
  ST_AUTO_CLOSE int fd = create(b, beside, err);
  if (fd < 0 || copy_db_to(b, path, beside, err) < 0 || finish(b, fd, &st, err) < 0)
    return st_wrap(err, "cannot copy %s", st_quote(path));
  st_strings_add(&b->renames, path);
  return 0;
}

/* ---- Hosts -------------------------------------------------------------------------------------
 */

static ino_t inode_of(const struct backup *b, const char *path)
{
  struct stat st;
  return fstatat(b->a->dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_ino;
}

static int copy_in(struct backup *b, const char *folder, const char *name, bool db,
                   struct st_error *err)
{
  ST_AUTO_FREE char *path = st_format("%s/%s", folder, name);
  return db ? copy_db(b, path, err) : copy_file(b, path, err);
}

/* The chain comes before the catalog: one that lags behind is made up for by the next writer. Where
 * the host was set back meanwhile, the two are not of one epoch: once more. */
static int copy_chain(struct backup *b, const char *folder, struct st_error *err)
{
  ST_AUTO_FREE char *catalog = st_format("%s/catalog.db", folder);
  for (int i = 0; i < TRIES; i++) {
    ino_t before = inode_of(b, catalog);
    if (before == 0)
      return 0; /* its first sync was interrupted */
    if (copy_in(b, folder, "chain", false, err) < 0 || copy_db(b, catalog, err) < 0)
      return -1;
    if (inode_of(b, catalog) == before)
      return 0;
  }
  return st_fail(err, 0, "it changes again and again (%s)", st_quote(folder));
}

/* Lists come after the catalog: they shrink when a checkpoint names what is in them. */
static int copy_host(struct backup *b, const char *host, struct st_error *err)
{
  static const char *const names[] = {"key.age", "sent", "chunks", "packages", "wanted"};
  ST_AUTO_FREE char *folder = st_format("hosts/%s", host);
  if (st_make_dirs(b->to, folder, 0700, err) < 0 || copy_chain(b, folder, err) < 0)
    return -1;
  for (size_t i = 0; i < ST_COUNT(names) && !strchr(host, '/'); i++)
    if (copy_in(b, folder, names[i], false, err) < 0)
      return -1;
  st_strings_add(&b->kept, folder);
  b->result->hosts++;
  return 0;
}

static int copy_epochs(struct backup *b, const char *host, struct st_error *err)
{
  ST_AUTO_STRINGS epochs = {0};
  int r = st_archive_epochs(b->a, host, &epochs, err);
  for (size_t i = 0; i < epochs.count && r == 0; i++) {
    ST_AUTO_FREE char *epoch = st_format("%s/epoch-%s", host, epochs.items[i]);
    r = copy_host(b, epoch, err);
  }
  return r;
}

/* A host that is set back meanwhile moves from its own folder to an epoch's: so that comes last. */
static int copy_hosts(struct backup *b, struct st_error *err)
{
  ST_AUTO_STRINGS hosts = {0};
  if (st_archive_hosts(b->a, &hosts, err) < 0)
    return -1;
  for (size_t i = 0; i < hosts.count; i++)
    if (copy_host(b, hosts.items[i], err) < 0 || copy_epochs(b, hosts.items[i], err) < 0)
      return -1;
  return 0;
}

/* ---- Folders of files --------------------------------------------------------------------------
 */

static DIR *list(int dir, const char *folder)
{
  int fd = st_open_beneath(dir, folder, O_RDONLY | O_DIRECTORY, 0);
  return fd < 0 ? NULL : fdopendir(fd);
}

static bool is_pack(const char *name)
{
  size_t n = strlen(name);
  return n > 5 && strcmp(name + n - 5, ".pack") == 0;
}

static bool is_file(const char *name)
{
  return name[0] != '.';
}

/* What comes while it is listed may be left out: nothing that was copied names it. */
static int copy_folder(struct backup *b, const char *folder, bool (*wanted)(const char *name),
                       struct st_error *err)
{
  if (st_make_dirs(b->to, folder, 0700, err) < 0)
    return -1;
  ST_AUTO_CLOSEDIR DIR *d = list(b->a->dir, folder);
  for (struct dirent *e; d && (e = readdir(d));)
    if (wanted(e->d_name) && copy_in(b, folder, e->d_name, false, err) < 0)
      return -1;
  st_strings_add(&b->kept, folder);
  return 0;
}

/* packages/ab */
static int copy_packages(struct backup *b, struct st_error *err)
{
  if (st_make_dirs(b->to, "packages", 0700, err) < 0)
    return -1;
  ST_AUTO_CLOSEDIR DIR *d = list(b->a->dir, "packages");
  for (struct dirent *e; d && (e = readdir(d));) {
    ST_AUTO_FREE char *folder = st_format("packages/%s", e->d_name);
    if (strlen(e->d_name) == 2 && e->d_name[0] != '.' && copy_folder(b, folder, is_file, err) < 0)
      return -1;
  }
  return 0;
}

/* ---- The copy comes into force -----------------------------------------------------------------
 */

static int sync_copy(const struct backup *b, struct st_error *err)
{
  return syncfs(b->to) < 0 ? st_fail(err, errno, "cannot sync the copy") : 0;
}

enum part { OBJECTS, REST, ARCHIVE_MARK };

static enum part part_of(const char *path)
{
  if (is_pack(path) || strncmp(path, "packages/", 9) == 0)
    return OBJECTS;
  return strcmp(path, "archive") == 0 ? ARCHIVE_MARK : REST;
}

/* What was copied last comes first: a catalog before its chain, which may lag behind it, but not
 * run ahead. */
static int rename_part(struct backup *b, enum part part, struct st_error *err)
{
  for (size_t i = b->renames.count; i > 0; i--) {
    const char *path = b->renames.items[i - 1];
    ST_AUTO_FREE char *beside = new_path(path);
    if (part_of(path) == part && renameat(b->to, beside, b->to, path) < 0)
      return st_fail(err, errno, "cannot rename the copy (%s)", st_quote(path));
  }
  return sync_copy(b, err);
}

/* Other files of that folder: of an earlier copy, or what a kill left of one. */
static void drop_others(struct backup *b, const char *folder)
{
  ST_AUTO_CLOSEDIR DIR *d = list(b->to, folder);
  struct stat st;
  for (struct dirent *e; d && (e = readdir(d));) {
    ST_AUTO_FREE char *path = st_format("%s/%s", folder, e->d_name);
    if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode) &&
        !is_known(b, path))
      unlinkat(dirfd(d), e->d_name, 0);
  }
}

static void drop_hosts(struct backup *b)
{
  ST_AUTO_CLOSEDIR DIR *d = list(b->to, "hosts");
  for (struct dirent *e; d && (e = readdir(d));) {
    ST_AUTO_FREE char *folder = st_format("hosts/%s", e->d_name);
    if (e->d_name[0] != '.' && !st_strings_has(&b->kept, folder))
      st_remove_folder(dirfd(d), e->d_name, DEEPEST); /* the archive knows no more of it */
  }
}

static int drop_old(struct backup *b, struct st_error *err)
{
  drop_hosts(b);
  for (size_t i = 0; i < b->kept.count; i++)
    drop_others(b, b->kept.items[i]);
  return sync_copy(b, err);
}

/* ---- The whole ---------------------------------------------------------------------------------
 */

static bool is_empty(int dir)
{
  ST_AUTO_CLOSEDIR DIR *d = list(dir, ".");
  bool empty = d != NULL;
  for (struct dirent *e; empty && (e = readdir(d));)
    empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            strcmp(e->d_name, "lost+found") == 0;
  return empty;
}

/* Nothing is written over that is not a copy of this archive. */
static int check_place(const struct backup *b, const char *to, struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  ST_AUTO_FREE char *mark = st_format("SysTracker backup of %s\n", b->a->id);
  struct stat here, there;
  if (fstat(b->a->dir, &here) < 0 || fstat(b->to, &there) < 0)
    return st_fail(err, errno, "cannot look at the folders");
  if (here.st_dev == there.st_dev && here.st_ino == there.st_ino)
    return st_refuse(err, "an archive is no backup of itself (%s)", st_quote(to));
  if (is_empty(b->to))
    return st_create_file(b->to, MARK, 0600, mark, strlen(mark), err);
  int r = st_read_file(b->to, MARK, 4096, &text, err);
  if (r < 0 && r != -ENOENT)
    return r;
  st_error_clear(err);
  if (r < 0 || strcmp(text.data ? text.data : "", mark) != 0)
    return st_refuse(err, "the folder is neither empty nor a backup of this archive (%s)",
                     st_quote(to));
  return 0;
}

static int open_place(struct backup *b, const char *to, struct st_error *err)
{
  ST_AUTO_CLOSE int top = open(*to == '/' ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  b->to = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (b->to < 0 && errno == ENOENT) {
    if (top < 0 || st_make_dirs(top, to, 0700, err) < 0)
      return -1;
    b->to = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  if (b->to < 0)
    return st_fail(err, errno, "cannot open the folder (%s)", st_quote(to));
  return check_place(b, to, err);
}

/* In this order (above). */
static int copy_all(struct backup *b, struct st_error *err)
{
  static const char *const names[] = {"policy", "tls.key", "tls.crt", "archive"};
  if (copy_hosts(b, err) < 0 || copy_db(b, "access.db", err) < 0)
    return -1;
  if (st_make_dirs(b->to, "packs", 0700, err) < 0 || copy_db(b, "packs/objects.db", err) < 0 ||
      copy_folder(b, "packs", is_pack, err) < 0 || copy_packages(b, err) < 0)
    return -1;
  for (size_t i = 0; i < ST_COUNT(names); i++)
    if (copy_file(b, names[i], err) < 0)
      return -1;
  return sync_copy(b, err);
}

/* The server's own gc, which is not root's, has to be able to take it. */
static int leave_to_owner(const struct st_archive *a, int fd, struct st_error *err)
{
  struct stat st;
  if (geteuid() != 0)
    return 0;
  if (fstat(a->dir, &st) < 0 || fchown(fd, st.st_uid, st.st_gid) < 0)
    return st_fail(err, errno, "cannot give " ST_BACKUP_LOCK " to the archive's owner");
  return 0;
}

int st_backup(struct st_archive *a, const char *to, struct st_backup_result *ret,
              struct st_error *err)
{
  *ret = (struct st_backup_result){0};
  ST_CLEANUP(backup_clear) struct backup b = {.a = a, .to = -1, .result = ret};
  b.known = st_set_new();
  ST_AUTO_CLOSE int lock = st_lock(a->dir, ST_BACKUP_LOCK, err);
  if (lock < 0)
    return st_wrap(err, "another backup is being made, or gc runs");
  if (leave_to_owner(a, lock, err) < 0)
    return -1;
  if (open_place(&b, to, err) < 0)
    return -1;
  ST_AUTO_CLOSE int there = st_lock(b.to, "lock", err);
  if (there < 0)
    return st_wrap(err, "backup %s", st_quote(to));
  if (copy_all(&b, err) < 0)
    return -1;
  for (enum part part = OBJECTS; part <= ARCHIVE_MARK; part++)
    if (rename_part(&b, part, err) < 0)
      return -1;
  return drop_old(&b, err);
}
