/* SPDX-License-Identifier: GPL-2.0-or-later */
/* text.h - numbers and dates as people write them. */
#ifndef ST_BASE_TEXT_H
#define ST_BASE_TEXT_H

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

/* "64M": bytes, with an optional K, M, G, T (of 1024).  Overflow and anything else: error. */
int st_parse_size(const char *text, uint64_t *ret, struct st_error *err);
/* A whole non-negative decimal number. */
int st_parse_number(const char *text, int64_t *ret, struct st_error *err);
/* "yes" "true" "on" "1" and their opposites. */
int st_parse_bool(const char *text, bool *ret, struct st_error *err);
/* YYYY-MM-DD, YYYY-MM-DD HH:MM[:SS] (or with T; Z for UTC): local time.  A date alone means the end
 * of that day.  Returns 1 when the text is no date. */
int st_parse_date(const char *text, int64_t *ret, struct st_error *err);
/* "2026-11-20 03:14:07", local. */
char *st_format_time(int64_t seconds);
/* "2026-11-20T03:14:07Z". */
char *st_format_time_utc(int64_t seconds);
/* "1.5 MiB". */
char *st_format_size(uint64_t bytes);

#endif
