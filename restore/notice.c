/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/notice.h"

#include <string.h>
#include <time.h>

#include "restore/units.h"
#include "systracker/base/escape.h"
#include "systracker/base/set.h"
#include "systracker/tracker/packaged.h"

/* What a restore changes, or changed, as services see it. */
struct notice {
  struct st_session *session;
  struct st_strings paths; /* of entries that are no directories; borrowed below */
  struct st_set *changed;  /* the same */
  struct st_set *packages; /* names of those that are installed, changed or removed */
  struct st_set *owners;   /* packages of the paths; the number is an index of `paths` */
  int64_t began_usec;      /* monotonic: packages changed after that; INT64_MAX: they will */
  bool before;             /* of a dry run */
  bool units;              /* unit files are among them */
  char *own_group;
};
#define AUTO_NOTICE ST_CLEANUP(notice_free) struct notice

static void notice_free(struct notice *n)
{
  st_strings_free(&n->paths);
  st_set_freep(&n->changed);
  st_set_freep(&n->packages);
  st_set_freep(&n->owners);
  free(n->own_group);
}

static bool has(const struct st_set *set, const char *text)
{
  return st_set_get(set, text, strlen(text), NULL);
}

/* ---- What changes ---------------------------------------------------------------------------- */

/* systemd's own folders of units, and what its generators make units of (systemd.generator(7)). */
static bool is_of_units(const char *path)
{
  static const char *const places[] = {"/etc/systemd/system/", "/usr/lib/systemd/system/",
                                       "/lib/systemd/system/", "/usr/local/lib/systemd/system/",
                                       "/etc/init.d/",         "/etc/fstab"};
  for (size_t i = 0; i < ST_COUNT(places); i++) {
    size_t n = strlen(places[i]);
    if (strncmp(path, places[i], n) == 0 && (places[i][n - 1] == '/' || path[n] == 0))
      return true;
  }
  return false;
}

/* Owners, modes and times alone make no service read anything again. */
static void take_actions(struct notice *n, const struct st_actions *actions)
{
  for (size_t i = 0; i < actions->count; i++) {
    const struct st_action *a = actions->items[i];
    bool folder = (a->before.type == 'd' || a->before.type == 0) &&
                  (a->after.type == 'd' || a->after.type == 0);
    if (!st_action_is_done(a) || a->kind == ST_ACTION_METADATA || folder ||
        !st_set_add(n->changed, a->path, strlen(a->path), 0))
      continue;
    st_strings_add(&n->paths, a->path);
    n->units |= is_of_units(a->path);
  }
}

static void take_steps(struct notice *n, const struct st_package_steps *steps)
{
  for (size_t i = 0; i < steps->count; i++) {
    const struct st_package_step *s = &steps->items[i];
    if (!st_package_step_is_key(s) && st_package_step_counts(s))
      st_set_add(n->packages, s->name, strlen(s->name), 0);
  }
}

/* ---- Whose it is ----------------------------------------------------------------------------- */

/* A folder that many packages put their files into says nothing of whose a file in it is. */
static bool is_shared(const char *folder)
{
  static const char *const shared[] = {"/etc/default", "/etc/systemd", "/etc/udev",     "/etc/X11",
                                       "/etc/network", "/etc/ssl",     "/etc/security", "/etc/pki",
                                       "/etc/xdg",     "/etc/dbus-1",  "/etc/sysconfig"};
  size_t length = strlen(folder);
  if (strncmp(folder, "/etc/", 5) != 0 || strcmp(folder + length - 2, ".d") == 0)
    return true;
  for (size_t i = 0; i < ST_COUNT(shared); i++) {
    size_t n = strlen(shared[i]);
    if (strncmp(folder, shared[i], n) == 0 && (folder[n] == 0 || folder[n] == '/'))
      return true;
  }
  return false;
}

/* The package that has the path; "": none.  malloc'ed. */
static char *owner_of(const struct notice *n, const char *path)
{
  ST_AUTO_PACKAGED p = {0};
  if (st_packaged_find(n->session->look, ST_LIVE, path, &p, NULL) <= 0)
    return st_strdup("");
  return st_steal(&p.name);
}

