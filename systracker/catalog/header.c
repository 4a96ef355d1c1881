/* SPDX-License-Identifier: GPL-2.0-or-later */
/* header.c - the signed header of a checkpoint: a CBOR array, its Ed25519 signature behind it. */
#include "systracker/catalog/internal.h"

#include "systracker/base/escape.h"

#define FIELDS 12

static void write_fields(const struct st_header *h, struct st_buffer *out)
{
  st_cbor_array(out, FIELDS);
  st_cbor_string(out, ST_HEADER_FORMAT);
  st_cbor_integer(out, ST_HEADER_VERSION);
  st_cbor_bytes(out, h->public_key, sizeof(h->public_key));
  st_cbor_integer(out, h->epoch);
  st_cbor_integer(out, h->number);
  st_cbor_integer(out, h->time);
  st_cbor_bytes(out, h->previous, sizeof(h->previous));
  st_cbor_bytes(out, h->body, sizeof(h->body));
  st_cbor_bytes(out, h->declarations, sizeof(h->declarations));
  st_cbor_bytes(out, h->state_root, sizeof(h->state_root));
  st_cbor_bool(out, h->incomplete);
  if (h->message)
    st_cbor_text(out, h->message, h->message_length);
  else
    st_cbor_null(out);
}

int st_header_write(struct st_header *h, const struct st_keys *keys, struct st_buffer *out,
                    struct st_error *err)
{
  size_t start = out->length;

  write_fields(h, out);
  if (st_sign(keys, out->data + start, out->length - start, h->signature, err) < 0)
    return -1;
  st_buffer_append(out, h->signature, sizeof(h->signature));
  st_digest(h->digest, out->data + start, out->length - start);
  return 0;
}

void st_header_compose(const struct st_header *h, struct st_buffer *out)
{
  write_fields(h, out);
  st_buffer_append(out, h->signature, sizeof(h->signature));
}

static int read_format(struct st_cbor *in, struct st_error *err)
{
  const char *text;
  size_t length;
  int64_t version;
  uint64_t n;

  if (st_cbor_read_array(in, &n, err) < 0 || st_cbor_read_text(in, &text, &length, err) < 0)
    return -1;
  if (length != strlen(ST_HEADER_FORMAT) || memcmp(text, ST_HEADER_FORMAT, length) != 0)
    return st_fail(err, 0, "no header of a checkpoint");
  if (st_cbor_read_integer(in, &version, err) < 0)
    return -1;
  if (version != ST_HEADER_VERSION)
    return st_fail(err, 0, "a header of version %lld, this SysTracker knows %d", (long long)version,
                   ST_HEADER_VERSION);
  return n == FIELDS ? 0 : st_fail(err, 0, "a header of %llu fields", (unsigned long long)n);
}

static int read_fields(struct st_header *h, struct st_cbor *in, struct st_error *err)
{
  if (st_cbor_read_fixed(in, h->public_key, sizeof(h->public_key), err) < 0 ||
      st_cbor_read_integer(in, &h->epoch, err) < 0 ||
      st_cbor_read_integer(in, &h->number, err) < 0 ||
      st_cbor_read_integer(in, &h->time, err) < 0 ||
      st_cbor_read_fixed(in, h->previous, sizeof(h->previous), err) < 0 ||
      st_cbor_read_fixed(in, h->body, sizeof(h->body), err) < 0 ||
      st_cbor_read_fixed(in, h->declarations, sizeof(h->declarations), err) < 0 ||
      st_cbor_read_fixed(in, h->state_root, sizeof(h->state_root), err) < 0 ||
      st_cbor_read_bool(in, &h->incomplete, err) < 0)
    return -1;
  if (!st_cbor_take_null(in) && st_cbor_read_text(in, &h->message, &h->message_length, err) < 0)
    return -1;
  if (!st_cbor_at_end(in) || h->number < 1 || h->epoch < 1)
    return st_fail(err, 0, "fields out of range");
  return 0;
}

int st_header_parse(struct st_header *h, const void *data, size_t length, struct st_error *err)
{
  *h = (struct st_header){0};
  if (length <= ST_SIGNATURE_SIZE || length > ST_HEADER_MAX)
    return st_fail(err, 0, "header: %zu bytes are not one", length);

  struct st_cbor in = {data, length - ST_SIGNATURE_SIZE};
  if (read_format(&in, err) < 0 || read_fields(h, &in, err) < 0)
    return st_wrap(err, "header");
  memcpy(h->signature, (const char *)data + length - ST_SIGNATURE_SIZE, ST_SIGNATURE_SIZE);
  st_digest(h->digest, data, length);
  return 0;
}

int st_header_read(struct st_header *h, const void *data, size_t length, struct st_error *err)
{
  if (st_header_parse(h, data, length, err) < 0)
    return -1;
  if (st_verify_signature(h->public_key, data, length - ST_SIGNATURE_SIZE, h->signature, err) < 0)
    return st_wrap(err, "header");
  return 0;
}

/* Headers stay when prune merges bodies: their numbers have no gap. */
int st_header_follows(const struct st_header *h, const struct st_header *previous,
                      struct st_error *err)
{
  static const uint8_t none[ST_DIGEST_SIZE];
  const uint8_t *before = previous ? previous->digest : none;

  if (previous && memcmp(h->public_key, previous->public_key, sizeof(h->public_key)) != 0)
    return st_fail(err, 0, "checkpoint %lld: signed by another host", (long long)h->number);
  if (memcmp(h->previous, before, ST_DIGEST_SIZE) != 0)
    return st_fail(err, 0, "checkpoint %lld: does not name the header before it",
                   (long long)h->number);
  if (h->number != (previous ? previous->number + 1 : 1))
    return st_fail(err, 0, "checkpoint %lld: comes after %lld", (long long)h->number,
                   (long long)(previous ? previous->number : 0));
  if (previous && h->epoch < previous->epoch)
    return st_fail(err, 0, "checkpoint %lld: goes back to epoch %lld", (long long)h->number,
                   (long long)h->epoch);
  return 0;
}
