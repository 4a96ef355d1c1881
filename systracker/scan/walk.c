/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * walk.c - from the scope's roots down, directory by directory, each held open while what lies in
 * it is looked at: no path is resolved twice, none is too long, and no symlink is followed.
 */
#include "systracker/scan/walk.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/scan/links.h"
#include "systracker/scan/metadata.h"
#include "systracker/scan/mounts.h"
#include "systracker/scan/readfile.h"

#define ST_DEEPEST 8192 /* levels; each costs a descriptor and some stack */

struct walk {
  const struct st_walk_options *o;
  const struct st_walk_callbacks *cb;
  struct st_walk_result *result;
  struct st_mounts *mounts;
  struct st_links *links; /* entries that are held back until the end */
  struct timespec start;  /* by the coarse clock, as file systems stamp by it */
  struct st_buffer path;  /* of the entry at hand */
  int depth;
};

/* One entry on its way. */
struct visit {
  int dirfd;
  const char *name;
  uint64_t above; /* mount id of the directory it is in */
  struct st_meta meta;
  const struct st_index_entry *old;
  struct st_metadata metadata;
  const struct st_links_group *group; /* looked at for that; NULL: to be held back */
};

static int visit_directory(struct walk *w, int fd, uint64_t mount_id, struct st_error *err);

/* ---- Paths
 * --------------------------------------------------------------------------------------- */

static size_t push(struct walk *w, const char *name)
{
  size_t length = w->path.length;
  if (length == 0 || w->path.data[length - 1] != '/')
    st_buffer_append_byte(&w->path, '/');
  st_buffer_append_string(&w->path, name);
  return length;
}

static void pop(struct walk *w, size_t length)
{
  w->path.length = length;
  w->path.data[length] = 0;
}

/* ---- Not seen, gone
 * ---------------------------------------------------------------------------------- */

static int not_seen(struct walk *w, const char *why, struct st_error *err)
{
  w->result->unobserved++;
  if (st_index_keep_below(w->o->index, w->path.data, err) < 0)
    return -1;
  return w->cb->unobserved(w->cb->arg, w->path.data, why, err);
}

static int not_seen_errno(struct walk *w, int code, struct st_error *err)
{
  char text[64];
  return not_seen(w, strerror_r(code, text, sizeof(text)), err);
}

/* Between listing and looking: no error.  What it was is then missing at the end. */
static int vanished(struct walk *w)
{
  w->result->vanished++;
  return 0;
}

/* ---- Looking at an entry
 * ------------------------------------------------------------------------------ */

/* Times as new as the scan may hide a change that comes within the same tick of the clock; file
 * systems that keep whole seconds have a tick of one. */
static bool is_settled(const struct walk *w, const struct st_meta *m)
{
  if (m->ctime_nsec == 0 || m->mtime_nsec == 0)
    return m->ctime < w->start.tv_sec && m->mtime < w->start.tv_sec;
  bool c = m->ctime < w->start.tv_sec ||
           (m->ctime == w->start.tv_sec && (long)m->ctime_nsec < w->start.tv_nsec);
  bool t = m->mtime < w->start.tv_sec ||
           (m->mtime == w->start.tv_sec && (long)m->mtime_nsec < w->start.tv_nsec);
  return c && t;
}

static bool same_stat(const struct st_meta *a, const struct st_meta *b)
{
  return a->type == b->type && a->inode == b->inode && a->size == b->size && a->mtime == b->mtime &&
         a->mtime_nsec == b->mtime_nsec && a->ctime == b->ctime && a->ctime_nsec == b->ctime_nsec &&
         a->mode == b->mode && a->uid == b->uid && a->gid == b->gid && a->rdev == b->rdev;
}

/* Whether the index alone answers for the entry. */
static bool is_unchanged(const struct walk *w, const struct visit *v)
{
  if (!w->o->current || w->o->full || !v->old)
    return false;
  if ((v->old->flags & (ST_INDEX_UNSETTLED | ST_INDEX_FRESH)) ||
      !same_stat(&v->meta, &v->old->meta))
    return false;
  return !w->cb->forced || !w->cb->forced(w->cb->arg, w->path.data);
}

