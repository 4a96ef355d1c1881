/* SPDX-License-Identifier: GPL-2.0-or-later */
/* making.h - one package's manifest in the making, from its file (packaged.c) or from what is there
 * (observed.c). */
#ifndef ST_DPKG_TRACK_MAKING_H
#define ST_DPKG_TRACK_MAKING_H

#include "plugins/dpkg_track/listing.h"
#include "plugins/dpkg_track/manifest.h"
#include "plugins/dpkg_track/unpacked.h"
#include "plugins/dpkg_track/view.h"

struct making {
  struct view *view;
  const struct package *package;
  struct listing listing;
  struct manifest manifest;
};

/* From its file.  1: that is not what dpkg unpacked. */
int make_from_file(struct making *m, struct unpacked *u, struct st_error *err);
int make_from_what_is_there(struct making *m, struct st_prover *prover, struct st_error *err);

/* The same in steps, for several packages at once: all but the digests, then those. */
int gather_what_is_there(struct making *m, struct st_error *err);

/* Contents to be proved (st_prove) by whoever has time for a slice of them. */
struct proofs {
  struct st_proof *items;
  struct expectation **of; /* each one's, borrowed */
  size_t count, nlong;     /* long ones are in front */
};

/* All of these packages', which are gathered; to be cleared, also after a failure. */
int proofs_list(struct proofs *p, struct making *list, size_t count, struct st_error *err);
/* The end of a slice that begins there. */
size_t proofs_slice(const struct proofs *p, size_t from);
/* All are proved: hands on what came out. */
void proofs_take(const struct proofs *p);
void proofs_clear(struct proofs *p);

#endif
