/* SPDX-License-Identifier: GPL-2.0-or-later */
/* password.c - Argon2id (RFC 9106) by libargon2, as "$argon2id$v=19$m=...". */
#include <argon2.h>
#include <string.h>

#include "archive-sync/serve/access-inside.h"

/* 32 MiB and three passes: about 60 ms of one core; the server proves one at a time. */
#define PASSES 3
#define MEMORY 32768 /* KiB */
#define LANES 1
#define SALT 16
#define HASH 32
#define ENCODED 128 /* bytes, at most, with the NUL */

/* Of nobody's password: what an unknown user costs. */
static const char nobody[] = "$argon2id$v=19$m=32768,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
                             "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

int st_password_hash(const char *password, char **ret, struct st_error *err)
{
  uint8_t salt[SALT];
  char encoded[ENCODED];
  size_t n = strlen(password);
  if (n < ST_PASSWORD_MIN || n > ST_PASSWORD_MAX)
    return st_refuse(err, "a password has %d to %d bytes", ST_PASSWORD_MIN, ST_PASSWORD_MAX);
  if (st_random(salt, sizeof(salt), err) < 0)
    return -1;
  int r = argon2id_hash_encoded(PASSES, MEMORY, LANES, password, n, salt, sizeof(salt), HASH,
                                encoded, sizeof(encoded));
  if (r != ARGON2_OK)
    return st_fail(err, 0, "cannot keep the password: %s", argon2_error_message(r));
  *ret = st_strdup(encoded);
  return 0;
}

bool st_password_is(const char *encoded, const char *password)
{
  size_t n = strnlen(password, ST_PASSWORD_MAX + 1);
  bool good =
      n <= ST_PASSWORD_MAX && argon2id_verify(encoded ? encoded : nobody, password, n) == ARGON2_OK;
  return good && encoded;
}
