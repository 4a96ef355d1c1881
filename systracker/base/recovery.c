/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/base/recovery.h"

#include <string.h>

#include "systracker/base/escape.h"

#define FIRST_LINE "systracker data key 1\n"
#define SEALED_MAX (1 << 16)

int st_recovery_seal(const struct st_keys *keys, const struct st_age_recipient *to, size_t count,
                     struct st_buffer *out, struct st_error *err)
{
  ST_AUTO_SECRET_BUFFER text = ST_BUFFER_INIT;
  char hex[2 * ST_KEY_SIZE + 1];
  st_buffer_reserve(&text, 256); /* so that it does not move */
  st_hex(hex, keys->data_key, sizeof keys->data_key);
  st_buffer_append_string(&text, FIRST_LINE "host ");
  st_buffer_append_string(&text, keys->host_id);
  st_buffer_append_string(&text, "\nkey ");
  st_buffer_append_string(&text, hex);
  st_buffer_append_string(&text, "\n");
  explicit_bzero(hex, sizeof hex);
  if (st_age_encrypt(to, count, text.data, text.length, out, err) < 0)
    return st_wrap(err, "the host's data key");
  return 0;
}

/* The value of a line "NAME VALUE\n" of exactly n characters; moves *at behind it. */
static bool take_line(const char **at, const char *name, char *out, size_t n)
{
  size_t length = strlen(name);
  if (strncmp(*at, name, length) != 0 || strnlen(*at + length, n + 1) <= n ||
      (*at)[length + n] != '\n')
    return false;
  memcpy(out, *at + length, n);
  out[n] = 0;
  *at += length + n + 1;
  return true;
}

/* The text is terminated, and holds no NUL before that. */
static int parse(const char *text, const char *host_id, struct st_keys *ret, struct st_error *err)
{
  char host[ST_HOST_ID_SIZE], hex[2 * ST_KEY_SIZE + 1];
  uint8_t key[ST_KEY_SIZE];
  size_t first = strlen(FIRST_LINE);
  if (strncmp(text, FIRST_LINE, first) != 0)
    return st_fail(err, 0, "it holds no data key, or one that a newer SysTracker sealed");
  const char *at = text + first;
  bool good = take_line(&at, "host ", host, sizeof host - 1) &&
              take_line(&at, "key ", hex, sizeof hex - 1) && !*at && st_unhex(key, sizeof key, hex);
  explicit_bzero(hex, sizeof hex);
  if (!good)
    return st_fail(err, 0, "it is malformed");
  bool same = !strcmp(host, host_id);
  if (same)
    st_keys_of_data_key(ret, key);
  explicit_bzero(key, sizeof key);
  return same ? 0 : st_fail(err, 0, "it is of another host: %s", st_quote(host));
}

int st_recovery_open(const struct st_age_identities *ids, const void *data, size_t length,
                     const char *host_id, struct st_keys *ret, struct st_error *err)
{
  ST_AUTO_SECRET_BUFFER text = ST_BUFFER_INIT;
  if (length > SEALED_MAX)
    return st_fail(err, 0, "the host's data key: the sealed form is too large");
  if (st_age_decrypt(ids, data, length, &text, err) < 0)
    return st_wrap(err, "the host's data key");
  int r = strlen(text.data) == text.length ? parse(text.data, host_id, ret, err)
                                           : st_fail(err, 0, "it is malformed");
  return r < 0 ? st_wrap(err, "the host's data key") : 0;
}
