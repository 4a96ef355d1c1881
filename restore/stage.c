/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/stage-internal.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "restore/pouring.h"
#include "restore/signals.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/meta.h"
#include "systracker/base/set.h"
#include "systracker/base/thread.h"

#define OTHERS 64 /* symlinks, FIFOs, devices, directories that a thread takes at once */

/* ---- What can be made ready ------------------------------------------------------------------ */

static size_t parent_length(const char *path)
{
  return (size_t)(strrchr(path, '/') - path);
}

/* Other links of an inode come later; accounts and secrets are looked at one by one. */
static bool is_simple(const struct st_action *a)
{
  if (a->kind != ST_ACTION_CREATE || a->after.linked_to || st_is_account_file(a->path) ||
      !strchr("fdlcbp", a->after.type))
    return false;
  return a->after.type != 'f' || ((a->after.known & ST_KNOWN_DIGEST) && !a->after.digest.keyed);
}

static uint32_t add_top(struct st_stage *s, size_t action)
{
  size_t n = s->staged.count;
  const char *path = action_of(s, action)->path;
  ST_AUTO_FREE char *prefix = st_journal_beside(s->o.journal);
  s->tops = st_realloc(s->tops, n + 1, sizeof(*s->tops));
  s->staged.items = st_realloc(s->staged.items, n + 1, sizeof(*s->staged.items));
  s->tops[n] = (struct top){.action = action};
  s->staged.items[n] = (struct st_staged){
      .path = st_format("%.*s/%s%zu", (int)parent_length(path), path, prefix, action)};
  s->staged.count++;
  return (uint32_t)n;
}

static uint32_t add_dir(struct st_stage *s, size_t action, uint32_t parent)
{
  uint32_t top = parent > 0 ? s->dirs[parent - 1].top : add_top(s, action);
  if (s->ndirs % 64 == 0)
    s->dirs = st_realloc(s->dirs, s->ndirs + 64, sizeof(*s->dirs));
  s->dirs[s->ndirs] = (struct dir){.action = (uint32_t)action, .top = top, .parent = parent};
  return (uint32_t)++s->ndirs;
}

/* Directories that are made in a tree, with their numbers. */
struct made {
  struct st_set *dirs;
  const char *above; /* the path that was looked for last begins with its directory */
  size_t length;
  uint64_t in;
};

/* Most share their directory with the one before. */
static uint64_t find_above(struct made *m, const char *path)
{
  size_t n = parent_length(path);
  if (m->above && m->length == n && memcmp(m->above, path, n) == 0)
    return m->in;
  *m = (struct made){m->dirs, path, n, 0};
  st_set_get(m->dirs, path, n, &m->in);
  return m->in;
}

static void choose(struct st_stage *s, size_t i, struct made *made)
{
  const struct st_action *a = action_of(s, i);
  uint64_t in = find_above(made, a->path);
  if (!is_simple(a)) {
    if (in > 0)
      s->dirs[in - 1].later = true;
    return;
  }
  if (a->after.type == 'd') {
    in = add_dir(s, i, (uint32_t)in);
    st_set_add(made->dirs, a->path, strlen(a->path), in);
  }
  s->items[i].dir = (uint32_t)in;
}

struct st_stage *st_stage_new(const struct st_stage_options *options)
{
  struct st_stage *s = st_calloc(1, sizeof(*s));
  ST_CLEANUP(st_set_freep) struct st_set *dirs = st_set_new();
  size_t count = options->journal->actions.count;
  s->o = *options;
  s->flusher = st_flusher_new();
  s->items = st_calloc(count + 1, sizeof(*s->items));
  pthread_mutex_init(&s->telling, NULL);
  for (size_t i = 0; i < ST_WORKERS_MOST; i++) {
    s->going[i].top_fd = -1;
    s->going[i].hashes = st_hashes_new();
  }
  struct made made = {.dirs = dirs};
  for (size_t i = 0; i < count; i++)
    choose(s, i, &made);
  return s;
}

bool st_stage_takes(const struct st_stage *stage, size_t action)
{
  return stage->items[action].dir > 0 && action_of(stage, action)->after.type == 'f';
}

/* ---- Accounts, as they will be --------------------------------------------------------------- */

