/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/sealed.h"

#include <fcntl.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"

static int read_identities(struct st_age_identities *ret, const char *recovery,
                           struct st_error *err)
{
  ST_AUTO_CLOSE int fd = open(recovery, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0)
    return st_fail(err, errno, "cannot open the recovery key (%s)", st_quote(recovery));
  return st_age_read_identities(ret, fd, err) < 0
             ? st_wrap(err, "recovery key %s", st_quote(recovery))
             : 0;
}

static int read_sealed(int store_dirfd, const char *host, struct st_buffer *out,
                       struct st_error *err)
{
  ST_AUTO_FREE char *folder = st_format("hosts/%s", host);
  ST_AUTO_CLOSE int dir = st_open_beneath(store_dirfd, folder, O_RDONLY | O_DIRECTORY, 0);
  if (dir < 0)
    return st_fail(err, -dir, "cannot open (%s)", st_quote(folder));
  int r = st_read_file(dir, ST_SEALED_KEY, ST_SEALED_KEY_MAX, out, err);
  return r < 0 ? st_wrap(err, "host %s has no sealed data key here", host) : 0;
}

/* The host's name and signing key stay ours. */
static void take(struct st_keys *keys, const struct st_keys *theirs)
{
  memcpy(keys->data_key, theirs->data_key, sizeof(keys->data_key));
  memcpy(keys->id_key, theirs->id_key, sizeof(keys->id_key));
  memcpy(keys->seal_key, theirs->seal_key, sizeof(keys->seal_key));
  memcpy(keys->seal_id, theirs->seal_id, sizeof(keys->seal_id));
}

int st_sealed_key_open(struct st_keys *keys, int store_dirfd, const char *host,
                       const char *recovery, struct st_error *err)
{
  struct st_age_identities ids = {0};
  struct st_keys theirs;
  ST_AUTO_BUFFER sealed = ST_BUFFER_INIT;
  if (read_sealed(store_dirfd, host, &sealed, err) < 0 || read_identities(&ids, recovery, err) < 0)
    return -1;
  int r = st_recovery_open(&ids, sealed.data, sealed.length, host, &theirs, err);
  st_age_wipe(&ids);
  if (r < 0)
    return st_wrap(err, "recovery key %s", st_quote(recovery));
  take(keys, &theirs);
  st_keys_wipe(&theirs);
  return 0;
}
