/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * prove.c - contents proved by the MD5 that a package declares, and named by their SHA-256: each
 * read once, for both, and for the scan behind it, which takes what is noted here for a digest.
 *
 * Small contents are held until there are enough of them to be hashed side by side
 * (base/hashes.h).  Longer ones are read in pieces.
 */
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "systracker/base/file.h"
#include "systracker/base/hashes.h"
#include "systracker/tracker/tracker.h"

#define MOST_HELD 240                /* files */
#define SMALL ((uint64_t)1 << 20)    /* bytes of the longest file that is held */
#define MOST_BYTES ((size_t)8 << 20) /* of all of them */
#define PIECE ((size_t)256 << 10)    /* bytes of a longer one, in `held` */
#define MD5_DIGITS (2 * ST_MD5_SIZE)
#define SETTLED 2 /* seconds that a change has to be past, see st_written */

/* A file that is open, as it was before it was read. */
struct proved {
  struct st_proof *proof; /* NULL: none */
  int fd;
  struct st_meta meta;
  bool steady; /* what was read is what `meta` is of */
};

struct st_prover {
  const struct st_context *ctx;
  char *folder; /* that `fd` is; NULL: none */
  int fd;
  struct st_hashes *hashes;
  char *held;
  size_t used, count;
  struct proved files[MOST_HELD];
  struct st_hash contents[MOST_HELD];
  struct st_digester *digester; /* of longer ones */
};

struct st_prover *st_prover_new(const struct st_context *ctx)
{
  struct st_prover *p = st_calloc(1, sizeof(*p));
  p->ctx = ctx;
  p->fd = -1;
  p->hashes = st_hashes_new();
  p->held = st_malloc(MOST_BYTES);
  p->digester = st_digester_new_with_md5();
  return p;
}

void st_prover_free(struct st_prover *p)
{
  if (!p)
    return;
  st_digester_free(p->digester);
  if (p->fd >= 0)
    close(p->fd);
  free(p->folder);
  free(p->held);
  st_hashes_free(p->hashes);
  free(p);
}

/* ---- A file ---------------------------------------------------------------------------------- */

/* The directory of the path: files of one come together. */
static int open_folder(struct st_prover *p, const char *path, size_t length)
{
  if (p->folder && strlen(p->folder) == length && memcmp(p->folder, path, length) == 0)
    return p->fd;
  free(st_steal(&p->folder));
  if (p->fd >= 0)
    close(p->fd);
  const char *name;
  ST_AUTO_FREE char *inside = st_format("%.*s/x", (int)length, path);
  p->fd = st_open_parent(p->ctx->root, inside, &name);
  p->folder = st_memdup(path, length);
  return p->fd;
}

/* To read is not to use: its time of access stays, where we may say so. */
static int open_file(struct st_prover *p, const char *path)
{
  const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  const char *slash = strrchr(path, '/');
  if (!slash || strlen(path) > INT16_MAX)
    return -1;
  int folder = open_folder(p, path, (size_t)(slash - path));
  int fd = folder < 0 ? -1 : openat(folder, slash + 1, flags | O_NOATIME);
  if (fd < 0 && folder >= 0 && errno == EPERM)
    fd = openat(folder, slash + 1, flags);
  return fd;
}

/* false: it is not there, or no regular file; nothing is open. */
static bool begin(struct st_prover *p, struct st_proof *proof, struct proved *f)
{
  proof->proved = false;
  f->fd = open_file(p, proof->path);
  if (f->fd < 0)
    return false;
  if (st_meta_read(f->fd, "", &f->meta) < 0 || f->meta.type != 'f') {
    close(f->fd);
    return false;
  }
  f->proof = proof;
  return true;
}

static bool same_state(const struct st_meta *a, const struct st_meta *b)
{
  return a->size == b->size && a->mtime == b->mtime && a->mtime_nsec == b->mtime_nsec &&
         a->ctime == b->ctime && a->ctime_nsec == b->ctime_nsec;
}

/* Whether nobody changed it while it was read; not told within the times that a file system may
 * give to two changes alike. */
static bool is_steady(const struct proved *f)
{
  struct st_meta behind;
  return st_meta_read(f->fd, "", &behind) == 0 && same_state(&f->meta, &behind) &&
         f->proof->size == behind.size && behind.ctime < time(NULL) - SETTLED;
}

