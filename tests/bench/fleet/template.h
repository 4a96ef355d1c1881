/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * template.h - the checkpoints that all hosts of the simulator have, made once by systracker with
 * its plug-ins (corpus fleet, fleet.sh), and for each host made its own: signed by its key, linked
 * in its own chain, on a day of its own, and with one file that only it has, OWN_PATH.
 *
 * What that file's digest changes of a checkpoint is its body (in place) and its state root.  The
 * tree is made here a second time, by doc/formats.md and not by the catalog's code: what it gives
 * for the template has to be what the template's headers say.
 */
#ifndef TESTS_BENCH_FLEET_TEMPLATE_H
#define TESTS_BENCH_FLEET_TEMPLATE_H

#include "systracker/catalog/changeset.h"
#include "systracker/store/transfer.h"

#define FLEET_OWN_PATH "/etc/fleet/kept/own"
#define FLEET_DAY 86400

struct fleet_template;

/* `store`: the folder that was made. */
int fleet_template_open(struct fleet_template **ret, const char *store, struct st_error *err);
void fleet_template_close(struct fleet_template *t);
ST_DEFINE_CLEANUP(struct fleet_template *, fleet_template_close)

/* How many checkpoints there are, and how many facts began with one (1 is the first). */
int64_t fleet_template_count(const struct fleet_template *t);
int64_t fleet_template_began(const struct fleet_template *t, int64_t number);
/* Contents of the checkpoint that all hosts have; borrowed. */
const struct st_parcel *fleet_template_parcels(const struct fleet_template *t, int64_t number,
                                               size_t *ret_count);

/* A host: its keys, and where its chain is.  A file of the simulator has them as they are here. */
struct fleet_host {
  struct st_keys keys;
  int64_t number; /* of the latest checkpoint; 0: none */
  uint8_t head[ST_DIGEST_SIZE];
  char session[65];                 /* "": none */
  char content_of[ST_HOST_ID_SIZE]; /* whose id stands in its own file; "": its own (clone.h) */
};

/* Its checkpoint after the latest, which this becomes: `set`, and the content of its own. */
int fleet_next(struct fleet_host *host, const struct fleet_template *t, int64_t time,
               struct st_changeset *set, struct st_parcel *own, struct st_error *err);

#endif
