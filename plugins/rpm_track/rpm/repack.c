/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * repack.c - an .rpm put together again from rpm's database and the installed files (rpm's
 * docs/manual/format.md).
 *
 * The header is the one of the database, but for what became of the files: sizes, digests and times
 * are those of today, what is not there is a %ghost, and the tag Cookie says what this is.  Its
 * size does not depend on the payload, so it is written twice: first to know where the payload
 * begins, then with the payload's digest.
 */
#include <fcntl.h>
#include <rpm/rpmcrypto.h>
#include <rpm/rpmdb.h>
#include <rpm/rpmfi.h>
#include <rpm/rpmfiles.h>
#include <rpm/rpmlib.h>
#include <rpm/rpmts.h>
/* It does not include what it uses. */
#include <rpm/rpmarchive.h>
#include <string.h>
#include <sys/stat.h>

#include "plugins/rpm_track/rpm/verbs.h"
#include "systracker/base/digest.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define OUT_FD 4
#define BLOCK ((size_t)1 << 18)
#define MD5_NUMBER 1 /* PGPHASHALGO_MD5, _SHA1, _SHA256 */
#define SHA1_NUMBER 2
#define SHA256_NUMBER 8
#define WORDS "repacked by SysTracker from the installed files, which may have been changed"

static const unsigned char magic[8] = {0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0};

struct repack {
  const struct rpm_words *words;
  Header old, header; /* as it was built; as it becomes */
  rpmfiles files;     /* of the old one */
  size_t count, missing;
  uint32_t *sizes, *times, *flags;
  char **digests;
  char payload[2 * ST_DIGEST_SIZE + 1]; /* its digest */
  uint32_t unpacked;                    /* bytes of the archive, before compression */
  off_t at, end;                        /* where the payload begins and ends */
};

static void repack_clear(struct repack *r)
{
  for (size_t i = 0; r->digests && i < r->count; i++)
    free(r->digests[i]);
  free(r->digests);
  free(r->sizes);
  free(r->times);
  free(r->flags);
  rpmfilesFree(r->files);
  headerFree(r->header);
  headerFree(r->old);
}

/* ---- What is there ----------------------------------------------------------------------------
 */

/* Hexadecimal digest of a part of a file, to its end where `length` is -1; malloc'ed. */
static char *digest_of(int fd, int algorithm, const void *before, size_t before_length, off_t at,
                       struct st_error *err)
{
  ST_AUTO_FREE char *block = st_malloc(BLOCK);
  DIGEST_CTX ctx = rpmDigestInit(algorithm, RPMDIGEST_NONE);
  ssize_t n = 0;
  void *hex = NULL;
  size_t length;
  if (!ctx)
    return st_fail(err, 0, "rpm does not know the package's kind of digest"), NULL;
  rpmDigestUpdate(ctx, before, before_length);
  while (fd >= 0 && (n = pread(fd, block, BLOCK, at)) > 0) {
    rpmDigestUpdate(ctx, block, (size_t)n);
    at += n;
  }
  rpmDigestFinal(ctx, &hex, &length, 1);
  if (n < 0) {
    free(hex);
    return st_fail(err, errno, "cannot read an installed file"), NULL;
  }
  return hex;
}

/* A regular file's own; 1: it is not there as such. */
static int see_regular(struct repack *r, int i, const char *path, int algorithm,
                       struct st_error *err)
{
  struct stat st;
  ST_AUTO_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
    return 1;
  if (st.st_size > UINT32_MAX)
    return st_fail(err, 0, "a file is too large for a package of this form (%s)", st_quote(path));
  free(r->digests[i]);
  r->digests[i] = digest_of(fd, algorithm, "", 0, 0, err);
  r->sizes[i] = (uint32_t)st.st_size;
  r->times[i] = (uint32_t)st.st_mtime;
  return r->digests[i] ? 0 : -1;
}

static int see_file(struct repack *r, int i, struct st_error *err)
{
  struct stat st;
  ST_AUTO_FREE char *path = rpmfilesFN(r->files, i);
  mode_t mode = rpmfilesFMode(r->files, i);
  int algorithm = rpmfilesDigestAlgo(r->files), gone = 1;
  r->flags[i] = rpmfilesFFlags(r->files, i);
  r->times[i] = (uint32_t)rpmfilesFMtime(r->files, i);
  r->sizes[i] = (uint32_t)rpmfilesFSize(r->files, i);
  r->digests[i] = st_strdup("");
  if (r->flags[i] & RPMFILE_GHOST)
    return 0;
  if (S_ISREG(mode))
    gone = see_regular(r, i, path, algorithm, err);
  else if (lstat(path, &st) == 0)
    gone = (st.st_mode & S_IFMT) != (mode & S_IFMT) && !S_ISDIR(mode);
  if (gone < 0)
    return -1;
  if (gone) {
    r->flags[i] |= RPMFILE_GHOST;
    r->missing++;
  }
  return 0;
}

