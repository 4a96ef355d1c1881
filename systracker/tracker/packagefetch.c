/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/packagefetch.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/process.h"
#include "systracker/base/set.h"
#include "systracker/tracker/deb.h"

#define LOOK_AT_ONCE 500 /* packages a call: their names have to fit into the arguments */
#define FETCH_AT_ONCE 50
#define MOST_FAILED 2 /* tried alone, where nothing came yet */
#define LOOK_SECONDS 300
#define FETCH_SECONDS 3600
#define OUTPUT_MAX ((size_t)64 << 20)

/* ---- What there is ----------------------------------------------------------------------------
 */

/* "NAME VERSION ARCHITECTURE" as the sets have it. */
static char *key_of(const char *name, const char *version, const char *architecture)
{
  return st_format("%s %s %s", name, version, architecture);
}

/* Trims a field of "apt-cache madison" in place. */
static char *trim(char *s)
{
  s += strspn(s, " ");
  for (size_t n = strlen(s); n && s[n - 1] == ' '; n--)
    s[n - 1] = 0;
  return s;
}

/* A line "NAME | VERSION | URL SUITE ARCHITECTURE Packages"; NAME may be NAME:ARCHITECTURE. */
static void read_line(struct st_set *available, char *line)
{
  char *name = strsep(&line, "|");
  char *version = line ? strsep(&line, "|") : NULL;
  if (!version || !line)
    return;
  name = trim(name);
  name[strcspn(name, ":")] = 0;
  version = trim(version);
  char *source = trim(line);
  char *kind = strrchr(source, ' ');
  if (!kind || strcmp(kind, " Packages") != 0)
    return;
  *kind = 0;
  const char *architecture = strrchr(source, ' ');
  /* A flat repository names none. */
  ST_AUTO_FREE char *key = key_of(name, version, architecture ? architecture + 1 : "");
  ST_AUTO_FREE char *any = key_of(name, version, "all");
  st_set_add(available, key, strlen(key), 0);
  st_set_add(available, any, strlen(any), 0);
}

/* A program of the running system or, where `inside`, of the root. */
static int run(const struct st_tracker *t, bool inside, char *const argv[], unsigned seconds,
               char **ret, struct st_error *err)
{
  size_t length;
  return inside && !t->live_root ? st_run_in(t->root, argv, OUTPUT_MAX, seconds, ret, &length, err)
                                 : st_run(argv, OUTPUT_MAX, seconds, ret, &length, err);
}

/* apt-cache, which is to write nothing, and from outside to read what lies in the root. */
static void add_look_options(struct st_strings *args, const struct st_tracker *t, bool inside)
{
  st_strings_add(args, "apt-cache");
  st_strings_add(args, "-oDir::Cache::pkgcache=");
  st_strings_add(args, "-oDir::Cache::srcpkgcache=");
  if (!t->live_root && !inside) {
    st_strings_take(args, st_format("-oDir=%s", t->root_path));
    st_strings_take(args, st_format("-oDir::State::status=%s/var/lib/dpkg/status", t->root_path));
  }
  st_strings_add(args, "madison");
  st_strings_add(args, "--");
}

/* What apt's lists have of some packages. */
static int look_at_apt(const struct st_tracker *t, bool inside,
                       const struct st_installed *const *items, size_t count,
                       struct st_set *available, struct st_error *err)
{
  ST_AUTO_STRINGS args = {0};
  ST_AUTO_FREE char *text = NULL;
  add_look_options(&args, t, inside);
  for (size_t i = 0; i < count; i++)
    if (!strcmp(items[i]->architecture, "all"))
      st_strings_add(&args, items[i]->name);
    else
      st_strings_take(&args, st_format("%s:%s", items[i]->name, items[i]->architecture));
  int r = run(t, inside, args.items, LOOK_SECONDS, &text, err);
  if (r == -ENOENT) {
    st_error_clear(err);
    return 0;
  }
  if (r < 0)
    return r;
  /* Its status is not 0 where it does not know one of the names. */
  for (char *rest = text; rest && *rest;)
    read_line(available, strsep(&rest, "\n"));
  return 0;
}

/* ---- dnf --------------------------------------------------------------------------------------
 */

/* A version as dnf has it: an epoch of 0 is none. */
static const char *dnf_version(const char *version)
{
  return strncmp(version, "0:", 2) == 0 ? version + 2 : version;
}