static struct st_entry make_entry(const struct walk *w, const struct st_meta *m, const char *target)
{
  return (struct st_entry){
      .path = w->path.data,
      .type = m->type,
      .mode = m->mode,
      .uid = m->uid,
      .gid = m->gid,
      .owner = st_account_user(w->o->accounts, m->uid),
      .group = st_account_group(w->o->accounts, m->gid),
      .size = m->size,
      .mtime = m->mtime,
      .mtime_nsec = m->mtime_nsec,
      .rdev = m->rdev,
      .target = target,
  };
}

/* Whether what was read last time still serves. */
static bool digest_serves(const struct walk *w, const struct visit *v, unsigned wanted)
{
  const struct st_index_entry *old = v->old;
  if (!old || w->o->full || !(old->flags & ST_INDEX_HAS_DIGEST) ||
      (old->flags & ST_INDEX_UNSETTLED) || !same_stat(&v->meta, &old->meta))
    return false;
  if (old->digest.keyed != ((wanted & ST_WANT_SECRET) != 0) ||
      (old->digest.keyed && w->o->other_keys))
    return false;
  if (!(wanted & ST_WANT_CONTENT))
    return true;
  return (old->flags & ST_INDEX_HAS_OBJECT) && w->cb->has(w->cb->arg, &old->digest);
}

static unsigned what_is_wanted(const struct walk *w, uint32_t plugins, const struct st_entry *entry)
{
  unsigned wanted = w->cb->want(w->cb->arg, plugins, entry);
  if (entry->type != 'f')
    return wanted & (unsigned)ST_WANT_ENTRY;
  if (entry->size > w->o->max_content)
    wanted &= ~(unsigned)ST_WANT_CONTENT;
  return wanted & ST_WANT_CONTENT ? wanted | ST_WANT_DIGEST : wanted;
}

/* Keeps the content that was read, and fills in what is known of it. */
static int take_content(struct walk *w, struct st_file_read *r, struct st_entry *entry,
                        struct st_error *err)
{
  w->result->read++;
  w->result->read_bytes += r->meta.size;
  *entry = (struct st_entry){.path = entry->path, .wanted = entry->wanted};
  struct st_entry now = make_entry(w, &r->meta, NULL);
  now.wanted = entry->wanted;
  now.has_digest = true;
  now.digest = r->digest;
  *entry = now;
  if (!r->content)
    return 0;
  if (w->cb->content(w->cb->arg, entry, r->data.data ? r->data.data : "", r->data.length,
                     r->key != NULL, &entry->digest, err) < 0)
    return -1;
  entry->has_object = true;
  return 0;
}

static int unreadable(struct walk *w, struct st_entry *entry, const char *why, struct st_error *err)
{
  entry->unreadable = true;
  w->result->unobserved++;
  return w->cb->unobserved(w->cb->arg, w->path.data, why, err);
}

static struct st_xattr_options xattr_options(const struct walk *w, unsigned wanted)
{
  bool secret = (wanted & ST_WANT_SECRET) && w->o->keys;
  return (struct st_xattr_options){w->o->accounts, secret ? w->o->keys->id_key : NULL};
}

/* 0 read (or noted as unreadable), 1 vanished. */
static int read_file(struct walk *w, struct visit *v, struct st_entry *entry, struct st_error *err)
{
  struct st_file_read r = {.content = entry->wanted & ST_WANT_CONTENT, .meta = v->meta};
  if ((entry->wanted & ST_WANT_SECRET) && !w->o->keys)
    return unreadable(w, entry, "a secret, and there is no key for its digest", err);
  if (entry->wanted & ST_WANT_SECRET)
    r.key = w->o->keys->id_key;
  r.metadata = &v->metadata;
  r.xattrs = xattr_options(w, entry->wanted);
  enum st_read_result result = st_file_read(&r, v->dirfd, v->name);
  int e = 0;
  if (result == ST_READ_VANISHED) {
    e = 1;
  } else if (result == ST_READ_UNREADABLE) {
    e = unreadable(w, entry, r.why, err);
  } else {
    v->meta = r.meta;
    e = take_content(w, &r, entry, err);
  }
  st_buffer_free(&r.data);
  return e;
}

