/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packagecontent.h - the contents of the files in a package file, .deb or .rpm, by libarchive.
 *
 * A content is asked for by its digest and size, as a manifest declares them, never by its name: so
 * hard links inside of the package, names that a package spells as they were before /usr was
 * merged, and diverted ones need no rule, and nothing is handed over that is not what was expected.
 *
 * A package file is not trusted: what it unpacks to, its number of entries and of parts are
 * bounded, and one that is damaged is an error in words.
 */
#ifndef ST_TRACKER_PACKAGECONTENT_H
#define ST_TRACKER_PACKAGECONTENT_H

#include "systracker/base/buffer.h"
#include "systracker/base/digest.h"
#include "systracker/base/error.h"

/* A package file; all borrowed. */
struct st_package_input {
  int fd;           /* readable; its offset is moved */
  const char *kind; /* as in packages.h: "deb", "rpm", "repacked-deb", "repacked-rpm" */
  const char *name; /* for messages, escaped */
};

struct st_package_want {
  uint8_t digest[ST_DIGEST_SIZE]; /* SHA-256 of the content */
  uint64_t size;                  /* bytes */
  bool found;                     /* set: it is in the package, and was handed over whole */
};

/* Where contents go, a want's pieces one after the other; others may come between its pieces and
 * those of the next.  What was handed over is to be thrown away unless `found` is set. */
struct st_package_sink {
  int (*piece)(void *arg, size_t want, const void *data, size_t n, struct st_error *err);
  /* The want is complete, and proved; may be NULL. */
  int (*done)(void *arg, size_t want, struct st_error *err);
  void *arg;
};

/* Hands over the wanted contents that the package has, in one pass (a second one for those above
 * 4 MiB, so that nothing is handed over before it is known to be the one).  Those that it does not
 * have stay not `found`, which is no error.  Negative: damaged, too large, or the sink failed. */
int st_package_content(const struct st_package_input *source, struct st_package_want *wants,
                       size_t count, const struct st_package_sink *sink, struct st_error *err);

/* Hands over each regular file of 1 to `max` bytes, whole, with its digest. */
typedef int st_package_file_fn(void *arg, const uint8_t digest[ST_DIGEST_SIZE], const void *data,
                               size_t n, struct st_error *err);
int st_package_each(const struct st_package_input *source, uint64_t max, st_package_file_fn *fn,
                    void *arg, struct st_error *err);

#endif