/* Runs dnf, or what took its place, or what was before it, with these arguments behind it. */
static int run_dnf(const struct st_tracker *t, bool inside, const struct st_strings *arguments,
                   unsigned seconds, char **ret, struct st_error *err)
{
  static const char *const names[] = {"dnf", "dnf5", "yum"};
  int r = -ENOENT;
  for (size_t i = 0; i < ST_COUNT(names) && r == -ENOENT; i++) {
    ST_AUTO_FREE char **argv = st_calloc(arguments->count + 2, sizeof(*argv));
    argv[0] = (char *)names[i];
    for (size_t k = 0; k < arguments->count; k++)
      argv[k + 1] = arguments->items[k];
    st_error_clear(err);
    r = run(t, inside, argv, seconds, ret, err);
  }
  return r;
}

static void add_dnf_names(struct st_strings *args, const struct st_installed *const *items,
                          size_t count)
{
  for (size_t i = 0; i < count; i++)
    st_strings_take(args, st_format("%s-%s.%s", items[i]->name, dnf_version(items[i]->version),
                                    items[i]->architecture));
}

/* What the data of dnf's repositories that lies here has of some packages; no network is used.  dnf
 * writes a log where it looks, so another root's is not asked: to look is to change nothing. */
static int look_at_dnf(const struct st_tracker *t, bool inside,
                       const struct st_installed *const *items, size_t count,
                       struct st_set *available, struct st_error *err)
{
  ST_AUTO_STRINGS args = {0};
  ST_AUTO_FREE char *text = NULL;
  static const char *const first[] = {
      "-q",          "-C",   "--setopt=*.skip_if_unavailable=1", "repoquery",
      "--available", "--qf", "%{name} %{evr} %{arch}\n"};
  if (!t->live_root)
    return 0;
  for (size_t i = 0; i < ST_COUNT(first); i++)
    st_strings_add(&args, first[i]);
  add_dnf_names(&args, items, count);
  int r = run_dnf(t, inside, &args, LOOK_SECONDS, &text, err);
  if (r == -ENOENT)
    st_error_clear(err);
  for (char *rest = r < 0 ? NULL : text; rest && *rest;) {
    char *line = strsep(&rest, "\n");
    st_set_add(available, line, strlen(line), 0);
  }
  return r < 0 && r != -ENOENT ? r : 0;
}

/* ---- Both -------------------------------------------------------------------------------------
 */

static bool is_available(const struct st_set *available, const struct st_installed *p)
{
  const char *version = p->rpm ? dnf_version(p->version) : p->version;
  ST_AUTO_FREE char *exact = key_of(p->name, version, p->architecture);
  ST_AUTO_FREE char *flat = key_of(p->name, version, "");
  return st_set_get(available, exact, strlen(exact), NULL) ||
         st_set_get(available, flat, strlen(flat), NULL);
}

static int look_at(struct st_tracker *t, bool inside, const struct st_installed *const *items,
                   size_t count, struct st_set *available, struct st_error *err)
{
  if (count == 0)
    return 0;
  return (items[0]->rpm ? look_at_dnf : look_at_apt)(t, inside, items, count, available, err);
}

static int look_at_all(struct st_tracker *t, const struct st_installed_list *list, bool rpm,
                       bool inside, struct st_set *available, struct st_error *err)
{
  const struct st_installed *items[LOOK_AT_ONCE];
  size_t n = 0;
  for (size_t i = 0; i < list->count; i++) {
    if (list->items[i].rpm == rpm)
      items[n++] = &list->items[i];
    if (n < LOOK_AT_ONCE)
      continue;
    if (look_at(t, inside, items, n, available, err) < 0)
      return -1;
    n = 0;
  }
  return look_at(t, inside, items, n, available, err);
}

int st_fetch_look(struct st_tracker *t, const struct st_installed_list *list, bool inside,
                  bool *obtainable, struct st_error *err)
{
  ST_CLEANUP(st_set_freep) struct st_set *debs = st_set_new();
  ST_CLEANUP(st_set_freep) struct st_set *rpms = st_set_new();
  if (look_at_all(t, list, false, inside, debs, err) < 0 ||
      look_at_all(t, list, true, inside, rpms, err) < 0)
    return -1;
  for (size_t i = 0; i < list->count; i++)
    obtainable[i] = is_available(list->items[i].rpm ? rpms : debs, &list->items[i]);
  return 0;
}

const char *const st_package_at_words[] = {"kept", "obtainable", "repacked", "missing"};

