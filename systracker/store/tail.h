/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tail.h - what lies behind the last record of a pack that can be proved: what a killed writer
 * left, or records that are damaged. */
#ifndef ST_STORE_TAIL_H
#define ST_STORE_TAIL_H

#include "systracker/store/pack.h"

/* The bytes from `from` to the end of the file are no records; `torn`: as st_pack_scan says.
 * 1: damage, as a record was complete there once: one whose length fits, though its checksum does
 * not, or one that is whole but for a byte of its head.  0: what was never written to its end, by a
 * kill or a power cut (which leaves zeros). */
int st_tail_is_damaged(struct st_pack *pack, uint64_t from, bool torn, struct st_error *err);

#endif
