/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tree.h - within the scan: directories on their way through the walk.
 *
 * First all threads stat (visit.c): a node is one directory, taken up by one thread, which compares
 * what is in it with the index, writes a new directory of the index where something differs, and
 * notes what there is to look at.  Then one thread goes through what was noted, in the order of
 * the paths, and tells it, while the others read ahead (look.c).
 */
#ifndef ST_SCAN_TREE_H
#define ST_SCAN_TREE_H

#include <pthread.h>
#include <time.h>

#include "systracker/scan/mounts.h"
#include "systracker/scan/walk.h"

#define ST_DEEPEST 8192 /* levels */

enum st_item_kind {
  ST_ITEM_LOOK,       /* an entry to look at */
  ST_ITEM_FORGET,     /* an entry that nobody tracks any more, though something below it is */
  ST_ITEM_UNOBSERVED, /* the name was not seen */
  ST_ITEM_MOUNT,      /* a file system is mounted there */
  ST_ITEM_GONE,       /* the name is not there any more */
  ST_ITEM_EMPTIED,    /* the directory of the name is none any more: all in it is gone */
};

/* What the new directory's record of an entry does not say, and what is asked for most. */
struct st_item_meta {
  uint64_t size, blocks, device, mount_id;
  uint32_t links;
  char type;
};

/* Something to tell about a name in a directory.  In a first checkpoint there is one for each name,
 * until the end of the walk. */
struct st_item {
  enum st_item_kind kind;
  uint32_t order;   /* of the name in its directory, counted from 1; 0: the directory itself */
  uint32_t record;  /* LOOK, FORGET: in the new directory */
  uint32_t old;     /* LOOK: in the old one, or ST_INDEX_NONE; EMPTIED: its position */
  uint32_t plugins; /* LOOK */
  union {
    struct st_item_meta meta; /* LOOK */
    struct {                  /* all others */
      char *name;             /* owned */
      const char *why;        /* UNOBSERVED: constant */
      uint64_t mount_id;      /* MOUNT */
      int code;               /* UNOBSERVED: errno value, or 0: `why` */
      bool entered;           /* MOUNT */
    };
  };
};

struct st_node {
  struct st_node *parent;
  const char *name; /* of the index, or of the parent's new directory; of a root, its path */
  struct st_index_new *fresh;  /* NULL: as it was */
  struct st_index_new *holder; /* the parent's, where it has one; with the link's number there */
  uint32_t link;
  uint32_t position; /* in the index, or ST_INDEX_NONE */
  uint32_t order;    /* in the parent, as in st_item */
  uint32_t record;   /* in the parent's new directory, or in the old one */
  int depth;
  int fd;                    /* while names in it are opened */
  unsigned users;            /* of fd: children not opened yet, and itself; atomic */
  uint64_t mount_id;         /* 0: not known */
  bool unchanged;            /* its own stat data are those of the index, and settled */
  bool keeps_times;          /* so does its file system, for directories */
  bool incomplete;           /* not all in it was seen: to be listed again next time */
  bool busy;                 /* something is to tell, here or below */
  bool has_names;            /* some item has one; once it was visited */
  struct st_item *items;     /* in order */
  size_t nitems, size_items; /* room: 0 once it was visited, as they are the visitor's then */
  struct st_node *busy_children, *next_busy; /* in any order, until they are sorted */
  struct st_node *next;                      /* of a thread's stack */
};

/* An entry of several links that is as the index has it: links.h wants to know, if anything
 * changed at all. */
struct st_passed {
  struct st_node *node;
  uint32_t record; /* in the old directory */
  uint32_t links;
  uint64_t inode, device, mount_id;
};

struct st_walk_state {
  const struct st_walk_options *o;
  const struct st_walk_callbacks *cb;
  struct st_walk_result *result;
  struct st_mounts *mounts;
  struct timespec start;    /* by the coarse clock, as file systems stamp by it */
  struct st_node top;       /* no directory: the roots are in it */
  struct st_strings gone;   /* told at the end */
  struct st_strings absent; /* mount points that are missing, with their folders perhaps */
  pthread_mutex_t busy;     /* guards busy, busy_children */
  bool other_roots;         /* the index has other roots than this walk: look up by path */
  unsigned threads;
  struct st_pool *pool; /* that stats; it has the nodes */
};

/* The path of a name in the directory; "" is the directory itself. */
void st_node_path(const struct st_node *node, const char *name, struct st_buffer *out);
/* Notes an item for the thread that tells. */
struct st_item *st_node_note(struct st_node *node, enum st_item_kind kind, uint32_t order);
void st_node_busy(struct st_walk_state *w, struct st_node *node);
void st_node_clear(struct st_node *node);
/* Its own, or NULL: it is that of the record. */
static inline char *st_item_name(const struct st_item *item)
{
  return item->kind == ST_ITEM_LOOK ? NULL : item->name;
}
/* LOOK, FORGET: what statx(2) said, until the entry was told. */
void st_item_meta(const struct st_node *node, const struct st_item *item, struct st_meta *ret);
/* Puts its busy children in their order. */
void st_node_sort(struct st_node *node);

/* Whether an entry of these times is older than the start of the walk. */
bool st_is_settled(const struct st_walk_state *w, const struct st_meta *m);
/* Opens a directory (flags besides those against symlinks); -errno. */
int st_open_directory(int dirfd, const char *name, int flags);

/* Tells that a path was not seen: why, or the errno value behind it.  One thread. */
int st_walk_unobserved(struct st_walk_state *w, const char *path, int code, const char *why,
                       struct st_error *err);
/* Calls fn for what the visitors passed. */
void st_pool_each_passed(struct st_pool *pool,
                         void (*fn)(void *arg, const struct st_passed *passed), void *arg);
/* look.c: tells what was noted. */
int st_look_all(struct st_walk_state *w, struct st_error *err);

#endif
