/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/names.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "archive-sync/join.h"
#include "archive-sync/serve/tls.h"
#include "systracker/base/escape.h"

#define KEY "key:"
#define NAME "name:"

struct st_names {
  struct st_strings publics; /* as hosts say them */
  pthread_mutex_t lock;      /* of what follows */
  char *key;                 /* digest of tls.crt's; NULL: none */
  gnutls_x509_crt_t crt;
};

void st_names_free(struct st_names *n)
{
  st_strings_free(&n->publics);
  if (n->crt)
    gnutls_x509_crt_deinit(n->crt);
  free(n->key);
  pthread_mutex_destroy(&n->lock);
  free(n);
}

static int add_public(struct st_names *n, const char *url, struct st_error *err)
{
  ST_AUTO_JOIN join = {0};
  if (st_join_parse(&join, url, NULL, err) < 0)
    return -1;
  if (join.token)
    return st_refuse(err, "--public wants an address without a token: others see it (%s)",
                     st_quote(join.address));
  st_strings_take(&n->publics, st_join_server(&join));
  return 0;
}

int st_names_new(struct st_names **ret, const struct st_strings *publics, struct st_error *err)
{
  ST_CLEANUP(st_names_freep) struct st_names *n = st_calloc(1, sizeof(*n));
  pthread_mutex_init(&n->lock, NULL);
  for (size_t i = 0; i < publics->count; i++)
    if (add_public(n, publics->items[i], err) < 0)
      return -1;
  *ret = st_steal(&n);
  return 0;
}

int st_names_read(struct st_names *n, int archive_dirfd, struct st_error *err)
{
  ST_AUTO_FREE char *key = NULL;
  gnutls_x509_crt_t crt = NULL;
  if (faccessat(archive_dirfd, "tls.crt", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
    return 0;
  if (st_tls_digest(archive_dirfd, &key, err) < 0 ||
      st_tls_certificate(archive_dirfd, &crt, err) < 0)
    return -1;
  pthread_mutex_lock(&n->lock);
  char *old_key = n->key;
  gnutls_x509_crt_t old = n->crt;
  n->key = st_steal(&key);
  n->crt = crt;
  pthread_mutex_unlock(&n->lock);
  free(old_key);
  if (old)
    gnutls_x509_crt_deinit(old);
  return 0;
}

static bool is_own(const struct st_names *n, const char *server)
{
  if (!n->crt)
    return false;
  if (strncmp(server, KEY, strlen(KEY)) == 0)
    return strcmp(server + strlen(KEY), n->key) == 0;
  return strncmp(server, NAME, strlen(NAME)) == 0 &&
         gnutls_x509_crt_check_hostname(n->crt, server + strlen(NAME)) != 0;
}

bool st_names_is(void *names, const char *server)
{
  struct st_names *n = names;
  if (st_strings_has(&n->publics, server))
    return true;
  pthread_mutex_lock(&n->lock);
  bool own = is_own(n, server);
  pthread_mutex_unlock(&n->lock);
  return own;
}
