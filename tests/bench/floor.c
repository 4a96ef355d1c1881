/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * floor.c - what a kind of work costs at least, with nothing of a tracker in it:
 *
 *   floor walk DIR          lists every directory and calls statx(2) for each entry
 *   floor read PATH...      the same, and reads each regular file; a path may be a file, too
 *   floor hash DIR          the same, reads and hashes (SHA-256 of libgcrypt) each regular file
 *   floor compress DIR OUT  the same, and compresses each file by zstd -3 into the one file OUT
 *   floor hash-list DIR     reads and hashes the files named on standard input (ended by NULs)
 *
 * Two threads (FLOOR_THREADS=N: another number) take directories, and files in small lots, from one
 * stack.  Directories are opened from the one above, not by path.  What was counted goes to
 * standard output.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <gcrypt.h>
#include <libgen.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "systracker/base/buffer.h"
#include "systracker/base/digest.h"
#include "systracker/base/file.h"

#define LOT_FILES 32
#define LOT_BYTES ((uint64_t)4 << 20)
#define PIECE ((size_t)256 << 10)
#define OUT_PIECE ((size_t)4 << 20)
#define LEVEL 3

enum kind {
  WALK,
  READ,
  HASH,
  COMPRESS,
};

/* An open directory, until nothing that waits needs it. */
struct folder {
  int fd;
  atomic_int users;
};

/* A directory to list (files 0: `names` is its name), or some files to read. */
struct item {
  struct item *next;
  struct folder *above;
  struct st_buffer names; /* each with its NUL */
  size_t files;
  uint64_t bytes;
};

struct count {
  uint64_t entries, folders, files, bytes, compressed, failed;
};

struct floor {
  enum kind kind;
  pthread_mutex_t lock;
  pthread_cond_t more;
  struct item *stack;
  unsigned busy;
  struct count count;
  pthread_mutex_t out_lock;
  struct st_buffer out_data;
  int out;
};

/* What a thread has for itself. */
struct worker {
  struct floor *floor;
  struct count count;
  gcry_md_hd_t digester;
  ZSTD_CCtx *compressor;
  struct st_buffer content, compressed;
  _Alignas(struct dirent64) char names[65536];
};

static void die(const char *what)
{
  fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
  exit(ST_EXIT_TROUBLE);
}

/* ---- The stack ------------------------------------------------------------------------------- */

static struct item *new_item(struct folder *above)
{
  struct item *i = st_calloc(1, sizeof(*i));
  i->above = above;
  atomic_fetch_add(&above->users, 1);
  return i;
}

static void leave(struct folder *f)
{
  if (atomic_fetch_sub(&f->users, 1) > 1)
    return;
  close(f->fd);
  free(f);
}

static void free_item(struct item *i)
{
  leave(i->above);
  st_buffer_free(&i->names);
  free(i);
}

static void push(struct floor *f, struct item *first)
{
  if (!first)
    return;
  struct item *last = first;
  while (last->next)
    last = last->next;
  pthread_mutex_lock(&f->lock);
  last->next = f->stack;
  f->stack = first;
  pthread_cond_broadcast(&f->more);
  pthread_mutex_unlock(&f->lock);
}

/* NULL: there is nothing left, and nobody who could find more. */
static struct item *pop(struct floor *f, bool was_busy)
{
  pthread_mutex_lock(&f->lock);
  f->busy -= was_busy;
  while (!f->stack && f->busy > 0)
    pthread_cond_wait(&f->more, &f->lock);
  struct item *i = f->stack;
  if (i) {
    f->stack = i->next;
    f->busy++;
  } else {
    pthread_cond_broadcast(&f->more);
  }
  pthread_mutex_unlock(&f->lock);
  return i;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static int open_file(int dir, const char *name)
{
  int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);
  return fd < 0 && errno == EPERM ? openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : fd;
}

static void hash(struct worker *w, int fd)
{
  gcry_md_reset(w->digester);
  st_buffer_reserve(&w->content, PIECE);
  ssize_t n;
  while ((n = read(fd, w->content.data, PIECE)) > 0) {
    gcry_md_write(w->digester, w->content.data, (size_t)n);
    w->count.bytes += (uint64_t)n;
  }
  gcry_md_read(w->digester, GCRY_MD_SHA256);
  w->count.failed += n < 0;
}

/* So that it is in the page cache. */
static void only_read(struct worker *w, int fd)
{
  st_buffer_reserve(&w->content, PIECE);
  ssize_t n;
  while ((n = read(fd, w->content.data, PIECE)) > 0)
    w->count.bytes += (uint64_t)n;
  w->count.failed += n < 0;
}

