/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/plan.h"

#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/xattr.h"

/* ---- Wishes ---------------------------------------------------------------------------------- */

#define BLOCK 1024 /* wishes that are given memory at once */

static void clear_wish(struct st_wish *w)
{
  free(w->path);
  st_state_clear(&w->target);
  st_state_clear(&w->live);
}

void st_wishes_free(struct st_wishes *w)
{
  for (size_t i = 0; i < w->count; i++) {
    if (w->items[i])
      clear_wish(w->items[i]);
  }
  for (size_t i = 0; i < w->nblocks; i++)
    free(w->blocks[i]);
  free(w->blocks);
  free(w->items);
  *w = (struct st_wishes){0};
}

static struct st_wish *new_wish(struct st_wishes *w)
{
  if (w->nblocks == 0 || w->used == BLOCK) {
    w->blocks = st_realloc(w->blocks, w->nblocks + 1, sizeof(*w->blocks));
    w->blocks[w->nblocks++] = st_malloc(BLOCK * sizeof(**w->blocks));
    w->used = 0;
  }
  return &w->blocks[w->nblocks - 1][w->used++];
}

/* Whether that path comes behind the last one. */
static bool ascends(const struct st_wishes *w, const char *path)
{
  return w->count == 0 || strcmp(w->items[w->count - 1]->path, path) < 0;
}

struct st_wish *st_wishes_take(struct st_wishes *w, char *path, bool selected)
{
  if (w->count == w->size) {
    w->size = w->size ? 2 * w->size : 64;
    w->items = st_realloc(w->items, w->size, sizeof(struct st_wish *));
  }
  w->unsorted |= !ascends(w, path);
  struct st_wish *wish = w->items[w->count++] = new_wish(w);
  *wish = (struct st_wish){.path = path, .selected = selected};
  return wish;
}

struct st_wish *st_wishes_add(struct st_wishes *w, const char *path, bool selected)
{
  return st_wishes_take(w, st_strdup(path), selected);
}

void st_wishes_append(struct st_wishes *w, struct st_wishes *from)
{
  if (from->count == 0)
    return;
  w->unsorted |= from->unsorted || !ascends(w, from->items[0]->path);
  w->size = w->count + from->count;
  w->items = st_realloc(w->items, w->size, sizeof(struct st_wish *));
  memcpy(&w->items[w->count], from->items, from->count * sizeof(struct st_wish *));
  w->blocks = st_realloc(w->blocks, w->nblocks + from->nblocks, sizeof(*w->blocks));
  memcpy(&w->blocks[w->nblocks], from->blocks, from->nblocks * sizeof(*w->blocks));
  w->count = w->size;
  w->nblocks += from->nblocks;
  w->used = from->used;
  from->count = from->nblocks = 0;
  st_wishes_free(from);
}

static int compare_wishes(const void *a, const void *b)
{
  const struct st_wish *x = *(struct st_wish *const *)a, *y = *(struct st_wish *const *)b;
  int c = strcmp(x->path, y->path);
  return c ? c : (int)y->selected - (int)x->selected;
}

void st_wishes_sort(struct st_wishes *w)
{
  if (!w->unsorted)
    return;
  qsort(w->items, w->count, sizeof(struct st_wish *), compare_wishes);
  w->unsorted = false;
  size_t kept = 1;
  for (size_t i = 1; i < w->count; i++) {
    if (strcmp(w->items[i]->path, w->items[kept - 1]->path) != 0)
      w->items[kept++] = w->items[i];
    else
      clear_wish(w->items[i]);
  }
  w->count = kept;
}

static int compare_path_to_wish(const void *key, const void *item)
{
  return strcmp(key, (*(struct st_wish *const *)item)->path);
}

size_t st_wishes_index(const struct st_wishes *w, const char *path)
{
  struct st_wish **found = w->count == 0 ? NULL
                                         : bsearch(path, w->items, w->count,
                                                   sizeof(struct st_wish *), compare_path_to_wish);
  return found ? (size_t)(found - w->items) : SIZE_MAX;
}

struct st_wish *st_wishes_find(const struct st_wishes *w, const char *path)
{
  size_t i = st_wishes_index(w, path);
  return i == SIZE_MAX ? NULL : w->items[i];
}

/* ---- Actions --------------------------------------------------------------------------------- */

void st_actions_free(struct st_actions *a)
{
  for (size_t i = 0; i < a->count; i++) {
    free(a->items[i].path);
    free(a->items[i].why);
    st_state_clear(&a->items[i].before);
    st_state_clear(&a->items[i].after);
  }
  free(a->items);
  *a = (struct st_actions){0};
}

