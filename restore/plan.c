/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/plan.h"

#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/xattr.h"

#define BLOCK 1024 /* actions that are given memory at once */

void st_action_clear(struct st_action *a)
{
  free(a->path);
  free(a->why);
  st_state_clear(&a->before);
  st_state_clear(&a->after);
}

static struct st_action *new_action(struct st_action_blocks *b)
{
  if (b->count == 0 || b->used == BLOCK) {
    b->items = st_realloc(b->items, b->count + 1, sizeof(*b->items));
    b->items[b->count++] = st_malloc(BLOCK * sizeof(**b->items));
    b->used = 0;
  }
  return &b->items[b->count - 1][b->used++];
}

/* Those of `from` become theirs. */
static void append_blocks(struct st_action_blocks *b, struct st_action_blocks *from)
{
  if (from->count == 0)
    return;
  b->items = st_realloc(b->items, b->count + from->count, sizeof(*b->items));
  memcpy(&b->items[b->count], from->items, from->count * sizeof(*b->items));
  b->count += from->count;
  b->used = from->used;
  free(from->items);
  *from = (struct st_action_blocks){0};
}

static void free_blocks(struct st_action_blocks *b)
{
  for (size_t i = 0; i < b->count; i++)
    free(b->items[i]);
  free(b->items);
}

/* ---- Wishes ---------------------------------------------------------------------------------- */

void st_wishes_free(struct st_wishes *w)
{
  for (size_t i = 0; i < w->count; i++)
    st_action_clear(w->items[i]);
  free_blocks(&w->blocks);
  free(w->items);
  *w = (struct st_wishes){0};
}

/* Whether that path comes behind the last one. */
static bool ascends(const struct st_wishes *w, const char *path)
{
  return w->count == 0 || strcmp(w->items[w->count - 1]->path, path) < 0;
}

struct st_action *st_wishes_take(struct st_wishes *w, char *path, bool selected)
{
  if (w->count == w->size) {
    w->size = w->size ? 2 * w->size : 64;
    w->items = st_realloc(w->items, w->size, sizeof(struct st_action *));
  }
  w->unsorted |= !ascends(w, path);
  struct st_action *wish = w->items[w->count++] = new_action(&w->blocks);
  *wish = (struct st_action){.path = path, .selected = selected};
  return wish;
}

struct st_action *st_wishes_add(struct st_wishes *w, const char *path, bool selected)
{
  return st_wishes_take(w, st_strdup(path), selected);
}

void st_wishes_append(struct st_wishes *w, struct st_wishes *from)
{
  if (from->count == 0)
    return;
  w->unsorted |= from->unsorted || !ascends(w, from->items[0]->path);
  w->size = w->count + from->count;
  w->items = st_realloc(w->items, w->size, sizeof(struct st_action *));
  memcpy(&w->items[w->count], from->items, from->count * sizeof(struct st_action *));
  append_blocks(&w->blocks, &from->blocks);
  w->count = w->size;
  from->count = 0;
  st_wishes_free(from);
}

static int compare_wishes(const void *a, const void *b)
{
  const struct st_action *x = *(struct st_action *const *)a, *y = *(struct st_action *const *)b;
  int c = strcmp(x->path, y->path);
  return c ? c : (int)y->selected - (int)x->selected;
}

void st_wishes_sort(struct st_wishes *w)
{
  if (!w->unsorted)
    return;
  qsort(w->items, w->count, sizeof(struct st_action *), compare_wishes);
  w->unsorted = false;
  size_t kept = 1;
  for (size_t i = 1; i < w->count; i++) {
    if (strcmp(w->items[i]->path, w->items[kept - 1]->path) != 0)
      w->items[kept++] = w->items[i];
    else
      st_action_clear(w->items[i]);
  }
  w->count = kept;
}

static int compare_path_to_wish(const void *key, const void *item)
{
  return strcmp(key, (*(struct st_action *const *)item)->path);
}

size_t st_wishes_index(const struct st_wishes *w, const char *path)
{
  struct st_action **found =
      w->count == 0
          ? NULL
          : bsearch(path, w->items, w->count, sizeof(struct st_action *), compare_path_to_wish);
  return found ? (size_t)(found - w->items) : SIZE_MAX;
}

struct st_action *st_wishes_find(const struct st_wishes *w, const char *path)
{
  size_t i = st_wishes_index(w, path);
  return i == SIZE_MAX ? NULL : w->items[i];
}

/* ---- Actions --------------------------------------------------------------------------------- */

