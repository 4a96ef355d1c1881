/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/journal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/flags.h"
#include "systracker/base/keys.h"
#include "systracker/base/text.h"

#define MAGIC "systracker-restore"
#define VERSION                                                                                    \
  4 /* 3, whose packages are all dpkg's, and 2, without what stat does not say, are                \
      read too */
#define REQUEST_MAGIC "systracker-request"
#define REQUEST_MEMBERS 7
#define REQUEST_VERSION 2 /* 1, without what is kept of packages, is read too */
#define HEADER_MEMBERS 17
#define MAX_PLAN (1UL << 30) /* bytes */
#define SYNC_EVERY 4096      /* actions; what is to be done is seen from the entries */

void st_journal_clear(struct st_journal *j)
{
  st_actions_free(&j->actions);
  for (size_t i = 0; i < j->ntouched; i++)
    free(j->touched[i].path);
  free(j->touched);
  st_plan_clear(&j->plugins);
  st_package_steps_free(&j->packages);
  st_moves_free(&j->moves);
  st_strings_free(&j->paths);
  free(j->chain);
  *j = (struct st_journal){0};
}

void st_journal_touch(struct st_journal *j, const struct st_touched *touched)
{
  j->touched = st_realloc(j->touched, j->ntouched + 1, sizeof(*j->touched));
  j->touched[j->ntouched] = *touched;
  j->touched[j->ntouched++].path = st_strdup(touched->path);
}

void st_journal_touch_as(struct st_journal *j, const struct st_journal *undone)
{
  for (size_t i = 0; st_journal_is_open(undone->state) && i < undone->ntouched; i++)
    st_journal_touch(j, &undone->touched[i]);
}

void st_journal_drop(struct st_journal *j, const struct st_journal *other)
{
  ST_CLEANUP(st_set_freep) struct st_set *paths = st_set_new();
  struct st_actions kept = {0};
  for (size_t i = 0; i < other->actions.count; i++)
    st_set_add(paths, other->actions.items[i]->path, strlen(other->actions.items[i]->path), 0);
  for (size_t i = 0; i < j->actions.count; i++) {
    const struct st_action *a = j->actions.items[i];
    if (st_set_get(paths, a->path, strlen(a->path), NULL))
      continue;
    struct st_action *copy = st_actions_add(&kept, a->kind, a->path);
    st_state_copy(&copy->before, &a->before);
    st_state_copy(&copy->after, &a->after);
  }
  st_actions_free(&j->actions);
  j->actions = kept;
}

char *st_journal_beside(const struct st_journal *j)
{
  char token[2 * ST_JOURNAL_TOKEN_SIZE + 1];
  st_hex(token, j->token, sizeof(j->token));
  return st_format(".systracker-%s-", token);
}

/* ---- Writing it down ------------------------------------------------------------------------- */

static void encode_header(struct st_buffer *out, const struct st_journal *j)
{
  st_cbor_array(out, HEADER_MEMBERS);
  st_cbor_string(out, MAGIC);
  st_cbor_integer(out, VERSION);
  st_cbor_integer(out, j->time);
  st_cbor_integer(out, j->checkpoint);
  st_cbor_integer(out, j->undoes);
  st_cbor_bool(out, j->undoable);
  st_cbor_bytes(out, j->token, sizeof(j->token));
  st_cbor_integer(out, j->kind);
  st_cbor_bool(out, j->exact);
  st_cbor_bool(out, j->clone);
  st_cbor_string(out, j->chain ? j->chain : "");
  st_cbor_integer(out, j->part_of);
  st_cbor_integer(out, j->before);
  st_cbor_integer(out, (int64_t)j->packages.count);
  st_cbor_integer(out, (int64_t)j->actions.count);
  st_cbor_integer(out, (int64_t)j->ntouched);
  st_cbor_integer(out, (int64_t)j->plugins.count);
}

