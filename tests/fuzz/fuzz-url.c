/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz-url.c - targets, forms, cookies and search terms as a client wrote them.  What was decoded
 * is no longer than what was sent, and nothing hides behind a NUL.
 */
#include <string.h>

#include "archive-sync/serve/url.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
  static const char *const seeds[] = {"/v1/hosts/%61%2f..%00/x?offset=1&limit=100&q=a+b%20c",
                                      "user=a&password=%F0%9F%98%80&form=0123456789abcdef",
                                      "systracker=0123; other=\"x\"; systracker=second"};
  (void)argc, (void)argv;
  for (size_t i = 0; i < ST_COUNT(seeds); i++) {
    char name[] = {'s', 'e', 'e', 'd', (char)('0' + i), 0};
    fuzz_seed(name, seeds[i], strlen(seeds[i]));
  }
  return 0;
}

static void check(char *decoded, size_t length)
{
  if (decoded)
    FUZZ_ASSERT(strlen(decoded) <= length);
  free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
  ST_AUTO_FREE char *text = malloc(length + 1);
  FUZZ_ASSERT(text != NULL);
  memcpy(text, data, length);
  text[length] = 0;
  check(st_url_decode(text, length, true), length);
  check(st_url_decode(text, length, false), length);
  check(st_url_parameter(text, length, "q"), length);
  check(st_url_parameter(text, length, "password"), length);
  check(st_url_cookie(text, "systracker"), length);
  return 0;
}
