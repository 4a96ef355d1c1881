/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive-sync/join.h"
#include "archive-sync/remotestate.h"
#include "systracker/base/file.h"

#define DIGEST "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" /* bytes 0 to 31 */
#define TOKEN "jQk9vYmFyYmF6cXV4Y29yZ2VncmF1bHRnYXJwbHk_-"

static void parses(const char *url, const char *behind, const char *address, bool pinned,
                   const char *token)
{
  ST_AUTO_JOIN j = {0};
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_int_equal(st_join_parse(&j, url, behind, &err), 0);
  assert_string_equal(j.address, address);
  assert_int_equal(j.pinned, pinned);
  for (int i = 0; pinned && i < ST_DIGEST_SIZE; i++)
    assert_int_equal(j.pin[i], i);
  if (token)
    assert_string_equal(j.token, token);
  else
    assert_null(j.token);
}

/* No error may repeat what is behind the "#". */
static void refuses(const char *url, const char *behind)
{
  ST_AUTO_JOIN j = {0};
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_int_equal(st_join_parse(&j, url, behind, &err), -1);
  assert_null(strchr(st_error_text(&err), '!'));
  assert_null(j.address);
}

static void test_parse(void **state)
{
  (void)state;
  parses("https://a.example:7440/#" DIGEST "." TOKEN, NULL, "https://a.example:7440", true, TOKEN);
  parses("https://a.example:7440#" DIGEST, NULL, "https://a.example:7440", true, NULL);
  parses("https://a.example/#." TOKEN, NULL, "https://a.example", false, TOKEN);
  parses("https://a.example/", NULL, "https://a.example", false, NULL);
  parses("https://[2001:db8::1]:7440/path/#", NULL, "https://[2001:db8::1]:7440/path", false, NULL);
  parses("https://a.example", DIGEST "." TOKEN, "https://a.example", true, TOKEN);
  parses("https://a.example", "https://b.example/#" DIGEST, "https://a.example", true, NULL);
  parses("https://a.example/#" DIGEST, "." TOKEN, "https://a.example", true, NULL);
}

static void test_refused(void **state)
{
  (void)state;
  refuses("http://a.example/#" DIGEST, NULL);
  refuses("https://", NULL);
  refuses("https:///path", NULL);
  refuses("https://user@a.example/", NULL);
  refuses("https://a.example/?q=1", NULL);
  refuses("https://a.example/ b", NULL);
  refuses("https://a.example/#!secret", NULL);
  refuses("https://a.example/#" DIGEST "!", NULL);
  refuses("https://a.example/#" DIGEST "A", NULL);
  refuses("https://a.example/#" DIGEST ".", "");
  refuses("https://a.example/#" DIGEST ".x!secret", NULL);
  refuses("https://a.example/#" DIGEST ".j!secret", NULL);
  refuses("https://a.example/", "!secret");
}

static void test_shown(void **state)
{
  char argument[] = "https://a.example/#" DIGEST "." TOKEN, path[] = "/srv/a#b";
  (void)state;
  ST_AUTO_FREE char *shown = st_join_shown(argument);
  assert_string_equal(shown, "https://a.example/");
  ST_AUTO_FREE char *copy = st_join_take(argument);
  assert_string_equal(copy, "https://a.example/#" DIGEST "." TOKEN);
  assert_string_equal(argument, "https://a.example/#");
  for (size_t i = strlen(argument); i < sizeof(argument); i++)
    assert_int_equal(argument[i], 0);
  ST_AUTO_FREE char *directory = st_join_take(path);
  assert_string_equal(directory, "/srv/a#b");
  assert_string_equal(path, "/srv/a#b");
}

/* ---- What is kept of a server -------------------------------------------------------------------
 */

#define ID "00112233445566778899aabbccddeeff"

static int scratch(char dir[64])
{
  strncpy(dir, "/tmp/systracker-join-XXXXXX", 63);
  assert_non_null(mkdtemp(dir));
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_true(fd >= 0);
  return fd;
}