static bool is_declared(const struct st_proof *proof, const uint8_t md5[ST_MD5_SIZE])
{
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < MD5_DIGITS; i++) {
    if (proof->md5[i] != digits[md5[i / 2] >> (i % 2 ? 0 : 4) & 15])
      return false;
  }
  return true;
}

/* `md5`: NULL where there is none. */
static void conclude(struct st_prover *p, struct proved *f, const uint8_t *md5)
{
  f->proof->proved = md5 && is_declared(f->proof, md5);
  const struct st_written_entry entry = {.has_digest = true, .digest = f->proof->digest};
  if (f->steady)
    st_written_add(p->ctx->tracker->proved, &f->meta, &entry);
}

/* Up to `most` bytes, fewer at the end alone; -1: it cannot be read. */
static ssize_t read_up_to(int fd, char *data, size_t most)
{
  size_t length = 0;
  ssize_t n = 1;
  while (n > 0 && length < most) {
    n = read(fd, data + length, most - length);
    if (n < 0 && errno != EINTR)
      return -1;
    length += n > 0 ? (size_t)n : 0;
    n = n < 0 ? 1 : n;
  }
  return (ssize_t)length;
}

/* ---- Small ones ------------------------------------------------------------------------------ */

static void hash_held(struct st_prover *p)
{
  uint8_t md5[ST_MD5_SIZE];
  if (p->count > 0)
    st_hashes_compute(p->hashes, p->contents, p->count);
  for (size_t i = 0; i < p->count; i++) {
    bool known = st_md5(md5, p->contents[i].data, p->contents[i].length);
    conclude(p, &p->files[i], known ? md5 : NULL);
  }
  p->count = p->used = 0;
}

static void hold(struct st_prover *p, struct proved *f, size_t length)
{
  char *content = p->held + p->used;
  f->proof->size = length;
  f->proof->digest = (struct st_id){.keyed = 0};
  f->steady = is_steady(f);
  p->contents[p->count] = (struct st_hash){content, length, f->proof->digest.digest};
  p->used += length;
  p->count++;
}

/* false: it is too long for that. */
static bool try_small(struct st_prover *p, struct st_proof *proof)
{
  if (p->count == MOST_HELD || p->used + SMALL + 1 > MOST_BYTES)
    hash_held(p);
  struct proved *f = &p->files[p->count];
  if (!begin(p, proof, f))
    return true;
  bool small = f->meta.size <= SMALL;
  ssize_t n = small ? read_up_to(f->fd, p->held + p->used, SMALL + 1) : 0;
  if (n > (ssize_t)SMALL) /* it grows */
    small = false;
  if (small && n >= 0)
    hold(p, f, (size_t)n);
  close(f->fd);
  return small;
}

/* ---- Longer ones ----------------------------------------------------------------------------- */

/* -1: it cannot be read. */
static int read_through(struct st_prover *p, struct proved *f)
{
  ssize_t n;
  f->proof->size = 0;
  do {
    n = read_up_to(f->fd, p->held, PIECE);
    if (n > 0)
      st_digester_add(p->digester, p->held, (size_t)n);
    f->proof->size += n > 0 ? (uint64_t)n : 0;
  } while (n == (ssize_t)PIECE);
  return n < 0 ? -1 : 0;
}

/* Nothing is held: its place is for the pieces. */
static void prove_longer(struct st_prover *p, struct st_proof *proof)
{
  struct proved f;
  uint8_t md5[ST_MD5_SIZE];
  if (!begin(p, proof, &f))
    return;
  int r = read_through(p, &f);
  proof->digest = (struct st_id){.keyed = 0};
  bool known = st_digester_md5(p->digester, md5);
  st_digester_final(p->digester, proof->digest.digest);
  f.steady = is_steady(&f);
  if (r == 0)
    conclude(p, &f, known ? md5 : NULL);
  close(f.fd);
}

void st_prove(struct st_prover *p, struct st_proof *list, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    if (try_small(p, &list[i]))
      continue;
    hash_held(p);
    prove_longer(p, &list[i]);
  }
  hash_held(p);
}
