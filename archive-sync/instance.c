/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/instance.h"

#include <fcntl.h>
#include <string.h>

#include "systracker/base/digest.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define PROC_MAX 4096 /* bytes of a file there */

static bool add_file(struct st_buffer *out, const char *path)
{
  ST_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
  return fd >= 0 && st_read_all(fd, PROC_MAX, out, NULL) == 0;
}

/* The 22nd field of /proc/1/stat; the second, a name in parentheses, may have anything in it. */
static bool add_start(struct st_buffer *out)
{
  ST_AUTO_BUFFER stat = ST_BUFFER_INIT;
  if (!add_file(&stat, "/proc/1/stat") || !stat.length)
    return false;
  const char *at = strrchr(stat.data, ')');
  for (int field = 2; at && field < 22; field++)
    at = strchr(at + 1, ' ');
  if (!at)
    return false;
  st_buffer_append(out, at, 1 + strcspn(at + 1, " \n"));
  return true;
}

bool st_instance(char ret[ST_INSTANCE_SIZE])
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  uint8_t digest[ST_DIGEST_SIZE];
  st_buffer_append_string(&text, "systracker instance 1\n");
  if (!add_file(&text, "/proc/sys/kernel/random/boot_id") || !add_start(&text))
    return false;
  st_digest(digest, text.data, text.length);
  st_hex(ret, digest, (ST_INSTANCE_SIZE - 1) / 2);
  return true;
}

bool st_instance_is(const char *text)
{
  uint8_t raw[(ST_INSTANCE_SIZE - 1) / 2];
  return st_unhex(raw, sizeof(raw), text);
}