void st_actions_reserve(struct st_actions *a, size_t more)
{
  if (a->size - a->count >= more)
    return;
  a->size = a->count + more;
  a->items = st_realloc(a->items, a->size, sizeof(*a->items));
}

/* The path becomes theirs. */
static struct st_action *take_action(struct st_actions *a, enum st_action_kind kind, char *path)
{
  if (a->count == a->size) {
    a->size = a->size ? 2 * a->size : 64;
    a->items = st_realloc(a->items, a->size, sizeof(*a->items));
  }
  struct st_action *action = &a->items[a->count++];
  *action = (struct st_action){.kind = kind, .path = path};
  return action;
}

struct st_action *st_actions_add(struct st_actions *a, enum st_action_kind kind, const char *path)
{
  return take_action(a, kind, st_strdup(path));
}

size_t st_actions_count(const struct st_actions *a, enum st_action_kind kind)
{
  size_t n = 0;
  for (size_t i = 0; i < a->count; i++)
    n += a->items[i].kind == kind;
  return n;
}

bool st_is_account_file(const char *path)
{
  static const char *const files[] = {"/etc/passwd",  "/etc/group",  "/etc/shadow",
                                      "/etc/gshadow", "/etc/subuid", "/etc/subgid"};
  for (size_t i = 0; strncmp(path, "/etc/", 5) == 0 && i < ST_COUNT(files); i++) {
    if (strcmp(path, files[i]) == 0)
      return true;
  }
  return false;
}

/* ---- One path -------------------------------------------------------------------------------- */

/* What is decided about one wish. */
struct verdict {
  enum { NOTHING, LEFT, DO, NOTE, CANNOT } what;
  enum st_action_kind kind; /* of DO */
  int turn;                 /* along with it */
  char *why;                /* of NOTE and CANNOT */
};

struct planner {
  struct st_wishes *wishes;
  struct verdict *verdicts; /* one a wish */
  const struct st_plan_options *options;
  const struct st_plan_world *world;
  struct st_set
      *staying;       /* groups of now, of which something stays that the target does not have */
  const char *parent; /* in a path that was settled: its directory will be there */
  size_t parent_length;
};

static void say(struct verdict *v, int what, char *why)
{
  free(v->why);
  *v = (struct verdict){.what = what, .why = why};
}

static void act(struct verdict *v, enum st_action_kind kind)
{
  free(v->why);
  *v = (struct verdict){.what = DO, .kind = kind};
}

static bool is_act(const struct verdict *v, enum st_action_kind kind)
{
  return v->what == DO && v->kind == kind;
}

/* ---- Hard links: what becomes of one of several -------------------------------------------------
 *
 * A group is named by its first path, which is made what it should be by itself, or is so already;
 * the others are put back as links to it. */

static bool is_follower(const struct st_wish *w)
{
  return (w->target.known & ST_KNOWN_LINKS) && w->target.links &&
         strcmp(w->target.links, w->path) != 0;
}

/* Whether what stands there may stay although its group is another: it has no other links that the
 * plan knows of, or they all go, and it is the first of them. */
static bool keeps_inode(const struct planner *p, const struct st_wish *w)
{
  if (is_follower(w))
    return false;
  if (!w->live.links)
    return true;
  return strcmp(w->live.links, w->path) == 0 && !p->options->partial &&
         !st_set_get(p->staying, w->path, strlen(w->path), NULL);
}

static void note_staying(const struct planner *p, const struct st_wish *w, const struct verdict *v)
{
  if (w->live.links && !is_act(v, ST_ACTION_DELETE))
    st_set_add(p->staying, w->live.links, strlen(w->live.links), 0);
}

/* ---- What is known of the target --------------------------------------------------------------
 */

static void resolve_acls(const struct planner *p, struct st_state *s)
{
  struct st_xattr_names names = {p->world->arg, p->world->uid, p->world->gid, NULL};
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  if (!s->xattrs)
    return;
  if (p->options->numeric)
    names = (struct st_xattr_names){0};
  st_xattrs_resolve(s->xattrs, s->xattrs_length, &names, &list);
  st_state_set_xattrs(s, list.data, list.length);
}

/* Owners by name where the name exists on the target, by number otherwise. */
static void resolve_owners(const struct planner *p, struct st_state *s)
{
  const struct st_plan_world *world = p->world;
  uint32_t id;
  resolve_acls(p, s);
  if (p->options->numeric) {
    free(st_steal(&s->owner));
    free(st_steal(&s->group));
  }
  if (s->owner && world->uid(world->arg, s->owner, &id))
    s->uid = id;
  if (s->group && world->gid(world->arg, s->group, &id))
    s->gid = id;
}

