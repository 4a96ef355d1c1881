/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/repairs.h"

#include <string.h>

#include "restore/packages.h"
#include "restore/tools.h"
#include "systracker/base/escape.h"

#define AT_ONCE 200 /* paths a call: they have to fit into the arguments */

/* What a wish for content that nobody kept comes to. */
static bool lacks_content(const struct st_action *a)
{
  return a->kind == ST_ACTION_CANNOT && a->after.type == 'f' && !a->after.kept && !a->after.locked;
}

/* dpkg takes patterns, and answers in lines. */
static bool is_plain(const char *path)
{
  return !strpbrk(path, "*?[]\\\n");
}

/* Where /usr is merged, a package may know /usr/bin/x as /bin/x. */
static const char *other_name(const char *path)
{
  static const char *const folders[] = {"/bin/",   "/sbin/",  "/lib/",
                                        "/lib32/", "/lib64/", "/libx32/"};
  if (strncmp(path, "/usr/", 5) != 0)
    return NULL;
  for (size_t i = 0; i < ST_COUNT(folders); i++) {
    if (strncmp(path + 4, folders[i], strlen(folders[i])) == 0)
      return path + 4;
  }
  return NULL;
}

/* ---- Owners ---------------------------------------------------------------------------------- */

/* "NAME[:ARCH], NAME[:ARCH]: /path"; other lines speak of diversions. */
static void take_owners(char *line, struct st_strings *owners)
{
  char *path = strstr(line, ": /");
  if (!path || strncmp(line, "diversion by ", 13) == 0)
    return;
  *path = 0;
  for (char *rest = NULL, *name = strtok_r(line, ", ", &rest); name;
       name = strtok_r(NULL, ", ", &rest)) {
    if (!st_strings_has(owners, name))
      st_strings_add(owners, name);
  }
}

/* Its status says that some of the paths are nobody's. */
static int ask_owners(struct st_tracker *t, const struct st_strings *paths, size_t from,
                      struct st_strings *owners, struct st_error *err)
{
  ST_AUTO_STRINGS words = {0};
  ST_AUTO_FREE char *said = NULL;
  size_t length;
  st_tools_add(&words, (const char *const[]){"dpkg-query", "--search", NULL});
  for (size_t i = from; i < paths->count && i < from + AT_ONCE; i++)
    st_strings_add(&words, paths->items[i]);
  int status = st_tools_run(t, &words, &said, &length, err);
  if (status < 0)
    return -1;
  for (char *rest = NULL, *line = strtok_r(said, "\n", &rest); line;
       line = strtok_r(NULL, "\n", &rest))
    take_owners(line, owners);
  return 0;
}

/* ---- Packages -------------------------------------------------------------------------------- */

static const struct st_package_fact *find_fact(const struct st_package_facts *f, const char *name,
                                               const char *architecture)
{
  for (size_t i = 0; i < f->count; i++) {
    const struct st_package_fact *p = &f->items[i];
    if (strcmp(p->name, name) == 0 && (!architecture || strcmp(p->architecture, architecture) == 0))
      return p;
  }
  return NULL;
}

static bool is_step(const struct st_package_steps *steps, const struct st_package_fact *p)
{
  for (size_t i = 0; i < steps->count; i++) {
    if (steps->items[i].manager == ST_DPKG && strcmp(steps->items[i].name, p->name) == 0 &&
        strcmp(steps->items[i].architecture, p->architecture) == 0)
      return true;
  }
  return false;
}

/* "??5??????   /bin/x", "missing   c /etc/x": the path is what begins with a slash. */
static bool is_said(const char *said, const char *path)
{
  size_t n = strlen(path);
  for (const char *at = said; (at = strstr(at, path)); at += n) {
    if (at > said && at[-1] == ' ' && (at[n] == '\n' || at[n] == ' ' || !at[n]))
      return true;
  }
  return false;
}

/* Whether dpkg finds one of the paths changed or missing: then installing again helps. */
static int is_broken(struct st_tracker *t, const char *owner, const struct st_strings *paths,
                     struct st_error *err)
{
  ST_AUTO_STRINGS words = {0};
  ST_AUTO_FREE char *said = NULL;
  size_t length;
  st_tools_add(&words, (const char *const[]){"dpkg", "--verify", owner, NULL});
  if (st_tools_run(t, &words, &said, &length, err) < 0)
    return -1;
  for (size_t i = 0; i < paths->count; i++) {
    if (is_said(said, paths->items[i]))
      return 1;
  }
  return 0;
}

struct repair {
  struct st_tracker *t;
  struct st_package_facts *target, *live;
  const struct st_packages *kept;
  const struct st_strings *paths;
  struct st_package_steps *steps;
};

