/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xattr-words.c - extended attributes for people: ACLs as setfacl(1) has them, capabilities as
 * setcap(8), other values as text or in hexadecimal, escaped and cut. */
#include <endian.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/xattr.h"

#define SHOWN_TEXT 64 /* bytes of a value */
#define SHOWN_BYTES 24

/* A comma between two parts of what is said. */
struct saying {
  struct st_buffer *out;
  size_t start;
};

static struct st_buffer *next_part(const struct saying *s)
{
  if (s->out->length > s->start)
    st_buffer_append_string(s->out, ", ");
  return s->out;
}

/* ---- Capabilities ---------------------------------------------------------------------------- */

/* linux/capability.h, in the order of their bits. */
static const char *const capabilities[] = {
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
};

static uint32_t get32(const uint8_t *p)
{
  uint32_t n;
  memcpy(&n, p, sizeof(n));
  return le32toh(n);
}

/* "cap_net_raw,cap_net_admin+ep", one such run for each combination of letters. */
static void say_capability_set(struct st_buffer *out, uint64_t set, const char *letters)
{
  const char *before = "";
  for (unsigned i = 0; i < 64; i++) {
    if (!(set & ((uint64_t)1 << i)))
      continue;
    if (i < ST_COUNT(capabilities))
      st_buffer_printf(out, "%scap_%s", before, capabilities[i]);
    else
      st_buffer_printf(out, "%s%u", before, i);
    before = ",";
  }
  st_buffer_printf(out, "+%s", letters);
}

