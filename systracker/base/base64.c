/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/base/base64.h"

#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
static const char plain[] = LETTERS "+/", url[] = LETTERS "-_";

static void encode(struct st_buffer *out, const char *alphabet, const void *data, size_t length)
{
  const uint8_t *s = data;
  uint32_t bits = 0;
  unsigned count = 0;
  for (size_t i = 0; i < length; i++) {
    bits = (bits << 8 | s[i]) & 0xffff;
    for (count += 8; count >= 6; count -= 6)
      st_buffer_append_byte(out, (uint8_t)alphabet[bits >> (count - 6) & 63]);
  }
  if (count)
    st_buffer_append_byte(out, (uint8_t)alphabet[bits << (6 - count) & 63]);
}

static bool decode(struct st_buffer *out, const char *alphabet, const char *text, size_t length)
{
  size_t start = out->length;
  uint32_t bits = 0;
  unsigned count = 0;
  bool good = length % 4 != 1;
  for (size_t i = 0; good && i < length; i++) {
    const char *at = text[i] ? strchr(alphabet, text[i]) : NULL;
    good = at != NULL;
    bits = (bits << 6 | (uint32_t)(good ? at - alphabet : 0)) & 0xffff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      st_buffer_append_byte(out, (uint8_t)(bits >> count));
    }
  }
  if (good && !(bits & ((1u << count) - 1)))
    return true;
  if (out->data)
    explicit_bzero(out->data + start, out->length - start);
  out->length = start;
  return false;
}

void st_base64(struct st_buffer *out, const void *data, size_t length)
{
  encode(out, plain, data, length);
}

bool st_unbase64(struct st_buffer *out, const char *text, size_t length)
{
  return decode(out, plain, text, length);
}

void st_base64url(struct st_buffer *out, const void *data, size_t length)
{
  encode(out, url, data, length);
}

bool st_unbase64url(struct st_buffer *out, const char *text, size_t length)
{
  return decode(out, url, text, length);
}
