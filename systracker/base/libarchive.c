/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#define ST_LIBARCHIVE_ITSELF
#include "systracker/base/libarchive.h"

#include <dlfcn.h>
#include <pthread.h>

/* Set once, under `once`; the library stays until the program ends. */
static struct st_libarchive loaded;
static const char *missing = "is not there";
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
  void *library = dlopen(ST_LIBARCHIVE_SONAME, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return;
  missing = NULL;
#define TAKE(name)                                                                                 \
  *(void **)&loaded.name = dlsym(library, #name);                                                  \
  if (!loaded.name)                                                                                \
    missing = "lacks " #name;
  ST_LIBARCHIVE_FUNCTIONS(TAKE)
#undef TAKE
}

int st_libarchive_load(struct st_error *err)
{
  pthread_once(&once, load);
  return missing
             ? st_fail(err, 0, "cannot read package files: %s %s", ST_LIBARCHIVE_SONAME, missing)
             : 0;
}

const struct st_libarchive *st_libarchive(void)
{
  return &loaded;
}