static void write_out(struct floor *f, const void *data, size_t length)
{
  pthread_mutex_lock(&f->out_lock);
  st_buffer_append(&f->out_data, data, length);
  if (f->out_data.length >= OUT_PIECE) {
    if (st_write_all(f->out, f->out_data.data, f->out_data.length, NULL) < 0)
      die("cannot write");
    st_buffer_clear(&f->out_data);
  }
  pthread_mutex_unlock(&f->out_lock);
}

static void compress(struct worker *w, int fd)
{
  st_buffer_clear(&w->content);
  ssize_t n;
  do {
    st_buffer_reserve(&w->content, PIECE);
    n = read(fd, w->content.data + w->content.length, w->content.size - w->content.length - 1);
    w->content.length += n > 0 ? (size_t)n : 0;
  } while (n > 0);
  gcry_md_reset(w->digester);
  gcry_md_write(w->digester, w->content.data, w->content.length);
  gcry_md_read(w->digester, GCRY_MD_SHA256);
  size_t most = ZSTD_compressBound(w->content.length);
  st_buffer_clear(&w->compressed);
  st_buffer_reserve(&w->compressed, most);
  size_t length = ZSTD_compressCCtx(w->compressor, w->compressed.data, most, w->content.data,
                                    w->content.length, LEVEL);
  if (ZSTD_isError(length))
    die(ZSTD_getErrorName(length));
  write_out(w->floor, w->compressed.data, length);
  w->count.bytes += w->content.length;
  w->count.compressed += length;
  w->count.failed += n < 0;
}

static void read_files(struct worker *w, const struct item *i)
{
  const char *name = i->names.data;
  for (size_t n = 0; n < i->files; n++, name += strlen(name) + 1) {
    ST_AUTO_CLOSE int fd = open_file(i->above->fd, name);
    w->count.files += fd >= 0;
    if (fd < 0)
      w->count.failed++;
    else if (w->floor->kind == COMPRESS)
      compress(w, fd);
    else if (w->floor->kind == READ)
      only_read(w, fd);
    else
      hash(w, fd);
  }
}

/* ---- Directories ----------------------------------------------------------------------------- */

/* A lot that is full goes to the front, and a new one is begun. */
static void add_file(struct item **list, struct folder *above, const char *name, uint64_t size)
{
  struct item *lot = *list;
  if (!lot || lot->files == 0 || lot->files >= LOT_FILES || lot->bytes >= LOT_BYTES) {
    lot = new_item(above);
    lot->next = *list;
    *list = lot;
  }
  st_buffer_append(&lot->names, name, strlen(name) + 1);
  lot->files++;
  lot->bytes += size;
}

static void add_folder(struct item **list, struct folder *above, const char *name)
{
  struct item *i = new_item(above);
  st_buffer_append(&i->names, name, strlen(name) + 1);
  /* Behind the lot of files that is being filled. */
  struct item **at = *list && (*list)->files ? &(*list)->next : list;
  i->next = *at;
  *at = i;
}

static void look_at(struct worker *w, struct folder *f, const char *name, struct item **list)
{
  struct statx s;
  if (statx(f->fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &s) < 0) {
    w->count.failed++;
    return;
  }
  w->count.entries++;
  if (S_ISDIR(s.stx_mode))
    add_folder(list, f, name);
  else if (S_ISREG(s.stx_mode) && w->floor->kind != WALK)
    add_file(list, f, name, s.stx_size);
}

