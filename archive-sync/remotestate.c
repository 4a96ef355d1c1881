/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/remotestate.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "archive-sync/remote.h"
#include "systracker/base/age.h"
#include "systracker/base/digest.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define STATE_MAX 65536
#define STATE_VERSION 1

bool st_is_archive_id(const char *text)
{
  size_t n = ST_ARCHIVE_ID_SIZE - 1;
  return text && strlen(text) == n && strspn(text, "0123456789abcdef") == n;
}

char *st_remote_state_path(const struct st_remote_state *s)
{
  return st_format(ST_REMOTE_DIR "/%s", s->name);
}

void st_remote_state_clear(struct st_remote_state *s)
{
  if (s->session)
    explicit_bzero(s->session, strlen(s->session));
  free(s->session);
  free(s->address);
  free(s->name);
  free(s->token);
  st_strings_free(&s->recipients);
  json_decref(s->values);
  *s = (struct st_remote_state){0};
}

/* ---- Reading -----------------------------------------------------------------------------------
 */

static char *copy_text(const json_t *o, const char *name)
{
  const char *text = json_string_value(json_object_get(o, name));
  return text ? st_strdup(text) : NULL;
}

static void take(struct st_remote_state *s, const char *name, const char *address, json_t *o)
{
  json_t *recipient, *values = json_object_get(o, "values");
  size_t i;
  memcpy(s->archive, json_string_value(json_object_get(o, "archive")), sizeof(s->archive));
  s->address = st_strdup(address);
  s->name = st_strdup(name);
  s->session = copy_text(o, "session");
  s->expires = json_integer_value(json_object_get(o, "expires"));
  s->token = copy_text(o, "token");
  json_array_foreach(json_object_get(o, "recipients"), i, recipient)
  {
    if (json_string_value(recipient) && i < ST_AGE_RECIPIENTS)
      st_strings_add(&s->recipients, json_string_value(recipient));
  }
  s->values = json_is_object(values) ? json_deep_copy(values) : json_object();
}

/* One that is damaged is as if it were not there: all of it can be had again. */
static bool take_file(struct st_remote_state *s, int dir, const char *name, const char *address)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  size_t n = strlen(name);
  if (n < 5 || strcmp(name + n - 5, ".json") != 0 ||
      st_read_file(dir, name, STATE_MAX, &text, &ignored) < 0)
    return false;
  json_t *o = json_loadb(text.data ? text.data : "", text.length, 0, NULL);
  const char *there = json_string_value(json_object_get(o, "address"));
  const char *archive = json_string_value(json_object_get(o, "archive"));
  bool found = json_integer_value(json_object_get(o, "version")) == STATE_VERSION && there &&
               strcmp(there, address) == 0 && st_is_archive_id(archive);
  if (found)
    take(s, name, address, o);
  json_decref(o);
  return found;
}

/* The first half of the SHA-256 of the address. */
static char *name_of(const char *address)
{
  uint8_t digest[ST_DIGEST_SIZE];
  char hex[2 * ST_DIGEST_SIZE + 1];
  st_digest(digest, address, strlen(address));
  st_hex(hex, digest, sizeof(digest));
  return st_format("%.*s.json", ST_DIGEST_SIZE, hex);
}

int st_remote_state_find(struct st_remote_state *s, int store_dirfd, const char *address,
                         struct st_error *err)
{
  int fd = st_open_beneath(store_dirfd, ST_REMOTE_DIR, O_RDONLY | O_DIRECTORY, 0);
  ST_AUTO_CLOSEDIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
  *s = (struct st_remote_state){0};
  if (fd < 0 && fd != -ENOENT)
    return st_fail(err, -fd, "cannot list (" ST_REMOTE_DIR ")");
  ST_AUTO_FREE char *name = name_of(address);
  if (d && take_file(s, dirfd(d), name, address))
    return 0;
  /* It may have its name from before, the archive's id. */
  for (struct dirent *e; d && (e = readdir(d));)
    if (take_file(s, dirfd(d), e->d_name, address))
      return 0;
  s->address = st_strdup(address);
  s->name = st_steal(&name);
  s->values = json_object();
  return 0;
}

/* ---- Writing -----------------------------------------------------------------------------------
 */

static void set_text(json_t *o, const char *name, const char *text)
{
  if (text)
    json_object_set_new(o, name, json_string(text));
}

int st_remote_state_write(const struct st_remote_state *s, int store_dirfd, struct st_error *err)
{
  ST_AUTO_FREE char *name = name_of(s->address);
  json_t *o = json_object(), *recipients = json_array();
  for (size_t i = 0; i < s->recipients.count; i++)
    json_array_append_new(recipients, json_string(s->recipients.items[i]));
  json_object_set_new(o, "version", json_integer(STATE_VERSION));
  set_text(o, "archive", s->archive);
  set_text(o, "address", s->address);
  json_object_set_new(o, "recipients", recipients);
  set_text(o, "session", s->session);
  json_object_set_new(o, "expires", json_integer(s->expires));
  set_text(o, "token", s->token);
  json_object_set(o, "values", s->values);
  ST_AUTO_FREE char *text = json_dumps(o, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
  json_decref(o);
  /* One that is too long to be read again would count as none, and what it remembers be lost. */
  if (!text || strlen(text) > STATE_MAX)
    return st_fail(err, 0, "what the server says of itself is too long to be remembered (%s)",
                   st_quote(s->address));
  if (st_make_dirs(store_dirfd, ST_REMOTE_DIR, 0700, err) < 0)
    return -1;
  ST_AUTO_CLOSE int dir = st_open_beneath(store_dirfd, ST_REMOTE_DIR, O_RDONLY | O_DIRECTORY, 0);
  if (dir < 0)
    return st_fail(err, -dir, "cannot open (" ST_REMOTE_DIR ")");
  if (st_write_file(dir, name, 0600, text, strlen(text), err) < 0)
    return -1;
  if (strcmp(s->name, name) != 0) /* it was named by the archive's id once */
    unlinkat(dir, s->name, 0);
  return 0;
}