int st_fetch_classify(struct st_tracker *t, const struct st_installed_list *list,
                      enum st_package_at *ret, struct st_error *err)
{
  bool *obtainable = st_calloc(list->count + 1, sizeof(*obtainable));
  ST_AUTO_FREE void *owned = obtainable;
  if (st_fetch_look(t, list, false, obtainable, err) < 0)
    return -1;
  for (size_t i = 0; i < list->count; i++)
    ret[i] = list->items[i].kept       ? ST_AT_KEPT
             : obtainable[i]           ? ST_AT_OBTAINABLE
             : list->items[i].repacked ? ST_AT_REPACKED
                                       : ST_AT_MISSING;
  return 0;
}

/* ---- Fetching it ------------------------------------------------------------------------------
 */

/* A folder below the root's /var/tmp that is there for this run alone. */
struct scratch {
  int parent, fd;
  char name[40];
};

static void scratch_empty(int fd)
{
  int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ST_AUTO_CLOSEDIR DIR *d = again < 0 ? NULL : fdopendir(again);
  for (struct dirent *e; d && (e = readdir(d));)
    unlinkat(fd, e->d_name, 0); /* fails for . and .. */
}

static void scratch_end(struct scratch *s)
{
  if (s->fd >= 0) {
    scratch_empty(s->fd);
    unlinkat(s->parent, s->name, AT_REMOVEDIR);
    close(s->fd);
  }
  if (s->parent >= 0)
    close(s->parent);
}

