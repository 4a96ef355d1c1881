/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mapped.h - a regular file's content, mapped for as long as it is looked at (hashed).
 *
 * Nothing is copied; the pages are the kernel's own.  In return the file may change underneath: who
 * looks at it compares its state from before with that behind, as with what is read, and takes
 * nothing twice that has to be the same.  Bytes that are not there any more, because the file was
 * cut off or the disk failed, would kill the process by SIGBUS.  Here they read as zeros, and the
 * content is not whole: what was made of it is thrown away, and the file read by read(2), which
 * says what is the matter.  (libwayland does so with what its clients share.)
 *
 * It works for the thread alone that has opened it, and not for system calls: these fail by EFAULT.
 */
#ifndef ST_BASE_MAPPED_H
#define ST_BASE_MAPPED_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* It must not move while it is open. */
struct st_mapped {
  const void *data; /* NULL where it is empty */
  size_t length;
  struct st_mapped *next; /* of the thread's */
  volatile sig_atomic_t hurt;
};

/* Maps the first `length` bytes.  0, or -errno: then it is to be read, as files of file systems
 * are that are not known to hold content and nothing else: a file of sysfs may be a device's
 * memory; nor is a file with holes mapped where that would fill them.  The descriptor may be closed
 * before the content is. */
int st_mapped_open(struct st_mapped *m, int fd, uint64_t length);

/* Has all of it read from the disk, from the front to the back, and does not wait for it: one file
 * after the other is faster than to touch the pages of several by turns.  No more than a hint. */
void st_mapped_fetch(struct st_mapped *m);

/* Whether all that was looked at was there.  It may have been cut off and be longer again: states
 * say that. */
bool st_mapped_is_whole(const struct st_mapped *m);

void st_mapped_close(struct st_mapped *m);

#endif
