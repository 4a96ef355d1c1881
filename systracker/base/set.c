/* SPDX-License-Identifier: GPL-2.0-or-later */
/* set.c - open addressing with linear probing; the strings lie one after another in one buffer.
 * The hash is SipHash-1-3 (Aumasson and Bernstein, 2012; the reduced rounds that Linux, Rust and
 * Python use for tables). */
#include "config.h"

#include "systracker/base/set.h"

#include <endian.h>
#include <string.h>
#include <sys/random.h>

#include "systracker/base/buffer.h"

struct slot {
  uint64_t hash; /* 0: empty */
  size_t offset, length;
  uint64_t number;
};

struct st_set {
  uint64_t key[2];
  struct slot *slots;
  size_t nslots; /* a power of two */
  size_t count;
  struct st_buffer bytes;
};

static uint64_t rotate(uint64_t x, unsigned n)
{
  return x << n | x >> (64 - n);
}

/* In place, so that the four words stay in registers. */
__attribute__((always_inline)) static inline void sip_round(uint64_t v[4])
{
  v[0] += v[1];
  v[1] = rotate(v[1], 13) ^ v[0];
  v[0] = rotate(v[0], 32);
  v[2] += v[3];
  v[3] = rotate(v[3], 16) ^ v[2];
  v[0] += v[3];
  v[3] = rotate(v[3], 21) ^ v[0];
  v[2] += v[1];
  v[1] = rotate(v[1], 17) ^ v[2];
  v[2] = rotate(v[2], 32);
}

static uint64_t siphash13(const uint64_t key[2], const uint8_t *data, size_t n)
{
  uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                   key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
  uint64_t word;
  size_t left = n;
  for (; left >= 8; left -= 8, data += 8) {
    memcpy(&word, data, 8);
    word = le64toh(word);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
  }
  word = (uint64_t)n << 56;
  for (size_t i = 0; i < left; i++)
    word |= (uint64_t)data[i] << (8 * i);
  v[3] ^= word;
  sip_round(v);
  v[0] ^= word;
  v[2] ^= 0xff;
  for (int i = 0; i < 3; i++)
    sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Where the kernel has no randomness yet, the key is the address: better than none. */
static void make_key(uint64_t key[2])
{
  if (getrandom(key, 2 * sizeof *key, GRND_NONBLOCK) != 2 * sizeof *key)
    key[0] = key[1] = (uintptr_t)key;
}

struct st_set *st_set_new(void)
{
  struct st_set *s = st_calloc(1, sizeof *s);
  make_key(s->key);
  s->nslots = 16;
  s->slots = st_calloc(s->nslots, sizeof *s->slots);
  return s;
}

void st_set_free(struct st_set *s)
{
  if (!s)
    return;
  st_buffer_free(&s->bytes);
  free(s->slots);
  free(s);
}

/* The slot that holds it, or the empty one where it belongs. */
static struct slot *find(const struct st_set *s, uint64_t hash, const void *data, size_t n)
{
  for (size_t i = hash & (s->nslots - 1);; i = (i + 1) & (s->nslots - 1)) {
    struct slot *slot = &s->slots[i];
    if (!slot->hash)
      return slot;
    if (slot->hash == hash && slot->length == n &&
        (n == 0 || !memcmp(s->bytes.data + slot->offset, data, n)))
      return slot;
  }
}

static void grow(struct st_set *s)
{
  struct slot *old = s->slots;
  size_t nold = s->nslots;
  s->nslots *= 2;
  s->slots = st_calloc(s->nslots, sizeof *s->slots);
  for (size_t i = 0; i < nold; i++) {
    if (!old[i].hash)
      continue;
    size_t at = old[i].hash & (s->nslots - 1);
    while (s->slots[at].hash)
      at = (at + 1) & (s->nslots - 1);
    s->slots[at] = old[i];
  }
  free(old);
}

static uint64_t hash_of(const struct st_set *s, const void *data, size_t n)
{
  uint64_t hash = siphash13(s->key, data, n);
  return hash ? hash : 1;
}

bool st_set_add(struct st_set *s, const void *data, size_t n, uint64_t number)
{
  uint64_t hash = hash_of(s, data, n);
  struct slot *slot = find(s, hash, data, n);
  if (slot->hash) {
    slot->number = number;
    return false;
  }
  *slot = (struct slot){hash, s->bytes.length, n, number};
  st_buffer_append(&s->bytes, data, n);
  if (++s->count > s->nslots / 4 * 3)
    grow(s);
  return true;
}

bool st_set_get(const struct st_set *s, const void *data, size_t n, uint64_t *ret_number)
{
  const struct slot *slot = find(s, hash_of(s, data, n), data, n);
  if (!slot->hash)
    return false;
  if (ret_number)
    *ret_number = slot->number;
  return true;
}

size_t st_set_count(const struct st_set *s)
{
  return s->count;
}

/* ---- Hashes alone ------------------------------------------------------------------------ */

struct st_filter {
  uint64_t key[2];
  uint32_t *hashes; /* 0: empty */
  size_t nslots;    /* a power of two */
  size_t count;
};

struct st_filter *st_filter_new(void)
{
  struct st_filter *f = st_calloc(1, sizeof *f);
  make_key(f->key);
  f->nslots = 1024;
  f->hashes = st_calloc(f->nslots, sizeof *f->hashes);
  return f;
}

void st_filter_free(struct st_filter *f)
{
  if (!f)
    return;
  free(f->hashes);
  free(f);
}

/* Where the hash is, or belongs. */
static uint32_t *find_hash(const struct st_filter *f, uint32_t hash)
{
  size_t i = hash & (f->nslots - 1);
  while (f->hashes[i] && f->hashes[i] != hash)
    i = (i + 1) & (f->nslots - 1);
  return &f->hashes[i];
}

static void grow_filter(struct st_filter *f)
{
  uint32_t *old = f->hashes;
  size_t nold = f->nslots;
  f->nslots *= 2;
  f->hashes = st_calloc(f->nslots, sizeof *f->hashes);
  for (size_t i = 0; i < nold; i++) {
    if (old[i])
      *find_hash(f, old[i]) = old[i];
  }
  free(old);
}

static uint32_t short_hash(const struct st_filter *f, const void *data, size_t n)
{
  uint32_t hash = (uint32_t)(siphash13(f->key, data, n) >> 32);
  return hash ? hash : 1;
}

bool st_filter_add(struct st_filter *f, const void *data, size_t n)
{
  uint32_t hash = short_hash(f, data, n), *slot = find_hash(f, hash);
  if (*slot)
    return false;
  *slot = hash;
  if (++f->count > f->nslots / 4 * 3)
    grow_filter(f);
  return true;
}

bool st_filter_may_have(const struct st_filter *f, const void *data, size_t n)
{
  return f->count > 0 && *find_hash(f, short_hash(f, data, n)) != 0;
}
