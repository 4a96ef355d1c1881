/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/stage.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "restore/contents.h"
#include "restore/flusher.h"
#include "restore/put.h"
#include "restore/signals.h"
#include "restore/staged.h"
#include "restore/workers.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/meta.h"
#include "systracker/base/set.h"

#define DIRS_OPEN 32 /* descriptors that a thread keeps of directories */
#define AT_ONCE 8    /* files that get the same content as it is decoded */
#define OTHERS 64    /* symlinks, FIFOs, devices, directories that a thread takes at once */

/* A directory that is made anew in one that is there. */
struct top {
  size_t action;
  bool made, bare, placed;
};

/* A directory that is made ready: a top, or below one. */
struct dir {
  uint32_t action, top;
  uint32_t parent; /* counted from 1; 0: it is the top */
  bool later;      /* something is put into it by itself */
  bool finished;
};

struct item {
  uint32_t dir; /* it lies in, or is; counted from 1; 0: it is not made ready */
  bool ready, proved;
  uint64_t size; /* of a content that was proved */
};

/* The looking up of contents, which goes on beside the preflight. */
struct finding {
  bool begun;
  pthread_t thread;
  int result;
  struct st_error error;
};

/* What a thread has open, and goes on with. */
struct going {
  struct st_store *store;
  struct st_hashes *hashes;
  struct st_buffer several; /* contents that were proved together */
  size_t top;               /* of top_fd */
  int top_fd;               /* -1: none */
  struct {
    uint32_t dir; /* 0: none */
    int fd;
  } open[DIRS_OPEN];
};

struct st_stage {
  struct st_stage_options o;
  struct item *items; /* one an action */
  struct top *tops;
  struct st_staged_list staged; /* one a top */
  struct dir *dirs;
  size_t ndirs;
  struct st_flusher *flusher;
  struct finding finding;
  struct st_contents contents; /* of the files; which of them is an action */
  uint32_t *others;            /* actions that make neither a directory nor a file */
  size_t nothers;
  struct going going[ST_WORKERS_MOST];
  struct st_accounts *accounts; /* as they will be */
  pthread_mutex_t telling;
  struct st_strings *refusals;
  struct st_error failed; /* why the journal could not be drafted */
  bool noted;
};

static struct st_action *action_of(const struct st_stage *s, size_t i)
{
  return &s->o.journal->actions.items[i];
}

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
    const struct st_action *a = &actions->items[i];
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

static const char *name_of(const struct st_action *a)
{
  return a->path + parent_length(a->path) + 1;
}

static int make_directories(struct st_stage *s, struct st_error *err)
{
  if (make_tops(s, err) < 0)
    return -1;
  for (size_t i = 0; i < s->ndirs; i++) {
    const struct dir *d = &s->dirs[i];
    if (d->parent == 0 || !s->tops[d->top].made)
      continue;
    int parent = open_dir(s, &s->going[0], d->parent);
    s->items[d->action].ready =
        parent >= 0 && mkdirat(parent, name_of(action_of(s, d->action)), 0700) == 0;
  }
  return 0;
}

/* ---- Entries: any thread --------------------------------------------------------------------- */

static void refuse(struct st_stage *s, const char *path, const char *format, const char *why)
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

static struct st_put put_of(struct st_stage *s, size_t action, bool *problem)
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
static int parent_of(struct st_stage *s, struct going *g, size_t action)
{
  uint32_t dir = s->items[action].dir;
  bool possible = s->accounts && s->tops[s->dirs[dir - 1].top].made;
  return possible ? open_dir(s, g, dir) : -1;
}

/* After these nothing more can be written. */
static bool ends_everything(int code)
{
  return code == ENOSPC || code == EDQUOT || code == EROFS || code == EIO;
}

/* 1, said: nothing more can be written; 0: it is put later, by itself. */
static int fail(struct st_stage *s, size_t action, const struct st_error *why)
{
  if (!ends_everything(why->code))
    return 0;
  refuse(s, action_of(s, action)->path, "it cannot be made ready: ", st_error_text(why));
  return 1;
}

static int put_other(struct st_stage *s, struct going *g, size_t i)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  bool problem = false;
  const struct st_action *a = action_of(s, i);
  const struct st_put put = put_of(s, i, &problem);
  int parent = parent_of(s, g, i);
  if (parent < 0)
    return 0;
  if (st_put_fresh(&put, parent, name_of(a), &a->after, &why) < 0)
    return fail(s, i, &why);
  if (problem)
    unlinkat(parent, name_of(a), 0);
  s->items[i].ready = !problem;
  return 0;
}

/* ---- Contents: any thread -------------------------------------------------------------------- */

