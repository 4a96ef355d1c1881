/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * visit.c - the walk's first part: all threads stat.
 *
 * A directory is held open while what is in it is looked at: no path is resolved twice, none is too
 * long, and no symlink is followed.  One whose own stat data are those of the index, and settled,
 * need not be listed again: what is in it is known by name, and is asked for by that.  What is as
 * the index says costs a statx(2) and a comparison.
 */
#include "systracker/scan/visit.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statfs.h>

#include "systracker/base/file.h"
#include "systracker/scan/links.h"
#include "systracker/scan/list.h"
#include "systracker/scan/metadata.h"

/* A name in the directory at hand. */
struct given {
  const char *name;  /* as the index has it: of a root, its path */
  uint32_t order;    /* counted from 1 */
  uint32_t at;       /* records of the old directory before it */
  bool known;        /* the record at `at` is its own */
  bool listed;       /* the directory was listed: the name was there a moment ago */
  uint32_t position; /* of the directory that it was, or ST_INDEX_NONE */
};

static const struct st_index_record *old_record(const struct st_visitor *v, const struct given *g)
{
  return g->known ? &v->old.records[g->at] : NULL;
}

/* The directory's own is put together once for names in a row. */
static const char *path_of(struct st_visitor *v, const struct st_node *n, const char *name)
{
  if (v->path_of != n) {
    st_node_path(n, "", &v->path);
    v->path_of = n;
    v->path_length = v->path.length;
  }
  v->path.length = v->path_length;
  if (*name && v->path.length > 0 && v->path.data[v->path.length - 1] != '/')
    st_buffer_append_byte(&v->path, '/');
  st_buffer_append_string(&v->path, name);
  return v->path.data;
}

/* ---- What differs from the index ------------------------------------------------------------- */

/* Of the name at hand; the record is what the entry says, or goes. */
static struct st_seen *add_seen(struct st_visitor *v, const struct given *g)
{
  if (v->nseen == v->size_seen) {
    v->size_seen = v->size_seen ? 2 * v->size_seen : 64;
    v->seen = st_realloc(v->seen, v->size_seen, sizeof(*v->seen));
  }
  struct st_seen *s = &v->seen[v->nseen++];
  *s = (struct st_seen){.name = g->name, .at = g->at, .known = g->known, .item = SIZE_MAX};
  return s;
}

/* A directory that the next index has, whether it is entered now or not. */
static struct st_inner *add_inner(struct st_visitor *v, const struct given *g)
{
  if (v->ninner == v->size_inner) {
    v->size_inner = v->size_inner ? 2 * v->size_inner : 64;
    v->inner = st_realloc(v->inner, v->size_inner, sizeof(*v->inner));
  }
  struct st_inner *i = &v->inner[v->ninner++];
  *i = (struct st_inner){.name = g->name,
                         .order = g->order,
                         .position = g->position,
                         .record = g->known ? g->at : ST_INDEX_NONE,
                         .fd = -1};
  return i;
}

static void note_unobserved(struct st_node *n, const struct given *g, int code, const char *why)
{
  struct st_item *item = st_node_note(n, ST_ITEM_UNOBSERVED, g->order);
  item->name = st_strdup(g->name);
  item->code = code;
  item->why = why;
}

/* What is known of it, and of all below, stands. */
static void keep(struct st_visitor *v, const struct given *g)
{
  const struct st_index_record *old = old_record(v, g);
  if (old && (old->flags & ST_INDEX_ENTERED))
    add_inner(v, g);
}

static void not_seen(struct st_visitor *v, struct st_node *n, const struct given *g, int code,
                     const char *why)
{
  keep(v, g);
  note_unobserved(n, g, code, why);
  n->incomplete |= !g->known; /* the name is not in the index, and has to be listed again */
}

/* ---- What is gone ---------------------------------------------------------------------------- */

/* A mount that is missing may have taken its folder along, as automounters do.  1: the path is
 * such a one; 2: one lies below it. */
