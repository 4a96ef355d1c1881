/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/archive.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "systracker/base/age.h"
#include "systracker/base/digest.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/keys.h"
#include "systracker/base/lock.h"
#include "systracker/tracker/sealed.h"

#define MARK "archive"
#define MARK_MAX 65536
#define FORMAT "SysTracker archive "
#define FORMAT_VERSION 1
#define RECIPIENT "recipient "
#define ID "id "
#define WANTED "wanted"

/* ---- The folder --------------------------------------------------------------------------------
 */

int st_archive_path(const char *url, char **ret, struct st_error *err)
{
  const char *path = url;
  if (strncmp(url, "file://", 7) == 0)
    path = url + 7;
  else if (strstr(url, "://")) {
    ST_AUTO_FREE char *shown = st_memdup(url, strcspn(url, "#")); /* a token may be behind */
    return st_refuse(err,
                     "an archive is a folder, file:///PATH, or a server, https://HOST:PORT (%s)",
                     st_quote(shown));
  }
  if (*path == 0 || (path != url && *path != '/'))
    return st_fail(err, 0, "this is no path of an archive: file:///PATH is (%s)", st_quote(url));
  *ret = st_strdup(path);
  return 0;
}

/* Lines "recipient age1..." behind the first; others are of later versions, and passed over. */
static int read_recipients(const struct st_archive *a, const char *text, struct st_strings *ret,
                           struct st_error *err)
{
  for (const char *line = strchr(text, '\n'); line && *++line; line = strchr(line, '\n')) {
    if (strncmp(line, RECIPIENT, strlen(RECIPIENT)) != 0)
      continue;
    const char *name = line + strlen(RECIPIENT);
    ST_AUTO_FREE char *recipient = st_memdup(name, strcspn(name, "\n"));
    st_strings_add(ret, recipient);
  }
  return ret->count <= ST_AGE_RECIPIENTS ? 0
                                         : st_fail(err, 0, "more than %d recipients (%s)",
                                                   ST_AGE_RECIPIENTS, st_quote(a->path));
}

static bool is_id(const char *name)
{
  return strlen(name) == ST_HOST_ID_SIZE - 1 &&
         strspn(name, "0123456789abcdef") == ST_HOST_ID_SIZE - 1;
}

static int read_id(struct st_archive *a, const char *text, struct st_error *err)
{
  const char *line = strstr(text, "\n" ID);
  if (!line)
    return 0;
  line += 1 + strlen(ID);
  ST_AUTO_FREE char *id = st_memdup(line, strcspn(line, "\n"));
  if (!is_id(id))
    return st_fail(err, 0, "the archive's id is malformed (%s)", st_quote(a->path));
  memcpy(a->id, id, sizeof(a->id));
  return 0;
}