/* What the target does not know stays as it is. */
static void complete(struct st_state *target, const struct st_state *live)
{
  unsigned missing = live->known & ~target->known;
  if (missing & ST_KNOWN_MODE)
    target->mode = live->mode;
  if (missing & ST_KNOWN_OWNER)
    target->uid = live->uid;
  if (missing & ST_KNOWN_GROUP)
    target->gid = live->gid;
  target->known |= missing & (ST_KNOWN_MODE | ST_KNOWN_OWNER | ST_KNOWN_GROUP);
  if (target->type != live->type)
    return;
  if (missing & ST_KNOWN_XATTRS)
    st_state_set_xattrs(target, live->xattrs, live->xattrs_length);
  if (missing & ST_KNOWN_FLAGS)
    target->flags = live->flags;
  target->known |= missing & ST_KNOWN_FLAGS;
}

/* ---- What is to be done ---------------------------------------------------------------------- */

static void decide_deletion(const struct planner *p, const struct st_wish *w, struct verdict *v)
{
  if (!p->options->exact) {
    v->what = LEFT;
    return;
  }
  bool intended;
  char *why = p->world->forbidden(p->world->arg, w->path, w->live.type == 'd', true, &intended);
  if (why)
    say(v, intended ? NOTE : CANNOT, why);
  else
    act(v, ST_ACTION_DELETE);
}

/* Why its content cannot be had; NULL: it can, or is not needed. */
static const char *no_content(const struct st_wish *w, unsigned d)
{
  const struct st_state *t = &w->target;
  if (t->type != 'f' || !(d & ST_DIFFERS_CONTENTS))
    return NULL; /* where there is only another group or other holes, it is that of now */
  if (t->locked)
    return "it is a secret of another host: --recovery-key opens it";
  return t->kept ? NULL : "its content is not kept";
}

static const char *impossible(const struct st_wish *w, unsigned d)
{
  const struct st_state *t = &w->target;
  const char *why = is_follower(w) ? NULL : no_content(w, d);
  if (why)
    return why;
  if ((d & ST_DIFFERS_TYPE) && (t->known & 7) != (ST_KNOWN_MODE | ST_KNOWN_OWNER | ST_KNOWN_GROUP))
    return "its owner and mode were not recorded";
  if (t->type == 'l' && (d & ST_DIFFERS_CONTENTS) && !(t->target && *t->target))
    return "its target was not recorded";
  return NULL;
}

static void decide_change(const struct planner *p, struct st_wish *w, struct verdict *v)
{
  unsigned d = st_state_differences(&w->target, &w->live);
  if ((d & ST_DIFFERS_LINKS) && keeps_inode(p, w))
    d &= ~(unsigned)ST_DIFFERS_LINKS;
  if (d == 0)
    return;
  bool intended;
  char *why = p->world->forbidden(p->world->arg, w->path, w->target.type == 'd', false, &intended);
  if (why) {
    say(v, intended ? NOTE : CANNOT, why);
    return;
  }
  if (w->target.type == 's') {
    say(v, NOTE, st_strdup("sockets are not restored: who listens makes them"));
    return;
  }
  complete(&w->target, &w->live);
  const char *cannot = impossible(w, d);
  if (cannot)
    say(v, CANNOT, st_strdup(cannot));
  else if (w->live.type == 0)
    act(v, ST_ACTION_CREATE);
  else
    act(v, d & ST_DIFFERS_SUBSTANCE ? ST_ACTION_REPLACE : ST_ACTION_METADATA);
}

/* Deletions first (`gone`): whether a group can keep its inode depends on them. */
static void decide(const struct planner *p, struct st_wish *w, struct verdict *v, bool gone)
{
  if ((w->target.type == 0) != gone)
    return;
  resolve_owners(p, &w->target);
  if (w->selected && !gone)
    decide_change(p, w, v);
  else if (w->selected && w->live.type != 0)
    decide_deletion(p, w, v);
  if (gone || !w->selected)
    note_staying(p, w, v);
}

/* ---- Directories that go --------------------------------------------------------------------- */

static char *join(const char *directory, const char *name)
{
  return st_format("%s/%s", strcmp(directory, "/") == 0 ? "" : directory, name);
}