void st_actions_free(struct st_actions *a)
{
  for (size_t i = 0; i < a->count; i++)
    st_action_clear(a->items[i]);
  free_blocks(&a->blocks);
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

void st_actions_move(struct st_actions *a, const struct st_action *other)
{
  if (a->count == a->size)
    st_actions_reserve(a, a->size ? a->size : 64);
  struct st_action *action = a->items[a->count++] = new_action(&a->blocks);
  *action = *other;
}

struct st_action *st_actions_add(struct st_actions *a, enum st_action_kind kind, const char *path)
{
  const struct st_action action = {.kind = kind, .path = st_strdup(path)};
  st_actions_move(a, &action);
  return a->items[a->count - 1];
}

size_t st_actions_count(const struct st_actions *a, enum st_action_kind kind)
{
  size_t n = 0;
  for (size_t i = 0; i < a->count; i++)
    n += a->items[i]->kind == kind;
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
enum { NOTHING, LEFT, DO, NOTE, CANNOT };
struct verdict {
  uint8_t what; /* why, of NOTE and CANNOT, is said with the wish */
  uint8_t kind; /* of DO: enum st_action_kind */
  uint8_t turn; /* along with it */
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

static void say(struct st_action *w, struct verdict *v, uint8_t what, char *why)
{
  free(w->why);
  w->why = why;
  *v = (struct verdict){.what = what};
}

static void act(struct verdict *v, enum st_action_kind kind)
{
  *v = (struct verdict){.what = DO, .kind = (uint8_t)kind};
}

static bool is_act(const struct verdict *v, enum st_action_kind kind)
{
  return v->what == DO && v->kind == kind;
}

/* ---- Hard links: what becomes of one of several -------------------------------------------------
 *
 * A group is named by its first path, which is made what it should be by itself, or is so already;
 * the others are put back as links to it. */

static bool is_follower(const struct st_action *w)
{
  return (w->after.known & ST_KNOWN_LINKS) && w->after.links &&
         strcmp(w->after.links, w->path) != 0;
}

/* Whether what stands there may stay although its group is another: it has no other links that the
 * plan knows of, or they all go, and it is the first of them. */
static bool keeps_inode(const struct planner *p, const struct st_action *w)
{
  if (is_follower(w))
    return false;
  if (!w->before.links)
    return true;
  return strcmp(w->before.links, w->path) == 0 && !p->options->partial &&
         !st_set_get(p->staying, w->path, strlen(w->path), NULL);
}

static void note_staying(const struct planner *p, const struct st_action *w,
                         const struct verdict *v)
{
  if (w->before.links && !is_act(v, ST_ACTION_DELETE))
    st_set_add(p->staying, w->before.links, strlen(w->before.links), 0);
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

static void decide_deletion(const struct planner *p, struct st_action *w, struct verdict *v)
{
  if (!p->options->exact) {
    v->what = LEFT;
    return;
  }
  bool intended;
  char *why = p->world->forbidden(p->world->arg, w->path, w->before.type == 'd', true, &intended);
  if (why)
    say(w, v, intended ? NOTE : CANNOT, why);
  else
    act(v, ST_ACTION_DELETE);
}

/* Why its content cannot be had; NULL: it can, or is not needed. */
static const char *no_content(const struct st_action *w, unsigned d)
{
  const struct st_state *t = &w->after;
  if (t->type != 'f' || !(d & ST_DIFFERS_CONTENTS))
    return NULL; /* where there is only another group or other holes, it is that of now */
  if (t->locked)
    return "it is a secret of another host: --recovery-key opens it";
  return t->kept ? NULL : "its content is not kept";
}

static const char *impossible(const struct st_action *w, unsigned d)
{
  const struct st_state *t = &w->after;
  const char *why = is_follower(w) ? NULL : no_content(w, d);
  if (why)
    return why;
  if ((d & ST_DIFFERS_TYPE) && (t->known & 7) != (ST_KNOWN_MODE | ST_KNOWN_OWNER | ST_KNOWN_GROUP))
    return "its owner and mode were not recorded";
  if (t->type == 'l' && (d & ST_DIFFERS_CONTENTS) && !(t->target && *t->target))
    return "its target was not recorded";
  return NULL;
}

static void decide_change(const struct planner *p, struct st_action *w, struct verdict *v)
{
  unsigned d = st_state_differences(&w->after, &w->before);
  if ((d & ST_DIFFERS_LINKS) && keeps_inode(p, w))
    d &= ~(unsigned)ST_DIFFERS_LINKS;
  if (d == 0)
    return;
  bool intended;
  char *why = p->world->forbidden(p->world->arg, w->path, w->after.type == 'd', false, &intended);
  if (why) {
    say(w, v, intended ? NOTE : CANNOT, why);
    return;
  }
  if (w->after.type == 's') {
    say(w, v, NOTE, st_strdup("sockets are not restored: who listens makes them"));
    return;
  }
  complete(&w->after, &w->before);
  const char *cannot = impossible(w, d);
  if (cannot)
    say(w, v, CANNOT, st_strdup(cannot));
  else if (w->before.type == 0)
    act(v, ST_ACTION_CREATE);
  else
    act(v, d & ST_DIFFERS_SUBSTANCE ? ST_ACTION_REPLACE : ST_ACTION_METADATA);
}

/* Deletions first (`gone`): whether a group can keep its inode depends on them. */
static void decide(const struct planner *p, struct st_action *w, struct verdict *v, bool gone)
{
  if ((w->after.type == 0) != gone)
    return;
  resolve_owners(p, &w->after);
  if (w->selected && !gone)
    decide_change(p, w, v);
  else if (w->selected && w->before.type != 0)
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

static int settle_directory(const struct planner *p, struct st_action *w, struct verdict *v,
                            struct st_error *err)
{
  bool goes = is_act(v, ST_ACTION_DELETE) || (is_act(v, ST_ACTION_REPLACE) && w->after.type != 'd');
  if (!goes || w->before.type != 'd')
    return 0;
  ST_AUTO_FREE char *remaining = NULL;
  if (find_remaining(p, w->path, &remaining, err) < 0)
    return -1;
  if (!remaining)
    return 0;
  if (v->kind == ST_ACTION_DELETE)
    say(w, v, CANNOT, st_format("the directory still holds %s", st_quote(remaining)));
  else if (!p->options->exact)
    say(w, v, CANNOT,
        st_format("it is a directory now that holds %s: --exact would delete it",
                  st_quote(remaining)));
  else
    say(w, v, CANNOT, st_format("it is a directory now that still holds %s", st_quote(remaining)));
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
    struct st_action *w = p->wishes->items[found];
    struct verdict *v = &p->verdicts[found];
    if (!w->selected && w->before.type == 0 && w->after.type == 'd' && v->what == NOTHING) {
      decide_change(p, w, v);
      if (v->what == DO && !has_parent(p, parent, ret_parent))
        say(w, v, CANNOT, st_strdup("the directory above it is missing"));
    }
    bool made = v->what == DO && v->kind != ST_ACTION_DELETE;
    there = made ? w->after.type == 'd' : w->before.type == 'd' && v->what != DO;
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

static void settle_parent(struct planner *p, struct st_action *w, struct verdict *v)
{
  if (v->what != DO || v->kind == ST_ACTION_DELETE || shares_parent(p, w->path))
    return;
  ST_AUTO_FREE char *missing = NULL;
  bool there = has_parent(p, w->path, &missing);
  const char *slash = strrchr(w->path, '/');
  p->parent = there ? w->path : NULL;
  p->parent_length = slash ? (size_t)(slash - w->path) : 0;
  if (!there)
    say(w, v, CANNOT,
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
  const struct st_action *w = p->wishes->items[found];
  const struct verdict *v = &p->verdicts[found];
  if (w->after.type == 0 || w->after.type == 'd')
    return false;
  if (w->selected)
    return v->what == NOTHING || v->what == DO;
  return !(st_state_differences(&w->after, &w->before) & ~(unsigned)ST_DIFFERS_LINKS);
}

static void settle_links(const struct planner *p, struct st_action *w, struct verdict *v)
{
  bool made = is_act(v, ST_ACTION_CREATE) || is_act(v, ST_ACTION_REPLACE);
  if (!made || w->after.type == 'd' || !is_follower(w))
    return;
  if (serves(p, w->after.links)) {
    free(w->after.linked_to);
    w->after.linked_to = st_strdup(w->after.links);
    return;
  }
  unsigned d = st_state_differences(&w->after, &w->before);
  const char *why = no_content(w, d);
  if (why)
    say(w, v, CANNOT, st_strdup(why));
  else if (!(d & ~(unsigned)ST_DIFFERS_LINKS))
    say(w, v, CANNOT,
        st_format("it cannot be linked to %s, which is not as it was then",
                  st_quote(w->after.links)));
}

/* ---- The order ------------------------------------------------------------------------------- */

static enum st_action_kind kind_of(const struct verdict *v)
{
  return v->what == NOTE     ? ST_ACTION_NOTE
         : v->what == CANNOT ? ST_ACTION_CANNOT
                             : (enum st_action_kind)v->kind;
}

/* The wish becomes the action, where nobody needs it any more. */
static void hand_over(const struct planner *p, size_t i, struct st_actions *ret)
{
  struct st_action *w = p->wishes->items[i];
  enum st_action_kind kind = kind_of(&p->verdicts[i]);
  if (p->wishes->last) {
    w->kind = kind;
    ret->items[ret->count++] = w;
    return;
  }
  struct st_action *a = st_actions_add(ret, kind, w->path);
  a->why = st_steal(&w->why);
  st_state_copy(&a->before, &w->before);
  st_state_copy(&a->after, &w->after);
}

/* What the wishes were given, and those that became no actions. */
static void hand_over_rest(const struct planner *p, struct st_actions *ret)
{
  struct st_wishes *wishes = p->wishes;
  for (size_t i = 0; i < wishes->count; i++) {
    if (p->verdicts[i].what <= LEFT)
      st_action_clear(wishes->items[i]);
  }
  append_blocks(&ret->blocks, &wishes->blocks);
  wishes->count = 0;
}

/* Files of accounts, and the directories that have to be made for them; the others; links. */
static uint8_t turn_of(const struct st_action *w)
{
  if (w->after.linked_to)
    return 2;
  return st_is_account_file(w->path) || (strcmp(w->path, "/etc") == 0 && w->after.type == 'd') ? 0
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
  if (p->wishes->last)
    hand_over_rest(p, ret);
}

static int settle(struct planner *p, struct st_error *err)
{
  struct st_action **items = p->wishes->items;
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
  free(p.verdicts);
  return r;
}
