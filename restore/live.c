/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/live.h"

#include <fcntl.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/scan/metadata.h"

#define PIECE 65536 /* bytes read at once */

/* What open(2) and statx(2) say where there is no such entry, or a symlink stands above it. */
static bool is_absence(int code)
{
  return code == -ENOENT || code == -ENOTDIR || code == -ELOOP;
}

static void name_owners(const struct st_accounts *accounts, struct st_state *s)
{
  const char *owner = st_account_user(accounts, s->uid);
  const char *group = st_account_group(accounts, s->gid);
  s->owner = owner ? st_strdup(owner) : NULL;
  s->group = group ? st_strdup(group) : NULL;
}

/* What stat does not say; what cannot be read stays unknown. */
static void fill_metadata(int parent, const char *name, const struct st_meta *meta,
                          const struct st_accounts *accounts, struct st_state *s)
{
  const struct st_xattr_options options = {accounts, NULL};
  ST_AUTO_METADATA m = {0};
  st_metadata_read(&m, -1, parent, name, meta, &options);
  if (m.has_xattrs)
    st_state_set_xattrs(s, m.xattrs.data, m.xattrs.length);
  if (m.has_holes)
    st_state_set_holes(s, m.holes.data, m.holes.length);
  s->flags = m.flags;
  s->known |= m.has_flags ? ST_KNOWN_FLAGS : 0;
}

int st_live_state(int root, const char *path, const struct st_accounts *accounts,
                  struct st_state *ret, struct st_error *err)
{
  *ret = (struct st_state){0};
  const char *name;
  ST_AUTO_CLOSE int parent = st_open_parent(root, path, &name);
  if (parent < 0)
    return is_absence(parent)
               ? 0
               : st_fail(err, -parent, "cannot open the directory of %s", st_quote(path));
  struct st_meta meta;
  int r = st_meta_read(parent, name, &meta);
  if (r < 0)
    return is_absence(r) ? 0 : st_fail(err, -r, "cannot look at %s", st_quote(path));
  st_state_from_meta(ret, &meta);
  fill_metadata(parent, name, &meta, accounts, ret);
  if (accounts)
    name_owners(accounts, ret);
  if (ret->type == 'l' && (r = st_read_link(parent, name, &ret->target)) < 0) {
    st_state_clear(ret);
    return st_fail(err, -r, "cannot read the symlink %s", st_quote(path));
  }
  return 0;
}

/* O_NONBLOCK: should a FIFO stand there by now, nobody waits. */
int st_live_open(int root, const char *path, struct st_error *err)
{
  ST_AUTO_CLOSE int fd = st_open_beneath(root, path, O_RDONLY | O_NONBLOCK | O_NOATIME, 0);
  if (fd == -EPERM)
    fd = st_open_beneath(root, path, O_RDONLY | O_NONBLOCK, 0);
  if (fd < 0)
    return st_fail(err, -fd, "cannot open %s", st_quote(path));
  struct stat st;
  if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
    return st_fail(err, 0, "it is no regular file any more (%s)", st_quote(path));
  return st_steal_fd(&fd);
}

int st_live_digest(int root, const char *path, const uint8_t *key, struct st_state *state,
                   struct st_error *err)
{
  ST_AUTO_CLOSE int fd = st_live_open(root, path, err);
  if (fd < 0)
    return -1;
  ST_CLEANUP(st_digester_freep) struct st_digester *digester = st_digester_new(key);
  ST_AUTO_FREE char *piece = st_malloc(PIECE);
  ssize_t n;
  while ((n = read(fd, piece, PIECE)) != 0) {
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return st_fail(err, errno, "cannot read %s", st_quote(path));
    st_digester_add(digester, piece, (size_t)n);
  }
  st_digester_final(digester, state->digest.digest);
  state->digest.keyed = key != NULL;
  state->known |= ST_KNOWN_DIGEST;
  return 0;
}

int st_live_children(int root, const char *path, struct st_strings *ret, struct st_error *err)
{
  int fd = st_open_beneath(root, path, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0)
    return st_fail(err, -fd, "cannot open the directory %s", st_quote(path));
  ST_AUTO_CLOSEDIR DIR *d = fdopendir(fd);
  if (!d) {
    close(fd);
    return st_fail(err, errno, "cannot list the directory %s", st_quote(path));
  }
  errno = 0;
  for (struct dirent *e; (e = readdir(d)); errno = 0) {
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
      st_strings_add(ret, e->d_name);
  }
  return errno ? st_fail(err, errno, "cannot list the directory %s", st_quote(path)) : 0;
}
