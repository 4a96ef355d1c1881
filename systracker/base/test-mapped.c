/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/mapped.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "systracker/base/hashes.h"
#include "systracker/base/test-scratch.h"

#define LENGTH ((size_t)300000) /* no whole number of pages */
#define FILES 16

static int make(const struct scratch *s, const char *name, size_t length, unsigned char salt)
{
  ST_AUTO_FREE unsigned char *data = st_malloc(length + 1);
  for (size_t i = 0; i < length; i++)
    data[i] = (unsigned char)(i * 7 + i / 251 + salt);
  int fd = openat(s->fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, data, length), length);
  return fd;
}

/* Where TMPDIR is on a file system that is read and not mapped, there is nothing to test. */
static void map(struct st_mapped *m, int fd, uint64_t length)
{
  int e = st_mapped_open(m, fd, length);
  if (e == -EOPNOTSUPP) {
    print_message("SKIP: files of this file system are not mapped\n");
    skip();
  }
  assert_int_equal(e, 0);
}

static bool has_bytes(const struct st_mapped *m, unsigned char salt, size_t from, size_t to)
{
  const volatile unsigned char *p = m->data;
  for (size_t i = from; i < to; i++) {
    if (p[i] != (unsigned char)(i * 7 + i / 251 + salt))
      return false;
  }
  return true;
}

static bool has_zeros(const struct st_mapped *m, size_t from, size_t to)
{
  const volatile unsigned char *p = m->data;
  for (size_t i = from; i < to; i++) {
    if (p[i])
      return false;
  }
  return true;
}

static void test_content(void **state)
{
  struct st_mapped m;
  int fd = make(*state, "file", LENGTH, 3);
  map(&m, fd, LENGTH);
  close(fd);
  assert_int_equal(m.length, LENGTH);
  st_mapped_fetch(&m);
  assert_true(has_bytes(&m, 3, 0, LENGTH));
  assert_true(st_mapped_is_whole(&m));
  st_mapped_close(&m);
  assert_null(m.data);
  st_mapped_close(&m);
}

static void test_empty(void **state)
{
  struct st_mapped m;
  ST_AUTO_CLOSE int fd = make(*state, "file", 0, 0);
  map(&m, fd, 0);
  assert_null(m.data);
  st_mapped_fetch(&m);
  assert_true(st_mapped_is_whole(&m));
  st_mapped_close(&m);
}

static void test_cannot_be_mapped(void **state)
{
  const struct scratch *s = *state;
  struct st_mapped m;
  ST_AUTO_CLOSE int fd = make(s, "file", LENGTH, 0);
  assert_int_equal(st_mapped_open(&m, fd, UINT64_MAX), -EFBIG);
  assert_int_equal(st_mapped_open(&m, fd, (uint64_t)PTRDIFF_MAX), -EFBIG);
  assert_null(m.data);
  assert_true(st_mapped_open(&m, s->fd, LENGTH) < 0); /* a directory */
  assert_true(st_mapped_open(&m, -1, LENGTH) < 0);
  st_mapped_close(&m);
}

/* Such a file may be anything, whatever it says that it is. */
static void test_no_file_system_of_the_kernels(void **state)
{
  struct st_mapped m;
  (void)state;
  ST_AUTO_CLOSE int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    print_message("SKIP: there is no /proc\n");
    skip();
  }
  assert_int_equal(st_mapped_open(&m, fd, 4096), -EOPNOTSUPP);
}

/* A file of tmpfs, wherever TMPDIR is: looking at it leaves its holes. */
static void test_holes_of_tmpfs(void **state)
{
  struct st_mapped m;
  struct stat before, behind;
  (void)state;
  ST_AUTO_CLOSE int fd = memfd_create("sparse", MFD_CLOEXEC);
  assert_true(fd >= 0);
  assert_int_equal(ftruncate(fd, 8 * (off_t)LENGTH), 0);
  assert_int_equal(pwrite(fd, "x", 1, LENGTH), 1);
  assert_int_equal(fstat(fd, &before), 0);
  if (st_mapped_open(&m, fd, 8 * LENGTH) == 0) {
    st_mapped_fetch(&m);
    assert_true(has_zeros(&m, 0, LENGTH));
  }
  st_mapped_close(&m);
  assert_int_equal(fstat(fd, &behind), 0);
  assert_int_equal(behind.st_blocks, before.st_blocks);
  ST_AUTO_CLOSE int whole = memfd_create("whole", MFD_CLOEXEC);
  assert_true(whole >= 0);
  assert_int_equal(write(whole, "content", 7), 7);
  assert_int_equal(st_mapped_open(&m, whole, 7), 0);
  assert_memory_equal(m.data, "content", 7);
  st_mapped_close(&m);
}

static void test_cut_off_before_it_is_looked_at(void **state)
{
  struct st_mapped m;
  ST_AUTO_CLOSE int fd = make(*state, "file", LENGTH, 3);
  map(&m, fd, LENGTH);
  assert_int_equal(ftruncate(fd, 0), 0);
  st_mapped_fetch(&m);
  assert_true(has_zeros(&m, 0, LENGTH));
  assert_false(st_mapped_is_whole(&m));
  st_mapped_close(&m);
}

static void test_cut_off_while_it_is_looked_at(void **state)
{
  struct st_mapped m;
  ST_AUTO_CLOSE int fd = make(*state, "file", LENGTH, 3);
  map(&m, fd, LENGTH);
  assert_true(has_bytes(&m, 3, 0, LENGTH / 2));
  assert_int_equal(ftruncate(fd, LENGTH / 3), 0);
  assert_true(st_mapped_is_whole(&m)); /* nothing of it was missed yet */
  assert_true(has_bytes(&m, 3, 0, LENGTH / 3));
  assert_true(has_zeros(&m, LENGTH / 3, LENGTH));
  assert_false(st_mapped_is_whole(&m));
  assert_true(has_bytes(&m, 3, 0, LENGTH / 3)); /* what is there stays */
  st_mapped_close(&m);
}

