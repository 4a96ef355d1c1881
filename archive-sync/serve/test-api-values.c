/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-api-values.c - what the JSON interface makes of what it is asked, and of what it answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "archive-sync/serve/api.h"
#include "archive-sync/serve/url.h"

/* ---- Linked in place of the server's ------------------------------------------------------------
 */

struct fake {
  const char *query;
  char *value; /* of the parameter asked for last */
  unsigned refusals;
};

static struct fake *fake_of(const struct st_request *r)
{
  return r->transport;
}

const char *st_request_query(const struct st_request *r, const char *name)
{
  struct fake *f = fake_of(r);
  free(f->value);
  return f->value = st_url_parameter(f->query, strlen(f->query), name);
}

int st_reply_refuse(struct st_request *r, unsigned status, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  ST_AUTO_FREE char *words = st_vformat(fmt, ap);
  va_end(ap);
  fake_of(r)->refusals++;
  r->reply.status = status;
  st_buffer_clear(&r->reply.body);
  st_buffer_append_string(&r->reply.body, words);
  return 0;
}

bool st_access_may_read(struct st_access *a, const struct st_identity *who, const char *id)
{
  (void)a, (void)who;
  return strcmp(id, "seen") == 0;
}

int st_hostviews_open(struct st_hostviews *all, const char *host, struct st_hostview **ret,
                      struct st_error *err)
{
  (void)all, (void)host;
  *ret = NULL;
  return st_fail(err, 0, "the catalog is damaged");
}

int st_hostview_resolve(struct st_hostview *v, const char *text, int64_t *ret, struct st_error *err)
{
  (void)v;
  *ret = 7;
  return strcmp(text, "latest") == 0 ? 0 : st_fail(err, 0, "there is no checkpoint %s", text);
}

static void clear(struct st_request *r)
{
  st_buffer_free(&r->reply.body);
  st_buffer_free(&r->body);
  free(fake_of(r)->value);
}

