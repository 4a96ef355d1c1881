/* SPDX-License-Identifier: GPL-2.0-or-later */
/* index.c - the index as it was, what the walk makes of it, and the way from one to the other. */
#include "systracker/scan/index.h"

#include <endian.h>
#include <string.h>

#include "systracker/scan/indexfile.h"

#define ST_LOG_BYTES ((uint64_t)32 << 20) /* hashed: no more than that is hashed again */

struct fresh {
  struct st_index_entry *entries;
  size_t count;
  struct st_set *paths; /* path -> which entry; NULL: there are none */
};

struct commit;

struct st_index {
  int dir;
  struct st_index_file file;
  struct fresh fresh;
  struct st_index_new **replaced; /* by position; one element where there is no file */
  struct st_index_new *owned;
  bool persist;
  struct st_index_log log;
  uint64_t unlogged;       /* bytes that the pending entries were hashed from */
  struct commit *prepared; /* what st_index_prepare wrote; NULL: nothing */
  bool given_back;         /* what was written of the next one */
};

static void drop_prepared(struct st_index *index);

/* ---- Opening --------------------------------------------------------------------------------- */

static void add_fresh(void *arg, const char *path, const struct st_index_entry *entry)
{
  struct fresh *f = arg;
  if (!f->paths)
    f->paths = st_set_new();
  if ((f->count & (f->count - 1)) == 0)
    f->entries = st_realloc(f->entries, f->count ? 2 * f->count : 1, sizeof(*f->entries));
  f->entries[f->count] = *entry;
  st_set_add(f->paths, path, strlen(path), f->count++);
}

int st_index_open(struct st_index **ret, int store_dirfd, struct st_error *err)
{
  struct st_index *index = st_calloc(1, sizeof(*index));
  (void)err;
  index->dir = store_dirfd;
  index->log.fd = -1;
  st_index_file_open(&index->file, store_dirfd);
  st_index_log_read(store_dirfd, add_fresh, &index->fresh);
  *ret = index;
  return 0;
}

static void free_new(struct st_index_new *dir)
{
  free(dir->records);
  free(dir->digests);
  free(dir->links);
  st_buffer_free(&dir->names);
  free(dir);
}

static void free_owned(struct st_index *index)
{
  while (index->owned) {
    struct st_index_new *dir = index->owned;
    index->owned = dir->next;
    free_new(dir);
  }
}

void st_index_close(struct st_index *index)
{
  if (!index)
    return;
  drop_prepared(index);
  free_owned(index);
  if (index->fresh.paths)
    st_set_free(index->fresh.paths);
  free(index->fresh.entries);
  free(index->replaced);
  st_index_file_close(&index->file);
  st_index_log_close(&index->log);
  free(index);
}

bool st_index_is_current(const struct st_index *index, const uint8_t head[ST_DIGEST_SIZE],
                         const uint8_t scope[ST_DIGEST_SIZE])
{
  return index->file.data && index->fresh.count == 0 &&
         memcmp(index->file.head, head, ST_DIGEST_SIZE) == 0 &&
         memcmp(index->file.scope, scope, ST_DIGEST_SIZE) == 0;
}

uint32_t *st_index_root(struct st_index *index)
{
  return &index->file.root;
}

struct st_index_memos *st_index_memos(struct st_index *index)
{
  return &index->file.memos;
}

size_t st_index_count(const struct st_index *index)
{
  size_t count = index->fresh.paths ? st_set_count(index->fresh.paths) : 0;
  for (uint32_t p = 0; p < index->file.ndirs; p++) {
    struct st_index_dir dir;
    st_index_file_dir(&index->file, p, &dir);
    for (uint32_t i = 0; i < dir.count; i++)
      count += !(dir.records[i].flags & ST_INDEX_PASSED);
  }
  return count;
}

/* ---- As it was ------------------------------------------------------------------------------- */

bool st_index_dir(const struct st_index *index, uint32_t position, struct st_index_dir *ret)
{
  if (position >= index->file.ndirs)
    return false;
  st_index_file_dir(&index->file, position, ret);
  return true;
}