/* Files that are to have the same content. */
struct pouring {
  struct st_stage *stage;
  struct going *going;
  size_t count;
  struct {
    uint32_t action;
    bool open, problem;
    struct st_pour pour;
  } files[AT_ONCE];
  bool full;     /* nothing more could be written, */
  size_t failed; /* to this one */
  uint64_t size;
};

static void give_up(struct pouring *p, size_t n)
{
  const struct st_action *a = action_of(p->stage, p->files[n].action);
  int parent = parent_of(p->stage, p->going, p->files[n].action);
  if (p->files[n].pour.fd >= 0)
    close(p->files[n].pour.fd);
  if (parent >= 0)
    unlinkat(parent, name_of(a), 0);
  p->files[n].open = false;
}

static int open_file(struct pouring *p, uint32_t action, struct st_error *err)
{
  size_t n = p->count++;
  const struct st_action *a = action_of(p->stage, action);
  p->files[n].action = action;
  p->files[n].open = p->files[n].problem = false;
  const struct st_put put = put_of(p->stage, action, &p->files[n].problem);
  int parent = parent_of(p->stage, p->going, action);
  if (parent < 0)
    return 0;
  if (st_pour_open(&p->files[n].pour, &put, parent, name_of(a), &a->after, err) < 0)
    return fail(p->stage, action, err);
  p->files[n].open = true;
  return 0;
}

/* Where one of them takes no more, the others do. */
static int pour(void *arg, const void *data, size_t length, struct st_error *err)
{
  struct pouring *p = arg;
  p->size += length;
  for (size_t n = 0; n < p->count; n++) {
    if (!p->files[n].open || st_pour_piece(&p->files[n].pour, data, length, err) == 0)
      continue;
    p->failed = n;
    p->full = ends_everything(err->code);
    if (p->full)
      return -1;
    st_error_clear(err);
    give_up(p, n);
  }
  return 0;
}

static int finish_file(struct pouring *p, size_t n)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  uint32_t action = p->files[n].action;
  const struct st_put put = put_of(p->stage, action, &p->files[n].problem);
  st_flusher_note(p->stage->flusher, p->files[n].pour.fd, p->size);
  int r = st_pour_finish(&p->files[n].pour, &put, &why);
  if (r < 0 || p->files[n].problem)
    give_up(p, n);
  p->stage->items[action].ready = p->files[n].open;
  return r < 0 ? fail(p->stage, action, &why) : 0;
}

/* Nothing of it is left.  1: nothing more can be written.  The store may fail with the same code as
 * what is written to. */
static int refuse_content(struct pouring *p, const struct st_error *why)
{
  for (size_t n = 0; n < p->count; n++)
    if (p->files[n].open)
      give_up(p, n);
  if (p->full)
    return fail(p->stage, p->files[p->failed].action, why);
  ST_AUTO_FREE char *words = st_format(
      "%s; `systracker verify` says what is damaged, leaving this path out restores the others",
      st_error_text(why));
  for (size_t n = 0; n < p->count; n++)
    refuse(p->stage, action_of(p->stage, p->files[n].action)->path,
           "its content cannot be read: ", words);
  return 0;
}

/* A content, and where it is in memory once it was proved along with others. */
struct wanted {
  const struct st_content_item *item;
  const struct st_asked *asked;
};

static int pour_content(struct pouring *p, const struct wanted *w, struct st_error *err)
{
  const struct st_asked *a = w->asked;
  if (!a->proved)
    return st_store_get_at(p->going->store, a->id, a->at, pour, p, err);
  return a->length > 0 ? pour(p, p->going->several.data + a->offset, a->length, err) : 0;
}

/* The content is proved, whether or not a file has it by then. */
static int pour_all(struct pouring *p, const struct wanted *w)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (pour_content(p, w, &why) < 0)
    return refuse_content(p, &why);
  int r = 0;
  for (size_t n = 0; n < p->count; n++) {
    struct item *poured = &p->stage->items[p->files[n].action];
    poured->size = p->size;
    poured->proved = true;
    if (p->files[n].open && r == 0)
      r = finish_file(p, n);
    else if (p->files[n].open)
      give_up(p, n);
  }
  return r;
}

/* 1: nothing more can be written. */
static int put_content(struct st_stage *s, struct going *g, const struct wanted *w)
{
  uint32_t action = w->item->file;
  int r = 0;
  while (action != ST_CONTENTS_END && r == 0) {
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    struct pouring p = {.stage = s, .going = g};
    for (; p.count < AT_ONCE && action != ST_CONTENTS_END && r == 0;
         action = s->contents.next[action]) {
      st_error_clear(&why);
      r = open_file(&p, action, &why);
    }
    for (size_t n = 0; r != 0 && n < p.count; n++)
      if (p.files[n].open)
        give_up(&p, n);
    if (r == 0)
      r = pour_all(&p, w);
  }
  return r;
}

