/* SPDX-License-Identifier: GPL-2.0-or-later */
/* buffer.h - bytes that grow.  Memory that runs out ends the program (as in git's xmalloc): there
 * is nothing sensible left to do, and what was committed is safe. */
#ifndef ST_BASE_BUFFER_H
#define ST_BASE_BUFFER_H

#include <stdarg.h>

#include "systracker/base/cleanup.h"
#include "systracker/base/set.h"
#include "systracker/plugin.h"

/* Allocation that cannot fail; sizes that overflow end the program too. */
void *st_malloc(size_t n);
void *st_calloc(size_t count, size_t size);
void *st_realloc(void *p, size_t count, size_t size);
char *st_strdup(const char *s);
void *st_memdup(const void *data, size_t n); /* with a NUL behind */
char *st_format(const char *fmt, ...) ST_PRINTF(1, 2);
char *st_vformat(const char *fmt, va_list ap);

struct st_buffer {
  char *data;    /* NULL while empty; otherwise there is always a NUL behind `length` */
  size_t length; /* bytes */
  size_t size;   /* allocated */
};

#define ST_BUFFER_INIT ((struct st_buffer){0})
#define ST_AUTO_BUFFER ST_CLEANUP(st_buffer_free) struct st_buffer

void st_buffer_free(struct st_buffer *b);
void st_buffer_clear(struct st_buffer *b);             /* keeps the memory */
void st_buffer_grow(struct st_buffer *b, size_t more); /* st_buffer_reserve, where there is none */
/* Room for `more` bytes and the NUL behind them. */
static inline void st_buffer_reserve(struct st_buffer *b, size_t more)
{
  if (more >= b->size - b->length)
    st_buffer_grow(b, more);
}
void st_buffer_append(struct st_buffer *b, const void *data, size_t n);
void st_buffer_append_string(struct st_buffer *b, const char *s);
void st_buffer_append_byte(struct st_buffer *b, uint8_t c);
void st_buffer_printf(struct st_buffer *b, const char *fmt, ...) ST_PRINTF(2, 3);
void st_buffer_vprintf(struct st_buffer *b, const char *fmt, va_list ap);
/* Hands the memory over (never NULL, NUL behind) and leaves the buffer empty. */
char *st_buffer_steal(struct st_buffer *b, size_t *ret_length);

/* st_text of plugin.h is a buffer. */
struct st_text {
  struct st_buffer buffer;
};

/* A growing array of strings, each malloc'ed. */
struct st_strings {
  char **items; /* NULL at [count] once one was added */
  size_t count, size;
};
#define ST_AUTO_STRINGS ST_CLEANUP(st_strings_free) struct st_strings
void st_strings_free(struct st_strings *s);
void st_strings_add(struct st_strings *s, const char *text); /* copies */
void st_strings_take(struct st_strings *s, char *text);      /* owns from now on */
bool st_strings_has(const struct st_strings *s, const char *text);

#endif