/* The first name in the live directory that the plan does not delete, as a path; NULL: none. */
static int find_remaining(const struct planner *p, const char *path, char **ret,
                          struct st_error *err)
{
  ST_AUTO_STRINGS names = {0};
  if (p->world->children(p->world->arg, path, &names, err) < 0)
    return -1;
  for (size_t i = 0; i < names.count; i++) {
    ST_AUTO_FREE char *child = join(path, names.items[i]);
    size_t found = st_wishes_index(p->wishes, child);
    if (found == SIZE_MAX || !is_act(&p->verdicts[found], ST_ACTION_DELETE)) {
      *ret = st_steal(&child);
      return 0;
    }
  }
  return 0;
}

static int settle_directory(const struct planner *p, const struct st_wish *w, struct verdict *v,
                            struct st_error *err)
{
  bool goes =
      is_act(v, ST_ACTION_DELETE) || (is_act(v, ST_ACTION_REPLACE) && w->target.type != 'd');
  if (!goes || w->live.type != 'd')
    return 0;
  ST_AUTO_FREE char *remaining = NULL;
  if (find_remaining(p, w->path, &remaining, err) < 0)
    return -1;
  if (!remaining)
    return 0;
  if (v->kind == ST_ACTION_DELETE)
    say(v, CANNOT, st_format("the directory still holds %s", st_quote(remaining)));
  else if (!p->options->exact)
    say(v, CANNOT,
        st_format("it is a directory now that holds %s: --exact would delete it",
                  st_quote(remaining)));
  else
    say(v, CANNOT, st_format("it is a directory now that still holds %s", st_quote(remaining)));
  return 0;
}

/* ---- Directories above ----------------------------------------------------------------------- */

/* Whether the directory above the wish will be there; decides to make one where it is needed. */
static bool has_parent(const struct planner *p, const char *path, char **ret_parent)
{
  const char *slash = strrchr(path, '/');
  if (!slash || slash == path)
    return true;
  ST_AUTO_FREE char *parent = st_memdup(path, (size_t)(slash - path));
  size_t found = st_wishes_index(p->wishes, parent);
  bool there = true;
  if (found != SIZE_MAX) {
    struct st_wish *w = p->wishes->items[found];
    struct verdict *v = &p->verdicts[found];
    if (!w->selected && w->live.type == 0 && w->target.type == 'd' && v->what == NOTHING) {
      decide_change(p, w, v);
      if (v->what == DO && !has_parent(p, parent, ret_parent))
        say(v, CANNOT, st_strdup("the directory above it is missing"));
    }
    bool made = v->what == DO && v->kind != ST_ACTION_DELETE;
    there = made ? w->target.type == 'd' : w->live.type == 'd' && v->what != DO;
  }
  if (!there && !*ret_parent)
    *ret_parent = st_steal(&parent);
  return there;
}

/* Most share their directory, which is there or will be, with the one before. */
static bool shares_parent(const struct planner *p, const char *path)
{
  const char *slash = strrchr(path, '/');
  size_t n = slash ? (size_t)(slash - path) : 0;
  return n > 0 && p->parent && n == p->parent_length && memcmp(path, p->parent, n) == 0;
}

static void settle_parent(struct planner *p, const struct st_wish *w, struct verdict *v)
{
  if (v->what != DO || v->kind == ST_ACTION_DELETE || shares_parent(p, w->path))
    return;
  ST_AUTO_FREE char *missing = NULL;
  bool there = has_parent(p, w->path, &missing);
  const char *slash = strrchr(w->path, '/');
  p->parent = there ? w->path : NULL;
  p->parent_length = slash ? (size_t)(slash - w->path) : 0;
  if (!there)
    say(v, CANNOT,
        st_format("%s is not a directory now, and is not made one",
                  st_quote(missing ? missing : w->path)));
}

/* ---- Hard links: to what -----------------------------------------------------------------------
 */

/* Whether what others are linked to is, or is going to be, as it should. */
static bool serves(const struct planner *p, const char *path)
{
  size_t found = st_wishes_index(p->wishes, path);
  if (found == SIZE_MAX)
    return true; /* nothing differs there */
  const struct st_wish *w = p->wishes->items[found];
  const struct verdict *v = &p->verdicts[found];
  if (w->target.type == 0 || w->target.type == 'd')
    return false;
  if (w->selected)
    return v->what == NOTHING || v->what == DO;
  return !(st_state_differences(&w->target, &w->live) & ~(unsigned)ST_DIFFERS_LINKS);
}