/* The payload has the content of hard links once, so they have to be the same still. */
static int check_links(const struct repack *r, int i, struct st_error *err)
{
  const int *links = NULL;
  uint32_t n = rpmfilesFLinks(r->files, i, &links);
  for (uint32_t k = 0; n > 1 && k < n; k++)
    if (strcmp(r->digests[i], r->digests[links[k]]) != 0)
      return st_fail(err, 0, "what the package has as hard links of one file differs now");
  return 0;
}

static int see_files(struct repack *r, struct st_error *err)
{
  r->files = rpmfilesNew(NULL, r->old, 0, RPMFI_KEEPHEADER);
  r->count = r->files ? (size_t)rpmfilesFC(r->files) : 0;
  r->sizes = st_calloc(r->count + 1, sizeof(*r->sizes));
  r->times = st_calloc(r->count + 1, sizeof(*r->times));
  r->flags = st_calloc(r->count + 1, sizeof(*r->flags));
  r->digests = st_calloc(r->count + 1, sizeof(*r->digests));
  for (size_t i = 0; i < r->count; i++)
    if (see_file(r, (int)i, err) < 0)
      return -1;
  for (size_t i = 0; i < r->count; i++)
    if (check_links(r, (int)i, err) < 0)
      return -1;
  return 0;
}

/* ---- Headers ----------------------------------------------------------------------------------
 */

static void put(Header h, rpmTagVal tag, rpmTagType type, const void *data, size_t count)
{
  struct rpmtd_s td = {.tag = tag, .type = type, .data = (void *)data, .count = (rpm_count_t)count};
  headerPut(h, &td, HEADERPUT_DEFAULT);
}

static bool is_replaced(rpmTagVal tag)
{
  static const rpmTagVal tags[] = {RPMTAG_PAYLOADDIGEST,
                                   RPMTAG_PAYLOADDIGESTALGO,
                                   RPMTAG_PAYLOADDIGESTALT,
                                   RPMTAG_PAYLOADCOMPRESSOR,
                                   RPMTAG_PAYLOADFLAGS,
                                   RPMTAG_FILEDIGESTS,
                                   RPMTAG_FILESIZES,
                                   RPMTAG_LONGFILESIZES,
                                   RPMTAG_FILEMTIMES,
                                   RPMTAG_FILEFLAGS,
                                   RPMTAG_COOKIE};
  for (size_t i = 0; i < ST_COUNT(tags); i++)
    if (tag == tags[i])
      return true;
  return tag < RPMTAG_HEADERI18NTABLE; /* what holds the header together */
}

static void make_header(struct repack *r)
{
  const char *payload = r->payload;
  uint32_t algorithm = SHA256_NUMBER;
  struct rpmtd_s td;
  Header h = headerNew();
  HeaderIterator hi = headerInitIterator(r->old);
  while (headerNext(hi, &td)) {
    if (!is_replaced(td.tag) && rpmtdCount(&td) > 0)
      headerPut(h, &td, HEADERPUT_DEFAULT);
    rpmtdFreeData(&td);
  }
  headerFreeIterator(hi);
  if (r->count > 0) {
    put(h, RPMTAG_FILESIZES, RPM_INT32_TYPE, r->sizes, r->count);
    put(h, RPMTAG_FILEMTIMES, RPM_INT32_TYPE, r->times, r->count);
    put(h, RPMTAG_FILEFLAGS, RPM_INT32_TYPE, r->flags, r->count);
    put(h, RPMTAG_FILEDIGESTS, RPM_STRING_ARRAY_TYPE, r->digests, r->count);
  }
  put(h, RPMTAG_COOKIE, RPM_STRING_TYPE, WORDS, 1);
  put(h, RPMTAG_PAYLOADCOMPRESSOR, RPM_STRING_TYPE, "gzip", 1);
  put(h, RPMTAG_PAYLOADFLAGS, RPM_STRING_TYPE, "6", 1);
  put(h, RPMTAG_PAYLOADDIGEST, RPM_STRING_ARRAY_TYPE, &payload, 1);
  put(h, RPMTAG_PAYLOADDIGESTALGO, RPM_INT32_TYPE, &algorithm, 1);
  headerFree(r->header);
  r->header = headerReload(h, RPMTAG_HEADERIMMUTABLE);
}

