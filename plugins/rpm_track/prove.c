/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/rpm_track/prove.h"

#include <errno.h>
#include <gcrypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/values.h"

#define PIECE 65536 /* bytes read at once */

/* By their numbers in OpenPGP. */
static int algorithm_of(long number)
{
  static const struct {
    long number;
    int algorithm;
  } all[] = {{1, GCRY_MD_MD5},
             {2, GCRY_MD_SHA1},
             {9, GCRY_MD_SHA384},
             {10, GCRY_MD_SHA512},
             {11, GCRY_MD_SHA224}};
  for (size_t i = 0; i < COUNT(all); i++) {
    if (all[i].number == number)
      return all[i].algorithm;
  }
  return 0;
}

/* As hexadecimal digits. */
static bool is_digest(gcry_md_hd_t md, int algorithm, const char *digits)
{
  const unsigned char *bytes = gcry_md_read(md, algorithm);
  unsigned length = gcry_md_get_algo_dlen(algorithm);
  char two[3];
  if (strlen(digits) != 2 * (size_t)length)
    return false;
  for (unsigned i = 0; i < length; i++) {
    snprintf(two, sizeof(two), "%02x", bytes[i]);
    if (memcmp(two, digits + 2 * (size_t)i, 2) != 0)
      return false;
  }
  return true;
}

static bool read_into(int fd, gcry_md_hd_t md)
{
  char piece[PIECE];
  ssize_t n;
  while ((n = read(fd, piece, sizeof(piece))) > 0 || (n < 0 && errno == EINTR)) {
    if (n > 0)
      gcry_md_write(md, piece, (size_t)n);
  }
  return n == 0;
}

static int prove_open(int fd, int algorithm, const char *digits, struct st_id *ret)
{
  gcry_md_hd_t md;
  if (gcry_md_open(&md, algorithm, 0) != 0)
    return 1;
  bool proved = gcry_md_enable(md, GCRY_MD_SHA256) == 0 && read_into(fd, md) &&
                is_digest(md, algorithm, digits);
  *ret = (struct st_id){0};
  if (proved)
    memcpy(ret->digest, gcry_md_read(md, GCRY_MD_SHA256), sizeof(ret->digest));
  gcry_md_close(md);
  return proved ? 0 : 1;
}

int prove(const struct st_context *ctx, const struct declared *d, struct st_id *ret)
{
  struct stat st;
  char *digits;
  int algorithm = algorithm_of(strtol(d->digest, &digits, 10));
  gcry_check_version(NULL); /* started by who loads us, but in tests */
  if (algorithm == 0 || *digits != ':')
    return 1;
  int fd = st_open_in_root(ctx, d->path, NULL);
  if (fd < 0)
    return 1;
  int r = 1;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == d->size)
    r = prove_open(fd, algorithm, digits + 1, ret);
  close(fd);
  return r;
}
