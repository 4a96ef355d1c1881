/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * links.h - which entries of a walk are one inode under several names.
 *
 * A group is named by its first path in byte order, the same in all its members; names that the
 * walk did not meet are counted.  That is known when the walk is through: entries with several
 * links are held back until then.  An entry that stat says nothing new of may be in another group
 * all the same, as a directory above another member was moved: the index keeps a digest of the
 * group, and where it differs, the entry is looked at again.
 */
#ifndef ST_SCAN_LINKS_H
#define ST_SCAN_LINKS_H

#include "systracker/scan/index.h"

struct st_links;
struct st_links *st_links_new(void);
void st_links_free(struct st_links *links);
ST_DEFINE_CLEANUP(struct st_links *, st_links_free)

/* Whether an entry is to be held back: it is one of several links, and no directory. */
static inline bool st_links_concern(const struct st_meta *m)
{
  return m->links > 1 && m->type != 'd';
}

/* Where the index has it, for the caller: a directory of the walk, and a record in it. */
struct st_node;
struct st_links_place {
  struct st_node *node;
  uint32_t record; /* of what was looked at, in the new directory; else in the old one */
};

/* Takes a copy of an entry that was looked at, and of what the index is to know of it. */
void st_links_hold(struct st_links *links, uint32_t plugins, const struct st_entry *entry,
                   const struct st_index_entry *index, struct st_links_place place);
/* One that the index answers for; `index->meta.links` and `mount_id` are as seen now. */
void st_links_pass(struct st_links *links, const char *path, const struct st_index_entry *index,
                   struct st_links_place place);

/* Tells, for each path held, the entry with its group; and for each one passed whose group is not
 * as the index has it, the path alone, to be looked at with that group. */
struct st_links_group {
  const char *first; /* the group's name; "": the entry is alone */
  uint64_t outside;  /* links that the walk did not meet */
  uint32_t digest;   /* for the index; 0: alone, and none outside */
};
struct st_links_callbacks {
  void *arg;
  int (*entry)(void *arg, uint32_t plugins, const struct st_entry *entry,
               const struct st_index_entry *index, struct st_links_place place,
               struct st_error *err);
  int (*again)(void *arg, const char *path, const struct st_links_group *group,
               struct st_links_place place, struct st_error *err);
};
int st_links_finish(struct st_links *links, const struct st_links_callbacks *callbacks,
                    struct st_error *err);

/* Puts a group into an entry; borrowed. */
void st_links_fill(const struct st_links_group *group, struct st_entry *entry);

#endif