/* The same; of a file below /etc that no package has, that of the nearest folder which one has. */
static char *concerned_by(const struct notice *n, const char *path)
{
  ST_AUTO_FREE char *folder = st_strdup(path);
  for (;;) {
    ST_AUTO_FREE char *owner = owner_of(n, folder);
    char *slash = strrchr(folder, '/');
    if (*owner || !slash)
      return st_steal(&owner);
    *slash = 0;
    if (is_shared(folder))
      return st_steal(&owner);
  }
}

static void find_owners(struct notice *n)
{
  for (size_t i = 0; i < n->paths.count; i++) {
    ST_AUTO_FREE char *owner = concerned_by(n, n->paths.items[i]);
    if (*owner && !has(n->owners, owner))
      st_set_add(n->owners, owner, strlen(owner), i);
  }
}

/* A path as the catalog has it: /lib may be a symlink. */
static char *canonical(const char *path)
{
  const char *slash = strrchr(path, '/');
  ST_AUTO_FREE char *folder = slash ? st_memdup(path, (size_t)(slash - path)) : NULL;
  ST_AUTO_FREE char *real = folder && *folder ? realpath(folder, NULL) : NULL;
  return real ? st_format("%s%s", strcmp(real, "/") == 0 ? "" : real, slash) : st_strdup(path);
}

/* ---- Which services -------------------------------------------------------------------------- */

/* By a file that it is made of.  NULL: no. */
static char *because_of_file(const struct notice *n, const struct st_unit *u)
{
  for (size_t i = 0; i < u->files.count; i++) {
    ST_AUTO_FREE char *path = canonical(u->files.items[i]);
    if (has(n->changed, path))
      return st_strdup(st_quote(path));
  }
  return NULL;
}

/* By its package: that itself, unless it was started anew when the package came; or a file. */
static char *because_of_package(const struct notice *n, const struct st_unit *u)
{
  uint64_t which;
  if (!*u->fragment || (st_set_count(n->packages) == 0 && st_set_count(n->owners) == 0))
    return NULL;
  ST_AUTO_FREE char *path = canonical(u->fragment), *owner = owner_of(n, path);
  if (!*owner)
    return NULL;
  if (has(n->packages, owner) && u->since_usec < n->began_usec)
    return st_format("package %s", st_quote(owner));
  if (!st_set_get(n->owners, owner, strlen(owner), &which))
    return NULL;
  return st_strdup(st_quote(n->paths.items[which]));
}

/* By what a process of it runs or has mapped: a library that many packages use, for example. */
static char *because_of_process(const struct notice *n, const struct st_unit *u)
{
  ST_AUTO_STRINGS here = {0}, gone = {0};
  st_unit_mapped(u, &here, &gone);
  const struct st_strings *old = n->before ? &here : &gone;
  for (size_t i = 0; i < old->count; i++) {
    const char *path = old->items[i];
    if (has(n->changed, path))
      return st_strdup(st_quote(path));
    if (st_set_count(n->packages) == 0)
      continue;
    ST_AUTO_FREE char *owner = owner_of(n, path);
    if (*owner && has(n->packages, owner))
      return st_strdup(st_quote(path));
  }
  return NULL;
}

static char *because(const struct notice *n, const struct st_unit *u)
{
  char *words = because_of_file(n, u);
  if (!words)
    words = because_of_package(n, u);
  return words ? words : because_of_process(n, u);
}

/* ---- Saying and doing ------------------------------------------------------------------------ */

static void say(const struct notice *n, const char *action, const struct st_unit *u,
                const char *words, const char *stays)
{
  const struct st_cli *cli = n->session->request->cli;
  ST_AUTO_FREE char *why = stays ? st_format("%s; %s", words, stays) : st_strdup(words);
  if (cli->quiet)
    return;
  if (!cli->json) {
    printf("%-8s %s  (%s)\n", action, st_quote(u->id), why);
    return;
  }
  json_t *o = json_object();
  json_object_set_new(o, "action", json_string(action));
  json_object_set_new(o, "service", st_json_text(u->id));
  json_object_set_new(o, "why", st_json_words(why));
  st_cli_json(o);
}

