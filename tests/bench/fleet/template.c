/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/fleet/template.h"

#include <fcntl.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define OWN_MOST 4     /* places of the own file's digest in a body, and leaves with it */
#define HOST_DIGITS 32 /* the zeros that give way to the host's id */

/* ---- Leaves and the tree over them (doc/formats.md, "State root") ------------------------------
 */

struct leaf {
  uint8_t key[ST_DIGEST_SIZE], hash[ST_DIGEST_SIZE];
  int own; /* which of the host's own it is, from 1; 0: the same on all hosts */
};

struct leaves {
  struct leaf *items;
  size_t count, size;
};

/* A node of the tree, of which only those above a host's own leaves are kept apart. */
struct branch {
  bool fixed; /* `hash` is known */
  int own;    /* a leaf of the host's own: which */
  uint8_t hash[ST_DIGEST_SIZE];
  struct branch *left, *right; /* of one that is neither; NULL: nothing is there */
};

static void branch_free(struct branch *b)
{
  if (!b)
    return;
  branch_free(b->left);
  branch_free(b->right);
  free(b);
}

static void hash_pair(uint8_t out[ST_DIGEST_SIZE], uint8_t prefix, const uint8_t *a,
                      const uint8_t *b)
{
  uint8_t bytes[1 + 2 * ST_DIGEST_SIZE];
  bytes[0] = prefix;
  memcpy(bytes + 1, a, ST_DIGEST_SIZE);
  memcpy(bytes + 1 + ST_DIGEST_SIZE, b, ST_DIGEST_SIZE);
  st_digest(out, bytes, sizeof(bytes));
}

static struct branch *branch_of_leaf(const struct leaf *leaf)
{
  struct branch *b = st_calloc(1, sizeof(*b));
  b->own = leaf->own;
  b->fixed = leaf->own == 0;
  memcpy(b->hash, leaf->hash, ST_DIGEST_SIZE);
  return b;
}

/* Of sorted leaves that agree in their first `depth` bits; NULL: there are none. */
static struct branch *branch_of(const struct leaf *leaves, size_t n, unsigned depth)
{
  size_t middle = 0;
  if (n == 0)
    return NULL;
  if (n == 1)
    return branch_of_leaf(leaves);
  while (middle < n && !(leaves[middle].key[depth / 8] & (0x80 >> depth % 8)))
    middle++;
  struct branch *left = branch_of(leaves, middle, depth + 1);
  struct branch *right = branch_of(leaves + middle, n - middle, depth + 1);
  static const uint8_t nothing[ST_DIGEST_SIZE];
  struct branch *b = st_calloc(1, sizeof(*b));
  b->left = left;
  b->right = right;
  if ((left && !left->fixed) || (right && !right->fixed))
    return b;
  b->fixed = true;
  hash_pair(b->hash, 1, left ? left->hash : nothing, right ? right->hash : nothing);
  branch_free(st_steal(&b->left));
  branch_free(st_steal(&b->right));
  return b;
}

static void branch_hash(const struct branch *b, const uint8_t own[][ST_DIGEST_SIZE],
                        uint8_t out[ST_DIGEST_SIZE])
{
  uint8_t left[ST_DIGEST_SIZE], right[ST_DIGEST_SIZE];
  if (!b) {
    memset(out, 0, ST_DIGEST_SIZE);
  } else if (b->fixed) {
    memcpy(out, b->hash, ST_DIGEST_SIZE);
  } else if (b->own) {
    memcpy(out, own[b->own - 1], ST_DIGEST_SIZE);
  } else {
    branch_hash(b->left, own, left);
    branch_hash(b->right, own, right);
    hash_pair(out, 1, left, right);
  }
}

/* ---- One checkpoint ----------------------------------------------------------------------------
 */

/* Bytes in which the own file's digest stands at some places. */
struct patched {
  struct st_buffer bytes;
  size_t at[OWN_MOST], count;
};

struct own_leaf {
  uint8_t key[ST_DIGEST_SIZE];
  struct patched value; /* CBOR of absent and the values */
};

struct night {
  struct st_header header;
  struct st_buffer declarations;
  struct patched body;
  struct st_buffer content; /* of the own file */
  size_t content_at;        /* where the host's id goes */
  struct own_leaf own[OWN_MOST];
  int nown;
  struct branch *tree;
  int64_t began;
  struct st_parcel *parcels;
  size_t nparcels;
};

struct fleet_template {
  struct night *nights; /* [0] is checkpoint 1 */
  int64_t count;
};

static void night_clear(struct night *n)
{
  st_buffer_free(&n->declarations);
  st_buffer_free(&n->body.bytes);
  st_buffer_free(&n->content);
  for (int i = 0; i < n->nown; i++)
    st_buffer_free(&n->own[i].value.bytes);
  branch_free(n->tree);
  for (size_t i = 0; i < n->nparcels; i++)
    st_parcel_clear(&n->parcels[i]);
  free(n->parcels);
}

