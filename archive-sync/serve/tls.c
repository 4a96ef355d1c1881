/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/tls.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "systracker/base/base64.h"
#include "systracker/base/digest.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/keys.h"

#define KEY "tls.key"
#define CERTIFICATE "tls.crt"
#define FILE_MAX 65536
#define CHAIN_MAX 8
#define YEARS 10

static int tls_fail(struct st_error *err, int code, const char *what)
{
  return st_fail(err, 0, "%s: %s", what, gnutls_strerror(code));
}

#define DEFINE_DEINIT(type, func)                                                                  \
  static void func##_p(type *p)                                                                    \
  {                                                                                                \
    if (*p)                                                                                        \
      func(*p);                                                                                    \
  }
DEFINE_DEINIT(gnutls_x509_crt_t, gnutls_x509_crt_deinit)
DEFINE_DEINIT(gnutls_x509_privkey_t, gnutls_x509_privkey_deinit)
#define AUTO_CRT ST_CLEANUP(gnutls_x509_crt_deinit_p) gnutls_x509_crt_t
#define AUTO_KEY ST_CLEANUP(gnutls_x509_privkey_deinit_p) gnutls_x509_privkey_t

static void free_datum(gnutls_datum_t *d)
{
  if (d->data)
    explicit_bzero(d->data, d->size);
  gnutls_free(d->data);
}
#define AUTO_DATUM ST_CLEANUP(free_datum) gnutls_datum_t

/* ---- Making them --------------------------------------------------------------------------------
 */

static int add_name(gnutls_x509_crt_t crt, const char *name)
{
  uint8_t address[16];
  for (int i = 0; i < 2; i++)
    if (inet_pton(i ? AF_INET6 : AF_INET, name, address) == 1)
      return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, i ? 16 : 4,
                                                  GNUTLS_FSAN_APPEND);
  return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name),
                                              GNUTLS_FSAN_APPEND);
}

static int fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const struct st_strings *names)
{
  static const char common_name[] = "systracker-archive";
  uint8_t serial[16];
  time_t now = time(NULL);
  if (st_random(serial, sizeof(serial), NULL) < 0)
    return GNUTLS_E_RANDOM_FAILED;
  serial[0] &= 0x7f;
  int r = gnutls_x509_crt_set_version(crt, 3);
  r = r < 0 ? r : gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
  r = r < 0 ? r : gnutls_x509_crt_set_activation_time(crt, now - 86400);
  r = r < 0 ? r : gnutls_x509_crt_set_expiration_time(crt, now + (time_t)YEARS * 365 * 86400);
  r = r < 0 ? r
            : gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, common_name,
                                            sizeof(common_name) - 1);
  for (size_t i = 0; r >= 0 && i < names->count; i++)
    r = add_name(crt, names->items[i]);
  r = r < 0 ? r : gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
  r = r < 0 ? r : gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
  r = r < 0 ? r : gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
  r = r < 0 ? r : gnutls_x509_crt_set_key(crt, key);
  return r < 0 ? r : gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
}

int st_tls_make(int archive_dirfd, const struct st_strings *names, struct st_error *err)
{
  AUTO_KEY key = NULL;
  AUTO_CRT crt = NULL;
  AUTO_DATUM key_text = {0}, crt_text = {0};
  int r = gnutls_x509_privkey_init(&key);
  r = r < 0 ? r
            : gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                           GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
  r = r < 0 ? r : gnutls_x509_crt_init(&crt);
  r = r < 0 ? r : fill(crt, key, names);
  r = r < 0 ? r : gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &key_text);
  r = r < 0 ? r : gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &crt_text);
  if (r < 0)
    return tls_fail(err, r, "cannot make the server's certificate");
  if (st_create_file(archive_dirfd, KEY, 0600, key_text.data, key_text.size, err) < 0)
    return -1;
  return st_create_file(archive_dirfd, CERTIFICATE, 0644, crt_text.data, crt_text.size, err);
}

/* ---- Reading them -------------------------------------------------------------------------------
 */

static int read_certificate(int dirfd, struct st_buffer *text, struct st_error *err)
{
  return st_read_file(dirfd, CERTIFICATE, FILE_MAX, text, err) < 0
             ? st_wrap(err, "the server has no certificate (systracker-archive init makes one)")
             : 0;
}

/* base64url of RFC 4648, section 5. */
static char *base64url(const uint8_t *data, size_t n)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  st_base64(&text, data, n);
  for (size_t i = 0; i < text.length; i++)
    text.data[i] = text.data[i] == '+' ? '-' : text.data[i] == '/' ? '_' : text.data[i];
  return st_buffer_steal(&text, NULL);
}

int st_tls_certificate(int archive_dirfd, gnutls_x509_crt_t *ret, struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  AUTO_CRT crt = NULL;
  if (read_certificate(archive_dirfd, &text, err) < 0)
    return -1;
  const gnutls_datum_t pem = {(unsigned char *)text.data, (unsigned)text.length};
  int r = gnutls_x509_crt_init(&crt);
  r = r < 0 ? r : gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM);
  if (r < 0)
    return tls_fail(err, r, "cannot read the certificate " CERTIFICATE);
  *ret = st_steal(&crt);
  return 0;
}

