/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <gcrypt.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "systracker/base/file.h"
#include "systracker/base/test-scratch.h"
#include "systracker/tracker/tracker.h"

#define MANY 700 /* small files: some times what is held at once */
#define LONG 40  /* longer ones */

#define MD5_OF_SAME "847676261680bff61c72961c8198abc0" /* "same\n" */
#define MD5_OF_NOTHING "d41d8cd98f00b204e9800998ecf8427e"

struct fixture {
  struct st_tracker tracker;
  struct st_context context;
  struct st_prover *prover;
};

static void begin(struct fixture *f, const struct scratch *s)
{
  *f = (struct fixture){.tracker = {.root = s->fd, .proved = st_written_new(false)}};
  f->context = (struct st_context){.tracker = &f->tracker, .root = s->fd};
  f->prover = st_prover_new(&f->context);
}

static void end(struct fixture *f)
{
  st_prover_free(f->prover);
  st_written_free(f->tracker.proved);
}

static bool proves(struct fixture *f, const char *path, const char *md5)
{
  struct st_proof proof = {.path = path, .md5 = md5, .proved = true};
  st_prove(f->prover, &proof, 1);
  return proof.proved;
}

static void test_one(void **state)
{
  const struct scratch *s = *state;
  struct fixture f;
  struct st_id id;
  begin(&f, s);
  put_file(s->fd, "same", "same\n");
  struct st_proof proof = {.path = "/same", .md5 = MD5_OF_SAME "  what follows"};
  st_prove(f.prover, &proof, 1);
  st_id_of(&id, NULL, "same\n", 5);
  assert_true(proof.proved && proof.size == 5 && st_id_equal(&proof.digest, &id));
  put_file(s->fd, "same", "Same\n");
  assert_false(proves(&f, "/same", MD5_OF_SAME));
  put_file(s->fd, "empty", "");
  assert_true(proves(&f, "/empty", MD5_OF_NOTHING));
  assert_false(proves(&f, "/empty", "D41D8CD98F00B204E9800998ECF8427E"));
  st_prove(f.prover, NULL, 0);
  end(&f);
}

/* What is no regular file, and whatever lies behind a symlink, proves nothing. */
static void test_no_file(void **state)
{
  const struct scratch *s = *state;
  struct fixture f;
  begin(&f, s);
  assert_int_equal(mkdirat(s->fd, "dir", 0755), 0);
  put_file(s->fd, "dir/same", "same\n");
  assert_int_equal(symlinkat("same", s->fd, "dir/link"), 0);
  assert_int_equal(symlinkat("dir", s->fd, "to"), 0);
  assert_int_equal(mkfifoat(s->fd, "fifo", 0600), 0);
  assert_true(proves(&f, "/dir/same", MD5_OF_SAME));
  assert_false(proves(&f, "/dir/link", MD5_OF_SAME));
  assert_false(proves(&f, "/to/same", MD5_OF_SAME));
  assert_false(proves(&f, "/dir/none", MD5_OF_NOTHING));
  assert_false(proves(&f, "/none/none", MD5_OF_NOTHING));
  assert_false(proves(&f, "/fifo", MD5_OF_NOTHING));
  assert_false(proves(&f, "/dir", MD5_OF_NOTHING));
  assert_false(proves(&f, "", MD5_OF_NOTHING));
  assert_true(proves(&f, "/dir/same", MD5_OF_SAME));
  end(&f);
}

/* ---- Many ------------------------------------------------------------------------------------ */

struct one {
  char path[64], md5[33];
  struct st_id id;
  size_t length;
};

/* A file of so many bytes, and what it is to be proved by. */
static void make(const struct scratch *s, size_t i, size_t length, struct one *ret)
{
  ST_AUTO_FREE char *content = st_malloc(length + 1);
  uint8_t md5[16];
  uint64_t number = i;
  for (size_t k = 0; k < length; k++) {
    number = number * 6364136223846793005 + 1442695040888963407;
    content[k] = (char)(number >> 40);
  }
  snprintf(ret->path, sizeof(ret->path), "/%zu/%zu", i % 7, i);
  ST_AUTO_CLOSE int fd = openat(s->fd, ret->path + 1, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  assert_int_equal(st_write_all(fd, content, length, NULL), 0);
  gcry_md_hash_buffer(GCRY_MD_MD5, md5, content, length);
  for (size_t k = 0; k < sizeof(md5); k++)
    snprintf(ret->md5 + 2 * k, 3, "%02x", md5[k]);
  st_id_of(&ret->id, NULL, content, length);
  ret->length = length;
}

/* Each fifth has another content than was declared, each seventh is not there. */
static void check(struct fixture *f, const struct scratch *s, struct one *ones, size_t count)
{
  ST_AUTO_FREE struct st_proof *proofs = st_calloc(count, sizeof(*proofs));
  for (size_t i = 0; i < count; i++) {
    if (i % 5 == 4)
      ones[i].md5[31] ^= 1;
    if (i % 7 == 6)
      assert_int_equal(unlinkat(s->fd, ones[i].path + 1, 0), 0);
    proofs[i] = (struct st_proof){.path = ones[i].path, .md5 = ones[i].md5};
  }
  st_prove(f->prover, proofs, count);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(proofs[i].proved, i % 5 != 4 && i % 7 != 6);
    assert_true(!proofs[i].proved ||
                (st_id_equal(&proofs[i].digest, &ones[i].id) && proofs[i].size == ones[i].length));
  }
}

