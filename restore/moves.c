/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/moves.h"

#include <endian.h>
#include <string.h>

#include "systracker/base/cbor.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define MOVE_MEMBERS (9 + 2 * ST_MOVE_NATTRIBUTES)
#define MAX_VALUE 65536 /* bytes: XATTR_SIZE_MAX */

const char *st_move_attribute_name(enum st_move_attribute attribute)
{
  static const char *const names[] = {"system.posix_acl_access", "system.posix_acl_default",
                                      "security.capability"};
  return names[attribute];
}

void st_move_clear(struct st_move *m)
{
  free(m->path);
  for (size_t i = 0; i < ST_MOVE_NATTRIBUTES; i++) {
    free(m->values[i].before);
    free(m->values[i].after);
  }
}

void st_moves_free(struct st_moves *m)
{
  for (size_t i = 0; i < m->count; i++)
    st_move_clear(&m->items[i]);
  free(m->items);
  st_id_changes_free(&m->changes);
  st_strings_free(&m->left);
  *m = (struct st_moves){0};
}

struct st_move *st_moves_add(struct st_moves *m, const char *path)
{
  if (m->count == m->size) {
    m->size = m->size ? 2 * m->size : 256;
    m->items = st_realloc(m->items, m->size, sizeof(*m->items));
  }
  struct st_move *move = &m->items[m->count++];
  *move = (struct st_move){.path = st_strdup(path)};
  return move;
}

static int compare_moves(const void *a, const void *b)
{
  return strcmp(((const struct st_move *)a)->path, ((const struct st_move *)b)->path);
}

void st_moves_sort(struct st_moves *m)
{
  if (m->count > 0)
    qsort(m->items, m->count, sizeof(*m->items), compare_moves);
}

const struct st_move *st_moves_find(const struct st_moves *m, const char *path)
{
  const struct st_move key = {.path = (char *)path};
  if (m->count == 0)
    return NULL;
  return bsearch(&key, m->items, m->count, sizeof(*m->items), compare_moves);
}

void st_moves_drop(struct st_moves *m, const char *path)
{
  const struct st_move *found = st_moves_find(m, path);
  if (!found)
    return;
  size_t at = (size_t)(found - m->items);
  st_move_clear(&m->items[at]);
  memmove(&m->items[at], &m->items[at + 1], (m->count - at - 1) * sizeof(*m->items));
  m->count--;
}

bool st_move_stays(const struct st_move *m)
{
  bool same = m->uid == m->uid_before && m->gid == m->gid_before;
  for (size_t i = 0; i < ST_MOVE_NATTRIBUTES && same; i++) {
    const struct st_move_value *v = &m->values[i];
    same = !v->before || memcmp(v->before, v->after, v->length) == 0;
  }
  return same;
}

size_t st_moves_count(const struct st_moves *m)
{
  size_t n = 0;
  for (size_t i = 0; i < m->count; i++)
    n += !st_move_stays(&m->items[i]);
  return n;
}

/* ---- Ids there and back ---------------------------------------------------------------------- */

void st_moves_translate(const struct st_moves *m, const char *path, uint32_t *uid, uint32_t *gid)
{
  const struct st_move *move = st_moves_find(m, path);
  if (!move)
    return;
  if (*uid == move->uid_before)
    *uid = move->uid;
  if (*gid == move->gid_before)
    *gid = move->gid;
}

void st_moves_translate_back(const struct st_moves *m, const char *path, uint32_t *uid,
                             uint32_t *gid)
{
  const struct st_move *move = st_moves_find(m, path);
  *uid =
      move && move->uid == *uid ? move->uid_before : st_id_changed_back(&m->changes, false, *uid);
  *gid = move && move->gid == *gid ? move->gid_before : st_id_changed_back(&m->changes, true, *gid);
}

/* ---- ACLs ------------------------------------------------------------------------------------ */

#define ACL_VERSION 2
#define ACL_USER 0x02
#define ACL_GROUP 0x08

struct acl_entry { /* little-endian */
  uint16_t tag, perm;
  uint32_t id;
};

static int compare_acl_entries(const void *a, const void *b)
{
  const struct acl_entry *x = a, *y = b;
  uint16_t tag_x = le16toh(x->tag), tag_y = le16toh(y->tag);
  uint32_t id_x = le32toh(x->id), id_y = le32toh(y->id);
  if (tag_x != tag_y)
    return tag_x < tag_y ? -1 : 1;
  return id_x < id_y ? -1 : id_x > id_y;
}

