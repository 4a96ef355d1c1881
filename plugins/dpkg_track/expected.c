/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/expected.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "plugins/dpkg_track/making.h"
#include "plugins/dpkg_track/tables.h"
#include "plugins/dpkg_track/unpacked.h"

#define MOST_TEXT 1024

/* A text of the row, terminated.  False: it has none, or one that cannot be. */
static bool take_text(const struct st_value *row, enum package_column column, char ret[MOST_TEXT])
{
  const struct st_value *v = &row[column];
  if (v->type != ST_TEXT || v->u.bytes.length >= MOST_TEXT)
    return false;
  memcpy(ret, v->u.bytes.data, v->u.bytes.length);
  ret[v->u.bytes.length] = 0;
  return true;
}

/* Whether the package's tree is unpacked whole: of one that is half there, or of which nothing but
 * configuration is left, its file says too much. */
static bool is_unpacked(const char *state)
{
  static const char *const words[] = {"installed", "triggers-pending", "triggers-awaited",
                                      "half-configured", "unpacked"};
  const char *status = strrchr(state, ' ');
  for (size_t i = 0; status && i < sizeof(words) / sizeof(*words); i++) {
    if (strcmp(status + 1, words[i]) == 0)
      return true;
  }
  return false;
}

static int open_file(const struct st_context *ctx, const struct package *p)
{
  if (!p->version || !is_unpacked(p->state))
    return -ENOENT;
  return st_package_file(ctx, p->name, p->version, p->architecture, NULL);
}

/* ---- Package files read ahead -----------------------------------------------------------------
 */

/* A first checkpoint asks for all packages in their order: from the third in a row on, the files of
 * the next ones are read meanwhile. */
static void read_ahead(struct dpkg_track *d, size_t place)
{
  const struct packages *all = &d->database.packages;
  d->in_a_row = place == d->asked ? d->in_a_row + 1 : 1;
  d->asked = place + 1;
  if (d->in_a_row < 3)
    return;
  if (!d->ahead)
    d->ahead = readahead_new();
  if (!d->ahead)
    return;
  readahead_drop_before(d->ahead, place);
  for (size_t i = place; i < all->count && i < place + MOST_AHEAD; i++) {
    if (readahead_has(d->ahead, i) || !readahead_has_room(d->ahead))
      continue;
    int fd = open_file(d->ctx, &all->items[i]);
    if (fd >= 0)
      readahead_begin(d->ahead, i, fd);
  }
}

/* What the package's file holds; NULL: none is kept. */
static struct unpacked *read_file(struct dpkg_track *d, const struct package *p, size_t place)
{
  struct unpacked *u = d->ahead ? readahead_take(d->ahead, place) : NULL;
  if (u)
    return u;
  int fd = open_file(d->ctx, p);
  if (fd < 0)
    return NULL;
  u = unpacked_read(fd);
  close(fd);
  return u;
}

/* ---- Manifests --------------------------------------------------------------------------------
 */

/* 0: made; 1: there is no such file, or none that serves. */
static int try_file(struct making *m, struct unpacked *u)
{
  int r = !u ? 1 : u->damaged ? -1 : make_from_file(m, u, NULL);
  if (r == 0 || !u)
    return r;
  st_log(ST_LOG_WARNING,
         r > 0 ? "package %s: the file that is kept is not the one that was "
                 "installed: it has other contents"
               : "package %s: the file that is kept cannot be read",
         m->package->name);
  manifest_clear(&m->manifest);
  for (size_t i = 0; i < m->listing.count; i++)
    m->listing.items[i].mark = 0;
  return 1;
}

static int make(struct making *m, struct unpacked *u, struct st_manifest *out, struct st_error *err)
{
  if (try_file(m, u) == 0)
    return manifest_tell(&m->manifest, out, err);
  if (make_from_what_is_there(m, err) < 0)
    return -1;
  st_manifest_observed(out);
  return manifest_tell(&m->manifest, out, err);
}

/* A package whose list is missing has no files, for dpkg; one whose list is damaged is not known.
 */
static int expect_package(struct view *view, const struct package *p, struct unpacked *u,
                          struct st_manifest *out, struct st_error *err)
{
  struct making m = {.view = view, .package = p};
  int r = view->info < 0 ? -ENOENT : listing_read(&m.listing, view->info, p, NULL);
  if (r < 0) {
    if (r != -ENOENT)
      st_log(ST_LOG_WARNING, "package %s: dpkg's list of its files cannot be read", p->name);
    return 1;
  }
  r = make(&m, u, out, err);
  manifest_clear(&m.manifest);
  listing_clear(&m.listing);
  return r;
}

int dpkg_expected(void *self, const char *table, const struct st_value *row,
                  struct st_manifest *out, struct st_error *err)
{
  struct dpkg_track *d = self;
  char name[MOST_TEXT], architecture[MOST_TEXT], version[MOST_TEXT], state[MOST_TEXT];
  if (strcmp(table, PACKAGE) != 0 || !take_text(row, PACKAGE_NAME, name) ||
      !take_text(row, PACKAGE_ARCHITECTURE, architecture) || !take_text(row, PACKAGE_STATE, state))
    return 1;
  bool versioned = take_text(row, PACKAGE_VERSION, version);
  if (!d->read)
    (void)database_read(d, &d->database, NULL); /* for configuration files alone */
  d->read = true;
  if (!d->view && view_open(&d->view, d, err) < 0)
    return -1;
  const struct packages *all = &d->database.packages;
  const struct package *known = packages_find(all, name, architecture);
  size_t place = known ? (size_t)(known - all->items) : SIZE_MAX;
  struct package p = known ? *known : (struct package){0};
  p.name = name;
  p.architecture = architecture;
  p.version = versioned ? version : NULL;
  p.state = state;
  if (known)
    read_ahead(d, place);
  struct unpacked *u = read_file(d, &p, place);
  int r = expect_package(d->view, &p, u, out, err);
  unpacked_free(u);
  return r;
}