static void test_many(void **state)
{
  const struct scratch *s = *state;
  struct fixture f;
  ST_AUTO_FREE struct one *ones = st_calloc(MANY, sizeof(*ones));
  begin(&f, s);
  for (int i = 0; i < 7; i++) {
    char name[2] = {(char)('0' + i), 0};
    assert_int_equal(mkdirat(s->fd, name, 0755), 0);
  }
  for (size_t i = 0; i < MANY; i++) /* among them some that are as long as may be held */
    make(s, i, i % 50 == 0 ? ((size_t)1 << 20) - i / 100 : i * i % 30011, &ones[i]);
  check(&f, s, ones, MANY);
  for (size_t i = 0; i < LONG; i++)
    make(s, i, ((size_t)1 << 20) + (i % 3 == 0 ? i * 65536 : i * 4099), &ones[i]);
  check(&f, s, ones, LONG);
  end(&f);
}

/* ---- For the scan ---------------------------------------------------------------------------- */

/* What changed a moment ago could change again without a trace: only what is settled is told. */
static void test_noted(void **state)
{
  const struct scratch *s = *state;
  struct fixture f;
  struct st_meta m;
  struct st_written_entry known;
  struct st_id expected;
  begin(&f, s);
  put_file(s->fd, "same", "same\n");
  const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
  assert_int_equal(utimensat(s->fd, "same", old, 0), 0);
  assert_int_equal(st_meta_read(s->fd, "same", &m), 0);
  assert_true(proves(&f, "/same", MD5_OF_SAME));
  if (m.ctime >= time(NULL) - 2) /* the machine is not that slow */
    assert_int_equal(st_written_count(f.tracker.proved), 0);
  while (m.ctime >= time(NULL) - 3)
    usleep(100000);
  assert_true(proves(&f, "/same", MD5_OF_SAME));
  assert_true(st_written_find(f.tracker.proved, &m, &known));
  st_id_of(&expected, NULL, "same\n", 5);
  assert_true(known.has_digest && !known.plain && st_id_equal(&known.digest, &expected));
  st_written_forget(f.tracker.proved);
  assert_false(st_written_find(f.tracker.proved, &m, &known));
  st_written_close(f.tracker.proved); /* the walk goes on */
  assert_true(proves(&f, "/same", MD5_OF_SAME));
  assert_false(st_written_find(f.tracker.proved, &m, &known));
  st_written_forget(f.tracker.proved);
  assert_false(proves(&f, "/same", MD5_OF_NOTHING)); /* it is what it is, all the same */
  assert_true(st_written_find(f.tracker.proved, &m, &known) &&
              st_id_equal(&known.digest, &expected));
  end(&f);
}

/* ---- Where there is no MD5 ------------------------------------------------------------------- */

static void test_no_md5(void **state)
{
  const struct scratch *s = *state;
  struct fixture f;
  if (!gcry_fips_mode_active()) {
    print_message("libgcrypt before 1.10 takes no FIPS mode from the environment\n");
    skip();
  }
  begin(&f, s);
  put_file(s->fd, "same", "same\n");
  assert_false(proves(&f, "/same", MD5_OF_SAME));
  ST_AUTO_FREE char *large = st_calloc(1, (size_t)2 << 20);
  memset(large, 'x', ((size_t)2 << 20) - 1);
  put_file(s->fd, "large", large);
  assert_false(proves(&f, "/large", MD5_OF_NOTHING));
  end(&f);
}

/* This program anew, as libgcrypt looks for its mode once. */
static void test_fips(void **state)
{
  int status;
  (void)state;
  pid_t pid = fork();
  if (!pid) {
    setenv("LIBGCRYPT_FORCE_FIPS_MODE", "1", 1);
    execl("/proc/self/exe", "test-prove", "no-md5", NULL);
    _exit(126);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
  (void)argv;
  st_digest_init();
  if (argc > 1) {
    const struct CMUnitTest alone[] = {scratch_test(test_no_md5)};
    return cmocka_run_group_tests(alone, NULL, NULL);
  }
  const struct CMUnitTest tests[] = {
      scratch_test(test_one),   scratch_test(test_no_file),  scratch_test(test_many),
      scratch_test(test_noted), cmocka_unit_test(test_fips),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
