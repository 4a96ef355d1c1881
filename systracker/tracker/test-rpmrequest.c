/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "systracker/tracker/rpmrequest.h"

static void set(char **field, const char *value)
{
  free(*field);
  *field = st_strdup(value);
}

static void fill(struct st_rpm_request *r)
{
  struct st_rpm_step *s = st_rpm_request_add(r, ST_RPM_STEP_UPGRADE);
  set(&s->name, "a");
  set(&s->before, "1-1");
  set(&s->after, "2:1-1");
  set(&s->architecture, "noarch");
  set(&s->digest, "abcd");
  s->optional = true;
  st_strings_add(&s->files, "ab/one.rpm");
  st_strings_add(&s->files, "cd/two.rpm");
  s = st_rpm_request_add(r, ST_RPM_STEP_IMPORT);
  set(&s->name, "gpg-pubkey");
  set(&s->key, "armour\n");
}

static void test_request(void **state)
{
  (void)state;
  ST_AUTO_RPM_REQUEST r = {0}, read = {0};
  ST_AUTO_BUFFER out = ST_BUFFER_INIT, again = ST_BUFFER_INIT;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  fill(&r);
  st_rpm_request_encode(&out, &r);
  assert_int_equal(st_rpm_request_decode(out.data, out.length, &read, &err), 0);
  assert_int_equal(read.count, 2);
  assert_int_equal(read.items[0].files.count, 2);
  assert_true(read.items[0].optional);
  assert_string_equal(read.items[1].key, "armour\n");
  st_rpm_request_encode(&again, &read);
  assert_int_equal(again.length, out.length);
  assert_memory_equal(again.data, out.data, out.length);
}

/* What is cut off anywhere is refused, but where a step ends. */
static void test_cut_off(void **state)
{
  (void)state;
  ST_AUTO_RPM_REQUEST r = {0};
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  size_t whole = 0;
  fill(&r);
  st_rpm_request_encode(&out, &r);
  for (size_t n = 0; n < out.length; n++) {
    ST_AUTO_RPM_REQUEST read = {0};
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    ST_AUTO_FREE void *copy = st_memdup(out.data, n);
    whole += st_rpm_request_decode(copy, n, &read, &err) == 0;
  }
  assert_int_equal(whole, 2); /* nothing, and the first step alone */
}

static void refuse(const char *data, size_t length)
{
  ST_AUTO_RPM_REQUEST read = {0};
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_true(st_rpm_request_decode(data, length, &read, &err) < 0);
}
#define REFUSE(text) refuse(text, sizeof(text) - 1)

static void test_lies(void **state)
{
  (void)state;
  REFUSE("burn\0a\0\0\0\0\0"
         "0\0\0"
         "0\0");
  REFUSE("erase\0a\0\0\0\0\0"
         "2\0\0"
         "0\0");
  REFUSE("erase\0a\0\0\0\0\0"
         "0\0\0"
         "9999999999\0");
  REFUSE("erase\0a\0\0\0\0\0"
         "0\0\0"
         "-1\0");
  REFUSE("install\0a\0\0\0\0\0"
         "0\0\0"
         "1\0/etc/passwd\0");
  REFUSE("install\0a\0\0\0\0\0"
         "0\0\0"
         "1\0ab/../../x\0");
}

static void hear(void *arg, enum st_rpm_said what, size_t step, const char *text)
{
  struct st_buffer *out = arg;
  if (step == ST_RPM_NO_STEP)
    st_buffer_printf(out, "%d - %s\n", (int)what, text);
  else
    st_buffer_printf(out, "%d %zu %s\n", (int)what, step, text);
}

static void test_answer(void **state)
{
  (void)state;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT, heard = ST_BUFFER_INIT;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  st_rpm_say(&out, ST_RPM_SAID_FILE, 1, "why");
  st_rpm_say(&out, ST_RPM_SAID_LEFT, ST_RPM_NO_STEP, "/etc/a.rpmnew");
  assert_int_equal(st_rpm_answer_decode(out.data, out.length, 2, hear, &heard, &err), 0);
  assert_string_equal((char *)heard.data, "0 1 why\n6 - /etc/a.rpmnew\n");
  /* A step that nobody asked for; cut off. */
  assert_true(st_rpm_answer_decode(out.data, out.length, 1, hear, &heard, &err) < 0);
  st_error_clear(&err);
  assert_true(st_rpm_answer_decode(out.data, out.length - 1, 2, hear, &heard, &err) < 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_request),
      cmocka_unit_test(test_cut_off),
      cmocka_unit_test(test_lies),
      cmocka_unit_test(test_answer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
