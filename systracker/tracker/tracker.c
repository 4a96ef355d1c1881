/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/tracker.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/lock.h"
#include "systracker/base/log.h"
#include "systracker/tracker/core.h"
#include "systracker/tracker/inscope.h"
#include "systracker/tracker/observe.h"
#include "systracker/tracker/rules.h"
#include "systracker/tracker/sealed.h"

/* ---- Configuration, root, plug-ins --------------------------------------------------------- */

static int open_conf(struct st_tracker *t, const struct st_tracker_options *options,
                     struct st_error *err)
{
  ST_AUTO_FREE char *installed = st_host_config_file();
  const char *file = options->config ? options->config : installed;
  if (st_conf_read(&t->conf, file, st_host_schema, &t->host, err) < 0)
    return -1;
  return st_log_open("systracker", t->conf->log, ST_LOG_INFO, err);
}

static bool same_directory(int fd, const char *path)
{
  struct stat a, b;
  return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int open_root(struct st_tracker *t, const struct st_tracker_options *options,
                     struct st_error *err)
{
  if (st_check_kernel(err) < 0)
    return -1;
  t->root_path = st_strdup(options->root ? options->root : "/");
  t->root = open(t->root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (t->root < 0)
    return st_fail(err, errno, "cannot open the root (%s)", st_quote(t->root_path));
  t->live_root = same_directory(t->root, "/");
  if (!t->live_root && !options->store)
    return st_fail(err, 0, "another root needs a store of its own: give --store (%s)",
                   st_quote(t->root_path));
  t->store_path = st_strdup(options->store ? options->store : t->conf->store);
  return st_accounts_read(&t->accounts, t->root, err);
}

static int open_base(struct st_tracker *t, const struct st_tracker_options *options,
                     struct st_error *err)
{
  if (open_conf(t, options, err) < 0 || open_root(t, options, err) < 0)
    return -1;
  if (st_host_open(&t->host, t, err) < 0)
    return -1;
  return st_tracker_compile_rules(t, err);
}

/* ---- Store ----------------------------------------------------------------------------------- */

static bool exists_at(int dir, const char *name)
{
  return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_of_type(int dir, const char *name, mode_t type)
{
  struct stat st;
  return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & S_IFMT) == type;
}

/* The key as it is written, before it has its name. */
static bool is_new_key(const char *name)
{
  size_t n = strlen(name);
  return n > 8 && strncmp(name, "key.", 4) == 0 && strcmp(name + n - 4, ".new") == 0;
}

/* Empty, but for what a killed first checkpoint may have left. */
static bool is_fresh(int dir)
{
  int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *d = fd < 0 ? NULL : fdopendir(fd);
  bool fresh = true;
  for (struct dirent *e; d && fresh && (e = readdir(d));)
    fresh = e->d_name[0] == '.' || strcmp(e->d_name, "lock") == 0 || is_new_key(e->d_name);
  fresh = fresh && (!exists_at(dir, "lock") || is_of_type(dir, "lock", S_IFREG));
  if (d)
    closedir(d);
  return d && fresh;
}

/* A folder that holds something else is never taken for a store: /etc has "hosts", /run "lock". */
static int check_store(struct st_tracker *t, enum st_tracker_mode mode, struct st_error *err)
{
  int dir = t->store_dir;
  if (is_of_type(dir, "hosts", S_IFDIR) && is_of_type(dir, "packs", S_IFDIR))
    return 0;
  if (is_of_type(dir, "key", S_IFREG) && is_of_type(dir, "lock", S_IFREG))
    return 0;
  if (mode == ST_TRACKER_WRITE && is_fresh(dir))
    return 0;
  return st_fail(err, 0, "this is no store of SysTracker (%s)", st_quote(t->store_path));
}

/* Not before it is known for ours. */
static int close_to_others(struct st_tracker *t, struct st_error *err)
{
  struct stat st;
  if (fstat(t->store_dir, &st) < 0 ||
      ((st.st_mode & (S_IRWXG | S_IRWXO)) && fchmod(t->store_dir, 0700) < 0))
    return st_fail(err, errno, "cannot close the store to others (%s)", st_quote(t->store_path));
  return 0;
}

static int make_store(const char *path, struct st_error *err)
{
  ST_AUTO_CLOSE int top = open(*path == '/' ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (top < 0)
    return st_fail(err, errno, "cannot open the folder above the store");
  return st_make_dirs(top, path, 0700, err);
}

static int open_store_dir(struct st_tracker *t, enum st_tracker_mode mode, struct st_error *err)
{
  t->store_dir = open(t->store_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (t->store_dir < 0 && errno == ENOENT && mode == ST_TRACKER_WRITE) {
    if (make_store(t->store_path, err) < 0)
      return st_wrap(err, "cannot make the store");
    t->store_dir = open(t->store_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  if (t->store_dir < 0 && errno == ENOENT)
    return st_fail(err, 0, "there is no store yet: make a checkpoint first (%s)",
                   st_quote(t->store_path));
  if (t->store_dir < 0)
    return st_fail(err, errno, "cannot open the store (%s)", st_quote(t->store_path));
  return check_store(t, mode, err);
}

/* Where the store has checkpoints, and none of the host that the key says, the key may say another
 * one than it is: no chain is begun under that. */
static int check_keys(const struct st_tracker *t, struct st_error *err)
{
  ST_AUTO_FREE char *folder = st_format("hosts/%s", t->keys.host_id);
  bool strange = exists_at(t->store_dir, "hosts") && !exists_at(t->store_dir, folder);
  return strange ? st_keys_check(&t->keys, err) : 0;
}

/* The host's key, made at the first write. */
static int open_keys(struct st_tracker *t, enum st_tracker_mode mode, struct st_error *err)
{
  int r = st_keys_read(&t->keys, t->store_dir, err);
  if (r >= 0 && mode == ST_TRACKER_WRITE && close_to_others(t, err) < 0)
    return -1;
  if (r > 0 && mode == ST_TRACKER_WRITE)
    return st_keys_raise(&t->keys, t->store_dir, err);
  if (r != -ENOENT)
    return r < 0 ? r : check_keys(t, err);
  st_error_clear(err);
  if (exists_at(t->store_dir, "hosts"))
    return st_fail(err, 0, "the store has checkpoints, but the host's key is missing (%s/key)",
                   st_quote(t->store_path));
  if (mode != ST_TRACKER_WRITE)
    return st_fail(err, 0, "there is no checkpoint yet (%s)", st_quote(t->store_path));
  if (close_to_others(t, err) < 0 || st_keys_make(&t->keys, err) < 0)
    return -1;
  return st_keys_write(&t->keys, t->store_dir, err);
}

static int get_object(void *arg, const struct st_id *id, struct st_buffer *out,
                      struct st_error *err)
{
  return st_store_get(arg, id, out, err);
}

static int open_catalog(struct st_tracker *t, enum st_tracker_mode mode, const char *host,
                        struct st_error *err)
{
  bool write = mode == ST_TRACKER_WRITE;
  if (st_store_open(&t->store, t->store_dir, write ? ST_STORE_WRITE : ST_STORE_READ, &t->keys,
                    err) < 0)
    return -1;
  int r = st_catalog_open(&t->catalog, t->store_dir, host ? host : t->keys.host_id,
                          write ? ST_CATALOG_WRITE : ST_CATALOG_READ, err);
  if (r < 0)
    return r;
  struct st_catalog_objects objects = {get_object, t->store};
  st_catalog_set_objects(t->catalog, &objects);
  st_catalog_read_ahead(t->catalog);
  st_inscope_bind(t);
  return st_core_declare(t, err);
}

/* Of another host's chain: its data key takes the place of ours, where it can be opened. */
static int open_chain(struct st_tracker *t, const struct st_tracker_options *options,
                      enum st_tracker_mode mode, struct st_error *err)
{
  if (!options->chain)
    return 0;
  if (mode != ST_TRACKER_LOOK)
    return st_fail(err, 0, "another host's chain is only looked at");
  ST_AUTO_FREE char *id = st_memdup(options->chain, strcspn(options->chain, "/"));
  if (!options->recovery_key || strcmp(id, t->keys.host_id) == 0) /* an older epoch of our own */
    return 0;
  t->other_keys = true;
  return st_sealed_key_open(&t->keys, t->store_dir, id, options->recovery_key, err);
}

static int open_store(struct st_tracker *t, const struct st_tracker_options *options,
                      enum st_tracker_mode mode, struct st_error *err)
{
  if (open_store_dir(t, mode, err) < 0)
    return -1;
  st_tracker_hide_store(t);
  if (mode == ST_TRACKER_WRITE && (t->lock = st_lock(t->store_dir, "lock", err)) < 0)
    return -1;
  if (open_keys(t, mode, err) < 0 || open_chain(t, options, mode, err) < 0)
    return -1;
  return open_catalog(t, mode, options->chain, err);
}

/* ---- Open and close -----------------------------------------------------------------------------
 */

static struct st_tracker *new_tracker(void)
{
  struct st_tracker *t = st_calloc(1, sizeof(*t));
  t->root = t->store_dir = t->lock = -1;
  t->proved = st_written_new(false);
  return t;
}

/* What the host calls a secret by now was none in earlier checkpoints, maybe: the latest one has
 * the rules.  Of an older epoch that is the one of today, too. */
static int read_secret_rules(struct st_tracker *t, const char *host, struct st_error *err)
{
  ST_AUTO_FREE char *today = st_memdup(host, strcspn(host, "/"));
  ST_CLEANUP(st_catalog_closep) struct st_catalog *c = NULL;
  t->secret = st_rules_new();
  if (st_core_secret_rules(t->catalog, t->secret, err) < 0)
    return -1;
  if (strcmp(today, host) == 0)
    return 0;
  int r = st_catalog_open(&c, t->store_dir, today, ST_CATALOG_READ, err);
  if (r == -ENOENT) { /* nothing came yet since that epoch ended */
    st_error_clear(err);
    return 0;
  }
  if (r < 0)
    return -1;
  const struct st_catalog_objects objects = {get_object, t->store};
  st_catalog_set_objects(c, &objects);
  return st_core_secret_rules(c, t->secret, err);
}

/* Generic rendering needs no more than facts and contents. */
static int open_archive(struct st_tracker *t, const struct st_tracker_options *options,
                        struct st_error *err)
{
  t->store_path = st_strdup(options->archive);
  t->store_dir = open(t->store_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (t->store_dir < 0)
    return st_fail(err, errno, "cannot open the archive (%s)", st_quote(t->store_path));
  if (st_store_open(&t->store, t->store_dir, ST_STORE_READ, NULL, err) < 0 ||
      st_catalog_open(&t->catalog, t->store_dir, options->host, ST_CATALOG_READ, err) < 0)
    return -1;
  struct st_catalog_objects objects = {get_object, t->store};
  st_catalog_set_objects(t->catalog, &objects);
  st_inscope_bind(t);
  return read_secret_rules(t, options->host, err);
}

int st_tracker_open(struct st_tracker **ret, const struct st_tracker_options *options,
                    enum st_tracker_mode mode, struct st_error *err)
{
  ST_CLEANUP(st_tracker_closep) struct st_tracker *t = new_tracker();
  if (options->archive) {
    if (mode != ST_TRACKER_LOOK)
      return st_fail(err, 0, "an archive is only looked at (%s)", st_quote(options->archive));
    if (open_archive(t, options, err) < 0)
      return -1;
    *ret = st_steal(&t);
    return 0;
  }
  if (open_base(t, options, err) < 0 || open_store(t, options, mode, err) < 0)
    return -1;
  *ret = st_steal(&t);
  return 0;
}

int st_tracker_open_store(struct st_tracker **ret, const struct st_tracker_options *options,
                          struct st_error *err)
{
  ST_CLEANUP(st_tracker_closep) struct st_tracker *t = new_tracker();
  if (open_base(t, options, err) < 0 || open_store_dir(t, ST_TRACKER_WRITE, err) < 0 ||
      (t->lock = st_lock(t->store_dir, "lock", err)) < 0 ||
      open_keys(t, ST_TRACKER_WRITE, err) < 0 ||
      st_store_open(&t->store, t->store_dir, ST_STORE_WRITE, &t->keys, err) < 0)
    return -1;
  *ret = st_steal(&t);
  return 0;
}

int st_tracker_open_packages(struct st_tracker **ret, const struct st_tracker_options *options,
                             struct st_error *err)
{
  ST_CLEANUP(st_tracker_closep) struct st_tracker *t = new_tracker();
  if (open_base(t, options, err) < 0)
    return -1;
  t->store_dir = open(t->store_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (t->store_dir < 0 ? errno == ENOENT : !exists_at(t->store_dir, "key"))
    return st_tracker_open_store(ret, options, err);
  if (t->store_dir < 0)
    return st_fail(err, errno, "cannot open the store (%s)", st_quote(t->store_path));
  if (check_store(t, ST_TRACKER_LOOK, err) < 0)
    return -1;
  *ret = st_steal(&t);
  return 0;
}

int st_tracker_open_config(struct st_tracker **ret, const struct st_tracker_options *options,
                           struct st_error *err)
{
  ST_CLEANUP(st_tracker_closep) struct st_tracker *t = new_tracker();
  struct st_tracker_options o = *options;
  if (!o.store)
    o.store = "/nonexistent";
  if (open_base(t, &o, err) < 0)
    return -1;
  *ret = st_steal(&t);
  return 0;
}

static void close_fd(int fd)
{
  if (fd >= 0)
    close(fd);
}

void st_tracker_close(struct st_tracker *t)
{
  st_tracker_forget(t);
  st_tracker_forget_packages(t);
  if (t->catalog)
    st_catalog_close(t->catalog);
  st_inscope_free(t->inscope);
  if (t->store)
    st_store_close(t->store);
  st_host_close(&t->host);
  st_written_free(t->proved);
  st_observe_closed(t);
  if (t->scope)
    st_scope_free(t->scope);
  if (t->secret)
    st_rules_free(t->secret);
  if (t->identity)
    st_rules_free(t->identity);
  if (t->accounts)
    st_accounts_free(t->accounts);
  if (t->conf) { /* with it came the log */
    st_conf_free(t->conf);
    st_log_close();
  }
  st_keys_wipe(&t->keys);
  close_fd(t->lock);
  close_fd(t->store_dir);
  close_fd(t->root);
  free(t->root_path);
  free(t->store_path);
  free(t);
}
