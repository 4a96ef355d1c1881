/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/wanted.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/cbor.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define MAX_PLAN ((size_t)1 << 30)

static int add_id(void *set, const struct st_id *id)
{
  uint8_t bytes[ST_WANTED_SIZE] = {id->keyed};
  memcpy(bytes + 1, id->digest, ST_DIGEST_SIZE);
  st_set_add(set, bytes, sizeof(bytes), 0);
  return 0;
}

bool st_wanted_has(void *set, const struct st_id *id)
{
  uint8_t bytes[ST_WANTED_SIZE] = {id->keyed};
  memcpy(bytes + 1, id->digest, ST_DIGEST_SIZE);
  return st_set_get(set, bytes, sizeof(bytes), NULL);
}

/* Each with a NUL behind it. */
static void package_key(struct st_buffer *out, const char *name, const char *version,
                        const char *architecture)
{
  st_buffer_append(out, name, strlen(name) + 1);
  st_buffer_append(out, version, strlen(version) + 1);
  st_buffer_append(out, architecture, strlen(architecture) + 1);
}

static int add_package(void *set, const char *name, const char *version, const char *architecture)
{
  ST_AUTO_BUFFER key = ST_BUFFER_INIT;
  package_key(&key, name, version, architecture);
  st_set_add(set, key.data, key.length, 0);
  return 0;
}

bool st_wanted_has_package(const struct st_set *packages, const struct st_package *package)
{
  ST_AUTO_BUFFER key = ST_BUFFER_INIT;
  package_key(&key, package->name, package->version, package->architecture);
  return st_set_get(packages, key.data, key.length, NULL);
}

/* ---- Folders --------------------------------------------------------------------------------- */

/* Calls fn with the name of each folder in one below `dir`; none where that is missing. */
typedef int folder_fn(void *arg, int parent, const char *name, struct st_error *err);
static int each_folder(int dir, const char *path, folder_fn *fn, void *arg, struct st_error *err)
{
  ST_AUTO_CLOSE int fd = st_open_beneath(dir, path, O_RDONLY | O_DIRECTORY, 0);
  if (fd == -ENOENT)
    return 0;
  if (fd < 0)
    return st_fail(err, -fd, "cannot open the store's folder %s", st_quote(path));
  ST_AUTO_CLOSE int own = dup(fd);
  ST_AUTO_CLOSEDIR DIR *d = own < 0 ? NULL : fdopendir(own);
  if (!d)
    return st_fail(err, errno, "cannot list the store's folder %s", st_quote(path));
  st_steal_fd(&own);
  struct dirent *entry;
  while (errno = 0, (entry = readdir(d))) {
    struct stat st;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
        fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
      continue;
    int r = fn(arg, fd, entry->d_name, err);
    if (r < 0)
      return r;
  }
  return errno ? st_fail(err, errno, "cannot list the store's folder %s", st_quote(path)) : 0;
}

/* ---- Hosts ----------------------------------------------------------------------------------- */

struct hosts {
  int store_dir;
  struct st_set *ids, *packages;
  const char *own;  /* the host that is looked at elsewhere; NULL: none */
  const char *host; /* whose older catalogs are looked at */
};

static int add_named(struct hosts *h, struct st_catalog *c, struct st_error *err)
{
  int r = st_catalog_objects(c, add_id, h->ids, err);
  return r < 0 ? r : st_catalog_packages(c, add_package, h->packages, err);
}

static int add_catalog(struct hosts *h, const char *name, struct st_error *err)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *c = NULL;
  int r = st_catalog_open(&c, h->store_dir, name, ST_CATALOG_READ, err);
  if (r == -ENOENT) { /* it has no checkpoint yet, or is no catalog's folder */
    st_error_clear(err);
    return 0;
  }
  return r < 0 ? r : add_named(h, c, err);
}

/* "epoch-N", and whatever else a fetch is just making. */
static int add_older(void *arg, int parent, const char *name, struct st_error *err)
{
  struct hosts *h = arg;
  ST_AUTO_FREE char *both = st_format("%s/%s", h->host, name);
  (void)parent;
  return add_catalog(h, both, err);
}

static int add_host(void *arg, int parent, const char *name, struct st_error *err)
{
  struct hosts *h = arg;
  h->host = name;
  bool own = h->own && strcmp(name, h->own) == 0;
  return !own && add_catalog(h, name, err) < 0 ? -1 : each_folder(parent, name, add_older, h, err);
}