static int is_absent_mount(const struct st_visitor *v, const char *path)
{
  int r = 0;
  for (size_t i = 0; i < v->w->absent.count; i++) {
    const char *mount = v->w->absent.items[i];
    if (strcmp(mount, path) == 0)
      return 1;
    if (st_path_below(mount, path))
      r = 2;
  }
  return r;
}

static void lost(struct st_visitor *v, struct st_node *n, const struct given *g)
{
  int mount = is_absent_mount(v, path_of(v, n, g->name));
  if (mount == 1)
    keep(v, g);
  if (mount == 2)
    not_seen(v, n, g, 0, "something below it was not seen");
  if (mount)
    return;
  add_seen(v, g)->gone = true;
  if (v->w->o->current)
    st_node_note(n, ST_ITEM_GONE, g->order)->name = st_strdup(g->name);
}

/* Between listing and looking: no error. */
static void vanished(struct st_visitor *v, struct st_node *n, const struct given *g)
{
  v->result.vanished += g->known || g->listed;
  if (g->known)
    lost(v, n, g);
}

/* ---- Mounts ---------------------------------------------------------------------------------- */

static bool is_mount(const struct st_node *n, const struct st_meta *m)
{
  return m->mount_id != 0 && n->mount_id != 0 && m->mount_id != n->mount_id;
}

/* In the checkpoint before.  Last names first: paths are not made for each directory. */
static bool was_mounted(struct st_visitor *v, const struct st_node *n, const char *name)
{
  const struct st_strings *mounts = v->w->o->mounts;
  for (size_t i = 0; mounts && i < mounts->count; i++) {
    const char *last = strrchr(mounts->items[i], '/'), *own = strrchr(name, '/');
    if (last && strcmp(last + 1, own ? own + 1 : name) == 0 &&
        strcmp(path_of(v, n, name), mounts->items[i]) == 0)
      return true;
  }
  return false;
}

/* Whether what is mounted there is to be entered. */
static bool tell_mount(struct st_visitor *v, struct st_node *n, const struct given *g,
                       const struct st_meta *m)
{
  bool entered = st_scope_names(v->w->o->scope, path_of(v, n, g->name));
  struct st_item *item = st_node_note(n, ST_ITEM_MOUNT, g->order);
  item->name = st_strdup(g->name);
  item->mount_id = m->mount_id;
  item->entered = entered;
  return entered;
}

/* ---- Directories within ---------------------------------------------------------------------- */

static bool holds_something(const struct st_visitor *v, uint32_t position)
{
  struct st_index_dir dir;
  return st_index_dir(v->w->o->index, position, &dir) && dir.count > 0;
}

/* A directory in the one at hand.  Whether its record has to say that the index knows it. */
static bool enter(struct st_visitor *v, struct st_node *n, const struct given *g,
                  const struct st_meta *m, bool unchanged)
{
  const char *why = n->depth >= ST_DEEPEST ? "too deep" : NULL;
  if (is_mount(n, m) && !tell_mount(v, n, g, m)) {
    /* A file system lies there that no rule names: what was known below it stands. */
    if (g->position == ST_INDEX_NONE)
      return false;
    if (holds_something(v, g->position))
      note_unobserved(n, g, 0, "another file system is mounted there, and no rule names it");
    add_inner(v, g);
    return true;
  }
  struct st_inner *inner = add_inner(v, g);
  inner->entered = !why;
  inner->unchanged = unchanged;
  inner->mount_id = m->mount_id;
  if (why)
    note_unobserved(n, g, 0, why);
  return true;
}

/* ---- Entries --------------------------------------------------------------------------------- */

/* Whether the index alone answers for the entry. */
static bool is_unchanged(struct st_visitor *v, const struct st_node *n, const struct given *g,
                         const struct st_meta *m)
{
  const struct st_walk_options *o = v->w->o;
  const struct st_walk_callbacks *cb = v->w->cb;
  const struct st_index_record *old = old_record(v, g);
  if (!o->current || o->elsewhere || o->full || !old || (old->flags & ST_INDEX_UNSETTLED) ||
      !st_index_same(old, m))
    return false;
  if (m->type == 'd' && !(old->flags & ST_INDEX_ENTERED) && !is_mount(n, m))
    return false;
  return !cb->forced || !cb->forced(cb->arg, path_of(v, n, g->name));
}

