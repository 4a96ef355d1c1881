/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/base/xattr.h"

#include <endian.h>
#include <string.h>
#include <sys/xattr.h>

#include "systracker/base/digest.h"

#define RECORD_HEADER 6 /* bytes before a record's name */
#define ACL_HEADER 7    /* bytes before the name in an entry of an ACL */
#define PATH_SIZE (32 + 256)
#define FIRST_LIST 1024 /* bytes of names that are read without asking for the size */
#define FIRST_VALUE 256
#define ACL_ACCESS "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"
#define LABEL "security.selinux"
#define SIGNATURE "security.ima"

/* ---- Numbers --------------------------------------------------------------------------------- */

static void put32(struct st_buffer *out, uint32_t n)
{
  n = htole32(n);
  st_buffer_append(out, &n, sizeof(n));
}

static uint32_t get32(const uint8_t *p)
{
  uint32_t n;
  memcpy(&n, p, sizeof(n));
  return le32toh(n);
}

static uint16_t get16(const uint8_t *p)
{
  uint16_t n;
  memcpy(&n, p, sizeof(n));
  return le16toh(n);
}

/* ---- Records --------------------------------------------------------------------------------- */

static void put_record(struct st_buffer *out, const struct st_xattr *x)
{
  st_buffer_append_byte(out, (uint8_t)x->name_length);
  st_buffer_append_byte(out, (uint8_t)x->kind);
  put32(out, (uint32_t)x->length);
  st_buffer_append(out, x->name, x->name_length);
  st_buffer_append(out, x->length ? (const void *)x->data : "", x->length);
}

int st_xattr_next(const void *list, size_t length, size_t *position, struct st_xattr *ret)
{
  const uint8_t *p = (const uint8_t *)list + *position;
  size_t left = length - *position;
  if (left == 0)
    return 0;
  if (left < RECORD_HEADER)
    return -1;
  *ret = (struct st_xattr){
      .name = (const char *)p + RECORD_HEADER,
      .name_length = p[0],
      .kind = (enum st_xattr_kind)p[1],
      .data = p + RECORD_HEADER + p[0],
      .length = get32(p + 2),
  };
  left -= RECORD_HEADER;
  if (p[0] == 0 || p[1] > ST_XATTR_SECRET || left < p[0] || left - p[0] < ret->length ||
      memchr(ret->name, 0, p[0]))
    return -1;
  *position += RECORD_HEADER + p[0] + ret->length;
  return 1;
}

static int compare_names(const char *a, size_t a_length, const char *b, size_t b_length)
{
  int r = memcmp(a, b, a_length < b_length ? a_length : b_length);
  return r ? r : (a_length > b_length) - (a_length < b_length);
}

static int compare_records(const struct st_xattr *a, const struct st_xattr *b)
{
  return compare_names(a->name, a->name_length, b->name, b->name_length);
}

int st_acl_next(const void *acl, size_t length, size_t *position, struct st_acl_entry *ret)
{
  const uint8_t *p = (const uint8_t *)acl + *position;
  size_t left = length - *position;
  if (left == 0)
    return 0;
  if (left < ACL_HEADER || left - ACL_HEADER < p[6] || p[0] == 0 || (p[0] & (p[0] - 1)) ||
      p[0] > ST_ACL_OTHER || p[1] > 7)
    return -1;
  *ret = (struct st_acl_entry){
      .tag = p[0],
      .permissions = p[1],
      .id = get32(p + 2),
      .name = p[6] ? (const char *)p + ACL_HEADER : NULL,
      .name_length = p[6],
  };
  if (ret->name && memchr(ret->name, 0, ret->name_length))
    return -1;
  *position += ACL_HEADER + ret->name_length;
  return 1;
}

static bool acl_is_valid(const struct st_xattr *x)
{
  struct st_acl_entry entry;
  size_t at = 0;
  int r;
  while ((r = st_acl_next(x->data, x->length, &at, &entry)) == 1)
    ;
  return r == 0;
}

bool st_xattrs_valid(const void *list, size_t length)
{
  struct st_xattr x, before = {.name = ""};
  size_t at = 0;
  int r;
  while ((r = st_xattr_next(list, length, &at, &x)) == 1) {
    if (compare_records(&before, &x) >= 0 || (x.kind == ST_XATTR_ACL && !acl_is_valid(&x)) ||
        (x.kind == ST_XATTR_SECRET && x.length != ST_DIGEST_SIZE))
      return false;
    before = x;
  }
  return r == 0;
}

