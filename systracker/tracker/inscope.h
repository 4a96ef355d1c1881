/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inscope.h - what of the packages' paths is looked after here.
 *
 * A manifest speaks of all paths of its package; expected are those that a rule tracks, for the
 * plug-in whose table it is, and that do not lie on a mount that is not entered.  The scan that is
 * open goes by the configuration and by what it met; a checkpoint by its facts, so that it reads
 * the same for good, and in an archive, which has no configuration.
 */
#ifndef ST_TRACKER_INSCOPE_H
#define ST_TRACKER_INSCOPE_H

#include "systracker/tracker/tracker.h"

/* The catalog of the tracker asks from now on. */
void st_inscope_bind(struct st_tracker *t);
void st_inscope_free(struct st_inscope *s);

/* A scan begins: no mount was met yet. */
void st_inscope_begin(struct st_tracker *t);
/* It met a mount that is not entered; and what was not observed stands as it was. */
void st_inscope_passed(struct st_tracker *t, const char *path);
void st_inscope_unobserved(struct st_tracker *t, const char *path);

#endif
