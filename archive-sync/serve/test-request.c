/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-request.c - targets, forms and cookies taken apart; routes found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "archive-sync/serve/route.h"
#include "archive-sync/serve/url.h"

/* ---- Decoding ----------------------------------------------------------------------------------
 */

static void check_decoded(const char *text, bool form, const char *expected)
{
  ST_AUTO_FREE char *got = st_url_decode(text, strlen(text), form);
  if (!expected)
    assert_null(got);
  else
    assert_string_equal(got, expected);
}

static void test_decode(void **state)
{
  (void)state;
  check_decoded("", false, "");
  check_decoded("abc", false, "abc");
  check_decoded("a%20b%2fc%2Fd", false, "a b/c/d");
  check_decoded("a+b", false, "a+b");
  check_decoded("a+b", true, "a b");
  check_decoded("%ff%80", false, "\xff\x80");
  check_decoded("%2500", false, "%00"); /* once, not twice */
  check_decoded("%", false, NULL);
  check_decoded("%4", false, NULL);
  check_decoded("%4g", false, NULL);
  check_decoded("%-1", false, NULL);
  check_decoded("a%00b", false, NULL);
}

/* The length counts, not a NUL behind it. */
static void test_decode_within(void **state)
{
  (void)state;
  ST_AUTO_FREE char *cut = st_url_decode("%41%42", 5, false);
  assert_null(cut);
  ST_AUTO_FREE char *whole = st_url_decode("%41%42", 3, false);
  assert_string_equal(whole, "A");
}

static void check_parameter(const char *query, const char *name, const char *expected)
{
  ST_AUTO_FREE char *got = st_url_parameter(query, strlen(query), name);
  if (!expected)
    assert_null(got);
  else
    assert_string_equal(got, expected);
}

static void test_parameters(void **state)
{
  (void)state;
  check_parameter("", "a", NULL);
  check_parameter("a=1", "a", "1");
  check_parameter("ab=1&a=2", "a", "2");
  check_parameter("a=1&a=2", "a", "1");
  check_parameter("a", "a", "");
  check_parameter("a=", "a", "");
  check_parameter("&&b&a=x+y%26z&", "a", "x y&z");
  check_parameter("%61=coded", "a", "coded");
  check_parameter("a=%zz", "a", NULL);
  check_parameter("a=x%00y", "a", NULL);
  check_parameter("%00a=1&a=2", "a", "2");
  check_parameter("a=b=c", "a", "b=c");
}

static void check_cookie(const char *header, const char *expected)
{
  ST_AUTO_FREE char *got = st_url_cookie(header, "systracker");
  if (!expected)
    assert_null(got);
  else
    assert_string_equal(got, expected);
}

static void test_cookies(void **state)
{
  (void)state;
  check_cookie("", NULL);
  check_cookie("systracker=abc", "abc");
  check_cookie("a=b; systracker=abc; c=d", "abc");
  check_cookie("a=b;systracker=abc ", "abc");
  check_cookie("xsystracker=abc", NULL);
  check_cookie("systrackerx=abc", NULL);
  check_cookie("systracker", NULL);
  check_cookie("systracker=", "");
  check_cookie("a=systracker=b", NULL);
  check_cookie(";;; ; systracker=1", "1");
}

/* ---- Routes ------------------------------------------------------------------------------------
 */

static int handle(struct st_request *r, struct st_error *err)
{
  (void)r, (void)err;
  return 0;
}

#define HOST "0123456789abcdef0123456789abcdef"

static const struct st_route first[] = {
    {"GET", "/", 0, ST_ROUTE_PAGE, 0, 0, handle},
    {"GET", "/v1/hosts", 0, 0, 0, 0, handle},
    {"GET", "/v1/hosts/*", 0, ST_ROUTE_HOST, 0, 0, handle},
    {"POST", "/v1/hosts/*", 0, ST_ROUTE_HOST, 0, 0, handle},
    {"GET", "/v1/hosts/*/files/*/**", 0, ST_ROUTE_HOST, 0, 0, handle},
    {0},
};
static const struct st_route second[] = {
    {"GET", "/v1/any/*", 0, 0, 0, 0, handle},
    {"PUT", "/v1/any/new", 0, 0, 0, 0, handle},
    {"GET", "/v1/any/new", 0, 0, 0, 0, handle},
    {0},
};
static const struct st_route *const tables[] = {first, second, NULL};

static void check_route(const char *method, const char *path, enum st_route_result expected,
                        const struct st_route *route, const char *part, const char *last)
{
  ST_AUTO_FREE char *allow = NULL;
  struct st_request r = {.method = method, .path = path};
  assert_int_equal(st_route_find(tables, &r, &allow), expected);
  if (route) {
    assert_ptr_equal(r.route, route);
    assert_int_equal(r.nparts, (part != NULL) + (last != NULL));
    if (part)
      assert_string_equal(r.parts[0], part);
    if (last)
      assert_string_equal(r.parts[r.nparts - 1], last);
  }
  st_route_clear(&r);
}