static bool digests_good(struct st_visitor *v)
{
  if (!v->proved)
    v->digests_good = v->old.ndigests > 0 && st_index_digests_good(&v->old);
  v->proved = true;
  return v->digests_good;
}

/* Whether the index says of the name what statx(2) says now, of an entry that has nothing more. */
static bool may_be_as_known(const struct st_visitor *v, const struct st_node *n,
                            const struct given *g, const struct st_meta *m)
{
  const struct st_walk_options *o = v->w->o;
  const struct st_index_record *old = old_record(v, g);
  if (!o->current || o->full || !o->written || !old || !(old->flags & ST_INDEX_PLAIN) ||
      (old->flags & (ST_INDEX_UNSETTLED | ST_INDEX_KEYED)) || !st_index_alike(old, m))
    return false;
  if (m->type == 'd')
    return (old->flags & ST_INDEX_ENTERED) && !is_mount(n, m) && st_is_settled(v->w, m);
  return !st_links_concern(m) && old->links == 0 && !st_meta_is_sparse(m) && st_is_settled(v->w, m);
}

/* Of a directory that was put back size and times are others: whether that concerns somebody. */
static bool matters(struct st_visitor *v, const struct st_node *n, const struct given *g,
                    const struct st_meta *m)
{
  const struct st_walk_options *o = v->w->o;
  const struct st_index_record *old = old_record(v, g);
  if (m->type != 'd' ||
      (le64toh(old->size) == m->size && le64toh(old->mtime) == (uint64_t)m->mtime &&
       le32toh(old->mtime_nsec) == m->mtime_nsec))
    return false;
  return st_scope_match(o->scope, path_of(v, n, g->name), true).plugins & ~o->timeless;
}

/* Whether this very process put it there as the checkpoint knows it: its facts stand then.  What
 * was asked of it then holds while its stat data are what they were; what the catalog knows is what
 * the index says, which the digest of a content or target goes by.  `*ret`: the next index's. */
static bool is_put_back(struct st_visitor *v, const struct st_node *n, const struct given *g,
                        const struct st_meta *m, struct st_index_entry *ret)
{
  const struct st_walk_callbacks *cb = v->w->cb;
  struct st_written_entry written;
  if (!may_be_as_known(v, n, g, m) || !st_written_find(v->w->o->written, m, &written) ||
      !written.plain)
    return false;
  st_index_read(&v->old, g->at, digests_good(v), ret);
  bool needs = m->type == 'l' || (m->type == 'f' && (ret->wanted & ~(unsigned)ST_WANT_ENTRY));
  if (needs && !((ret->flags & ST_INDEX_HAS_DIGEST) && written.has_digest &&
                 st_id_equal(&ret->digest, &written.digest)))
    return false;
  ret->meta = *m;
  return !matters(v, n, g, m) && (!cb->forced || !cb->forced(cb->arg, path_of(v, n, g->name)));
}

static void add_passed(struct st_visitor *v, struct st_node *n, const struct given *g,
                       const struct st_meta *m)
{
  if (v->npassed == v->size_passed) {
    v->size_passed = v->size_passed ? 2 * v->size_passed : 64;
    v->passed = st_realloc(v->passed, v->size_passed, sizeof(*v->passed));
  }
  v->passed[v->npassed++] =
      (struct st_passed){n, g->at, m->links, m->inode, m->device, m->mount_id};
}

static void unchanged(struct st_visitor *v, struct st_node *n, const struct given *g,
                      const struct st_meta *m)
{
  v->result.entries += !(old_record(v, g)->flags & ST_INDEX_PASSED);
  if (m->type == 'd')
    enter(v, n, g, m, true);
  else if (st_links_concern(m))
    add_passed(v, n, g, m);
}

