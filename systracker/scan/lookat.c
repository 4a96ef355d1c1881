/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lookat.c - looking at one entry: what stat does not say, and the digest and content of a file, by
 * any thread.  Small files are held when they were read, and hashed at once (base/hashes.h).
 */
#include <string.h>

#include "systracker/base/file.h"
#include "systracker/scan/look.h"

/* Content that is wanted, perhaps. */
#define CONTENT (ST_WANT_CONTENT | ST_WANT_UNEXPECTED)

struct st_entry st_look_entry(const struct looker *l, const char *path, const struct st_meta *m,
                              const char *target)
{
  const struct st_accounts *accounts = l->w->o->accounts;
  return (struct st_entry){
      .path = path,
      .type = m->type,
      .mode = m->mode,
      .uid = m->uid,
      .gid = m->gid,
      .owner = st_account_user(accounts, m->uid),
      .group = st_account_group(accounts, m->gid),
      .size = m->size,
      .mtime = m->mtime,
      .mtime_nsec = m->mtime_nsec,
      .rdev = m->rdev,
      .target = target,
  };
}

static unsigned what_is_wanted(const struct looker *l, const struct look *k)
{
  const struct st_walk_callbacks *cb = l->w->cb;
  unsigned wanted = cb->want(cb->arg, k->item->plugins, &k->entry);
  if (k->entry.type != 'f')
    return wanted & (unsigned)ST_WANT_ENTRY;
  if (k->entry.size > l->w->o->max_content)
    wanted &= ~(unsigned)CONTENT;
  return wanted & CONTENT ? wanted | ST_WANT_DIGEST : wanted;
}

/* Whether its content is not wanted after all, now that the digest is known. */
static bool is_needless(const struct looker *l, const struct look *k, const struct st_id *digest)
{
  const struct st_walk_callbacks *cb = l->w->cb;
  if ((k->entry.wanted & CONTENT) != ST_WANT_UNEXPECTED)
    return !(k->entry.wanted & CONTENT);
  return cb->expects && !digest->keyed && cb->expects(cb->arg, k->path, digest);
}

static bool same_stat(const struct st_meta *a, const struct st_meta *b)
{
  return a->type == b->type && a->inode == b->inode && a->size == b->size && a->mtime == b->mtime &&
         a->mtime_nsec == b->mtime_nsec && a->ctime == b->ctime && a->ctime_nsec == b->ctime_nsec &&
         a->mode == b->mode && a->uid == b->uid && a->gid == b->gid && a->rdev == b->rdev;
}

/* Whether this very process wrote it, or read it right before: a content, then, that the store has,
 * or may have. */
static bool was_written(const struct looker *l, struct look *k)
{
  struct st_written *const lists[] = {l->w->o->written, l->w->o->proved};
  struct st_written_entry written;
  if (l->w->o->full || (k->entry.wanted & ST_WANT_SECRET))
    return false;
  for (size_t i = 0; i < ST_COUNT(lists); i++) {
    if (!lists[i] || !st_written_find(lists[i], &k->meta, &written) || !written.has_digest)
      continue;
    k->entry.digest = written.digest;
    k->entry.has_object = !is_needless(l, k, &k->entry.digest);
    k->if_stored = k->entry.has_object && !st_written_are_stored(lists[i]);
    return true;
  }
  return false;
}

/* Whether what was read last time still serves: content, if the store has it. */
static bool digest_serves(const struct looker *l, struct look *k)
{
  const struct st_walk_options *o = l->w->o;
  const struct st_index_entry *old = &k->old;
  unsigned wanted = k->entry.wanted;
  if (!k->known || o->full || !(old->flags & ST_INDEX_HAS_DIGEST) ||
      (old->flags & ST_INDEX_UNSETTLED) || !same_stat(&k->meta, &old->meta))
    return false;
  if (old->digest.keyed != ((wanted & ST_WANT_SECRET) != 0) || (old->digest.keyed && o->other_keys))
    return false;
  k->if_stored = k->entry.has_object = !is_needless(l, k, &old->digest);
  k->entry.digest = old->digest;
  return !k->if_stored || (old->flags & ST_INDEX_HAS_OBJECT);
}

static void unreadable(struct look *k, const char *why)
{
  k->entry.unreadable = true;
  snprintf(k->read.why, sizeof(k->read.why), "%s", why);
}

static bool is_missing(int e)
{
  return e == -ENOENT || e == -ENOTDIR || e == -ELOOP || e == -ENXIO;
}