/* 1: the file is put back, with that content; 2: what becomes of it is not known. */
static int account_file(const struct st_stage *s, const char *path, struct st_buffer *out,
                        struct st_error *err)
{
  const struct st_actions *actions = &s->o.journal->actions;
  for (size_t i = 0; i < actions->count; i++) {
    const struct st_action *a = actions->items[i];
    if (strcmp(a->path, path) != 0 || a->kind == ST_ACTION_METADATA)
      continue;
    if (a->after.type != 'f' || !(a->after.known & ST_KNOWN_DIGEST) || a->after.linked_to)
      return 2;
    return st_store_get(s->o.store, &a->after.digest, out, err) < 0 ? 2 : 1;
  }
  return 0;
}

/* None: owners cannot be told before. */
static void read_accounts(struct st_stage *s)
{
  ST_AUTO_BUFFER users = ST_BUFFER_INIT, groups = ST_BUFFER_INIT;
  int u = account_file(s, "/etc/passwd", &users, NULL);
  int g = account_file(s, "/etc/group", &groups, NULL);
  if (u < 2 && g < 2)
    st_accounts_read_with(&s->accounts, s->o.root, u ? &users : NULL, g ? &groups : NULL, NULL);
}

/* ---- Directories ----------------------------------------------------------------------------- */

/* Whether a directory is one that its owner and all others may enter and list. */
static bool is_open(uint32_t mode)
{
  return (mode & 0705) == 0705;
}

/* The very tree that we made: somebody who may rename it must not have us write into another one.
 */
static int open_top(const struct st_stage *s, struct going *g, size_t t)
{
  struct st_meta m;
  if (g->top_fd >= 0 && g->top == t)
    return g->top_fd;
  st_cleanup_close(&g->top_fd);
  g->top_fd = -1;
  ST_AUTO_CLOSE int fd =
      st_open_beneath(s->o.root, s->staged.items[t].path, O_PATH | O_DIRECTORY, 0);
  if (fd < 0)
    return fd;
  if (st_meta_read(fd, "", &m) < 0 || m.inode != s->staged.items[t].inode)
    return -ENOENT;
  g->top = t;
  return g->top_fd = st_steal_fd(&fd);
}

/* The directory of that number, open until some others were; negative: there is none. */
static int open_dir(const struct st_stage *s, struct going *g, uint32_t dir)
{
  const struct dir *d = &s->dirs[dir - 1];
  size_t slot = dir % DIRS_OPEN;
  if (g->open[slot].dir == dir)
    return g->open[slot].fd;
  if (g->open[slot].dir > 0)
    close(g->open[slot].fd);
  g->open[slot].dir = 0;
  int top = open_top(s, g, d->top);
  const char *below =
      action_of(s, d->action)->path + strlen(action_of(s, s->tops[d->top].action)->path);
  int fd = top < 0 ? top : st_open_beneath(top, *below ? below : "/", O_PATH | O_DIRECTORY, 0);
  if (fd < 0)
    return fd;
  g->open[slot].dir = dir;
  return g->open[slot].fd = fd;
}

static void close_all(struct going *g)
{
  st_cleanup_close(&g->top_fd);
  g->top_fd = -1;
  for (size_t i = 0; i < DIRS_OPEN; i++) {
    if (g->open[i].dir > 0)
      close(g->open[i].fd);
    g->open[i].dir = 0;
  }
}

static void make_top(struct st_stage *s, size_t t)
{
  struct top *top = &s->tops[t];
  top->made = st_staged_make(s->o.root, &s->staged.items[t]) == 0;
  s->items[top->action].ready = top->made;
}

static void probe(struct st_stage *s, size_t t)
{
  struct top *top = &s->tops[t];
  ST_AUTO_CLOSE int fd =
      top->made ? st_open_beneath(s->o.root, s->staged.items[t].path, O_RDONLY | O_DIRECTORY, 0)
                : -1;
  top->bare = fd >= 0 && st_put_is_bare(fd);
}

/* Noted before they are made, and, so that they are known again, before anything is in them. */
static int make_tops(struct st_stage *s, struct st_error *err)
{
  for (size_t t = 0; t < s->staged.count; t++)
    st_staged_look(s->o.root, &s->staged.items[t]);
  s->noted = true;
  if (st_staged_note(s->o.store_dir, &s->staged, err) < 0)
    return -1;
  for (size_t t = 0; t < s->staged.count; t++)
    make_top(s, t);
  if (st_staged_note(s->o.store_dir, &s->staged, err) < 0)
    return -1;
  for (size_t t = 0; t < s->staged.count; t++)
    probe(s, t);
  return 0;
}

