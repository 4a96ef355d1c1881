/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bech32.h - keys as people copy them: BIP 173's encoding with its checksum, of 32 bytes and of any
 * length of text, as age has it. */
#ifndef ST_BASE_BECH32_H
#define ST_BASE_BECH32_H

#include "systracker/base/buffer.h"

#define ST_BECH32_BYTES 32
#define ST_BECH32_EXTRA 59 /* characters behind the prefix: "1", 52 of data, 6 of checksum */

/* `out` has room for the prefix, ST_BECH32_EXTRA and a NUL.  All of it is in the prefix's case. */
void st_bech32(char *out, const char *prefix, const uint8_t data[ST_BECH32_BYTES]);
/* False unless the text is exactly what st_bech32 makes of the prefix and some 32 bytes. */
bool st_unbech32(uint8_t data[ST_BECH32_BYTES], const char *prefix, const char *text);

#endif
