/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "archive-sync/download.h"
#include "archive-sync/source.h"
#include "archive-sync/wire.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/keys.h"
#include "systracker/base/text.h"
#include "systracker/tracker/sealed.h"

/* A store with nothing but the catalog of the host that is fetched, as the server has it: what is
 * in it was proved as it was put there. */
#define STAGING ST_REMOTE_DIR "/fetch"
#define QUESTION "{\"epoch\":0,\"number\":0,\"head\":\"\",\"packages\":\"\"}"
#define PACKAGE_MAX ((uint64_t)2 << 30) /* bytes of a package file */
#define HOSTS_MAX 1000                  /* of one name */
/* Of JSON: what it takes in memory goes by its values. */
#define ANSWER_MAX ((uint64_t)4 << 20)    /* bytes */
#define PACKAGES_MAX ((uint64_t)32 << 20) /* of the list of package files: more than 150,000 */
#define VALUES_MAX ((size_t)2000000)

struct server {
  struct st_source s;
  struct st_join join;
  struct st_remote *remote;
  struct st_packages *packages;
  char *path; /* "/v1/hosts/H" */
  int staging;
  int64_t latest;
  uint8_t head[ST_DIGEST_SIZE];
};

/* ---- The staging store -------------------------------------------------------------------------
 */

#define STAGING_DEPTH 4 /* hosts/ID/epoch-N/catalog.db */

/* Empties a folder that is ours alone; what cannot be removed stays.  Takes fd over. */
static void empty_folder(int fd, unsigned depth)
{
  ST_AUTO_CLOSEDIR DIR *d = fdopendir(fd);
  for (struct dirent *e; d && (e = readdir(d));) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
        unlinkat(fd, e->d_name, 0) == 0)
      continue;
    int below = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below >= 0 && depth > 1)
      empty_folder(below, depth - 1);
    else if (below >= 0)
      close(below);
    unlinkat(fd, e->d_name, AT_REMOVEDIR);
  }
}

/* All of it: a fetch of another host may have been killed. */
static void remove_staging(struct server *v)
{
  int store = v->s.pull->t->store_dir;
  int fd = st_open_beneath(store, STAGING, O_RDONLY | O_DIRECTORY, 0);
  if (fd >= 0)
    empty_folder(fd, STAGING_DEPTH);
  unlinkat(store, STAGING, AT_REMOVEDIR);
}

static int open_staging(struct server *v, struct st_catalog **ret, struct st_error *err)
{
  const char *host = v->s.pull->result->host;
  int store = v->s.pull->t->store_dir;
  remove_staging(v);
  if (st_make_dirs(store, STAGING, 0700, err) < 0)
    return -1;
  st_cleanup_close(&v->staging);
  v->staging = st_open_beneath(store, STAGING, O_RDONLY | O_DIRECTORY, 0);
  if (v->staging < 0)
    return st_fail(err, -v->staging, "cannot open (" STAGING ")");
  return st_catalog_open(ret, v->staging, host, ST_CATALOG_WRITE | ST_CATALOG_REPLICA, err);
}

static void close_server(struct st_source *s)
{
  struct server *v = (struct server *)s;
  if (v->staging >= 0)
    remove_staging(v);
  st_cleanup_close(&v->staging);
  st_packages_closep(&v->packages);
  if (v->remote)
    st_remote_close(v->remote);
  st_join_clear(&v->join);
  free(v->path);
  free(v);
}

/* ---- Asking ------------------------------------------------------------------------------------
 */

/* 1: there is none. */
static int get(struct server *v, const char *path, struct st_remote_call *call,
               struct st_error *err)
{
  call->method = "GET";
  call->path = path;
  if (st_remote_call(v->remote, call, err) < 0)
    return -1;
  if (call->status == 404)
    return 1;
  return call->status == 200 ? 0 : st_remote_fail(v->remote, call, err);
}

