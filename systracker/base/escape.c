/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/escape.h"

#include <pthread.h>
#include <stdarg.h>
#include <string.h>

/* The length of the UTF-8 character at the start (RFC 3629: no surrogates, nothing overlong, at
 * most U+10FFFF), or 0 where there is none; its number in `*ret`. */
static size_t utf8(const uint8_t *s, size_t left, uint32_t *ret)
{
  if (s[0] < 0x80) {
    *ret = s[0];
    return 1;
  }
  size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (s[0] < 0xc2 || s[0] > 0xf4 || left < n)
    return 0;
  uint32_t c = s[0] & (0x7f >> n);
  for (size_t i = 1; i < n; i++) {
    if ((s[i] & 0xc0) != 0x80)
      return 0;
    c = c << 6 | (s[i] & 0x3f);
  }
  if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
    return 0;
  *ret = c;
  return n;
}

static bool is_unsafe(uint32_t c)
{
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
         (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void escape_byte(struct st_buffer *out, uint8_t c)
{
  static const char digits[] = "0123456789abcdef";
  const char *s = c == '\\' ? "\\\\" : c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r";
  if (c == '\\' || c == '\n' || c == '\t' || c == '\r')
    st_buffer_append(out, s, 2);
  else
    st_buffer_append(out, (char[]){'\\', 'x', digits[c >> 4], digits[c & 15]}, 4);
}

/* All of it; the characters of `keep` stay as they are. */
static void escape(struct st_buffer *out, const uint8_t *s, size_t length, const char *keep)
{
  size_t plain = 0; /* bytes before s that are still to be copied */
  while (length) {
    uint32_t c;
    size_t n = utf8(s, length, &c);
    bool escaped = !n || is_unsafe(c) || c == '\\';
    if (escaped && n == 1 && c && strchr(keep, (int)c))
      escaped = false;
    size_t step = n ? n : 1;
    if (escaped) {
      st_buffer_append(out, s - plain, plain);
      plain = 0;
      for (size_t i = 0; i < step; i++)
        escape_byte(out, s[i]);
    } else {
      plain += step;
    }
    s += step;
    length -= step;
  }
  if (plain)
    st_buffer_append(out, s - plain, plain);
}

void st_escape(struct st_buffer *out, const void *data, size_t length)
{
  escape(out, data, length, "");
}

void st_escape_content(struct st_buffer *out, const void *data, size_t length)
{
  escape(out, data, length, "\n\t\\");
}

void st_escape_message(struct st_buffer *out, const void *data, size_t length)
{
  escape(out, data, length, "\\");
}

char *st_escaped(const void *data, size_t length)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  st_escape(&out, data, length);
  return st_buffer_steal(&out, NULL);
}

int st_unescape(const char *text, struct st_buffer *out, struct st_error *err)
{
  static const char from[] = "\\ntr", to[] = "\\\n\t\r";
  while (*text) {
    size_t plain = strcspn(text, "\\");
    st_buffer_append(out, text, plain);
    text += plain;
    if (!*text)
      break;
    uint8_t byte;
    const char *found = text[1] ? strchr(from, text[1]) : NULL;
    if (found) {
      st_buffer_append_byte(out, (uint8_t)to[found - from]);
      text += 2;
    } else if (text[1] == 'x' && st_unhex(&byte, 1, (char[]){text[2], text[2] ? text[3] : 0, 0})) {
      st_buffer_append_byte(out, byte);
      text += 4;
    } else {
      return st_fail(err, 0, "a backslash is not followed by \\, n, t, r or xHH");
    }
  }
  return 0;
}

#define QUOTES 8

struct quotes {
  char *text[QUOTES];
  unsigned next;
};

static pthread_key_t quotes_key;
static pthread_once_t quotes_once = PTHREAD_ONCE_INIT;

static void free_quotes(void *p)
{
  struct quotes *q = p;
  for (size_t i = 0; i < QUOTES; i++)
    free(q->text[i]);
  free(q);
}

static void make_quotes_key(void)
{
  if (pthread_key_create(&quotes_key, free_quotes))
    abort();
}

const char *st_quote(const char *path)
{
  pthread_once(&quotes_once, make_quotes_key);
  struct quotes *q = pthread_getspecific(quotes_key);
  if (!q) {
    q = st_calloc(1, sizeof *q);
    pthread_setspecific(quotes_key, q);
  }
  char *text = path ? st_escaped(path, strlen(path)) : st_strdup("(none)");
  char **place = &q->text[q->next++ % QUOTES];
  free(*place);
  return *place = text;
}

bool st_is_utf8(const void *data, size_t length)
{
  const uint8_t *s = data;
  while (length) {
    uint32_t c;
    size_t n = utf8(s, length, &c);
    if (!n || !c)
      return false;
    s += n;
    length -= n;
  }
  return true;
}

void st_hex(char *out, const void *data, size_t n)
{
  static const char digits[] = "0123456789abcdef";
  const uint8_t *s = data;
  for (size_t i = 0; i < n; i++) {
    *out++ = digits[s[i] >> 4];
    *out++ = digits[s[i] & 15];
  }
  *out = 0;
}

static int digit(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

bool st_unhex(void *out, size_t n, const char *text)
{
  uint8_t *to = out;
  for (size_t i = 0; i < n; i++) {
    int high = digit(*text);
    int low = high < 0 ? -1 : digit(text[1]);
    if (low < 0)
      return false;
    to[i] = (uint8_t)(high << 4 | low);
    text += 2;
  }
  return !*text;
}

int st_say(struct st_text *out, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  st_buffer_vprintf(&out->buffer, fmt, ap);
  va_end(ap);
  return 0;
}

int st_say_bytes(struct st_text *out, const void *data, size_t length)
{
  st_escape(&out->buffer, data, length);
  return 0;
}
