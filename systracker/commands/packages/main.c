/* SPDX-License-Identifier: GPL-2.0-or-later */
/* systracker-packages: the files of installed packages, kept, fetched, listed. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/escape.h"
#include "systracker/base/log.h"
#include "systracker/base/text.h"
#include "systracker/tracker/packagefetch.h"
#include "systracker/tracker/packagefile.h"
#include "systracker/tracker/rebuild.h"
#include "systracker/tracker/render.h"

enum { OPT_KEEP = 256, OPT_FETCH_MISSING, OPT_REPACK, OPT_DEVIATIONS, OPT_STAT, OPT_UNPACKAGED };

static const struct st_cli_option options[] = {
    {"keep", OPT_KEEP, NULL, "keep these package files, or all that lie in these folders"},
    {"fetch-missing", OPT_FETCH_MISSING, NULL,
     "fetch what is installed and not kept from the host's repositories"},
    {"repack", OPT_REPACK, NULL,
     "put together again, from the installed files, what is neither kept nor obtainable"},
    {"deviations", OPT_DEVIATIONS, NULL, "list the files that are not as their packages have them"},
    {"stat", OPT_STAT, NULL, "of deviations: one line each, without the texts' differences"},
    {"unpackaged", OPT_UNPACKAGED, NULL, "of deviations: list what belongs to no package, too"},
    {0},
};

struct request {
  bool keep, fetch_missing, repack, deviations;
  struct st_deviation_options options;
};

static int set(void *arg, int letter, const char *value, struct st_error *err)
{
  struct request *r = arg;
  (void)value;
  (void)err;
  r->deviations = r->deviations || letter == OPT_DEVIATIONS;
  r->options.stat = r->options.stat || letter == OPT_STAT;
  r->options.unpackaged = r->options.unpackaged || letter == OPT_UNPACKAGED;
  r->keep = r->keep || letter == OPT_KEEP;
  r->fetch_missing = r->fetch_missing || letter == OPT_FETCH_MISSING;
  r->repack = r->repack || letter == OPT_REPACK;
  return 0;
}

static const struct st_cli_verb verb = {
    "packages",
    "[--deviations] [--keep FILE|DIR...]",
    "list installed packages whose files are kept, keep them, or list what deviates from them",
    options,
    set,
    NULL};

/* One run. */
struct session {
  const struct st_cli *cli;
  struct st_tracker *t;
  struct st_packages *packages;
  struct st_installed_list installed; /* at the latest checkpoint */
  uint64_t kept;                      /* files that are new in the store */
  bool incomplete;
};

static void session_clear(struct session *s)
{
  st_installed_clear(&s->installed);
  if (s->packages)
    st_packages_close(s->packages);
  if (s->t)
    st_tracker_close(s->t);
}

/* Says it, and goes on. */
static void complain(struct session *s, struct st_error *err)
{
  st_cli_fail(err);
  s->incomplete = true;
}

/* ---- Words and JSON -----------------------------------------------------------------------------
 */

static json_t *package_json(const char *name, const char *version, const char *architecture,
                            const char *file)
{
  json_t *o = json_object();
  json_object_set_new(o, "package", st_json_text(name));
  json_object_set_new(o, "version", st_json_text(version));
  json_object_set_new(o, "architecture", st_json_text(architecture));
  json_object_set_new(o, "file", json_string(file));
  return o;
}

static void add_kept_json(json_t *o, const struct st_package *kept)
{
  char hex[2 * ST_DIGEST_SIZE + 1];
  st_hex(hex, kept->digest, sizeof(kept->digest));
  json_object_set_new(o, "digest", json_string(hex));
  json_object_set_new(o, "bytes", json_integer((json_int_t)kept->size));
}

