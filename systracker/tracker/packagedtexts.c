/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packagedtexts.c - the texts that are in package files, held while many of them are compared. */
#include <string.h>

#include "systracker/base/process.h"
#include "systracker/tracker/packaged.h"

#define EACH_MAX ((uint64_t)1 << 20) /* bytes: longer ones are read one by one */
#define ALL_MAX ((size_t)64 << 20)   /* bytes held */

struct content {
  char *data; /* NULL: binary */
  size_t length;
};

/* What was read of one package. */
struct held {
  char *name; /* and version, and architecture */
  char *why;  /* words: it could not be read, or not all of it; NULL: it could */
  struct st_set *digests;
  struct content *items;
  size_t count, bytes;
  uint64_t used; /* when it was asked last */
};

struct st_packaged_texts {
  struct st_tracker *t;
  struct held *items;
  size_t count, bytes;
  uint64_t now;
};

struct st_packaged_texts *st_packaged_texts_new(struct st_tracker *t)
{
  struct st_packaged_texts *texts = st_calloc(1, sizeof(*texts));
  texts->t = t;
  return texts;
}

static void held_clear(struct held *h)
{
  for (size_t i = 0; i < h->count; i++)
    free(h->items[i].data);
  free(h->items);
  free(h->name);
  free(h->why);
  st_set_free(h->digests);
}

void st_packaged_texts_free(struct st_packaged_texts *texts)
{
  if (!texts)
    return;
  for (size_t i = 0; i < texts->count; i++)
    held_clear(&texts->items[i]);
  free(texts->items);
  free(texts);
}

static int hold(void *arg, const uint8_t digest[ST_DIGEST_SIZE], const void *data, size_t n,
                struct st_error *err)
{
  struct held *h = arg;
  (void)err;
  bool binary = st_is_binary(data, n);
  if (!st_set_add(h->digests, digest, ST_DIGEST_SIZE, h->count))
    return 0;
  if ((h->count & (h->count - 1)) == 0) /* a power of 2: full */
    h->items = st_realloc(h->items, h->count ? 2 * h->count : 1, sizeof(*h->items));
  h->items[h->count++] = (struct content){binary ? NULL : st_memdup(data, n), n};
  h->bytes += binary ? 0 : n;
  return 0;
}

static int read_all(struct st_tracker *t, const struct st_packaged *p, struct held *h,
                    struct st_error *err)
{
  ST_AUTO_FREE char *name = st_packaged_name(p);
  const struct st_packages *packages = st_tracker_packages(t, err);
  if (!packages)
    return -1;
  const struct st_package *file = st_packaged_next_file(packages, p, NULL);
  if (!file)
    return st_fail(err, 0, "the file of its package is not kept (%s)", name);
  for (; file; file = st_packaged_next_file(packages, p, file)) {
    ST_AUTO_CLOSE int fd = st_packages_read(packages, file, err);
    const struct st_package_input source = {fd, file->kind, name};
    if (fd < 0 || st_package_each(&source, EACH_MAX, hold, h, err) < 0)
      return -1;
  }
  return 0;
}

/* Forgets what was not asked for longest, until there is room. */
static void make_room(struct st_packaged_texts *texts)
{
  while (texts->bytes > ALL_MAX && texts->count > 1) {
    size_t oldest = 0;
    for (size_t i = 1; i < texts->count; i++)
      if (texts->items[i].used < texts->items[oldest].used)
        oldest = i;
    texts->bytes -= texts->items[oldest].bytes;
    held_clear(&texts->items[oldest]);
    texts->items[oldest] = texts->items[--texts->count];
  }
}

static struct held *find(struct st_packaged_texts *texts, const struct st_packaged *p)
{
  ST_AUTO_FREE char *name = st_packaged_name(p);
  for (size_t i = 0; i < texts->count; i++)
    if (strcmp(texts->items[i].name, name) == 0) {
      texts->items[i].used = ++texts->now;
      return &texts->items[i];
    }
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct held h = {.name = st_steal(&name), .digests = st_set_new(), .used = ++texts->now};
  if (read_all(texts->t, p, &h, &err) < 0)
    h.why = st_strdup(st_error_text(&err));
  texts->bytes += h.bytes;
  make_room(texts);
  texts->items = st_realloc(texts->items, texts->count + 1, sizeof(*texts->items));
  texts->items[texts->count] = h;
  return &texts->items[texts->count++];
}

static void say(struct st_buffer *why, const char *words)
{
  if (why && why->length == 0)
    st_buffer_append_string(why, words);
}

static int append(void *arg, const void *data, size_t n, struct st_error *err)
{
  (void)err;
  st_buffer_append(arg, data, n);
  return 0;
}

static int read_long(struct st_packaged_texts *texts, const struct st_packaged *p,
                     struct st_buffer *out, bool *ret_binary, struct st_buffer *why)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  size_t before = out->length;
  if (st_packaged_content(texts->t, p, append, out, &err) != 0) {
    out->length = before;
    say(why, st_error_text(&err));
    return 0;
  }
  *ret_binary = st_is_binary(out->data + before, out->length - before);
  return !*ret_binary;
}

int st_packaged_text(struct st_packaged_texts *texts, const struct st_packaged *p, size_t max,
                     struct st_buffer *out, bool *ret_binary, struct st_buffer *why)
{
  uint64_t at;
  *ret_binary = false;
  if (p->content.size > max) {
    say(why, "too large to compare line by line");
    return 0;
  }
  if (p->content.size == 0)
    return 1;
  if (p->content.size > EACH_MAX)
    return read_long(texts, p, out, ret_binary, why);
  const struct held *h = find(texts, p);
  if (!st_set_get(h->digests, p->content.digest, ST_DIGEST_SIZE, &at)) {
    say(why, h->why ? h->why : "the kept file of its package does not have this content");
    return 0;
  }
  *ret_binary = !h->items[at].data;
  if (h->items[at].data)
    st_buffer_append(out, h->items[at].data, h->items[at].length);
  return !*ret_binary;
}
