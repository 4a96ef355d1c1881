/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/recovery.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/age.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/tracker/sealed.h"

static int parse_recipients(const struct st_archive *a, struct st_age_recipient *to,
                            struct st_error *err)
{
  for (size_t i = 0; i < a->recipients.count; i++) {
    if (st_age_recipient(&to[i], a->recipients.items[i], err) < 0)
      return st_wrap(err, "archive %s", st_quote(a->path));
  }
  return 0;
}

static int open_host(int dir, const char *host, struct st_error *err)
{
  ST_AUTO_FREE char *folder = st_format("hosts/%s", host);
  int fd = st_open_beneath(dir, folder, O_RDONLY | O_DIRECTORY, 0);
  return fd < 0 ? st_fail(err, -fd, "cannot open (%s)", st_quote(folder)) : fd;
}

bool st_recovery_is_sent(struct st_archive *a, const char *host)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  ST_AUTO_CLOSE int dir = a->recipients.count > 0 ? open_host(a->dir, host, &ignored) : -1;
  return a->recipients.count == 0 || (dir >= 0 && st_archive_is_sealed(dir, a->dir));
}

int st_recovery_send(struct st_archive *a, const struct st_keys *keys, struct st_error *err)
{
  struct st_age_recipient to[ST_AGE_RECIPIENTS];
  ST_AUTO_BUFFER sealed = ST_BUFFER_INIT;
  if (a->recipients.count == 0)
    return 1;
  ST_AUTO_CLOSE int dir = open_host(a->dir, keys->host_id, err);
  if (dir < 0)
    return -1;
  if (st_archive_is_sealed(dir, a->dir))
    return 0;
  if (parse_recipients(a, to, err) < 0 ||
      st_recovery_seal(keys, to, a->recipients.count, &sealed, err) < 0)
    return -1;
  return st_write_file(dir, ST_SEALED_KEY, 0600, sealed.data, sealed.length, err);
}

int st_recovery_bring(struct st_archive *a, const char *host, int store_dirfd, struct st_error *err)
{
  ST_AUTO_BUFFER sealed = ST_BUFFER_INIT;
  ST_AUTO_CLOSE int from = open_host(a->dir, host, err);
  ST_AUTO_CLOSE int to = from < 0 ? -1 : open_host(store_dirfd, host, err);
  if (from < 0 || to < 0)
    return -1;
  int r = st_read_file(from, ST_SEALED_KEY, ST_SEALED_KEY_MAX, &sealed, err);
  if (r == -ENOENT) {
    st_error_clear(err);
    return 1;
  }
  return r < 0 ? r : st_write_file(to, ST_SEALED_KEY, 0600, sealed.data, sealed.length, err);
}
