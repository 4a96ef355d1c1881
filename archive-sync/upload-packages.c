/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <sys/stat.h>

#include "archive-sync/upload.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/store/packages.h"

#define OFFER_MAX 1024 /* package files in one question */
#define BLOCK (1 << 16)
#define NONCE_MAX 128

struct offer {
  struct st_push *push;
  struct st_remote *remote;
  struct st_packages *here;
};

/* ---- All of them in one digest -----------------------------------------------------------------
 */

static int compare_digests(const void *a, const void *b)
{
  return memcmp(a, b, ST_DIGEST_SIZE);
}

int st_upload_package_digest(int store_dirfd, char ret[2 * ST_DIGEST_SIZE + 1],
                             struct st_error *err)
{
  ST_CLEANUP(st_packages_closep) struct st_packages *here = NULL;
  ST_AUTO_BUFFER all = ST_BUFFER_INIT;
  const struct st_package *package;
  uint8_t digest[ST_DIGEST_SIZE];
  *ret = 0;
  if (st_packages_open(&here, store_dirfd, err) < 0)
    return -1;
  for (size_t n = 0; (package = st_packages_at(here, n)); n++)
    st_buffer_append(&all, package->digest, ST_DIGEST_SIZE);
  if (all.length == 0)
    return 0;
  qsort(all.data, all.length / ST_DIGEST_SIZE, ST_DIGEST_SIZE, compare_digests);
  size_t kept = ST_DIGEST_SIZE; /* one file may be there under two names */
  for (size_t at = ST_DIGEST_SIZE; at < all.length; at += ST_DIGEST_SIZE) {
    if (memcmp(all.data + at, all.data + kept - ST_DIGEST_SIZE, ST_DIGEST_SIZE) == 0)
      continue;
    memmove(all.data + kept, all.data + at, ST_DIGEST_SIZE);
    kept += ST_DIGEST_SIZE;
  }
  st_digest(digest, all.data, kept);
  st_hex(ret, digest, sizeof(digest));
  return 0;
}

/* ---- One file ----------------------------------------------------------------------------------
 */

/* What its name has behind the digest. */
static char *file_of(const struct st_package *package)
{
  ST_AUTO_FREE char *path = st_package_path(package);
  return st_strdup(strchr(path, '_') + 1);
}

static void hex_of(const struct st_package *package, char ret[2 * ST_DIGEST_SIZE + 1])
{
  st_hex(ret, package->digest, ST_DIGEST_SIZE);
}

static int prove_by(int fd, const char *nonce, uint8_t ret[ST_DIGEST_SIZE], struct st_error *err)
{
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  ST_AUTO_FREE char *block = st_malloc(BLOCK);
  struct stat st;
  if (fstat(fd, &st) < 0)
    return st_fail(err, errno, "cannot read a package file");
  st_digester_add(d, nonce, strlen(nonce));
  for (off_t at = 0; at < st.st_size;) {
    size_t n = st.st_size - at < BLOCK ? (size_t)(st.st_size - at) : BLOCK;
    if (st_pread_all(fd, block, n, at, err) < 0)
      return -1;
    st_digester_add(d, block, n);
    at += (off_t)n;
  }
  st_digester_final(d, ret);
  return 0;
}

/* 1: the server does not believe it. */
static int prove(struct offer *o, const struct st_package *package, const char *nonce,
                 struct st_error *err)
{
  char hex[2 * ST_DIGEST_SIZE + 1], proof[2 * ST_DIGEST_SIZE + 1];
  uint8_t digest[ST_DIGEST_SIZE];
  ST_AUTO_CLOSE int fd = st_packages_read(o->here, package, err);
  if (fd < 0 || prove_by(fd, nonce, digest, err) < 0)
    return -1;
  hex_of(package, hex);
  st_hex(proof, digest, sizeof(digest));
  ST_AUTO_FREE char *body =
      st_format("{\"digest\":\"%s\",\"nonce\":\"%s\",\"proof\":\"%s\"}", hex, nonce, proof);
  ST_AUTO_REMOTE_CALL call = {.method = "POST",
                              .path = "/v1/sync/packages/proof",
                              .type = "application/json",
                              .body = body,
                              .length = strlen(body)};
  if (st_remote_call(o->remote, &call, err) < 0)
    return -1;
  return call.status == 200 ? 0 : 1;
}

static char *upload_path(const struct st_package *package)
{
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-";
  char hex[2 * ST_DIGEST_SIZE + 1];
  ST_AUTO_BUFFER path = ST_BUFFER_INIT;
  ST_AUTO_FREE char *file = file_of(package);
  hex_of(package, hex);
  st_buffer_printf(&path, "/v1/sync/packages/%s?file=", hex);
  for (const char *c = file; *c; c++)
    st_buffer_printf(&path, strchr(plain, *c) ? "%c" : "%%%02X", (unsigned)(uint8_t)*c);
  return st_buffer_steal(&path, NULL);
}