static uint32_t search(const struct st_index_record *records, uint32_t count, const char *names,
                       const char *name, size_t length)
{
  uint32_t low = 0, high = count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    const char *other = names + le32toh(records[middle].name);
    int c = strncmp(other, name, length);
    if (c == 0 && !other[length])
      return middle;
    if (c < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return ST_INDEX_NONE;
}

const char *st_index_name(const struct st_index_dir *dir, uint32_t record)
{
  return dir->names + le32toh(dir->records[record].name);
}

uint32_t st_index_search(const struct st_index_dir *dir, const char *name)
{
  return search(dir->records, dir->count, dir->names, name, strlen(name));
}

bool st_index_digests_good(const struct st_index_dir *dir)
{
  return st_crc32c(0, dir->digests, (size_t)dir->ndigests * ST_DIGEST_SIZE) == dir->digests_crc;
}

void st_index_read(const struct st_index_dir *dir, uint32_t record, bool digests_good,
                   struct st_index_entry *ret)
{
  const struct st_index_record *r = &dir->records[record];
  st_index_unpack(r, ret);
  if (!(r->flags & ST_INDEX_HAS_DIGEST))
    return;
  if (digests_good)
    memcpy(ret->digest.digest, dir->digests + (size_t)le32toh(r->digest) * ST_DIGEST_SIZE,
           ST_DIGEST_SIZE);
  else
    ret->flags &= ~(unsigned)(ST_INDEX_HAS_DIGEST | ST_INDEX_HAS_OBJECT);
}

/* ---- By path --------------------------------------------------------------------------------- */

/* One directory, as it was or as it is now. */
struct view {
  const struct st_index_record *records;
  const char *names;
  uint32_t count;
  const struct st_index_new *fresh; /* NULL: at the position */
  uint32_t position;
};

static bool view_of(const struct st_index *index, struct st_index_link link, bool now,
                    struct view *ret)
{
  struct st_index_dir dir;
  const struct st_index_new *fresh = now ? link.fresh : NULL;
  if (now && !fresh && link.position != ST_INDEX_NONE)
    fresh = st_index_replaced(index, link.position);
  *ret = (struct view){.fresh = fresh, .position = link.position};
  if (fresh) {
    ret->records = fresh->records;
    ret->names = fresh->names.data;
    ret->count = fresh->count;
    return true;
  }
  if (!st_index_dir(index, link.position, &dir))
    return false;
  ret->records = dir.records;
  ret->names = dir.names;
  ret->count = dir.count;
  return true;
}

/* What the directory that this record is became. */
static struct st_index_link link_of(const struct st_index *index, const struct view *v,
                                    uint32_t record)
{
  struct st_index_link link = {ST_INDEX_NONE, NULL};
  uint32_t nth = 0, next = v->position + 1;
  if (!(v->records[record].flags & ST_INDEX_ENTERED))
    return link;
  for (uint32_t i = 0; i < record; i++) {
    if (!(v->records[i].flags & ST_INDEX_ENTERED))
      continue;
    nth++;
    if (!v->fresh)
      next += le32toh(index->file.rows[next].subtree);
  }
  if (v->fresh)
    return v->fresh->links[nth];
  link.position = next;
  return link;
}

/* Whether the path is the root, or lies below it; `*ret` is what is left of it. */
static bool below_root(const char *root, const char *path, const char **ret)
{
  size_t n = strlen(root);
  n -= n == 1; /* "/" */
  if (strncmp(root, path, n) != 0 || (path[n] && path[n] != '/'))
    return false;
  *ret = path + n;
  return true;
}

struct place {
  struct view view;
  uint32_t record;
};

/* The root that the path is or lies below. */
static bool find_root(const struct st_index *index, bool now, const char **path, struct place *ret)
{
  struct st_index_link top = {0, NULL};
  if (!view_of(index, top, now, &ret->view))
    return false;
  for (uint32_t i = 0; i < ret->view.count; i++) {
    if (below_root(ret->view.names + le32toh(ret->view.records[i].name), *path, path)) {
      ret->record = i;
      return true;
    }
  }
  return false;
}

static bool find(const struct st_index *index, const char *path, bool now, struct place *ret)
{
  if (!find_root(index, now, &path, ret))
    return false;
  for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
    size_t n = strcspn(path, "/");
    if (!view_of(index, link_of(index, &ret->view, ret->record), now, &ret->view))
      return false;
    ret->record = search(ret->view.records, ret->view.count, ret->view.names, path, n);
    if (ret->record == ST_INDEX_NONE)
      return false;
    path += n;
  }
  return true;
}