/* Into a top of ours nobody else comes: so a directory has its mode from the beginning, if it is
 * finished with all that is in it, and nobody else may ever write to it. */
static mode_t mode_of(const struct st_stage *s, const struct dir *d)
{
  uint32_t mode = action_of(s, d->action)->after.mode;
  return is_open(mode) && !d->later && !(mode & 07022) ? mode | 0700 : 0700;
}

/* Directories below the tops, those of one level together: what they lie in is one level above. */
struct levels {
  uint32_t *dirs;
  size_t *ends; /* of each level, in `dirs` */
  size_t count;
};

static void levels_free(struct levels *l)
{
  free(l->dirs);
  free(l->ends);
}

/* Level n, from 1 on, begins where the one before it ends. */
static void sort_by_level(const struct st_stage *s, struct levels *ret)
{
  ST_AUTO_FREE uint32_t *levels = st_calloc(s->ndirs + 1, sizeof(*levels));
  *ret = (struct levels){.dirs = st_calloc(s->ndirs + 1, sizeof(*ret->dirs)),
                         .ends = st_calloc(s->ndirs + 2, sizeof(*ret->ends))};
  for (size_t i = 0; i < s->ndirs; i++) {
    uint32_t parent = s->dirs[i].parent; /* it comes before */
    levels[i] = parent > 0 ? levels[parent - 1] + 1 : 0;
    if (levels[i] > ret->count)
      ret->count = levels[i];
    if (levels[i] > 0)
      ret->ends[levels[i] + 1]++;
  }
  for (size_t n = 1; n <= ret->count; n++)
    ret->ends[n] += ret->ends[n - 1];
  for (size_t i = 0; i < s->ndirs; i++) {
    if (levels[i] > 0)
      ret->dirs[ret->ends[levels[i]]++] = (uint32_t)i;
  }
}

static void make_dir(struct st_stage *s, struct going *g, const struct dir *d)
{
  int parent = s->tops[d->top].made ? open_dir(s, g, d->parent) : -1;
  s->items[d->action].ready =
      parent >= 0 && mkdirat(parent, name_of(action_of(s, d->action)), mode_of(s, d)) == 0;
}

/* Some of one level. */
struct level {
  struct st_stage *stage;
  const uint32_t *dirs;
  size_t count;
};

static int make_unit(void *arg, struct st_store *store, unsigned thread, size_t index)
{
  const struct level *l = arg;
  struct st_stage *s = l->stage;
  (void)store;
  for (size_t i = index * OTHERS; i < l->count && i < (index + 1) * OTHERS; i++)
    make_dir(s, &s->going[thread], &s->dirs[l->dirs[i]]);
  return 0;
}

/* Those of a level by all threads, as none of them lies in another. */
static int make_level(struct level *l, struct st_error *err)
{
  const struct st_workers w = {
      .count = (l->count + OTHERS - 1) / OTHERS, .unit = make_unit, .arg = l};
  return w.count > 1 ? st_workers_run(&w, err) : make_unit(l, NULL, 0, 0);
}

static int make_directories(struct st_stage *s, struct st_error *err)
{
  ST_CLEANUP(levels_free) struct levels levels = {0};
  int r = make_tops(s, err);
  if (r < 0)
    return -1;
  sort_by_level(s, &levels);
  mode_t mask = umask(0);
  for (size_t n = 1; n <= levels.count && r == 0; n++) {
    size_t from = levels.ends[n - 1];
    struct level l = {s, &levels.dirs[from], levels.ends[n] - from};
    r = make_level(&l, err);
  }
  umask(mask);
  return r;
}

/* ---- Entries: any thread --------------------------------------------------------------------- */

void st_stage_refuse(struct st_stage *s, const char *path, const char *format, const char *why)
{
  pthread_mutex_lock(&s->telling);
  ST_AUTO_FREE char *words = st_format("%s: %s", st_quote(path), format);
  st_strings_take(s->refusals, st_format("%s%s", words, why));
  pthread_mutex_unlock(&s->telling);
}