static struct st_xattr_options xattr_options(const struct looker *l, unsigned wanted)
{
  const struct st_keys *keys = l->w->o->keys;
  bool secret = (wanted & ST_WANT_SECRET) && keys;
  return (struct st_xattr_options){l->w->o->accounts, secret ? keys->id_key : NULL};
}

struct st_walk_content st_look_content(struct look *k, const struct st_buffer *data)
{
  return (struct st_walk_content){
      .data = data->data ? data->data : "",
      .length = data->length,
      .fd = -1,
      .secret = k->read.key != NULL,
      .id = &k->entry.digest,
      .prepared = k->prepared,
  };
}

void st_look_drop_prepared(const struct looker *l, struct look *k)
{
  if (k->prepared)
    l->w->cb->drop(l->w->cb->arg, k->prepared);
  k->prepared = NULL;
}

/* What can be done of it before its turn; what was read is lent for so long. */
static void prepare_content(const struct looker *l, struct look *k)
{
  const struct st_walk_callbacks *cb = l->w->cb;
  struct st_walk_content content = st_look_content(k, &k->read.data);
  if (k->read.data.data && !cb->prepare)
    st_buffer_append(&k->data, k->read.data.data, k->read.data.length);
  else if (k->read.data.data &&
           cb->prepare(cb->arg, &k->entry, &content, &k->prepared, &k->err) < 0)
    k->result = LOOK_FAILED;
}

/* What was read goes before what the walk saw. */
static void take_read(const struct looker *l, struct look *k)
{
  unsigned wanted = k->entry.wanted;
  k->was_read = true;
  k->meta = k->read.meta;
  k->entry = st_look_entry(l, k->path, &k->meta, NULL);
  k->entry.wanted = wanted;
  k->entry.has_digest = true;
  k->entry.digest = k->read.digest;
  if (k->result == LOOK_SEEN)
    prepare_content(l, k);
}

/* A large one is read by who prepares it. */
static int prepare_large(void *arg, int fd, struct st_file_read *read)
{
  struct look *k = arg;
  const struct st_walk_callbacks *cb = k->looker->w->cb;
  struct st_walk_content content = {
      .length = read->meta.size, .fd = fd, .secret = read->key != NULL, .id = &read->digest};
  st_look_drop_prepared(k->looker, k);
  int r = cb->prepare(cb->arg, &k->entry, &content, &k->prepared, &k->err);
  if (r < -1) /* it could not be read */
    return r;
  if (r < 0)
    k->result = LOOK_FAILED;
  return r < 0 ? 1 : r;
}

static bool is_needed(void *arg, const struct st_file_read *read)
{
  const struct look *k = arg;
  return !is_needless(k->looker, k, &read->digest);
}

/* false: it is held by the reader. */
static bool read_it(struct looker *l, struct look *k, struct st_reader *reader)
{
  unsigned wanted = k->entry.wanted;
  k->read = (struct st_file_read){.content = wanted & CONTENT,
                                  .meta = k->meta,
                                  .large = l->w->cb->prepare ? prepare_large : NULL,
                                  .needed = wanted & ST_WANT_CONTENT ? NULL : is_needed,
                                  .arg = k,
                                  .metadata = &k->metadata,
                                  .xattrs = xattr_options(l, wanted)};
  k->read.key = k->read.xattrs.key;
  k->looker = l;
  if ((wanted & ST_WANT_SECRET) && !k->read.key) {
    unreadable(k, "a secret, and there is no key for its digest");
    return true;
  }
  enum st_read_result r = st_file_read(&k->read, reader, k->dir->fd, k->name);
  if (r == ST_READ_VANISHED)
    k->result = LOOK_VANISHED;
  else if (r == ST_READ_UNREADABLE)
    k->entry.unreadable = true;
  else if (r == ST_READ_DONE)
    take_read(l, k);
  return r != ST_READ_HELD;
}

/* Hashed already, perhaps. */
static bool take_large(struct looker *l, struct look *k)
{
  k->read = (struct st_file_read){0};
  if (!st_large_take(k->large, &k->read.meta, &k->read.digest))
    return false;
  take_read(l, k);
  return true;
}

/* Whether this very process put it there, and saw that there is nothing more. */
static bool is_plain(const struct looker *l, const struct look *k)
{
  const struct st_walk_options *o = l->w->o;
  struct st_written_entry written;
  return o->written && !o->full && !(k->entry.wanted & ST_WANT_SECRET) &&
         !st_meta_is_sparse(&k->meta) && st_is_settled(l->w, &k->meta) &&
         st_written_find(o->written, &k->meta, &written) && written.plain;
}