int st_tls_digest(int archive_dirfd, char **ret, struct st_error *err)
{
  AUTO_CRT crt = NULL;
  uint8_t digest[ST_DIGEST_SIZE];
  size_t size = sizeof(digest);
  if (st_tls_certificate(archive_dirfd, &crt, err) < 0)
    return -1;
  int r = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, digest, &size);
  if (r < 0)
    return tls_fail(err, r, "cannot read the certificate " CERTIFICATE);
  *ret = base64url(digest, size);
  return 0;
}

/* What handshakes use.  One that began with an older one may still use that: none is freed. */
struct credentials {
  gnutls_pcert_st chain[CHAIN_MAX];
  unsigned length;
  gnutls_privkey_t key;
  struct credentials *older;
};

/* GnuTLS hands its callback nothing of ours; so this is the process's own, as its log is. */
static _Atomic(struct credentials *) in_use;

static int look_at_key(int fd, struct st_error *err)
{
  struct stat st;
  if (fstat(fd, &st) < 0)
    return st_fail(err, errno, "cannot look at the server's key (" KEY ")");
  if (!S_ISREG(st.st_mode) || (st.st_mode & 077))
    return st_refuse(err, "the server's key can be read by others: make it 0600 (" KEY ")");
  if (st.st_uid != geteuid() && geteuid() != 0)
    return st_refuse(err, "the server's key belongs to another user (" KEY ")");
  return 0;
}

static int load_key(int dirfd, gnutls_privkey_t key, struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  ST_AUTO_CLOSE int fd = openat(dirfd, KEY, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return st_fail(err, errno,
                   "the server has no key (systracker-archive init makes one; " KEY ")");
  if (look_at_key(fd, err) < 0 || st_read_all(fd, FILE_MAX, &text, err) < 0)
    return -1;
  const gnutls_datum_t pem = {(unsigned char *)text.data, (unsigned)text.length};
  int r = gnutls_privkey_import_x509_raw(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
  if (text.data)
    explicit_bzero(text.data, text.size);
  return r < 0 ? tls_fail(err, r, "cannot read the server's key " KEY) : 0;
}

static int load_chain(int dirfd, struct credentials *c, struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  if (read_certificate(dirfd, &text, err) < 0)
    return -1;
  const gnutls_datum_t pem = {(unsigned char *)text.data, (unsigned)text.length};
  c->length = CHAIN_MAX;
  int r = gnutls_pcert_list_import_x509_raw(c->chain, &c->length, &pem, GNUTLS_X509_FMT_PEM,
                                            GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
  return r < 0 ? tls_fail(err, r, "cannot read the certificate " CERTIFICATE) : 0;
}

static int key_id(gnutls_pubkey_t key, uint8_t out[ST_DIGEST_SIZE])
{
  size_t size = ST_DIGEST_SIZE;
  return gnutls_pubkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, out, &size);
}

static int look_at_pair(struct credentials *c, struct st_error *err)
{
  uint8_t ours[ST_DIGEST_SIZE] = {0}, named[ST_DIGEST_SIZE] = {1};
  gnutls_pubkey_t key = NULL;
  int r = gnutls_pubkey_init(&key);
  r = r < 0 ? r : gnutls_pubkey_import_privkey(key, c->key, 0, 0);
  r = r < 0 ? r : key_id(key, ours);
  r = r < 0 ? r : key_id(c->chain[0].pubkey, named);
  if (key)
    gnutls_pubkey_deinit(key);
  if (r < 0)
    return tls_fail(err, r, "cannot compare the server's key and certificate");
  return memcmp(ours, named, sizeof(ours)) == 0
             ? 0
             : st_fail(err, 0,
                       "the server's key is not its certificate's (" KEY ", " CERTIFICATE ")");
}

int st_tls_use(int archive_dirfd, struct st_error *err)
{
  struct credentials *c = st_calloc(1, sizeof(*c));
  bool good = gnutls_privkey_init(&c->key) == 0 && load_key(archive_dirfd, c->key, err) == 0 &&
              load_chain(archive_dirfd, c, err) == 0 && look_at_pair(c, err) == 0;
  if (good) {
    c->older = atomic_load(&in_use);
    atomic_store(&in_use, c);
    return 0;
  }
  for (unsigned i = 0; i < c->length && c->chain[i].pubkey; i++)
    gnutls_pcert_deinit(&c->chain[i]);
  gnutls_privkey_deinit(c->key);
  free(c);
  return -1;
}

int st_tls_retrieve(gnutls_session_t session, const gnutls_datum_t *issuers, int issuer_count,
                    const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                    gnutls_pcert_st **ret_chain, unsigned *ret_length, gnutls_privkey_t *ret_key)
{
  (void)session, (void)issuers, (void)issuer_count, (void)algorithms, (void)algorithm_count;
  struct credentials *c = atomic_load(&in_use);
  *ret_chain = c->chain;
  *ret_length = c->length;
  *ret_key = c->key;
  return 0;
}
