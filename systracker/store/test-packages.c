/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <time.h>

#include "systracker/base/file.h"
#include "systracker/base/test-scratch.h"
#include "systracker/store/packages.h"

/* SHA-256 of "one" and of "two". */
#define ONE "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
#define TWO "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"

static const struct st_package toy = {
    (char *)"toy", (char *)"1:2.0~rc1-3+b1", (char *)"amd64", (char *)"deb", {0}, 0};

static int keep(struct st_packages *p, int dir, const char *text, const struct st_package *is)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  put_file(dir, "source", text);
  ST_AUTO_CLOSE int fd = openat(dir, "source", O_RDONLY | O_CLOEXEC);
  int r = st_packages_keep(p, fd, is, 0, &err);
  if (r < 0)
    print_message("%s\n", st_error_text(&err));
  return r;
}

static struct st_packages *open_packages(int dir)
{
  struct st_packages *p = NULL;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_ok(st_packages_open(&p, dir, &err), &err);
  return p;
}

static void test_keep(void **state)
{
  struct scratch *s = *state;
  struct stat st;
  struct st_package other = toy;
  other.architecture = (char *)"all";
  struct st_packages *p = open_packages(s->fd);
  assert_null(st_packages_at(p, 0));
  assert_int_equal(faccessat(s->fd, "packages", F_OK, 0), -1); /* looking makes nothing */
  assert_int_equal(keep(p, s->fd, "one", &toy), 0);
  assert_int_equal(keep(p, s->fd, "one", &toy), 1);
  assert_int_equal(keep(p, s->fd, "two", &toy), 0);
  assert_int_equal(keep(p, s->fd, "two", &other), 0);
  static const char path[] = "packages/76/" ONE "_toy_1%3a2.0~rc1-3+b1_amd64.deb";
  assert_int_equal(fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  assert_int_equal(st.st_nlink, 1);
  for (int again = 0; again < 2; again++) {
    const struct st_package *found = st_packages_find(p, toy.name, toy.version, "amd64");
    assert_non_null(found);
    assert_int_equal(found->digest[0], 0x3f); /* the least */
    assert_int_equal(found->size, 3);
    assert_string_equal(found->version, toy.version);
    assert_non_null(st_packages_find(p, "toy", toy.version, "all"));
    assert_null(st_packages_find(p, "toy", toy.version, "i386"));
    assert_null(st_packages_find(p, "toy", "1:2.0", "amd64"));
    assert_null(st_packages_find(p, "zoo", "1", "amd64"));
    assert_non_null(st_packages_at(p, 2));
    assert_null(st_packages_at(p, 3));
    st_packages_close(p);
    p = open_packages(s->fd); /* the folder alone says the same */
  }
  ST_AUTO_CLOSE int fd = st_packages_read(p, st_packages_at(p, 0), NULL);
  char text[4] = {0};
  assert_int_equal(read(fd, text, 4), 3);
  assert_string_equal(text, "two");
  st_packages_close(p);
}

/* An .rpm, and what was put together again: that is found by itself alone. */
static void test_kinds(void **state)
{
  struct scratch *s = *state;
  struct st_package is = toy;
  struct st_packages *p = open_packages(s->fd);
  is.kind = (char *)"repacked-rpm";
  assert_int_equal(keep(p, s->fd, "two", &is), 0);
  assert_null(st_packages_find(p, toy.name, toy.version, "amd64"));
  is.kind = (char *)"rpm";
  assert_int_equal(keep(p, s->fd, "one", &is), 0);
  is.kind = (char *)"exe";
  assert_int_equal(keep(p, s->fd, "one", &is), -1);
  for (int again = 0; again < 2; again++) {
    const struct st_package *own = st_packages_find(p, toy.name, toy.version, "amd64");
    const struct st_package *other = st_packages_find_repacked(p, toy.name, toy.version, "amd64");
    assert_non_null(own);
    assert_non_null(other);
    assert_string_equal(own->kind, "rpm");
    assert_false(st_package_is_repacked(own));
    assert_string_equal(other->kind, "repacked-rpm");
    assert_true(st_package_is_repacked(other));
    assert_null(st_packages_find_repacked(p, toy.name, toy.version, "i386"));
    st_packages_close(p);
    p = open_packages(s->fd);
  }
  st_packages_close(p);
}

static void test_refused(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_CLEANUP(st_packages_closep) struct st_packages *p = open_packages(s->fd);
  struct st_package bad = toy;
  bad.version = (char *)"";
  assert_int_equal(keep(p, s->fd, "one", &bad), -1);
  char *huge = st_malloc(300);
  memset(huge, 'x', 299);
  huge[299] = 0;
  bad.version = huge;
  assert_int_equal(keep(p, s->fd, "one", &bad), -1);
  free(huge);
  bad = toy;
  bad.name = (char *)"../../etc/x"; /* stays a name */
  assert_int_equal(keep(p, s->fd, "one", &bad), 0);
  assert_int_equal(
      faccessat(s->fd, "packages/76/" ONE "_..%2f..%2fetc%2fx_1%3a2.0~rc1-3+b1_amd64.deb", F_OK, 0),
      0);
  assert_int_equal(st_packages_keep(p, s->fd, &toy, 0, &err), -1);
  assert_error(&err, "not a regular file");
  ST_AUTO_CLOSE int fd = openat(s->fd, "source", O_RDONLY | O_CLOEXEC);
  assert_int_equal(st_packages_keep(p, fd, &toy, UINT64_MAX, &err), -1);
  assert_int_equal(err.code, ENOSPC);
  assert_error(&err, "No space left");
  assert_int_equal(st_packages_keep(p, fd, &toy, UINT64_MAX - 10, &err), -1);
  assert_error(&err, "No space left");
}

/* From another store: what is damaged is not kept; what another has kept meanwhile is known. */
static void test_receive(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_int_equal(mkdirat(s->fd, "other", 0700), 0);
  ST_AUTO_CLOSE int dir = openat(s->fd, "other", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ST_CLEANUP(st_packages_closep) struct st_packages *from = open_packages(s->fd);
  ST_CLEANUP(st_packages_closep) struct st_packages *to = open_packages(dir);
  ST_CLEANUP(st_packages_closep) struct st_packages *also_to = open_packages(dir);
  assert_int_equal(keep(from, s->fd, "two", &toy), 0);
  const struct st_package *package = st_packages_at(from, 0);
  assert_true(st_packages_has(from, package));
  assert_false(st_packages_has(to, package));
  put_file(s->fd, "packages/3f/" TWO "_toy_1%3a2.0~rc1-3+b1_amd64.deb", "twp");
  ST_AUTO_CLOSE int damaged = st_packages_read(from, package, NULL);
  assert_int_equal(st_packages_receive(to, damaged, package, 0, &err), -1);
  assert_error(&err, "damaged");
  assert_null(st_packages_at(to, 0));
  put_file(s->fd, "packages/3f/" TWO "_toy_1%3a2.0~rc1-3+b1_amd64.deb", "two");
  ST_AUTO_CLOSE int fd = st_packages_read(from, package, NULL);
  assert_int_equal(st_packages_receive(to, fd, package, 0, &err), 0);
  assert_true(st_packages_has(to, package));
  assert_int_equal(st_packages_receive(also_to, fd, package, 0, &err), 1);
  assert_true(st_packages_has(also_to, package));
  assert_null(st_packages_at(also_to, 1));
}

struct heard {
  struct st_buffer words;
  int count;
};

static void hear(void *arg, const char *words)
{
  struct heard *h = arg;
  h->count++;
  st_buffer_append_string(&h->words, words);
}

static void test_verify(void **state)
{
  struct scratch *s = *state;
  struct heard h = {0};
  struct st_packages *p = open_packages(s->fd);
  assert_int_equal(keep(p, s->fd, "one", &toy), 0);
  assert_int_equal(keep(p, s->fd, "two", &toy), 0);
  assert_int_equal(st_packages_verify(p, false, hear, &h, NULL), 0);
  st_packages_close(p);
  put_file(s->fd, "packages/3f/" TWO "_toy_1%3a2.0~rc1-3+b1_amd64.deb", "twp");
  p = open_packages(s->fd);
  assert_int_equal(st_packages_verify(p, false, hear, &h, NULL), 1);
  assert_int_equal(keep(p, s->fd, "two", &toy), 0); /* mended */
  assert_int_equal(st_packages_verify(p, false, hear, &h, NULL), 0);
  assert_null(st_packages_at(p, 2));
  st_packages_close(p);
  put_file(s->fd, "packages/3f/" TWO "_toy_1%3a2.0~rc1-3+b1_amd64.deb", "twp");
  h.count = 0;
  /* A digest in the wrong folder, a second spelling, a part too few, another kind, a link. */
  put_file(s->fd, "packages/3f/" ONE "_toy_1_all.deb", "one");
  put_file(s->fd, "packages/76/" ONE "_t%6fy_1_all.deb", "one");
  put_file(s->fd, "packages/76/" ONE "_toy_1.deb", "one");
  put_file(s->fd, "packages/76/" ONE "_toy_1_all.exe", "one");
  put_file(s->fd, "packages/76/" ONE "_toy_%0_all.deb", "one");
  put_file(s->fd, "packages/strange\n", "one");
  assert_int_equal(symlinkat("/etc/passwd", s->fd, "packages/76/" ONE "_toy_1_all.deb"), 0);
  p = open_packages(s->fd);
  assert_non_null(st_packages_at(p, 1));
  assert_null(st_packages_at(p, 2));
  assert_int_equal(st_packages_verify(p, false, hear, &h, NULL), 8);
  assert_int_equal(h.count, 8);
  assert_non_null(strstr(h.words.data, "another digest than its name says (packages/3f/" TWO));
  assert_non_null(strstr(h.words.data, "(packages/strange\\n)"));
  st_buffer_free(&h.words);
  st_packages_close(p);
}

/* What is damaged is missing from then on, and kept again; what is old enough can be removed. */
static void test_aside(void **state)
{
  struct scratch *s = *state;
  struct heard h = {0};
  uint64_t bytes;
  static const char path[] = "packages/3f/" TWO "_toy_1%3a2.0~rc1-3+b1_amd64.deb";
  ST_CLEANUP(st_packages_closep) struct st_packages *p = open_packages(s->fd);
  assert_int_equal(keep(p, s->fd, "two", &toy), 0);
  assert_int_equal(st_packages_verify(p, true, hear, &h, NULL), 0);
  put_file(s->fd, path, "twp");
  assert_int_equal(st_packages_verify(p, true, hear, &h, NULL), 1);
  assert_int_equal(faccessat(s->fd, path, F_OK, 0), -1);
  assert_int_equal(faccessat(s->fd, "packages/.damaged-" TWO, F_OK, 0), 0);
  st_packages_close(p);
  p = open_packages(s->fd);
  assert_null(st_packages_at(p, 0));
  assert_int_equal(st_packages_verify(p, true, hear, &h, NULL), 0);
  assert_int_equal(keep(p, s->fd, "two", &toy), 0);
  assert_int_equal(st_packages_drop_aside(p, false, &bytes), 1);
  assert_int_equal(bytes, 3);
  assert_int_equal(st_packages_drop_aside(p, true, &bytes), 1);
  assert_int_equal(st_packages_drop_aside(p, true, &bytes), 0);
  assert_int_equal(st_packages_remove(p, st_packages_at(p, 0), time(NULL) - 3600, NULL), 0);
  assert_int_equal(faccessat(s->fd, path, F_OK, 0), 0);
  assert_int_equal(st_packages_remove(p, st_packages_at(p, 0), time(NULL) + 3600, NULL), 1);
  assert_int_equal(st_packages_remove(p, st_packages_at(p, 0), time(NULL) + 3600, NULL), 0);
  assert_int_equal(faccessat(s->fd, path, F_OK, 0), -1);
  st_buffer_free(&h.words);
}

/* What a killed one left goes when it is old; what is being written stays. */
static void test_stale(void **state)
{
  struct scratch *s = *state;
  const struct timespec old[2] = {{1000000000, 0}, {1000000000, 0}};
  ST_CLEANUP(st_packages_closep) struct st_packages *p = open_packages(s->fd);
  assert_int_equal(keep(p, s->fd, "one", &toy), 0);
  put_file(s->fd, "packages/.new-old", "");
  put_file(s->fd, "packages/.new-young", "");
  assert_int_equal(utimensat(s->fd, "packages/.new-old", old, 0), 0);
  assert_int_equal(keep(p, s->fd, "two", &toy), 0);
  assert_int_equal(faccessat(s->fd, "packages/.new-old", F_OK, 0), -1);
  assert_int_equal(faccessat(s->fd, "packages/.new-young", F_OK, 0), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      scratch_test(test_keep),    scratch_test(test_kinds),  scratch_test(test_refused),
      scratch_test(test_receive), scratch_test(test_verify), scratch_test(test_aside),
      scratch_test(test_stale),
  };
  st_digest_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