bool st_index_find_fresh(const struct st_index *index, const char *path, struct st_index_entry *ret)
{
  uint64_t n;
  if (!index->fresh.paths || !st_set_get(index->fresh.paths, path, strlen(path), &n))
    return false;
  *ret = index->fresh.entries[n];
  return true;
}

bool st_index_find(const struct st_index *index, const char *path, struct st_index_entry *ret,
                   uint32_t *ret_position)
{
  struct place place;
  struct st_index_dir dir;
  bool there = find(index, path, false, &place);
  if (ret_position)
    *ret_position = there ? link_of(index, &place.view, place.record).position : ST_INDEX_NONE;
  if (st_index_find_fresh(index, path, ret))
    return true;
  if (!there || (place.view.records[place.record].flags & ST_INDEX_PASSED))
    return false;
  st_index_dir(index, place.view.position, &dir);
  st_index_read(&dir, place.record, st_index_digests_good(&dir), ret);
  return true;
}

bool st_index_was_put(const struct st_index *index, const char *path)
{
  struct place place;
  if (!find(index, path, true, &place))
    return false;
  const struct st_index_record *r = &place.view.records[place.record];
  return r->mode != 0 && !(r->flags & ST_INDEX_PASSED);
}

/* ---- The next one ---------------------------------------------------------------------------- */

int st_index_start(struct st_index *index, bool persist, struct st_error *err)
{
  (void)err;
  index->persist = persist;
  index->replaced = st_calloc((size_t)index->file.ndirs + 1, sizeof(*index->replaced));
  return 0;
}

struct st_index_new *st_index_new_dir(void)
{
  return st_calloc(1, sizeof(struct st_index_new));
}

static void own_digest(struct st_index_new *dir, struct st_index_record *r, const uint8_t *digest)
{
  if (r->digest == htole32(ST_INDEX_NONE)) {
    if (dir->ndigests == dir->size_digests) {
      dir->size_digests = dir->size_digests ? 2 * dir->size_digests : dir->size;
      dir->digests = st_realloc(dir->digests, dir->size_digests, ST_DIGEST_SIZE);
    }
    r->digest = htole32(dir->ndigests++);
  }
  memcpy(dir->digests + (size_t)le32toh(r->digest) * ST_DIGEST_SIZE, digest, ST_DIGEST_SIZE);
}

void st_index_reserve(struct st_index_new *dir, uint32_t count, size_t names)
{
  dir->size = dir->count + count;
  dir->records = st_realloc(dir->records, dir->size, sizeof(*dir->records));
  st_buffer_reserve(&dir->names, names + count);
}

static struct st_index_record *append(struct st_index_new *dir, const char *name, size_t length)
{
  if (dir->count == dir->size) {
    dir->size = dir->size ? 2 * dir->size : 8;
    dir->records = st_realloc(dir->records, dir->size, sizeof(*dir->records));
  }
  struct st_index_record *r = &dir->records[dir->count++];
  *r = (struct st_index_record){.name = htole32((uint32_t)dir->names.length),
                                .digest = htole32(ST_INDEX_NONE)};
  st_buffer_append(&dir->names, name, length);
  st_buffer_append_byte(&dir->names, 0);
  return r;
}

uint32_t st_index_add(struct st_index_new *dir, const char *name, size_t length,
                      const struct st_index_entry *entry)
{
  struct st_index_record *r = append(dir, name, length);
  st_index_pack(r, entry);
  if (entry->flags & ST_INDEX_HAS_DIGEST)
    own_digest(dir, r, entry->digest.digest);
  return dir->count - 1;
}

void st_index_take(struct st_index_new *dir, const struct st_index_dir *old, uint32_t record,
                   bool digests_good)
{
  const struct st_index_record *from = &old->records[record];
  const char *text = old->names + le32toh(from->name);
  struct st_index_record *r = append(dir, text, strlen(text));
  uint32_t name = r->name;
  *r = *from;
  r->name = name;
  r->digest = htole32(ST_INDEX_NONE);
  if (!(r->flags & ST_INDEX_HAS_DIGEST))
    return;
  if (digests_good)
    own_digest(dir, r, old->digests + (size_t)le32toh(from->digest) * ST_DIGEST_SIZE);
  else
    r->flags &= (uint8_t) ~(ST_INDEX_HAS_DIGEST | ST_INDEX_HAS_OBJECT);
}

