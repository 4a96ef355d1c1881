/* SPDX-License-Identifier: GPL-2.0-or-later */
/* standard_track - the metadata of every tracked entry. */
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <sys/types.h>

#include "plugins/entries.h"
#include "plugins/values.h"

#define TABLE "entry"

static const struct st_column columns[ENTRY_COLUMNS] = {
    [PATH] = {"path", ST_PATH, ST_KEY},
    [TYPE] = {"type", ST_TEXT, 0}, /* one letter, find's %y */
    [MODE] = {"mode", ST_INTEGER, ST_AS_MODE},
    [UID] = {"uid", ST_INTEGER, 0},
    [GID] = {"gid", ST_INTEGER, 0},
    [OWNER] = {"owner", ST_TEXT, 0},
    [GROUP] = {"group", ST_TEXT, 0},
    [MTIME] = {"mtime", ST_INTEGER, ST_QUIET | ST_AS_TIME},
    [MTIME_NSEC] = {"mtime_nsec", ST_INTEGER, ST_QUIET},
    [RDEV] = {"rdev", ST_INTEGER, 0},
    [TARGET] = {"target", ST_BYTES, 0},
    /* Since version 2.  No column is NULL where it was read: that would be "not captured". */
    [LINK_GROUP] = {"link_group", ST_BYTES, ST_USUALLY_NONE}, /* the first path of the group */
    [LINKS_OUTSIDE] = {"links_outside", ST_INTEGER, ST_QUIET | ST_USUALLY_NONE},
    [FLAGS] = {"flags", ST_INTEGER, ST_AS_FLAGS | ST_USUALLY_NONE},
    [XATTRS] = {"xattrs", ST_BYTES, ST_AS_XATTRS | ST_USUALLY_NONE}, /* ACLs among them */
    [HOLES] = {"holes", ST_BYTES, ST_QUIET | ST_AS_HOLES | ST_USUALLY_NONE},
};

static const struct st_table tables[] = {{TABLE, ST_TABLE_ENTRY, ENTRY_COLUMNS, columns}, {0}};

/* ---- Seeing ---------------------------------------------------------------------------- */

