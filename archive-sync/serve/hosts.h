/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hosts.h - what the server has in memory of each host that asked: some 200 bytes. */
#ifndef ARCHIVE_SYNC_SERVE_HOSTS_H
#define ARCHIVE_SYNC_SERVE_HOSTS_H

#include "systracker/base/digest.h"
#include "systracker/base/keys.h"

#define ST_NONCE_SIZE 65 /* 64 digits and a NUL */
#define ST_NONCE_SECONDS 600

struct st_hosts;
int st_hosts_new(struct st_hosts **ret, int archive_dir, struct st_error *err); /* borrowed */
void st_hosts_free(struct st_hosts *h);
ST_DEFINE_CLEANUP(struct st_hosts *, st_hosts_free)

/* One heavy request of a host at a time: false where one is under way. */
bool st_hosts_begin(struct st_hosts *h, const char *host);
void st_hosts_end(struct st_hosts *h, const char *host);

/* For what is made good for a host once in a server's life: whether that was done, and that it is.
 */
bool st_hosts_seen(struct st_hosts *h, const char *host);
void st_hosts_see(struct st_hosts *h, const char *host);

/* Digests of what it sent beside its chain, hexadecimal, "": none (doc/formats, Wire). */
struct st_host_digests {
  char packages[2 * ST_DIGEST_SIZE + 1], key[2 * ST_DIGEST_SIZE + 1];
};
int st_hosts_digests(struct st_hosts *h, const char *host, struct st_host_digests *ret,
                     struct st_error *err);
/* They are to be made again. */
void st_hosts_changed(struct st_hosts *h, const char *host);

/* What a host proves by that it has a file of this digest and name: taken for ST_NONCE_SECONDS.  It
 * is not kept: it says itself of which name it is, by 8 bytes of the name's digest, sealed along
 * with host, digest and time under a key of this run. */
void st_hosts_nonce(struct st_hosts *h, const char *host, const char *digest, const char *file,
                    int64_t now, char ret[ST_NONCE_SIZE]);
bool st_hosts_nonce_is(struct st_hosts *h, const char *host, const char *digest, const char *nonce,
                       int64_t now);
/* Of a good nonce, whether it is of this name. */
bool st_hosts_nonce_names(const char *nonce, const char *file);

#endif