/* What was not taken as it is, is said when it is put by itself. */
static void note_problem(void *arg, const char *words)
{
  (void)words;
  *(bool *)arg = true;
}

struct st_put st_stage_put_of(struct st_stage *s, size_t action, bool *problem)
{
  const struct dir *d = &s->dirs[s->items[action].dir - 1];
  return (struct st_put){.root = s->o.root,
                         .accounts = s->accounts,
                         .written = s->o.written,
                         .bare = s->tops[d->top].bare,
                         .problem = note_problem,
                         .arg = problem};
}

/* Negative: it is put later, by itself. */
int st_stage_parent_of(struct st_stage *s, struct going *g, size_t action)
{
  uint32_t dir = s->items[action].dir;
  bool possible = s->accounts && s->tops[s->dirs[dir - 1].top].made;
  return possible ? open_dir(s, g, dir) : -1;
}

/* 1, said: nothing more can be written; 0: it is put later, by itself. */
int st_stage_fail(struct st_stage *s, size_t action, const struct st_error *why)
{
  if (!ends_everything(why->code))
    return 0;
  st_stage_refuse(s, action_of(s, action)->path, "it cannot be made ready: ", st_error_text(why));
  return 1;
}

static int put_other(struct st_stage *s, struct going *g, size_t i)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  bool problem = false;
  const struct st_action *a = action_of(s, i);
  const struct st_put put = st_stage_put_of(s, i, &problem);
  int parent = st_stage_parent_of(s, g, i);
  if (parent < 0)
    return 0;
  if (st_put_fresh(&put, parent, name_of(a), &a->after, &why) < 0)
    return st_stage_fail(s, i, &why);
  if (problem)
    unlinkat(parent, name_of(a), 0);
  s->items[i].ready = !problem;
  return 0;
}

/* ---- All of it ------------------------------------------------------------------------------- */

/* The plan is settled but for what is said of contents, so it is written down meanwhile. */
static int draft_journal(struct st_stage *s)
{
  return st_journal_draft(s->o.store_dir, s->o.journal, &s->failed);
}

/* First the journal, then shares of contents, then the others. */
static int fill_unit(void *arg, struct st_store *store, unsigned thread, size_t index)
{
  struct st_stage *s = arg;
  struct going *g = &s->going[thread];
  int r = st_signals_pending() ? 1 : 0;
  g->store = store;
  if (index-- == 0)
    return r ? r : draft_journal(s);
  if (index < s->contents.nshares)
    return r ? r : st_stage_put_share(s, g, &s->contents.shares[index]);
  size_t from = (index - s->contents.nshares) * OTHERS;
  for (size_t i = from; i < s->nothers && i < from + OTHERS && r == 0; i++)
    r = put_other(s, g, s->others[i]);
  return r;
}

static const struct st_id *content_of(void *arg, size_t action)
{
  return st_stage_takes(arg, action) ? &action_of(arg, action)->after.digest : NULL;
}

/* What a package file had came into the store behind it. */
static bool is_ahead(const struct st_stage *s)
{
  for (size_t i = 0; i < s->o.journal->actions.count; i++) {
    if (action_of(s, i)->after.in_package)
      return false;
  }
  return s->o.places != NULL;
}

static struct st_places *places_of(struct st_stage *s)
{
  struct st_places *places = st_places_new();
  for (size_t i = 0; i < s->o.journal->actions.count; i++) {
    const struct st_id *id = content_of(s, i);
    if (id)
      st_places_add(places, id);
  }
  return places;
}

/* Of what is looked up already: whether that is all. */
static bool find_ahead(struct st_stage *s)
{
  ST_CLEANUP(st_places_freep) struct st_places *ahead = st_steal(&s->o.places);
  const struct st_contents_of of = {ahead, s->o.journal->actions.count, content_of, s};
  return ahead && st_places_wait(ahead, NULL) == 0 && st_contents_find(&s->contents, &of);
}

static int find_contents(struct st_stage *s, struct st_store *store, struct st_error *err)
{
  ST_CLEANUP(st_places_freep) struct st_places *own = places_of(s);
  const struct st_contents_of of = {own, s->o.journal->actions.count, content_of, s};
  if (st_places_find(own, store, err) < 0)
    return -1;
  st_contents_find(&s->contents, &of);
  return 0;
}

