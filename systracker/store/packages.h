/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packages.h - package files as they were installed, one copy of each: the store's packages/.
 *
 * A file's name says all that is known of it, so that the folder is its own index and one rename
 * puts a package there or does not:
 *
 *   packages/ab/DIGEST_NAME_VERSION_ARCHITECTURE.KIND
 *
 * DIGEST is the SHA-256 of the content in hexadecimal, "ab" its first two digits; KIND is "deb" or
 * "rpm" of a package's own file, "repacked-deb" or "repacked-rpm" of one that was put together
 * again from what was installed, and is never taken for the package's own. Bytes of the other parts
 * that are none of A-Z a-z 0-9 . + ~ - stand as %xx.  A file is written beside, under a name that
 * begins with ".new-", so no lock is needed; what a kill left there goes after a day.
 */
#ifndef ST_STORE_PACKAGES_H
#define ST_STORE_PACKAGES_H

#include "systracker/base/buffer.h"
#include "systracker/base/digest.h"

#define ST_PACKAGES_DIR "packages"

struct st_package {
  char *name, *version, *architecture;
  char *kind; /* "deb", "rpm", "repacked-deb", "repacked-rpm" */
  uint8_t digest[ST_DIGEST_SIZE];
  uint64_t size; /* bytes */
};

/* Of a file's name "DIGEST_NAME_VERSION_ARCHITECTURE.KIND"; false unless it is one that
 * st_package_path makes.  The size is not known.  Cleared in either case. */
bool st_package_of_name(struct st_package *ret, const char *name);
void st_package_clear(struct st_package *p);
#define ST_AUTO_PACKAGE ST_CLEANUP(st_package_clear) struct st_package

struct st_packages; /* packages/ as it was read */

/* Reads packages/ in the store's directory (descriptor borrowed for the call); none is empty.  What
 * does not belong there is passed over. */
int st_packages_open(struct st_packages **ret, int store_dirfd, struct st_error *err);
/* The same without reading it, to receive files and to read those whose names are known. */
int st_packages_open_unlisted(struct st_packages **ret, int store_dirfd, struct st_error *err);
void st_packages_close(struct st_packages *p);
ST_DEFINE_CLEANUP(struct st_packages *, st_packages_close)

/* Whether it was put together again from what was installed. */
bool st_package_is_repacked(const struct st_package *package);

/* A package's own file of this name, version and architecture; NULL: none.  Lives until the next
 * keep or close.
 * (Where there are several, built again without a new version: the one of the least digest.) */
const struct st_package *st_packages_find(const struct st_packages *p, const char *name,
                                          const char *version, const char *architecture);
/* The same, of those that were put together again. */
const struct st_package *st_packages_find_repacked(const struct st_packages *p, const char *name,
                                                   const char *version, const char *architecture);
/* The next one of the same name, version and architecture as `package`, which is a listed one, and
 * like it put together again or not; NULL: there are no more. */
const struct st_package *st_packages_next(const struct st_packages *p,
                                          const struct st_package *package);
/* Calls fn for each kept file of that content, without reading the whole folder; ends early when it
 * returns other than 0, with that. */
int st_package_by_digest(int store_dirfd, const uint8_t digest[ST_DIGEST_SIZE],
                         int (*fn)(void *arg, const struct st_package *package), void *arg);
/* A list of what another store says that it has, by names of files, "DIGEST_NAME_VERSION_
 * ARCHITECTURE.KIND": to look into alone.  What is no such name is passed over; sizes are 0. */
void st_packages_told(struct st_packages **ret, const struct st_strings *names);
/* The n-th by name, version (as text), architecture and digest; NULL past the end. */
const struct st_package *st_packages_at(const struct st_packages *p, size_t n);

/* Keeps the content of a regular file, from its beginning, as the package that `is` says; its
 * digest and size are not looked at.  Shares the blocks where the file system can.  Durable when it
 * returns.  `least_free`: bytes that stay free, or it is refused with ENOSPC.  1: it was there
 * already, intact; a damaged one is replaced. */
int st_packages_keep(struct st_packages *p, int fd, const struct st_package *is,
                     uint64_t least_free, struct st_error *err);

/* The same for a file that comes from another store: it is damaged, an error, and not kept unless
 * it has the digest of `is`. */
int st_packages_receive(struct st_packages *p, int fd, const struct st_package *is,
                        uint64_t least_free, struct st_error *err);
/* Whether there is a file of exactly this name, version, architecture and digest. */
bool st_packages_has(const struct st_packages *p, const struct st_package *is);

/* "ab/DIGEST_NAME_VERSION_ARCHITECTURE.KIND", below packages/; malloc'ed. */
char *st_package_path(const struct st_package *package);

/* Opens a kept file for reading; its content is not proved. */
int st_packages_read(const struct st_packages *p, const struct st_package *package,
                     struct st_error *err);

/* Reads every file again, and passes what is damaged or does not belong there to `found` (words,
 * escaped).  Returns how many.  `aside`: a damaged file is renamed, packages/.damaged-DIGEST, so
 * that it counts as missing and can be kept again. */
int st_packages_verify(const struct st_packages *p, bool aside,
                       void (*found)(void *arg, const char *words), void *arg,
                       struct st_error *err);

/* Whether a file is there that was put there before that time (seconds since 1970). */
bool st_packages_is_older(const struct st_packages *p, const struct st_package *package,
                          int64_t older_than);
/* Removes a file that was put there before that time (seconds since 1970): 1; 0: it is younger, or
 * gone.  What was listed stays listed. */
int st_packages_remove(const struct st_packages *p, const struct st_package *package,
                       int64_t older_than, struct st_error *err);
/* Counts what was put aside as damaged, and removes it when `remove`. */
int64_t st_packages_drop_aside(const struct st_packages *p, bool remove, uint64_t *ret_bytes);

#endif