static void encode_step(struct st_buffer *out, const struct st_package_step *s)
{
  st_cbor_array(out, 7);
  st_cbor_integer(out, s->kind);
  st_cbor_string(out, s->name);
  st_cbor_string(out, s->architecture);
  st_cbor_string(out, s->before);
  st_cbor_string(out, s->after);
  st_cbor_bool(out, s->installed);
  st_cbor_integer(out, s->manager);
}

void st_journal_encode(struct st_buffer *out, const struct st_journal *j)
{
  size_t start = out->length;
  encode_header(out, j);
  for (size_t i = 0; i < j->packages.count; i++)
    encode_step(out, &j->packages.items[i]);
  for (size_t i = 0; i < j->actions.count; i++) {
    const struct st_action *a = j->actions.items[i];
    st_cbor_array(out, 4);
    st_cbor_integer(out, a->kind);
    st_cbor_bytes(out, a->path, strlen(a->path));
    st_state_encode(out, &a->before);
    st_state_encode(out, &a->after);
  }
  for (size_t i = 0; i < j->ntouched; i++) {
    st_cbor_array(out, 5);
    st_cbor_bytes(out, j->touched[i].path, strlen(j->touched[i].path));
    st_cbor_integer(out, j->touched[i].mtime);
    st_cbor_integer(out, j->touched[i].mtime_nsec);
    st_cbor_integer(out, j->touched[i].flags);
    st_cbor_integer(out, j->touched[i].mode);
  }
  for (size_t i = 0; i < j->plugins.count; i++) {
    const struct st_plan_item *item = &j->plugins.items[i];
    st_cbor_array(out, 3);
    st_cbor_string(out, item->plugin);
    st_cbor_string(out, item->words);
    st_cbor_bytes(out, item->data, item->length);
  }
  uint8_t digest[ST_DIGEST_SIZE];
  st_digest(digest, out->data + start, out->length - start);
  st_cbor_bytes(out, digest, sizeof(digest));
}

void st_journal_encode_request(struct st_buffer *out, const struct st_journal *j)
{
  size_t start = out->length;
  st_cbor_array(out, REQUEST_MEMBERS);
  st_cbor_string(out, REQUEST_MAGIC);
  st_cbor_integer(out, REQUEST_VERSION);
  st_cbor_bool(out, j->whole);
  st_cbor_bool(out, j->with_packages);
  st_cbor_bool(out, j->without_plugins);
  st_cbor_bool(out, j->keep_packages);
  st_cbor_integer(out, (int64_t)j->paths.count);
  for (size_t i = 0; i < j->paths.count; i++)
    st_cbor_bytes(out, j->paths.items[i], strlen(j->paths.items[i]));
  st_moves_encode(out, &j->moves);
  uint8_t digest[ST_DIGEST_SIZE];
  st_digest(digest, out->data + start, out->length - start);
  st_cbor_bytes(out, digest, sizeof(digest));
}

/* ---- Reading it ------------------------------------------------------------------------------ */

static int expect_array(struct st_cbor *in, uint64_t count, struct st_error *err)
{
  uint64_t n;
  if (st_cbor_read_array(in, &n, err) < 0)
    return -1;
  if (n != count)
    return st_fail(err, 0, "an array has %llu members instead of %llu", (unsigned long long)n,
                   (unsigned long long)count);
  return 0;
}

static int decode_path(struct st_cbor *in, char **ret, struct st_error *err)
{
  const void *data;
  size_t length;
  if (st_cbor_read_bytes(in, &data, &length, err) < 0)
    return -1;
  if (memchr(data, 0, length))
    return st_fail(err, 0, "a path holds a NUL");
  ST_AUTO_FREE char *path = st_memdup(data, length);
  ST_AUTO_FREE char *normal = NULL;
  if (st_normal_path(path, &normal, err) < 0)
    return -1;
  if (strcmp(path, normal) != 0)
    return st_fail(err, 0, "a path is not in its normal form (%s)", st_quote(path));
  *ret = st_steal(&path);
  return 0;
}

