/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/url.h"

#include <string.h>

static int hex_digit(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that an escape stands for; 0: it is malformed, or NUL. */
static char escaped_byte(const char *text, size_t left)
{
  int high = left > 2 ? hex_digit(text[1]) : -1, low = left > 2 ? hex_digit(text[2]) : -1;
  return high < 0 || low < 0 ? 0 : (char)(high << 4 | low);
}

char *st_url_decode(const char *text, size_t length, bool form)
{
  ST_AUTO_FREE char *out = st_malloc(length + 1);
  size_t n = 0;
  for (size_t i = 0; i < length; i++) {
    char c = text[i];
    if (c == '%') {
      c = escaped_byte(text + i, length - i);
      i += 2;
    } else if (c == '+' && form) {
      c = ' ';
    }
    if (c == 0)
      return NULL;
    out[n++] = c;
  }
  out[n] = 0;
  return st_steal(&out);
}

char *st_url_parameter(const char *text, size_t length, const char *name)
{
  for (const char *end = text + length; text < end;) {
    const char *amp = memchr(text, '&', (size_t)(end - text));
    const char *stop = amp ? amp : end;
    const char *equals = memchr(text, '=', (size_t)(stop - text));
    const char *key_end = equals ? equals : stop;
    ST_AUTO_FREE char *key = st_url_decode(text, (size_t)(key_end - text), true);
    if (key && strcmp(key, name) == 0)
      return equals ? st_url_decode(equals + 1, (size_t)(stop - equals - 1), true) : st_strdup("");
    text = amp ? amp + 1 : end;
  }
  return NULL;
}

char *st_url_cookie(const char *header, const char *name)
{
  size_t n = strlen(name);
  for (const char *at = header; *at;) {
    at += strspn(at, " \t;");
    size_t length = strcspn(at, ";");
    if (length > n && strncmp(at, name, n) == 0 && at[n] == '=') {
      const char *value = at + n + 1;
      size_t value_length = length - n - 1;
      while (value_length > 0 && strchr(" \t", value[value_length - 1]))
        value_length--;
      return st_memdup(value, value_length);
    }
    at += length;
  }
  return NULL;
}