static int send_file(struct offer *o, const struct st_package *package, struct st_error *err)
{
  ST_AUTO_FREE char *path = upload_path(package);
  ST_AUTO_CLOSE int fd = st_packages_read(o->here, package, err);
  struct stat st;
  if (fd < 0)
    return -1;
  if (fstat(fd, &st) < 0)
    return st_fail(err, errno, "cannot read a package file");
  ST_AUTO_REMOTE_CALL call = {
      .method = "PUT", .path = path, .file = fd, .file_length = (uint64_t)st.st_size};
  if (st_remote_call(o->remote, &call, err) < 0)
    return -1;
  if (call.status != 200 && call.status != 201)
    return st_remote_fail(o->remote, &call, err);
  o->push->result->packages++;
  o->push->result->bytes += (uint64_t)st.st_size;
  return 0;
}

/* Damage at home is said, and does not keep the others from being sent. */
static int check_sound(struct offer *o, const struct st_package *package)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  uint8_t digest[ST_DIGEST_SIZE];
  ST_AUTO_CLOSE int fd = st_packages_read(o->here, package, &why);
  if (fd >= 0 && prove_by(fd, "", digest, &why) == 0 &&
      memcmp(digest, package->digest, sizeof(digest)) == 0)
    return 0;
  if (!why.message)
    st_fail(&why, 0, "the kept file of package %s %s is damaged", st_quote(package->name),
            st_quote(package->version));
  st_push_passed_over(o->push, &why);
  return 1;
}

static int give(struct offer *o, const struct st_package *package, const char *state,
                const char *nonce, struct st_error *err)
{
  if (strcmp(state, "have") == 0 || check_sound(o, package) > 0)
    return 0;
  int r = strcmp(state, "prove") == 0 && nonce && strlen(nonce) < NONCE_MAX
              ? prove(o, package, nonce, err)
              : 1;
  return r > 0 ? send_file(o, package, err) : r;
}

/* ---- All of them -------------------------------------------------------------------------------
 */

static char *ask_for(struct offer *o, size_t first, size_t *ret_count)
{
  const struct st_package *package;
  json_t *list = json_array(), *question = json_object();
  for (*ret_count = 0; *ret_count < OFFER_MAX; ++*ret_count) {
    char hex[2 * ST_DIGEST_SIZE + 1];
    if (!(package = st_packages_at(o->here, first + *ret_count)))
      break;
    ST_AUTO_FREE char *file = file_of(package);
    hex_of(package, hex);
    json_t *one = json_object();
    json_object_set_new(one, "digest", json_string(hex));
    json_object_set_new(one, "size", json_integer((json_int_t)package->size));
    json_object_set_new(one, "file", json_string(file));
    json_array_append_new(list, one);
  }
  json_object_set_new(question, "packages", list);
  char *text = json_dumps(question, JSON_COMPACT);
  json_decref(question);
  return text;
}

static int take_answers(struct offer *o, size_t first, size_t count, const json_t *list,
                        struct st_error *err)
{
  if (json_array_size(list) != count)
    return st_fail(err, 0, "the server said something else than which packages it has");
  for (size_t i = 0; i < count; i++) {
    const json_t *one = json_array_get(list, i);
    const char *state = json_string_value(json_object_get(one, "state"));
    const char *nonce = json_string_value(json_object_get(one, "nonce"));
    if (give(o, st_packages_at(o->here, first + i), state ? state : "send", nonce, err) < 0)
      return -1;
  }
  return 0;
}

static int offer_some(struct offer *o, size_t first, size_t *ret_count, struct st_error *err)
{
  ST_AUTO_FREE char *body = ask_for(o, first, ret_count);
  ST_AUTO_REMOTE_CALL call = {
      .method = "POST", .path = "/v1/sync/packages", .type = "application/json", .body = body};
  if (*ret_count == 0)
    return 0;
  if (!body)
    return st_fail(err, 0, "a package file's name is no text");
  call.length = strlen(body);
  if (st_remote_call(o->remote, &call, err) < 0)
    return -1;
  if (call.status != 200)
    return st_remote_fail(o->remote, &call, err);
  json_t *answer = st_remote_json(&call);
  int r = take_answers(o, first, *ret_count, json_object_get(answer, "packages"), err);
  json_decref(answer);
  return r;
}

int st_upload_packages(struct st_push *p, struct st_remote *r, struct st_error *err)
{
  ST_CLEANUP(st_packages_closep) struct st_packages *here = NULL;
  size_t count = OFFER_MAX;
  if (st_packages_open(&here, p->t->store_dir, err) < 0)
    return -1;
  struct offer o = {p, r, here};
  for (size_t first = 0; count == OFFER_MAX; first += count)
    if (offer_some(&o, first, &count, err) < 0)
      return -1;
  return 0;
}