static struct st_index_entry index_entry(const struct walk *w, const struct visit *v,
                                         const struct st_entry *entry)
{
  struct st_index_entry e = {.meta = v->meta, .wanted = entry->wanted};
  if (entry->has_digest) {
    e.flags |= ST_INDEX_HAS_DIGEST;
    e.digest = entry->digest;
  }
  if (entry->has_object)
    e.flags |= ST_INDEX_HAS_OBJECT;
  if (entry->unreadable || !is_settled(w, &v->meta))
    e.flags |= ST_INDEX_UNSETTLED;
  return e;
}

static int digest_entry(struct walk *w, struct visit *v, struct st_entry *entry,
                        struct st_error *err)
{
  if (!(entry->wanted & ST_WANT_DIGEST))
    return 0;
  if (!digest_serves(w, v, entry->wanted))
    return read_file(w, v, entry, err);
  entry->has_digest = true;
  entry->digest = v->old->digest;
  entry->has_object = (v->old->flags & ST_INDEX_HAS_OBJECT) && (entry->wanted & ST_WANT_CONTENT);
  return 0;
}

/* What stat does not say.  A secret's attributes are not read where there is no key for them. */
static int add_metadata(struct walk *w, struct visit *v, struct st_entry *entry,
                        struct st_error *err)
{
  struct st_xattr_options options = xattr_options(w, entry->wanted);
  if (!v->metadata.read && (options.key || !(entry->wanted & ST_WANT_SECRET)))
    st_metadata_read(&v->metadata, -1, v->dirfd, v->name, &v->meta, &options);
  st_metadata_fill(&v->metadata, entry);
  if (!v->metadata.why[0] || entry->unreadable)
    return 0;
  return unreadable(w, entry, v->metadata.why, err);
}

static int tell_entry(void *arg, uint32_t plugins, const struct st_entry *entry,
                      const struct st_index_entry *index, struct st_error *err)
{
  struct walk *w = arg;
  if (w->cb->entry(w->cb->arg, plugins, entry, err) < 0)
    return -1;
  return st_index_put(w->o->index, entry->path, index, err);
}

/* All is known of the entry but perhaps its group: then it waits, and the index has it already, so
 * that what was hashed is not hashed again after a kill. */
static int finish_entry(struct walk *w, struct visit *v, uint32_t plugins, struct st_entry *entry,
                        struct st_error *err)
{
  struct st_links_group alone = {.first = ""};
  struct st_index_entry index = index_entry(w, v, entry);
  if (v->meta.type != 'd')
    st_links_fill(v->group ? v->group : &alone, entry);
  if (v->group)
    index.links = v->group->digest;
  if (v->group || !st_links_concern(&v->meta))
    return tell_entry(w, plugins, entry, &index, err);
  st_links_hold(w->links, plugins, entry, &index);
  return st_index_put(w->o->index, w->path.data, &index, err);
}

static int look_at(struct walk *w, struct visit *v, uint32_t plugins, struct st_error *err)
{
  ST_AUTO_FREE char *target = NULL;
  int e = v->meta.type == 'l' ? st_read_link(v->dirfd, v->name, &target) : 0;
  if (e == -ENOENT || e == -EINVAL)
    return vanished(w);
  if (e < 0)
    return not_seen_errno(w, -e, err);
  struct st_entry entry = make_entry(w, &v->meta, target);
  entry.wanted = what_is_wanted(w, plugins, &entry);
  e = digest_entry(w, v, &entry, err);
  if (e == 0)
    e = add_metadata(w, v, &entry, err);
  if (e == 0) {
    w->result->looked_at++;
    entry.path = w->path.data;
    e = finish_entry(w, v, plugins, &entry, err);
  } else if (e > 0) {
    e = vanished(w);
  }
  st_metadata_clear(&v->metadata);
  return e;
}

