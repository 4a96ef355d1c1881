/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/diverted.h"

#include <errno.h>
#include <stdio.h>

#include "plugins/dpkg_track/listing.h"

/* The text is written to. */
static void print_diverted(const struct diverted *d, const struct package *p, char *text,
                           size_t length, FILE *to)
{
  for (char *s = text, *end = text + length, *stop; s < end; s = stop + 1) {
    stop = memchr(s, '\n', (size_t)(end - s));
    if (!stop)
      return;
    size_t n = (size_t)(stop - s);
    if (n > MOST_LINE || !d->of_length[n])
      continue;
    *stop = 0;
    const struct diversion *found = diversions_find(&d->diversions, s);
    if (found && strcmp(found->package, p->name) != 0)
      fprintf(to, "%s\n%s\n", found->path, found->to);
  }
}

int diverted_paths(const struct diverted *d, int info, const struct package *p, char **ret,
                   struct st_error *err)
{
  char *text = NULL;
  size_t length = 0, written;
  if (d->diversions.count > 0 && info >= 0) {
    int r = info_read(info, p, ".list", &text, &length, err);
    if (r < 0 && r != -ENOENT)
      return r;
  }
  FILE *to = open_memstream(ret, &written);
  if (to)
    print_diverted(d, p, text, length, to);
  free(text);
  return to && fclose(to) == 0 ? 0 : st_fail(err, 0, "out of memory");
}
