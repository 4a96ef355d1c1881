/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host-client - what a host says to an archive's server, piece by piece, so that a test can say it
 * in the wrong order, twice, or as another host:
 *
 *   sign STORE ARCHIVE METHOD TARGET FILE [TOKEN [SERVER]]  headers of a signed request, for curl
 *                                                  -K; whom it is for (join.h)
 *   ids STORE                                      ids of all objects (wire.h)
 *   pack STORE                                     all objects as parcels, bases first
 *   changeset STORE NUMBER [AFTER]                 a checkpoint
 *   proof NONCE FILE                               a package's proof
 */
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "archive-sync/signature.h"
#include "archive-sync/wire.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/set.h"
#include "systracker/base/text.h"

static struct st_error err = ST_ERROR_INIT;

static int check(int r)
{
  if (r >= 0)
    return r;
  fprintf(stderr, "host-client: %s\n", st_error_text(&err));
  exit(2);
}

static int open_store(const char *path, struct st_keys *keys)
{
  int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  check(dir < 0 ? st_fail(&err, errno, "cannot open %s", path) : 0);
  check(st_keys_read(keys, dir, &err));
  return dir;
}

static void print(const struct st_buffer *out)
{
  check(out->length > 0 ? st_write_all(STDOUT_FILENO, out->data, out->length, &err) : 0);
}

static void sign(char **arg, int n)
{
  struct st_keys keys;
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;
  struct st_signature_headers h = {0};
  ST_AUTO_FREE char *path = st_memdup(arg[3], strcspn(arg[3], "?"));
  ST_AUTO_CLOSE int fd = open(arg[4], O_RDONLY | O_CLOEXEC);
  ST_AUTO_CLOSE int dir = open_store(arg[0], &keys);
  check(st_read_all(fd, (size_t)1 << 26, &body, &err));
  struct st_signed_request r = {.method = arg[2],
                                .path = path,
                                .query = strchr(arg[3], '?') ? strchr(arg[3], '?') + 1 : "",
                                .body = body.data ? body.data : "",
                                .body_length = body.length,
                                .archive = arg[1],
                                .server = n > 6 ? arg[6] : NULL,
                                .token = n > 5 && *arg[5] ? arg[5] : NULL};
  check(st_signature_make(&r, &keys, time(NULL), &h, &err));
  for (char *c = h.input; (c = strchr(c, '"')); c += 2) { /* curl's quoting */
    size_t at = (size_t)(c - h.input);
    ST_AUTO_BUFFER b = ST_BUFFER_INIT;
    st_buffer_printf(&b, "%.*s\\%s", (int)at, h.input, c);
    free(h.input);
    h.input = st_buffer_steal(&b, NULL);
    c = h.input + at;
  }
  printf("header = \"Content-Digest: %s\"\nheader = \"Signature-Input: %s\"\n", h.content_digest,
         h.input);
  printf("header = \"Signature: %s\"\nheader = \"Systracker-Archive: %s\"\n", h.signature, arg[1]);
  if (r.token)
    printf("header = \"Systracker-Token: %s\"\n", r.token);
  if (r.server)
    printf("header = \"Systracker-Server: %s\"\n", r.server);
  st_signature_headers_clear(&h);
}

/* ---- Objects -----------------------------------------------------------------------------------
 */

struct packing {
  struct st_store *store;
  struct st_set *done;
  struct st_buffer out;
  bool ids;
};

static int add_object(void *arg, const struct st_id *id, struct st_error *e)
{
  struct packing *p = arg;
  ST_AUTO_PARCEL parcel = {0};
  if (!st_set_add(p->done, id, sizeof(*id), 0))
    return 0;
  if (p->ids) {
    st_wire_add_id(&p->out, id);
    return 0;
  }
  check(st_store_bases(p->store, id, add_object, p, e));
  if (st_store_export_alone(p->store, id, &parcel, e) == 0)
    return st_wire_add_parcel(&p->out, &parcel, e);
  st_error_clear(e); /* a group is no object */
  return 0;
}

static void objects(char **arg, bool ids)
{
  struct st_keys keys;
  ST_AUTO_CLOSE int dir = open_store(arg[0], &keys);
  struct packing p = {.done = st_set_new(), .ids = ids};
  check(st_store_open(&p.store, dir, ST_STORE_READ, &keys, &err));
  check(st_store_each(p.store, add_object, &p, &err));
  print(&p.out);
  st_buffer_free(&p.out);
  st_set_free(p.done);
  st_store_close(p.store);
}

static void changeset(char **arg, int n)
{
  struct st_keys keys;
  struct st_catalog *c;
  ST_AUTO_CHANGESET set = {0};
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  int64_t number, after;
  ST_AUTO_CLOSE int dir = open_store(arg[0], &keys);
  check(st_parse_number(arg[1], &number, &err));
  after = number - 1;
  if (n > 2)
    check(st_parse_number(arg[2], &after, &err));
  check(st_catalog_open(&c, dir, keys.host_id, ST_CATALOG_READ, &err));
  check(st_changeset_read_after(c, after, number, &set, &err));
  check(st_wire_add_changeset(&out, &set, &err));
  print(&out);
  st_catalog_close(c);
}

static void proof(char **arg)
{
  uint8_t digest[ST_DIGEST_SIZE];
  char hex[2 * ST_DIGEST_SIZE + 1];
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  ST_AUTO_CLOSE int fd = open(arg[1], O_RDONLY | O_CLOEXEC);
  st_buffer_append_string(&bytes, arg[0]);
  check(st_read_all(fd, (size_t)1 << 30, &bytes, &err));
  st_digest(digest, bytes.data, bytes.length);
  st_hex(hex, digest, sizeof(digest));
  puts(hex);
}

int main(int argc, char **argv)
{
  st_digest_init();
  if (argc >= 7 && strcmp(argv[1], "sign") == 0)
    sign(argv + 2, argc - 2);
  else if (argc == 3 && strcmp(argv[1], "ids") == 0)
    objects(argv + 2, true);
  else if (argc == 3 && strcmp(argv[1], "pack") == 0)
    objects(argv + 2, false);
  else if (argc >= 4 && strcmp(argv[1], "changeset") == 0)
    changeset(argv + 2, argc - 2);
  else if (argc == 4 && strcmp(argv[1], "proof") == 0)
    proof(argv + 2);
  else
    return 2;
  return 0;
}