static int append_header(struct st_buffer *out, Header h, struct st_error *err)
{
  unsigned length = 0;
  void *blob = headerExport(h, &length);
  if (!blob)
    return st_fail(err, 0, "rpm cannot make the header");
  st_buffer_append(out, magic, sizeof(magic));
  st_buffer_append(out, blob, length);
  free(blob);
  return 0;
}

/* The digests of the header, and of both, in a header of their own, padded to 8 bytes. */
static int append_signature(const struct repack *r, const struct st_buffer *header,
                            struct st_buffer *out, struct st_error *err)
{
  uint8_t raw[16];
  uint32_t size = (uint32_t)((off_t)header->length + r->end - r->at);
  ST_AUTO_FREE char *sha256 = digest_of(-1, SHA256_NUMBER, header->data, header->length, 0, err);
  ST_AUTO_FREE char *sha1 = digest_of(-1, SHA1_NUMBER, header->data, header->length, 0, err);
  int fd = r->end > r->at ? OUT_FD : -1;
  ST_AUTO_FREE char *md5 = digest_of(fd, MD5_NUMBER, header->data, header->length, r->at, err);
  if (!sha256 || !sha1 || !md5 || !st_unhex(raw, sizeof(raw), md5))
    return -1;
  Header h = headerNew();
  put(h, RPMTAG_SHA256HEADER, RPM_STRING_TYPE, sha256, 1);
  put(h, RPMTAG_SHA1HEADER, RPM_STRING_TYPE, sha1, 1);
  put(h, (rpmTagVal)RPMSIGTAG_SIZE, RPM_INT32_TYPE, &size, 1);
  put(h, (rpmTagVal)RPMSIGTAG_MD5, RPM_BIN_TYPE, raw, sizeof(raw));
  put(h, (rpmTagVal)RPMSIGTAG_PAYLOADSIZE, RPM_INT32_TYPE, &r->unpacked, 1);
  h = headerReload(h, RPMTAG_HEADERSIGNATURES);
  int result = append_header(out, h, err);
  while (out->length % 8)
    st_buffer_append_byte(out, 0);
  headerFree(h);
  return result;
}

/* What old tools look at alone. */
static void append_lead(const struct repack *r, struct st_buffer *out)
{
  unsigned char lead[96] = {0xed, 0xab, 0xee, 0xdb, 3, 0};
  ST_AUTO_FREE char *name = headerGetAsString(r->old, RPMTAG_NVR);
  snprintf((char *)lead + 10, 66, "%s", name ? name : "");
  lead[77] = 1; /* Linux */
  lead[79] = 5; /* signatures in a header */
  st_buffer_append(out, lead, sizeof(lead));
}

/* All before the payload. */
static int make_front(struct repack *r, struct st_buffer *out, struct st_error *err)
{
  ST_AUTO_BUFFER header = ST_BUFFER_INIT;
  make_header(r);
  if (!r->header || append_header(&header, r->header, err) < 0)
    return st_fail(err, 0, "rpm cannot make the header");
  append_lead(r, out);
  if (append_signature(r, &header, out, err) < 0)
    return -1;
  st_buffer_append(out, header.data, header.length);
  return 0;
}

/* ---- The payload --------------------------------------------------------------------------------
 */

static int put_files(struct repack *r, rpmfi archive, struct st_error *err)
{
  int rc;
  while ((rc = rpmfiNext(archive)) >= 0) {
    FD_t file = Fopen(rpmfiFN(archive), "r.ufdio");
    rc = file && !Ferror(file) ? rpmfiArchiveWriteFile(archive, file) : -1;
    if (rc != 0)
      st_fail(err, 0, "cannot put it into the package (%s)", st_quote(rpmfiFN(archive)));
    if (file)
      Fclose(file);
    if (rc != 0)
      return -1;
  }
  r->unpacked = (uint32_t)rpmfiArchiveTell(archive);
  return 0;
}

