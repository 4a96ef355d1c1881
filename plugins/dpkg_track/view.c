/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void view_free(struct view *v)
{
  if (!v)
    return;
  if (v->info >= 0)
    close(v->info);
  places_free(v->places);
  accounts_clear(&v->accounts);
  filters_clear(&v->filters);
  free(v->diversions.items);
  free(v->diversions_text);
  free(v);
}

static int fill(struct view *v, const struct dpkg_track *d, struct st_error *err)
{
  v->info = st_open_in_root(d->ctx, d->info, err);
  if (v->info < 0 && v->info != -ENOENT)
    return -1;
  v->places = places_new(st_context_root(d->ctx));
  if (!v->places)
    return st_fail(err, 0, "out of memory");
  if (accounts_read(&v->accounts, d->ctx, err) < 0 || filters_read(&v->filters, d->ctx, err) < 0)
    return -1;
  return read_diversions(d, &v->diversions, &v->diversions_text, err);
}

int view_open(struct view **ret, const struct dpkg_track *d, struct st_error *err)
{
  struct view *v = calloc(1, sizeof(*v));
  if (!v)
    return st_fail(err, 0, "out of memory");
  *v = (struct view){.ctx = d->ctx, .info = -1};
  if (fill(v, d, err) < 0) {
    view_free(v);
    return -1;
  }
  *ret = v;
  return 0;
}

/* Of all packages but the one that diverts; the administrator's of every one. */
static const char *diverted(const struct view *v, const char *package, const char *path)
{
  const struct diversion *d = diversions_find(&v->diversions, path);
  return d && strcmp(d->package, package) != 0 ? d->to : path;
}

int view_place(struct view *v, const char *package, const char *path, bool folder, char *ret,
               struct st_error *err)
{
  return places_resolve(v->places, folder ? path : diverted(v, package, path), folder, ret, err);
}

int view_stat(struct view *v, const char *place, struct stat *ret)
{
  const char *name;
  int fd = places_folder(v->places, place, &name);
  if (fd < 0)
    return fd;
  return fstatat(fd, name, ret, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}
