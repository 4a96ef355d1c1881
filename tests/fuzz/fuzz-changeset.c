/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz-changeset.c - declarations and a body as a host sends them, under a header that it signed:
 * applied or refused, and what is refused has left nothing behind.
 * Input: length of the declarations, 2 bytes little-endian; they; the body.
 */
#include <fcntl.h>
#include <string.h>

#include "systracker/base/text.h"
#include "systracker/catalog/changeset.h"
#include "tests/fuzz/fuzz.h"

/* Of the process, made once. */
static struct st_keys keys;
static struct st_catalog *archive;
static int archive_dir;
static uint8_t state_root[ST_DIGEST_SIZE]; /* of the seed: the one body that is accepted */

static const struct st_column entry_columns[] = {
    {"path", ST_PATH, ST_KEY}, {"type", ST_TEXT, 0},          {"mode", ST_INTEGER, ST_AS_MODE},
    {"target", ST_BYTES, 0},   {"content", ST_ID, ST_OBJECT},
};
static const struct st_column package_columns[] = {
    {"name", ST_TEXT, ST_KEY},
    {"version", ST_TEXT, 0},
    {"manifest", ST_ID, ST_MANIFEST},
};
static const struct st_table tables[] = {
    {"entry", ST_TABLE_ENTRY, ST_COUNT(entry_columns), entry_columns},
    {"package", ST_TABLE_PACKAGES, ST_COUNT(package_columns), package_columns},
    {0},
};

static void put_rows(struct st_catalog *c, struct st_error *err)
{
  static const struct st_id content = {.digest = {1, 2, 3}};
  static const char *const paths[] = {"/etc", "/etc/a", "/etc/a-b", "/etc/\xff\n", "/usr/bin/x"};
  for (size_t i = 0; i < ST_COUNT(paths); i++) {
    struct st_value row[] = {st_path_value(paths[i]), st_text_value("f"), st_integer(0644),
                             st_null(), st_id_value(&content)};
    FUZZ_OK(st_catalog_put(c, st_catalog_table(c, "fuzz_entry"), row, err), err);
  }
  struct st_value package[] = {st_text_value("tool"), st_text_value("1"), st_null()};
  FUZZ_OK(st_catalog_put(c, st_catalog_table(c, "fuzz_package"), package, err), err);
}

static void make_seed(int dir, struct st_error *err)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *host = NULL;
  ST_CLEANUP(st_checkpoint_clear) struct st_checkpoint cp = {0};
  ST_AUTO_CHANGESET set = {0};
  ST_AUTO_BUFFER seed = ST_BUFFER_INIT;
  FUZZ_OK(st_catalog_open(&host, dir, keys.host_id, ST_CATALOG_WRITE, err), err);
  FUZZ_OK(st_catalog_declare(host, "fuzz", tables, err), err);
  FUZZ_OK(st_catalog_start(host, err), err);
  put_rows(host, err);
  FUZZ_OK(st_catalog_commit(host, &keys, 1000000, NULL, false, &cp, err), err);
  FUZZ_OK(st_changeset_read(host, 1, &set, err), err);
  memcpy(state_root, cp.state_root, sizeof(state_root));
  st_buffer_append_byte(&seed, (uint8_t)set.declarations.length);
  st_buffer_append_byte(&seed, (uint8_t)(set.declarations.length >> 8));
  st_buffer_append(&seed, set.declarations.data, set.declarations.length);
  st_buffer_append(&seed, set.body.data, set.body.length);
  fuzz_seed("changeset", seed.data, seed.length);
}

static void open_archive(struct st_error *err)
{
  char name[32];
  static unsigned opened; /* each in a folder of its own */
  int top = archive_dir;
  snprintf(name, sizeof(name), "archive-%u", opened++);
  FUZZ_ASSERT(mkdirat(top, name, 0700) == 0);
  ST_AUTO_CLOSE int dir = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  FUZZ_OK(st_catalog_open(&archive, dir, keys.host_id, ST_CATALOG_WRITE | ST_CATALOG_REPLICA, err),
          err);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  (void)argc, (void)argv;
  st_digest_init();
  archive_dir = fuzz_scratch();
  FUZZ_OK(st_keys_make(&keys, &err), &err);
  make_seed(archive_dir, &err);
  open_archive(&err);
  return 0;
}

static void digest_of(uint8_t out[ST_DIGEST_SIZE], const void *data, size_t length)
{
  st_digest(out, data, length);
}

static void split(const uint8_t *data, size_t length, struct st_changeset *set)
{
  size_t n = length < 2 ? 0 : (size_t)data[0] | (size_t)data[1] << 8;
  size_t at = length < 2 ? length : 2;
  n = n > length - at ? length - at : n;
  st_buffer_append(&set->declarations, data + at, n);
  st_buffer_append(&set->body, data + at + n, length - at - n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_CHANGESET set = {0};
  struct st_header h = {.epoch = 1, .number = 1, .time = 1000000};
  split(data, length, &set);
  memcpy(h.public_key, keys.public_key, sizeof(h.public_key));
  memcpy(h.state_root, state_root, sizeof(state_root));
  digest_of(h.body, set.body.data ? set.body.data : "", set.body.length);
  digest_of(h.declarations, set.declarations.data ? set.declarations.data : "",
            set.declarations.length);
  FUZZ_OK(st_header_write(&h, &keys, &set.header, &err), &err);
  int r = st_catalog_apply(archive, &set, &err);
  FUZZ_ASSERT(r < 0 ? st_catalog_latest(archive) == 0 : st_catalog_latest(archive) == 1);
  if (r >= 0) {
    st_catalog_close(archive);
    open_archive(&err);
  }
  return 0;
}
