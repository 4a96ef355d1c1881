/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/state.h"

#include <string.h>

#include "systracker/base/flags.h"
#include "systracker/base/holes.h"
#include "systracker/base/xattr.h"

#define STATE_MEMBERS 20
#define STATE_MEMBERS_2 14 /* in version 2 of the journal */

void st_state_clear(struct st_state *s)
{
  free(s->owner);
  free(s->group);
  free(s->target);
  free(s->xattrs);
  free(s->holes);
  free(s->links);
  free(s->linked_to);
  *s = (struct st_state){0};
}

static char *copy_string(const char *s)
{
  return s ? st_strdup(s) : NULL;
}

static char *copy_bytes(const void *data, size_t length)
{
  return data && length ? st_memdup(data, length) : NULL;
}

void st_state_set_xattrs(struct st_state *s, const void *list, size_t length)
{
  char *copy = copy_bytes(list, length);
  free(s->xattrs);
  s->xattrs = copy;
  s->xattrs_length = copy ? length : 0;
  s->known |= ST_KNOWN_XATTRS;
}

void st_state_set_holes(struct st_state *s, const void *holes, size_t length)
{
  char *copy = copy_bytes(holes, length);
  free(s->holes);
  s->holes = copy;
  s->holes_length = copy ? length : 0;
  s->known |= ST_KNOWN_HOLES;
}

void st_state_copy(struct st_state *to, const struct st_state *from)
{
  struct st_state copy = *from;
  copy.owner = copy_string(from->owner);
  copy.group = copy_string(from->group);
  copy.target = copy_string(from->target);
  copy.xattrs = copy_bytes(from->xattrs, from->xattrs_length);
  copy.holes = copy_bytes(from->holes, from->holes_length);
  copy.links = copy_string(from->links);
  copy.linked_to = copy_string(from->linked_to);
  st_state_clear(to);
  *to = copy;
}

void st_state_from_meta(struct st_state *s, const struct st_meta *meta)
{
  *s = (struct st_state){
      .type = meta->type,
      .known = ST_KNOWN_MODE | ST_KNOWN_OWNER | ST_KNOWN_GROUP | ST_KNOWN_TIME,
      .mode = meta->mode,
      .uid = meta->uid,
      .gid = meta->gid,
      .size = meta->type == 'f' ? meta->size : 0,
      .mtime = meta->mtime,
      .mtime_nsec = meta->mtime_nsec,
      .rdev = meta->rdev,
  };
}

static unsigned differences_in_substance(const struct st_state *a, const struct st_state *b,
                                         unsigned known)
{
  unsigned d = 0;
  if (a->type == 'f' && (known & ST_KNOWN_DIGEST) && !st_id_equal(&a->digest, &b->digest))
    d |= ST_DIFFERS_CONTENT;
  if (a->type == 'l' && a->target && b->target && strcmp(a->target, b->target) != 0)
    d |= ST_DIFFERS_TARGET;
  if ((a->type == 'c' || a->type == 'b') && a->rdev != b->rdev)
    d |= ST_DIFFERS_DEVICE;
  if ((known & ST_KNOWN_HOLES) &&
      !st_holes_equal(a->holes, a->holes_length, b->holes, b->holes_length))
    d |= ST_DIFFERS_HOLES;
  if ((known & ST_KNOWN_LINKS) && strcmp(a->links ? a->links : "", b->links ? b->links : "") != 0)
    d |= ST_DIFFERS_LINKS;
  return d;
}

