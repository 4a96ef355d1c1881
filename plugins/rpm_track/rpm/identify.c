/* SPDX-License-Identifier: GPL-2.0-or-later */
/* identify.c - what a package file says of itself, as rpm proves it. */
#include <fcntl.h>
#include <rpm/rpmlib.h>
#include <rpm/rpmts.h>
#include <string.h>
#include <sys/stat.h>

#include "plugins/rpm_track/rpm/verbs.h"
#include "systracker/base/digest.h"
#include "systracker/base/escape.h"

#define BLOCK ((size_t)1 << 18)
#define SHA256_NUMBER 8 /* PGPHASHALGO_SHA256 */

static inline void header_freep(Header *h)
{
  if (*h)
    headerFree(*h);
}

/* The header, whose digests are proved; signatures are not asked for, as no key ring is ours to
 * judge by.  The descriptor's offset is behind it then, at the payload. */
static int read_header(int fd, const struct rpm_words *words, Header *ret, struct st_error *err)
{
  ST_AUTO_RPMTS ts = rpmtsCreate();
  rpmtsSetVSFlags(ts, RPMVSF_MASK_NOSIGNATURES);
  if (lseek(fd, 0, SEEK_SET) < 0)
    return st_fail(err, errno, "cannot read the package file");
  FD_t file = fdDup(fd);
  if (!file)
    return st_fail(err, errno, "cannot read the package file");
  rpmRC rc = rpmReadPackageFile(ts, file, "the package file", ret);
  Fclose(file);
  if ((rc == RPMRC_OK || rc == RPMRC_NOTTRUSTED || rc == RPMRC_NOKEY) && *ret)
    return 0;
  return rpm_words_fail(words, err, "not a package file, or damaged");
}

static int digest_rest(int fd, uint8_t digest[ST_DIGEST_SIZE], struct st_error *err)
{
  ST_AUTO_FREE char *block = st_malloc(BLOCK);
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  for (;;) {
    ssize_t n = read(fd, block, BLOCK);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return st_fail(err, errno, "cannot read the package file");
    if (n == 0)
      break;
    st_digester_add(d, block, (size_t)n);
  }
  st_digester_final(d, digest);
  return 0;
}

/* The header has the compressed payload's digest since rpm 4.14; without one nothing is proved
 * here, as rpm itself will when the package is installed. */
static int prove_payload(int fd, Header h, struct st_error *err)
{
  uint8_t digest[ST_DIGEST_SIZE];
  char hex[2 * ST_DIGEST_SIZE + 1];
  struct rpmtd_s td;
  if (headerGetNumber(h, RPMTAG_PAYLOADDIGESTALGO) != SHA256_NUMBER ||
      !headerGet(h, RPMTAG_PAYLOADDIGEST, &td, HEADERGET_MINMEM))
    return 0;
  const char *expected = rpmtdNextString(&td);
  int r = expected ? digest_rest(fd, digest, err) : 0;
  st_hex(hex, digest, expected && r == 0 ? sizeof(digest) : 0);
  if (expected && r == 0 && strcmp(hex, expected) != 0)
    r = st_fail(err, 0, "the package file is damaged: its payload has another digest");
  rpmtdFreeData(&td);
  return r;
}

int rpm_verb_identify(const struct rpm_call *call, struct st_buffer *out, struct st_error *err)
{
  ST_CLEANUP(header_freep) Header h = NULL;
  if (rpmReadConfigFiles(NULL, NULL) != 0)
    return rpm_words_fail(call->words, err, "cannot read rpm's configuration");
  if (read_header(RPM_ROOT_FD, call->words, &h, err) < 0)
    return -1;
  if (headerIsSource(h))
    return st_fail(err, 0, "a source package");
  if (call->argc > 1 && strcmp(call->argv[1], "prove") == 0 &&
      prove_payload(RPM_ROOT_FD, h, err) < 0)
    return -1;
  ST_AUTO_FREE char *version = headerGetAsString(h, RPMTAG_EVR);
  rpm_put(out, headerGetString(h, RPMTAG_NAME));
  rpm_put(out, version);
  rpm_put(out, headerGetString(h, RPMTAG_ARCH));
  rpm_put(out, headerGetString(h, RPMTAG_SHA256HEADER));
  return RPM_EXIT_OK;
}