void st_index_add_link(struct st_index_new *dir, uint32_t position)
{
  if (dir->nlinks == dir->size_links) {
    dir->size_links = dir->size_links ? 2 * dir->size_links : 4;
    dir->links = st_realloc(dir->links, dir->size_links, sizeof(*dir->links));
  }
  dir->links[dir->nlinks++] = (struct st_index_link){position, NULL};
}

struct st_index_new *st_index_copy(const struct st_index *index, uint32_t position)
{
  struct st_index_new *dir = st_index_new_dir();
  struct st_index_dir old;
  uint32_t next = position + 1;
  if (!st_index_dir(index, position, &old))
    return dir;
  bool good = st_index_digests_good(&old);
  dir->generated = old.generated;
  for (uint32_t i = 0; i < old.count; i++) {
    st_index_take(dir, &old, i, good);
    if (!(old.records[i].flags & ST_INDEX_ENTERED))
      continue;
    st_index_add_link(dir, next);
    next += le32toh(index->file.rows[next].subtree);
  }
  return dir;
}

const char *st_index_new_name(const struct st_index_new *dir, uint32_t record)
{
  return dir->names.data + le32toh(dir->records[record].name);
}

void st_index_new_meta(const struct st_index_new *dir, uint32_t record, struct st_meta *ret)
{
  struct st_index_entry e;
  st_index_unpack(&dir->records[record], &e);
  *ret = e.meta;
}

uint32_t st_index_new_search(const struct st_index_new *dir, const char *name)
{
  return search(dir->records, dir->count, dir->names.data, name, strlen(name));
}

void st_index_set(struct st_index_new *dir, uint32_t record, const struct st_index_entry *entry)
{
  struct st_index_record *r = &dir->records[record];
  if (!entry) {
    r->mode = 0;
    return;
  }
  uint8_t kept = r->flags & (ST_INDEX_ENTERED | ST_INDEX_PASSED);
  st_index_pack(r, entry);
  r->flags = (uint8_t)((r->flags & ~(ST_INDEX_ENTERED | ST_INDEX_PASSED)) | kept);
  if (entry->flags & ST_INDEX_HAS_DIGEST)
    own_digest(dir, r, entry->digest.digest);
}

void st_index_own(struct st_index *index, struct st_index_new *dir)
{
  dir->next = __atomic_load_n(&index->owned, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(&index->owned, &dir->next, dir, true, __ATOMIC_RELEASE,
                                      __ATOMIC_RELAXED))
    ;
}

void st_index_replace(struct st_index *index, uint32_t position, struct st_index_new *dir)
{
  st_index_own(index, dir);
  index->replaced[position] = dir;
}

struct st_index_new *st_index_replaced(const struct st_index *index, uint32_t position)
{
  return position < index->file.ndirs || position == 0 ? index->replaced[position] : NULL;
}

/* ---- The log --------------------------------------------------------------------------------- */

int st_index_log(struct st_index *index, const char *path, const struct st_index_entry *entry,
                 struct st_error *err)
{
  if (!index->persist)
    return 0;
  if (index->log.fd < 0 && st_index_log_open(&index->log, index->dir, err) < 0)
    return -1;
  index->unlogged += entry->meta.size;
  if (st_index_log_append(&index->log, path, entry, index->unlogged > ST_LOG_BYTES, err) < 0)
    return -1;
  if (index->log.pending.length == 0)
    index->unlogged = 0;
  return 0;
}

/* ---- Committing ------------------------------------------------------------------------------ */

/* Where the digests of some directories lie, one behind the other. */
struct span {
  const uint8_t *data;
  size_t length;
};

struct commit {
  const struct st_index *index;
  struct st_index_writer writer;
  struct st_buffer spans; /* struct span */
  uint64_t digests;       /* bytes of them so far */
};

static void add_span(struct commit *c, const uint8_t *data, size_t length)
{
  struct span *last =
      c->spans.length ? (struct span *)(void *)(c->spans.data + c->spans.length) - 1 : NULL;
  c->digests += length;
  if (length == 0)
    return;
  if (last && last->data + last->length == data) {
    last->length += length;
    return;
  }
  struct span span = {data, length};
  st_buffer_append(&c->spans, &span, sizeof(span));
}