static void test_routes(void **state)
{
  (void)state;
  check_route("GET", "/", ST_ROUTE_FOUND, &first[0], NULL, NULL);
  check_route("HEAD", "/", ST_ROUTE_FOUND, &first[0], NULL, NULL);
  check_route("GET", "/v1/hosts", ST_ROUTE_FOUND, &first[1], NULL, NULL);
  check_route("GET", "/v1/hosts/" HOST, ST_ROUTE_FOUND, &first[2], HOST, NULL);
  check_route("POST", "/v1/hosts/" HOST, ST_ROUTE_FOUND, &first[3], HOST, NULL);
  check_route("GET", "/v1/any/x%20y", ST_ROUTE_FOUND, &second[0], "x y", NULL);
  /* A word of its own comes before "*". */
  check_route("GET", "/v1/any/new", ST_ROUTE_FOUND, &second[2], NULL, NULL);
  check_route("PUT", "/v1/any/new", ST_ROUTE_FOUND, &second[1], NULL, NULL);
}

static void test_no_route(void **state)
{
  static const char *const paths[] = {
      "/v1",          "/v1/",      "/v1/hosts/",  "/v1//hosts",
      "//v1/hosts",   "/V1/hosts", "/v1/host",    "/v1/hostsx",
      "/v1/hosts/x/", "",          "/v1/%68osts", "/v1/hosts/../any/new",
      "/v1/any/x/y",  "/v1/any/"};
  (void)state;
  for (size_t i = 0; i < ST_COUNT(paths); i++)
    check_route("GET", paths[i], ST_ROUTE_NONE, NULL, NULL, NULL);
}

static void test_malformed(void **state)
{
  (void)state;
  check_route("GET", "/v1/any/%", ST_ROUTE_MALFORMED, NULL, NULL, NULL);
  check_route("GET", "/v1/any/a%00b", ST_ROUTE_MALFORMED, NULL, NULL, NULL);
  check_route("GET", "/v1/any/a%2fb", ST_ROUTE_MALFORMED, NULL, NULL, NULL);
}

static void test_method(void **state)
{
  ST_AUTO_FREE char *allow = NULL;
  struct st_request r = {.method = "DELETE", .path = "/v1/any/new"};
  (void)state;
  assert_int_equal(st_route_find(tables, &r, &allow), ST_ROUTE_METHOD);
  assert_string_equal(allow, "GET, HEAD, PUT");
  st_route_clear(&r);
}

static void test_hosts(void **state)
{
  (void)state;
  check_route("GET", "/v1/hosts/" HOST "~12", ST_ROUTE_FOUND, &first[2], HOST "/epoch-12", NULL);
  static const char *const bad[] = {
      HOST "~",   HOST "~0",          HOST "~1x", HOST "0", "0123",
      HOST "~-1", HOST "~1234567890", HOST "%20", "..",     "0123456789ABCDEF0123456789ABCDEF"};
  for (size_t i = 0; i < ST_COUNT(bad); i++) {
    ST_AUTO_FREE char *path = st_format("/v1/hosts/%s", bad[i]);
    check_route("GET", path, ST_ROUTE_NONE, NULL, NULL, NULL);
  }
}

static void test_rest(void **state)
{
  struct st_request r = {.method = "GET", .path = "/v1/hosts/" HOST "/files/7/etc/a%2fb//c"};
  ST_AUTO_FREE char *allow = NULL;
  (void)state;
  assert_int_equal(st_route_find(tables, &r, &allow), ST_ROUTE_FOUND);
  assert_int_equal(r.nparts, 3);
  assert_string_equal(r.parts[1], "7");
  assert_string_equal(r.parts[2], "etc/a/b//c");
  st_route_clear(&r);
  r = (struct st_request){.method = "GET", .path = "/v1/hosts/" HOST "/files/7/"};
  assert_int_equal(st_route_find(tables, &r, &allow), ST_ROUTE_FOUND);
  assert_string_equal(r.parts[2], "");
  st_route_clear(&r);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_decode),     cmocka_unit_test(test_decode_within),
      cmocka_unit_test(test_parameters), cmocka_unit_test(test_cookies),
      cmocka_unit_test(test_routes),     cmocka_unit_test(test_no_route),
      cmocka_unit_test(test_malformed),  cmocka_unit_test(test_method),
      cmocka_unit_test(test_hosts),      cmocka_unit_test(test_rest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
