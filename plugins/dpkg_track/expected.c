/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/expected.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "plugins/dpkg_track/lots.h"
#include "plugins/dpkg_track/tables.h"
#include "plugins/dpkg_track/unpacked.h"

#define MOST_TEXT 1024
#define MOST_OF_A_LOT 48 /* packages */

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

/* From the third of them in a row on. */
static void read_ahead(struct dpkg_track *d, size_t place)
{
  const struct packages *all = &d->database.packages;
  if (d->ahead)
    readahead_drop_before(d->ahead, place);
  if (d->looked < place)
    d->looked = place;
  for (; d->looked < all->count && d->looked < place + MOST_AHEAD; d->looked++) {
    if (d->ahead && !readahead_has_room(d->ahead))
      return;
    int fd = open_file(d->ctx, &all->items[d->looked]);
    if (fd >= 0 && !d->ahead)
      d->ahead = readahead_new();
    if (fd >= 0 && d->ahead)
      readahead_begin(d->ahead, d->looked, fd);
    else if (fd >= 0)
      close(fd);
  }
}

/* ---- Manifests from what is there, made ahead -------------------------------------------------
 */

/* Which of the packages have no file that would make a better one. */
static void want_observed(struct dpkg_track *d, size_t first, size_t count, bool *ret)
{
  for (size_t i = 0; i < count; i++) {
    const struct package *p = &d->database.packages.items[first + i];
    int fd = p->installed ? open_file(d->ctx, p) : 0;
    ret[i] = fd < 0;
    if (fd > 0)
      close(fd);
  }
}

/* As many as were asked for in a row, so that few are made for nothing where no more are. */
static void make_ahead(struct dpkg_track *d, size_t place)
{
  size_t all = d->database.packages.count;
  bool wanted[MOST_OF_A_LOT];
  if (!d->lots)
    d->lots = lots_new(d, &d->maker);
  if (d->begun < place)
    d->begun = place;
  while (d->lots && d->begun < all && d->begun <= place + d->in_a_row && lots_have_room(d->lots)) {
    size_t count = 2 * (size_t)d->in_a_row;
    if (count > MOST_OF_A_LOT)
      count = MOST_OF_A_LOT;
    if (count > all - d->begun)
      count = all - d->begun;
    want_observed(d, d->begun, count, wanted);
    lots_add(d->lots, d->begun, count, wanted);
    d->begun += count;
  }
}

/* A first checkpoint asks for all packages in their order. */
static void look_ahead(struct dpkg_track *d, size_t place)
{
  const struct packages *all = &d->database.packages;
  while (d->asked < place && !all->items[d->asked].installed)
    d->asked++;
  d->in_a_row = place == d->asked ? d->in_a_row + 1 : 1;
  d->asked = place + 1;
  if (d->in_a_row < 3)
    return;
  read_ahead(d, place);
  make_ahead(d, place);
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

static int make(struct making *m, struct st_prover *prover, struct unpacked *u,
                struct st_manifest *out, struct st_error *err)
{
  if (try_file(m, u) == 0)
    return manifest_tell(&m->manifest, out, err);
  if (make_from_what_is_there(m, prover, err) < 0)
    return -1;
  st_manifest_observed(out);
  return manifest_tell(&m->manifest, out, err);
}

/* A package whose list is missing has no files, for dpkg; one whose list is damaged is not known.
 */
static int expect_package(struct maker *maker, const struct package *p, struct unpacked *u,
                          struct st_manifest *out, struct st_error *err)
{
  struct making m = {.view = maker->view, .package = p};
  int r = m.view->info < 0 ? -ENOENT : listing_read(&m.listing, m.view->info, p, NULL);
  if (r < 0) {
    if (r != -ENOENT)
      st_log(ST_LOG_WARNING, "package %s: dpkg's list of its files cannot be read", p->name);
    return 1;
  }
  r = make(&m, maker->prover, u, out, err);
  manifest_clear(&m.manifest);
  listing_clear(&m.listing);
  return r;
}

/* 1: nothing was made ahead of the package. */
static int tell_made(struct dpkg_track *d, size_t place, struct st_manifest *out,
                     struct st_error *err)
{
  struct making m;
  if (!d->lots || !lots_take(d->lots, place, &m))
    return 1;
  st_manifest_observed(out);
  int r = manifest_tell(&m.manifest, out, err);
  manifest_clear(&m.manifest);
  listing_clear(&m.listing);
  return r;
}

/* What takes memory is not kept for long behind the last package that may be asked for. */
static void forget_makers(struct dpkg_track *d, size_t place)
{
  const struct packages *all = &d->database.packages;
  for (size_t i = place + 1; i < all->count; i++) {
    if (all->items[i].installed)
      return;
  }
  lots_free(d->lots);
  d->lots = NULL;
  maker_close(&d->maker);
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
  if (!d->maker.view && maker_open(&d->maker, d, err) < 0)
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
    look_ahead(d, place);
  struct unpacked *u = read_file(d, &p, place);
  int r = known && !u ? tell_made(d, place, out, err) : 1;
  if (r > 0)
    r = expect_package(&d->maker, &p, u, out, err);
  unpacked_free(u);
  if (known)
    forget_makers(d, place);
  return r;
}
