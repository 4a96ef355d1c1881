/* SPDX-License-Identifier: GPL-2.0-or-later */
/* words.h - `explain`: changes of dpkg_track's tables in words. */
#ifndef ST_DPKG_TRACK_WORDS_H
#define ST_DPKG_TRACK_WORDS_H

#include "systracker/plugin.h"

/* As `explain` of plugin.h.  The key is said by whoever asks. */
int dpkg_explain(void *self, const struct st_change *c, struct st_text *out, struct st_error *err);

#endif