/* ---- ACLs, from and to the attribute's own form ------------------------------------------------
 */

static bool has_id(uint8_t tag)
{
  return tag == ST_ACL_USER || tag == ST_ACL_GROUP;
}

static const char *account_name(const struct st_accounts *accounts, uint8_t tag, uint32_t id)
{
  if (!accounts || !has_id(tag))
    return NULL;
  const char *name =
      tag == ST_ACL_USER ? st_account_user(accounts, id) : st_account_group(accounts, id);
  return name && strlen(name) <= UINT8_MAX ? name : NULL;
}

static void put_acl_entry(struct st_buffer *out, const struct st_acl_entry *e)
{
  st_buffer_append_byte(out, e->tag);
  st_buffer_append_byte(out, e->permissions);
  put32(out, has_id(e->tag) ? e->id : UINT32_MAX);
  st_buffer_append_byte(out, e->name ? (uint8_t)e->name_length : 0);
  if (e->name)
    st_buffer_append(out, e->name, e->name_length);
}

static int by_tag_and_id(const void *a, const void *b)
{
  const struct st_acl_entry *x = a, *y = b;
  if (x->tag != y->tag)
    return x->tag < y->tag ? -1 : 1;
  return (x->id > y->id) - (x->id < y->id);
}

static void put_acl(struct st_buffer *out, struct st_acl_entry *entries, size_t n)
{
  if (n > 1)
    qsort(entries, n, sizeof(*entries), by_tag_and_id);
  for (size_t i = 0; i < n; i++)
    put_acl_entry(out, &entries[i]);
}

/* linux/posix_acl_xattr.h: version 2, then tag u16, permissions u16, id u32 each.  false: it is
 * something else. */
static bool acl_from_value(const uint8_t *value, size_t length, const struct st_accounts *accounts,
                           struct st_buffer *out)
{
  if (length < 4 || (length - 4) % 8 != 0 || get32(value) != 2)
    return false;
  size_t n = (length - 4) / 8;
  ST_AUTO_FREE struct st_acl_entry *entries = st_calloc(n + 1, sizeof(*entries));
  for (size_t i = 0; i < n; i++) {
    const uint8_t *p = value + 4 + 8 * i;
    uint16_t tag = get16(p), permissions = get16(p + 2);
    if (tag == 0 || tag > ST_ACL_OTHER || (tag & (tag - 1)) || permissions > 7)
      return false;
    struct st_acl_entry *e = &entries[i];
    *e = (struct st_acl_entry){(uint8_t)tag, (uint8_t)permissions, get32(p + 4), NULL, 0};
    e->name = account_name(accounts, e->tag, e->id);
    e->name_length = e->name ? strlen(e->name) : 0;
  }
  put_acl(out, entries, n);
  return true;
}

static void put16(struct st_buffer *out, uint16_t n)
{
  n = htole16(n);
  st_buffer_append(out, &n, sizeof(n));
}