/* The index's record gets the stat data of now, and nothing is told. */
static void put_back(struct st_visitor *v, struct st_node *n, const struct given *g,
                     const struct st_index_entry *entry)
{
  size_t s = v->nseen;
  struct st_seen *seen = add_seen(v, g);
  seen->entry = *entry;
  seen->entry.flags &= ~(unsigned)ST_INDEX_ENTERED;
  v->result.entries++;
  if (entry->meta.type == 'd' && enter(v, n, g, &entry->meta, false))
    v->seen[s].entry.flags |= ST_INDEX_ENTERED;
}

/* What was a directory is none any more. */
static void left(struct st_visitor *v, struct st_node *n, const struct given *g)
{
  const struct st_index_record *old = old_record(v, g);
  if (!old || !(old->flags & ST_INDEX_ENTERED) || !v->w->o->current)
    return;
  struct st_item *item = st_node_note(n, ST_ITEM_EMPTIED, g->order);
  item->name = st_strdup(g->name);
  item->old = g->position;
}

/* Puts the entry into the next index; its digest comes when it is looked at. */
static struct st_item *differs(struct st_visitor *v, struct st_node *n, const struct given *g,
                               const struct st_meta *m, enum st_item_kind kind, unsigned flags)
{
  size_t s = v->nseen;
  add_seen(v, g)->entry = (struct st_index_entry){.meta = *m, .flags = flags};
  struct st_item *item = st_node_note(n, kind, g->order);
  v->seen[s].item = n->nitems - 1;
  item->old = g->known ? g->at : ST_INDEX_NONE;
  item->meta = (struct st_item_meta){.size = m->size,
                                     .blocks = m->blocks,
                                     .device = m->device,
                                     .mount_id = m->mount_id,
                                     .links = m->links,
                                     .type = m->type};
  return item;
}

/* Nobody tracks it; something below it may be tracked all the same. */
static void pass(struct st_visitor *v, struct st_node *n, const struct given *g,
                 const struct st_meta *m, bool generated)
{
  const struct st_index_record *old = old_record(v, g);
  v->generated += generated;
  if (m->type != 'd' || !st_scope_enter(v->w->o->scope, v->path.data)) {
    if (old)
      lost(v, n, g);
    return;
  }
  size_t s = v->nseen;
  unsigned settled = st_is_settled(v->w, m) ? 0 : ST_INDEX_UNSETTLED;
  struct st_seen *seen = add_seen(v, g);
  seen->entry = (struct st_index_entry){.meta = *m, .flags = ST_INDEX_PASSED | settled};
  if (old && !(old->flags & ST_INDEX_PASSED)) {
    struct st_item *item = st_node_note(n, ST_ITEM_FORGET, g->order);
    item->name = st_strdup(g->name);
    v->seen[s].item = n->nitems - 1;
  }
  if (enter(v, n, g, m, false))
    v->seen[s].entry.flags |= ST_INDEX_ENTERED;
}

static void changed(struct st_visitor *v, struct st_node *n, const struct given *g,
                    const struct st_meta *m)
{
  const char *path = path_of(v, n, g->name);
  struct st_scope_verdict verdict = st_scope_match(v->w->o->scope, path, m->type == 'd');
  if (verdict.plugins == 0) {
    pass(v, n, g, m, verdict.generated);
    return;
  }
  unsigned settled = st_is_settled(v->w, m) ? 0 : ST_INDEX_UNSETTLED;
  size_t s = v->nseen;
  v->result.entries++;
  differs(v, n, g, m, ST_ITEM_LOOK, settled)->plugins = verdict.plugins;
  if (m->type != 'd')
    left(v, n, g);
  else if (enter(v, n, g, m, false))
    v->seen[s].entry.flags |= ST_INDEX_ENTERED;
}