static void print_package(const struct session *s, const struct st_installed *p, const char *file)
{
  const struct st_package *there =
      strcmp(file, st_package_at_words[ST_AT_REPACKED]) == 0 ? p->repacked : p->kept;
  if (s->cli->json) {
    json_t *o = package_json(p->name, p->version, p->architecture, file);
    if (there)
      add_kept_json(o, there);
    st_cli_json(o);
    return;
  }
  printf("%-10s  %s %s %s", file, st_quote(p->name), st_quote(p->version),
         st_quote(p->architecture));
  if (there) {
    ST_AUTO_FREE char *size = st_format_size(there->size);
    printf("  (%s)", size);
  }
  putchar('\n');
}

/* ---- Keeping ------------------------------------------------------------------------------------
 */

static int keep_package(struct session *s, int fd, const struct st_package *is,
                        struct st_error *err)
{
  int r = st_packages_keep(s->packages, fd, is, s->t->conf->min_free, err);
  if (r < 0)
    return st_wrap(err, "%s %s", st_quote(is->name), st_quote(is->version));
  s->kept += r == 0;
  if (r == 0 && s->cli->json)
    st_cli_json(package_json(is->name, is->version, is->architecture, "kept"));
  else if (r == 0 && !s->cli->quiet)
    printf("kept        %s %s %s\n", st_quote(is->name), st_quote(is->version),
           st_quote(is->architecture));
  return 0;
}

static int keep_file(struct session *s, int dirfd, const char *path, struct st_error *err)
{
  ST_AUTO_PACKAGEFILE is = {0};
  ST_AUTO_CLOSE int fd = st_deb_open(dirfd, path, err);
  if (fd < 0 || st_packagefile_read(&is, fd, path, true, err) < 0)
    return -1;
  return keep_package(s, fd, &is.is, err);
}

static int is_package(const struct dirent *e)
{
  size_t n = strlen(e->d_name);
  return n > 4 && (!strcmp(e->d_name + n - 4, ".deb") || !strcmp(e->d_name + n - 4, ".rpm"));
}

/* All package files of a folder; what is none is said. */
static int keep_folder(struct session *s, int dir, const char *path, struct st_error *err)
{
  struct dirent **list = NULL;
  int n = scandirat(dir, ".", &list, is_package, alphasort);
  if (n < 0)
    return st_fail(err, errno, "cannot read the folder (%s)", st_quote(path));
  for (int i = 0; i < n; i++) {
    if (keep_file(s, dir, list[i]->d_name, err) < 0)
      complain(s, err);
    free(list[i]);
  }
  free(list);
  return 0;
}