unsigned st_state_differences(const struct st_state *a, const struct st_state *b)
{
  if (a->type != b->type)
    return ST_DIFFERS_TYPE;
  if (a->type == 0)
    return 0;
  unsigned known = a->known & b->known;
  unsigned d = differences_in_substance(a, b, known);
  if ((known & ST_KNOWN_MODE) && a->type != 'l' && a->mode != b->mode)
    d |= ST_DIFFERS_MODE;
  if ((known & ST_KNOWN_OWNER) && a->uid != b->uid)
    d |= ST_DIFFERS_OWNER;
  if ((known & ST_KNOWN_GROUP) && a->gid != b->gid)
    d |= ST_DIFFERS_GROUP;
  if ((known & ST_KNOWN_TIME) && (a->mtime != b->mtime || a->mtime_nsec != b->mtime_nsec))
    d |= ST_DIFFERS_TIME;
  bool all = !((a->known | b->known) & ST_KNOWN_NO_POLICY);
  if ((known & ST_KNOWN_XATTRS) &&
      !st_xattrs_equal(a->xattrs, a->xattrs_length, b->xattrs, b->xattrs_length, all))
    d |= ST_DIFFERS_XATTRS;
  if ((known & ST_KNOWN_FLAGS) && a->flags != b->flags)
    d |= ST_DIFFERS_FLAGS;
  return d;
}

bool st_state_is_torn(const struct st_state *put, const struct st_state *live)
{
  const unsigned whatever =
      ST_DIFFERS_CONTENT | ST_DIFFERS_HOLES | ST_DIFFERS_FLAGS | ST_DIFFERS_LINKS;
  return put->type == 'f' && live->type == 'f' && (put->known & live->known & ST_KNOWN_TIME) &&
         (st_state_differences(put, live) & ~whatever) == 0;
}

/* ---- CBOR -------------------------------------------------------------------------------- */

static void encode_bytes(struct st_buffer *out, const char *s)
{
  if (s)
    st_cbor_bytes(out, s, strlen(s));
  else
    st_cbor_null(out);
}

void st_state_encode(struct st_buffer *out, const struct st_state *s)
{
  if (s->type == 0) {
    st_cbor_null(out);
    return;
  }
  st_cbor_array(out, STATE_MEMBERS);
  st_cbor_integer(out, s->type);
  st_cbor_integer(out, s->known);
  st_cbor_integer(out, s->mode);
  st_cbor_integer(out, s->uid);
  st_cbor_integer(out, s->gid);
  encode_bytes(out, s->owner);
  encode_bytes(out, s->group);
  st_cbor_integer(out, (int64_t)s->size);
  st_cbor_integer(out, s->mtime);
  st_cbor_integer(out, s->mtime_nsec);
  st_cbor_integer(out, (int64_t)s->rdev);
  encode_bytes(out, s->target);
  st_cbor_integer(out, s->digest.keyed);
  st_cbor_bytes(out, s->digest.digest, sizeof(s->digest.digest));
  st_cbor_integer(out, s->flags);
  st_cbor_bytes(out, s->xattrs ? s->xattrs : "", s->xattrs_length);
  st_cbor_bytes(out, s->holes ? s->holes : "", s->holes_length);
  encode_bytes(out, s->links);
  st_cbor_integer(out, (int64_t)s->links_outside);
  encode_bytes(out, s->linked_to);
}

static int decode_number(struct st_cbor *in, int64_t least, int64_t most, int64_t *ret,
                         struct st_error *err)
{
  if (st_cbor_read_integer(in, ret, err) < 0)
    return -1;
  if (*ret < least || *ret > most)
    return st_fail(err, 0, "a number is out of range");
  return 0;
}

static int decode_string(struct st_cbor *in, char **ret, struct st_error *err)
{
  if (st_cbor_take_null(in))
    return 0;
  const void *data;
  size_t length;
  if (st_cbor_read_bytes(in, &data, &length, err) < 0)
    return -1;
  if (memchr(data, 0, length))
    return st_fail(err, 0, "a string holds a NUL");
  *ret = st_memdup(data, length);
  return 0;
}

static int decode_type(struct st_cbor *in, struct st_state *s, struct st_error *err)
{
  int64_t type, known;
  if (decode_number(in, 1, 127, &type, err) < 0 ||
      decode_number(in, 0, ST_KNOWN_ALL, &known, err) < 0)
    return -1;
  if (!strchr("fdlcbps", (int)type))
    return st_fail(err, 0, "an entry has an unknown type");
  s->type = (char)type;
  s->known = (unsigned)known;
  return 0;
}