/* Each is followed by one of these, or stands before one. */
static size_t count_values(const struct st_buffer *text)
{
  size_t n = 0;
  for (size_t i = 0; i < text->length; i++)
    n += text->data[i] == ',' || text->data[i] == ':' || text->data[i] == '[' ||
         text->data[i] == '{';
  return n;
}

static int get_json(struct server *v, const char *path, uint64_t max, json_t **ret,
                    struct st_error *err)
{
  ST_AUTO_REMOTE_CALL call = {.max = max};
  int r = get(v, path, &call, err);
  if (r != 0)
    return r < 0 ? st_wrap(err, "%s", path) : r;
  if (count_values(&call.reply) > VALUES_MAX)
    return st_fail(err, 0, "%s: the server sent more than %zu values", path, VALUES_MAX);
  *ret = st_remote_json(&call);
  return json_is_object(*ret) ? 0 : st_fail(err, 0, "the server sent something else than JSON");
}

/* ---- Which host --------------------------------------------------------------------------------
 */

static bool is_host_id(const char *text)
{
  return text && strlen(text) == ST_HOST_ID_SIZE - 1 &&
         strspn(text, "0123456789abcdef") == ST_HOST_ID_SIZE - 1;
}

static bool matches(const json_t *host, const char *text, size_t n)
{
  const char *id = json_string_value(json_object_get(host, "host"));
  const char *name = json_string_value(json_object_get(host, "name"));
  if (st_host_id_begins(id, text, n))
    return true;
  return name && strlen(name) == n && memcmp(name, text, n) == 0;
}

/* Those that may be read and are meant; without a name all. */
static int find_hosts(struct server *v, const char *text, size_t n, struct st_strings *ret,
                      struct st_error *err)
{
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-";
  ST_AUTO_BUFFER path = ST_BUFFER_INIT;
  json_t *o = NULL, *host;
  size_t i;
  st_buffer_printf(&path, "/v1/hosts?limit=%d&name=", HOSTS_MAX);
  for (size_t k = 0; k < n; k++)
    st_buffer_printf(&path, strchr(plain, text[k]) ? "%c" : "%%%02X", (unsigned)(uint8_t)text[k]);
  int r = get_json(v, path.data, ANSWER_MAX, &o, err);
  json_array_foreach(json_object_get(o, "hosts"), i, host)
  {
    const char *id = json_string_value(json_object_get(host, "host"));
    if (is_host_id(id) && json_integer_value(json_object_get(host, "checkpoints")) > 0 &&
        (n == 0 || matches(host, text, n)))
      st_strings_add(ret, id);
  }
  json_decref(o);
  return r < 0 ? -1 : 0;
}

static int fail_ambiguous(const struct st_strings *ids, const char *name, struct st_error *err)
{
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  for (size_t i = 0; i < ids->count && i < 20; i++)
    st_buffer_printf(&list, "%s%s", i ? ", " : "", ids->items[i]);
  return st_fail(err, 0, "more than one host is meant: --host names one of %s (%s)", list.data,
                 st_quote(name ? name : ""));
}

/* Whoever shows a restore token means the host that it is for; otherwise the own one is meant. */
static const char *choose_default(struct server *v, const struct st_strings *ids)
{
  const char *own = v->s.pull->t->keys.host_id;
  if (ids->count == 1)
    return ids->items[0];
  if (!st_remote_has_token(v->remote, 'r'))
    return st_strings_has(ids, own) ? own : NULL;
  const char *other = NULL;
  for (size_t i = 0; i < ids->count; i++)
    if (strcmp(ids->items[i], own) != 0) {
      if (other)
        return NULL;
      other = ids->items[i];
    }
  return other;
}