/* How many bytes the UTF-8 sequence at `s` has (RFC 3629), 0: none is there. */
static size_t sequence_length(const unsigned char *s)
{
  static const struct {
    unsigned char lead_low, lead_high, second_low, second_high;
    size_t length;
  } forms[] = {
      {0x01, 0x7f, 0x00, 0xff, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
      {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
      {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
  };
  for (size_t i = 0; i < COUNT(forms); i++) {
    if (s[0] < forms[i].lead_low || s[0] > forms[i].lead_high)
      continue;
    if (forms[i].length > 1 && (s[1] < forms[i].second_low || s[1] > forms[i].second_high))
      return 0;
    for (size_t k = 2; k < forms[i].length; k++) {
      if ((s[k] & 0xc0) != 0x80)
        return 0;
    }
    return forms[i].length;
  }
  return 0;
}

/* The name of an account; one that is no UTF-8 cannot be a text, so its number alone speaks. */
static struct st_value name_value(const char *name)
{
  for (const char *s = name; s && *s;) {
    size_t n = sequence_length((const unsigned char *)s);
    if (n == 0)
      return st_null();
    s += n;
  }
  return st_text_value(name);
}

/* ---- Attributes ------------------------------------------------------------------------ */

#define RECORD_HEADER 6 /* bytes before a record's name: lengths of both, and the kind */

/* What policy sets, and no package: SELinux's label, IMA's signature. */
static bool is_of_policy(const unsigned char *name, size_t length)
{
  static const char *const names[] = {"security.selinux", "security.ima"};
  for (size_t i = 0; i < COUNT(names); i++) {
    if (length == strlen(names[i]) && memcmp(name, names[i], length) == 0)
      return true;
  }
  return false;
}

/* The length of the record there, 0: it is cut off. */
static size_t record_length(const unsigned char *p, size_t left)
{
  if (left < RECORD_HEADER)
    return 0;
  uint32_t value = p[2] | p[3] << 8 | p[4] << 16 | (uint32_t)p[5] << 24;
  size_t n = (size_t)RECORD_HEADER + p[0];
  return left < n || left - n < value ? 0 : n + value;
}

/* Copies the list without them; `to` has room for all of it.  The length. */
static size_t without_policy(const struct st_entry *e, unsigned char *to)
{
  const unsigned char *p = e->xattrs;
  size_t done = 0;
  for (size_t at = 0, n; (n = record_length(p + at, e->xattrs_length - at)) > 0; at += n) {
    if (is_of_policy(p + at + RECORD_HEADER, p[at]))
      continue;
    memcpy(to + done, p + at, n);
    done += n;
  }
  return done;
}

/* ---- Entries --------------------------------------------------------------------------- */

static int put(const struct st_entry *e, struct st_facts *out, struct st_error *err)
{
  /* Of a directory the time says only that something in it came or went: not a fact. */
  bool timed = e->type != 'd';
  bool device = e->type == 'b' || e->type == 'c';
  bool linked = e->link_group != NULL;
  const struct st_value row[ENTRY_COLUMNS] = {
      [PATH] = st_path_value(e->path),
      [TYPE] = st_bytes_value(ST_TEXT, &e->type, 1),
      [MODE] = st_integer(e->mode),
      [UID] = st_integer(e->uid),
      [GID] = st_integer(e->gid),
      [OWNER] = name_value(e->owner),
      [GROUP] = name_value(e->group),
      [MTIME] = timed ? st_integer(e->mtime) : st_null(),
      [MTIME_NSEC] = timed ? st_integer(e->mtime_nsec) : st_null(),
      [RDEV] = device ? st_integer((int64_t)e->rdev) : st_null(),
      [TARGET] = st_string_value(ST_BYTES, e->type == 'l' ? e->target : NULL),
      [LINK_GROUP] = st_string_value(ST_BYTES, e->link_group),
      [LINKS_OUTSIDE] = linked ? st_integer((int64_t)e->links_outside) : st_null(),
      [FLAGS] = e->has_flags ? st_integer(e->flags) : st_null(),
      [XATTRS] = e->xattrs ? st_bytes_value(ST_BYTES, e->xattrs, e->xattrs_length) : st_null(),
      [HOLES] = e->holes ? st_bytes_value(ST_BYTES, e->holes, e->holes_length) : st_null(),
  };
  return st_fact(out, TABLE, row, ENTRY_COLUMNS, err);
}

/* Of what packages have, no attribute of policy's is a fact. */
static int entry(void *self, const struct st_entry *e, struct st_facts *out, struct st_error *err)
{
  (void)self;
  if (!e->owned || e->xattrs_length == 0)
    return put(e, out, err);
  struct st_entry seen = *e;
  unsigned char *list = malloc(e->xattrs_length);
  if (!list)
    return st_fail(err, 0, "out of memory");
  seen.xattrs_length = without_policy(e, list);
  seen.xattrs = list;
  int r = put(&seen, out, err);
  free(list);
  return r;
}

static unsigned want(void *self, const struct st_entry *e)
{
  (void)self;
  (void)e;
  return ST_WANT_ENTRY;
}

/* ---- Saying ---------------------------------------------------------------------------- */

static char type_of(const struct st_value *v)
{
  return v && v->type == ST_TEXT && v->u.bytes.length == 1 ? *(const char *)v->u.bytes.data : '?';
}

static const char *type_word(char type)
{
  switch (type) {
  case 'f':
    return "file";
  case 'd':
    return "directory";
  case 'l':
    return "symlink";
  case 'c':
    return "character device";
  case 'b':
    return "block device";
  case 'p':
    return "named pipe";
  case 's':
    return "socket";
  default:
    return "unknown";
  }
}

static void say_device(struct st_text *out, const struct st_value *v)
{
  dev_t device = (dev_t)value_integer(v);
  st_say(out, "%u:%u", major(device), minor(device));
}

static void say_account(struct st_text *out, const struct st_change *c, enum entry_column name,
                        enum entry_column number)
{
  if (value_after(c, name))
    say_value(out, value_after(c, name));
  else
    st_say(out, "%lld", (long long)value_integer(value_after(c, number)));
}

/* Whether the value after is more than the usual nothing. */
static bool has_some(const struct st_change *c, enum entry_column column)
{
  const struct st_value *v = value_after(c, column);
  return v && (v->type == ST_INTEGER ? v->u.integer != 0 : v->u.bytes.length > 0);
}

/* The group has the name of its first path, which may be this one. */
static void say_group(struct st_text *out, const struct st_change *c)
{
  const struct st_value *group = value_after(c, LINK_GROUP), *path = &c->after[PATH];
  size_t n = group->u.bytes.length;
  if (n == path->u.bytes.length && memcmp(group->u.bytes.data, path->u.bytes.data, n) == 0) {
    st_say(out, "first of several hard links");
    return;
  }
  st_say(out, "hard link with ");
  say_value(out, group);
}

/* What an entry that is new has beyond the usual. */
static void explain_extras(const struct st_change *c, struct st_text *out)
{
  if (has_some(c, LINK_GROUP)) {
    st_say(out, ", ");
    say_group(out, c);
  }
  if (has_some(c, FLAGS)) {
    st_say(out, ", flags ");
    st_say_column(out, c, FLAGS);
  }
  if (has_some(c, XATTRS)) {
    st_say(out, ", ");
    st_say_column(out, c, XATTRS);
  }
}

static void explain_added(const struct st_change *c, struct st_text *out)
{
  char type = type_of(value_after(c, TYPE));
  st_say(out, "added (%s", type_word(type));
  if (type == 'l') {
    st_say(out, " to ");
    say_value(out, value_after(c, TARGET));
  } else {
    st_say(out, ", mode %04llo", (unsigned long long)value_integer(value_after(c, MODE)));
  }
  if (type == 'b' || type == 'c') {
    st_say(out, ", ");
    say_device(out, value_after(c, RDEV));
  }
  st_say(out, ", ");
  say_account(out, c, OWNER, UID);
  st_say(out, ":");
  say_account(out, c, GROUP, GID);
  explain_extras(c, out);
  st_say(out, ")");
}

static void explain_bytes(const struct st_change *c, enum entry_column column, const char *label,
                          struct parts *parts)
{
  if (!value_differs(c, column))
    return;
  st_say(next_part(parts), "%s ", label);
  say_value(parts->out, value_before(c, column));
  st_say(parts->out, " → ");
  say_value(parts->out, value_after(c, column));
}

/* The number is said only where the name does not say it already. */
static void explain_account(const struct st_change *c, enum entry_column name,
                            enum entry_column number, struct parts *parts)
{
  if (value_differs(c, name))
    explain_bytes(c, name, columns[name].name, parts);
  else if (value_differs(c, number))
    st_say(next_part(parts), "%s %lld → %lld", columns[number].name,
           (long long)value_integer(value_before(c, number)),
           (long long)value_integer(value_after(c, number)));
}

static void explain_type(const struct st_change *c, struct parts *parts)
{
  if (value_differs(c, TYPE))
    st_say(next_part(parts), "%s → %s", type_word(type_of(value_before(c, TYPE))),
           type_word(type_of(value_after(c, TYPE))));
}

/* A symlink's mode means nothing. */
static void explain_mode(const struct st_change *c, struct parts *parts)
{
  if (value_differs(c, MODE) && type_of(value_before(c, TYPE)) != 'l' &&
      type_of(value_after(c, TYPE)) != 'l')
    st_say(next_part(parts), "mode %04llo → %04llo",
           (unsigned long long)value_integer(value_before(c, MODE)),
           (unsigned long long)value_integer(value_after(c, MODE)));
}

static void explain_device(const struct st_change *c, struct parts *parts)
{
  if (!value_differs(c, RDEV))
    return;
  st_say(next_part(parts), "device ");
  say_device(parts->out, value_before(c, RDEV));
  st_say(parts->out, " → ");
  say_device(parts->out, value_after(c, RDEV));
}

static void explain_column(const struct st_change *c, enum entry_column column, const char *label,
                           struct parts *parts)
{
  if (!value_differs(c, column))
    return;
  st_say(next_part(parts), "%s", label);
  st_say_column(parts->out, c, column);
}

static bool is_alone(const struct st_value *v)
{
  return v->u.bytes.length == 0;
}

static void explain_links(const struct st_change *c, struct parts *parts)
{
  if (!value_differs(c, LINK_GROUP))
    return;
  const struct st_value *before = value_before(c, LINK_GROUP), *after = value_after(c, LINK_GROUP);
  struct st_text *out = next_part(parts);
  if (is_alone(after)) {
    st_say(out, "no hard link any more (was with ");
    say_value(out, before);
    st_say(out, ")");
  } else if (is_alone(before)) {
    say_group(out, c);
  } else {
    st_say(out, "hard link with ");
    say_value(out, before);
    st_say(out, " → ");
    say_value(out, after);
  }
}

/* Times are left to the generic rendering, which knows whether they are asked for. */
static int explain(void *self, const struct st_change *c, struct st_text *out, struct st_error *err)
{
  (void)self;
  (void)err;
  struct parts parts = {out, 0};
  if (!c->before) {
    explain_added(c, out);
    return 0;
  }
  if (!c->after) {
    st_say(out, "removed");
    return 0;
  }
  explain_type(c, &parts);
  explain_mode(c, &parts);
  explain_account(c, OWNER, UID, &parts);
  explain_account(c, GROUP, GID, &parts);
  explain_device(c, &parts);
  explain_bytes(c, TARGET, "link target", &parts);
  explain_links(c, &parts);
  explain_column(c, FLAGS, "flags ", &parts);
  explain_column(c, XATTRS, "", &parts);
  return 0;
}

/* ---- The plug-in ----------------------------------------------------------------------- */

static int open_plugin(const struct st_context *ctx, void **self, struct st_error *err)
{
  (void)ctx;
  (void)err;
  *self = NULL;
  return 0;
}

static struct st_plugin plugin = {
    .name = "standard_track",
    .version = "2",
    .description = "type, mode, owner, ACLs, attributes, flags, time and links of every entry",
    .tables = tables,
    .open = open_plugin,
    .want = want,
    .entry = entry,
    .explain = explain,
    .flags = ST_PLUGIN_TIMELESS,
};

ST_REGISTER_PLUGIN(plugin)
