/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/rpm_track/rpm/files.h"

#include <rpm/rpmcrypto.h>
#include <rpm/rpmfiles.h>
#include <rpm/rpmpgp.h>
#include <string.h>
#include <sys/stat.h>

#include "plugins/entries.h"
#include "plugins/rpm_track/rpm/caps.h"
#include "plugins/rpm_track/rpm/list.h"
#include "plugins/rpm_track/rpm/verbs.h"
#include "systracker/base/digest.h"
#include "systracker/base/escape.h"

/* One file that is expected: where it is in the header, and how the root spells it. */
struct item {
  char *path;
  int place;
  const char *link_group; /* borrowed; NULL: it has no other names */
};

struct items {
  struct item *all;
  size_t count;
  size_t *of_place; /* for each place in the header its item plus 1; 0: it has none */
};

static void items_clear(struct items *items)
{
  for (size_t i = 0; i < items->count; i++)
    free(items->all[i].path);
  free(items->all);
  free(items->of_place);
}

static inline void free_files(rpmfiles *files)
{
  rpmfilesFree(*files);
}

/* ---- Which --------------------------------------------------------------------------------------
 */

/* A %ghost need not be there; what another package replaced, or what was not installed, is not this
 * package's. */
static bool is_expected(rpmfiles files, int i)
{
  rpmfileState state = rpmfilesFState(files, i);
  return !(rpmfilesFFlags(files, i) & RPMFILE_GHOST) &&
         (state == RPMFILE_STATE_NORMAL || state == RPMFILE_STATE_MISSING);
}

static void note(struct st_buffer *notes, const struct rpm_files_of *of, const char *what,
                 const char *path)
{
  ST_AUTO_FREE char *words = st_format("package %s: %s (%s)", of->package, what, st_quote(path));
  rpm_put(notes, LIST_NOTE);
  rpm_put(notes, words);
}

/* What rpm may treat otherwise when it replaces or removes the file, or when it is not there. */
static void put_flags(rpmfileAttrs flags, const char *path, struct st_buffer *out)
{
  static const struct {
    rpmfileAttrs flag;
    char letter;
  } all[] = {{RPMFILE_CONFIG, 'c'},
             {RPMFILE_MISSINGOK, 'm'},
             {RPMFILE_NOREPLACE, 'n'},
             {RPMFILE_GHOST, 'g'}};
  size_t before = out->length;
  for (size_t i = 0; i < ST_COUNT(all); i++) {
    if (flags & all[i].flag)
      st_buffer_append_byte(out, (uint8_t)all[i].letter);
  }
  if (out->length == before)
    return;
  st_buffer_append_byte(out, ' ');
  st_escape(out, path, strlen(path));
  st_buffer_append_byte(out, '\n');
}

static void take(const struct rpm_files_of *of, rpmfiles files, int i, struct items *items,
                 struct rpm_files *out, struct st_buffer *notes)
{
  ST_AUTO_FREE char *path = rpmfilesFN(files, i);
  char type = st_entry_type(rpmfilesFMode(files, i));
  if (!path)
    return;
  ST_AUTO_FREE char *resolved = type ? rpm_paths_resolve(of->paths, path, type == 'd') : NULL;
  if (resolved)
    put_flags(rpmfilesFFlags(files, i), resolved, &out->flags);
  if (!is_expected(files, i))
    return;
  if (resolved)
    items->all[items->count++] = (struct item){.path = st_steal(&resolved), .place = i};
  else if (type)
    note(notes, of, "it declares a path that cannot be", path);
  else
    note(notes, of, "it declares a file of no known type", path);
}

static int by_path(const void *a, const void *b, void *arg)
{
  const struct item *x = a, *y = b;
  rpmfiles files = arg;
  int r = strcmp(x->path, y->path);
  if (r != 0)
    return r;
  bool f = S_ISREG(rpmfilesFMode(files, x->place)), g = S_ISREG(rpmfilesFMode(files, y->place));
  return f != g ? g - f : (x->place > y->place) - (x->place < y->place);
}

/* Two of a package's paths can be one in this root; a regular file wins, as it does with rpm. */
static void drop_doubles(struct items *items)
{
  size_t n = 0;
  for (size_t i = 0; i < items->count; i++) {
    if (n > 0 && strcmp(items->all[n - 1].path, items->all[i].path) == 0)
      free(items->all[i].path);
    else
      items->all[n++] = items->all[i];
  }
  items->count = n;
}

/* ---- Hard links ---------------------------------------------------------------------------- */

/* The first of its links that is expected, by path; as many as the package itself has. */
static const char *first_link(rpmfiles files, const struct items *items, int place)
{
  const int *links = NULL;
  uint32_t count = rpmfilesFLinks(files, place, &links), found = 0;
  size_t first = 0, all = (size_t)rpmfilesFC(files);
  for (uint32_t i = 0; links && i < count; i++) {
    size_t item = links[i] >= 0 && (size_t)links[i] < all ? items->of_place[links[i]] : 0;
    found += item > 0;
    first = item > 0 && (first == 0 || item < first) ? item : first;
  }
  return found > 1 ? items->all[first - 1].path : NULL;
}