/* `fd` and `name` lead to it. */
static int consider(struct st_visitor *v, struct st_node *n, struct given *g, int fd,
                    const char *name)
{
  struct st_meta m;
  struct st_index_entry entry;
  int e = st_meta_read(fd, name, &m);
  if (e == -ENOENT) {
    vanished(v, n, g);
  } else if (e < 0) {
    not_seen(v, n, g, -e, NULL);
  } else if (m.type == 'd' && !is_mount(n, &m) && was_mounted(v, n, g->name)) {
    not_seen(v, n, g, 0, "is not mounted");
  } else if (is_unchanged(v, n, g, &m)) {
    unchanged(v, n, g, &m);
  } else if (is_put_back(v, n, g, &m, &entry)) {
    put_back(v, n, g, &entry);
  } else {
    if (m.type == 'd' && v->w->other_roots && g->position == ST_INDEX_NONE) {
      st_index_find(v->w->o->index, path_of(v, n, g->name), &entry, &g->position);
    }
    changed(v, n, g, &m);
  }
  return e;
}

const char *st_given_name(const struct given *g)
{
  return g->name;
}

void st_visit_consider(struct st_visitor *v, struct st_node *n, struct given *g, int fd,
                       const char *name)
{
  consider(v, n, g, fd, name);
}

void st_visit_not_seen(struct st_visitor *v, struct st_node *n, const struct given *g, int code)
{
  not_seen(v, n, g, code, NULL);
}

void st_visit_keep(struct st_visitor *v, const struct given *g)
{
  keep(v, g);
}

void st_visit_absent(struct st_visitor *v, struct st_node *n, const struct given *g)
{
  if (g->known)
    lost(v, n, g);
}

/* ---- The next index's directory -------------------------------------------------------------- */

struct build {
  struct st_visitor *v;
  struct st_node *node;
  struct st_index_new *dir;
  size_t inner;
};

/* The last record was entered: which directory that is, is known by its order. */
static void link_inner(struct build *b)
{
  struct st_inner *inner = &b->v->inner[b->inner++];
  inner->record = b->dir->count - 1;
  st_index_add_link(b->dir, inner->position);
}

static void put_seen(struct build *b, const struct st_seen *s)
{
  if (s->gone)
    return;
  uint32_t record = st_index_add(b->dir, s->name, strlen(s->name), &s->entry);
  if (s->item != SIZE_MAX)
    b->node->items[s->item].record = record;
  if (s->entry.flags & ST_INDEX_ENTERED)
    link_inner(b);
}

static void put_old(struct build *b, uint32_t record)
{
  st_index_take(b->dir, &b->v->old, record, digests_good(b->v));
  if (b->v->old.records[record].flags & ST_INDEX_ENTERED)
    link_inner(b);
}

/* Of a first walk all is kept until its end: no more than it takes. */
static void reserve(struct build *b)
{
  const struct st_visitor *v = b->v;
  size_t names = 0;
  if (v->old.count > 0 || v->nseen == 0)
    return;
  for (size_t s = 0; s < v->nseen; s++)
    names += strlen(v->seen[s].name);
  st_index_reserve(b->dir, (uint32_t)v->nseen, names);
}

static void put_records(struct build *b)
{
  const struct st_visitor *v = b->v;
  size_t s = 0;
  for (uint32_t i = 0; i <= v->old.count; i++) {
    while (s < v->nseen && v->seen[s].at == i && !v->seen[s].known)
      put_seen(b, &v->seen[s++]);
    if (i == v->old.count)
      break;
    if (s < v->nseen && v->seen[s].at == i)
      put_seen(b, &v->seen[s++]);
    else
      put_old(b, i);
  }
}

static void give_names(const struct build *b)
{
  for (size_t i = 0; i < b->v->ninner; i++) {
    struct st_inner *inner = &b->v->inner[i];
    inner->name = b->dir->names.data + le32toh(b->dir->records[inner->record].name);
  }
}

