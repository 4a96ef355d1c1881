/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz-pack.c - records as a host sends them: what is taken into a store can be had back, and has
 * the id that it was taken under.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "archive-sync/wire.h"
#include "tests/fuzz/fuzz.h"

#define STORE_MAX ((uint64_t)64 << 20) /* then it begins anew */

/* Of the process, made once. */
static struct st_store *store;
static struct st_keys keys;
static int store_dir;

static void open_store(struct st_error *err)
{
  char name[32];
  static unsigned opened; /* each in a folder of its own */
  snprintf(name, sizeof(name), "store-%u", opened++);
  FUZZ_ASSERT(mkdirat(store_dir, name, 0700) == 0);
  ST_AUTO_CLOSE int dir = openat(store_dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  FUZZ_OK(st_store_open(&store, dir, ST_STORE_WRITE, &keys, err), err);
}

static void add(struct st_buffer *out, const void *data, size_t length, bool secret,
                const struct st_id *previous, struct st_id *ret, struct st_error *err)
{
  ST_AUTO_PARCEL parcel = {0};
  FUZZ_OK(st_store_put(store, data, length, secret, previous, ret, err), err);
  FUZZ_OK(st_store_sync(store, err), err);
  FUZZ_OK(st_store_export(store, ret, &parcel, err), err);
  FUZZ_OK(st_wire_add_parcel(out, &parcel, err), err);
}

/* A content, a delta of it, a secret, and one that does not compress. */
static void make_seeds(struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT, out = ST_BUFFER_INIT;
  struct st_id first, id;
  for (int i = 0; i < 400; i++)
    st_buffer_printf(&text, "line %d of a file\n", i * 7919);
  add(&out, text.data, text.length, false, NULL, &first, err);
  fuzz_seed("whole", out.data, out.length);
  text.data[100] = 'x';
  add(&out, text.data, text.length, false, &first, &id, err);
  fuzz_seed("delta", out.data, out.length);
  add(&out, "secret\n", 7, true, NULL, &id, err);
  fuzz_seed("secret", out.data, out.length);
  st_buffer_clear(&out);
  add(&out, "\x01\x02", 2, false, NULL, &id, err);
  fuzz_seed("raw", out.data, out.length);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  (void)argc, (void)argv;
  st_digest_init();
  store_dir = fuzz_scratch();
  FUZZ_OK(st_keys_make(&keys, &err), &err);
  open_store(&err);
  make_seeds(&err);
  st_store_close(store);
  open_store(&err);
  return 0;
}

static void take(const struct st_parcel *parcel)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  if (st_wire_check_record(&parcel->record, &err) < 0 || st_store_import(store, parcel, &err) < 0)
    return;
  FUZZ_ASSERT(st_store_has(store, &parcel->record.id));
  int r = st_store_get(store, &parcel->record.id, &content, &err);
  /* A stranger's secret is taken by its form alone. */
  FUZZ_ASSERT(r >= 0 || parcel->record.id.keyed);
}

/* The first record as if its checksum were right, which a sender can see to. */
static void take_unchecked(const uint8_t *data, size_t length)
{
  ST_AUTO_PARCEL parcel = {0};
  int head = st_record_decode(data, length, &parcel.record);
  if (head <= 0 || parcel.record.stored > length - (size_t)head)
    return;
  st_buffer_append(&parcel.payload, data + head, (size_t)parcel.record.stored);
  take(&parcel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  take_unchecked(data, length);
  size_t at = 0, before = 0;
  for (;;) {
    ST_AUTO_PARCEL parcel = {0};
    if (st_wire_parcel_at(data, length, &at, &parcel, &err) <= 0)
      break;
    FUZZ_ASSERT(at > before && at <= length);
    before = at;
    take(&parcel);
  }
  if (st_store_appended(store) > STORE_MAX) {
    st_store_close(store);
    open_store(&err);
  }
  return 0;
}