static int decode_text(struct st_cbor *in, char **ret, struct st_error *err)
{
  const char *data;
  size_t length;
  if (st_cbor_read_text(in, &data, &length, err) < 0)
    return -1;
  *ret = st_memdup(data, length);
  return 0;
}

/* The last of a step's members; up to version 3 it had none. */
static int decode_manager(struct st_cbor *in, bool has, int64_t *ret, struct st_error *err)
{
  *ret = ST_DPKG;
  if (has && st_cbor_read_integer(in, ret, err) < 0)
    return -1;
  return *ret < 0 || *ret >= ST_NMANAGERS ? st_fail(err, 0, "an unknown package manager") : 0;
}

static int decode_step(struct st_cbor *in, struct st_package_steps *out, struct st_error *err)
{
  uint64_t members;
  int64_t kind, manager;
  bool installed;
  ST_AUTO_FREE char *name = NULL, *architecture = NULL, *before = NULL, *after = NULL;
  if (st_cbor_read_array(in, &members, err) < 0)
    return -1;
  if (members != 6 && members != 7)
    return st_fail(err, 0, "a package's step has %llu members", (unsigned long long)members);
  if (st_cbor_read_integer(in, &kind, err) < 0 || decode_text(in, &name, err) < 0 ||
      decode_text(in, &architecture, err) < 0 || decode_text(in, &before, err) < 0 ||
      decode_text(in, &after, err) < 0 || st_cbor_read_bool(in, &installed, err) < 0 ||
      decode_manager(in, members == 7, &manager, err) < 0)
    return -1;
  if (kind < 0 || kind >= ST_PACKAGE_NKINDS)
    return st_fail(err, 0, "a package's step is of an unknown kind");
  const struct st_package_step step = {.manager = (enum st_package_manager)manager,
                                       .kind = (enum st_package_step_kind)kind,
                                       .name = name,
                                       .architecture = architecture,
                                       .before = before,
                                       .after = after,
                                       .installed = installed};
  if (!st_package_step_valid(&step))
    return st_fail(err, 0, "a package's name or version is none for %s (%s)",
                   st_package_manager_name(step.manager), st_quote(name));
  st_package_steps_add(out, &step);
  return 0;
}

/* Its two states must be such that the action leads from one to the other. */
static bool action_makes_sense(const struct st_action *a)
{
  switch (a->kind) {
  case ST_ACTION_DELETE:
    return a->before.type != 0 && a->after.type == 0;
  case ST_ACTION_CREATE:
    return a->before.type == 0 && a->after.type != 0;
  case ST_ACTION_REPLACE:
    return a->before.type != 0 && a->after.type != 0;
  case ST_ACTION_METADATA:
    return a->before.type != 0 && a->before.type == a->after.type;
  default:
    return false;
  }
}

static int decode_action(struct st_cbor *in, struct st_actions *out, struct st_error *err)
{
  int64_t kind;
  ST_AUTO_FREE char *path = NULL;
  if (expect_array(in, 4, err) < 0 || st_cbor_read_integer(in, &kind, err) < 0 ||
      decode_path(in, &path, err) < 0)
    return -1;
  if (kind < 0 || kind > ST_ACTION_METADATA)
    return st_fail(err, 0, "an action is of an unknown kind");
  struct st_action *a = st_actions_add(out, (enum st_action_kind)kind, path);
  if (st_state_decode(in, &a->before, err) < 0 || st_state_decode(in, &a->after, err) < 0)
    return -1;
  if (!action_makes_sense(a))
    return st_fail(err, 0, "an action does not fit its states (%s)", st_quote(path));
  return 0;
}

