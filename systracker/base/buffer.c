/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/buffer.h"

#include <string.h>

__attribute__((noreturn)) static void out_of_memory(void)
{
  static const char text[] = "systracker: out of memory\n";
  ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
  (void)n;
  _exit(2);
}

void *st_malloc(size_t n)
{
  void *p = malloc(n ? n : 1);
  if (!p)
    out_of_memory();
  return p;
}

void *st_calloc(size_t count, size_t size)
{
  void *p = count && size ? calloc(count, size) : calloc(1, 1);
  if (!p)
    out_of_memory();
  return p;
}

void *st_realloc(void *p, size_t count, size_t size)
{
  size_t n;
  if (__builtin_mul_overflow(count, size, &n))
    out_of_memory();
  p = realloc(p, n ? n : 1);
  if (!p)
    out_of_memory();
  return p;
}

char *st_strdup(const char *s)
{
  return st_memdup(s, strlen(s));
}

void *st_memdup(const void *data, size_t n)
{
  size_t size;
  if (__builtin_add_overflow(n, (size_t)1, &size))
    out_of_memory();
  char *p = st_malloc(size);
  if (n)
    memcpy(p, data, n);
  p[n] = 0;
  return p;
}

char *st_format(const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  char *s = st_vformat(fmt, ap);
  va_end(ap);
  return s;
}

char *st_vformat(const char *fmt, va_list ap)
{
  char *s = NULL;
  if (vasprintf(&s, fmt, ap) < 0)
    out_of_memory();
  return s;
}

void st_buffer_free(struct st_buffer *b)
{
  free(b->data);
  *b = ST_BUFFER_INIT;
}

void st_buffer_clear(struct st_buffer *b)
{
  b->length = 0;
  if (b->data)
    b->data[0] = 0;
}

void st_buffer_grow(struct st_buffer *b, size_t more)
{
  size_t need;
  if (__builtin_add_overflow(b->length, more, &need) ||
      __builtin_add_overflow(need, (size_t)1, &need))
    out_of_memory();
  size_t size = b->size > SIZE_MAX / 2 ? need : b->size * 2;
  if (size < need)
    size = need < 64 ? 64 : need;
  b->data = st_realloc(b->data, size, 1);
  b->size = size;
  b->data[b->length] = 0;
}

void st_buffer_append(struct st_buffer *b, const void *data, size_t n)
{
  st_buffer_reserve(b, n);
  if (n)
    memcpy(b->data + b->length, data, n);
  b->length += n;
  b->data[b->length] = 0;
}

void st_buffer_append_string(struct st_buffer *b, const char *s)
{
  st_buffer_append(b, s, strlen(s));
}

void st_buffer_append_byte(struct st_buffer *b, uint8_t c)
{
  st_buffer_append(b, &c, 1);
}

void st_buffer_printf(struct st_buffer *b, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  st_buffer_vprintf(b, fmt, ap);
  va_end(ap);
}

/* Most is short; it may have been taken from the buffer itself. */
void st_buffer_vprintf(struct st_buffer *b, const char *fmt, va_list ap)
{
  char text[256];
  va_list again;
  va_copy(again, ap);
  int n = vsnprintf(text, sizeof(text), fmt, ap);
  if (n >= 0 && (size_t)n < sizeof(text)) {
    st_buffer_append(b, text, (size_t)n);
  } else {
    ST_AUTO_FREE char *s = st_vformat(fmt, again);
    st_buffer_append_string(b, s);
  }
  va_end(again);
}

char *st_buffer_steal(struct st_buffer *b, size_t *ret_length)
{
  st_buffer_reserve(b, 0);
  char *data = b->data;
  if (ret_length)
    *ret_length = b->length;
  *b = ST_BUFFER_INIT;
  return data;
}

void st_strings_free(struct st_strings *s)
{
  for (size_t i = 0; i < s->count; i++)
    free(s->items[i]);
  free(s->items);
  *s = (struct st_strings){0};
}

void st_strings_add(struct st_strings *s, const char *text)
{
  st_strings_take(s, st_strdup(text));
}

void st_strings_take(struct st_strings *s, char *text)
{
  if (s->count + 1 >= s->size) {
    s->size = s->size ? s->size * 2 : 8;
    s->items = st_realloc(s->items, s->size, sizeof *s->items);
  }
  s->items[s->count++] = text;
  s->items[s->count] = NULL;
}

bool st_strings_has(const struct st_strings *s, const char *text)
{
  for (size_t i = 0; i < s->count; i++)
    if (!strcmp(s->items[i], text))
      return true;
  return false;
}