static void find_links(rpmfiles files, struct items *items)
{
  for (size_t i = 0; i < items->count; i++)
    items->of_place[items->all[i].place] = i + 1;
  for (size_t i = 0; i < items->count; i++) {
    struct item *item = &items->all[i];
    if (S_ISREG(rpmfilesFMode(files, item->place)))
      item->link_group = first_link(files, items, item->place);
  }
}

/* ---- What is said of one ------------------------------------------------------------------- */

static void put_hex(struct st_buffer *out, const void *data, size_t length)
{
  ST_AUTO_FREE char *hex = st_malloc(2 * length + 1);
  st_hex(hex, data, length);
  rpm_put(out, hex);
}

/* As rpm does: by the name in the root, and root where there is none. */
static void put_accounts(const struct st_accounts *accounts, const char *owner, const char *group,
                         struct st_buffer *out)
{
  uint32_t uid = 0, gid = 0;
  if (owner)
    st_account_uid(accounts, owner, &uid);
  if (group)
    st_account_gid(accounts, group, &gid);
  rpm_put_number(out, uid);
  rpm_put_number(out, gid);
  rpm_put(out, owner);
  rpm_put(out, group);
}

static void put_xattrs(const struct rpm_files_of *of, const struct item *item, const char *caps,
                       struct st_buffer *out, struct st_buffer *notes)
{
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  if (caps && rpm_caps_list(caps, &list) < 0)
    note(notes, of, "it declares capabilities that cannot be", item->path);
  put_hex(out, list.length ? list.data : "", list.length);
}

static void put_digests(rpmfiles files, int i, struct st_buffer *out)
{
  int algorithm = 0;
  size_t length = 0;
  const unsigned char *digest = rpmfilesFDigest(files, i, &algorithm, &length);
  bool known = digest && algorithm == PGPHASHALGO_SHA256 && length == ST_DIGEST_SIZE;
  put_hex(out, known ? digest : (const void *)"", known ? length : 0);
  if (digest && !known && length > 0)
    st_buffer_printf(out, "%d:", algorithm);
  put_hex(out, digest && !known ? digest : (const void *)"", digest && !known ? length : 0);
}

static void put_number_if(struct st_buffer *out, bool known, int64_t n)
{
  if (known)
    rpm_put_number(out, n);
  else
    rpm_put(out, NULL);
}

static void put_item(const struct rpm_files_of *of, rpmfiles files, const struct item *item,
                     struct st_buffer *out, struct st_buffer *notes)
{
  int i = item->place;
  unsigned mode = rpmfilesFMode(files, i);
  bool regular = S_ISREG(mode);
  rpm_put(out, item->path);
  rpm_put(out, (const char[]){st_entry_type(mode), 0});
  rpm_put_digits(out, mode & 07777, 8);
  put_accounts(of->accounts, rpmfilesFUser(files, i), rpmfilesFGroup(files, i), out);
  put_number_if(out, !S_ISDIR(mode), rpmfilesFMtime(files, i));
  put_number_if(out, regular, (int64_t)rpmfilesFSize(files, i));
  put_number_if(out, S_ISCHR(mode) || S_ISBLK(mode), rpmfilesFRdev(files, i));
  rpm_put(out, S_ISLNK(mode) ? rpmfilesFLink(files, i) : NULL);
  rpm_put(out, item->link_group);
  put_xattrs(of, item, regular ? rpmfilesFCaps(files, i) : NULL, out, notes);
  if (regular) {
    put_digests(files, i, out);
  } else {
    rpm_put(out, NULL);
    rpm_put(out, NULL);
  }
}

/* ---- All ----------------------------------------------------------------------------------- */

void rpm_files_clear(struct rpm_files *f)
{
  st_buffer_free(&f->fields);
  st_buffer_free(&f->flags);
}

int rpm_files_put(const struct rpm_files_of *of, Header h, struct rpm_files *out,
                  struct st_buffer *notes, struct st_error *err)
{
  ST_CLEANUP(items_clear) struct items items = {0};
  ST_CLEANUP(free_files) rpmfiles files = rpmfilesNew(NULL, h, RPMTAG_BASENAMES, RPMFI_KEEPHEADER);
  if (!files)
    return st_fail(err, 0, "the header of package %s is damaged: its lists of files differ",
                   of->package);
  size_t count = (size_t)rpmfilesFC(files);
  items.all = st_calloc(count + 1, sizeof(*items.all));
  items.of_place = st_calloc(count + 1, sizeof(*items.of_place));
  for (size_t i = 0; i < count; i++)
    take(of, files, (int)i, &items, out, notes);
  qsort_r(items.all, items.count, sizeof(*items.all), by_path, files);
  drop_doubles(&items);
  find_links(files, &items);
  for (size_t i = 0; i < items.count; i++)
    put_item(of, files, &items.all[i], &out->fields, notes);
  out->count = items.count;
  return 0;
}