static int decode_touched(struct st_cbor *in, struct st_journal *j, struct st_error *err)
{
  int64_t mtime, nsec, flags = 0, mode = -1;
  uint64_t n;
  ST_AUTO_FREE char *path = NULL;
  if (st_cbor_read_array(in, &n, err) < 0 || decode_path(in, &path, err) < 0 ||
      st_cbor_read_integer(in, &mtime, err) < 0 || st_cbor_read_integer(in, &nsec, err) < 0 ||
      (n != 3 &&
       (st_cbor_read_integer(in, &flags, err) < 0 || st_cbor_read_integer(in, &mode, err) < 0)))
    return -1;
  if ((n != 3 && n != 5) || mode < -1 || mode > 07777 || nsec < 0 || nsec > 999999999 ||
      (flags & ~(int64_t)ST_FLAGS_LOCK))
    return st_fail(err, 0, "a time, a flag or a mode is out of range");
  st_journal_touch(
      j, &(struct st_touched){path, mtime, (uint32_t)nsec, (uint32_t)flags, (int32_t)mode});
  return 0;
}

static int decode_plugin(struct st_cbor *in, struct st_plan *out, struct st_error *err)
{
  ST_AUTO_FREE char *plugin = NULL, *words = NULL;
  const void *data;
  size_t length;
  if (expect_array(in, 3, err) < 0 || decode_text(in, &plugin, err) < 0 ||
      decode_text(in, &words, err) < 0 || st_cbor_read_bytes(in, &data, &length, err) < 0)
    return -1;
  out->items = st_realloc(out->items, out->count + 1, sizeof(*out->items));
  out->items[out->count++] = (struct st_plan_item){
      .plugin = st_steal(&plugin),
      .words = st_steal(&words),
      .possible = true,
      .data = st_memdup(data, length),
      .length = length,
  };
  return 0;
}

struct counts {
  int64_t packages, actions, touched, plugins;
};

/* `*ret_members`: of the array. */
static int decode_version(struct st_cbor *in, const char *expected, int64_t least, int64_t known,
                          uint64_t *ret_members, struct st_error *err)
{
  const char *magic;
  size_t length;
  int64_t version;
  if (st_cbor_read_array(in, ret_members, err) < 0 ||
      st_cbor_read_text(in, &magic, &length, err) < 0 ||
      st_cbor_read_integer(in, &version, err) < 0)
    return -1;
  if (length != strlen(expected) || memcmp(magic, expected, length) != 0)
    return st_fail(err, 0, "it is no journal of a restore");
  if (version < least || version > known)
    return st_fail(err, 0, "its format %lld is not known to this version", (long long)version);
  return 0;
}

/* The id of a host, or "": our own. */
static bool is_epoch(const char *text)
{
  return strncmp(text, "/epoch-", 7) == 0 && text[7] && strlen(text) < 26 &&
         strspn(text + 7, "0123456789") == strlen(text + 7);
}

bool st_journal_is_chain(const char *text)
{
  const char *end = text + strspn(text, "0123456789abcdef");
  return end - text == ST_HOST_ID_SIZE - 1 && (*end == 0 || is_epoch(end));
}

static int decode_chain(struct st_cbor *in, char **ret, struct st_error *err)
{
  ST_AUTO_FREE char *chain = NULL;
  if (decode_text(in, &chain, err) < 0)
    return -1;
  if (!*chain)
    return 0;
  if (!st_journal_is_chain(chain))
    return st_fail(err, 0, "the id of a host is none");
  *ret = st_steal(&chain);
  return 0;
}

static int decode_kind(struct st_cbor *in, struct st_journal *j, struct st_error *err)
{
  int64_t kind;
  if (st_cbor_read_integer(in, &kind, err) < 0 || st_cbor_read_bool(in, &j->exact, err) < 0 ||
      st_cbor_read_bool(in, &j->clone, err) < 0 || decode_chain(in, &j->chain, err) < 0 ||
      st_cbor_read_integer(in, &j->part_of, err) < 0 ||
      st_cbor_read_integer(in, &j->before, err) < 0)
    return -1;
  if (kind != ST_JOURNAL_ENTRIES && kind != ST_JOURNAL_PHASES)
    return st_fail(err, 0, "it is of an unknown kind");
  j->kind = (enum st_journal_kind)kind;
  return 0;
}