static void settle_links(const struct planner *p, struct st_wish *w, struct verdict *v)
{
  bool made = is_act(v, ST_ACTION_CREATE) || is_act(v, ST_ACTION_REPLACE);
  if (!made || w->target.type == 'd' || !is_follower(w))
    return;
  if (serves(p, w->target.links)) {
    free(w->target.linked_to);
    w->target.linked_to = st_strdup(w->target.links);
    return;
  }
  unsigned d = st_state_differences(&w->target, &w->live);
  const char *why = no_content(w, d);
  if (why)
    say(v, CANNOT, st_strdup(why));
  else if (!(d & ~(unsigned)ST_DIFFERS_LINKS))
    say(v, CANNOT,
        st_format("it cannot be linked to %s, which is not as it was then",
                  st_quote(w->target.links)));
}

/* ---- The order ------------------------------------------------------------------------------- */

static void hand_over(const struct planner *p, size_t i, struct st_actions *ret)
{
  struct verdict *v = &p->verdicts[i];
  struct st_wish *w = p->wishes->items[i];
  enum st_action_kind kind = v->what == NOTE     ? ST_ACTION_NOTE
                             : v->what == CANNOT ? ST_ACTION_CANNOT
                                                 : v->kind;
  bool last = p->wishes->last;
  struct st_action *a = take_action(ret, kind, last ? st_steal(&w->path) : st_strdup(w->path));
  a->why = st_steal(&v->why);
  v->what = NOTHING; /* any more */
  if (last) {
    a->before = w->live;
    a->after = w->target;
    p->wishes->items[i] = NULL; /* nothing is left of it */
    return;
  }
  st_state_copy(&a->before, &w->live);
  st_state_copy(&a->after, &w->target);
}

/* Files of accounts, and the directories that have to be made for them; the others; links. */
static int turn_of(const struct st_wish *w)
{
  if (w->target.linked_to)
    return 2;
  return st_is_account_file(w->path) || (strcmp(w->path, "/etc") == 0 && w->target.type == 'd') ? 0
                                                                                                : 1;
}

static void put_in_order(const struct planner *p, struct st_actions *ret)
{
  size_t n = p->wishes->count, said = 0;
  for (size_t i = 0; i < n; i++) {
    struct verdict *v = &p->verdicts[i];
    said += v->what > LEFT;
    if (v->what == DO && v->kind != ST_ACTION_DELETE)
      v->turn = turn_of(p->wishes->items[i]);
  }
  st_actions_reserve(ret, said);
  for (size_t i = n; i-- > 0;) {
    if (is_act(&p->verdicts[i], ST_ACTION_DELETE))
      hand_over(p, i, ret);
  }
  for (int turn = 0; turn < 3; turn++) {
    for (size_t i = 0; i < n; i++) {
      const struct verdict *v = &p->verdicts[i];
      if (v->what == DO && v->kind != ST_ACTION_DELETE && v->turn == turn)
        hand_over(p, i, ret);
    }
  }
  for (size_t i = 0; i < n; i++) {
    if (p->verdicts[i].what == NOTE || p->verdicts[i].what == CANNOT)
      hand_over(p, i, ret);
    ret->left += p->verdicts[i].what == LEFT;
  }
}

static int settle(struct planner *p, struct st_error *err)
{
  struct st_wish **items = p->wishes->items;
  size_t n = p->wishes->count;
  for (size_t i = 0; i < n; i++)
    decide(p, items[i], &p->verdicts[i], true);
  for (size_t i = 0; i < n; i++)
    decide(p, items[i], &p->verdicts[i], false);
  /* Children sort after their directory: from the end, they are settled before it. */
  for (size_t i = n; i-- > 0;) {
    if (settle_directory(p, items[i], &p->verdicts[i], err) < 0)
      return -1;
  }
  for (size_t i = 0; i < n; i++)
    settle_parent(p, items[i], &p->verdicts[i]);
  for (size_t i = 0; i < n; i++)
    settle_links(p, items[i], &p->verdicts[i]);
  return 0;
}

int st_restore_plan(struct st_wishes *wishes, const struct st_plan_options *options,
                    const struct st_plan_world *world, struct st_actions *ret, struct st_error *err)
{
  ST_CLEANUP(st_set_freep) struct st_set *staying = st_set_new();
  struct planner p = {.wishes = wishes,
                      .verdicts = st_calloc(wishes->count + 1, sizeof(struct verdict)),
                      .options = options,
                      .world = world,
                      .staying = staying};
  int r = settle(&p, err);
  if (r == 0)
    put_in_order(&p, ret);
  for (size_t i = 0; i < wishes->count; i++)
    free(p.verdicts[i].why);
  free(p.verdicts);
  return r;
}
