/* SPDX-License-Identifier: GPL-2.0-or-later */
/* process.h - other programs, without a shell.  st_run(): plugin.h. */
#ifndef ST_BASE_PROCESS_H
#define ST_BASE_PROCESS_H

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

/* Runs a program of another root, found there in /usr/sbin:/usr/bin:/sbin:/bin, chrooted into it in
 * a mount namespace of its own, with /proc and a small /dev where the root has none.  Otherwise as
 * st_run, but `*ret` gets standard error, too.  A program for another machine is refused by the
 * machine's name.  Only root may; -ENOENT when the root does not have the program. */
int st_run_in(int root, char *const argv[], size_t max, unsigned seconds, char **ret,
              size_t *length, struct st_error *err);

/* Runs the program at `path`, under the name argv[0], with `fd` as its descriptor 3; otherwise as
 * st_run. */
int st_run_with(const char *path, char *const argv[], int fd, size_t max, unsigned seconds,
                char **ret, size_t *length, struct st_error *err);

/* This process becomes one of that root (a descriptor), as st_run_in makes its child: chrooted, in
 * a mount namespace of its own.  Only root may.  On an error it is to end. */
int st_enter_root(int root, struct st_error *err);

/* The same with another descriptor as its 4, where it writes what is too large for a pipe. */
int st_run_to(const char *path, char *const argv[], int fd, int out, size_t max, unsigned seconds,
              char **ret, size_t *length, struct st_error *err);

/* On how many processors this process may run (sched_setaffinity(2)); at least 1, at most `most`.
 */
unsigned st_processors(unsigned most);

/* From here on this process leaves no core, whatever the limits are, and is traced by root alone:
 * keys and tokens are in its memory.  Programs that it starts are as ever. */
void st_leave_no_core(void);

/* Unified diff of two contents by diff(1), through memfds.  `labels` (escaped already) stand in the
 * header lines.  Appends; returns 0 same, 1 different, negative on error. */
int st_unified_diff(const void *old, size_t old_length, const char *old_label, const void *new_,
                    size_t new_length, const char *new_label, struct st_buffer *out,
                    struct st_error *err);

/* The same in two steps, so that several run side by side, and beside us. */
struct st_diff {
  pid_t pid;
  int from;     /* what it prints */
  size_t limit; /* bytes that it may print; the contents are an eighth of that at most */
};
/* 1: diff(1) is at work on it; 0: they are the same, and `*ret` is NULL.  The contents are not
 * needed any more when this has returned. */
int st_diff_start(struct st_diff **ret, const void *old, size_t old_length, const char *old_label,
                  const void *new_, size_t new_length, const char *new_label, struct st_error *err);
/* Waits for its end and appends what it printed.  Frees it, whatever comes of it. */
int st_diff_finish(struct st_diff *diff, struct st_buffer *out, struct st_error *err);
/* Ends one that nobody waits for any more. */
void st_diff_end(struct st_diff *diff);
/* Whether content is binary by git's rule: a NUL among its first 8000 bytes. */
bool st_is_binary(const void *data, size_t length);

/* Sends our standard output through $SYSTRACKER_PAGER, $PAGER or less, where it is a terminal; the
 * returned pid is waited for by st_pager_end.  -1: none. */
pid_t st_pager_start(void);
void st_pager_end(pid_t pid);

#endif