static void acl_to_value(const struct st_xattr *x, struct st_buffer *out)
{
  struct st_acl_entry e;
  size_t at = 0;
  put32(out, 2);
  while (st_acl_next(x->data, x->length, &at, &e) == 1) {
    put16(out, e.tag);
    put16(out, e.permissions);
    put32(out, e.id);
  }
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Where the calls that take a path find the entry: below the open directory, or the descriptor's
 * own magic link, which leads to that very inode. */
static bool entry_path(char out[PATH_SIZE], int dirfd, const char *name)
{
  int n = snprintf(out, PATH_SIZE, *name ? "/proc/self/fd/%d/%s" : "/proc/self/fd/%d", dirfd, name);
  return n > 0 && n < PATH_SIZE;
}

struct reader {
  char path[PATH_SIZE]; /* unless it is the descriptor itself */
  bool follow;          /* the magic link, and nothing else */
  int fd;               /* what that leads to */
};

/* By the descriptor where that is one for reading: that saves to resolve the path in /proc. */
static ssize_t call_list(const struct reader *r, char *list, size_t size)
{
  char path[PATH_SIZE];
  ssize_t n = r->follow ? flistxattr(r->fd, list, size) : llistxattr(r->path, list, size);
  if (n >= 0 || !r->follow || errno != EBADF)
    return n;
  entry_path(path, r->fd, "");
  return listxattr(path, list, size);
}

static ssize_t call_get(const struct reader *r, const char *name, void *value, size_t size)
{
  char path[PATH_SIZE];
  ssize_t n =
      r->follow ? fgetxattr(r->fd, name, value, size) : lgetxattr(r->path, name, value, size);
  if (n >= 0 || !r->follow || errno != EBADF)
    return n;
  entry_path(path, r->fd, "");
  return getxattr(path, name, value, size);
}

/* All names, each with a NUL behind. */
static int read_names(const struct reader *r, struct st_buffer *out)
{
  char first[FIRST_LIST];
  ssize_t n = call_list(r, first, sizeof(first));
  if (n > 0)
    st_buffer_append(out, first, (size_t)n);
  if (n >= 0)
    return 0;
  while (errno == ERANGE) {
    if ((n = call_list(r, NULL, 0)) < 0)
      break;
    st_buffer_clear(out);
    st_buffer_reserve(out, (size_t)n + FIRST_LIST);
    n = call_list(r, out->data, (size_t)n + FIRST_LIST);
    if (n >= 0) {
      out->length = (size_t)n;
      return 0;
    }
  }
  return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
}

/* 0, 1 it is gone by now, or -errno. */
static int read_value(const struct reader *r, const char *name, struct st_buffer *out)
{
  size_t size = FIRST_VALUE;
  st_buffer_clear(out);
  for (int i = 0; i < 8; i++) {
    st_buffer_reserve(out, size);
    ssize_t n = call_get(r, name, out->data, size);
    if (n >= 0) {
      out->length = (size_t)n;
      return 0;
    }
    if (errno == ENODATA)
      return 1;
    if (errno != ERANGE || (n = call_get(r, name, NULL, 0)) < 0)
      return errno == ENODATA ? 1 : -errno;
    size = (size_t)n + FIRST_VALUE;
  }
  return -EAGAIN;
}

static int by_name(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_left_out(const char *name)
{
  return strcmp(name, "security.evm") == 0;
}

static bool is_acl(const char *name)
{
  return strcmp(name, ACL_ACCESS) == 0 || strcmp(name, ACL_DEFAULT) == 0;
}

static bool may_be_secret(const char *name)
{
  return strncmp(name, "user.", 5) == 0 || strncmp(name, "trusted.", 8) == 0;
}

static int read_one(const struct reader *r, const char *name, const struct st_xattr_options *o,
                    struct st_buffer *value, struct st_buffer *out)
{
  ST_AUTO_BUFFER acl = ST_BUFFER_INIT;
  uint8_t digest[ST_DIGEST_SIZE];
  int e = read_value(r, name, value);
  if (e != 0)
    return e < 0 ? e : 0;
  struct st_xattr x = {name, strlen(name), ST_XATTR_BYTES, (uint8_t *)value->data, value->length};
  if (is_acl(name) &&
      acl_from_value((uint8_t *)value->data, value->length, o ? o->accounts : NULL, &acl)) {
    x.kind = ST_XATTR_ACL;
    x.data = (uint8_t *)acl.data;
    x.length = acl.length;
  } else if (o && o->key && may_be_secret(name)) {
    struct st_id id;
    st_id_of(&id, o->key, value->data, value->length);
    memcpy(digest, id.digest, sizeof(digest));
    explicit_bzero(value->data, value->length);
    x = (struct st_xattr){name, strlen(name), ST_XATTR_SECRET, digest, sizeof(digest)};
  }
  put_record(out, &x);
  return 0;
}

static int read_values(const struct reader *r, const struct st_buffer *names,
                       const struct st_xattr_options *o, struct st_buffer *out)
{
  ST_AUTO_BUFFER value = ST_BUFFER_INIT;
  ST_AUTO_FREE const char **sorted = st_calloc(names->length + 1, sizeof(*sorted));
  size_t n = 0, start = out->length;
  for (size_t at = 0; at < names->length; at += strlen(names->data + at) + 1) {
    if (names->data[at] && !is_left_out(names->data + at))
      sorted[n++] = names->data + at;
  }
  if (n > 1)
    qsort(sorted, n, sizeof(*sorted), by_name);
  for (size_t i = 0; i < n; i++) {
    if (i > 0 && strcmp(sorted[i], sorted[i - 1]) == 0)
      continue;
    int e = read_one(r, sorted[i], o, &value, out);
    if (e == 0 && out->length - start > ST_XATTRS_MOST)
      e = -E2BIG;
    if (e < 0)
      return e;
  }
  return 0;
}

int st_xattrs_read(int dirfd, const char *name, const struct st_xattr_options *options,
                   struct st_buffer *out)
{
  ST_AUTO_BUFFER names = ST_BUFFER_INIT;
  struct reader r;
  r.follow = !*name;
  r.fd = dirfd;
  if (!r.follow && !entry_path(r.path, dirfd, name))
    return -ENAMETOOLONG;
  int e = read_names(&r, &names);
  return e < 0 || names.length == 0 ? e : read_values(&r, &names, options, out);
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static bool acls_equal(const struct st_xattr *a, const struct st_xattr *b)
{
  struct st_acl_entry x, y;
  size_t at = 0, bt = 0;
  for (;;) {
    int r = st_acl_next(a->data, a->length, &at, &x), s = st_acl_next(b->data, b->length, &bt, &y);
    if (r != 1 || s != 1)
      return r == 0 && s == 0;
    if (x.tag != y.tag || x.permissions != y.permissions || (has_id(x.tag) && x.id != y.id))
      return false;
  }
}

static bool values_equal(const struct st_xattr *a, const struct st_xattr *b)
{
  if (a->kind != b->kind)
    return a->kind == ST_XATTR_SECRET || b->kind == ST_XATTR_SECRET;
  if (a->kind == ST_XATTR_ACL)
    return acls_equal(a, b);
  return a->length == b->length && (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

static bool is_named(const struct st_xattr *x, const char *name)
{
  return x->name_length == strlen(name) && memcmp(x->name, name, x->name_length) == 0;
}

/* Attributes that a list need not name: policy sets them, and they are not known of what a package
 * has.  A label cannot even be removed where SELinux is in force. */
static bool is_of_policy(const struct st_xattr *x)
{
  return is_named(x, LABEL) || is_named(x, SIGNATURE);
}

bool st_xattrs_equal(const void *a, size_t a_length, const void *b, size_t b_length, bool all)
{
  struct st_xattr x, y;
  size_t at = 0, bt = 0;
  int r = st_xattr_next(a, a_length, &at, &x), s = st_xattr_next(b, b_length, &bt, &y);
  while (r == 1 || s == 1) {
    int order = r != 1 ? 1 : s != 1 ? -1 : compare_records(&x, &y);
    if (order == 0 ? !values_equal(&x, &y) : all || !is_of_policy(order < 0 ? &x : &y))
      return false;
    if (order <= 0)
      r = st_xattr_next(a, a_length, &at, &x);
    if (order >= 0)
      s = st_xattr_next(b, b_length, &bt, &y);
  }
  return r == 0 && s == 0;
}

/* ---- Names to numbers ------------------------------------------------------------------------ */

static void resolve_entry(struct st_acl_entry *e, const struct st_xattr_names *names)
{
  if (!e->name || !has_id(e->tag))
    return;
  ST_AUTO_FREE char *name = st_memdup(e->name, e->name_length);
  uint32_t id;
  if ((e->tag == ST_ACL_USER ? names->uid : names->gid)(names->arg, name, &id))
    e->id = id;
}

static void resolve_acl(const struct st_xattr *x, const struct st_xattr_names *names,
                        struct st_buffer *out)
{
  ST_AUTO_FREE struct st_acl_entry *entries =
      st_calloc(x->length / ACL_HEADER + 1, sizeof(*entries));
  size_t n = 0, at = 0;
  while (st_acl_next(x->data, x->length, &at, &entries[n]) == 1) {
    if (names->uid && names->gid)
      resolve_entry(&entries[n], names);
    else
      entries[n].name = NULL;
    if (names->change && has_id(entries[n].tag))
      entries[n].id = names->change(names->arg, entries[n].tag == ST_ACL_GROUP, entries[n].id);
    n++;
  }
  put_acl(out, entries, n);
}

void st_xattrs_resolve(const void *list, size_t length, const struct st_xattr_names *names,
                       struct st_buffer *out)
{
  struct st_xattr x;
  size_t at = 0;
  while (st_xattr_next(list, length, &at, &x) == 1) {
    ST_AUTO_BUFFER acl = ST_BUFFER_INIT;
    if (x.kind == ST_XATTR_ACL) {
      resolve_acl(&x, names, &acl);
      x.data = (uint8_t *)acl.data;
      x.length = acl.length;
    }
    put_record(out, &x);
  }
}

/* ---- Putting back ---------------------------------------------------------------------------- */

struct applying {
  char path[PATH_SIZE];
  struct reader from; /* fd -1: none */
  void (*problem)(void *arg, const char *name, int code);
  void *arg;
};

static void remove_one(const struct applying *a, const struct st_xattr *x)
{
  ST_AUTO_FREE char *name = st_memdup(x->name, x->name_length);
  if (removexattr(a->path, name) < 0 && errno != ENODATA)
    a->problem(a->arg, name, errno);
}

/* The value as the call wants it: 0, 1 there is none to be had. */
static int value_of(const struct applying *a, const char *name, const struct st_xattr *x,
                    struct st_buffer *out)
{
  if (x->kind == ST_XATTR_SECRET)
    return a->from.fd >= 0 ? read_value(&a->from, name, out) != 0 : 1;
  if (x->kind == ST_XATTR_ACL)
    acl_to_value(x, out);
  else
    st_buffer_append(out, x->data, x->length);
  return 0;
}

static void set_one(const struct applying *a, const struct st_xattr *x)
{
  ST_AUTO_FREE char *name = st_memdup(x->name, x->name_length);
  ST_AUTO_BUFFER value = ST_BUFFER_INIT;
  if (value_of(a, name, x, &value) == 0 &&
      setxattr(a->path, name, value.data ? value.data : "", value.length, 0) < 0)
    a->problem(a->arg, name, errno);
  if (x->kind == ST_XATTR_SECRET && value.data)
    explicit_bzero(value.data, value.length);
}

static bool find(const void *list, size_t length, const char *name, struct st_xattr *ret)
{
  size_t at = 0;
  while (st_xattr_next(list, length, &at, ret) == 1) {
    if (is_named(ret, name))
      return true;
  }
  return false;
}

/* What takes another's place has its label, where the list names none. */
static void take_label(const struct applying *a, const struct st_buffer *now, const void *list,
                       size_t length)
{
  ST_AUTO_BUFFER label = ST_BUFFER_INIT;
  struct st_xattr x;
  if (a->from.fd < 0 || find(list, length, LABEL, &x) || read_value(&a->from, LABEL, &label) != 0)
    return;
  bool same = find(now->data, now->length, LABEL, &x) && x.length == label.length &&
              memcmp(x.data, label.data, label.length) == 0;
  if (!same && setxattr(a->path, LABEL, label.data, label.length, 0) < 0)
    a->problem(a->arg, LABEL, errno);
}

/* Both lists side by side, as they are sorted. */
static bool apply_all(const struct applying *a, const struct st_buffer *now, const void *list,
                      size_t length, bool all)
{
  bool changed = false;
  struct st_xattr x, y;
  size_t at = 0, bt = 0;
  int r = st_xattr_next(now->data, now->length, &at, &x), s = st_xattr_next(list, length, &bt, &y);
  while (r == 1 || s == 1) {
    int order = r != 1 ? 1 : s != 1 ? -1 : compare_records(&x, &y);
    bool same = (order == 0 && values_equal(&x, &y)) || (order < 0 && !all && is_of_policy(&x));
    changed |= !same;
    if (order < 0 && !same)
      remove_one(a, &x);
    else if (!same)
      set_one(a, &y);
    if (order <= 0)
      r = st_xattr_next(now->data, now->length, &at, &x);
    if (order >= 0)
      s = st_xattr_next(list, length, &bt, &y);
  }
  return changed;
}

bool st_xattrs_apply(int fd, int from, const void *list, size_t length, bool all,
                     void (*problem)(void *arg, const char *name, int code), void *arg)
{
  struct applying a = {.from = {.follow = true, .fd = from}, .problem = problem, .arg = arg};
  ST_AUTO_BUFFER now = ST_BUFFER_INIT;
  entry_path(a.path, fd, "");
  int e = st_xattrs_read(fd, "", NULL, &now);
  if (e < 0)
    problem(arg, "extended attributes", -e);
  if (e < 0)
    return false;
  if (!all)
    take_label(&a, &now, list, length);
  return apply_all(&a, &now, list, length, all);
}