/* The entries, malloc'ed; NULL: it is no ACL that we know. */
static struct acl_entry *read_acl(const uint8_t *acl, size_t length, size_t *ret_count)
{
  uint32_t version;
  if (length < sizeof(version) || (length - sizeof(version)) % sizeof(struct acl_entry) != 0)
    return NULL;
  memcpy(&version, acl, sizeof(version));
  if (le32toh(version) != ACL_VERSION)
    return NULL;
  size_t count = (length - sizeof(version)) / sizeof(struct acl_entry);
  struct acl_entry *entries = st_calloc(count + 1, sizeof(*entries));
  memcpy(entries, acl + sizeof(version), count * sizeof(*entries));
  *ret_count = count;
  return entries;
}

static bool has_id(const struct acl_entry *e)
{
  uint16_t tag = le16toh(e->tag);
  return tag == ACL_USER || tag == ACL_GROUP;
}

bool st_moves_acl_names(const struct st_id_changes *changes, const uint8_t *acl, size_t length)
{
  size_t count;
  ST_AUTO_FREE struct acl_entry *entries = read_acl(acl, length, &count);
  for (size_t i = 0; entries && i < count; i++) {
    bool group = le16toh(entries[i].tag) == ACL_GROUP;
    if (has_id(&entries[i]) && st_id_matters(changes, group, le32toh(entries[i].id)))
      return true;
  }
  return false;
}

uint8_t *st_moves_acl(const struct st_id_changes *changes, const uint8_t *acl, size_t length)
{
  size_t count;
  bool moves = false;
  ST_AUTO_FREE struct acl_entry *entries = read_acl(acl, length, &count);
  for (size_t i = 0; entries && i < count; i++) {
    if (!has_id(&entries[i]))
      continue;
    uint32_t id = le32toh(entries[i].id);
    uint32_t after = st_id_changed(changes, le16toh(entries[i].tag) == ACL_GROUP, id);
    moves |= after != id;
    entries[i].id = htole32(after);
  }
  if (!moves)
    return NULL;
  uint8_t *copy = st_memdup(acl, length);
  qsort(entries, count, sizeof(*entries), compare_acl_entries);
  memcpy(copy + length - count * sizeof(*entries), entries, count * sizeof(*entries));
  return copy;
}

/* ---- Written down ---------------------------------------------------------------------------- */

static void encode_change(struct st_buffer *out, const struct st_id_change *c)
{
  st_cbor_array(out, 5);
  st_cbor_bool(out, c->group);
  st_cbor_bytes(out, c->name, strlen(c->name));
  st_cbor_integer(out, c->before);
  st_cbor_integer(out, c->after);
  if (c->for_whom)
    st_cbor_bytes(out, c->for_whom, strlen(c->for_whom));
  else
    st_cbor_null(out);
}

static void encode_value(struct st_buffer *out, const uint8_t *data, size_t length)
{
  if (data)
    st_cbor_bytes(out, data, length);
  else
    st_cbor_null(out);
}

static void encode_move(struct st_buffer *out, const struct st_move *m)
{
  st_cbor_array(out, MOVE_MEMBERS);
  st_cbor_bytes(out, m->path, strlen(m->path));
  st_cbor_integer(out, m->type);
  st_cbor_integer(out, m->mode);
  st_cbor_bool(out, m->immutable);
  st_cbor_bool(out, m->append);
  st_cbor_integer(out, m->uid_before);
  st_cbor_integer(out, m->gid_before);
  st_cbor_integer(out, m->uid);
  st_cbor_integer(out, m->gid);
  for (size_t i = 0; i < ST_MOVE_NATTRIBUTES; i++) {
    encode_value(out, m->values[i].before, m->values[i].length);
    encode_value(out, m->values[i].after, m->values[i].length);
  }
}

void st_moves_encode(struct st_buffer *out, const struct st_moves *m)
{
  st_cbor_array(out, 2);
  st_cbor_integer(out, (int64_t)m->changes.count);
  st_cbor_integer(out, (int64_t)m->count);
  for (size_t i = 0; i < m->changes.count; i++)
    encode_change(out, &m->changes.items[i]);
  for (size_t i = 0; i < m->count; i++)
    encode_move(out, &m->items[i]);
}

static int decode_array(struct st_cbor *in, uint64_t count, struct st_error *err)
{
  uint64_t n;
  if (st_cbor_read_array(in, &n, err) < 0)
    return -1;
  return n == count ? 0 : st_fail(err, 0, "an array has another number of members");
}

static int decode_number(struct st_cbor *in, int64_t most, uint32_t *ret, struct st_error *err)
{
  int64_t n;
  if (st_cbor_read_integer(in, &n, err) < 0)
    return -1;
  if (n < 0 || n > most)
    return st_fail(err, 0, "a number is out of range");
  *ret = (uint32_t)n;
  return 0;
}