int st_wanted_by_hosts(int store_dir, struct st_catalog *own, const char *own_id,
                       struct st_set *ids, struct st_set *packages, struct st_error *err)
{
  struct hosts h = {
      .store_dir = store_dir, .ids = ids, .packages = packages, .own = own ? own_id : NULL};
  if (own && add_named(&h, own, err) < 0)
    return -1;
  return each_folder(store_dir, "hosts", add_host, &h, err);
}

/* ---- Journals --------------------------------------------------------------------------------
 *
 * What a restore wrote down is the restore's own; here it is enough to know that `plan` is a CBOR
 * sequence in which ids are byte strings of 32, and whose first array has at these places: */

enum { AT_FORMAT = 0, AT_CHECKPOINT = 3, AT_BEFORE = 12 };
#define FORMAT "systracker-restore"

struct journals {
  struct st_set *ids;
  struct st_wanted_numbers *numbers;
};

void st_wanted_numbers_free(struct st_wanted_numbers *numbers)
{
  free(numbers->items);
  *numbers = (struct st_wanted_numbers){0};
}

static void add_number(struct journals *j, int64_t number)
{
  struct st_wanted_numbers *n = j->numbers;
  if (!n || number < 1)
    return;
  n->items = st_realloc(n->items, n->count + 1, sizeof(*n->items));
  n->items[n->count++] = number;
}

/* A secret's or not: what else has 32 bytes does no harm. */
static void add_both(struct journals *j, const uint8_t *digest)
{
  struct st_id id;
  for (uint8_t keyed = 0; j->ids && keyed < 2; keyed++) {
    id.keyed = keyed;
    memcpy(id.digest, digest, ST_DIGEST_SIZE);
    add_id(j->ids, &id);
  }
}

static int read_plan(struct journals *j, struct st_cbor in, struct st_error *err)
{
  unsigned type;
  uint64_t n;
  for (size_t at = 0; in.length > 0; at++) { /* item 0 is the first array's head */
    if (!st_cbor_take_head(&in, &type, &n) ||
        ((type == ST_CBOR_BYTES || type == ST_CBOR_TEXT) && n > in.length))
      return st_fail(err, 0, "it is damaged or cut off");
    if (at == AT_FORMAT + 1 &&
        (type != ST_CBOR_TEXT || n != strlen(FORMAT) || memcmp(in.data, FORMAT, n) != 0))
      return st_fail(err, 0, "it is no restore's");
    if (at == AT_CHECKPOINT + 1 || at == AT_BEFORE + 1) {
      if (type != ST_CBOR_UNSIGNED || n > INT64_MAX)
        return st_fail(err, 0, "only a newer version of SysTracker can read it");
      add_number(j, (int64_t)n);
    }
    if (type == ST_CBOR_BYTES && n == ST_DIGEST_SIZE)
      add_both(j, in.data);
    if (type == ST_CBOR_BYTES || type == ST_CBOR_TEXT) {
      in.data += n;
      in.length -= n;
    }
  }
  return 0;
}

/* "0001", not what a killed restore did not come to name. */
static bool is_journal(const char *name)
{
  return strspn(name, "0123456789") == strlen(name);
}

static int read_journal(void *arg, int parent, const char *name, struct st_error *err)
{
  ST_AUTO_BUFFER state = ST_BUFFER_INIT;
  ST_AUTO_BUFFER plan = ST_BUFFER_INIT;
  if (!is_journal(name))
    return 0;
  ST_AUTO_CLOSE int dir = st_open_beneath(parent, name, O_RDONLY | O_DIRECTORY, 0);
  if (dir < 0)
    return st_fail(err, -dir, "cannot open the journal %s", name);
  if (st_read_file(dir, "state", 64, &state, err) < 0)
    return st_wrap(err, "journal %s", name);
  if (strcmp(state.data ? state.data : "", "undone\n") == 0)
    return 0;
  if (st_read_file(dir, "plan", MAX_PLAN, &plan, err) < 0 ||
      read_plan(arg, (struct st_cbor){(const uint8_t *)plan.data, plan.length}, err) < 0)
    return st_wrap(err, "journal %s", name);
  return 0;
}

int st_wanted_by_journals(int store_dir, struct st_set *ids, struct st_wanted_numbers *numbers,
                          struct st_error *err)
{
  struct journals j = {.ids = ids, .numbers = numbers};
  return each_folder(store_dir, "journal", read_journal, &j, err);
}