/* struct vfs_cap_data and its successors; false: it is none. */
static bool say_capabilities(struct st_buffer *out, const uint8_t *data, size_t length)
{
  if (length != 12 && length != 20 && length != 24)
    return false;
  uint32_t magic = get32(data);
  bool effective = magic & 1;
  uint64_t permitted = get32(data + 4), inheritable = get32(data + 8);
  if (length > 12) {
    permitted |= (uint64_t)get32(data + 12) << 32;
    inheritable |= (uint64_t)get32(data + 16) << 32;
  }
  const struct {
    uint64_t set;
    const char *letters;
  } runs[] = {
      {permitted & ~inheritable, effective ? "ep" : "p"},
      {permitted & inheritable, effective ? "eip" : "ip"},
      {inheritable & ~permitted, effective ? "ei" : "i"},
  };
  const char *before = "";
  for (size_t i = 0; i < ST_COUNT(runs); i++) {
    if (!runs[i].set)
      continue;
    st_buffer_append_string(out, before);
    say_capability_set(out, runs[i].set, runs[i].letters);
    before = " ";
  }
  if (length == 24 && get32(data + 20) != 0)
    st_buffer_printf(out, " for root %u", get32(data + 20));
  return true;
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void say_hex(struct st_buffer *out, const uint8_t *data, size_t length)
{
  char hex[2 * SHOWN_BYTES + 1];
  st_hex(hex, data, length < SHOWN_BYTES ? length : SHOWN_BYTES);
  st_buffer_printf(out, "0x%s", hex);
  if (length > SHOWN_BYTES)
    st_buffer_printf(out, "... (%zu bytes)", length);
}

/* Labels end with a NUL, which is no part of the text. */
static void say_text(struct st_buffer *out, const uint8_t *data, size_t length)
{
  size_t shown = length < SHOWN_TEXT ? length : SHOWN_TEXT;
  while (shown < length && shown > 0 && (data[shown] & 0xc0) == 0x80)
    shown--;
  st_escape(out, data, shown);
  if (shown < length)
    st_buffer_printf(out, "... (%zu bytes)", length);
}

static bool is_named(const struct st_xattr *x, const char *name)
{
  return x->name_length == strlen(name) && memcmp(x->name, name, x->name_length) == 0;
}

static void say_value(struct st_buffer *out, const struct st_xattr *x)
{
  size_t length = x->length;
  if (x->kind == ST_XATTR_SECRET) {
    st_buffer_append_string(out, "secret");
    return;
  }
  if (is_named(x, "security.capability") && say_capabilities(out, x->data, length))
    return;
  if (length > 1 && x->data[length - 1] == 0)
    length--;
  if (length == 0)
    st_buffer_append_string(out, "\"\"");
  else if (st_is_utf8(x->data, length))
    say_text(out, x->data, length);
  else
    say_hex(out, x->data, x->length);
}

static void say_name(struct st_buffer *out, const struct st_xattr *x)
{
  st_escape(out, x->name, x->name_length);
}

/* ---- ACLs ------------------------------------------------------------------------------------ */

static void say_acl_entry(struct st_buffer *out, const struct st_acl_entry *e)
{
  bool user = e->tag == ST_ACL_USER_OBJ || e->tag == ST_ACL_USER;
  bool group = e->tag == ST_ACL_GROUP_OBJ || e->tag == ST_ACL_GROUP;
  st_buffer_printf(out, "%s:",
                   user                    ? "user"
                   : group                 ? "group"
                   : e->tag == ST_ACL_MASK ? "mask"
                                           : "other");
  if (e->name)
    st_escape(out, e->name, e->name_length);
  else if (e->tag == ST_ACL_USER || e->tag == ST_ACL_GROUP)
    st_buffer_printf(out, "%u", e->id);
  st_buffer_printf(out, ":%c%c%c", e->permissions & 4 ? 'r' : '-', e->permissions & 2 ? 'w' : '-',
                   e->permissions & 1 ? 'x' : '-');
}

void st_acl_say(struct st_buffer *out, const void *acl, size_t length)
{
  struct st_acl_entry e;
  for (size_t at = 0, n = 0; st_acl_next(acl, length, &at, &e) == 1; n++) {
    if (n > 0)
      st_buffer_append_byte(out, ',');
    say_acl_entry(out, &e);
  }
}

static bool same_entry(const struct st_acl_entry *a, const struct st_acl_entry *b)
{
  return a->tag == b->tag && a->permissions == b->permissions && a->id == b->id &&
         a->name_length == b->name_length &&
         (!a->name_length || memcmp(a->name, b->name, a->name_length) == 0);
}

static bool has_entry(const struct st_xattr *acl, const struct st_acl_entry *e)
{
  struct st_acl_entry other;
  size_t at = 0;
  while (acl && st_acl_next(acl->data, acl->length, &at, &other) == 1) {
    if (same_entry(&other, e))
      return true;
  }
  return false;
}

static void say_acl_entries(struct st_buffer *out, char sign, const struct st_xattr *of,
                            const struct st_xattr *but_not)
{
  struct st_acl_entry e;
  size_t at = 0;
  while (of && st_acl_next(of->data, of->length, &at, &e) == 1) {
    if (has_entry(but_not, &e))
      continue;
    st_buffer_printf(out, " %c", sign);
    say_acl_entry(out, &e);
  }
}

/* Either may be NULL. */
static void say_acl(struct st_buffer *out, const struct st_xattr *before,
                    const struct st_xattr *after)
{
  const struct st_xattr *x = after ? after : before;
  st_buffer_append_string(out, is_named(x, "system.posix_acl_default") ? "default acl" : "acl");
  if (!after)
    st_buffer_append_string(out, " removed:");
  say_acl_entries(out, '-', before, after);
  say_acl_entries(out, '+', after, before);
}

/* ---- Lists ----------------------------------------------------------------------------------- */

static void say_one(const struct saying *s, char sign, const struct st_xattr *x)
{
  struct st_buffer *out = next_part(s);
  if (x->kind == ST_XATTR_ACL) {
    say_acl(out, sign == '-' ? x : NULL, sign == '-' ? NULL : x);
    return;
  }
  st_buffer_append_byte(out, (uint8_t)sign);
  say_name(out, x);
  st_buffer_append_byte(out, '=');
  say_value(out, x);
}

static void say_both(const struct saying *s, const struct st_xattr *a, const struct st_xattr *b)
{
  if (a->kind == b->kind && a->length == b->length &&
      (a->length == 0 || memcmp(a->data, b->data, a->length) == 0))
    return;
  struct st_buffer *out = next_part(s);
  if (a->kind == ST_XATTR_ACL && b->kind == ST_XATTR_ACL) {
    say_acl(out, a, b);
    return;
  }
  say_name(out, b);
  if (a->kind == ST_XATTR_SECRET && b->kind == ST_XATTR_SECRET) {
    st_buffer_append_string(out, " changed");
    return;
  }
  st_buffer_append_byte(out, ' ');
  say_value(out, a);
  st_buffer_append_string(out, " → ");
  say_value(out, b);
}

static int compare(const struct st_xattr *a, const struct st_xattr *b)
{
  size_t n = a->name_length < b->name_length ? a->name_length : b->name_length;
  int r = memcmp(a->name, b->name, n);
  return r ? r : (a->name_length > b->name_length) - (a->name_length < b->name_length);
}

void st_xattrs_say(struct st_buffer *out, const void *before, size_t before_length,
                   const void *after, size_t after_length)
{
  const struct saying saying = {out, out->length};
  struct st_xattr x, y;
  size_t at = 0, bt = 0;
  int r = st_xattr_next(before ? before : "", before ? before_length : 0, &at, &x);
  int s = st_xattr_next(after ? after : "", after ? after_length : 0, &bt, &y);
  while (r == 1 || s == 1) {
    int order = r != 1 ? 1 : s != 1 ? -1 : compare(&x, &y);
    if (order < 0)
      say_one(&saying, '-', &x);
    else if (order > 0)
      say_one(&saying, '+', &y);
    else
      say_both(&saying, &x, &y);
    if (order <= 0)
      r = st_xattr_next(before, before_length, &at, &x);
    if (order >= 0)
      s = st_xattr_next(after, after_length, &bt, &y);
  }
}
