/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sync-packages.c - package files: sent once by whoever has one first, and claimed by others who
 * prove that they have it too (doc/formats, Wire).
 *
 * A host reads what it sent or proved, under the name that it gave: so nobody's restore can come to
 * install what somebody else called by that name.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "archive-sync/serve/sent.h"
#include "archive-sync/serve/sync.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/store/packages.h"

#define ASKED_MAX 1024
#define BLOCK ((size_t)256 << 10)
#define LEAST_FREE ((uint64_t)64 << 20) /* bytes that stay free */

/* ---- Whose they are ----------------------------------------------------------------------------
 */

static int read_claims(struct st_archive *a, const char *host, struct st_set **ret,
                       struct st_error *err)
{
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  ST_AUTO_FREE char *id = st_memdup(host, strcspn(host, "/"));
  if (st_sent_read(a->dir, id, ST_SENT_PACKAGES, &list, err) < 0)
    return -1;
  *ret = st_set_new();
  for (size_t at = 0; at < list.length; at += ST_SENT_CLAIM_SIZE)
    st_set_add(*ret, list.data + at, ST_SENT_CLAIM_SIZE, 0);
  return 0;
}

static bool is_claimed(const struct st_set *claims, const struct st_package *p)
{
  uint8_t claim[ST_SENT_CLAIM_SIZE];
  st_sent_claim(p, claim);
  return st_set_get(claims, claim, sizeof(claim), NULL);
}

static int add_claim(struct st_request *r, const struct st_package *p, struct st_error *err)
{
  ST_CLEANUP(st_set_freep) struct st_set *claims = NULL;
  uint8_t claim[ST_SENT_CLAIM_SIZE];
  struct st_archive *a = r->server->archive;
  if (read_claims(a, r->who.host, &claims, err) < 0)
    return -1;
  if (is_claimed(claims, p))
    return 0;
  st_sent_claim(p, claim);
  int result = st_sent_add(a->dir, r->who.host, ST_SENT_PACKAGES, claim, sizeof(claim), err);
  st_hosts_changed(st_request_hosts(r), r->who.host);
  return result;
}