/* ---- Mounts
 * -----------------------------------------------------------------------------------------------
 */

static int found_child(void *arg, const char *path, const struct st_index_entry *entry)
{
  (void)arg;
  (void)path;
  (void)entry;
  return 1;
}

static bool is_mount(const struct visit *v)
{
  return v->meta.mount_id != 0 && v->above != 0 && v->meta.mount_id != v->above;
}

static int tell_mount(struct walk *w, uint64_t id, bool entered, struct st_error *err)
{
  struct st_mount m = {w->path.data, st_mounts_type(w->mounts, id), entered};
  return w->cb->mount(w->cb->arg, &m, err);
}

/* A file system lies there that no rule names: what was known below it stands. */
static int pass_mount(struct walk *w, struct st_error *err)
{
  if (st_index_children(w->o->index, w->path.data, found_child, NULL) == 0)
    return 0;
  return not_seen(w, "another file system is mounted there, and no rule names it", err);
}

static bool was_mounted(const struct walk *w, const char *path)
{
  return w->o->mounts && st_strings_has(w->o->mounts, path);
}

/* ---- Directories
 * --------------------------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in byte order: the same walk, whatever the file system's own order is. */
static int list(int fd, struct st_strings *out)
{
  int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0)
    return -errno;
  ST_AUTO_CLOSEDIR DIR *d = fdopendir(copy);
  if (!d) {
    int code = errno;
    close(copy);
    return -code;
  }
  for (;;) {
    errno = 0;
    struct dirent *e = readdir(d);
    if (!e)
      break;
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
      st_strings_add(out, e->d_name);
  }
  if (errno)
    return -errno;
  if (out->count > 1)
    qsort(out->items, out->count, sizeof(*out->items), by_bytes);
  return 0;
}

static int open_directory(const struct visit *v)
{
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  int fd = openat(v->dirfd, v->name, flags | O_NOATIME);
  if (fd < 0 && errno == EPERM)
    fd = openat(v->dirfd, v->name, flags);
  return fd < 0 ? -errno : fd;
}

static int descend(struct walk *w, const struct visit *v, struct st_error *err)
{
  if (w->depth >= ST_DEEPEST)
    return not_seen(w, "too deep", err);
  ST_AUTO_CLOSE int fd = open_directory(v);
  if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
    return vanished(w);
  if (fd < 0)
    return not_seen_errno(w, -fd, err);
  w->depth++;
  int r = visit_directory(w, fd, v->meta.mount_id, err);
  w->depth--;
  return r;
}

/* ---- Entries
 * ---------------------------------------------------------------------------------------------------
 */

static int enter(struct walk *w, const struct visit *v, struct st_error *err)
{
  if (!is_mount(v))
    return descend(w, v, err);
  bool entered = st_scope_names(w->o->scope, w->path.data);
  if (tell_mount(w, v->meta.mount_id, entered, err) < 0)
    return -1;
  return entered ? descend(w, v, err) : pass_mount(w, err);
}

/* Nobody tracks it; something below it may be tracked all the same. */
static int pass(struct walk *w, const struct visit *v, bool generated, struct st_error *err)
{
  if (generated)
    w->result->generated++;
  if (v->meta.type == 'd' && st_scope_enter(w->o->scope, w->path.data))
    return enter(w, v, err);
  return 0;
}

static void pass_links(struct walk *w, const struct visit *v)
{
  if (!st_links_concern(&v->meta))
    return;
  struct st_index_entry seen = {.meta = v->meta, .links = v->old->links};
  st_links_pass(w->links, w->path.data, &seen);
}