#define REQUEST(name, ask)                                                                         \
  struct fake fake_of_##name = {.query = (ask)};                                                   \
  ST_CLEANUP(clear) struct st_request name = {.transport = &fake_of_##name, .body_fd = -1}

/* Refused once, so and in these words. */
static void assert_refused(const struct st_request *r, unsigned status, const char *words)
{
  assert_int_equal(fake_of(r)->refusals, 1);
  assert_int_equal(r->reply.status, status);
  assert_string_equal(r->reply.body.data, words);
}

/* ---- Parameters ---------------------------------------------------------------------------------
 */

static void check_span(const char *query, size_t offset, size_t limit)
{
  REQUEST(r, query);
  struct st_view_span span;
  assert_int_equal(st_api_span(&r, &span), 0);
  assert_int_equal(fake_of(&r)->refusals, 0);
  assert_int_equal(span.offset, offset);
  assert_int_equal(span.limit, limit);
}

static void check_no_span(const char *query, const char *words)
{
  REQUEST(r, query);
  struct st_view_span span;
  assert_int_equal(st_api_span(&r, &span), 1);
  assert_refused(&r, 400, words);
}

static void test_span(void **state)
{
  (void)state;
  ST_AUTO_FREE char *most = st_format("limit=%zu", ST_VIEW_LIMIT);
  ST_AUTO_FREE char *more = st_format("limit=%zu", ST_VIEW_LIMIT + 1);
  ST_AUTO_FREE char *words = st_format("limit is 1 to %zu", ST_VIEW_LIMIT);
  check_span("", 0, ST_API_LIMIT);
  check_span("offset=20&limit=1", 20, 1);
  check_span("offset=2147483647", INT32_MAX, ST_API_LIMIT);
  check_span(most, 0, ST_VIEW_LIMIT);
  check_no_span(more, words);
  check_no_span("limit=0", words);
  check_no_span("offset=2147483648", "offset is no number");
  check_no_span("offset=-1", "offset is no number");
  check_no_span("offset=", "offset is no number");
  check_no_span("limit=1x", "limit is no number");
  check_no_span("limit=99999999999999999999", "limit is no number");
}

static void check_flag(const char *query, int result, bool value)
{
  REQUEST(r, query);
  bool is = !value;
  assert_int_equal(st_api_flag(&r, "times", &is), result);
  if (result)
    assert_refused(&r, 400, "times is neither yes nor no");
  else
    assert_int_equal(is, value);
}

static void test_flag(void **state)
{
  (void)state;
  check_flag("", 0, false);
  check_flag("times=yes", 0, true);
  check_flag("times=0", 0, false);
  check_flag("times=", 1, false);
  check_flag("times=maybe", 1, false);
}

static void check_path(const char *query, bool needed, const char *expected, const char *refusal)
{
  REQUEST(r, query);
  ST_AUTO_FREE char *path = NULL;
  assert_int_equal(st_api_path(&r, needed, &path), refusal ? 1 : 0);
  if (refusal)
    assert_refused(&r, 400, refusal);
  if (expected)
    assert_string_equal(path, expected);
  else
    assert_null(path);
}

static void test_path(void **state)
{
  static const char bad[] = "path is not absolute, or has \"..\" in it";
  (void)state;
  check_path("", false, NULL, NULL);
  check_path("", true, NULL, "path is missing");
  check_path("path=/etc//app/", true, "/etc/app", NULL);
  check_path("path=/a%ffb%0ac", true,
             "/a\xff"
             "b\nc",
             NULL);
  check_path("path=etc", false, NULL, bad);
  check_path("path=/etc/../root", false, NULL, bad);
  check_path("path=", false, NULL, bad);
  check_path("path=/a%00b", true, NULL, "path is missing");
}

static void test_host_and_checkpoint(void **state)
{
  (void)state;
  struct st_server server = {0};
  struct st_hostview *v;
  int64_t number;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  REQUEST(r, "");
  r.server = &server;
  assert_int_equal(st_api_open(&r, "hidden", &v, &err), 1);
  assert_refused(&r, 404, "there is no such host");
  REQUEST(s, "");
  s.server = &server;
  assert_int_equal(st_api_open(&s, "seen", &v, &err), -1); /* ours to log, not theirs to read */
  assert_int_equal(fake_of(&s)->refusals, 0);
  assert_string_equal(st_error_text(&err), "the catalog is damaged");
  assert_int_equal(st_api_checkpoint(&s, NULL, NULL, &number), 0);
  assert_int_equal(number, 7);
  assert_int_equal(st_api_checkpoint(&s, NULL, "9", &number), 1);
  assert_refused(&s, 404, "there is no checkpoint 9");
}

/* ---- Bodies -------------------------------------------------------------------------------------
 */

static void check_body(const char *text, bool good)
{
  REQUEST(r, "");
  json_t *o;
  st_buffer_append_string(&r.body, text);
  assert_int_equal(st_api_body(&r, &o), good ? 0 : 1);
  assert_int_equal(o != NULL, good);
  json_decref(o);
  if (!good)
    assert_refused(&r, 400, "the body is no JSON object");
}

static void test_body(void **state)
{
  (void)state;
  check_body("{}", true);
  check_body("{\"a\": 1}", true);
  check_body("", false);
  check_body("[]", false);
  check_body("{\"a\": 1, \"a\": 2}", false); /* which of them counts is nobody's guess */
  check_body("{} {}", false);
  check_body("{\"a\": \"\xff\"}", false);
}

/* A browser sends its cookie wherever a page of somebody else's has it ask. */
static void test_no_change_by_cookie(void **state)
{
  (void)state;
  json_t *o;
  REQUEST(r, "");
  st_buffer_append_string(&r.body, "{}");
  memcpy(r.who.form_token, "t", 2);
  assert_int_equal(st_api_body(&r, &o), 1);
  assert_null(o);
  assert_refused(&r, 403, "what changes something needs an API token: Authorization: Bearer");
}

static void check_string(const char *name, bool needed, const char *expected, const char *refusal)
{
  REQUEST(r, "");
  const char *text;
  json_t *o = json_loads("{\"text\": \"x\", \"empty\": \"\", \"null\": null, \"number\": 1,"
                         " \"nul\": \"a\\u0000b\"}",
                         JSON_ALLOW_NUL, NULL);
  assert_non_null(o);
  assert_int_equal(st_api_string(&r, o, name, needed, &text), refusal ? 1 : 0);
  if (refusal)
    assert_refused(&r, 400, refusal);
  else if (expected)
    assert_string_equal(text, expected);
  else
    assert_null(text);
  json_decref(o);
}

static void test_string(void **state)
{
  (void)state;
  check_string("text", true, "x", NULL);
  check_string("empty", true, "", NULL);
  check_string("absent", false, NULL, NULL);
  check_string("absent", true, NULL, "absent is missing");
  check_string("null", false, NULL, NULL);
  check_string("null", true, NULL, "null is no text");
  check_string("number", false, NULL, "number is no text");
  check_string("nul", false, NULL, "nul is no text");
}

/* ---- Answers ------------------------------------------------------------------------------------
 */

static void check_text(json_t *value, const char *expected)
{
  if (expected)
    assert_string_equal(json_string_value(value), expected);
  else
    assert_true(json_is_null(value));
  json_decref(value);
}

static void test_answers(void **state)
{
  (void)state;
  check_text(st_api_time(1), "1970-01-01T00:00:01Z");
  check_text(st_api_time(0), NULL);
  check_text(st_api_letter('M'), "M");
  check_text(st_api_name("web-1"), "web-1");
  check_text(st_api_name(""), NULL);
}

static void test_refused(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  REQUEST(r, "");
  st_fail(&err, 0, "there is a user of that name");
  assert_int_equal(st_api_refused(&r, 409, &err), 0);
  assert_refused(&r, 409, "there is a user of that name");
  assert_null(err.message);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_span),    cmocka_unit_test(test_flag),
      cmocka_unit_test(test_path),    cmocka_unit_test(test_host_and_checkpoint),
      cmocka_unit_test(test_body),    cmocka_unit_test(test_no_change_by_cookie),
      cmocka_unit_test(test_string),  cmocka_unit_test(test_answers),
      cmocka_unit_test(test_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
