/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/hosts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "archive-sync/serve/sent.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/tracker/sealed.h"

struct entry {
  bool busy, known, seen; /* known: the digests are */
  struct st_host_digests digests;
  struct timespec at[2]; /* as of when: see state() */
};

struct st_hosts {
  int dir;
  uint8_t secret[ST_KEY_SIZE]; /* of nonces; of this run */
  pthread_mutex_t lock;
  struct st_set *ids; /* number: place of the entry */
  struct entry *entries;
  size_t count, size;
};

int st_hosts_new(struct st_hosts **ret, int archive_dir, struct st_error *err)
{
  ST_CLEANUP(st_hosts_freep) struct st_hosts *h = st_calloc(1, sizeof(*h));
  h->dir = archive_dir;
  h->ids = st_set_new();
  pthread_mutex_init(&h->lock, NULL);
  if (st_random(h->secret, sizeof(h->secret), err) < 0)
    return -1;
  *ret = st_steal(&h);
  return 0;
}

void st_hosts_free(struct st_hosts *h)
{
  st_set_free(h->ids);
  free(h->entries);
  pthread_mutex_destroy(&h->lock);
  free(h);
}

/* The lock is held; valid until another is made. */
static struct entry *find(struct st_hosts *h, const char *host)
{
  uint64_t n;
  if (st_set_get(h->ids, host, strlen(host), &n))
    return &h->entries[n];
  if (h->count == h->size) {
    h->size = h->size ? 2 * h->size : 64;
    h->entries = st_realloc(h->entries, h->size, sizeof(*h->entries));
  }
  st_set_add(h->ids, host, strlen(host), h->count);
  h->entries[h->count] = (struct entry){0};
  return &h->entries[h->count++];
}

bool st_hosts_begin(struct st_hosts *h, const char *host)
{
  pthread_mutex_lock(&h->lock);
  struct entry *e = find(h, host);
  bool mine = !e->busy;
  e->busy = true;
  pthread_mutex_unlock(&h->lock);
  return mine;
}

void st_hosts_end(struct st_hosts *h, const char *host)
{
  pthread_mutex_lock(&h->lock);
  find(h, host)->busy = false;
  pthread_mutex_unlock(&h->lock);
}

bool st_hosts_seen(struct st_hosts *h, const char *host)
{
  pthread_mutex_lock(&h->lock);
  bool seen = find(h, host)->seen;
  pthread_mutex_unlock(&h->lock);
  return seen;
}

void st_hosts_see(struct st_hosts *h, const char *host)
{
  pthread_mutex_lock(&h->lock);
  find(h, host)->seen = true;
  pthread_mutex_unlock(&h->lock);
}

/* ---- Digests -----------------------------------------------------------------------------------
 */

static int compare_digests(const void *a, const void *b)
{
  return memcmp(a, b, ST_DIGEST_SIZE);
}

/* Of the contents, each once, under however many names. */
static void digest_list(struct st_buffer *list, char *ret)
{
  uint8_t digest[ST_DIGEST_SIZE];
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  const size_t size = 2 * ST_DIGEST_SIZE;
  const char *before = NULL;
  if (list->length < size)
    return;
  qsort(list->data, list->length / size, size, compare_digests);
  for (size_t at = 0; at + size <= list->length; at += size) {
    if (!before || memcmp(before, list->data + at, ST_DIGEST_SIZE) != 0)
      st_digester_add(d, list->data + at, ST_DIGEST_SIZE);
    before = list->data + at;
  }
  st_digester_final(d, digest);
  st_hex(ret, digest, sizeof(digest));
}

/* Of a key that was sealed to others than those who are to open it now, there is none: the host
 * seals it anew. */
static int digest_key(struct st_hosts *h, const char *host, char *ret, struct st_error *err)
{
  ST_AUTO_BUFFER key = ST_BUFFER_INIT;
  uint8_t digest[ST_DIGEST_SIZE];
  ST_AUTO_FREE char *folder = st_format("hosts/%s", host);
  ST_AUTO_CLOSE int dir = st_open_beneath(h->dir, folder, O_RDONLY | O_DIRECTORY, 0);
  int r = dir < 0 ? -ENOENT : st_read_file(dir, ST_SEALED_KEY, ST_SEALED_KEY_MAX, &key, err);
  if (r == -ENOENT) {
    st_error_clear(err);
    return 0;
  }
  if (r < 0 || !st_archive_is_sealed(dir, h->dir))
    return r;
  st_digest(digest, key.data ? key.data : "", key.length);
  st_hex(ret, digest, sizeof(digest));
  return 0;
}