static bool is_there(struct st_archive *a, const struct st_package *p)
{
  ST_AUTO_FREE char *path = st_package_path(p);
  ST_AUTO_FREE char *full = st_format(ST_PACKAGES_DIR "/%s", path);
  return faccessat(a->dir, full, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* From what the client says; false: it is no package. */
static bool parse(const char *digest, const char *file, struct st_package *ret)
{
  uint8_t bytes[ST_DIGEST_SIZE];
  *ret = (struct st_package){0};
  if (!digest || !file || !st_unhex(bytes, sizeof(bytes), digest) || strlen(file) > 200 ||
      strchr(file, '/'))
    return false;
  ST_AUTO_FREE char *name = st_format("%s_%s", digest, file);
  return st_package_of_name(ret, name);
}

/* ---- Asked -------------------------------------------------------------------------------------
 */

static json_t *answer_one(struct st_request *r, const struct st_set *claims, json_t *asked)
{
  const char *digest = json_string_value(json_object_get(asked, "digest"));
  ST_AUTO_PACKAGE p = {0};
  char nonce[ST_NONCE_SIZE] = "";
  const char *state = "send";
  if (!parse(digest, json_string_value(json_object_get(asked, "file")), &p))
    return NULL;
  if (is_there(r->server->archive, &p))
    state = is_claimed(claims, &p) ? "have" : "prove";
  if (strcmp(state, "prove") == 0)
    st_hosts_nonce(st_request_hosts(r), r->who.host, digest,
                   json_string_value(json_object_get(asked, "file")), time(NULL), nonce);
  json_t *o = json_object();
  json_object_set_new(o, "digest", json_string(digest));
  json_object_set_new(o, "state", json_string(state));
  json_object_set_new(o, "nonce", json_string(nonce));
  return o;
}

static int answer_packages(struct st_request *r, json_t *asked, struct st_error *err)
{
  ST_CLEANUP(st_set_freep) struct st_set *claims = NULL;
  size_t i;
  json_t *one, *list;
  if (!json_is_array(asked) || json_array_size(asked) > ASKED_MAX)
    return st_reply_refuse(r, 400, "a list of %d packages at most is asked for", ASKED_MAX);
  if (read_claims(r->server->archive, r->who.host, &claims, err) < 0)
    return -1;
  list = json_array();
  json_array_foreach(asked, i, one)
  {
    json_t *answer = answer_one(r, claims, one);
    if (!answer) {
      json_decref(list);
      return st_reply_refuse(r, 400, "package %zu of the list is none", i);
    }
    json_array_append_new(list, answer);
  }
  json_t *o = json_object();
  json_object_set_new(o, "packages", list);
  return st_reply_json(r, o);
}

int st_sync_packages(struct st_request *r, struct st_error *err)
{
  ST_AUTO_SENDING sending = {0};
  if (!st_sending_begin(&sending, r))
    return 0;
  json_t *o = st_request_json(r);
  if (!o)
    return 0;
  int result = answer_packages(r, json_object_get(o, "packages"), err);
  json_decref(o);
  return result;
}

/* ---- Proved ------------------------------------------------------------------------------------
 */

static int reply_have(struct st_request *r)
{
  json_t *o = json_object();
  json_object_set_new(o, "state", json_string("have"));
  return st_reply_json(r, o);
}

static int make_proof(int fd, const char *nonce, uint8_t out[ST_DIGEST_SIZE], struct st_error *err)
{
  ST_AUTO_FREE char *block = st_malloc(BLOCK);
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  ssize_t n;
  st_digester_add(d, nonce, strlen(nonce));
  while ((n = read(fd, block, BLOCK)) > 0)
    st_digester_add(d, block, (size_t)n);
  if (n < 0)
    return st_fail(err, errno, "cannot read a package file");
  st_digester_final(d, out);
  return 0;
}

typedef bool claim_fn(void *arg, const struct st_package *p);

/* The first file of this content for which `fn` says so; -1: none.  `ret`: what it is. */
static int open_content(struct st_archive *a, const char *digest, claim_fn *fn, void *arg,
                        struct st_package *ret)
{
  ST_AUTO_FREE char *folder = st_format(ST_PACKAGES_DIR "/%.2s", digest);
  int fd = st_open_beneath(a->dir, folder, O_RDONLY | O_DIRECTORY, 0);
  ST_AUTO_CLOSEDIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
  for (struct dirent *e; d && (e = readdir(d));) {
    ST_AUTO_PACKAGE p = {0};
    if (strncmp(e->d_name, digest, 2 * ST_DIGEST_SIZE) != 0 || !st_package_of_name(&p, e->d_name) ||
        !fn(arg, &p))
      continue;
    int found = openat(fd, e->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (ret) {
      *ret = p;
      p = (struct st_package){0};
    }
    return found;
  }
  return -1;
}

static bool is_of_nonce(void *arg, const struct st_package *p)
{
  ST_AUTO_FREE char *file = st_sent_package_file(p);
  return st_hosts_nonce_names(arg, file);
}

/* Under the name that the host gave when it got the nonce. */
static int check_proof(struct st_request *r, const char *digest, const char *nonce,
                       const uint8_t proof[ST_DIGEST_SIZE], struct st_error *err)
{
  ST_AUTO_PACKAGE p = {0};
  uint8_t is[ST_DIGEST_SIZE];
  ST_AUTO_CLOSE int fd = open_content(r->server->archive, digest, is_of_nonce, (void *)nonce, &p);
  if (fd < 0)
    return st_reply_refuse(r, 404, "this package is not here: it is to be sent");
  if (make_proof(fd, nonce, is, err) < 0)
    return -1;
  if (memcmp(is, proof, sizeof(is)) != 0)
    return st_reply_refuse(r, 403, "the proof is wrong");
  if (add_claim(r, &p, err) < 0)
    return -1;
  st_metrics_add(r->server->metrics, ST_METRIC_PACKAGES, 1);
  return reply_have(r);
}

static int prove(struct st_request *r, json_t *o, struct st_error *err)
{
  const char *digest = json_string_value(json_object_get(o, "digest"));
  const char *nonce = json_string_value(json_object_get(o, "nonce"));
  const char *text = json_string_value(json_object_get(o, "proof"));
  uint8_t proof[ST_DIGEST_SIZE], bytes[ST_DIGEST_SIZE];
  if (!digest || !st_unhex(bytes, sizeof(bytes), digest) || !nonce || !text ||
      !st_unhex(proof, sizeof(proof), text))
    return st_reply_refuse(r, 400, "digest, nonce and proof are asked for");
  if (!st_hosts_nonce_is(st_request_hosts(r), r->who.host, digest, nonce, time(NULL)))
    return st_reply_refuse(r, 403, "the nonce is none of ours, or too old");
  return check_proof(r, digest, nonce, proof, err);
}

int st_sync_packages_proof(struct st_request *r, struct st_error *err)
{
  ST_AUTO_SENDING sending = {0};
  if (!st_sending_begin(&sending, r))
    return 0;
  json_t *o = st_request_json(r);
  if (!o)
    return 0;
  int result = prove(r, o, err);
  json_decref(o);
  return result;
}

/* ---- Sent --------------------------------------------------------------------------------------
 */

int st_sync_packages_put(struct st_request *r, struct st_error *err)
{
  ST_AUTO_SENDING sending = {0};
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  ST_CLEANUP(st_packages_closep) struct st_packages *packages = NULL;
  ST_AUTO_PACKAGE p = {0};
  if (!parse(r->parts[0], st_request_query(r, "file"), &p) || r->body_fd < 0)
    return st_reply_refuse(r, 400, "this is no package file's name");
  if (!st_sending_begin(&sending, r))
    return 0;
  if (st_packages_open_unlisted(&packages, r->server->archive->dir, err) < 0)
    return -1;
  if (st_packages_receive(packages, r->body_fd, &p, LEAST_FREE, &why) < 0)
    return why.code == 0 ? st_reply_refuse(r, 400, "%s", st_error_text(&why))
                         : st_fail(err, 0, "%s", st_error_text(&why));
  if (add_claim(r, &p, err) < 0)
    return -1;
  st_metrics_add(r->server->metrics, ST_METRIC_PACKAGES, 1);
  return reply_have(r);
}

/* ---- Taken -------------------------------------------------------------------------------------
 */

static json_t *describe(const struct st_package *p)
{
  char hex[2 * ST_DIGEST_SIZE + 1];
  ST_AUTO_FREE char *file = st_sent_package_file(p);
  json_t *o = json_object();
  st_hex(hex, p->digest, ST_DIGEST_SIZE);
  json_object_set_new(o, "digest", json_string(hex));
  json_object_set_new(o, "size", json_integer((json_int_t)p->size));
  json_object_set_new(o, "file", json_string(file));
  return o;
}

int st_fetch_packages(struct st_request *r, struct st_error *err)
{
  ST_CLEANUP(st_packages_closep) struct st_packages *packages = NULL;
  ST_CLEANUP(st_set_freep) struct st_set *claims = NULL;
  const struct st_package *p;
  if (read_claims(r->server->archive, r->parts[0], &claims, err) < 0 ||
      st_packages_open(&packages, r->server->archive->dir, err) < 0)
    return -1;
  json_t *list = json_array(), *o = json_object();
  for (size_t n = 0; (p = st_packages_at(packages, n)); n++)
    if (is_claimed(claims, p))
      json_array_append_new(list, describe(p));
  json_object_set_new(o, "packages", list);
  return st_reply_json(r, o);
}

static bool is_hosts(void *arg, const struct st_package *p)
{
  return is_claimed(arg, p);
}

int st_fetch_package(struct st_request *r, struct st_error *err)
{
  ST_CLEANUP(st_set_freep) struct st_set *claims = NULL;
  uint8_t bytes[ST_DIGEST_SIZE];
  struct stat st;
  if (!st_unhex(bytes, sizeof(bytes), r->parts[1]))
    return st_reply_refuse(r, 404, "there is no such package");
  if (read_claims(r->server->archive, r->parts[0], &claims, err) < 0)
    return -1;
  ST_AUTO_CLOSE int fd = open_content(r->server->archive, r->parts[1], is_hosts, claims, NULL);
  if (fd < 0 || fstat(fd, &st) < 0)
    return st_reply_refuse(r, 404, "there is no such package");
  r->reply.type = "application/octet-stream";
  r->reply.length = (uint64_t)st.st_size;
  r->reply.fd = st_steal_fd(&fd);
  return 0;
}
