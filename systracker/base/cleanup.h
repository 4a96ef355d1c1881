/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cleanup.h - what is freed at the end of its scope (systemd's and casync's idiom).
 *
 *   ST_AUTO_FREE char *text = NULL;
 *   ST_AUTO_CLOSE int fd = -1;
 *   return st_steal_fd(&fd);     // hands it over instead
 */
#ifndef ST_BASE_CLEANUP_H
#define ST_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Used at its end at least, which clang does not count. */
#define ST_CLEANUP(f) __attribute__((cleanup(f), unused))

static inline void st_cleanup_free(void *p)
{
  free(*(void **)p);
}

/* Keeps errno: it runs on error paths. */
static inline void st_cleanup_close(const int *fd)
{
  if (*fd >= 0) {
    int saved = errno;
    close(*fd);
    errno = saved;
  }
}

static inline void st_cleanup_closedir(DIR **d)
{
  if (*d)
    closedir(*d);
}

static inline void st_cleanup_fclose(FILE **f)
{
  if (*f)
    fclose(*f);
}

#define ST_AUTO_FREE ST_CLEANUP(st_cleanup_free)
#define ST_AUTO_CLOSE ST_CLEANUP(st_cleanup_close)
#define ST_AUTO_CLOSEDIR ST_CLEANUP(st_cleanup_closedir)
#define ST_AUTO_FCLOSE ST_CLEANUP(st_cleanup_fclose)

/* Defines the cleanup function of a type whose destructor takes a pointer: after
 * ST_DEFINE_CLEANUP(struct st_store *, st_store_close) one may write
 * ST_CLEANUP(st_store_closep) struct st_store *store = NULL; */
#define ST_DEFINE_CLEANUP(type, func)                                                              \
  static inline void func##p(type *p)                                                              \
  {                                                                                                \
    if (*p)                                                                                        \
      func(*p);                                                                                    \
  }

static inline int st_steal_fd(int *fd)
{
  int r = *fd;
  *fd = -1;
  return r;
}

#define st_steal(pp)                                                                               \
  ({                                                                                               \
    __typeof__(*(pp)) st_stolen_ = *(pp);                                                          \
    *(pp) = NULL;                                                                                  \
    st_stolen_;                                                                                    \
  })

#define ST_COUNT(a) (sizeof(a) / sizeof(*(a)))

#endif
