/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dump-archive - everything that an archive holds, decompressed, on standard output: for tests that
 * look for what must not be there.
 *
 *   dump-archive ARCHIVE [STORE]
 *
 * Every object's content; of a secret the sealed record, unless STORE's key opens it.  Every
 * chain's headers, declarations and bodies, of older epochs, too.
 */
#include <fcntl.h>
#include <string.h>

#include "archive-sync/archive.h"
#include "systracker/base/file.h"

static void print(const struct st_buffer *bytes)
{
  if (bytes->length > 0)
    fwrite(bytes->data, 1, bytes->length, stdout);
  putchar('\n');
}

static int dump_object(void *arg, const struct st_id *id, struct st_error *err)
{
  struct st_archive *a = arg;
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  ST_AUTO_PARCEL parcel = {0};
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (st_store_get(a->store, id, &content, &why) == 0) {
    print(&content);
    return 0;
  }
  if (!id->keyed)
    return st_fail(err, 0, "%s", st_error_text(&why));
  if (st_store_export(a->store, id, &parcel, err) < 0)
    return -1;
  print(&parcel.payload);
  return 0;
}

static int dump_chain(struct st_archive *a, const char *host, struct st_error *err)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *c = NULL;
  if (st_archive_catalog(a, host, ST_CATALOG_READ, &c, err) < 0)
    return -1;
  for (int64_t n = 1; n <= st_catalog_latest(c); n++) {
    ST_AUTO_CHANGESET set = {0};
    if (st_catalog_held(c, n) != ST_HELD)
      continue;
    if (st_changeset_read(c, n, &set, err) < 0)
      return -1;
    print(&set.header);
    print(&set.declarations);
    print(&set.body);
  }
  return 0;
}

static int dump_host(struct st_archive *a, const char *host, struct st_error *err)
{
  ST_AUTO_STRINGS epochs = {0};
  if (dump_chain(a, host, err) < 0 || st_archive_epochs(a, host, &epochs, err) < 0)
    return -1;
  for (size_t i = 0; i < epochs.count; i++) {
    ST_AUTO_FREE char *epoch = st_format("%s/epoch-%s", host, epochs.items[i]);
    if (dump_chain(a, epoch, err) < 0)
      return -1;
  }
  return 0;
}

static int dump(const char *path, const struct st_keys *keys, struct st_error *err)
{
  ST_AUTO_ARCHIVE *a = NULL;
  ST_AUTO_STRINGS hosts = {0};
  if (st_archive_open(&a, path, false, err) < 0 ||
      st_archive_objects(a, ST_STORE_READ, keys, err) < 0 || st_archive_hosts(a, &hosts, err) < 0 ||
      st_store_each(a->store, dump_object, a, err) < 0)
    return -1;
  for (size_t i = 0; i < hosts.count; i++)
    if (dump_host(a, hosts.items[i], err) < 0)
      return -1;
  return 0;
}

static int run(int argc, char **argv, struct st_error *err)
{
  struct st_keys keys;
  if (argc != 2 && argc != 3)
    return st_fail(err, 0, "usage: dump-archive ARCHIVE [STORE]");
  if (argc == 2)
    return dump(argv[1], NULL, err);
  ST_AUTO_CLOSE int store = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (store < 0 || st_keys_read(&keys, store, err) < 0)
    return store < 0 ? st_fail(err, errno, "cannot open %s", argv[2]) : -1;
  return dump(argv[1], &keys, err);
}

int main(int argc, char **argv)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  st_digest_init();
  if (run(argc, argv, &err) >= 0 && fflush(stdout) == 0)
    return 0;
  fprintf(stderr, "dump-archive: %s\n", st_error_text(&err));
  return 2;
}