static int put_payload(struct repack *r, struct st_error *err)
{
  rpmfiles files = rpmfilesNew(NULL, r->header, 0, RPMFI_KEEPHEADER);
  FD_t out = lseek(OUT_FD, r->at, SEEK_SET) < 0 ? NULL : fdDup(OUT_FD);
  out = out ? Fdopen(out, "w6.gzdio") : NULL;
  rpmfi archive = out && files ? rpmfiNewArchiveWriter(out, files) : NULL;
  int result = archive ? put_files(r, archive, err) : st_fail(err, 0, "rpm cannot make an archive");
  if (archive && rpmfiArchiveClose(archive) != 0 && result == 0)
    result = st_fail(err, 0, "rpm cannot end the archive");
  rpmfiFree(archive);
  rpmfilesFree(files);
  if (out && Fclose(out) != 0 && result == 0)
    result = st_fail(err, 0, "cannot write the package");
  r->end = lseek(OUT_FD, 0, SEEK_END);
  return result;
}

static int write_front(const struct st_buffer *front, struct st_error *err)
{
  if (lseek(OUT_FD, 0, SEEK_SET) < 0)
    return st_fail(err, errno, "cannot write the package");
  return st_write_all(OUT_FD, front->data, front->length, err);
}

static int make(struct repack *r, struct st_error *err)
{
  ST_AUTO_BUFFER first = ST_BUFFER_INIT, front = ST_BUFFER_INIT;
  if (see_files(r, err) < 0)
    return -1;
  memset(r->payload, '0', sizeof(r->payload) - 1);
  if (make_front(r, &first, err) < 0)
    return -1;
  r->at = (off_t)first.length;
  if (put_payload(r, err) < 0)
    return -1;
  ST_AUTO_FREE char *digest = digest_of(OUT_FD, SHA256_NUMBER, "", 0, r->at, err);
  if (!digest)
    return -1;
  memcpy(r->payload, digest, sizeof(r->payload) - 1);
  if (make_front(r, &front, err) < 0)
    return -1;
  if (front.length != first.length)
    return st_fail(err, 0, "the package's header has another size than before");
  return write_front(&front, err);
}

/* ---- The package --------------------------------------------------------------------------------
 */

/* As it was built, without what rpm wrote into the database. */
static Header built_header(Header h)
{
  struct rpmtd_s td;
  if (!headerGet(h, RPMTAG_HEADERIMMUTABLE, &td, HEADERGET_DEFAULT))
    return NULL;
  Header built = headerImport(td.data, td.count, HEADERIMPORT_COPY);
  rpmtdFreeData(&td);
  return built;
}

static bool is_it(Header h, char *const *wanted)
{
  ST_AUTO_FREE char *version = headerGetAsString(h, RPMTAG_EVR);
  const char *architecture = headerGetString(h, RPMTAG_ARCH);
  return version && architecture && strcmp(version, wanted[1]) == 0 &&
         strcmp(architecture, wanted[2]) == 0;
}

static Header find(rpmts ts, char *const *wanted)
{
  rpmdbMatchIterator mi = rpmtsInitIterator(ts, RPMDBI_PACKAGES, NULL, 0);
  Header found = NULL;
  for (Header h; !found && mi && (h = rpmdbNextIterator(mi));) {
    const char *name = headerGetString(h, RPMTAG_NAME);
    if (name && strcmp(name, wanted[0]) == 0 && is_it(h, wanted))
      found = built_header(h);
  }
  rpmdbFreeIterator(mi);
  return found;
}

int rpm_verb_repack(const struct rpm_call *call, struct st_buffer *out, struct st_error *err)
{
  ST_AUTO_RPM_DATABASE db = {0};
  ST_AUTO_RPMTS ts = NULL;
  ST_CLEANUP(repack_clear) struct repack r = {.words = call->words};
  if (call->argc < 4)
    return st_fail(err, 0, "repack needs a name, a version and an architecture");
  if (rpm_root_enter(RPM_ROOT_FD, call->words, err) < 0)
    return -1;
  int found = rpm_database_find(call->argc > 4 ? call->argv[4] : NULL, &db, err);
  if (found != 0)
    return found < 0 ? found : RPM_EXIT_NONE;
  if (rpm_database_read(&db, call->words, &ts, err) < 0)
    return -1;
  r.old = find(ts, call->argv + 1);
  if (!r.old)
    return RPM_EXIT_NONE;
  if (make(&r, err) < 0)
    return -1;
  rpm_put_number(out, (int64_t)r.missing);
  return RPM_EXIT_OK;
}