/* False: it was to be restarted, and was not. */
static bool notice_unit(const struct notice *n, const struct st_unit *u)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_FREE char *words = because(n, u);
  if (!words)
    return true;
  bool restart = n->session->request->restart;
  const char *stays = st_unit_stays(u, n->own_group);
  if (!stays && !n->before && *u->fragment && access(u->fragment, F_OK) < 0)
    stays = "its unit file is gone, and it still runs";
  if (restart && !stays && !n->before && st_unit_restart(u, &err) < 0) {
    fprintf(stderr, "systracker: %s\n", st_error_text(&err));
    return false;
  }
  say(n, stays ? "leave" : restart ? "restart" : "affected", u, words, stays);
  return true;
}

static size_t notice_units(struct notice *n, struct st_error *err)
{
  ST_AUTO_UNITS units = {0};
  size_t failed = 0;
  if (st_units_ask(&units, err) < 0)
    return 1;
  n->own_group = st_units_own_group();
  find_owners(n);
  for (size_t i = 0; i < units.count; i++)
    failed += !notice_unit(n, &units.items[i]);
  fflush(stdout);
  return failed;
}

/* ---- When ------------------------------------------------------------------------------------ */

int st_notice_check(const struct st_session *s, struct st_error *err)
{
  if (!s->request->restart)
    return 0;
  if (!s->look->live_root)
    return st_refuse(err, "--restart is for the running system: in another root no service runs");
  if (!st_units_are_here())
    return st_refuse(err, "--restart needs systemd, which does not run this system");
  return 0;
}

static void begin(struct notice *n, struct st_session *s)
{
  *n = (struct notice){.session = s,
                       .changed = st_set_new(),
                       .packages = st_set_new(),
                       .owners = st_set_new(),
                       .began_usec = INT64_MAX};
}

static bool has_work(const struct notice *n)
{
  return n->paths.count + st_set_count(n->packages) > 0;
}

static bool is_for_us(const struct st_session *s)
{
  return s->look->live_root && st_units_are_here();
}

int st_notice_plan(struct st_session *s, const struct st_actions *actions,
                   const struct st_package_steps *steps, struct st_error *err)
{
  AUTO_NOTICE n;
  begin(&n, s);
  n.before = true;
  if (!is_for_us(s))
    return 0;
  take_actions(&n, actions);
  if (steps)
    take_steps(&n, steps);
  return has_work(&n) && notice_units(&n, err) > 0 ? -1 : 0;
}

/* The monotonic clock when it was that time by the other one. */
static int64_t monotonic_at(int64_t seconds)
{
  struct timespec now, since_boot;
  clock_gettime(CLOCK_REALTIME, &now);
  clock_gettime(CLOCK_MONOTONIC, &since_boot);
  return (int64_t)since_boot.tv_sec * 1000000 + since_boot.tv_nsec / 1000 -
         (now.tv_sec - seconds) * 1000000;
}

/* The packages that the phases before changed. */
static int take_phases(struct notice *n, const struct st_journal *j, struct st_error *err)
{
  ST_AUTO_JOURNAL phases = {0};
  if (j->part_of == 0)
    return 0;
  if (st_journal_read(n->session->look->store_dir, j->part_of, &phases, err) < 0)
    return -1;
  take_actions(n, &phases.actions);
  take_steps(n, &phases.packages);
  n->began_usec = monotonic_at(phases.time);
  return 0;
}

size_t st_notice_give(struct st_session *s, const struct st_journal *j)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  AUTO_NOTICE n;
  size_t failed = 0;
  begin(&n, s);
  if (!is_for_us(s))
    return 0;
  take_actions(&n, &j->actions);
  bool bad = take_phases(&n, j, &err) < 0;
  if (!bad && n.units && st_units_reload(&err) < 0)
    bad = true;
  if (!bad && has_work(&n))
    failed = notice_units(&n, &err);
  if (err.message)
    fprintf(stderr, "systracker: %s\n", st_error_text(&err));
  return failed + bad;
}
