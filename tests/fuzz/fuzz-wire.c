/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz-wire.c - a changeset as it travels: read or refused, and what was read is written the same.
 */
#include <string.h>

#include "archive-sync/wire.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_CHANGESET set = {.since = 3};
  ST_AUTO_BUFFER seed = ST_BUFFER_INIT;
  (void)argc, (void)argv;
  st_digest_init();
  st_buffer_append_string(&set.header, "header");
  st_buffer_append_string(&set.declarations, "declarations");
  st_buffer_append_string(&set.between, "between");
  for (int i = 0; i < 100; i++)
    st_buffer_append_string(&set.body, "a body that can be compressed ");
  FUZZ_OK(st_wire_add_changeset(&seed, &set, &err), &err);
  fuzz_seed("changeset", seed.data, seed.length);
  return 0;
}

static bool are_equal(const struct st_buffer *a, const struct st_buffer *b)
{
  return a->length == b->length && (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_CHANGESET set = {0}, again = {0};
  ST_AUTO_BUFFER written = ST_BUFFER_INIT;
  struct st_id id;
  for (size_t n = 0; n < length / ST_WIRE_ID_SIZE; n++)
    if (st_wire_id_at(data, length - length % ST_WIRE_ID_SIZE, n, &id, &err) < 0)
      st_error_clear(&err);
  if (st_wire_read_changeset(data, length, &set, &err) < 0)
    return 0;
  FUZZ_OK(st_wire_add_changeset(&written, &set, &err), &err);
  FUZZ_OK(st_wire_read_changeset(written.data, written.length, &again, &err), &err);
  FUZZ_ASSERT(are_equal(&set.header, &again.header) && are_equal(&set.body, &again.body) &&
              are_equal(&set.declarations, &again.declarations) &&
              are_equal(&set.between, &again.between) && set.since == again.since);
  return 0;
}
