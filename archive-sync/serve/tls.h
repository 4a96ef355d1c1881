/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls.h - the server's key and certificate, tls.key and tls.crt in the archive. */
#ifndef ARCHIVE_SYNC_SERVE_TLS_H
#define ARCHIVE_SYNC_SERVE_TLS_H

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

/* TLS 1.2 and 1.3, with a key of each connection's own and ciphers that authenticate. */
#define ST_TLS_PRIORITIES                                                                          \
  "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-AES-128-CBC:-AES-256-CBC"

/* Makes both files: ECDSA on P-256, signed by itself, good for 10 years, for these names (host
 * names or addresses, at least one). */
int st_tls_make(int archive_dirfd, const struct st_strings *names, struct st_error *err);
/* The digest of join strings: base64url of the SHA-256 of tls.crt's SubjectPublicKeyInfo;
 * malloc'ed. */
int st_tls_digest(int archive_dirfd, char **ret, struct st_error *err);

/* The first certificate of tls.crt: the caller's to deinit. */
int st_tls_certificate(int archive_dirfd, gnutls_x509_crt_t *ret, struct st_error *err);

/* Reads both and uses them from the next handshake on.  A key that others can read, or that is not
 * the certificate's, is refused. */
int st_tls_use(int archive_dirfd, struct st_error *err);
/* What GnuTLS asks (gnutls_certificate_retrieve_function2). */
int st_tls_retrieve(gnutls_session_t session, const gnutls_datum_t *issuers, int issuer_count,
                    const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                    gnutls_pcert_st **ret_chain, unsigned *ret_length, gnutls_privkey_t *ret_key);

#endif
