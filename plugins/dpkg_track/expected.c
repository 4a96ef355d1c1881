/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/expected.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "plugins/dpkg_track/making.h"
#include "plugins/dpkg_track/tables.h"

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

/* 0: made; 1: there is no such file, or none that serves. */
static int try_file(struct making *m, struct st_error *err)
{
  const struct package *p = m->package;
  if (!p->version || !is_unpacked(p->state))
    return 1;
  int fd = st_package_file(m->view->ctx, p->name, p->version, p->architecture, NULL);
  if (fd < 0)
    return 1;
  int r = make_from_file(m, fd, err);
  close(fd);
  if (r == 0)
    return 0;
  st_log(ST_LOG_WARNING,
         r > 0 ? "package %s: the file that is kept is not the one that was "
                 "installed: it has other contents"
               : "package %s: the file that is kept cannot be read",
         p->name);
  manifest_clear(&m->manifest);
  for (size_t i = 0; i < m->listing.count; i++)
    m->listing.items[i].mark = 0;
  return 1;
}

static int make(struct making *m, struct st_manifest *out, struct st_error *err)
{
  if (try_file(m, NULL) == 0)
    return manifest_tell(&m->manifest, out, err);
  if (make_from_what_is_there(m, err) < 0)
    return -1;
  st_manifest_observed(out);
  return manifest_tell(&m->manifest, out, err);
}

/* A package whose list is missing has no files, for dpkg; one whose list is damaged is not known.
 */
static int expect_package(struct view *view, const struct package *p, struct st_manifest *out,
                          struct st_error *err)
{
  struct making m = {.view = view, .package = p};
  int r = view->info < 0 ? -ENOENT
                         : listing_read(&m.listing, view->info, p->name, p->architecture, NULL);
  if (r < 0) {
    if (r != -ENOENT)
      st_log(ST_LOG_WARNING, "package %s: dpkg's list of its files cannot be read", p->name);
    return 1;
  }
  r = make(&m, out, err);
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
  const struct package *known = packages_find(&d->database.packages, name, architecture);
  struct package p = known ? *known : (struct package){0};
  p.name = name;
  p.architecture = architecture;
  p.version = versioned ? version : NULL;
  p.state = state;
  return expect_package(d->view, &p, out, err);
}
