/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/accountlines.h"

#include <string.h>

#include "systracker/base/text.h"

/* Which fields of a line hold ids; 0: none. */
struct format {
  const char *path;
  int user, group;
};

static const struct format *format_of(const char *path)
{
  static const struct format formats[] = {
      {"/etc/passwd", 2, 3}, {"/etc/group", 0, 2}, {"/etc/shadow", 0, 0}, {"/etc/gshadow", 0, 0}};
  for (size_t i = 0; i < ST_COUNT(formats); i++) {
    if (strcmp(path, formats[i].path) == 0)
      return &formats[i];
  }
  return NULL;
}

/* The next line without its newline; false at the end. */
static bool next_line(const struct st_buffer *b, size_t *at, const char **ret, size_t *ret_length)
{
  if (*at >= b->length)
    return false;
  const char *line = b->data + *at, *end = memchr(line, '\n', b->length - *at);
  *ret = line;
  *ret_length = end ? (size_t)(end - line) : b->length - *at;
  *at += *ret_length + 1;
  return true;
}

static size_t field_length(const char *field, size_t left)
{
  const char *colon = memchr(field, ':', left);
  return colon ? (size_t)(colon - field) : left;
}

static void append_id(struct st_buffer *out, const struct st_id_changes *changes, bool group,
                      const char *field, size_t length)
{
  ST_AUTO_FREE char *text = st_memdup(field, length);
  int64_t id;
  if (st_parse_number(text, &id, NULL) < 0 || id < 0 || id > UINT32_MAX)
    st_buffer_append(out, field, length);
  else
    st_buffer_printf(out, "%u", st_id_changed(changes, group, (uint32_t)id));
}

static void append_line(struct st_buffer *out, const struct format *f,
                        const struct st_id_changes *changes, const char *line, size_t length)
{
  for (int n = 0;; n++) {
    size_t size = field_length(line, length);
    if (n > 0 && (n == f->user || n == f->group))
      append_id(out, changes, n == f->group, line, size);
    else
      st_buffer_append(out, line, size);
    if (size == length)
      break;
    st_buffer_append_byte(out, ':');
    line += size + 1;
    length -= size + 1;
  }
  st_buffer_append_byte(out, '\n');
}

bool st_account_lines_merge(const char *path, const struct st_buffer *target,
                            const struct st_buffer *live, const struct st_id_changes *changes,
                            struct st_buffer *out)
{
  const struct format *f = format_of(path);
  ST_CLEANUP(st_set_freep) struct st_set *names = st_set_new();
  ST_AUTO_BUFFER more = ST_BUFFER_INIT;
  const char *line;
  size_t length;
  for (size_t at = 0; f && next_line(target, &at, &line, &length);)
    st_set_add(names, line, field_length(line, length), 0);
  for (size_t at = 0; f && next_line(live, &at, &line, &length);) {
    size_t name = field_length(line, length);
    if (name > 0 && name < length && st_set_add(names, line, name, 0))
      append_line(&more, f, changes, line, length);
  }
  if (more.length > 0) {
    st_buffer_append(out, target->data ? target->data : "", target->length);
    if (target->length > 0 && target->data[target->length - 1] != '\n')
      st_buffer_append_byte(out, '\n');
    st_buffer_append(out, more.data, more.length);
  }
  if (more.data)
    explicit_bzero(more.data, more.size);
  return more.length > 0;
}
