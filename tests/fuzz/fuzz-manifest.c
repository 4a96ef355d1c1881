/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz-manifest.c - a package's manifest, which a host sends as an object and the server reads. */
#include <string.h>

#include "systracker/base/text.h"
#include "systracker/catalog/catalog.h"
#include "tests/fuzz/fuzz.h"

static struct st_catalog *catalog; /* of the process */

static const struct st_column entry_columns[] = {
    {"path", ST_PATH, ST_KEY}, {"type", ST_TEXT, 0},          {"mode", ST_INTEGER, ST_AS_MODE},
    {"target", ST_BYTES, 0},   {"content", ST_ID, ST_OBJECT},
};
static const struct st_column package_columns[] = {
    {"name", ST_TEXT, ST_KEY},
    {"manifest", ST_ID, ST_MANIFEST},
};
static const struct st_table tables[] = {
    {"entry", ST_TABLE_ENTRY, ST_COUNT(entry_columns), entry_columns},
    {"package", ST_TABLE_PACKAGES, ST_COUNT(package_columns), package_columns},
    {0},
};

static void make_seed(struct st_error *err)
{
  static const char *const paths[] = {"/usr", "/usr/bin", "/usr/bin/a", "/usr/lib/\xff"};
  ST_CLEANUP(st_manifest_freep) struct st_manifest *m = st_manifest_new(catalog, false);
  ST_AUTO_BUFFER seed = ST_BUFFER_INIT;
  struct st_id content = {.digest = {7}};
  for (size_t i = 0; i < ST_COUNT(paths); i++) {
    struct st_value row[] = {st_path_value(paths[i]), st_text_value("f"), st_integer(0755),
                             st_null(), st_id_value(&content)};
    FUZZ_OK(st_expect(m, "fuzz_entry", row, ST_COUNT(row), err), err);
  }
  FUZZ_OK(st_manifest_encode(m, &seed, err), err);
  fuzz_seed("manifest", seed.data, seed.length);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_keys keys;
  (void)argc, (void)argv;
  st_digest_init();
  int dir = fuzz_scratch();
  FUZZ_OK(st_keys_make(&keys, &err), &err);
  FUZZ_OK(st_catalog_open(&catalog, dir, keys.host_id, ST_CATALOG_WRITE, &err), &err);
  FUZZ_OK(st_catalog_declare(catalog, "fuzz", tables, &err), &err);
  make_seed(&err);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_id id = {.keyed = false};
  st_digest(id.digest, data, length);
  FUZZ_OK(st_catalog_start(catalog, &err), &err);
  if (st_catalog_learn_manifest(catalog, &id, data, length, &err) < 0)
    st_error_clear(&err);
  st_catalog_rollback(catalog);
  return 0;
}