static int decode_header(struct st_cbor *in, struct st_journal *j, struct counts *n,
                         struct st_error *err)
{
  uint64_t members;
  if (decode_version(in, MAGIC, 2, VERSION, &members, err) < 0)
    return -1;
  if (members != HEADER_MEMBERS)
    return st_fail(err, 0, "its head has %llu members", (unsigned long long)members);
  if (st_cbor_read_integer(in, &j->time, err) < 0 ||
      st_cbor_read_integer(in, &j->checkpoint, err) < 0 ||
      st_cbor_read_integer(in, &j->undoes, err) < 0 ||
      st_cbor_read_bool(in, &j->undoable, err) < 0 ||
      st_cbor_read_fixed(in, j->token, sizeof(j->token), err) < 0 || decode_kind(in, j, err) < 0 ||
      st_cbor_read_integer(in, &n->packages, err) < 0 ||
      st_cbor_read_integer(in, &n->actions, err) < 0 ||
      st_cbor_read_integer(in, &n->touched, err) < 0 ||
      st_cbor_read_integer(in, &n->plugins, err) < 0)
    return -1;
  if (n->packages < 0 || n->actions < 0 || n->touched < 0 || n->plugins < 0)
    return st_fail(err, 0, "a count is out of range");
  return 0;
}

static int decode_body(struct st_cbor *in, struct st_journal *j, struct st_error *err)
{
  struct counts n;
  if (decode_header(in, j, &n, err) < 0)
    return -1;
  for (int64_t i = 0; i < n.packages; i++) {
    if (decode_step(in, &j->packages, err) < 0)
      return -1;
  }
  for (int64_t i = 0; i < n.actions; i++) {
    if (decode_action(in, &j->actions, err) < 0)
      return -1;
  }
  for (int64_t i = 0; i < n.touched; i++) {
    if (decode_touched(in, j, err) < 0)
      return -1;
  }
  for (int64_t i = 0; i < n.plugins; i++) {
    if (decode_plugin(in, &j->plugins, err) < 0)
      return -1;
  }
  return 0;
}

/* The digest at the end is looked at first: what is damaged is not interpreted at all. */
static int check_digest(const uint8_t *data, size_t length, size_t *ret_body, struct st_error *err)
{
  static const uint8_t head[] = {0x58, ST_DIGEST_SIZE}; /* a byte string of 32 */
  size_t trailer = sizeof(head) + ST_DIGEST_SIZE;
  if (length < trailer)
    return st_fail(err, 0, "it is cut off");
  const uint8_t *end = data + length - trailer;
  uint8_t digest[ST_DIGEST_SIZE];
  st_digest(digest, data, length - trailer);
  if (memcmp(end, head, sizeof(head)) != 0 ||
      memcmp(end + sizeof(head), digest, sizeof(digest)) != 0)
    return st_fail(err, 0,
                   "its checksum does not fit: it is damaged or cut off; moving its folder in "
                   "the store away leaves the others");
  *ret_body = length - trailer;
  return 0;
}

int st_journal_decode(const void *data, size_t length, struct st_journal *ret, struct st_error *err)
{
  struct st_cbor in = {.data = data};
  if (check_digest(data, length, &in.length, err) < 0)
    return -1;
  int r = decode_body(&in, ret, err);
  if (r == 0 && !st_cbor_at_end(&in))
    r = st_fail(err, 0, "something follows where it should end");
  if (r < 0)
    st_journal_clear(ret);
  return r;
}

static int decode_request(struct st_cbor *in, struct st_journal *j, struct st_error *err)
{
  int64_t paths;
  uint64_t members;
  if (decode_version(in, REQUEST_MAGIC, 1, REQUEST_VERSION, &members, err) < 0)
    return -1;
  if (members != REQUEST_MEMBERS && members != REQUEST_MEMBERS - 1)
    return st_fail(err, 0, "a request has %llu members", (unsigned long long)members);
  if (st_cbor_read_bool(in, &j->whole, err) < 0 ||
      st_cbor_read_bool(in, &j->with_packages, err) < 0 ||
      st_cbor_read_bool(in, &j->without_plugins, err) < 0 ||
      (members == REQUEST_MEMBERS && st_cbor_read_bool(in, &j->keep_packages, err) < 0) ||
      st_cbor_read_integer(in, &paths, err) < 0)
    return -1;
  if (paths < 0)
    return st_fail(err, 0, "a count is out of range");
  for (int64_t i = 0; i < paths; i++) {
    char *path;
    if (decode_path(in, &path, err) < 0)
      return -1;
    st_strings_take(&j->paths, path);
  }
  return st_moves_decode(in, &j->moves, err);
}

