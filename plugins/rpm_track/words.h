/* SPDX-License-Identifier: GPL-2.0-or-later */
/* words.h - rpm_track's changes in words. */
#ifndef ST_RPM_TRACK_WORDS_H
#define ST_RPM_TRACK_WORDS_H

#include "systracker/plugin.h"

int rpm_explain(void *self, const struct st_change *change, struct st_text *out,
                struct st_error *err);

#endif