static int read_mark(struct st_archive *a, bool any_store, struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  int r = st_read_file(a->dir, MARK, MARK_MAX, &text, err);
  if (r == -ENOENT) {
    st_error_clear(err);
    if (any_store && faccessat(a->dir, "hosts", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
      return 0;
    return st_fail(err, 0,
                   "this is no archive of SysTracker: systracker-archive init makes one "
                   "(%s)",
                   st_quote(a->path));
  }
  if (r < 0)
    return r;
  size_t n = strlen(FORMAT);
  if (text.length <= n || memcmp(text.data, FORMAT, n) != 0)
    return st_fail(err, 0, "this is no archive of SysTracker (%s)", st_quote(a->path));
  long version = strtol(text.data + n, NULL, 10);
  if (version != FORMAT_VERSION)
    return st_fail(err, 0, "the archive has format %ld, this SysTracker knows %d (%s)", version,
                   FORMAT_VERSION, st_quote(a->path));
  a->marked = true;
  return read_recipients(a, text.data, &a->recipients, err) < 0 ? -1 : read_id(a, text.data, err);
}

static struct st_archive *new_archive(char *path)
{
  struct st_archive *a = st_calloc(1, sizeof(*a));
  a->path = path;
  a->dir = a->lock = -1;
  return a;
}

int st_archive_open(struct st_archive **ret, const char *url, bool any_store, struct st_error *err)
{
  char *path;
  if (st_archive_path(url, &path, err) < 0)
    return -1;
  ST_AUTO_ARCHIVE *a = new_archive(path);
  a->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (a->dir < 0)
    return st_fail(err, errno, "cannot open the archive (%s)", st_quote(path));
  if (read_mark(a, any_store, err) < 0)
    return -1;
  *ret = st_steal(&a);
  return 0;
}

void st_archive_close(struct st_archive *a)
{
  if (a->store)
    st_store_close(a->store);
  st_cleanup_close(&a->lock);
  st_cleanup_close(&a->dir);
  st_strings_free(&a->recipients);
  free(a->path);
  free(a);
}

static bool is_empty(int dir)
{
  int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ST_AUTO_CLOSEDIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
  bool empty = d != NULL;
  for (struct dirent *e; empty && (e = readdir(d));)
    empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            strcmp(e->d_name, "lost+found") == 0;
  return empty;
}

static int make_id(struct st_archive *a, struct st_error *err)
{
  uint8_t random[(ST_ARCHIVE_ID_SIZE - 1) / 2];
  if (st_random(random, sizeof(random), err) < 0)
    return -1;
  st_hex(a->id, random, sizeof(random));
  return 0;
}

int st_archive_need_id(struct st_archive *a, struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  if (a->id[0])
    return 0;
  if (make_id(a, err) < 0 || st_read_file(a->dir, MARK, MARK_MAX, &text, err) < 0)
    return -1;
  st_buffer_printf(&text, "%s" ID "%s\n", text.data[text.length - 1] == '\n' ? "" : "\n", a->id);
  return st_write_file(a->dir, MARK, 0600, text.data, text.length, err);
}

/* The mark comes last: what has it is whole. */
static int fill(struct st_archive *a, const char *recipient, struct st_error *err)
{
  ST_AUTO_FREE char *names = recipient ? st_format("%s%s\n", RECIPIENT, recipient) : st_strdup("");
  if (make_id(a, err) < 0)
    return -1;
  ST_AUTO_FREE char *mark = st_format("%s%d\n%s" ID "%s\n", FORMAT, FORMAT_VERSION, names, a->id);
  if (st_make_dirs(a->dir, "hosts", 0700, err) < 0 ||
      st_make_dirs(a->dir, "packages", 0700, err) < 0 ||
      (a->lock = st_lock(a->dir, "lock", err)) < 0 ||
      st_store_open(&a->store, a->dir, ST_STORE_WRITE, NULL, err) < 0 ||
      st_store_sync(a->store, err) < 0)
    return -1;
  return st_create_file(a->dir, MARK, 0600, mark, strlen(mark), err);
}

int st_archive_recipients(const struct st_archive *a, struct st_strings *ret, struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  return st_read_file(a->dir, MARK, MARK_MAX, &text, err) < 0
             ? -1
             : read_recipients(a, text.data, ret, err);
}

/* All lines but those, as they are; the recipients behind the first, which says the format. */
int st_archive_set_recipients(struct st_archive *a, const struct st_strings *recipients,
                              struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT, out = ST_BUFFER_INIT;
  if (st_read_file(a->dir, MARK, MARK_MAX, &text, err) < 0)
    return -1;
  bool first = true;
  for (const char *line = text.data; *line;) {
    size_t n = strcspn(line, "\n");
    if (strncmp(line, RECIPIENT, strlen(RECIPIENT)) != 0) {
      st_buffer_append(&out, line, n);
      st_buffer_append_byte(&out, '\n');
    }
    for (size_t i = 0; first && i < recipients->count; i++)
      st_buffer_printf(&out, RECIPIENT "%s\n", recipients->items[i]);
    first = false;
    line += n + (line[n] == '\n');
  }
  return st_write_file(a->dir, MARK, 0600, out.data, out.length, err);
}

bool st_archive_is_sealed(int host_dir, int archive_dir)
{
  struct stat key, mark;
  return fstatat(host_dir, ST_SEALED_KEY, &key, AT_SYMLINK_NOFOLLOW) == 0 &&
         fstatat(archive_dir, MARK, &mark, AT_SYMLINK_NOFOLLOW) == 0 &&
         (key.st_mtim.tv_sec > mark.st_mtim.tv_sec ||
          (key.st_mtim.tv_sec == mark.st_mtim.tv_sec &&
           key.st_mtim.tv_nsec >= mark.st_mtim.tv_nsec));
}

int st_archive_init(const char *path, const char *recipient, struct st_error *err)
{
  ST_AUTO_ARCHIVE *a = new_archive(st_strdup(path));
  ST_AUTO_CLOSE int top = open(*path == '/' ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  a->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (a->dir < 0 && errno == ENOENT) {
    if (top < 0 || st_make_dirs(top, path, 0700, err) < 0)
      return st_wrap(err, "cannot make the archive");
    a->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  if (a->dir < 0)
    return st_fail(err, errno, "cannot open the folder (%s)", st_quote(path));
  if (!is_empty(a->dir))
    return st_refuse(err, "the folder is not empty: nothing was changed (%s)", st_quote(path));
  return fill(a, recipient, err) < 0 ? st_wrap(err, "cannot make the archive") : 0;
}

int st_archive_lock(struct st_archive *a, unsigned seconds, struct st_error *err)
{
  const struct timespec pause = {.tv_nsec = 200 * 1000 * 1000};
  for (unsigned i = 0;; i++) {
    a->lock = st_lock(a->dir, "lock", err);
    if (a->lock >= 0 || err->status != ST_EXIT_INCOMPLETE || i >= 5 * seconds)
      break;
    if (i == 0)
      fprintf(stderr, "systracker: waiting for the archive: %s\n", st_error_text(err));
    st_error_clear(err);
    nanosleep(&pause, NULL);
  }
  return a->lock < 0 ? st_wrap(err, "archive %s", st_quote(a->path)) : 0;
}

void st_archive_unlock(struct st_archive *a)
{
  st_cleanup_close(&a->lock);
  a->lock = -1;
}

int st_archive_objects(struct st_archive *a, enum st_store_flags flags, const struct st_keys *keys,
                       struct st_error *err)
{
  return st_store_open(&a->store, a->dir, flags, keys, err) < 0
             ? st_wrap(err, "archive %s", st_quote(a->path))
             : 0;
}

static int get_object(void *arg, const struct st_id *id, struct st_buffer *out,
                      struct st_error *err)
{
  struct st_archive *a = arg;
  if (!a->store)
    return st_fail(err, 0, "the archive's objects are not open");
  return st_store_get(a->store, id, out, err);
}

int st_archive_catalog(struct st_archive *a, const char *host, enum st_catalog_flags flags,
                       struct st_catalog **ret, struct st_error *err)
{
  const struct st_catalog_objects objects = {get_object, a};
  int r = st_catalog_open(ret, a->dir, host, flags, err);
  if (r == 0)
    st_catalog_set_objects(*ret, &objects);
  return r;
}

/* ---- Hosts ------------------------------------------------------------------------------------
 */

static int compare_text(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_number(const void *a, const void *b)
{
  long x = strtol(*(char *const *)a, NULL, 10), y = strtol(*(char *const *)b, NULL, 10);
  return (x > y) - (x < y);
}

static DIR *open_list(int dir, const char *path)
{
  int fd = st_open_beneath(dir, path, O_RDONLY | O_DIRECTORY, 0);
  return fd < 0 ? NULL : fdopendir(fd);
}

static bool has_catalog(struct st_archive *a, const char *folder)
{
  ST_AUTO_FREE char *path = st_format("hosts/%s/catalog.db", folder);
  return faccessat(a->dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int st_archive_hosts(struct st_archive *a, struct st_strings *ret, struct st_error *err)
{
  ST_AUTO_CLOSEDIR DIR *d = open_list(a->dir, "hosts");
  if (!d)
    return st_fail(err, errno, "cannot list the hosts (%s/hosts)", st_quote(a->path));
  for (struct dirent *e; (e = readdir(d));)
    if (is_id(e->d_name))
      st_strings_add(ret, e->d_name);
  if (ret->count > 0)
    qsort(ret->items, ret->count, sizeof(*ret->items), compare_text);
  return 0;
}

int st_archive_epochs(struct st_archive *a, const char *host, struct st_strings *ret,
                      struct st_error *err)
{
  ST_AUTO_FREE char *path = st_format("hosts/%s", host);
  ST_AUTO_CLOSEDIR DIR *d = open_list(a->dir, path);
  if (!d)
    return st_fail(err, errno, "cannot list the epochs (%s)", st_quote(path));
  for (struct dirent *e; (e = readdir(d));) {
    const char *number = e->d_name + 6;
    if (strncmp(e->d_name, "epoch-", 6) != 0 || strlen(number) > 18 ||
        strspn(number, "0123456789") != strlen(number))
      continue;
    ST_AUTO_FREE char *folder = st_format("%s/%s", host, e->d_name);
    if (has_catalog(a, folder))
      st_strings_add(ret, number);
  }
  if (ret->count > 0)
    qsort(ret->items, ret->count, sizeof(*ret->items), compare_number);
  return 0;
}

bool st_archive_is_wanted(struct st_archive *a, const char *host)
{
  ST_AUTO_FREE char *path = st_format("hosts/%s/" WANTED, host);
  return faccessat(a->dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int st_archive_want(struct st_archive *a, const char *host, bool wanted, struct st_error *err)
{
  ST_AUTO_FREE char *folder = st_format("hosts/%s", host);
  if (st_archive_is_wanted(a, host) == wanted)
    return 0;
  ST_AUTO_CLOSE int dir = st_open_beneath(a->dir, folder, O_RDONLY | O_DIRECTORY, 0);
  if (dir < 0)
    return st_fail(err, -dir, "cannot open (%s)", st_quote(folder));
  if (wanted)
    return st_write_file(dir, WANTED, 0600, "", 0, err);
  if ((unlinkat(dir, WANTED, 0) < 0 && errno != ENOENT) || fsync(dir) < 0)
    return st_fail(err, errno, "cannot remove (%s/" WANTED ")", st_quote(folder));
  return 0;
}

static int stat_of(struct st_archive *a, const char *host, const char *name, struct stat *st)
{
  ST_AUTO_FREE char *path = st_format("hosts/%s/%s", host, name);
  *st = (struct stat){0};
  return fstatat(a->dir, path, st, AT_SYMLINK_NOFOLLOW);
}

static void add_stamp(struct st_buffer *b, const struct stat *st)
{
  st_buffer_append(b, &st->st_ino, sizeof(st->st_ino));
  st_buffer_append(b, &st->st_size, sizeof(st->st_size));
  st_buffer_append(b, &st->st_mtim.tv_sec, sizeof(st->st_mtim.tv_sec));
  st_buffer_append(b, &st->st_mtim.tv_nsec, sizeof(st->st_mtim.tv_nsec));
}

int64_t st_archive_stamp(struct st_archive *a, const char *host, int64_t *ret_received,
                         int64_t *ret_bytes)
{
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  struct stat catalog, wal, chain;
  uint8_t digest[ST_DIGEST_SIZE];
  int64_t stamp;
  if (stat_of(a, host, "catalog.db", &catalog) < 0)
    return 0;
  stat_of(a, host, "catalog.db-wal", &wal);
  stat_of(a, host, "chain", &chain);
  add_stamp(&b, &catalog);
  add_stamp(&b, &wal);
  st_digest(digest, b.data, b.length);
  memcpy(&stamp, digest, sizeof(stamp));
  *ret_received = chain.st_mtim.tv_sec;
  *ret_bytes = catalog.st_size + chain.st_size;
  return stamp ? stamp : 1;
}

/* The content that the first table with an object names for the path. */
static int read_kept(struct st_archive *a, struct st_catalog *c, const char *path,
                     struct st_buffer *out)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  const struct st_catalog_table *table;
  struct st_value key = st_path_value(path);
  for (size_t n = 0; (table = st_catalog_table_at(c, n)); n++) {
    ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
    if (!(table->declaration.flags & ST_TABLE_ENTRY) ||
        st_catalog_fact(c, st_catalog_latest(c), table, &key, &fact, &ignored) < 0)
      continue;
    for (size_t i = 1; fact->present && i < table->declaration.ncolumns; i++)
      if ((table->declaration.columns[i].flags & ST_OBJECT) && fact->values[i].type == ST_ID &&
          !fact->values[i].u.id.keyed)
        return st_store_get(a->store, &fact->values[i].u.id, out, &ignored);
  }
  return -1;
}

char *st_archive_host_name(struct st_archive *a, const char *host)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  ST_CLEANUP(st_catalog_closep) struct st_catalog *c = NULL;
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  if (!a->store || st_archive_catalog(a, host, ST_CATALOG_READ, &c, &ignored) < 0 ||
      read_kept(a, c, "/etc/hostname", &text) < 0 || text.length == 0 || text.length > 1024)
    return NULL;
  size_t n = strcspn(text.data, " \t\n");
  return n > 0 ? st_escaped(text.data, n) : NULL;
}

static bool host_matches(struct st_archive *a, const char *id, const char *text, size_t n)
{
  if (st_host_id_begins(id, text, n))
    return true;
  ST_AUTO_FREE char *name = st_archive_host_name(a, id);
  return name && strlen(name) == n && memcmp(name, text, n) == 0;
}

static bool is_epoch(const char *text)
{
  return *text == 0 || (strncmp(text, "/epoch-", 7) == 0 && text[7] && strlen(text) < 26 &&
                        strspn(text + 7, "0123456789") == strlen(text + 7));
}

static int fail_ambiguous(const struct st_strings *ids, const char *text, struct st_error *err)
{
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  for (size_t i = 0; i < ids->count; i++)
    st_buffer_printf(&list, "%s%s", i ? ", " : "", ids->items[i]);
  return st_fail(err, 0, "more than one host is named so: give the id, one of %s (%s)", list.data,
                 st_quote(text));
}

int st_archive_find_host(struct st_archive *a, const char *text, char **ret, struct st_error *err)
{
  ST_AUTO_STRINGS ids = {0}, found = {0};
  size_t n = strcspn(text, "/");
  if (st_archive_hosts(a, &ids, err) < 0)
    return -1;
  if (!is_epoch(text + n))
    return st_fail(err, 0, "no such host: ID or ID/epoch-N names one (%s)", st_quote(text));
  for (size_t i = 0; i < ids.count; i++)
    if (host_matches(a, ids.items[i], text, n))
      st_strings_add(&found, ids.items[i]);
  if (found.count == 0)
    return st_fail(err, 0, "there is no such host in the archive (%s)", st_quote(text));
  if (found.count > 1)
    return fail_ambiguous(&found, text, err);
  *ret = st_format("%s%s", found.items[0], text + n);
  return 0;
}

/* ---- Two catalogs of one host
 * -------------------------------------------------------------------- */

static int header_digest(struct st_catalog *c, int64_t number, uint8_t out[ST_DIGEST_SIZE],
                         struct st_error *err)
{
  struct st_checkpoint cp;
  if (st_catalog_checkpoint(c, number, &cp, err) < 0)
    return -1;
  memcpy(out, cp.header_digest, ST_DIGEST_SIZE);
  st_checkpoint_clear(&cp);
  return 0;
}

int st_relate(struct st_catalog *from, struct st_catalog *to, enum st_relation *ret,
              struct st_error *err)
{
  int64_t n = st_catalog_latest(from), m = st_catalog_latest(to), common = n < m ? n : m;
  uint8_t a[ST_DIGEST_SIZE], b[ST_DIGEST_SIZE];
  *ret = n == m ? ST_SAME : n < m ? ST_AHEAD : ST_BEHIND;
  if (common == 0)
    return 0;
  if (header_digest(from, common, a, err) < 0 || header_digest(to, common, b, err) < 0)
    return -1;
  if (memcmp(a, b, sizeof(a)) != 0)
    *ret = ST_DIVERGED;
  return 0;
}

/* The catalog alone makes its chain again: so that goes first, and what is left between the two is
 * whole. */
int st_retire(int store_dirfd, const char *host, int64_t epoch, struct st_error *err)
{
  ST_AUTO_FREE char *folder = st_format("hosts/%s", host);
  ST_AUTO_FREE char *aside = st_format("epoch-%lld", (long long)epoch);
  ST_AUTO_CLOSE int from = st_open_beneath(store_dirfd, folder, O_RDONLY | O_DIRECTORY, 0);
  if (from < 0)
    return st_fail(err, -from, "cannot open (%s)", st_quote(folder));
  if (st_make_dirs(from, aside, 0700, err) < 0)
    return -1;
  ST_AUTO_CLOSE int to = st_open_beneath(from, aside, O_RDONLY | O_DIRECTORY, 0);
  if (to < 0)
    return st_fail(err, -to, "cannot open (%s/%s)", st_quote(folder), aside);
  if (faccessat(to, "catalog.db", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return st_fail(err, 0, "there is an epoch %lld already: nothing was changed (%s)",
                   (long long)epoch, st_quote(folder));
  if ((renameat(from, "chain", to, "chain") < 0 && errno != ENOENT) || fsync(to) < 0 ||
      renameat(from, "catalog.db", to, "catalog.db") < 0 || fsync(to) < 0 || fsync(from) < 0)
    return st_fail(err, errno, "cannot put the epoch aside (%s/%s)", st_quote(folder), aside);
  return 0;
}
