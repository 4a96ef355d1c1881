/* SPDX-License-Identifier: GPL-2.0-or-later */
/* walk.c - the walk from its beginning to its end: roots, mounts that are missing, what is gone. */
#include "systracker/scan/walk.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#include "systracker/base/file.h"
#include "systracker/base/process.h"
#include "systracker/scan/visit.h"

#define ST_MOST_THREADS 8
#define ST_DESCRIPTORS 1024 /* about as many as a walk has at most */

/* ---- Roots ----------------------------------------------------------------------------------- */

static bool is_absent(int e)
{
  return e == -ENOENT || e == -ENOTDIR || e == -ELOOP || e == -EXDEV;
}

static bool was_mounted(const struct st_walk_state *w, const char *path)
{
  return w->o->mounts && st_strings_has(w->o->mounts, path);
}

static int tell_mount(struct st_walk_state *w, const char *path, uint64_t id, struct st_error *err)
{
  struct st_mount m = {path, st_mounts_type(w->mounts, id), true};
  return w->cb->mount(w->cb->arg, &m, err);
}

/* The directories above a root may be mounts of their own, and may be missing.  1: one is. */
static int check_above(struct st_walk_state *w, const char *root, struct st_error *err)
{
  ST_AUTO_BUFFER path = ST_BUFFER_INIT;
  uint64_t above = 0;
  struct st_meta m;
  if (st_meta_read(w->o->root, "", &m) == 0)
    above = m.mount_id;
  for (const char *slash = strchr(root + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    st_buffer_clear(&path);
    st_buffer_append(&path, root, (size_t)(slash - root));
    ST_AUTO_CLOSE int fd = st_open_beneath(w->o->root, path.data, O_PATH | O_DIRECTORY, 0);
    if (fd < 0 || st_meta_read(fd, "", &m) < 0)
      return 0;
    bool mounted = m.mount_id != above;
    if (mounted && tell_mount(w, path.data, m.mount_id, err) < 0)
      return -1;
    if (!mounted && was_mounted(w, path.data))
      return st_walk_unobserved(w, path.data, 0, "is not mounted", err) < 0 ? -1 : 1;
    above = m.mount_id;
  }
  return 0;
}

struct roots_arg {
  struct st_error *err;
  bool failed;
};

/* A directory is opened now, while its parent is. */
static void open_root(struct st_visitor *v, size_t inner, int parent, const char *name)
{
  if (inner < v->ninner && v->inner[inner].entered)
    v->inner[inner].fd = st_open_directory(parent, name, O_RDONLY);
}

static void consider_root(struct st_visitor *v, struct st_node *top, struct given *g, void *arg)
{
  struct roots_arg *a = arg;
  const char *root = st_given_name(g), *name = ".";
  bool is_top = strcmp(root, "/") == 0;
  size_t inner = v->ninner;
  struct st_meta above;
  int missing = is_top || a->failed ? 0 : check_above(v->w, root, a->err);
  a->failed |= missing < 0;
  if (missing != 0) {
    st_visit_keep(v, g);
    return;
  }
  ST_AUTO_CLOSE int parent = is_top ? st_open_directory(v->w->o->root, ".", O_PATH)
                                    : st_open_parent(v->w->o->root, root, &name);
  if (is_absent(parent)) {
    st_visit_absent(v, top, g);
  } else if (parent < 0 || strlen(root) > UINT16_MAX) {
    st_visit_not_seen(v, top, g, parent < 0 ? -parent : ENAMETOOLONG);
  } else {
    bool known = !is_top && st_meta_read(parent, "", &above) == 0;
    top->mount_id = known ? above.mount_id : 0;
    st_visit_consider(v, top, g, parent, name);
    open_root(v, inner, parent, name);
  }
}

/* Whether the index was made from other roots: then paths have to be looked for from its roots. */
static bool has_other_roots(const struct st_walk_state *w, const struct st_strings *roots)
{
  struct st_index_dir top;
  for (uint32_t i = 0; st_index_dir(w->o->index, 0, &top) && i < top.count; i++) {
    if (!st_strings_has(roots, st_index_name(&top, i)))
      return true;
  }
  return false;
}

static int visit_all(struct st_walk_state *w, struct st_error *err)
{
  ST_AUTO_STRINGS roots = {0};
  struct roots_arg arg = {err, false};
  st_scope_roots(w->o->scope, &roots);
  w->other_roots = !w->o->current && has_other_roots(w, &roots);
  struct st_pool *pool = w->pool;
  struct st_visitor *v = st_pool_first(pool);
  st_visit_begin(v, &w->top);
  st_visit_names(v, &w->top, roots.items, roots.count, consider_root, &arg);
  st_visit_end(v, &w->top);
  st_pool_run(pool);
  return arg.failed ? -1 : 0;
}

/* ---- What is missing ------------------------------------------------------------------------- */

/* A mount that is missing may have taken its folder along, as automounters do. */
static void find_absent_mounts(struct st_walk_state *w)
{
  for (size_t i = 0; w->o->mounts && i < w->o->mounts->count; i++) {
    const char *path = w->o->mounts->items[i];
    ST_AUTO_CLOSE int fd = st_open_beneath(w->o->root, path, O_PATH, 0);
    if (is_absent(fd) && st_scope_names(w->o->scope, path))
      st_strings_add(&w->absent, path);
  }
}

static int tell_missing(struct st_walk_state *w, struct st_error *err)
{
  for (size_t i = 0; i < w->absent.count; i++) {
    if (st_walk_unobserved(w, w->absent.items[i], 0, "is not mounted", err) < 0)
      return -1;
  }
  for (size_t i = 0; i < w->gone.count; i++) {
    if (w->cb->gone(w->cb->arg, w->gone.items[i], err) < 0)
      return -1;
  }
  return 0;
}

/* ---- All of it ------------------------------------------------------------------------------- */

/* Directories are held open, those above included: as many as the system lets us have. */
static void raise_limit(void)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

/* Where threads run, a table of descriptors that has to grow is waited for until no processor can
 * look at the old one (expand_files() in the kernel's fs/file.c), which takes 10 ms or more each
 * time it doubles.  So it is as large as the walk needs it before there are any. */
static void make_room(int root)
{
  int fd = fcntl(root, F_DUPFD_CLOEXEC, ST_DESCRIPTORS - 1);
  if (fd >= 0)
    close(fd);
}

static int walk(struct st_walk_state *w, struct st_error *err)
{
  raise_limit();
  make_room(w->o->root);
  clock_gettime(CLOCK_REALTIME_COARSE, &w->start);
  find_absent_mounts(w);
  if (visit_all(w, err) < 0 || st_look_all(w, err) < 0)
    return -1;
  return tell_missing(w, err);
}

int st_walk(const struct st_walk_options *options, const struct st_walk_callbacks *callbacks,
            struct st_walk_result *ret, struct st_error *err)
{
  struct st_walk_state w = {
      .o = options,
      .cb = callbacks,
      .result = ret,
      .mounts = st_mounts_read(),
      .top = {.fd = -1, .users = 1},
      .threads = st_processors(ST_MOST_THREADS),
  };
  *ret = (struct st_walk_result){0};
  pthread_mutex_init(&w.busy, NULL);
  w.pool = st_pool_new(&w);
  int r = walk(&w, err);
  st_node_clear(&w.top);
  st_pool_free(w.pool);
  st_strings_free(&w.gone);
  st_strings_free(&w.absent);
  st_mounts_free(w.mounts);
  pthread_mutex_destroy(&w.busy);
  return r;
}
