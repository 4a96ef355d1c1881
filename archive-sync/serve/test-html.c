/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-html.c - what hostile names become; what is opened is closed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "archive-sync/serve/html.h"

static void expect(struct st_buffer *out, const char *text)
{
  assert_string_equal(out->data ? out->data : "", text);
  st_buffer_clear(out);
}

static void test_text(void **state)
{
  (void)state;
  static const struct {
    const char *from, *bytes, *words;
  } cases[] = {
      {"plain", "plain", "plain"},
      {"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;",
       "&lt;script&gt;alert(1)&lt;/script&gt;"},
      {"\" onload='x'", "&quot; onload=&#39;x&#39;", "&quot; onload=&#39;x&#39;"},
      {"&lt;&amp;", "&amp;lt;&amp;amp;", "&amp;lt;&amp;amp;"},
      {"a\nb\tc", "a\\nb\\tc", "a\\nb\\tc"},
      {"a\\n", "a\\\\n", "a\\n"},
      {"\xe2\x80\xae"
       "gpj.exe",
       "\\xe2\\x80\\xaegpj.exe", "\\xe2\\x80\\xaegpj.exe"},
      {"\xff\xfe<", "\\xff\\xfe&lt;", "\\xff\\xfe&lt;"},
      {"\xc0\xbcscript>", "\\xc0\\xbcscript&gt;", "\\xc0\\xbcscript&gt;"},
      {"\x1b[31m\x7f", "\\x1b[31m\\x7f", "\\x1b[31m\\x7f"},
      {"\xc3\xa4\xe2\x82\xac", "\xc3\xa4\xe2\x82\xac", "\xc3\xa4\xe2\x82\xac"},
      {"-->]]>", "--&gt;]]&gt;", "--&gt;]]&gt;"},
  };
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  struct st_html h = {.out = &out};
  for (size_t i = 0; i < ST_COUNT(cases); i++) {
    st_html_bytes(&h, cases[i].from, strlen(cases[i].from));
    expect(&out, cases[i].bytes);
    st_html_text(&h, cases[i].from);
    expect(&out, cases[i].words);
  }
  st_html_bytes(&h, "a\0<", 3);
  expect(&out, "a\\x00&lt;");
  st_html_text(&h, NULL);
  expect(&out, "");
  st_html_printf(&h, "%s %d", "<b>", 1);
  expect(&out, "&lt;b&gt; 1");
}

static void test_attributes(void **state)
{
  (void)state;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  struct st_html h = {.out = &out};
  st_html_open(&h, "input");
  st_html_attr(&h, "name", "\" onfocus=\"alert(1)");
  st_html_attr(&h, "id", NULL);
  st_html_attr_bytes(&h, "value", "'>\n\\\xff", 5);
  st_html_attrf(&h, "size", "%d", 3);
  st_html_flag(&h, "checked");
  st_html_end(&h);
  expect(&out, "<input name=\"&quot; onfocus=&quot;alert(1)\" value=\"&#39;&gt;\\n\\\\\\xff\" "
               "size=\"3\" checked>");
}

static void test_elements(void **state)
{
  (void)state;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  struct st_html h = {.out = &out};
  st_html_open(&h, "b");
  st_html_open(&h, "br");
  st_html_open(&h, "i");
  st_html_open(&h, "u");
  st_html_text(&h, "x");
  st_html_close(&h, "i"); /* and u within */
  st_html_element(&h, "code", "<");
  st_html_element_bytes(&h, "code", "\n", 1);
  st_html_classed(&h, "span", "warn", "&");
  assert_int_equal(h.depth, 1);
  st_html_end(&h);
  expect(&out, "<b><br><i><u>x</u></i><code>&lt;</code><code>\\n</code><span "
               "class=\"warn\">&amp;</span></b>");
}

/* The newline that begins a text is one that HTML would leave out. */
static void test_content(void **state)
{
  (void)state;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  struct st_html h = {.out = &out};
  static const char text[] = "\na\tb\\c <\x1b\n";
  st_html_open(&h, "pre");
  st_html_content(&h, text, strlen(text));
  st_html_content(&h, "\nx", 2);
  st_html_end(&h);
  expect(&out, "<pre>\n\na\tb\\c &lt;\\x1b\n\nx</pre>");
}

static void test_links(void **state)
{
  (void)state;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  struct st_html h = {.out = &out};
  {
    ST_AUTO_LINK to = {0};
    st_link_to(&to, "/hosts/");
    st_link_host(&to, "ab12/epoch-3");
    st_link_to(&to, "/x/");
    st_link_part(&to, "../\"<a> %\xff?#");
    st_link_query(&to, "none", "");
    st_link_query(&to, "path", "/etc/a b&c=\"\n\\");
    st_link_query_number(&to, "n", -4);
    st_link_anchor(&to, "end");
    st_html_anchor(&h, &to, "<go>");
  }
  expect(&out, "<a href=\"/hosts/ab12~3/x/..%2F%22%3Ca%3E%20%25%FF%3F%23"
               "?path=/etc/a%20b%26c%3D%22%0A%5C&amp;n=-4#end\">&lt;go&gt;</a>");
  ST_AUTO_LINK plain = {0};
  st_link_host(&plain, "javascript:x");
  assert_string_equal(plain.text.data, "javascript%3Ax");
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_text),     cmocka_unit_test(test_attributes),
      cmocka_unit_test(test_elements), cmocka_unit_test(test_content),
      cmocka_unit_test(test_links),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
