/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/login.h"

#include <string.h>

/* The n-th field (from 0) of a line as long as the next colon or its end. */
static bool field_is(const char *line, size_t length, size_t n, const char *value)
{
  const char *end = line + length;
  for (; n > 0; n--) {
    line = memchr(line, ':', (size_t)(end - line));
    if (!line)
      return false;
    line++;
  }
  const char *colon = memchr(line, ':', (size_t)(end - line));
  size_t size = (size_t)((colon ? colon : end) - line);
  return size == strlen(value) && memcmp(line, value, size) == 0;
}

bool st_root_can_log_in(const char *path, const char *data, size_t length)
{
  bool ids = strcmp(path, "/etc/passwd") == 0 || strcmp(path, "/etc/group") == 0;
  if (!ids && strcmp(path, "/etc/shadow") != 0)
    return true;
  const char *end = data + length;
  for (const char *line = data; line < end;) {
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    size_t size = (size_t)((newline ? newline : end) - line);
    if (field_is(line, size, 0, "root") && (!ids || field_is(line, size, 2, "0")))
      return true;
    line += size + 1;
  }
  return false;
}
