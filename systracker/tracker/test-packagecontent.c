/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/packagecontent.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/mman.h>

#include "systracker/base/test-scratch.h"

#define LARGE ((size_t)5 << 20)

/* ---- Package files made here ------------------------------------------------------------------
 */

static void *take(void *data, size_t n, size_t *ret)
{
  *ret = n;
  return data;
}

static void add_entry(struct archive *a, const char *name, const char *link, unsigned links,
                      const void *data, size_t n)
{
  struct archive_entry *e = archive_entry_new();
  archive_entry_set_pathname(e, name);
  archive_entry_set_filetype(e, AE_IFREG);
  archive_entry_set_perm(e, 0644);
  archive_entry_set_ino(e, links > 1 ? 7 : 1);
  archive_entry_set_nlink(e, links);
  if (link)
    archive_entry_set_hardlink(e, link);
  archive_entry_set_size(e, (la_int64_t)n);
  assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
  if (n > 0)
    assert_int_equal(archive_write_data(a, data, n), n);
  archive_entry_free(e);
}

static char *large_content(void)
{
  char *data = st_malloc(LARGE);
  for (size_t i = 0; i < LARGE; i++)
    data[i] = (char)(i * i >> 7);
  return data;
}

/* The archive of files: of a .deb (tar), or of an .rpm (cpio), whose last hard link has the
 * content.
 */
static void *files(bool rpm, int filter, bool large, size_t *ret)
{
  size_t used, size = 8 * LARGE;
  char *out = st_malloc(size);
  ST_AUTO_FREE char *much = large_content();
  struct archive *a = archive_write_new();
  rpm ? archive_write_set_format_cpio_newc(a) : archive_write_set_format_gnutar(a);
  archive_write_add_filter(a, filter);
  archive_write_set_bytes_in_last_block(a, 1);
  assert_int_equal(archive_write_open_memory(a, out, size, &used), ARCHIVE_OK);
  add_entry(a, "./etc/one.conf", NULL, 1, "one\n", 4);
  add_entry(a, "./bin/two", NULL, 1, "two\n", 4); /* as long as the other */
  add_entry(a, "./etc/empty", NULL, 1, "", 0);
  add_entry(a, "./bin/link-a", NULL, 2, "linked", rpm ? 0 : 6);
  add_entry(a, "./bin/link-b", rpm ? NULL : "./bin/link-a", 2, "linked", rpm ? 6 : 0);
  if (large)
    add_entry(a, "./usr/lib/large", NULL, 1, much, LARGE);
  add_entry(a, "./usr/last", NULL, 1, "the last", 8);
  assert_int_equal(archive_write_close(a), ARCHIVE_OK);
  archive_write_free(a);
  return take(out, used, ret);
}

static void *deb(int filter, const char *suffix, bool large, size_t *ret)
{
  size_t n, used, size = 9 * LARGE;
  char *out = st_malloc(size);
  ST_AUTO_FREE char *data = files(false, filter, large, &n);
  ST_AUTO_FREE char *name = st_format("data.tar%s", suffix);
  struct archive *a = archive_write_new();
  archive_write_set_format_ar_svr4(a);
  archive_write_set_bytes_in_last_block(a, 1);
  assert_int_equal(archive_write_open_memory(a, out, size, &used), ARCHIVE_OK);
  add_entry(a, "debian-binary", NULL, 1, "2.0\n", 4);
  add_entry(a, "control.tar", NULL, 1, "x", 1);
  add_entry(a, name, NULL, 1, data, n);
  assert_int_equal(archive_write_close(a), ARCHIVE_OK);
  archive_write_free(a);
  return take(out, used, ret);
}

/* A lead, a header of signatures and one of the package, both without an entry; then the files. */
static void *rpm(bool large, size_t *ret)
{
  static const uint8_t lead[96] = {0xed, 0xab, 0xee, 0xdb, 3, 0};
  static const uint8_t header[16] = {0x8e, 0xad, 0xe8, 1};
  size_t n;
  ST_AUTO_FREE char *data = files(true, ARCHIVE_FILTER_GZIP, large, &n);
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  st_buffer_append(&b, lead, sizeof(lead));
  st_buffer_append(&b, header, sizeof(header));
  st_buffer_append(&b, header, sizeof(header));
  st_buffer_append(&b, data, n);
  return st_buffer_steal(&b, ret);
}

static int open_bytes(const void *data, size_t n)
{
  int fd = memfd_create("package", MFD_CLOEXEC);
  assert_int_equal(write(fd, data, n), n);
  return fd;
}

/* ---- Asking -----------------------------------------------------------------------------------
 */

enum { ONE, EMPTY, LINKED, LAST, NONE, TWICE, MUCH, WANTS };

struct got {
  struct st_buffer contents[WANTS];
  int done[WANTS];
};

static void want(struct st_package_want *w, const void *data, size_t n)
{
  st_digest(w->digest, data, n);
  w->size = n;
}

static void want_all(struct st_package_want wants[WANTS])
{
  static struct st_package_want large;
  want(&wants[ONE], "one\n", 4);
  want(&wants[EMPTY], "", 0);
  want(&wants[LINKED], "linked", 6);
  want(&wants[LAST], "the last", 8);
  want(&wants[NONE], "six\n", 4);
  want(&wants[TWICE], "the last", 8);
  if (large.size == 0) {
    ST_AUTO_FREE char *much = large_content();
    want(&large, much, LARGE);
  }
  wants[MUCH] = large;
}