static void list_others(struct st_stage *s)
{
  size_t count = s->o.journal->actions.count;
  s->others = st_calloc(count + 1, sizeof(*s->others));
  for (size_t i = 0; i < count; i++) {
    char type = action_of(s, i)->after.type;
    if (s->items[i].dir > 0 && type != 'f' && type != 'd')
      s->others[s->nothers++] = (uint32_t)i;
  }
}

/* By a reader of its own, which is opened only when nobody else is waited for: who writes to the
 * index waits for readers, and lets no new ones in meanwhile. */
static void *find_beside(void *arg)
{
  struct st_stage *s = arg;
  struct finding *f = &s->finding;
  ST_CLEANUP(st_store_closep) struct st_store *store = NULL;
  if (find_ahead(s))
    return NULL;
  f->result = st_store_open_beside(&store, s->o.store_dir, s->o.store, &f->error);
  if (f->result == 0)
    f->result = find_contents(s, store, &f->error);
  return NULL;
}

void st_stage_look_up(struct st_stage *s)
{
  if (!is_ahead(s))
    st_places_free(st_steal(&s->o.places));
  s->finding.begun = s->staged.count > 0 && st_thread_start(&s->finding.thread, find_beside, s);
}

static int end_finding(struct st_stage *s, struct st_error *err)
{
  struct finding *f = &s->finding;
  list_others(s);
  if (!f->begun)
    return find_ahead(s) ? 0 : find_contents(s, s->o.store, err);
  pthread_join(f->thread, NULL);
  f->begun = false;
  return f->result < 0 ? st_error_move(err, &f->error) : 0;
}

static int begin(struct st_stage *s, struct st_error *err)
{
  read_accounts(s);
  if (s->accounts && make_directories(s, err) < 0)
    return -1;
  return end_finding(s, err);
}

/* In directories that nobody else may enter files are made with the modes that they are to have. */
static int put_all(struct st_stage *s, struct st_error *err)
{
  const struct st_workers w = {.store_dir = s->o.store_dir,
                               .store = s->o.store,
                               .count =
                                   1 + s->contents.nshares + (s->nothers + OTHERS - 1) / OTHERS,
                               .unit = fill_unit,
                               .arg = s};
  mode_t mask = umask(0);
  int r = st_workers_run(&w, err);
  umask(mask);
  if (s->failed.message)
    st_error_move(err, &s->failed);
  return r;
}

/* What was proved is what counts; mostly it is what was said of it. */
static void note_sizes(struct st_stage *s)
{
  bool as_said = true;
  for (size_t i = 0; i < s->o.journal->actions.count; i++) {
    uint64_t *said = &action_of(s, i)->after.size;
    if (!s->items[i].proved || *said == s->items[i].size)
      continue;
    *said = s->items[i].size;
    as_said = false;
  }
  if (!as_said)
    st_journal_drop_draft(s->o.store_dir, s->o.journal);
}

/* ---- Directories, when all is in them: any thread -------------------------------------------- */

static void finish_dir(struct st_stage *s, struct going *g, struct dir *d)
{
  bool problem = false;
  const struct st_action *a = action_of(s, d->action);
  const struct st_put put = st_stage_put_of(s, d->action, &problem);
  int parent = open_dir(s, g, d->parent);
  d->finished =
      parent >= 0 && st_put_finish_dir(&put, parent, name_of(a), &a->after, NULL) == 0 && !problem;
}

static int finish_unit(void *arg, struct st_store *store, unsigned thread, size_t index)
{
  struct st_stage *s = arg;
  size_t from = index * OTHERS;
  (void)store;
  for (size_t i = from; i < s->ndirs && i < from + OTHERS; i++) {
    struct dir *d = &s->dirs[i];
    bool open = is_open(action_of(s, d->action)->after.mode);
    if (d->parent > 0 && open && !d->later && s->items[d->action].ready)
      finish_dir(s, &s->going[thread], d);
  }
  return st_signals_pending() ? 1 : 0;
}

