/* SPDX-License-Identifier: GPL-2.0-or-later */
/* caps.h - capabilities of files. */
#ifndef ST_RPM_CAPS_H
#define ST_RPM_CAPS_H

#include "systracker/base/buffer.h"

/* The list of attributes (base/xattr.h) of a file that has these capabilities alone: the attribute
 * security.capability in revision 2 (linux/capability.h).  `text` as cap_from_text(3) takes it; ""
 * and "=" are none, and an empty list.  Returns -1 where it says no such thing. */
int rpm_caps_list(const char *text, struct st_buffer *out);

#endif