void fleet_template_close(struct fleet_template *t)
{
  for (int64_t i = 0; i < t->count; i++)
    night_clear(&t->nights[i]);
  free(t->nights);
  free(t);
}

int64_t fleet_template_count(const struct fleet_template *t)
{
  return t->count;
}

int64_t fleet_template_began(const struct fleet_template *t, int64_t number)
{
  return t->nights[number - 1].began;
}

const struct st_parcel *fleet_template_parcels(const struct fleet_template *t, int64_t number,
                                               size_t *ret_count)
{
  *ret_count = t->nights[number - 1].nparcels;
  return t->nights[number - 1].parcels;
}

/* Where the digest stands. */
static void find_places(struct patched *p, const uint8_t digest[ST_DIGEST_SIZE])
{
  for (size_t from = 0; p->count < OWN_MOST;) {
    char *hit = from < p->bytes.length
                    ? memmem(p->bytes.data + from, p->bytes.length - from, digest, ST_DIGEST_SIZE)
                    : NULL;
    if (!hit)
      return;
    p->at[p->count++] = (size_t)(hit - p->bytes.data);
    from = p->at[p->count - 1] + ST_DIGEST_SIZE;
  }
}

static void patch(const struct patched *p, const uint8_t digest[ST_DIGEST_SIZE],
                  struct st_buffer *out)
{
  st_buffer_clear(out);
  st_buffer_append(out, p->bytes.data, p->bytes.length);
  for (size_t i = 0; i < p->count; i++)
    memcpy(out->data + p->at[i], digest, ST_DIGEST_SIZE);
}

/* ---- Read --------------------------------------------------------------------------------------
 */

struct reading {
  struct fleet_template *t;
  struct st_catalog *c;
  struct st_store *store;
  struct leaves leaves; /* as of the checkpoint that is read, by key */
  struct night *night;
  struct st_id own; /* id of the own file's content */
};

static void reading_close(struct reading *r)
{
  if (r->c)
    st_catalog_close(r->c);
  if (r->store)
    st_store_close(r->store);
  free(r->leaves.items);
}

static bool is_own(const struct st_body_row *row)
{
  const struct st_value *path = &row->values[0];
  return path->type == ST_PATH && path->u.bytes.length == strlen(FLEET_OWN_PATH) &&
         memcmp(path->u.bytes.data, FLEET_OWN_PATH, path->u.bytes.length) == 0;
}

static bool names_object(const struct st_body_row *row, size_t column)
{
  return (row->table->declaration.columns[column].flags & (ST_OBJECT | ST_MANIFEST)) &&
         row->values[column].type == ST_ID;
}

static int add_parcel(struct reading *r, const struct st_id *id, struct st_error *err);

static int add_base(void *arg, const struct st_id *id, struct st_error *err)
{
  return add_parcel(arg, id, err);
}

static bool was_added(const struct reading *r, const struct st_id *id)
{
  for (const struct night *n = r->t->nights; n <= r->night; n++)
    for (size_t i = 0; i < n->nparcels; i++)
      if (st_id_equal(&n->parcels[i].record.id, id))
        return true;
  return false;
}

/* What it is a delta of comes first. */
static int add_parcel(struct reading *r, const struct st_id *id, struct st_error *err)
{
  struct night *n = r->night;
  ST_AUTO_PARCEL parcel = {0};
  if (was_added(r, id))
    return 0;
  if (st_store_export_alone(r->store, id, &parcel, err) < 0 ||
      (parcel.record.has_base && st_store_bases(r->store, id, add_base, r, err) < 0))
    return -1;
  n->parcels = st_realloc(n->parcels, n->nparcels + 1, sizeof(*n->parcels));
  n->parcels[n->nparcels++] = parcel;
  parcel = (struct st_parcel){0};
  return 0;
}

static int find_own(void *arg, const struct st_body_row *row, struct st_error *err)
{
  struct reading *r = arg;
  (void)err;
  for (size_t i = row->table->nkeys; row->begun && i < row->table->declaration.ncolumns; i++)
    if (is_own(row) && names_object(row, i))
      r->own = row->values[i].u.id;
  return 0;
}

static struct leaf *leaf_of(struct leaves *l, const uint8_t key[ST_DIGEST_SIZE])
{
  size_t low = 0, high = l->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = memcmp(key, l->items[middle].key, ST_DIGEST_SIZE);
    if (order == 0)
      return &l->items[middle];
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  if (l->count == l->size) {
    l->size = l->size ? 2 * l->size : 256;
    l->items = st_realloc(l->items, l->size, sizeof(*l->items));
  }
  memmove(&l->items[low + 1], &l->items[low], (l->count - low) * sizeof(*l->items));
  l->count++;
  l->items[low] = (struct leaf){0};
  memcpy(l->items[low].key, key, ST_DIGEST_SIZE);
  return &l->items[low];
}

