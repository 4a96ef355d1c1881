/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/packagecontent.h"

#include <inttypes.h>
#include <string.h>

#include "systracker/base/libarchive.h"
#include "systracker/base/set.h"

#define BLOCK ((size_t)64 << 10)
#define WHOLE_MAX ((uint64_t)4 << 20) /* contents up to this are read once, into memory */
#define UNPACKED_MAX                                                                               \
  ((int64_t)128 << 30) /* bytes: the largest packages there are unpack to a few GB */
#define ENTRIES_MAX 4000000
#define MEMBERS_MAX 64 /* of the ar archive around a .deb; there are three */

/* ---- A package file opened ------------------------------------------------------------------- */

struct reader {
  const struct st_package_input *source;
  struct archive *around; /* of a .deb: the ar archive that the tar archive lies in */
  struct archive *in;     /* the archive of the files */
  char *block;
  uint64_t entries; /* met so far */
  uint64_t bytes;   /* of contents read so far: sparse ones cost nothing to make */
};

static void reader_close(struct reader *r)
{
  if (r->in)
    archive_read_free(r->in);
  if (r->around)
    archive_read_free(r->around);
  free(r->block);
}

static int damaged(const struct reader *r, struct archive *a, struct st_error *err)
{
  const char *why = archive_error_string(a);
  ST_AUTO_FREE char *words = st_strdup(why ? why : "it ends too early");
  for (char *s = words; *s; s++)
    if (*s < ' ' || *s > '~')
      *s = '?'; /* it may cite the package */
  return st_fail(err, 0, "the package file is damaged, or none: %s (%s)", words, r->source->name);
}

static int too_large(const struct reader *r, const char *what, struct st_error *err)
{
  return st_fail(err, 0, "the package file has too %s to be read (%s)", what, r->source->name);
}

/* A filter that libarchive was built without would run a program in its place: not for us. */
static void support_filters(struct archive *a)
{
  archive_read_support_filter_gzip(a);
  archive_read_support_filter_bzip2(a);
  archive_read_support_filter_xz(a);
  archive_read_support_filter_lzma(a);
  archive_read_support_filter_zstd(a);
}

static int runs_no_program(const struct reader *r, struct st_error *err)
{
  for (int i = 0; i < archive_filter_count(r->in); i++)
    if (archive_filter_code(r->in, i) == ARCHIVE_FILTER_PROGRAM)
      return st_fail(err, 0, "libarchive cannot read this compression by itself (%s)",
                     r->source->name);
  return 0;
}

static la_ssize_t read_member(struct archive *in, void *arg, const void **ret)
{
  struct reader *r = arg;
  la_ssize_t n = archive_read_data(r->around, r->block, BLOCK);
  *ret = r->block;
  if (n < 0)
    archive_set_error(in, EIO, "%s", archive_error_string(r->around));
  return n;
}

/* The member data.tar, data.tar.xz, ... of a .deb; deb(5). */
static int find_data(struct reader *r, struct st_error *err)
{
  struct archive_entry *entry;
  for (size_t i = 0; i < MEMBERS_MAX; i++) {
    if (archive_read_next_header(r->around, &entry) < ARCHIVE_WARN)
      break;
    const char *name = archive_entry_pathname(entry);
    if (name && strncmp(name, "data.tar", 8) == 0)
      return 0;
  }
  return damaged(r, r->around, err);
}

static int open_deb(struct reader *r, struct st_error *err)
{
  r->around = archive_read_new();
  archive_read_support_format_ar(r->around);
  if (archive_read_open_fd(r->around, r->source->fd, BLOCK) != ARCHIVE_OK)
    return damaged(r, r->around, err);
  if (find_data(r, err) < 0)
    return -1;
  r->in = archive_read_new();
  support_filters(r->in);
  archive_read_support_format_tar(r->in);
  if (archive_read_open(r->in, r, NULL, read_member, NULL) != ARCHIVE_OK)
    return damaged(r, r->in, err);
  return 0;
}

static int open_rpm(struct reader *r, struct st_error *err)
{
  r->in = archive_read_new();
  archive_read_support_filter_rpm(r->in);
  support_filters(r->in);
  archive_read_support_format_cpio(r->in);
  if (archive_read_open_fd(r->in, r->source->fd, BLOCK) != ARCHIVE_OK)
    return damaged(r, r->in, err);
  return 0;
}

static int reader_open(struct reader *r, const struct st_package_input *source,
                       struct st_error *err)
{
  *r = (struct reader){.source = source, .block = st_malloc(BLOCK)};
  if (lseek(source->fd, 0, SEEK_SET) < 0)
    return st_fail(err, errno, "cannot read the package file (%s)", source->name);
  if (st_libarchive_load(err) < 0)
    return -1;
  int e = strcmp(source->kind, "deb") == 0 ? open_deb(r, err)
          : strcmp(source->kind, "rpm") == 0
              ? open_rpm(r, err)
              : st_fail(err, 0, "an unknown kind of package (%s)", source->name);
  return e < 0 ? e : runs_no_program(r, err);
}

