/* SPDX-License-Identifier: GPL-2.0-or-later */
/* visit.h - within the scan: one thread that stats, and the directory that it has at hand. */
#ifndef ST_SCAN_VISIT_H
#define ST_SCAN_VISIT_H

#include "systracker/scan/list.h"
#include "systracker/scan/tree.h"

/* A name that differs from the index. */
struct st_seen {
  const char *name;
  uint32_t at; /* records of the old directory before it */
  bool known;  /* it goes in the place of the record at `at` */
  bool gone;
  size_t item; /* of the node, to be told its record; SIZE_MAX: none */
  struct st_index_entry entry;
};

/* A directory within, that the next index has. */
struct st_inner {
  const char *name;
  uint32_t order, record, position;
  uint64_t mount_id;
  int fd; /* of a root, where it is open already; else -1 */
  bool entered, unchanged;
};

struct st_pool;

/* Items of directories that were visited, many in one piece of memory. */
struct st_items {
  struct st_items *next;
  size_t used, room;
  struct st_item items[];
};

struct st_visitor {
  struct st_walk_state *w;
  struct st_pool *pool;
  struct st_walk_result result; /* its part */
  struct st_node **stack;
  size_t nstack, size_stack;
  struct st_nodes *nodes; /* that it made: kept until the end of the walk */
  struct st_items *kept;  /* the nodes' */
  struct st_passed *passed;
  size_t npassed, size_passed;
  struct st_buffer path;
  const struct st_node *path_of; /* `path` is that of a name in it; NULL: not yet */
  size_t path_length;            /* of the directory's own */
  struct st_list list;
  /* Of the directory at hand: */
  struct st_index_dir old;
  uint32_t next_position, order, generated;
  bool proved, digests_good; /* the old one's digests were proved */
  struct st_item *items;     /* lent to the node */
  size_t size_items;
  struct st_seen *seen;
  struct st_inner *inner;
  size_t nseen, size_seen, ninner, size_inner;
};

struct given;
typedef void st_visit_fn(struct st_visitor *v, struct st_node *n, struct given *g, void *arg);

/* pool.c */
struct st_node *st_visitor_new_node(struct st_visitor *v);
void st_visitor_push(struct st_visitor *v, struct st_node *node);
/* All of the node's items are noted: they are kept until the end of the walk. */
void st_visitor_keep_items(struct st_visitor *v, struct st_node *node);
struct st_pool *st_pool_new(struct st_walk_state *w);
struct st_visitor *st_pool_first(struct st_pool *pool); /* for the thread that waits */
/* Visits all that was pushed, and all below, by several threads where that pays. */
void st_pool_run(struct st_pool *pool);
/* Frees the nodes, too. */
void st_pool_free(struct st_pool *pool);

/* One directory, by the thread whose visitor it is. */
void st_visit(struct st_visitor *v, struct st_node *n);

/* The same in steps, for what is no directory: the roots. */
void st_visit_begin(struct st_visitor *v, struct st_node *n);
/* Calls fn for each name, and what has to be done for each that the index has and is not among
 * them.  In the order of their bytes. */
void st_visit_names(struct st_visitor *v, struct st_node *n, char *const *names, size_t count,
                    st_visit_fn *fn, void *arg);
const char *st_given_name(const struct given *g);
/* It is there, under this name in that directory; it was not seen; the mount above it is missing;
 * it is not there. */
void st_visit_consider(struct st_visitor *v, struct st_node *n, struct given *g, int fd,
                       const char *name);
void st_visit_not_seen(struct st_visitor *v, struct st_node *n, const struct given *g, int code);
void st_visit_keep(struct st_visitor *v, const struct given *g);
void st_visit_absent(struct st_visitor *v, struct st_node *n, const struct given *g);
void st_visit_end(struct st_visitor *v, struct st_node *n);

#endif