/* The index's directory is written anew where something differs. */
static void build(struct st_visitor *v, struct st_node *n)
{
  struct st_index *index = v->w->o->index;
  struct build b = {v, n, st_index_new_dir(), 0};
  reserve(&b);
  put_records(&b);
  give_names(&b);
  b.dir->generated = v->generated;
  n->fresh = b.dir;
  if (n->position != ST_INDEX_NONE) {
    st_index_replace(index, n->position, b.dir);
    return;
  }
  st_index_own(index, b.dir);
  n->holder->links[n->link].fresh = b.dir;
}

/* ---- One directory --------------------------------------------------------------------------- */

void st_visit_begin(struct st_visitor *v, struct st_node *n)
{
  n->items = st_steal(&v->items);
  n->size_items = v->size_items;
  v->nseen = v->ninner = 0;
  v->generated = 0;
  v->order = 0;
  v->proved = false;
  if (!st_index_dir(v->w->o->index, n->position, &v->old))
    v->old = (struct st_index_dir){.position = ST_INDEX_NONE};
  v->next_position = n->position + 1;
}

/* The i-th record's name; the directories among them have to be asked for in order. */
static struct given given_old(struct st_visitor *v, uint32_t i)
{
  const struct st_index_record *r = &v->old.records[i];
  struct st_index_dir dir;
  struct given g = {.name = v->old.names + le32toh(r->name),
                    .order = ++v->order,
                    .at = i,
                    .known = true,
                    .position = ST_INDEX_NONE};
  if ((r->flags & ST_INDEX_ENTERED) && st_index_dir(v->w->o->index, v->next_position, &dir)) {
    g.position = v->next_position;
    v->next_position += dir.subtree;
  }
  return g;
}

static struct given given_new(struct st_visitor *v, uint32_t at, const char *name)
{
  return (struct given){.name = name, .order = ++v->order, .at = at, .position = ST_INDEX_NONE};
}

void st_visit_names(struct st_visitor *v, struct st_node *n, char *const *names, size_t count,
                    st_visit_fn *fn, void *arg)
{
  uint32_t i = 0;
  for (size_t k = 0; k < count || i < v->old.count;) {
    const char *old = i < v->old.count ? v->old.names + le32toh(v->old.records[i].name) : NULL;
    int c = !old ? -1 : k == count ? 1 : strcmp(names[k], old);
    struct given g = c < 0 ? given_new(v, i, names[k]) : given_old(v, i);
    k += c <= 0;
    i += c >= 0;
    g.listed = n->parent != NULL;
    if (c > 0)
      lost(v, n, &g);
    else
      fn(v, n, &g, arg);
  }
}

static void consider_here(struct st_visitor *v, struct st_node *n, struct given *g, void *arg)
{
  consider(v, n, g, *(int *)arg, g->name);
}

/* A directory without the right to search it has nothing that can be seen. */
static int visit_known(struct st_visitor *v, struct st_node *n)
{
  v->generated = v->old.generated;
  for (uint32_t i = 0; i < v->old.count; i++) {
    struct given g = given_old(v, i);
    if (consider(v, n, &g, n->fd, g.name) == -EACCES)
      return -EACCES;
  }
  return 0;
}

static int visit_listed(struct st_visitor *v, struct st_node *n, bool opened)
{
  ST_AUTO_CLOSE int fd = opened ? -1 : st_open_directory(n->fd, ".", O_RDONLY);
  if (!opened && fd < 0)
    return fd;
  int e = st_list_read(&v->list, opened ? n->fd : fd);
  v->result.listed++;
  if (e < 0)
    return e;
  st_visit_names(v, n, v->list.names, v->list.count, consider_here, &n->fd);
  return 0;
}

/* File systems on which a directory's times change with what is in it.  Not those that others
 * change behind our back (NFS, 9p), or of which we know too little (FUSE); nor overlayfs, whose
 * lower layers may be exchanged. */