static int visit_known(struct walk *w, struct visit *v, struct st_error *err)
{
  if (is_unchanged(w, v)) {
    if (st_index_put(w->o->index, w->path.data, v->old, err) < 0)
      return -1;
    pass_links(w, v);
  } else {
    struct st_scope_verdict verdict =
        st_scope_match(w->o->scope, w->path.data, v->meta.type == 'd');
    if (verdict.plugins == 0)
      return pass(w, v, verdict.generated, err);
    if (look_at(w, v, verdict.plugins, err) < 0)
      return -1;
  }
  w->result->entries++;
  return v->meta.type == 'd' ? enter(w, v, err) : 0;
}

static int visit(struct walk *w, struct visit *v, struct st_error *err)
{
  v->old = st_index_find(w->o->index, w->path.data);
  int e = st_meta_read(v->dirfd, v->name, &v->meta);
  if (e == -ENOENT)
    return vanished(w);
  if (e < 0)
    return not_seen_errno(w, -e, err);
  if (v->meta.type == 'd' && !is_mount(v) && was_mounted(w, w->path.data))
    return not_seen(w, "is not mounted", err);
  return visit_known(w, v, err);
}

static int visit_directory(struct walk *w, int fd, uint64_t mount_id, struct st_error *err)
{
  ST_AUTO_STRINGS names = {0};
  int e = list(fd, &names);
  if (e < 0)
    return not_seen_errno(w, -e, err);
  for (size_t i = 0; i < names.count; i++) {
    struct visit v = {.dirfd = fd, .name = names.items[i], .above = mount_id};
    size_t length = push(w, names.items[i]);
    int r = visit(w, &v, err);
    pop(w, length);
    if (r < 0)
      return -1;
  }
  return 0;
}

/* ---- What is missing
 * -------------------------------------------------------------------------------------------------
 */

static bool is_absent(int e)
{
  return e == -ENOENT || e == -ENOTDIR || e == -ELOOP || e == -EXDEV;
}

static void set_path(struct walk *w, const char *path)
{
  st_buffer_clear(&w->path);
  st_buffer_append_string(&w->path, path);
}

/* A mount that is missing may have taken its folder along, as automounters do. */
static int visit_missing_mounts(struct walk *w, struct st_error *err)
{
  for (size_t i = 0; w->o->mounts && i < w->o->mounts->count; i++) {
    const char *path = w->o->mounts->items[i];
    ST_AUTO_CLOSE int fd = st_open_beneath(w->o->root, path, O_PATH, 0);
    if (!is_absent(fd) || !st_scope_names(w->o->scope, path))
      continue;
    set_path(w, path);
    if (not_seen(w, "is not mounted", err) < 0)
      return -1;
  }
  return 0;
}

struct missing {
  struct walk *w;
  struct st_error *err;
};

static int tell_missing(void *arg, const char *path, bool partly)
{
  struct missing *m = arg;
  if (!partly)
    return m->w->cb->gone(m->w->cb->arg, path, m->err);
  set_path(m->w, path);
  return not_seen(m->w, "something below it was not seen", m->err);
}

/* ---- Roots
 * -------------------------------------------------------------------------------------------------------
 */

static int visit_top(struct walk *w, struct st_error *err)
{
  struct visit v = {.dirfd = w->o->root, .name = ""};
  st_buffer_append_byte(&w->path, '/');
  int e = st_meta_read(w->o->root, "", &v.meta);
  if (e < 0)
    return not_seen_errno(w, -e, err);
  v.old = st_index_find(w->o->index, "/");
  v.above = v.meta.mount_id;
  v.name = ".";
  return visit_known(w, &v, err);
}