/* What stat does not say.  A secret's attributes are not read where there is no key for them. */
static void add_metadata(const struct looker *l, struct look *k)
{
  struct st_xattr_options options = xattr_options(l, k->entry.wanted);
  if (!k->metadata.read && is_plain(l, k))
    st_metadata_set_plain(&k->metadata, k->meta.type);
  if (!k->metadata.read && (options.key || !(k->entry.wanted & ST_WANT_SECRET)))
    st_metadata_read(&k->metadata, k->own ? k->own->fd : -1, k->dir->fd, k->name, &k->meta,
                     &options);
  st_metadata_fill(&k->metadata, &k->entry);
  if (k->metadata.why[0] && !k->entry.unreadable)
    unreadable(k, k->metadata.why);
}

static void finish(const struct looker *l, struct look *k)
{
  if (k->result == LOOK_SEEN)
    add_metadata(l, k);
}

static void finish_held(void *arg, struct st_file_read *read)
{
  struct looker *l = arg;
  struct look *k = read->arg;
  take_read(l, k);
  finish(l, k);
  st_look_done(l, k);
}

void st_look_go_on(struct looker *l, struct look *k, struct st_reader *reader)
{
  if (!take_large(l, k) && !read_it(l, k, reader))
    return;
  finish(l, k);
  st_look_done(l, k);
}

void st_look_hash(struct looker *l, struct st_reader *reader)
{
  st_reader_hash(reader, finish_held, l);
}

static bool is_crowded(struct looker *l, const struct look *k)
{
  return !l->end && k != st_look_in_ring(l, l->head) && l->ahead > 0 &&
         l->ahead + k->meta.size > ST_MOST_AHEAD;
}

/* Content is held in memory until it is told: not too much of it.  The head never waits, nor does
 * what the reader holds, nor the thread that tells, which nobody else could make room for: so there
 * is always one that goes on. */
static void wait_for_room(struct looker *l, struct look *k, struct st_reader *reader)
{
  if (!(k->entry.wanted & CONTENT))
    return;
  pthread_mutex_lock(&l->mutex);
  bool tells = reader == &l->reader;
  if (!tells && is_crowded(l, k)) {
    pthread_mutex_unlock(&l->mutex);
    st_look_hash(l, reader);
    pthread_mutex_lock(&l->mutex);
  }
  while (!tells && is_crowded(l, k)) {
    l->crowded++;
    pthread_cond_wait(&l->room, &l->mutex);
    l->crowded--;
  }
  k->ahead = k->meta.size < ST_READ_LARGE ? k->meta.size : ST_READ_LARGE;
  l->ahead += k->ahead;
  pthread_mutex_unlock(&l->mutex);
}

static int read_target(struct look *k)
{
  if (k->dir->fd < 0)
    return k->dir->fd;
  return k->meta.type == 'l' ? st_read_link(k->dir->fd, k->name, &k->target) : 0;
}

/* Whether nothing but its plain digest is wanted. */
static bool is_hashed_only(unsigned wanted)
{
  return (wanted & (ST_WANT_DIGEST | ST_WANT_SECRET | CONTENT)) == ST_WANT_DIGEST;
}

bool st_look_is_to_be_hashed(const struct looker *l, struct look *k)
{
  k->entry = st_look_entry(l, k->path, &k->meta, NULL);
  k->entry.wanted = what_is_wanted(l, k);
  return is_hashed_only(k->entry.wanted) && !digest_serves(l, k) && !was_written(l, k);
}

/* false: it is held by the reader, or parked. */
static bool digest_it(struct looker *l, struct look *k, struct st_reader *reader)
{
  if (!(k->entry.wanted & ST_WANT_DIGEST))
    return true;
  bool known = digest_serves(l, k) || was_written(l, k);
  if (known && (!k->if_stored || l->w->cb->has(l->w->cb->arg, &k->entry.digest))) {
    k->entry.has_digest = true;
    return true;
  }
  k->entry.has_object = false;
  if (k->large && is_hashed_only(k->entry.wanted)) {
    if (!st_large_is_done(l, k))
      return false;
    if (take_large(l, k))
      return true;
  }
  /* Or the store has lost what it had. */
  wait_for_room(l, k, reader);
  return read_it(l, k, reader);
}

bool st_look_at(struct looker *l, struct look *k, struct st_reader *reader)
{
  int e = read_target(k);
  if (e < 0) {
    k->result = is_missing(e) || e == -EINVAL ? LOOK_VANISHED : LOOK_NOT_SEEN;
    k->code = -e;
    return true;
  }
  k->entry = st_look_entry(l, k->path, &k->meta, k->target);
  k->entry.wanted = what_is_wanted(l, k);
  if (!digest_it(l, k, reader))
    return false;
  finish(l, k);
  return true;
}