static void keep_each(struct session *s, char **paths, int count)
{
  for (int i = 0; i < count; i++) {
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    ST_AUTO_CLOSE int dir = open(paths[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = dir >= 0 ? keep_folder(s, dir, paths[i], &err) : keep_file(s, AT_FDCWD, paths[i], &err);
    if (r < 0)
      complain(s, &err);
  }
}

/* ---- Fetching -----------------------------------------------------------------------------------
 */

/* The installed package that it is; NULL: none. */
static const struct st_installed *find_installed(const struct session *s,
                                                 const struct st_package *is)
{
  for (size_t i = 0; i < s->installed.count; i++)
    if (st_installed_is(&s->installed.items[i], is))
      return &s->installed.items[i];
  return NULL;
}

/* An .rpm may have been built again without a new version: the database has its header's digest. */
static int check_fetched(const struct session *s, const struct st_packagefile *p,
                         struct st_error *err)
{
  const struct st_installed *wanted = find_installed(s, &p->is);
  if (!wanted)
    return st_fail(err, 0, "another package than was asked for came: %s %s %s",
                   st_quote(p->is.name), st_quote(p->is.version), st_quote(p->is.architecture));
  if (wanted->header && *wanted->header && p->header && strcmp(wanted->header, p->header) != 0)
    return st_fail(err, 0, "another build than is installed came: %s %s %s", st_quote(p->is.name),
                   st_quote(p->is.version), st_quote(p->is.architecture));
  return 0;
}

static int on_fetched(void *arg, int fd, const char *name, struct st_error *err)
{
  struct session *s = arg;
  ST_AUTO_PACKAGEFILE is = {0};
  int r = st_packagefile_read(&is, fd, name, true, err);
  if (r >= 0)
    r = check_fetched(s, &is, err);
  if (r >= 0)
    r = keep_package(s, fd, &is.is, err);
  if (r < 0 && err->code == ENOSPC)
    return -1;
  if (r < 0)
    complain(s, err);
  return 0;
}

/* Keeping moves what was found, so it is looked up again. */
static int gather(struct session *s, struct st_error *err)
{
  int64_t latest = st_catalog_latest(s->t->catalog);
  st_installed_clear(&s->installed);
  if (latest == 0)
    return st_fail(err, 0, "there is no checkpoint yet: systracker checkpoint makes one");
  return st_tracker_installed(s->t, latest, s->packages, &s->installed, err);
}

/* `last`: what is missing then is told. */
static int fetch_missing(struct session *s, bool last, struct st_error *err)
{
  bool *wanted = st_calloc(s->installed.count + 1, sizeof(*wanted));
  ST_AUTO_FREE void *owned = wanted;
  size_t count = 0;
  if (st_fetch_look(s->t, &s->installed, true, wanted, err) < 0)
    return -1;
  /* dnf fetches what it has to know of its repositories when it is asked, so it is. */
  for (size_t i = 0; i < s->installed.count; i++) {
    const struct st_installed *p = &s->installed.items[i];
    count += wanted[i] = (wanted[i] || p->rpm) && !p->kept;
  }
  if (count && st_fetch(s->t, &s->installed, wanted, on_fetched, s, err) < 0)
    return -1;
  if (gather(s, err) < 0)
    return -1;
  for (size_t i = 0; i < s->installed.count; i++)
    if (last && !s->installed.items[i].kept) {
      s->incomplete = true;
      print_package(s, &s->installed.items[i], "missing");
    }
  return 0;
}

/* ---- Putting together again -------------------------------------------------------------------
 */

/* It is kept under a kind of its own, and said to be what it is. */
static int repack_one(struct session *s, const struct st_installed *p, struct st_error *err)
{
  struct st_rebuilt made = {.fd = -1};
  const struct st_package is = {.name = p->name,
                                .version = p->version,
                                .architecture = p->architecture,
                                .kind = (char *)(p->rpm ? "repacked-rpm" : "repacked-deb")};
  int r = (p->rpm ? st_rebuild_rpm : st_rebuild_deb)(s->t, p, &made, err);
  ST_AUTO_CLOSE int fd = r < 0 ? -1 : made.fd;
  if (fd < 0 || st_packages_keep(s->packages, fd, &is, s->t->conf->min_free, err) < 0)
    return st_wrap(err, "%s %s", st_quote(p->name), st_quote(p->version));
  s->kept++;
  if (s->cli->json) {
    json_t *o = package_json(p->name, p->version, p->architecture, "repacked");
    json_object_set_new(o, "missing", json_integer((json_int_t)made.missing));
    st_cli_json(o);
  } else if (!s->cli->quiet) {
    printf("repacked    %s %s %s", st_quote(p->name), st_quote(p->version),
           st_quote(p->architecture));
    printf(made.missing ? "  (%zu of its paths are not there)\n" : "\n", made.missing);
  }
  return 0;
}

static int repack_missing(struct session *s, struct st_error *err)
{
  enum st_package_at *at = st_calloc(s->installed.count + 1, sizeof(*at));
  ST_AUTO_FREE void *owned = at;
  if (st_fetch_classify(s->t, &s->installed, at, err) < 0)
    return -1;
  for (size_t i = 0; i < s->installed.count; i++)
    if (at[i] == ST_AT_MISSING && repack_one(s, &s->installed.items[i], err) < 0) {
      if (err->code == ENOSPC)
        return -1;
      complain(s, err);
    }
  return 0;
}

/* ---- Listing ------------------------------------------------------------------------------------
 */

static int list(struct session *s, struct st_error *err)
{
  enum st_package_at *at = st_calloc(s->installed.count + 1, sizeof(*at));
  ST_AUTO_FREE void *owned = at;
  size_t counts[ST_AT_PLACES] = {0};
  if (st_fetch_classify(s->t, &s->installed, at, err) < 0)
    return -1;
  pid_t pager = st_cli_pager(s->cli);
  for (size_t i = 0; i < s->installed.count; i++) {
    counts[at[i]]++;
    print_package(s, &s->installed.items[i], st_package_at_words[at[i]]);
  }
  if (!s->cli->json)
    printf("%zu installed: the files of %zu are kept, %zu are obtainable by the package manager's "
           "lists, %zu are repacked, %zu are missing\n",
           s->installed.count, counts[ST_AT_KEPT], counts[ST_AT_OBTAINABLE], counts[ST_AT_REPACKED],
           counts[ST_AT_MISSING]);
  st_cli_pager_end(pager);
  return 0;
}

/* ---- The program --------------------------------------------------------------------------------
 */

/* ---- Deviations ---------------------------------------------------------------------------------
 */

static int check_request(const struct request *r, struct st_error *err)
{
  if (r->deviations && (r->keep || r->fetch_missing || r->repack))
    return st_fail(err, 0, "--deviations stands alone");
  if (!r->deviations && (r->options.stat || r->options.unpackaged))
    return st_fail(err, 0, "--stat and --unpackaged are for --deviations");
  return 0;
}

static int list_deviations(const struct st_cli *cli, const struct request *request,
                           struct st_error *err)
{
  ST_CLEANUP(st_tracker_closep) struct st_tracker *t = NULL;
  if (st_tracker_open(&t, &cli->tracker, ST_TRACKER_LOOK, err) < 0)
    return -1;
  int64_t latest = st_catalog_latest(t->catalog);
  if (latest == 0)
    return st_fail(err, 0, "there is no checkpoint yet: systracker checkpoint makes one");
  pid_t pager = st_cli_pager(cli);
  int r = st_render_deviations(t, cli, latest, &request->options, err);
  st_cli_pager_end(pager);
  return r < 0 ? -1 : ST_EXIT_OK;
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  struct request request = {0};
  ST_CLEANUP(session_clear) struct session s = {.cli = cli};
  int first = st_cli_parse(cli, &verb, argc, argv, &request, NULL, err);
  if (first < 0 ||
      st_cli_operands(&verb, argc - first, request.keep, request.keep ? -1 : 0, err) < 0 ||
      check_request(&request, err) < 0)
    return -1;
  if (request.deviations)
    return list_deviations(cli, &request, err);
  /* Package files need no lock: a checkpoint may be under way; nor, to be kept, a checkpoint. */
  bool more = request.fetch_missing || request.repack;
  bool alone = request.keep && !more;
  if ((alone ? st_tracker_open_packages(&s.t, &cli->tracker, err)
             : st_tracker_open(&s.t, &cli->tracker, ST_TRACKER_LOOK, err)) < 0 ||
      st_packages_open(&s.packages, s.t->store_dir, err) < 0)
    return -1;
  if (request.keep)
    keep_each(&s, argv + first, argc - first);
  if (!alone && gather(&s, err) < 0)
    return -1;
  int r = request.fetch_missing ? fetch_missing(&s, !request.repack, err) : 0;
  if (r == 0 && request.repack)
    r = repack_missing(&s, err);
  if (r == 0 && !request.keep && !more)
    r = list(&s, err);
  if (r < 0)
    return -1;
  if ((request.keep || more) && !cli->json && !cli->quiet)
    printf("package files that are new in the store: %" PRIu64 "\n", s.kept);
  return s.incomplete ? ST_EXIT_INCOMPLETE : ST_EXIT_OK;
}

int main(int argc, char **argv)
{
  struct st_cli cli = {0};
  return st_cli_main(&cli, argc, argv, run);
}