static int decode_name(struct st_cbor *in, char **ret, struct st_error *err)
{
  const void *data;
  size_t length;
  if (st_cbor_read_bytes(in, &data, &length, err) < 0)
    return -1;
  if (length == 0 || memchr(data, 0, length))
    return st_fail(err, 0, "a name is empty or holds a NUL");
  *ret = st_memdup(data, length);
  return 0;
}

static int decode_change(struct st_cbor *in, struct st_moves *m, struct st_error *err)
{
  struct st_id_change c = {0};
  ST_AUTO_FREE char *name = NULL, *for_whom = NULL;
  if (decode_array(in, 5, err) < 0 || st_cbor_read_bool(in, &c.group, err) < 0 ||
      decode_name(in, &name, err) < 0 || decode_number(in, UINT32_MAX, &c.before, err) < 0 ||
      decode_number(in, UINT32_MAX, &c.after, err) < 0 ||
      (!st_cbor_take_null(in) && decode_name(in, &for_whom, err) < 0))
    return -1;
  c.name = name;
  c.for_whom = for_whom;
  size_t before = m->changes.count;
  st_id_changes_add(&m->changes, &c);
  return m->changes.count > before ? 0 : st_fail(err, 0, "an id moves twice");
}

static int decode_value(struct st_cbor *in, struct st_move_value *v, struct st_error *err)
{
  const void *before, *after;
  size_t length;
  if (st_cbor_take_null(in))
    return st_cbor_take_null(in) ? 0 : st_fail(err, 0, "an attribute comes from nothing");
  if (st_cbor_read_bytes(in, &before, &v->length, err) < 0 ||
      st_cbor_read_bytes(in, &after, &length, err) < 0)
    return -1;
  if (length != v->length || length > MAX_VALUE)
    return st_fail(err, 0, "an attribute is too large, or of two lengths");
  v->before = st_memdup(before, length);
  v->after = st_memdup(after, length);
  return 0;
}

static int decode_what(struct st_cbor *in, struct st_move *m, struct st_error *err)
{
  uint32_t type = 0;
  if (decode_number(in, 127, &type, err) < 0 || decode_number(in, 07777, &m->mode, err) < 0 ||
      st_cbor_read_bool(in, &m->immutable, err) < 0 || st_cbor_read_bool(in, &m->append, err) < 0)
    return -1;
  if (type == 0 || !strchr("fdlcbps", (int)type))
    return st_fail(err, 0, "an entry has an unknown type");
  m->type = (char)type;
  return 0;
}

static int decode_move(struct st_cbor *in, struct st_moves *out, struct st_error *err)
{
  ST_AUTO_FREE char *path = NULL, *normal = NULL;
  if (decode_array(in, MOVE_MEMBERS, err) < 0 || decode_name(in, &path, err) < 0 ||
      st_normal_path(path, &normal, err) < 0)
    return -1;
  if (strcmp(path, normal) != 0 ||
      (out->count > 0 && strcmp(out->items[out->count - 1].path, path) >= 0))
    return st_fail(err, 0, "a path is not normal, or not in its place (%s)", st_quote(path));
  struct st_move *m = st_moves_add(out, path);
  if (decode_what(in, m, err) < 0 || decode_number(in, UINT32_MAX, &m->uid_before, err) < 0 ||
      decode_number(in, UINT32_MAX, &m->gid_before, err) < 0 ||
      decode_number(in, UINT32_MAX, &m->uid, err) < 0 ||
      decode_number(in, UINT32_MAX, &m->gid, err) < 0)
    return -1;
  for (size_t i = 0; i < ST_MOVE_NATTRIBUTES; i++) {
    if (decode_value(in, &m->values[i], err) < 0)
      return -1;
  }
  return 0;
}

int st_moves_decode(struct st_cbor *in, struct st_moves *ret, struct st_error *err)
{
  int64_t changes, moves;
  if (decode_array(in, 2, err) < 0 || st_cbor_read_integer(in, &changes, err) < 0 ||
      st_cbor_read_integer(in, &moves, err) < 0)
    return -1;
  if (changes < 0 || moves < 0)
    return st_fail(err, 0, "a count is out of range");
  for (int64_t i = 0; i < changes; i++) {
    if (decode_change(in, ret, err) < 0)
      return -1;
  }
  for (int64_t i = 0; i < moves; i++) {
    if (decode_move(in, ret, err) < 0)
      return -1;
  }
  return 0;
}