static size_t add_row(struct commit *c, const struct st_index_row *row)
{
  struct st_index_row r = *row;
  r.block = htole64(c->writer.at);
  r.digests = htole64(c->digests); /* from where they begin, which is not known yet */
  st_buffer_append(&c->writer.rows, &r, sizeof(r));
  return c->writer.rows.length / sizeof(r) - 1;
}

static struct st_index_row *row_at(struct commit *c, size_t n)
{
  return (struct st_index_row *)(void *)c->writer.rows.data + n;
}

static void end_row(struct commit *c, size_t n)
{
  size_t count = c->writer.rows.length / sizeof(struct st_index_row);
  row_at(c, n)->subtree = htole32((uint32_t)(count - n));
}

static uint64_t old_block(const struct st_index *index, uint32_t position)
{
  const struct st_index_row *last = &index->file.rows[index->file.ndirs - 1];
  if (position < index->file.ndirs)
    return le64toh(index->file.rows[position].block);
  uint64_t n = (uint64_t)le32toh(last->count) * sizeof(struct st_index_record);
  return le64toh(last->block) + ((n + le32toh(last->names) + 7) & ~(uint64_t)7);
}

/* `count` directories from the position on, as they were. */
static int copy_run(struct commit *c, uint32_t position, uint32_t count, struct st_error *err)
{
  const struct st_index_file *f = &c->index->file;
  uint64_t from = old_block(c->index, position), to = old_block(c->index, position + count);
  uint64_t at = c->writer.at;
  for (uint32_t p = position; p < position + count; p++) {
    size_t n = add_row(c, &f->rows[p]);
    row_at(c, n)->block = htole64(at + le64toh(f->rows[p].block) - from);
    add_span(c, f->data + le64toh(f->rows[p].digests),
             (size_t)le32toh(f->rows[p].ndigests) * ST_DIGEST_SIZE);
  }
  return st_index_writer_append(&c->writer, f->data + from, to - from, err);
}

static int write_link(struct commit *c, struct st_index_link link, struct st_error *err);

static bool has_replaced(const struct st_index *index, uint32_t position, uint32_t count)
{
  for (uint32_t p = position; p < position + count; p++) {
    if (index->replaced[p])
      return true;
  }
  return false;
}

/* One that was not replaced. */
static int write_old(struct commit *c, uint32_t position, struct st_error *err)
{
  struct st_index_dir dir;
  st_index_file_dir(&c->index->file, position, &dir);
  if (!has_replaced(c->index, position, dir.subtree))
    return copy_run(c, position, dir.subtree, err);
  size_t n = c->writer.rows.length / sizeof(struct st_index_row);
  if (copy_run(c, position, 1, err) < 0)
    return -1;
  for (uint32_t p = position + 1; p < position + dir.subtree;) {
    struct st_index_link link = {p, NULL};
    p += le32toh(c->index->file.rows[p].subtree);
    if (write_link(c, link, err) < 0)
      return -1;
  }
  end_row(c, n);
  return 0;
}

static int write_block(struct commit *c, const struct st_index_new *dir, uint32_t count,
                       struct st_error *err)
{
  static const uint8_t zeros[8];
  size_t length = count * sizeof(*dir->records) + dir->names.length;
  if (count == dir->count && count > 0 &&
      st_index_writer_append(&c->writer, dir->records, count * sizeof(*dir->records), err) < 0)
    return -1;
  for (uint32_t i = 0; count < dir->count && i < dir->count; i++) {
    if (dir->records[i].mode != 0 &&
        st_index_writer_append(&c->writer, &dir->records[i], sizeof(*dir->records), err) < 0)
      return -1;
  }
  if (st_index_writer_append(&c->writer, dir->names.data ? dir->names.data : "", dir->names.length,
                             err) < 0)
    return -1;
  return st_index_writer_append(&c->writer, zeros, -length & 7, err);
}

static int write_new(struct commit *c, const struct st_index_new *dir, struct st_error *err)
{
  uint32_t count = 0, nth = 0;
  size_t bytes = (size_t)dir->ndigests * ST_DIGEST_SIZE;
  for (uint32_t i = 0; i < dir->count; i++)
    count += dir->records[i].mode != 0;
  const struct st_index_row row = {
      .count = htole32(count),
      .names = htole32((uint32_t)dir->names.length),
      .ndigests = htole32(dir->ndigests),
      .generated = htole32(dir->generated),
      .digests_crc = htole32(st_crc32c(0, dir->digests, bytes)),
  };
  size_t n = add_row(c, &row);
  add_span(c, dir->digests, bytes);
  if (write_block(c, dir, count, err) < 0)
    return -1;
  for (uint32_t i = 0; i < dir->count; i++) {
    if (!(dir->records[i].flags & ST_INDEX_ENTERED))
      continue;
    struct st_index_link link = dir->links[nth++];
    if (dir->records[i].mode != 0 && write_link(c, link, err) < 0)
      return -1;
  }
  end_row(c, n);
  return 0;
}