/* From the end to the front: each page is a fault of its own. */
static void test_cut_off_and_looked_at_backwards(void **state)
{
  struct st_mapped m;
  ST_AUTO_CLOSE int fd = make(*state, "file", LENGTH, 3);
  map(&m, fd, LENGTH);
  assert_int_equal(ftruncate(fd, 0), 0);
  for (size_t i = LENGTH; i > 0; i--)
    assert_true(has_zeros(&m, i - 1, i));
  assert_false(st_mapped_is_whole(&m));
  st_mapped_close(&m);
}

/* As it is used: many, hashed at once, of which one is gone. */
static void test_one_of_many_is_cut_off(void **state)
{
  ST_CLEANUP(st_hashes_freep) struct st_hashes *hashes = st_hashes_new();
  struct st_mapped m[FILES];
  struct st_hash contents[FILES];
  uint8_t digests[FILES][ST_DIGEST_SIZE], digest[ST_DIGEST_SIZE];
  for (size_t round = 0; round < 2; round++) {
    int fds[FILES];
    for (size_t i = 0; i < FILES; i++) {
      char name[3] = {'a' + (char)i, (char)('0' + (char)round)};
      fds[i] = make(*state, name, LENGTH, (unsigned char)i);
      map(&m[i], fds[i], LENGTH);
      contents[i] = (struct st_hash){m[i].data, LENGTH, digests[i]};
    }
    assert_int_equal(ftruncate(fds[5], LENGTH / 2), 0);
    st_hashes_compute(hashes, contents, FILES);
    for (size_t i = 0; i < FILES; i++) {
      assert_int_equal(st_mapped_is_whole(&m[i]), i != 5);
      st_digest(digest, m[i].data, LENGTH);
      assert_memory_equal(digests[i], digest, ST_DIGEST_SIZE);
      if (i % 2)
        st_mapped_close(&m[i]); /* in whatever order */
    }
    for (size_t i = 0; i < FILES; i += 2)
      st_mapped_close(&m[i]);
    for (size_t i = 0; i < FILES; i++)
      close(fds[i]);
  }
}

static void *look_in_thread(void *arg)
{
  const struct scratch *s = arg;
  struct st_mapped m;
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, NULL);
  ST_AUTO_CLOSE int fd = make(s, "other", LENGTH, 4);
  if (st_mapped_open(&m, fd, LENGTH) < 0 || ftruncate(fd, 0) < 0)
    return "cannot be mapped";
  bool good = has_zeros(&m, 0, LENGTH) && !st_mapped_is_whole(&m);
  st_mapped_close(&m);
  return good ? NULL : "not as expected";
}

/* A thread with all signals blocked, as those that plug-ins start are. */
static void test_in_another_thread(void **state)
{
  struct st_mapped m;
  pthread_t thread;
  void *why;
  ST_AUTO_CLOSE int fd = make(*state, "file", LENGTH, 3);
  map(&m, fd, LENGTH);
  assert_int_equal(pthread_create(&thread, NULL, look_in_thread, *state), 0);
  assert_int_equal(pthread_join(thread, &why), 0);
  assert_null(why);
  assert_true(has_bytes(&m, 3, 0, LENGTH));
  assert_true(st_mapped_is_whole(&m));
  st_mapped_close(&m);
}

/* ---- What is none of ours -------------------------------------------------------------------- */

/* cmocka catches it otherwise, and a sanitizer did before: ours has come last. */
static void set_default(void)
{
  struct st_mapped m;
  int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  signal(SIGBUS, SIG_DFL);
  if (st_mapped_open(&m, fd, 1) == 0)
    st_mapped_close(&m);
}

/* In a child, which leaves no core. */
static int signal_that_ended(void (*fn)(const struct scratch *s), const struct scratch *s)
{
  fflush(NULL);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    set_default();
    set_default();
    fn(s);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void touch_elsewhere(const struct scratch *s)
{
  int fd = openat(s->fd, "elsewhere", O_RDWR | O_CLOEXEC);
  volatile char *p = mmap(NULL, LENGTH, PROT_READ, MAP_SHARED, fd, 0);
  if (fd >= 0 && p != MAP_FAILED && ftruncate(fd, 0) == 0)
    (void)p[LENGTH / 2];
}

static void send_to_itself(const struct scratch *s)
{
  (void)s;
  kill(getpid(), SIGBUS);
}

static void test_other_faults_kill(void **state)
{
  struct st_mapped m;
  ST_AUTO_CLOSE int fd = make(*state, "file", LENGTH, 3);
  ST_AUTO_CLOSE int other = make(*state, "elsewhere", LENGTH, 3);
  map(&m, fd, LENGTH);
  assert_int_equal(signal_that_ended(touch_elsewhere, *state), SIGBUS);
  assert_int_equal(signal_that_ended(send_to_itself, *state), SIGBUS);
  assert_true(has_bytes(&m, 3, 0, LENGTH));
  st_mapped_close(&m);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      scratch_test(test_content),
      scratch_test(test_empty),
      scratch_test(test_cannot_be_mapped),
      cmocka_unit_test(test_no_file_system_of_the_kernels),
      cmocka_unit_test(test_holes_of_tmpfs),
      scratch_test(test_cut_off_before_it_is_looked_at),
      scratch_test(test_cut_off_while_it_is_looked_at),
      scratch_test(test_cut_off_and_looked_at_backwards),
      scratch_test(test_one_of_many_is_cut_off),
      scratch_test(test_in_another_thread),
      scratch_test(test_other_faults_kill),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
