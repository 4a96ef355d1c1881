/* SPDX-License-Identifier: GPL-2.0-or-later */
/* login.h - whether root could still log in. */
#ifndef ST_RESTORE_LOGIN_H
#define ST_RESTORE_LOGIN_H

#include <stdbool.h>
#include <stddef.h>

/* By this content of /etc/passwd, /etc/shadow or /etc/group: it has a line for root, with the id 0
 * where it has ids.  Other paths always pass. */
bool st_root_can_log_in(const char *path, const char *data, size_t length);

#endif