static int make_digests(struct st_hosts *h, const char *host, struct st_host_digests *ret,
                        struct st_error *err)
{
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  *ret = (struct st_host_digests){0};
  if (st_sent_read(h->dir, host, ST_SENT_PACKAGES, &list, err) < 0)
    return -1;
  digest_list(&list, ret->packages);
  return digest_key(h, host, ret->key, err);
}

/* What others change beside the server: to whom keys are sealed, and that gc removed package files
 * (st_sent_drop_claims). */
static void state(const struct st_hosts *h, struct timespec ret[2])
{
  static const char *const names[] = {"archive", ST_PACKAGES_DIR};
  for (size_t i = 0; i < ST_COUNT(names); i++) {
    struct stat st = {0};
    ret[i] =
        fstatat(h->dir, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0 ? (struct timespec){0} : st.st_mtim;
  }
}

int st_hosts_digests(struct st_hosts *h, const char *host, struct st_host_digests *ret,
                     struct st_error *err)
{
  struct timespec now[2];
  state(h, now);
  pthread_mutex_lock(&h->lock);
  const struct entry *there = find(h, host);
  bool known = there->known && memcmp(there->at, now, sizeof(now)) == 0;
  *ret = find(h, host)->digests;
  pthread_mutex_unlock(&h->lock);
  if (known)
    return 0;
  if (make_digests(h, host, ret, err) < 0)
    return -1;
  pthread_mutex_lock(&h->lock);
  struct entry *e = find(h, host);
  /* While a request of the host goes on, they may be others the next moment. */
  e->known = !e->busy;
  e->digests = *ret;
  memcpy(e->at, now, sizeof(now));
  pthread_mutex_unlock(&h->lock);
  return 0;
}

void st_hosts_changed(struct st_hosts *h, const char *host)
{
  pthread_mutex_lock(&h->lock);
  find(h, host)->known = false;
  pthread_mutex_unlock(&h->lock);
}

/* ---- Nonces ------------------------------------------------------------------------------------
 */

/* Time 8, name 8, proof 16 bytes. */
#define NAME_AT 8
#define PROOF_AT 16
#define NONCE_BYTES 32

static void name_bytes(const char *file, uint8_t out[8])
{
  uint8_t digest[ST_DIGEST_SIZE];
  st_digest(digest, file, strlen(file));
  memcpy(out, digest, 8);
}

/* Fills the last part in. */
static void seal_nonce(struct st_hosts *h, const char *host, const char *digest,
                       uint8_t bytes[NONCE_BYTES])
{
  uint8_t mac[ST_DIGEST_SIZE];
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  st_buffer_printf(&text, "%s %s ", host, digest);
  st_buffer_append(&text, bytes, PROOF_AT);
  st_hmac(mac, h->secret, sizeof(h->secret), text.data, text.length);
  memcpy(bytes + PROOF_AT, mac, NONCE_BYTES - PROOF_AT);
}

void st_hosts_nonce(struct st_hosts *h, const char *host, const char *digest, const char *file,
                    int64_t now, char ret[ST_NONCE_SIZE])
{
  uint8_t bytes[NONCE_BYTES];
  for (int i = 0; i < NAME_AT; i++)
    bytes[i] = (uint8_t)((uint64_t)now >> (56 - 8 * i));
  name_bytes(file, bytes + NAME_AT);
  seal_nonce(h, host, digest, bytes);
  st_hex(ret, bytes, sizeof(bytes));
}

bool st_hosts_nonce_is(struct st_hosts *h, const char *host, const char *digest, const char *nonce,
                       int64_t now)
{
  uint8_t said[NONCE_BYTES], is[NONCE_BYTES], differs = 0;
  uint64_t time = 0;
  if (!st_unhex(said, sizeof(said), nonce))
    return false;
  memcpy(is, said, PROOF_AT);
  seal_nonce(h, host, digest, is);
  for (size_t i = 0; i < NONCE_BYTES; i++)
    differs |= said[i] ^ is[i];
  for (int i = 0; i < NAME_AT; i++)
    time = time << 8 | said[i];
  return differs == 0 && time <= (uint64_t)now && (uint64_t)now - time <= ST_NONCE_SECONDS;
}

bool st_hosts_nonce_names(const char *nonce, const char *file)
{
  uint8_t said[NONCE_BYTES], is[8];
  name_bytes(file, is);
  return st_unhex(said, sizeof(said), nonce) && memcmp(said + NAME_AT, is, sizeof(is)) == 0;
}
