/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * destination.h - what a push asks of an archive, whichever kind it is: a directory
 * (destination-directory.c) or a server (destination-server.c).  push.c has the order of things.
 */
#ifndef ARCHIVE_SYNC_DESTINATION_H
#define ARCHIVE_SYNC_DESTINATION_H

#include "archive-sync/ids.h"
#include "archive-sync/join.h"
#include "archive-sync/push.h"

/* One push, as both sides see it. */
struct st_push {
  const struct st_cli *cli;
  struct st_tracker *t; /* opened to look; may be opened again */
  struct st_keys keys;  /* outlive the tracker */
  unsigned wait;
  struct st_push_result *result;
};

/* Says of an object that cannot be read at home what is wrong with it, so that it is passed over
 * and does not keep all that is sound from the archive.  1: that was it. */
int st_push_explain(struct st_push *p, const struct st_id *id);
/* The same of anything else: `why` is said, and counted. */
void st_push_passed_over(struct st_push *p, const struct st_error *why);

/* What the archive has of this host. */
struct st_push_head {
  int64_t epoch, number; /* number 0: nothing */
  uint8_t digest[ST_DIGEST_SIZE];
  bool wanted; /* it misses something that it had */
  bool sealed; /* our data key lies there as it should, or no key can open it */
};

struct st_destination;
struct st_destination_ops {
  /* Without changing anything, and without waiting for others. */
  int (*look)(struct st_destination *d, struct st_push_head *ret, struct st_error *err);
  /* Package files that it does not have. */
  int (*packages)(struct st_destination *d, struct st_error *err);
  /* From here on it may be written; what is there is told again. */
  int (*begin)(struct st_destination *d, struct st_push_head *ret, struct st_error *err);
  /* Whether the archive has such a head that this host has signed; NULL: it is believed. */
  int (*prove)(struct st_destination *d, const struct st_push_head *head, struct st_error *err);
  /* Puts the chain aside as an older epoch. */
  int (*retire)(struct st_destination *d, int64_t epoch, struct st_error *err);
  /* Those that it does not have. */
  int (*objects)(struct st_destination *d, const struct st_id *ids, size_t count,
                 struct st_error *err);
  /* What it has lost is sent again; where that is all there was, nothing is wanted any more. */
  int (*refill)(struct st_destination *d, struct st_error *err);
  /* A checkpoint whose objects were sent. */
  int (*checkpoint)(struct st_destination *d, const struct st_changeset *set, struct st_error *err);
  /* Our data key, sealed to the archive's recipients; 1: it names none. */
  int (*seal)(struct st_destination *d, struct st_error *err);
  void (*close)(struct st_destination *d);
};
struct st_destination {
  const struct st_destination_ops *ops;
  struct st_push *push;
};
void st_destination_close(struct st_destination *d);
ST_DEFINE_CLEANUP(struct st_destination *, st_destination_close)

int st_destination_directory(struct st_destination **ret, struct st_push *p, const char *url,
                             struct st_error *err);
int st_destination_server(struct st_destination **ret, struct st_push *p,
                          const struct st_join *join, struct st_error *err);

#endif