static bool is_dot(const char *name)
{
  return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static void list_names(struct worker *w, struct folder *f, struct item **list)
{
  ssize_t n;
  while ((n = getdents64(f->fd, w->names, sizeof(w->names))) > 0) {
    for (ssize_t at = 0; at < n;) {
      const struct dirent64 *e = (const struct dirent64 *)(w->names + at);
      at += e->d_reclen;
      if (!is_dot(e->d_name))
        look_at(w, f, e->d_name, list);
    }
  }
  w->count.failed += n < 0;
}

static void list_folder(struct worker *w, const struct item *i)
{
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  int fd = openat(i->above->fd, i->names.data, flags | O_NOATIME);
  if (fd < 0 && errno == EPERM)
    fd = openat(i->above->fd, i->names.data, flags);
  if (fd < 0) {
    w->count.failed++;
    return;
  }
  struct folder *f = st_calloc(1, sizeof(*f));
  f->fd = fd;
  f->users = 1;
  struct item *list = NULL;
  w->count.folders++;
  list_names(w, f, &list);
  push(w->floor, list);
  leave(f);
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void add_count(struct count *to, const struct count *from)
{
  to->entries += from->entries;
  to->folders += from->folders;
  to->files += from->files;
  to->bytes += from->bytes;
  to->compressed += from->compressed;
  to->failed += from->failed;
}

static void *work(void *arg)
{
  struct worker w = {.floor = arg};
  if (gcry_md_open(&w.digester, GCRY_MD_SHA256, 0) || !(w.compressor = ZSTD_createCCtx()))
    die("cannot start");
  for (struct item *i = pop(w.floor, false); i; i = pop(w.floor, true)) {
    if (i->files)
      read_files(&w, i);
    else
      list_folder(&w, i);
    free_item(i);
  }
  pthread_mutex_lock(&w.floor->lock);
  add_count(&w.floor->count, &w.count);
  pthread_mutex_unlock(&w.floor->lock);
  gcry_md_close(w.digester);
  ZSTD_freeCCtx(w.compressor);
  st_buffer_free(&w.content);
  st_buffer_free(&w.compressed);
  return NULL;
}

static void run_threads(struct floor *f)
{
  const char *wanted = getenv("FLOOR_THREADS");
  size_t n = wanted ? strtoul(wanted, NULL, 10) : 2;
  ST_AUTO_FREE pthread_t *threads = st_calloc(n, sizeof(*threads));
  for (size_t i = 0; i < n; i++)
    if ((errno = pthread_create(&threads[i], NULL, work, f)))
      die("cannot start a thread");
  for (size_t i = 0; i < n; i++)
    pthread_join(threads[i], NULL);
}

/* ---- What is asked for ----------------------------------------------------------------------- */

static struct folder *open_top(const char *path)
{
  struct folder *top = st_calloc(1, sizeof(*top));
  top->users = 1;
  top->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (top->fd < 0)
    die(path);
  return top;
}

static void push_folder(struct floor *f, const char *path)
{
  struct folder *top = open_top(path);
  struct item *first = NULL;
  add_folder(&first, top, ".");
  push(f, first);
  leave(top);
}

static void push_file(struct floor *f, const char *path)
{
  ST_AUTO_FREE char *folder = st_strdup(path), *name = st_strdup(path);
  struct folder *top = open_top(dirname(folder));
  struct item *first = NULL;
  add_file(&first, top, basename(name), 0);
  push(f, first);
  leave(top);
}

static void push_paths(struct floor *f, char **paths)
{
  for (; *paths; paths++) {
    struct stat s;
    if (stat(*paths, &s) < 0)
      die(*paths);
    if (S_ISDIR(s.st_mode))
      push_folder(f, *paths);
    else
      push_file(f, *paths);
  }
}

static void push_list(struct floor *f, const char *path)
{
  struct folder *top = open_top(path);
  struct item *list = NULL;
  ST_AUTO_FREE char *name = NULL;
  size_t size = 0;
  while (getdelim(&name, &size, 0, stdin) > 0)
    add_file(&list, top, name, 0);
  push(f, list);
  leave(top);
}

static enum kind kind_of(const char *word, int argc)
{
  if (argc == 3 && strcmp(word, "walk") == 0)
    return WALK;
  if (argc >= 3 && strcmp(word, "read") == 0)
    return READ;
  if (argc == 3 && (strcmp(word, "hash") == 0 || strcmp(word, "hash-list") == 0))
    return HASH;
  if (argc == 4 && strcmp(word, "compress") == 0)
    return COMPRESS;
  fputs("usage: floor walk|hash|hash-list DIR | compress DIR OUT | read PATH...\n", stderr);
  exit(ST_EXIT_TROUBLE);
}

static void print_count(const struct count *c)
{
  printf("entries %llu folders %llu files %llu bytes %llu compressed %llu failed %llu\n",
         (unsigned long long)c->entries, (unsigned long long)c->folders,
         (unsigned long long)c->files, (unsigned long long)c->bytes,
         (unsigned long long)c->compressed, (unsigned long long)c->failed);
}

int main(int argc, char **argv)
{
  struct floor f = {.kind = kind_of(argc > 1 ? argv[1] : "", argc),
                    .lock = PTHREAD_MUTEX_INITIALIZER,
                    .more = PTHREAD_COND_INITIALIZER,
                    .out_lock = PTHREAD_MUTEX_INITIALIZER,
                    .out = -1};
  st_digest_init();
  if (f.kind == COMPRESS)
    f.out = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (f.kind == COMPRESS && f.out < 0)
    die(argv[3]);
  if (strcmp(argv[1], "hash-list") == 0)
    push_list(&f, argv[2]);
  else if (f.kind == READ)
    push_paths(&f, argv + 2);
  else
    push_folder(&f, argv[2]);
  run_threads(&f);
  if (f.kind == COMPRESS &&
      (st_write_all(f.out, f.out_data.data, f.out_data.length, NULL) < 0 || close(f.out) < 0))
    die(argv[3]);
  st_buffer_free(&f.out_data);
  print_count(&f.count);
  return f.count.failed ? ST_EXIT_INCOMPLETE : ST_EXIT_OK;
}
