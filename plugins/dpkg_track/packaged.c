/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packaged.c - a manifest from the package's file. */
#include <string.h>

#include "plugins/dpkg_track/making.h"

/* What dpkg leaves out may be there all the same, from before it was told to. */
static bool is_left_out(struct making *m, const struct deb_entry *e, const char *place)
{
  struct stat st;
  return m->view->filters.count > 0 &&
         filters_skip(&m->view->filters, e->path, e->type == 'd' || e->type == 'l') &&
         view_stat(m->view, place, &st) < 0;
}

/* As dpkg sets it: by name where this root has the name, else by number. */
static void set_owner(struct making *m, const struct deb_entry *e, struct expectation *x)
{
  struct accounts *a = &m->view->accounts;
  x->uid = account_id(&a->users, e->user, (uint32_t)e->uid);
  x->gid = account_id(&a->groups, e->group, (uint32_t)e->gid);
  x->owner = account_name(&a->users, x->uid);
  x->group = account_name(&a->groups, x->gid);
}

/* Another name of an entry that came before it, and the same in all else. */
static int add_link(struct making *m, const struct deb_entry *e, struct listed *listed, char *place,
                    struct st_error *err)
{
  const struct listed *first = listing_find(&m->listing, e->hardlink, strlen(e->hardlink));
  if (!first || first->mark == 0)
    return 0; /* left out, so dpkg could not make the link either */
  struct expectation *x = &m->manifest.items[first->mark - 1];
  if (x->group_of_links == 0)
    x->group_of_links = first->mark;
  struct expectation copy = *x;
  copy.path = place;
  listed->mark = m->manifest.count + 1;
  return manifest_add(&m->manifest, &copy, err);
}

static int add_entry(struct making *m, const struct deb_entry *e, struct listed *listed,
                     char *place, struct st_error *err)
{
  struct expectation x = {
      .path = place,
      .type = e->type,
      .mode = e->type == 'l' ? 0777 : e->mode,
      .mtime = e->mtime,
      .rdev = e->rdev,
      .target = e->type == 'l' ? (char *)e->target : NULL,
      .has_digest = e->type == 'f',
      .size = e->size,
  };
  memcpy(x.digest.digest, e->digest, sizeof(x.digest.digest));
  set_owner(m, e, &x);
  listed->mark = m->manifest.count + 1;
  return manifest_add(&m->manifest, &x, err);
}

/* What dpkg's list does not have was taken over by another package, or is gone for good. */
static int take_entry(struct making *m, const struct deb_entry *e, struct st_error *err)
{
  char place[PATH_MAX];
  struct listed *listed = listing_find(&m->listing, e->path, strlen(e->path));
  if (!listed || strcmp(e->path, "/.") == 0)
    return 0;
  if (view_place(m->view, m->package->name, e->path, e->type == 'd', place, err) < 0)
    return -1;
  if (is_left_out(m, e, place))
    return 0;
  return (e->hardlink ? add_link : add_entry)(m, e, listed, place, err);
}

/* Built again under the same version, it would have other contents than what was installed. */
int make_from_file(struct making *m, struct unpacked *u, struct st_error *err)
{
  int r = 0;
  if (u->md5sums && !listing_agrees(&m->listing, u->md5sums))
    return 1;
  for (size_t i = 0; i < u->count && r == 0; i++)
    r = take_entry(m, u->entries[i], err);
  return r;
}