static void key_of(const struct st_body_row *row, uint8_t out[ST_DIGEST_SIZE])
{
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  st_buffer_append(&bytes, row->table->name, strlen(row->table->name) + 1);
  st_cbor_array(&bytes, row->table->nkeys);
  for (size_t i = 0; i < row->table->nkeys; i++)
    st_cbor_value(&bytes, &row->values[i]);
  st_digest(out, bytes.data, bytes.length);
}

static void value_of(const struct st_body_row *row, struct st_buffer *out)
{
  size_t keys = row->table->nkeys, n = row->absent ? keys : row->table->declaration.ncolumns;
  while (n > keys && row->values[n - 1].type == ST_NULL)
    n--;
  st_cbor_array(out, 1 + n - keys);
  st_cbor_bool(out, row->absent);
  for (size_t i = keys; i < n; i++)
    st_cbor_value(out, &row->values[i]);
}

static void leaf_hash(const uint8_t key[ST_DIGEST_SIZE], const struct st_buffer *value,
                      uint8_t out[ST_DIGEST_SIZE])
{
  uint8_t digest[ST_DIGEST_SIZE];
  st_digest(digest, value->data, value->length);
  hash_pair(out, 0, key, digest);
}

/* A leaf whose value has the own file's digest is another on each host. */
static int note_own(struct reading *r, struct leaf *leaf, struct patched *value,
                    struct st_error *err)
{
  struct night *n = r->night;
  if (n->nown == OWN_MOST)
    return st_fail(err, 0, "too many facts of " FLEET_OWN_PATH);
  struct own_leaf *own = &n->own[n->nown++];
  memcpy(own->key, leaf->key, ST_DIGEST_SIZE);
  own->value = *value;
  *value = (struct patched){.count = 0};
  leaf->own = n->nown;
  return 0;
}

static int read_row(void *arg, const struct st_body_row *row, struct st_error *err)
{
  struct reading *r = arg;
  struct patched value = {.count = 0};
  uint8_t key[ST_DIGEST_SIZE];
  int result = 0;
  key_of(row, key);
  struct leaf *leaf = leaf_of(&r->leaves, key);
  if (!row->begun) {
    size_t at = (size_t)(leaf - r->leaves.items);
    memmove(leaf, leaf + 1, (--r->leaves.count - at) * sizeof(*leaf));
    return 0;
  }
  r->night->began++;
  value_of(row, &value.bytes);
  leaf_hash(key, &value.bytes, leaf->hash);
  find_places(&value, r->own.digest);
  leaf->own = 0;
  if (value.count > 0)
    result = note_own(r, leaf, &value, err);
  st_buffer_free(&value.bytes);
  for (size_t i = row->table->nkeys; i < row->table->declaration.ncolumns && result == 0; i++)
    if (names_object(row, i) && !st_id_equal(&row->values[i].u.id, &r->own))
      result = add_parcel(r, &row->values[i].u.id, err);
  return result;
}

static const struct st_catalog_table *table_of(void *arg, const char *name)
{
  return st_catalog_table(arg, name);
}

static const struct st_catalog_table *table_of_reading(void *arg, const char *name)
{
  return table_of(((struct reading *)arg)->c, name);
}

static int read_content(struct reading *r, struct st_error *err)
{
  static const char zeros[] = "00000000000000000000000000000000";
  struct night *n = r->night;
  if (st_store_get(r->store, &r->own, &n->content, err) < 0)
    return -1;
  char *hit = memmem(n->content.data, n->content.length, zeros, HOST_DIGITS);
  if (!hit)
    return st_fail(err, 0, FLEET_OWN_PATH " has no place for the host's id");
  n->content_at = (size_t)(hit - n->content.data);
  return 0;
}

/* What our tree gives for the template itself has to be what was signed. */
static int check_tree(const struct night *n, struct st_error *err)
{
  uint8_t own[OWN_MOST][ST_DIGEST_SIZE], root[ST_DIGEST_SIZE];
  for (int i = 0; i < n->nown; i++)
    leaf_hash(n->own[i].key, &n->own[i].value.bytes, own[i]);
  branch_hash(n->tree, own, root);
  if (memcmp(root, n->header.state_root, ST_DIGEST_SIZE) != 0)
    return st_fail(err, 0, "checkpoint %lld: the state root is not what doc/formats.md says",
                   (long long)n->header.number);
  return 0;
}