static int add_repair(const struct repair *r, const char *owner, struct st_error *err)
{
  ST_AUTO_FREE char *name = st_strdup(owner);
  char *architecture = strchr(name, ':');
  if (architecture)
    *architecture++ = 0;
  const struct st_package_fact *now = find_fact(r->live, name, architecture);
  const struct st_package_fact *then = now ? find_fact(r->target, name, now->architecture) : NULL;
  if (!then || strcmp(now->version, then->version) != 0 || is_step(r->steps, now) ||
      !st_packages_find(r->kept, name, now->version, now->architecture))
    return 0;
  int broken = is_broken(r->t, owner, r->paths, err);
  if (broken <= 0)
    return broken;
  struct st_package_step step = {.kind = ST_PACKAGE_REPAIR,
                                 .name = now->name,
                                 .architecture = now->architecture,
                                 .before = now->version,
                                 .after = now->version,
                                 .installed = true};
  if (st_package_step_valid(&step))
    st_package_steps_add(r->steps, &step);
  return 0;
}

static int find(struct st_tracker *t, int64_t checkpoint, const struct st_strings *paths,
                struct st_package_steps *steps, struct st_error *err)
{
  ST_AUTO_PACKAGE_FACTS target = {0}, live = {0};
  ST_AUTO_STRINGS owners = {0};
  ST_CLEANUP(st_packages_closep) struct st_packages *kept = NULL;
  for (size_t i = 0; i < paths->count; i += AT_ONCE) {
    if (ask_owners(t, paths, i, &owners, err) < 0)
      return -1;
  }
  if (owners.count == 0)
    return 0;
  if (st_package_facts_read(t, checkpoint, ST_DPKG, &target, err) < 0 ||
      st_package_facts_read(t, ST_LIVE, ST_DPKG, &live, err) < 0 ||
      st_packages_open(&kept, t->store_dir, err) < 0)
    return -1;
  const struct repair r = {t, &target, &live, kept, paths, steps};
  for (size_t i = 0; i < owners.count; i++) {
    if (add_repair(&r, owners.items[i], err) < 0)
      return -1;
  }
  return 0;
}

void st_repairs_find(struct st_tracker *t, int64_t checkpoint, const struct st_actions *actions,
                     struct st_package_steps *steps)
{
  ST_AUTO_STRINGS paths = {0};
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  for (size_t i = 0; i < actions->count; i++) {
    const char *path = actions->items[i]->path;
    if (!lacks_content(actions->items[i]) || !is_plain(path))
      continue;
    st_strings_add(&paths, path);
    if (other_name(path))
      st_strings_add(&paths, other_name(path));
  }
  if (paths.count == 0 || !st_catalog_table(t->catalog, "dpkg_track_package"))
    return;
  /* A root whose dpkg cannot be asked is restored without. */
  if (find(t, checkpoint, &paths, steps, &why) < 0)
    fprintf(stderr, "systracker: no package is installed again: %s\n", st_error_text(&why));
}

/* ---- What undo would miss -------------------------------------------------------------------- */

struct losses {
  const struct st_actions *actions;
  struct st_strings *refusals;
};

static bool loses(const struct st_actions *actions, const char *path)
{
  for (size_t i = 0; i < actions->count; i++) {
    const struct st_action *a = actions->items[i];
    if (strcmp(a->path, path) == 0)
      return a->before.type == 'f' && a->kind != ST_ACTION_METADATA && a->kind != ST_ACTION_NOTE;
  }
  return false;
}

/* Columns path, why, object. */
static int find_loss(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  const struct losses *l = arg;
  const struct st_value *why = &fact->values[1];
  static const char changed[] = "not as packaged";
  if (fact->table->declaration.ncolumns < 3 || fact->values[2].type == ST_ID ||
      why->type != ST_TEXT || why->u.bytes.length != sizeof(changed) - 1 ||
      memcmp(why->u.bytes.data, changed, sizeof(changed) - 1) != 0)
    return 0;
  ST_AUTO_FREE char *path = st_memdup(fact->values[0].u.bytes.data, fact->values[0].u.bytes.length);
  if (loses(l->actions, path))
    st_strings_take(l->refusals,
                    st_format("%s: it is not as packaged, and too large to be kept, so undo could "
                              "not bring it back: --no-undo goes on without, or a larger max_size "
                              "of %s keeps it",
                              st_quote(path), fact->table->plugin));
  return 0;
}

int st_repairs_lost(struct st_tracker *t, const struct st_actions *actions,
                    struct st_strings *refusals, struct st_error *err)
{
  static const char *const tables[] = {"dpkg_track_deviation", "rpm_track_deviation"};
  struct losses l = {actions, refusals};
  int r = 0;
  for (size_t i = 0; i < ST_COUNT(tables) && r == 0; i++) {
    const struct st_catalog_table *table = st_catalog_table(t->catalog, tables[i]);
    r = table ? st_catalog_each(t->catalog, ST_LIVE, table, NULL, find_loss, &l, err) : 0;
  }
  return r < 0 ? -1 : 0;
}