static int find(struct server *v, char **ret, struct st_error *err)
{
  ST_AUTO_STRINGS ids = {0};
  const char *text = v->s.pull->options->host;
  size_t n = text ? strcspn(text, "/") : 0;
  const char *epoch = text ? text + n : "";
  if (text && (n == 0 || (*epoch && (strncmp(epoch, "/epoch-", 7) != 0 || !epoch[7] ||
                                     strspn(epoch + 7, "0123456789") != strlen(epoch + 7)))))
    return st_fail(err, 0, "no such host: ID or ID/epoch-N names one (%s)", st_quote(text));
  if (find_hosts(v, text, n, &ids, err) < 0)
    return -1;
  if (ids.count == 0 && text)
    return st_fail(err, 0,
                   "there is no such host in the archive, or this one may not read it: a restore "
                   "token lets it (`systracker-archive token`) (%s)",
                   st_quote(text));
  if (ids.count == 0)
    return st_refuse(err, "there is no host in the archive yet that this one may read");
  const char *id = text ? (ids.count == 1 ? ids.items[0] : NULL) : choose_default(v, &ids);
  if (!id)
    return fail_ambiguous(&ids, text, err);
  *ret = st_format("%s%s", id, epoch);
  return 0;
}

static int open_remote(struct server *v, struct st_error *err)
{
  struct st_pull *p = v->s.pull;
  struct st_remote_options options = {.join = &v->join,
                                      .store_dir = p->t->store_dir,
                                      .keys = &p->t->keys,
                                      .wait = p->options->wait};
  if (st_remote_open(&v->remote, &options, err) < 0)
    return -1;
  st_remote_opening(v->remote, "POST", "/v1/sync", QUESTION, strlen(QUESTION));
  return 0;
}

static int choose(struct st_source *s, bool early, struct st_error *err)
{
  struct server *v = (struct server *)s;
  ST_AUTO_FREE char *host = NULL;
  char *to = s->pull->result->host;
  size_t size = sizeof(s->pull->result->host);
  if (early)
    return 1;
  if (open_remote(v, err) < 0 || find(v, &host, err) < 0)
    return -1;
  if (strlen(host) >= size)
    return st_fail(err, 0, "there is no such epoch (%s)", host);
  strncpy(to, host, size - 1);
  const char *epoch = strstr(host, "/epoch-");
  v->path = epoch ? st_format("/v1/hosts/%.*s~%s", ST_HOST_ID_SIZE - 1, host, epoch + 7)
                  : st_format("/v1/hosts/%s", host);
  return 0;
}

/* ---- Checkpoints -------------------------------------------------------------------------------
 */

static int ask_chain(struct server *v, struct st_error *err)
{
  ST_AUTO_FREE char *path = st_format("%s/chain", v->path);
  json_t *o = NULL;
  int r = get_json(v, path, ANSWER_MAX, &o, err);
  const char *head = json_string_value(json_object_get(o, "head"));
  v->latest = json_integer_value(json_object_get(o, "number"));
  if (r == 0 && v->latest > ST_WIRE_CHECKPOINTS_MAX)
    r = st_fail(err, 0,
                "the server says that the host has %lld checkpoints: no more than %d are believed",
                (long long)v->latest, ST_WIRE_CHECKPOINTS_MAX);
  if (r == 0 && (v->latest < 1 || !head || !st_unhex(v->head, sizeof(v->head), head)))
    r = 1;
  json_decref(o);
  return r > 0 ? st_refuse(err, "the host has sent no checkpoint yet (%s)", v->s.pull->result->host)
               : r;
}

/* 1: it has no facts of it any more. */
static int take_remote(struct server *v, struct st_catalog *to, int64_t number,
                       struct st_error *err)
{
  ST_AUTO_CHANGESET set = {0};
  ST_AUTO_REMOTE_CALL call = {.max = ST_WIRE_CHANGESET_MAX};
  ST_AUTO_FREE char *path = st_format("%s/changesets/%lld?after=%lld", v->path, (long long)number,
                                      (long long)st_catalog_latest(to));
  int r = get(v, path, &call, err);
  if (r != 0)
    return r;
  if (st_wire_read_changeset(call.reply.data ? call.reply.data : "", call.reply.length, &set, err) <
          0 ||
      st_catalog_apply(to, &set, err) < 0)
    return st_wrap(err, "checkpoint %lld was not taken", (long long)number);
  return 0;
}