static int on_piece(void *arg, size_t i, const void *data, size_t n, struct st_error *err)
{
  struct got *g = arg;
  (void)err;
  assert_true(i < WANTS && !g->done[i]);
  st_buffer_append(&g->contents[i], data, n);
  return 0;
}

static int on_done(void *arg, size_t i, struct st_error *err)
{
  (void)err;
  ((struct got *)arg)->done[i]++;
  return 0;
}

static void got_clear(struct got *g)
{
  for (size_t i = 0; i < WANTS; i++)
    st_buffer_free(&g->contents[i]);
}

static void check(const void *data, size_t n, const char *kind, bool large)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_CLEANUP(got_clear) struct got got = {0};
  ST_AUTO_CLOSE int fd = open_bytes(data, n);
  struct st_package_want wants[WANTS] = {0};
  const struct st_package_input source = {fd, kind, "toy"};
  const struct st_package_sink sink = {on_piece, on_done, &got};
  want_all(wants);
  assert_ok(st_package_content(&source, wants, WANTS, &sink, &err), &err);
  for (size_t i = 0; i < WANTS; i++) {
    bool there = i != NONE && (i != MUCH || large);
    uint8_t digest[ST_DIGEST_SIZE];
    assert_int_equal(wants[i].found, there);
    assert_int_equal(got.done[i], there);
    assert_int_equal(got.contents[i].length, there ? wants[i].size : 0);
    st_digest(digest, got.contents[i].data, got.contents[i].length);
    assert_int_equal(memcmp(digest, wants[i].digest, sizeof(digest)) == 0, there);
  }
}

static void test_deb(void **state)
{
  static const struct {
    int filter;
    const char *suffix;
  } kinds[] = {{ARCHIVE_FILTER_NONE, ""},
               {ARCHIVE_FILTER_GZIP, ".gz"},
               {ARCHIVE_FILTER_XZ, ".xz"},
               {ARCHIVE_FILTER_ZSTD, ".zst"}};
  (void)state;
  for (size_t i = 0; i < ST_COUNT(kinds); i++)
    for (int large = 0; large < 2; large++) {
      size_t n;
      ST_AUTO_FREE char *data = deb(kinds[i].filter, kinds[i].suffix, large, &n);
      check(data, n, "deb", large);
    }
}

static void test_rpm(void **state)
{
  (void)state;
  for (int large = 0; large < 2; large++) {
    size_t n;
    ST_AUTO_FREE char *data = rpm(large, &n);
    check(data, n, "rpm", large);
  }
}

/* ---- Damage -----------------------------------------------------------------------------------
 */

/* Whatever the bytes: an error in words, or nothing but what was asked for. */
static int ask_damaged(const void *data, size_t n, const char *kind)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_CLEANUP(got_clear) struct got got = {0};
  ST_AUTO_CLOSE int fd = open_bytes(data, n);
  struct st_package_want wants[WANTS] = {0};
  const struct st_package_input source = {fd, kind, "toy"};
  const struct st_package_sink sink = {on_piece, on_done, &got};
  want_all(wants);
  int r = st_package_content(&source, wants, WANTS, &sink, &err);
  if (r < 0)
    assert_non_null(strstr(st_error_text(&err), "(toy)"));
  for (size_t i = 0; i < WANTS; i++)
    if (wants[i].found)
      assert_int_equal(got.contents[i].length, wants[i].size);
  return r;
}

static void damage(char *data, size_t n, const char *kind)
{
  for (size_t at = 0; at < n; at += 1 + n / 300)
    assert_true(ask_damaged(data, at, kind) < 0);
  for (size_t at = 0; at < n; at += 1 + n / 500) {
    data[at] = (char)~data[at];
    ask_damaged(data, n, kind);
    data[at] = (char)~data[at];
  }
  assert_int_equal(ask_damaged(data, n, kind), 0);
}

static void test_damage(void **state)
{
  size_t n;
  (void)state;
  ST_AUTO_FREE char *a = deb(ARCHIVE_FILTER_XZ, ".xz", false, &n);
  damage(a, n, "deb");
  ST_AUTO_FREE char *b = deb(ARCHIVE_FILTER_NONE, "", false, &n);
  assert_int_equal(ask_damaged(b, n / 2, "deb"), -1);
  ST_AUTO_FREE char *c = rpm(false, &n);
  damage(c, n, "rpm");
  assert_true(ask_damaged(c, n, "deb") < 0);
  assert_true(ask_damaged(c, n, "zip") < 0);
}

/* ---- All small files --------------------------------------------------------------------------
 */

static int on_file(void *arg, const uint8_t digest[ST_DIGEST_SIZE], const void *data, size_t n,
                   struct st_error *err)
{
  struct st_buffer *all = arg;
  uint8_t again[ST_DIGEST_SIZE];
  (void)err;
  st_digest(again, data, n);
  assert_memory_equal(again, digest, sizeof(again));
  st_buffer_append(all, data, n);
  return 0;
}

static void test_each(void **state)
{
  (void)state;
  size_t n;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER all = ST_BUFFER_INIT;
  ST_AUTO_FREE char *data = deb(ARCHIVE_FILTER_GZIP, ".gz", true, &n);
  ST_AUTO_CLOSE int fd = open_bytes(data, n);
  const struct st_package_input source = {fd, "deb", "toy"};
  assert_ok(st_package_each(&source, 6, on_file, &all, &err), &err);
  assert_string_equal(all.data, "one\ntwo\nlinked");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_deb),
      cmocka_unit_test(test_rpm),
      cmocka_unit_test(test_damage),
      cmocka_unit_test(test_each),
  };
  st_digest_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