static int decode_owner(struct st_cbor *in, struct st_state *s, struct st_error *err)
{
  int64_t mode, uid, gid;
  if (decode_number(in, 0, 07777, &mode, err) < 0 ||
      decode_number(in, 0, UINT32_MAX, &uid, err) < 0 ||
      decode_number(in, 0, UINT32_MAX, &gid, err) < 0 || decode_string(in, &s->owner, err) < 0 ||
      decode_string(in, &s->group, err) < 0)
    return -1;
  s->mode = (uint32_t)mode;
  s->uid = (uint32_t)uid;
  s->gid = (uint32_t)gid;
  return 0;
}

static int decode_rest(struct st_cbor *in, struct st_state *s, struct st_error *err)
{
  int64_t size, nsec, rdev, keyed;
  if (decode_number(in, 0, INT64_MAX, &size, err) < 0 ||
      st_cbor_read_integer(in, &s->mtime, err) < 0 ||
      decode_number(in, 0, 999999999, &nsec, err) < 0 ||
      decode_number(in, INT64_MIN, INT64_MAX, &rdev, err) < 0 ||
      decode_string(in, &s->target, err) < 0 || decode_number(in, 0, 1, &keyed, err) < 0 ||
      st_cbor_read_fixed(in, s->digest.digest, sizeof(s->digest.digest), err) < 0)
    return -1;
  if (s->type == 'l' && (!s->target || !*s->target))
    return st_fail(err, 0, "a symlink has no target");
  s->size = (uint64_t)size;
  s->mtime_nsec = (uint32_t)nsec;
  s->rdev = (uint64_t)rdev;
  s->digest.keyed = (uint8_t)keyed;
  s->kept = s->known & ST_KNOWN_DIGEST;
  return 0;
}

static int decode_lists(struct st_cbor *in, struct st_state *s, struct st_error *err)
{
  const void *data;
  size_t length;
  unsigned known = s->known;
  if (st_cbor_read_bytes(in, &data, &length, err) < 0)
    return -1;
  if (!st_xattrs_valid(data, length))
    return st_fail(err, 0, "a list of extended attributes is none");
  st_state_set_xattrs(s, data, length);
  if (st_cbor_read_bytes(in, &data, &length, err) < 0)
    return -1;
  if (!st_holes_valid(data, length))
    return st_fail(err, 0, "a list of holes is none");
  st_state_set_holes(s, data, length);
  s->known = known;
  return 0;
}

/* Another entry that an action goes to by its path is one below the root. */
static bool is_path(const char *s)
{
  return !s || (*s == '/' && !strstr(s, "/../") && !strstr(s, "//"));
}

static int decode_metadata(struct st_cbor *in, struct st_state *s, struct st_error *err)
{
  int64_t flags, outside;
  if (decode_number(in, 0, UINT32_MAX, &flags, err) < 0 || decode_lists(in, s, err) < 0 ||
      decode_string(in, &s->links, err) < 0 || decode_number(in, 0, INT64_MAX, &outside, err) < 0 ||
      decode_string(in, &s->linked_to, err) < 0)
    return -1;
  if ((flags & ~(int64_t)ST_FLAGS_ALL) || !is_path(s->links) || !is_path(s->linked_to))
    return st_fail(err, 0, "an entry's flags or links are none");
  s->flags = (uint32_t)flags;
  s->links_outside = (uint64_t)outside;
  return 0;
}

int st_state_decode(struct st_cbor *in, struct st_state *ret, struct st_error *err)
{
  *ret = (struct st_state){0};
  if (st_cbor_take_null(in))
    return 0;
  uint64_t count;
  if (st_cbor_read_array(in, &count, err) < 0)
    return -1;
  if (count != STATE_MEMBERS && count != STATE_MEMBERS_2)
    return st_fail(err, 0, "a state has %llu members instead of %d", (unsigned long long)count,
                   STATE_MEMBERS);
  if (decode_type(in, ret, err) < 0 || decode_owner(in, ret, err) < 0 ||
      decode_rest(in, ret, err) < 0 ||
      (count == STATE_MEMBERS && decode_metadata(in, ret, err) < 0)) {
    st_state_clear(ret);
    return -1;
  }
  return 0;
}