static int scratch_make(struct scratch *s, int root, struct st_error *err)
{
  uint64_t random;
  if (st_random(&random, sizeof(random), err) < 0)
    return -1;
  snprintf(s->name, sizeof(s->name), "systracker-%016" PRIx64, random);
  s->parent = st_open_in(root, "/var/tmp", O_RDONLY | O_DIRECTORY, 0);
  if (s->parent < 0)
    return st_fail(err, -s->parent, "cannot open the folder to download to (/var/tmp)");
  if (mkdirat(s->parent, s->name, 0700) < 0)
    return st_fail(err, errno, "cannot make the folder to download to (/var/tmp)");
  s->fd = openat(s->parent, s->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return s->fd < 0 ? st_fail(err, errno, "cannot open the folder to download to (/var/tmp)") : 0;
}

struct fetch {
  struct st_tracker *t;
  struct scratch *scratch;
  st_fetch_fn *fn;
  void *arg;
};

/* Hands over what came.  Returns how many. */
static int hand_over(const struct fetch *f, struct st_error *err)
{
  int count = 0;
  int again = openat(f->scratch->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ST_AUTO_CLOSEDIR DIR *d = again < 0 ? NULL : fdopendir(again);
  for (struct dirent *e; d && (e = readdir(d));) {
    struct stat st;
    if (fstatat(f->scratch->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
      continue;
    ST_AUTO_CLOSE int fd = st_deb_open(f->scratch->fd, e->d_name, err);
    if (fd < 0 || f->fn(f->arg, fd, e->d_name, err) < 0)
      return -1;
    count++;
  }
  scratch_empty(f->scratch->fd);
  return count;
}

/* Nothing is written but the files; a network that is not there is not waited for. */
static const char *const options[] = {"-oAPT::Sandbox::User=root",   "-oDir::Cache::pkgcache=",
                                      "-oDir::Cache::srcpkgcache=",  "-oAcquire::Retries=0",
                                      "-oAcquire::http::Timeout=20", "-oAcquire::https::Timeout=20",
                                      "-oAcquire::ftp::Timeout=20"};

/* apt-get download of some packages.  Returns how many files came. */
static int download_debs(const struct fetch *f, const struct st_installed *const *items,
                         size_t count, struct st_error *err)
{
  ST_AUTO_STRINGS args = {0};
  ST_AUTO_FREE char *text = NULL;
  st_strings_add(&args, "env");
  st_strings_take(&args, st_format("--chdir=/var/tmp/%s", f->scratch->name));
  st_strings_add(&args, "apt-get");
  st_strings_add(&args, "-qq");
  for (size_t i = 0; i < ST_COUNT(options); i++)
    st_strings_add(&args, options[i]);
  st_strings_add(&args, "download");
  st_strings_add(&args, "--");
  for (size_t i = 0; i < count; i++) {
    bool all = !strcmp(items[i]->architecture, "all");
    st_strings_take(&args, st_format("%s%s%s=%s", items[i]->name, all ? "" : ":",
                                     all ? "" : items[i]->architecture, items[i]->version));
  }
  int r = run(f->t, true, args.items, FETCH_SECONDS, &text, err);
  /* A status of its own says that some did not come, which is seen by what came. */
  return r < 0 ? r : hand_over(f, err);
}

/* The same by dnf, whose plug-in for it need not be there: what is installed can be had without. */
static int download_rpms(const struct fetch *f, const struct st_installed *const *items,
                         size_t count, struct st_error *err)
{
  static const char *const ways[] = {"download", "reinstall"};
  int came = 0;
  for (size_t way = 0; came == 0 && way < ST_COUNT(ways); way++) {
    ST_AUTO_STRINGS args = {0};
    ST_AUTO_FREE char *text = NULL;
    st_strings_add(&args, "-q");
    st_strings_add(&args, "-y");
    st_strings_add(&args, ways[way]);
    if (way > 0)
      st_strings_add(&args, "--downloadonly");
    st_strings_take(&args, st_format("--destdir=/var/tmp/%s", f->scratch->name));
    st_strings_add(&args, "--setopt=timeout=20");
    st_strings_add(&args, "--setopt=retries=1");
    st_strings_add(&args, "--setopt=strict=0");
    add_dnf_names(&args, items, count);
    int r = run_dnf(f->t, true, &args, FETCH_SECONDS, &text, err);
    came = r < 0 ? r : hand_over(f, err);
  }
  return came;
}

static int download(const struct fetch *f, const struct st_installed *const *items, size_t count,
                    struct st_error *err)
{
  return (items[0]->rpm ? download_rpms : download_debs)(f, items, count, err);
}

/* A few at once; where not all came, as one unknown keeps apt from fetching any, one by one.
 * `*came`: how many have come so far. */
static int download_some(const struct fetch *f, const struct st_installed *const *items,
                         size_t count, size_t *came, struct st_error *err)
{
  int r = download(f, items, count, err);
  if (r < 0)
    return -1;
  *came += (size_t)r;
  bool each = count > 1 && (size_t)r < count && !items[0]->rpm; /* dnf leaves out what it lacks */
  for (size_t i = 0, failed = 0; each && i < count; i++) {
    int one = download(f, &items[i], 1, err);
    if (one < 0)
      return -1;
    *came += (size_t)one;
    failed += one == 0;
    if (*came == 0 && failed >= MOST_FAILED)
      break;
  }
  return 0;
}

/* All of one package manager's. */
static int fetch_all(const struct fetch *f, const struct st_installed_list *list, bool rpm,
                     const bool *wanted, struct st_error *err)
{
  const struct st_installed *items[FETCH_AT_ONCE];
  size_t n = 0, came = 0;
  for (size_t i = 0; i < list->count; i++) {
    if (wanted[i] && list->items[i].rpm == rpm)
      items[n++] = &list->items[i];
    if (n == 0 || (n < FETCH_AT_ONCE && i + 1 < list->count))
      continue;
    if (download_some(f, items, n, &came, err) < 0)
      return -1;
    if (came == 0)
      break; /* no network */
    n = 0;
  }
  return 0;
}

int st_fetch(struct st_tracker *t, const struct st_installed_list *list, const bool *wanted,
             st_fetch_fn *fn, void *arg, struct st_error *err)
{
  ST_CLEANUP(scratch_end) struct scratch scratch = {.parent = -1, .fd = -1};
  const struct fetch f = {t, &scratch, fn, arg};
  if (scratch_make(&scratch, t->root, err) < 0 || fetch_all(&f, list, false, wanted, err) < 0)
    return -1;
  return fetch_all(&f, list, true, wanted, err);
}

int st_fetch_show(struct st_tracker *t, const struct st_installed *package, char **ret,
                  struct st_error *err)
{
  ST_AUTO_STRINGS args = {0};
  ST_AUTO_FREE char *text = NULL;
  bool all = !strcmp(package->architecture, "all");
  st_strings_add(&args, "apt-cache");
  st_strings_add(&args, "-oDir::Cache::pkgcache=");
  st_strings_add(&args, "-oDir::Cache::srcpkgcache=");
  st_strings_add(&args, "show");
  st_strings_add(&args, "--");
  st_strings_take(&args, st_format("%s%s%s=%s", package->name, all ? "" : ":",
                                   all ? "" : package->architecture, package->version));
  int r = run(t, true, args.items, LOOK_SECONDS, &text, err);
  if (r != 0)
    return r < 0 ? r : 1;
  char *end = strstr(text, "\n\n");
  if (end)
    end[1] = 0;
  *ret = st_steal(&text);
  return 0;
}
