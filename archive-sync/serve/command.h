/* SPDX-License-Identifier: GPL-2.0-or-later */
/* command.h - command lines to be pasted into a shell. */
#ifndef ARCHIVE_SYNC_SERVE_COMMAND_H
#define ARCHIVE_SYNC_SERVE_COMMAND_H

#include "systracker/base/buffer.h"

/* One word of a shell's command line: as it is where nothing in it means anything to a shell, else
 * in '...'; and where it would not show as it is (escape.h), as $'...' (POSIX.1-2024, 2.2.4), which
 * bash, ksh, zsh and mksh read. */
void st_command_word(struct st_buffer *out, const void *data, size_t length);

/* "systracker restore --from URL --host ID --checkpoint N -- PATH"; malloc'ed, words.  `path` NULL:
 * everything. */
char *st_command_restore(const char *url, const char *host, int64_t number, const char *path);
/* The same with a restore token's join string, of the latest checkpoint; "systracker sync URL". */
char *st_command_restore_from(const char *url, const char *host);
char *st_command_sync(const char *url);
/* "https://ADDRESS/#PIN.TOKEN".  `address`: as the browser named the server (its Host header),
 * "ARCHIVE" where that is NULL or no host and port; `pin` NULL: the system's authorities are to be
 * believed; `token` NULL: none. */
char *st_command_join(const char *address, const char *pin, const char *token);
/* Whether it can be the name or address of a host, with or without a port. */
bool st_command_is_address(const char *address);

#endif