static int take_local(struct st_catalog *here, struct st_catalog *to, int64_t number,
                      struct st_error *err)
{
  ST_AUTO_CHANGESET set = {0};
  if (st_changeset_read_after(here, st_catalog_latest(to), number, &set, err) < 0)
    return -1;
  return st_catalog_apply(to, &set, err);
}

static bool holds(struct st_catalog *c, int64_t number)
{
  return c && number <= st_catalog_latest(c) && st_catalog_held(c, number) == ST_HELD;
}

/* What is here need not come again, where it is of the same chain. */
static int fill(struct server *v, struct st_catalog *here, struct st_catalog *to,
                struct st_error *err)
{
  for (int64_t n = 1; n <= v->latest; n++) {
    int r = holds(here, n) ? take_local(here, to, n, err) : take_remote(v, to, n, err);
    if (r < 0)
      return -1;
    if (r > 0 && n == v->latest)
      return st_fail(err, 0, "the server does not have checkpoint %lld any more", (long long)n);
  }
  return 0;
}

/* A number, or a word that is one, needs nothing before it. */
static bool is_alone(const struct server *v, const struct st_catalog *here, int64_t *ret)
{
  const char *text = v->s.pull->options->checkpoint;
  if (!text || here || strcmp(v->s.pull->result->host, v->s.pull->t->keys.host_id) == 0)
    return false;
  if (strcmp(text, "latest") == 0)
    *ret = v->latest;
  else if (st_parse_number(text, ret, NULL) < 0)
    return false;
  return *ret > 0 && *ret <= v->latest;
}

static bool is_complete(struct server *v, struct st_catalog *here)
{
  struct st_checkpoint cp;
  bool same = holds(here, v->latest) && st_catalog_checkpoint(here, v->latest, &cp, NULL) == 0;
  if (!same)
    return false;
  same = memcmp(cp.header_digest, v->head, sizeof(v->head)) == 0;
  st_checkpoint_clear(&cp);
  for (int64_t n = 1; n < v->latest && same; n++)
    same = st_catalog_held(here, n) == ST_HELD;
  return same;
}

static int stage(struct server *v, struct st_catalog *here, struct st_catalog **ret,
                 struct st_error *err)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT; /* what is here is of another epoch, or damaged */
  int64_t alone;
  if (open_staging(v, ret, err) < 0)
    return -1;
  if (is_alone(v, here, &alone)) {
    int r = take_remote(v, *ret, alone, err);
    return r > 0 ? st_fail(err, 0, "the server does not have checkpoint %lld any more",
                           (long long)alone)
                 : r;
  }
  if (here && fill(v, here, *ret, &ignored) == 0)
    return 0;
  if (here) {
    st_catalog_close(st_steal(ret));
    if (open_staging(v, ret, err) < 0)
      return -1;
  }
  return fill(v, NULL, *ret, err);
}

static int read_object(void *arg, const struct st_id *id, struct st_buffer *out,
                       struct st_error *err)
{
  return st_store_get(((struct server *)arg)->s.pull->t->store, id, out, err);
}

/* ---- Package files -----------------------------------------------------------------------------
 */

static int list_packages(struct server *v, struct st_error *err)
{
  ST_AUTO_FREE char *path = st_format("%s/packages", v->path);
  ST_AUTO_STRINGS names = {0};
  json_t *o = NULL, *one;
  size_t i;
  int r = get_json(v, path, PACKAGES_MAX, &o, err);
  json_array_foreach(json_object_get(o, "packages"), i, one)
  {
    const char *digest = json_string_value(json_object_get(one, "digest"));
    const char *file = json_string_value(json_object_get(one, "file"));
    if (digest && file)
      st_strings_take(&names, st_format("%s_%s", digest, file));
  }
  json_decref(o);
  st_packages_told(&v->packages, &names);
  return r < 0 ? -1 : 0;
}