/* The next regular file that is not empty: 1; 0: the end.  (A hard link of a .deb has no content of
 * its own; of those of an .rpm the last one has it.) */
static int next_file(struct reader *r, uint64_t *ret_size, struct st_error *err)
{
  struct archive_entry *entry;
  int e;
  while ((e = archive_read_next_header(r->in, &entry)) >= ARCHIVE_WARN && e != ARCHIVE_EOF) {
    if (++r->entries > ENTRIES_MAX)
      return too_large(r, "many entries", err);
    int64_t size = archive_entry_size(entry);
    if (archive_filter_bytes(r->in, 0) > UNPACKED_MAX || size > UNPACKED_MAX)
      return too_large(r, "much content", err);
    if (archive_entry_filetype(entry) == AE_IFREG && size > 0) {
      *ret_size = (uint64_t)size;
      return 1;
    }
  }
  return e == ARCHIVE_EOF ? 0 : damaged(r, r->in, err);
}

typedef int piece_fn(void *arg, const void *data, size_t n, struct st_error *err);

/* The content of the file that next_file came to: exactly so many bytes. */
static int read_file(struct reader *r, uint64_t size, piece_fn *fn, void *arg, struct st_error *err)
{
  ST_AUTO_FREE char *block = st_malloc(BLOCK);
  if (__builtin_add_overflow(r->bytes, size, &r->bytes) || r->bytes > (uint64_t)UNPACKED_MAX)
    return too_large(r, "much content", err);
  for (uint64_t left = size; left > 0;) {
    la_ssize_t n = archive_read_data(r->in, block, left < BLOCK ? (size_t)left : BLOCK);
    if (n <= 0)
      return damaged(r, r->in, err);
    if (fn(arg, block, (size_t)n, err) < 0)
      return -1;
    left -= (uint64_t)n;
  }
  return 0;
}

static int to_buffer(void *arg, const void *data, size_t n, struct st_error *err)
{
  (void)err;
  st_buffer_append(arg, data, n);
  return 0;
}

static int to_digester(void *arg, const void *data, size_t n, struct st_error *err)
{
  (void)err;
  st_digester_add(arg, data, n);
  return 0;
}

/* ---- Wanted contents ------------------------------------------------------------------------- */

struct search {
  struct reader *reader;
  struct st_package_want *wants;
  size_t count, left; /* left: not found yet */
  const struct st_package_sink *sink;
  struct st_set *sizes;   /* of what is wanted */
  struct st_set *digests; /* -> index of the last want of that digest */
  size_t *next;           /* of each want: the one before of the same digest; itself: none */
  uint64_t *places;       /* of each want: number of the entry that has it, 0: not met */
  bool again;             /* some were met that are too large to have been held */
};

static void search_init(struct search *s, struct st_package_want *wants, size_t count,
                        const struct st_package_sink *sink)
{
  *s = (struct search){.wants = wants, .count = count, .sink = sink};
  s->sizes = st_set_new();
  s->digests = st_set_new();
  s->next = st_calloc(count + 1, sizeof(*s->next));
  s->places = st_calloc(count + 1, sizeof(*s->places));
  for (size_t i = 0; i < count; i++) {
    uint64_t same = i;
    wants[i].found = false;
    s->next[i] = i;
    if (st_set_get(s->digests, wants[i].digest, ST_DIGEST_SIZE, &same))
      s->next[i] = (size_t)same;
    st_set_add(s->digests, wants[i].digest, ST_DIGEST_SIZE, i);
    st_set_add(s->sizes, &wants[i].size, sizeof(wants[i].size), 0);
  }
  s->left = count;
}

static void search_clear(struct search *s)
{
  if (s->sizes)
    st_set_free(s->sizes);
  if (s->digests)
    st_set_free(s->digests);
  free(s->next);
  free(s->places);
}

static int found(struct search *s, size_t want, struct st_error *err)
{
  s->wants[want].found = true;
  s->left--;
  return s->sink->done ? s->sink->done(s->sink->arg, want, err) : 0;
}

static int hand_over(struct search *s, size_t want, const void *data, size_t n,
                     struct st_error *err)
{
  if (n > 0 && s->sink->piece(s->sink->arg, want, data, n, err) < 0)
    return -1;
  return found(s, want, err);
}

/* Calls fn for each want of that digest that is not found yet. */
static int each_want(struct search *s, const uint8_t digest[ST_DIGEST_SIZE],
                     int (*fn)(struct search *s, size_t want, const void *data, size_t n,
                               struct st_error *err),
                     const void *data, size_t n, struct st_error *err)
{
  uint64_t at;
  if (!st_set_get(s->digests, digest, ST_DIGEST_SIZE, &at))
    return 0;
  for (size_t i = (size_t)at;; i = s->next[i]) {
    if (!s->wants[i].found && fn(s, i, data, n, err) < 0)
      return -1;
    if (s->next[i] == i)
      return 0;
  }
}