int st_journal_decode_request(const void *data, size_t length, struct st_journal *j,
                              struct st_error *err)
{
  struct st_cbor in = {.data = data};
  if (check_digest(data, length, &in.length, err) < 0 || decode_request(&in, j, err) < 0)
    return -1;
  return st_cbor_at_end(&in) ? 0 : st_fail(err, 0, "something follows where it should end");
}

/* ---- In the store ---------------------------------------------------------------------------- */

static const char *const state_names[] = {"planned",  "applying", "applied",
                                          "verified", "undone",   "lost"};

bool st_journal_is_open(enum st_journal_state state)
{
  return state == ST_JOURNAL_APPLYING || state == ST_JOURNAL_LOST;
}

const char *st_journal_state_name(enum st_journal_state state)
{
  return state_names[state];
}

static char *folder_name(int64_t number)
{
  return st_format("%04lld", (long long)number);
}

static int open_journals(int store_dir, struct st_error *err)
{
  if (st_make_dirs(store_dir, "journal", 0700, err) < 0)
    return -1;
  int fd = openat(store_dir, "journal", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 ? st_fail(err, errno, "cannot open the store's journal") : fd;
}

static int open_journal(int store_dir, int64_t number, struct st_error *err)
{
  ST_AUTO_FREE char *path = st_format("journal/%04lld", (long long)number);
  int fd = st_open_beneath(store_dir, path, O_RDONLY | O_DIRECTORY, 0);
  return fd < 0 ? st_fail(err, -fd, "cannot open the store's %s", path) : fd;
}

int st_journal_newest(int store_dir, int64_t *ret, struct st_error *err)
{
  *ret = 0;
  int fd = openat(store_dir, "journal", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return errno == ENOENT ? 0 : st_fail(err, errno, "cannot open the store's journal");
  ST_AUTO_CLOSEDIR DIR *d = fdopendir(fd);
  if (!d) {
    close(fd);
    return st_fail(err, errno, "cannot list the store's journal");
  }
  for (struct dirent *e; (e = readdir(d));) {
    int64_t number;
    if (st_parse_number(e->d_name, &number, NULL) == 0 && number > *ret)
      *ret = number;
  }
  return 0;
}

static int write_state(int dir, enum st_journal_state state, struct st_error *err)
{
  ST_AUTO_FREE char *text = st_format("%s\n", state_names[state]);
  return st_write_file(dir, "state", 0600, text, strlen(text), err);
}

static int write_request(int dir, const struct st_journal *j, struct st_error *err)
{
  ST_AUTO_BUFFER request = ST_BUFFER_INIT;
  st_journal_encode_request(&request, j);
  if (request.length > MAX_PLAN)
    return st_refuse(err, "too many inodes carry an id that moves to be journalled");
  return st_write_file(dir, "request", 0600, request.data, request.length, err);
}

static int fill_folder(int dir, const struct st_journal *j, struct st_error *err)
{
  ST_AUTO_BUFFER plan = ST_BUFFER_INIT;
  st_journal_encode(&plan, j);
  if (plan.length > MAX_PLAN)
    return st_refuse(err, "the plan is too large to be journalled: restore fewer paths at once");
  if (st_write_file(dir, "plan", 0600, plan.data, plan.length, err) < 0 ||
      st_write_file(dir, "done", 0600, "", 0, err) < 0 || write_request(dir, j, err) < 0)
    return -1;
  return write_state(dir, ST_JOURNAL_PLANNED, err);
}

/* The folder of the next journal, `*ret_beside`: as it is called until it is written. */
static int name_next(int store_dir, int64_t *ret, char **ret_name, char **ret_beside,
                     struct st_error *err)
{
  if (st_journal_newest(store_dir, ret, err) < 0)
    return -1;
  *ret_name = folder_name(++*ret);
  *ret_beside = st_format("%s.new", *ret_name);
  return open_journals(store_dir, err);
}

int st_journal_draft(int store_dir, struct st_journal *j, struct st_error *err)
{
  int64_t number;
  ST_AUTO_FREE char *name = NULL, *beside = NULL;
  ST_AUTO_CLOSE int journals = name_next(store_dir, &number, &name, &beside, err);
  if (journals < 0)
    return -1;
  st_remove_folder(journals, beside, 0); /* what a killed writer left: nothing refers to it */
  if (mkdirat(journals, beside, 0700) < 0)
    return st_fail(err, errno, "cannot make the store's journal/%s", beside);
  ST_AUTO_CLOSE int dir = openat(journals, beside, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (dir < 0)
    return st_fail(err, errno, "cannot open the store's journal/%s", beside);
  if (fill_folder(dir, j, err) < 0)
    return st_wrap(err, "cannot write the journal");
  if (fsync(dir) < 0)
    return st_fail(err, errno, "cannot write the store's journal/%s", beside);
  j->drafted = true;
  return 0;
}

int st_journal_write(int store_dir, struct st_journal *j, struct st_error *err)
{
  int64_t number;
  ST_AUTO_FREE char *name = NULL, *beside = NULL;
  if (!j->drafted && st_journal_draft(store_dir, j, err) < 0)
    return -1;
  ST_AUTO_CLOSE int journals = name_next(store_dir, &number, &name, &beside, err);
  if (journals < 0)
    return -1;
  if (renameat(journals, beside, journals, name) < 0 || fsync(journals) < 0)
    return st_fail(err, errno, "cannot write the store's journal/%s", name);
  j->drafted = false;
  j->number = number;
  j->state = ST_JOURNAL_PLANNED;
  return 0;
}

void st_journal_drop_draft(int store_dir, struct st_journal *j)
{
  int64_t number;
  ST_AUTO_FREE char *name = NULL, *beside = NULL;
  ST_AUTO_CLOSE int journals =
      j->drafted ? name_next(store_dir, &number, &name, &beside, NULL) : -1;
  if (journals >= 0)
    st_remove_folder(journals, beside, 0);
  j->drafted = false;
}

int st_journal_set_state(int store_dir, struct st_journal *j, enum st_journal_state state,
                         struct st_error *err)
{
  ST_AUTO_CLOSE int dir = open_journal(store_dir, j->number, err);
  if (dir < 0)
    return -1;
  if (write_state(dir, state, err) < 0)
    return st_wrap(err, "cannot write the journal");
  j->state = state;
  return 0;
}

static int read_state(int dir, enum st_journal_state *ret, struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  if (st_read_file(dir, "state", 64, &text, err) < 0)
    return -1;
  for (size_t i = 0; i < ST_COUNT(state_names); i++) {
    size_t n = strlen(state_names[i]);
    if (text.length == n + 1 && memcmp(text.data, state_names[i], n) == 0) {
      *ret = (enum st_journal_state)i;
      return 0;
    }
  }
  return st_fail(err, 0, "its state is unknown to this version");
}

/* ---- Progress -------------------------------------------------------------------------------- */

/* A record of `done`: the action's index and the CRC-32C of these four bytes, little-endian. */
#define DONE_RECORD 8

static void put_le32(uint8_t *out, uint32_t n)
{
  for (int i = 0; i < 4; i++)
    out[i] = (uint8_t)(n >> (8 * i));
}

int st_journal_note(int fd, uint32_t action, struct st_error *err)
{
  uint8_t record[DONE_RECORD];
  put_le32(record, action);
  put_le32(record + 4, st_crc32c(0, record, 4));
  if (st_write_all(fd, record, sizeof(record), err) < 0 ||
      ((action + 1) % SYNC_EVERY == 0 && fdatasync(fd) < 0 &&
       st_fail(err, errno, "cannot sync it") < 0))
    return st_wrap(err, "cannot note the restore's progress in the journal");
  return 0;
}

int st_journal_note_all(int fd, const uint32_t *actions, size_t count, struct st_error *err)
{
  ST_AUTO_BUFFER records = ST_BUFFER_INIT;
  for (size_t i = 0; i < count; i++) {
    uint8_t record[DONE_RECORD];
    put_le32(record, actions[i]);
    put_le32(record + 4, st_crc32c(0, record, 4));
    st_buffer_append(&records, record, sizeof(record));
  }
  if (count > 0 && st_write_all(fd, records.data, records.length, err) < 0)
    return st_wrap(err, "cannot note the restore's progress in the journal");
  return 0;
}

int st_journal_open_done(int store_dir, const struct st_journal *j, struct st_error *err)
{
  ST_AUTO_CLOSE int dir = open_journal(store_dir, j->number, err);
  if (dir < 0)
    return -1;
  int fd = openat(dir, "done", O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 ? st_fail(err, errno, "cannot open the journal's progress") : fd;
}

/* How far it came: of actions, for people.  What is to be done is seen from the entries themselves.
 */
static void read_done(int dir, struct st_journal *j)
{
  ST_AUTO_BUFFER done = ST_BUFFER_INIT;
  if (st_read_file(dir, "done", MAX_PLAN, &done, NULL) < 0)
    return;
  for (size_t at = 0; done.length - at >= DONE_RECORD; at += DONE_RECORD) {
    uint8_t crc[4], all[4];
    put_le32(crc, st_crc32c(0, done.data + at, 4));
    put_le32(all, ST_JOURNAL_ACCOUNTS_DONE);
    if (memcmp(crc, done.data + at + 4, 4) != 0)
      continue;
    if (memcmp(all, done.data + at, 4) == 0)
      j->accounts_done = true;
    else
      j->done++;
  }
}

/* An older version wrote none: it moved nothing, and did not say what was asked for. */
static int read_request(int dir, struct st_journal *j, struct st_error *err)
{
  ST_AUTO_BUFFER request = ST_BUFFER_INIT;
  int r = st_read_file(dir, "request", MAX_PLAN, &request, err);
  if (r == -ENOENT) {
    st_error_clear(err);
    j->with_packages = j->accounts_done = true;
    return 0;
  }
  return r < 0 ? -1 : st_journal_decode_request(request.data, request.length, j, err);
}

static int read_folder(int dir, struct st_journal *ret, struct st_error *err)
{
  ST_AUTO_BUFFER plan = ST_BUFFER_INIT;
  if (st_read_file(dir, "plan", MAX_PLAN, &plan, err) < 0)
    return -1;
  if (st_journal_decode(plan.data, plan.length, ret, err) < 0 || read_request(dir, ret, err) < 0)
    return -1;
  read_done(dir, ret);
  return read_state(dir, &ret->state, err);
}

int st_journal_read_state(int store_dir, int64_t number, enum st_journal_state *ret,
                          struct st_error *err)
{
  ST_AUTO_CLOSE int dir = open_journal(store_dir, number, err);
  if (dir < 0)
    return -1;
  return read_state(dir, ret, err) < 0 ? st_wrap(err, "cannot read journal %lld", (long long)number)
                                       : 0;
}

int st_journal_read(int store_dir, int64_t number, struct st_journal *ret, struct st_error *err)
{
  *ret = (struct st_journal){0};
  ST_AUTO_CLOSE int dir = open_journal(store_dir, number, err);
  if (dir < 0)
    return -1;
  if (read_folder(dir, ret, err) < 0) {
    st_journal_clear(ret);
    return st_wrap(err, "cannot read journal %lld", (long long)number);
  }
  ret->number = number;
  return 0;
}