static int package(struct st_source *s, struct st_packages *to, const struct st_package *package,
                   struct st_error *err)
{
  struct server *v = (struct server *)s;
  char hex[2 * ST_DIGEST_SIZE + 1];
  if (st_packages_has(to, package))
    return 0;
  st_hex(hex, package->digest, ST_DIGEST_SIZE);
  ST_AUTO_FREE char *path = st_format("%s/packages/%s", v->path, hex);
  ST_AUTO_CLOSE int fd = st_download_file(s->pull->t->store_dir, err);
  ST_AUTO_REMOTE_CALL call = {.to = fd, .max = PACKAGE_MAX};
  if (fd < 0)
    return -1;
  int r = get(v, path, &call, err);
  if (r < 0 && err)
    err->code = EIO; /* the others would not come either */
  if (r == 0)
    r = st_packages_receive(to, fd, package, 0, err);
  else if (r > 0)
    r = st_fail(err, 0, "it is not there any more");
  if (r < 0)
    return st_wrap(err, "the kept file of package %s %s", st_quote(package->name),
                   st_quote(package->version));
  return r == 0;
}

/* ---- The rest ----------------------------------------------------------------------------------
 */

static int open_host(struct st_source *s, struct st_catalog **ret,
                     const struct st_packages **ret_packages, struct st_error *err)
{
  struct server *v = (struct server *)s;
  ST_CLEANUP(st_catalog_closep) struct st_catalog *here = NULL;
  const struct st_catalog_objects objects = {read_object, v};
  ST_AUTO_ERROR ignored = ST_ERROR_INIT; /* whoever writes it will say it */
  if (ask_chain(v, err) < 0 || list_packages(v, err) < 0)
    return -1;
  *ret_packages = v->packages;
  st_catalog_open(&here, s->pull->t->store_dir, s->pull->result->host, ST_CATALOG_READ, &ignored);
  s->is_here = here && is_complete(v, here);
  if (s->is_here)
    *ret = st_steal(&here);
  else if (stage(v, here, ret, err) < 0)
    return -1;
  st_catalog_set_objects(*ret, &objects);
  return 0;
}

static int objects(struct st_source *s, const struct st_id *ids, size_t count, struct st_error *err)
{
  struct server *v = (struct server *)s;
  ST_AUTO_FREE char *path = st_format("%s/objects", v->path);
  return st_download_objects(s->pull, v->remote, path, ids, count, err);
}

static int key(struct st_source *s, const char *id, struct st_error *err)
{
  struct server *v = (struct server *)s;
  ST_AUTO_REMOTE_CALL call = {.max = ST_SEALED_KEY_MAX};
  ST_AUTO_FREE char *path = st_format("/v1/hosts/%s/key", id);
  ST_AUTO_FREE char *folder = st_format("hosts/%s", id);
  int r = get(v, path, &call, err);
  if (r != 0)
    return r;
  ST_AUTO_CLOSE int dir = st_open_beneath(s->pull->t->store_dir, folder, O_RDONLY | O_DIRECTORY, 0);
  if (dir < 0)
    return st_fail(err, -dir, "cannot open (%s)", folder);
  return st_write_file(dir, ST_SEALED_KEY, 0600, call.reply.data ? call.reply.data : "",
                       call.reply.length, err);
}

int st_source_server(struct st_source **ret, struct st_pull *p, const struct st_join *join,
                     struct st_error *err)
{
  static const struct st_source_ops ops = {
      .choose = choose,
      .open = open_host,
      .objects = objects,
      .package = package,
      .key = key,
      .close = close_server,
  };
  struct server *v = st_calloc(1, sizeof(*v));
  (void)err;
  v->s = (struct st_source){.ops = &ops, .pull = p};
  v->staging = -1;
  st_join_copy(&v->join, join);
  *ret = &v->s;
  return 0;
}