static int hand_over_empty(struct search *s, struct st_error *err)
{
  uint8_t digest[ST_DIGEST_SIZE];
  st_digest(digest, "", 0);
  return each_want(s, digest, hand_over, "", 0, err);
}

static int try_small(struct search *s, uint64_t size, struct st_error *err)
{
  uint8_t digest[ST_DIGEST_SIZE];
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  if (read_file(s->reader, size, to_buffer, &content, err) < 0)
    return -1;
  st_digest(digest, content.data, content.length);
  return each_want(s, digest, hand_over, content.data, content.length, err);
}

static int note_place(struct search *s, size_t want, const void *data, size_t n,
                      struct st_error *err)
{
  (void)data, (void)n, (void)err;
  s->places[want] = s->reader->entries;
  s->again = true;
  return 0;
}

static int try_large(struct search *s, uint64_t size, struct st_error *err)
{
  uint8_t digest[ST_DIGEST_SIZE];
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  if (read_file(s->reader, size, to_digester, d, err) < 0)
    return -1;
  st_digester_final(d, digest);
  return each_want(s, digest, note_place, NULL, 0, err);
}

static int first_pass(struct search *s, struct st_error *err)
{
  uint64_t size = 0;
  int e;
  while (s->left > 0 && (e = next_file(s->reader, &size, err)) != 0) {
    if (e < 0)
      return -1;
    if (!st_set_get(s->sizes, &size, sizeof(size), NULL))
      continue;
    if ((size <= WHOLE_MAX ? try_small(s, size, err) : try_large(s, size, err)) < 0)
      return -1;
  }
  return 0;
}

/* A large content on its way to all who want it. */
struct pour {
  struct search *s;
  struct st_digester *digester;
};

static int pour_piece(void *arg, const void *data, size_t n, struct st_error *err)
{
  struct pour *p = arg;
  struct search *s = p->s;
  st_digester_add(p->digester, data, n);
  for (size_t i = 0; i < s->count; i++)
    if (s->places[i] == s->reader->entries && !s->wants[i].found &&
        s->sink->piece(s->sink->arg, i, data, n, err) < 0)
      return -1;
  return 0;
}

static bool is_wanted_place(const struct search *s)
{
  for (size_t i = 0; i < s->count; i++)
    if (s->places[i] == s->reader->entries && !s->wants[i].found)
      return true;
  return false;
}

/* Proved once more: the file could be another by now. */
static int pour_file(struct search *s, uint64_t size, struct st_error *err)
{
  uint8_t digest[ST_DIGEST_SIZE];
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  struct pour pour = {s, d};
  if (read_file(s->reader, size, pour_piece, &pour, err) < 0)
    return -1;
  st_digester_final(d, digest);
  for (size_t i = 0; i < s->count; i++) {
    if (s->places[i] != s->reader->entries || s->wants[i].found)
      continue;
    if (memcmp(digest, s->wants[i].digest, ST_DIGEST_SIZE) != 0)
      return st_fail(err, 0, "the package file changed while it was read (%s)",
                     s->reader->source->name);
    if (found(s, i, err) < 0)
      return -1;
  }
  return 0;
}

static int second_pass(struct search *s, struct st_error *err)
{
  uint64_t size = 0;
  int e;
  while (s->left > 0 && (e = next_file(s->reader, &size, err)) != 0)
    if (e < 0 || (is_wanted_place(s) && pour_file(s, size, err) < 0))
      return -1;
  return 0;
}

int st_package_content(const struct st_package_input *source, struct st_package_want *wants,
                       size_t count, const struct st_package_sink *sink, struct st_error *err)
{
  ST_CLEANUP(search_clear) struct search s;
  search_init(&s, wants, count, sink);
  if (hand_over_empty(&s, err) < 0)
    return -1;
  for (int pass = 1; s.left > 0 && (pass == 1 || (pass == 2 && s.again)); pass++) {
    ST_CLEANUP(reader_close) struct reader reader;
    if (reader_open(&reader, source, err) < 0)
      return -1;
    s.reader = &reader;
    if ((pass == 1 ? first_pass(&s, err) : second_pass(&s, err)) < 0)
      return -1;
  }
  return 0;
}

/* ---- All small files --------------------------------------------------------------------------
 */

int st_package_each(const struct st_package_input *source, uint64_t max, st_package_file_fn *fn,
                    void *arg, struct st_error *err)
{
  ST_CLEANUP(reader_close) struct reader reader;
  uint64_t size = 0;
  int e;
  if (reader_open(&reader, source, err) < 0)
    return -1;
  while ((e = next_file(&reader, &size, err)) == 1) {
    ST_AUTO_BUFFER content = ST_BUFFER_INIT;
    uint8_t digest[ST_DIGEST_SIZE];
    if (size > max)
      continue;
    if (read_file(&reader, size, to_buffer, &content, err) < 0)
      return -1;
    st_digest(digest, content.data, content.length);
    if (fn(arg, digest, content.data, content.length, err) < 0)
      return -1;
  }
  return e;
}