/* What is put into them later, or cannot be entered by anybody, is finished behind all else. */
static int finish_dirs(struct st_stage *s, struct st_error *err)
{
  const struct st_workers w = {
      .count = (s->ndirs + OTHERS - 1) / OTHERS, .unit = finish_unit, .arg = s};
  for (size_t i = 0; i < s->o.journal->actions.count; i++) {
    const struct item *item = &s->items[i];
    if (item->dir == 0 || item->ready)
      continue;
    const struct dir *d = &s->dirs[item->dir - 1];
    uint32_t in = d->action == i ? d->parent : item->dir;
    if (in > 0)
      s->dirs[in - 1].later = true;
  }
  return st_workers_run(&w, err);
}

int st_stage_fill(struct st_stage *s, struct st_strings *refusals, struct st_error *err)
{
  s->refusals = refusals;
  if (s->staged.count == 0)
    return 0;
  if (s->o.written)
    st_written_reserve(s->o.written, s->o.journal->actions.count);
  int r = begin(s, err);
  if (r == 0)
    r = put_all(s, err);
  note_sizes(s);
  if (r == 0 && refusals->count == 0)
    r = finish_dirs(s, err);
  for (size_t i = 0; i < ST_WORKERS_MOST; i++) {
    close_all(&s->going[i]);
    st_buffer_free(&s->going[i].several);
  }
  st_contents_clear(&s->contents);
  free(st_steal(&s->others));
  return r < 0 || refusals->count > 0 ? (r < 0 ? -1 : 0) : r;
}

/* ---- Put in their places --------------------------------------------------------------------- */

/* Where something is there by now, or another tree than ours is beside, nothing is done. */
static bool rename_top(const struct st_stage *s, size_t t)
{
  const char *beside, *name, *path = action_of(s, s->tops[t].action)->path;
  struct st_meta m;
  ST_AUTO_CLOSE int parent = st_open_parent(s->o.root, path, &name);
  ST_AUTO_CLOSE int from = st_open_parent(s->o.root, s->staged.items[t].path, &beside);
  if (parent < 0 || from < 0 || st_meta_read(from, beside, &m) < 0 || m.type != 'd' ||
      m.inode != s->staged.items[t].inode)
    return false;
  if (renameat2(from, beside, parent, name, RENAME_NOREPLACE) == 0)
    return true;
  return errno == EINVAL && st_meta_read(parent, name, &m) == -ENOENT &&
         renameat(from, beside, parent, name) == 0;
}

bool st_stage_place(struct st_stage *s, size_t action)
{
  uint32_t dir = s->items[action].dir;
  if (dir == 0)
    return false;
  size_t t = s->dirs[dir - 1].top;
  struct top *top = &s->tops[t];
  if (top->action == action && top->made)
    top->placed = rename_top(s, t);
  return top->placed && s->items[action].ready;
}

int st_stage_flushed(struct st_stage *s, struct st_error *err)
{
  return st_flusher_end(s->flusher, err);
}

bool st_stage_finished(const struct st_stage *s, size_t action)
{
  uint32_t dir = s->items[action].dir;
  return dir > 0 && s->dirs[dir - 1].finished && s->tops[s->dirs[dir - 1].top].placed;
}

void st_stage_free(struct st_stage *s)
{
  if (!s)
    return;
  if (s->finding.begun)
    pthread_join(s->finding.thread, NULL);
  st_places_free(s->o.places);
  st_flusher_free(s->flusher);
  st_error_clear(&s->finding.error);
  st_error_clear(&s->failed);
  st_journal_drop_draft(s->o.store_dir, s->o.journal);
  for (size_t t = s->staged.count; t-- > 0;) {
    if (s->tops[t].made && !s->tops[t].placed)
      st_staged_remove(s->o.root, &s->staged.items[t]);
  }
  if (s->noted)
    st_staged_forget(s->o.store_dir);
  st_accounts_free(s->accounts);
  st_staged_list_free(&s->staged);
  pthread_mutex_destroy(&s->telling);
  for (size_t i = 0; i < ST_WORKERS_MOST; i++) {
    close_all(&s->going[i]);
    st_hashes_free(s->going[i].hashes);
  }
  st_contents_clear(&s->contents);
  free(s->others);
  free(s->dirs);
  free(s->tops);
  free(s->items);
  free(s);
}

void st_stage_sweep(int root, int store_dir)
{
  ST_AUTO_STAGED_LIST l = {0};
  st_staged_read(store_dir, &l);
  for (size_t i = l.count; i-- > 0;)
    st_staged_remove(root, &l.items[i]);
  st_staged_forget(store_dir);
}