static int read_night(struct reading *r, int64_t number, struct st_error *err)
{
  ST_AUTO_CHANGESET set = {0};
  struct night *n = r->night = &r->t->nights[number - 1];
  const char *body;
  if (st_changeset_read(r->c, number, &set, err) < 0 ||
      st_header_read(&n->header, set.header.data, set.header.length, err) < 0)
    return -1;
  n->header.message = NULL;
  n->header.message_length = 0;
  n->declarations = set.declarations;
  n->body.bytes = set.body;
  set.declarations = set.body = ST_BUFFER_INIT;
  body = n->body.bytes.data ? n->body.bytes.data : "";
  r->own = (struct st_id){0};
  if (st_body_read(body, n->body.bytes.length, table_of_reading, find_own, r, err) < 0 ||
      read_content(r, err) < 0 ||
      st_body_read(body, n->body.bytes.length, table_of_reading, read_row, r, err) < 0)
    return -1;
  find_places(&n->body, r->own.digest);
  n->tree = branch_of(r->leaves.items, r->leaves.count, 0);
  return check_tree(n, err);
}

/* The one host of the store. */
static char *find_host(int dir)
{
  ST_AUTO_CLOSEDIR DIR *d = NULL;
  int fd = openat(dir, "hosts", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || !(d = fdopendir(fd)))
    return NULL;
  for (struct dirent *e; (e = readdir(d));)
    if (strlen(e->d_name) == ST_HOST_ID_SIZE - 1)
      return st_strdup(e->d_name);
  return NULL;
}

int fleet_template_open(struct fleet_template **ret, const char *store, struct st_error *err)
{
  ST_CLEANUP(fleet_template_closep) struct fleet_template *t = st_calloc(1, sizeof(*t));
  ST_CLEANUP(reading_close) struct reading r = {.t = t};
  ST_AUTO_CLOSE int dir = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ST_AUTO_FREE char *host = dir < 0 ? NULL : find_host(dir);
  if (!host)
    return st_fail(err, 0, "no store of a template (%s)", st_quote(store));
  if (st_catalog_open(&r.c, dir, host, ST_CATALOG_READ, err) < 0 ||
      st_store_open(&r.store, dir, ST_STORE_READ, NULL, err) < 0)
    return -1;
  t->count = st_catalog_latest(r.c);
  t->nights = st_calloc((size_t)t->count, sizeof(*t->nights));
  for (int64_t n = 1; n <= t->count; n++)
    if (read_night(&r, n, err) < 0)
      return st_wrap(err, "template, checkpoint %lld", (long long)n);
  *ret = st_steal(&t);
  return 0;
}

/* ---- Hosts -------------------------------------------------------------------------------------
 */

static void own_parcel(const struct night *n, const char *host_id, struct st_parcel *own)
{
  st_buffer_clear(&own->payload);
  st_buffer_append(&own->payload, n->content.data, n->content.length);
  memcpy(own->payload.data + n->content_at, host_id, HOST_DIGITS);
  own->record = (struct st_record){
      .encoding = ST_ENCODING_RAW, .raw = own->payload.length, .stored = own->payload.length};
  st_id_of(&own->record.id, NULL, own->payload.data, own->payload.length);
}

static void own_root(const struct night *n, const uint8_t digest[ST_DIGEST_SIZE],
                     uint8_t out[ST_DIGEST_SIZE])
{
  ST_AUTO_BUFFER value = ST_BUFFER_INIT;
  uint8_t own[OWN_MOST][ST_DIGEST_SIZE];
  for (int i = 0; i < n->nown; i++) {
    patch(&n->own[i].value, digest, &value);
    leaf_hash(n->own[i].key, &value, own[i]);
  }
  branch_hash(n->tree, own, out);
}

int fleet_next(struct fleet_host *host, const struct fleet_template *t, int64_t time,
               struct st_changeset *set, struct st_parcel *own, struct st_error *err)
{
  const struct night *n = &t->nights[host->number];
  struct st_header h = n->header;
  own_parcel(n, host->content_of[0] ? host->content_of : host->keys.host_id, own);
  patch(&n->body, own->record.id.digest, &set->body);
  st_digest(h.body, set->body.data, set->body.length);
  own_root(n, own->record.id.digest, h.state_root);
  memcpy(h.public_key, host->keys.public_key, ST_PUBLIC_KEY_SIZE);
  memcpy(h.previous, host->head, ST_DIGEST_SIZE);
  h.time = time;
  st_buffer_clear(&set->header);
  st_buffer_clear(&set->declarations);
  st_buffer_clear(&set->between);
  st_buffer_append(&set->declarations, n->declarations.data, n->declarations.length);
  set->since = host->number;
  if (st_header_write(&h, &host->keys, &set->header, err) < 0)
    return -1;
  memcpy(host->head, h.digest, ST_DIGEST_SIZE);
  host->number++;
  return 0;
}
