/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/base/bech32.h"

#include <ctype.h>
#include <string.h>

#define WORDS 52 /* of 5 bits: 32 bytes and four bits of 0 */
#define CHECKSUM 6

static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/* The checksum's polynomial, over one more value of 5 bits. */
static uint32_t polymod(uint32_t c, uint8_t value)
{
  static const uint32_t generator[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
  uint32_t top = c >> 25;
  c = (c & 0x1ffffff) << 5 ^ value;
  for (unsigned i = 0; i < ST_COUNT(generator); i++)
    if (top >> i & 1)
      c ^= generator[i];
  return c;
}

static uint32_t checksum(const char *prefix, const uint8_t words[WORDS])
{
  uint32_t c = 1;
  for (const char *s = prefix; *s; s++)
    c = polymod(c, (uint8_t)tolower((unsigned char)*s) >> 5);
  c = polymod(c, 0);
  for (const char *s = prefix; *s; s++)
    c = polymod(c, (uint8_t)tolower((unsigned char)*s) & 31);
  for (size_t i = 0; i < WORDS; i++)
    c = polymod(c, words[i]);
  for (size_t i = 0; i < CHECKSUM; i++)
    c = polymod(c, 0);
  return c ^ 1;
}

static void to_words(uint8_t words[WORDS], const uint8_t data[ST_BECH32_BYTES])
{
  uint32_t bits = 0;
  unsigned count = 0;
  size_t n = 0;
  for (size_t i = 0; i < ST_BECH32_BYTES; i++) {
    bits = (bits << 8 | data[i]) & 0xffff;
    for (count += 8; count >= 5; count -= 5)
      words[n++] = bits >> (count - 5) & 31;
  }
  words[n] = bits << (5 - count) & 31;
}

static bool is_upper(const char *prefix)
{
  return isupper((unsigned char)*prefix);
}

void st_bech32(char *out, const char *prefix, const uint8_t data[ST_BECH32_BYTES])
{
  uint8_t words[WORDS];
  to_words(words, data);
  uint32_t sum = checksum(prefix, words);
  char *s = stpcpy(out, prefix);
  *s++ = '1';
  for (size_t i = 0; i < WORDS; i++)
    *s++ = alphabet[words[i]];
  for (unsigned i = 0; i < CHECKSUM; i++)
    *s++ = alphabet[sum >> 5 * (CHECKSUM - 1 - i) & 31];
  *s = 0;
  for (s = out; is_upper(prefix) && *s; s++)
    *s = (char)toupper((unsigned char)*s);
  explicit_bzero(words, sizeof words);
}

/* Takes the bytes out, whatever the checksum. */
static bool from_words(uint8_t data[ST_BECH32_BYTES], const char *text, bool upper)
{
  uint32_t bits = 0;
  unsigned count = 0;
  size_t n = 0;
  for (size_t i = 0; i < WORDS; i++) {
    int c = (unsigned char)text[i];
    const char *at = upper && islower(c) ? NULL : strchr(alphabet, upper ? tolower(c) : c);
    if (!at)
      return false;
    bits = (bits << 5 | (uint32_t)(at - alphabet)) & 0xffff;
    count += 5;
    if (count >= 8) {
      count -= 8;
      data[n++] = (uint8_t)(bits >> count);
    }
  }
  return true;
}

bool st_unbech32(uint8_t data[ST_BECH32_BYTES], const char *prefix, const char *text)
{
  size_t n = strlen(prefix);
  char again[128];
  if (n + ST_BECH32_EXTRA >= sizeof again || strlen(text) != n + ST_BECH32_EXTRA ||
      strncmp(text, prefix, n) != 0 || text[n] != '1' ||
      !from_words(data, text + n + 1, is_upper(prefix)))
    return false;
  /* What it would be written as: that proves checksum, case and the last bits in one go. */
  st_bech32(again, prefix, data);
  bool good = !strcmp(again, text);
  explicit_bzero(again, sizeof again);
  if (!good)
    explicit_bzero(data, ST_BECH32_BYTES);
  return good;
}