/* The directories above a root may be mounts of their own, and may be missing.  1: one is. */
static int check_above(struct walk *w, const char *root, struct st_error *err)
{
  uint64_t above = 0;
  struct st_meta m;
  if (st_meta_read(w->o->root, "", &m) == 0)
    above = m.mount_id;
  for (const char *slash = strchr(root + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    st_buffer_clear(&w->path);
    st_buffer_append(&w->path, root, (size_t)(slash - root));
    ST_AUTO_CLOSE int fd = st_open_beneath(w->o->root, w->path.data, O_PATH | O_DIRECTORY, 0);
    if (fd < 0 || st_meta_read(fd, "", &m) < 0)
      return 0;
    bool mounted = m.mount_id != above;
    if (mounted && tell_mount(w, m.mount_id, true, err) < 0)
      return -1;
    if (!mounted && was_mounted(w, w->path.data))
      return not_seen(w, "is not mounted", err) < 0 ? -1 : 1;
    above = m.mount_id;
  }
  return 0;
}

static int visit_root(struct walk *w, const char *root, struct st_error *err)
{
  if (strcmp(root, "/") == 0)
    return visit_top(w, err);
  int missing = check_above(w, root, err);
  st_buffer_clear(&w->path);
  if (missing != 0)
    return missing < 0 ? -1 : 0;
  st_buffer_append_string(&w->path, root);
  const char *name;
  ST_AUTO_CLOSE int parent = st_open_parent(w->o->root, root, &name);
  struct visit v = {.dirfd = parent, .name = name};
  struct st_meta above;
  if (is_absent(parent))
    return 0;
  if (parent < 0)
    return not_seen_errno(w, -parent, err);
  v.above = st_meta_read(parent, "", &above) == 0 ? above.mount_id : 0;
  if (st_meta_read(parent, name, &v.meta) == -ENOENT && !st_index_find(w->o->index, root))
    return 0; /* a rule for something that this host does not have */
  return visit(w, &v, err);
}

/* ---- Links ----------------------------------------------------------------------------------- */

/* Of an entry that was passed, its group alone is new. */
static int look_again(void *arg, const char *path, const struct st_links_group *group,
                      struct st_error *err)
{
  struct walk *w = arg;
  const char *name;
  ST_AUTO_CLOSE int parent = st_open_parent(w->o->root, path, &name);
  if (parent < 0)
    return vanished(w);
  struct visit v = {.dirfd = parent, .name = name, .group = group};
  set_path(w, path);
  v.old = st_index_find(w->o->index, path);
  if (st_meta_read(parent, name, &v.meta) < 0 || v.meta.type == 'd')
    return vanished(w);
  uint32_t plugins = st_scope_match(w->o->scope, path, false).plugins;
  return plugins ? look_at(w, &v, plugins, err) : 0;
}

static int finish_links(struct walk *w, struct st_error *err)
{
  const struct st_links_callbacks callbacks = {w, tell_entry, look_again};
  return st_links_finish(w->links, &callbacks, err);
}

/* A descriptor a level: as many as the system lets us have. */
static void raise_limit(void)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int st_walk(const struct st_walk_options *options, const struct st_walk_callbacks *callbacks,
            struct st_walk_result *ret, struct st_error *err)
{
  ST_CLEANUP(st_mounts_freep) struct st_mounts *mounts = st_mounts_read();
  ST_AUTO_STRINGS roots = {0};
  ST_CLEANUP(st_links_freep) struct st_links *links = st_links_new();
  struct walk w = {.o = options, .cb = callbacks, .result = ret, .mounts = mounts, .links = links};
  *ret = (struct st_walk_result){0};
  raise_limit();
  clock_gettime(CLOCK_REALTIME_COARSE, &w.start);
  st_scope_roots(options->scope, &roots);
  int r = 0;
  for (size_t i = 0; i < roots.count && r == 0; i++) {
    st_buffer_clear(&w.path);
    r = visit_root(&w, roots.items[i], err);
  }
  struct missing missing = {&w, err};
  if (r == 0)
    r = finish_links(&w, err);
  if (r == 0)
    r = visit_missing_mounts(&w, err);
  if (r == 0 && options->current)
    r = st_index_missing(options->index, tell_missing, &missing);
  st_buffer_free(&w.path);
  return r < 0 ? -1 : 0;
}