static bool keeps_times(int fd)
{
  static const uint32_t types[] = {
      0xef53,     /* ext2, ext3, ext4 */
      0x58465342, /* xfs */
      0x9123683e, /* btrfs */
      0xf2f52010, /* f2fs */
      0x01021994, /* tmpfs */
      0x2fc12fc1, /* zfs */
      0xca451a4e, /* bcachefs */
      0x3153464a, /* jfs */
  };
  struct statfs s;
  if (fstatfs(fd, &s) < 0)
    return false;
  for (size_t i = 0; i < ST_COUNT(types); i++) {
    if ((uint32_t)s.f_type == types[i])
      return true;
  }
  return false;
}

/* Nothing in it was seen: it stands as it was, and is listed again next time. */
static void closed(struct st_visitor *v, struct st_node *n, int e)
{
  st_node_clear(n);
  v->nseen = v->ninner = 0;
  v->generated = v->old.generated;
  n->incomplete = true;
  st_node_note(n, ST_ITEM_UNOBSERVED, 0)->code = -e;
}

/* It is not there any more, or no directory: nothing is in it. */
static void gone_meanwhile(struct st_visitor *v, struct st_node *n)
{
  v->result.vanished++;
  st_visit_names(v, n, NULL, 0, consider_here, NULL);
}

static int see(struct st_visitor *v, struct st_node *n)
{
  bool hoped = n->unchanged && v->old.position != ST_INDEX_NONE;
  if (n->fd < 0 && n->parent->parent) /* a root is open already, or could not be */
    n->fd = st_open_directory(n->parent->fd, n->name, hoped ? O_PATH : O_RDONLY);
  if (n->fd < 0)
    return n->fd;
  if (n->parent->mount_id != n->mount_id || !n->parent->parent)
    n->keeps_times = keeps_times(n->fd);
  else
    n->keeps_times = n->parent->keeps_times;
  return hoped && n->keeps_times ? visit_known(v, n) : visit_listed(v, n, !hoped);
}

static void release(struct st_node *n)
{
  if (n->parent && __atomic_sub_fetch(&n->users, 1, __ATOMIC_ACQ_REL) == 0 && n->fd >= 0) {
    close(n->fd);
    n->fd = -1;
  }
}

/* Children are taken up in the order of their names: the last one pushed comes first. */
static void push_inner(struct st_visitor *v, struct st_node *n)
{
  uint32_t entered = 0;
  for (size_t i = 0; i < v->ninner; i++)
    entered += v->inner[i].entered;
  __atomic_store_n(&n->users, entered + 1, __ATOMIC_RELEASE);
  for (size_t i = v->ninner; i-- > 0;) {
    const struct st_inner *inner = &v->inner[i];
    if (!inner->entered)
      continue;
    struct st_node *c = st_visitor_new_node(v);
    *c = (struct st_node){.parent = n,
                          .name = inner->name,
                          .holder = n->fresh,
                          .link = (uint32_t)i,
                          .position = inner->position,
                          .order = inner->order,
                          .record = inner->record,
                          .depth = n->depth + 1,
                          .fd = inner->fd,
                          .users = 1,
                          .mount_id = inner->mount_id,
                          .unchanged = inner->unchanged};
    st_visitor_push(v, c);
  }
}

void st_visit_end(struct st_visitor *v, struct st_node *n)
{
  v->result.generated += v->generated;
  if (v->nseen > 0 || v->old.position == ST_INDEX_NONE || v->generated != v->old.generated)
    build(v, n);
  st_visitor_keep_items(v, n);
  if (n->nitems > 0)
    st_node_busy(v->w, n);
  push_inner(v, n);
  release(n);
}

void st_visit(struct st_visitor *v, struct st_node *n)
{
  st_visit_begin(v, n);
  uint64_t entries = v->result.entries;
  size_t passed = v->npassed;
  int e = see(v, n);
  release(n->parent);
  if (e == -ENOENT || e == -ENOTDIR || e == -ELOOP) {
    gone_meanwhile(v, n);
  } else if (e < 0) {
    v->result.entries = entries;
    v->npassed = passed;
    closed(v, n, e);
  }
  st_visit_end(v, n);
}