/* Those of a share, which is a few megabytes at most unless it is one, are read together. */
static int put_share(struct st_stage *s, struct going *g, const struct st_share *share)
{
  const struct st_content_item *items = &s->contents.items[share->from];
  size_t count = share->to - share->from;
  ST_AUTO_FREE struct st_asked *asked = st_calloc(count + 1, sizeof(*asked));
  int r = 0;
  for (size_t i = 0; i < count; i++)
    asked[i] =
        (struct st_asked){&action_of(s, items[i].file)->after.digest, &items[i].at, 0, 0, false};
  st_buffer_clear(&g->several);
  if (count > 1)
    st_store_get_several(g->store, g->hashes, asked, count, &g->several);
  for (size_t i = 0; i < count && r == 0; i++)
    r = put_content(s, g, &(struct wanted){&items[i], &asked[i]});
  return r;
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
    return r ? r : put_share(s, g, &s->contents.shares[index]);
  size_t from = (index - s->contents.nshares) * OTHERS;
  for (size_t i = from; i < s->nothers && i < from + OTHERS && r == 0; i++)
    r = put_other(s, g, s->others[i]);
  return r;
}

static const struct st_id *content_of(void *arg, size_t action)
{
  return st_stage_takes(arg, action) ? &action_of(arg, action)->after.digest : NULL;
}

static int find_contents(struct st_stage *s, struct st_store *store, struct st_error *err)
{
  size_t count = s->o.journal->actions.count;
  const struct st_contents_of of = {store, count, content_of, s};
  s->others = st_calloc(count + 1, sizeof(*s->others));
  for (size_t i = 0; i < count; i++) {
    char type = action_of(s, i)->after.type;
    if (s->items[i].dir > 0 && type != 'f' && type != 'd')
      s->others[s->nothers++] = (uint32_t)i;
  }
  return st_contents_find(&s->contents, &of, err);
}

/* By a reader of its own. */
static void *find_beside(void *arg)
{
  struct st_stage *s = arg;
  struct finding *f = &s->finding;
  ST_CLEANUP(st_store_closep) struct st_store *store = NULL;
  f->result = st_store_open_beside(&store, s->o.store_dir, s->o.store, &f->error);
  if (f->result == 0)
    f->result = find_contents(s, store, &f->error);
  return NULL;
}

void st_stage_look_up(struct st_stage *s)
{
  s->finding.begun =
      s->staged.count > 0 && pthread_create(&s->finding.thread, NULL, find_beside, s) == 0;
}

static int end_finding(struct st_stage *s, struct st_error *err)
{
  struct finding *f = &s->finding;
  if (!f->begun)
    return find_contents(s, s->o.store, err);
  pthread_join(f->thread, NULL);
  f->begun = false;
  return f->result < 0 ? st_error_move(err, &f->error) : 0;
}

/* Two things that have nothing to do with each other. */
struct beginning {
  struct st_stage *stage;
  struct st_error errors[2];
};

static int begin_one(void *arg, struct st_store *store, unsigned thread, size_t which)
{
  struct beginning *b = arg;
  (void)store, (void)thread;
  if (which == 0)
    return end_finding(b->stage, &b->errors[0]);
  return b->stage->accounts ? make_directories(b->stage, &b->errors[1]) : 0;
}

static int begin(struct st_stage *s, struct st_error *err)
{
  struct beginning b = {.stage = s};
  const struct st_workers w = {.count = ST_COUNT(b.errors), .unit = begin_one, .arg = &b};
  read_accounts(s);
  int r = st_workers_run(&w, err);
  for (size_t i = 0; i < ST_COUNT(b.errors); i++) {
    if (b.errors[i].message && err && !err->message)
      *err = b.errors[i];
    else
      st_error_clear(&b.errors[i]);
  }
  return r;
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
  const struct st_put put = put_of(s, d->action, &problem);
  int parent = open_dir(s, g, d->parent);
  ST_AUTO_CLOSE int fd =
      parent < 0 ? -1 : openat(parent, name_of(a), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  d->finished = fd >= 0 && st_put_finish_dir(&put, fd, &a->after, NULL) == 0 && !problem;
}

static int finish_unit(void *arg, struct st_store *store, unsigned thread, size_t index)
{
  struct st_stage *s = arg;
  size_t from = index * OTHERS;
  (void)store;
  for (size_t i = from; i < s->ndirs && i < from + OTHERS; i++) {
    struct dir *d = &s->dirs[i];
    bool open = (action_of(s, d->action)->after.mode & 0705) == 0705;
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