static void test_state(void **state)
{
  char dir[64] = {0};
  struct stat st;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_remote_state s, again;
  ST_AUTO_CLOSE int fd = scratch(dir);
  (void)state;
  assert_int_equal(st_remote_state_find(&s, fd, "https://a.example", &err), 0);
  assert_string_equal(s.archive, "");
  memcpy(s.archive, ID, sizeof(s.archive));
  s.session = st_strdup("secret");
  s.expires = 12345;
  st_strings_add(&s.recipients, "age1x");
  json_object_set_new(s.values, "key", json_string("abc"));
  assert_int_equal(st_remote_state_write(&s, fd, &err), 0);
  ST_AUTO_FREE char *path = st_remote_state_path(&s);
  assert_int_equal(fstatat(fd, path, &st, 0), 0);
  assert_int_equal(st.st_mode & 07777, 0600);

  assert_int_equal(st_remote_state_find(&again, fd, "https://a.example", &err), 0);
  assert_string_equal(again.archive, ID);
  assert_string_equal(again.session, "secret");
  assert_int_equal(again.expires, 12345);
  assert_string_equal(again.recipients.items[0], "age1x");
  assert_string_equal(json_string_value(json_object_get(again.values, "key")), "abc");
  st_remote_state_clear(&again);
  assert_int_equal(st_remote_state_find(&again, fd, "https://b.example", &err), 0);
  assert_string_equal(again.archive, "");

  /* Another server that says the same id does not touch it. */
  memcpy(again.archive, ID, sizeof(again.archive));
  assert_int_equal(st_remote_state_write(&again, fd, &err), 0);
  ST_AUTO_FREE char *others = st_remote_state_path(&again);
  st_remote_state_clear(&again);
  assert_int_equal(st_remote_state_find(&again, fd, "https://a.example", &err), 0);
  assert_string_equal(again.session, "secret");
  st_remote_state_clear(&again);

  /* A file that has the archive's id for its name, as it was once, is found and gets its new one.
   */
  assert_int_equal(renameat(fd, path, fd, "remote/" ID ".json"), 0);
  assert_int_equal(st_remote_state_find(&again, fd, "https://a.example", &err), 0);
  assert_string_equal(again.session, "secret");
  assert_int_equal(st_remote_state_write(&again, fd, &err), 0);
  assert_int_equal(fstatat(fd, path, &st, 0), 0);
  assert_int_equal(fstatat(fd, "remote/" ID ".json", &st, 0), -1);
  st_remote_state_clear(&again);

  /* One that is damaged is as if there were none. */
  ST_AUTO_CLOSE int folder = openat(fd, "remote", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_int_equal(st_write_file(folder, strchr(path, '/') + 1, 0600, "{\"version\":1,", 13, &err),
                   0);
  assert_int_equal(st_remote_state_find(&again, fd, "https://a.example", &err), 0);
  assert_string_equal(again.archive, "");
  st_remote_state_clear(&again);
  st_remote_state_clear(&s);
  unlinkat(fd, path, 0);
  unlinkat(fd, others, 0);
  unlinkat(fd, "remote", AT_REMOVEDIR);
  rmdir(dir);
}

static void known_as(const char *url, const char *as)
{
  ST_AUTO_JOIN j = {0};
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_int_equal(st_join_parse(&j, url, NULL, &err), 0);
  ST_AUTO_FREE char *server = st_join_server(&j);
  assert_string_equal(server, as);
}

static void test_server(void **state)
{
  (void)state;
  known_as("https://a.example:7440/#" DIGEST "." TOKEN, "key:" DIGEST);
  known_as("https://A.Example:7440/#." TOKEN, "name:a.example");
  known_as("https://a.example/", "name:a.example");
  known_as("https://a.example/below", "name:a.example");
  known_as("https://[2001:DB8::1]:7440/", "name:2001:db8::1");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parse), cmocka_unit_test(test_refused), cmocka_unit_test(test_shown),
      cmocka_unit_test(test_state), cmocka_unit_test(test_server),
  };
  st_digest_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