static int write_link(struct commit *c, struct st_index_link link, struct st_error *err)
{
  static const struct st_index_new nothing;
  const struct st_index_new *fresh = link.fresh;
  if (!fresh && link.position == ST_INDEX_NONE)
    fresh = &nothing; /* it could not be listed */
  if (!fresh)
    fresh = st_index_replaced(c->index, link.position);
  return fresh ? write_new(c, fresh, err) : write_old(c, link.position, err);
}

static int write_digests(struct commit *c, struct st_error *err)
{
  const struct span *spans = (const void *)c->spans.data;
  c->writer.digests = c->writer.at;
  for (size_t i = 0; i < c->writer.rows.length / sizeof(struct st_index_row); i++) {
    struct st_index_row *row = row_at(c, i);
    row->digests = htole64(le64toh(row->digests) + c->writer.digests);
  }
  for (size_t i = 0; i < c->spans.length / sizeof(*spans); i++) {
    if (st_index_writer_append(&c->writer, spans[i].data, spans[i].length, err) < 0)
      return -1;
  }
  return 0;
}

static void drop_prepared(struct st_index *index)
{
  if (!index->prepared)
    return;
  st_index_writer_close(&index->prepared->writer);
  st_buffer_free(&index->prepared->spans);
  free(index->prepared);
  index->prepared = NULL;
}

/* Whether nothing but the head is to change. */
static bool is_same(const struct st_index *index)
{
  return index->file.data && !has_replaced(index, 0, index->file.ndirs);
}

/* It is in the file, or will be, so that nobody waits for it behind the commit. */
static void give_back(struct st_index *index)
{
  free_owned(index);
  memset(index->replaced, 0, ((size_t)index->file.ndirs + 1) * sizeof(*index->replaced));
  index->given_back = true;
}

int st_index_prepare(struct st_index *index, struct st_error *err)
{
  const struct st_index_link top = {index->file.data ? 0 : ST_INDEX_NONE, index->replaced[0]};
  if (index->prepared || is_same(index))
    return 0;
  struct commit *c = index->prepared = st_calloc(1, sizeof(*c));
  c->index = index;
  c->writer.fd = -1;
  if (st_index_writer_open(&c->writer, index->dir, err) < 0 || write_link(c, top, err) < 0 ||
      write_digests(c, err) < 0) {
    drop_prepared(index);
    return -1;
  }
  give_back(index);
  return 0;
}

static struct st_index_binding binding_of(const struct st_index *index,
                                          const uint8_t head[ST_DIGEST_SIZE],
                                          const uint8_t scope[ST_DIGEST_SIZE])
{
  return (struct st_index_binding){head, scope, index->file.root, &index->file.memos};
}

static int write_all(struct st_index *index, const uint8_t head[ST_DIGEST_SIZE],
                     const uint8_t scope[ST_DIGEST_SIZE], struct st_error *err)
{
  if (st_index_prepare(index, err) < 0)
    return -1;
  const struct st_index_binding binding = binding_of(index, head, scope);
  int r = st_index_writer_finish(&index->prepared->writer, &binding, err);
  drop_prepared(index);
  return r;
}

int st_index_commit(struct st_index *index, const uint8_t head[ST_DIGEST_SIZE],
                    const uint8_t scope[ST_DIGEST_SIZE], struct st_error *err)
{
  const struct st_index_binding binding = binding_of(index, head, scope);
  if (index->given_back && !index->prepared)
    return st_fail(err, 0, "the index was committed, or could not be");
  int r = !index->prepared && is_same(index) ? st_index_file_rebind(index->dir, &binding, err)
                                             : write_all(index, head, scope, err);
  if (r < 0)
    return -1;
  if (index->log.fd >= 0 || index->fresh.count > 0)
    st_index_log_remove(index->dir);
  return 0;
}
