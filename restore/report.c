/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/report.h"

#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/flags.h"
#include "systracker/base/text.h"
#include "systracker/base/xattr.h"

static const char *const action_words[] = {"delete",   "create", "replace",
                                           "metadata", "leave",  "cannot"};

static const struct {
  unsigned bit;
  const char *name;
} difference_names[] = {
    {ST_DIFFERS_TYPE, "type"},     {ST_DIFFERS_CONTENT, "content"}, {ST_DIFFERS_TARGET, "target"},
    {ST_DIFFERS_DEVICE, "device"}, {ST_DIFFERS_MODE, "mode"},       {ST_DIFFERS_OWNER, "owner"},
    {ST_DIFFERS_GROUP, "group"},   {ST_DIFFERS_TIME, "time"},       {ST_DIFFERS_XATTRS, "xattrs"},
    {ST_DIFFERS_FLAGS, "flags"},   {ST_DIFFERS_LINKS, "links"},     {ST_DIFFERS_HOLES, "holes"},
};

char *st_report_differences(unsigned differences)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  for (size_t i = 0; i < ST_COUNT(difference_names); i++) {
    if (differences & difference_names[i].bit)
      st_buffer_printf(&out, "%s%s", out.length ? ", " : "", difference_names[i].name);
  }
  return st_buffer_steal(&out, NULL);
}

/* ---- In words -------------------------------------------------------------------------------- */

static const char *type_name(char type)
{
  switch (type) {
  case 'f':
    return "file";
  case 'd':
    return "directory";
  case 'l':
    return "symlink";
  case 'c':
    return "character device";
  case 'b':
    return "block device";
  case 'p':
    return "named pipe";
  case 's':
    return "socket";
  default:
    return "nothing";
  }
}

static void say_account(struct st_buffer *out, const char *name, uint32_t id)
{
  if (name)
    st_escape(out, name, strlen(name));
  else
    st_buffer_printf(out, "%lu", (unsigned long)id);
}

static void say_state(struct st_buffer *out, const struct st_state *s)
{
  st_buffer_append_string(out, type_name(s->type));
  if (s->type != 'l' && (s->known & ST_KNOWN_MODE))
    st_buffer_printf(out, " %04o", s->mode);
  if (s->known & ST_KNOWN_OWNER) {
    st_buffer_append_byte(out, ' ');
    say_account(out, s->owner, s->uid);
    st_buffer_append_byte(out, ':');
    say_account(out, s->group, s->gid);
  }
  if (s->type == 'l' && s->target) {
    st_buffer_append_string(out, " to ");
    st_escape(out, s->target, strlen(s->target));
  }
  if (s->linked_to) {
    st_buffer_append_string(out, ", hard link with ");
    st_escape(out, s->linked_to, strlen(s->linked_to));
  }
}

static void say_link(struct st_buffer *out, const struct st_state *s)
{
  if (!s->links) {
    st_buffer_append_string(out, " none");
    return;
  }
  st_buffer_append_string(out, " with ");
  st_escape(out, s->links, strlen(s->links));
}

static void say_pair(struct st_buffer *out, unsigned bit, const struct st_state *a,
                     const struct st_state *b)
{
  switch (bit) {
  case ST_DIFFERS_TYPE:
    st_buffer_printf(out, " %s → %s", type_name(a->type), type_name(b->type));
    break;
  case ST_DIFFERS_TARGET:
    st_buffer_append_byte(out, ' ');
    st_escape(out, a->target, strlen(a->target));
    st_buffer_append_string(out, " → ");
    st_escape(out, b->target, strlen(b->target));
    break;
  case ST_DIFFERS_MODE:
    st_buffer_printf(out, " %04o → %04o", a->mode, b->mode);
    break;
  case ST_DIFFERS_OWNER:
  case ST_DIFFERS_GROUP: {
    bool user = bit == ST_DIFFERS_OWNER;
    st_buffer_append_byte(out, ' ');
    say_account(out, user ? a->owner : a->group, user ? a->uid : a->gid);
    st_buffer_append_string(out, " → ");
    say_account(out, user ? b->owner : b->group, user ? b->uid : b->gid);
    break;
  }
  case ST_DIFFERS_XATTRS:
    st_buffer_append_byte(out, ' ');
    st_xattrs_say(out, a->xattrs ? a->xattrs : "", a->xattrs_length, b->xattrs ? b->xattrs : "",
                  b->xattrs_length);
    break;
  case ST_DIFFERS_FLAGS:
    st_buffer_append_byte(out, ' ');
    st_flags_say(out, a->flags, b->flags);
    break;
  case ST_DIFFERS_LINKS:
    say_link(out, b);
    break;
  default:
    break;
  }
}

/* Links that are not tracked keep what is there now. */
static void say_broken(struct st_buffer *out, const struct st_action *a)
{
  uint64_t n = a->kind == ST_ACTION_REPLACE ? a->before.links_outside : 0;
  if (n > 0)
    st_buffer_printf(out, "; breaks %llu hard %s that %s outside of what is tracked",
                     (unsigned long long)n, n == 1 ? "link" : "links", n == 1 ? "leads" : "lead");
}

static void say_change(struct st_buffer *out, const struct st_action *a)
{
  unsigned d = st_state_differences(&a->before, &a->after);
  for (size_t i = 0; i < ST_COUNT(difference_names); i++) {
    if (!(d & difference_names[i].bit))
      continue;
    st_buffer_printf(out, "%s%s", out->length ? ", " : "", difference_names[i].name);
    say_pair(out, difference_names[i].bit, &a->before, &a->after);
  }
  say_broken(out, a);
}

static void say_action(struct st_buffer *out, const struct st_action *a)
{
  if (a->why)
    st_buffer_append_string(out, a->why);
  else if (a->kind == ST_ACTION_CREATE)
    say_state(out, &a->after);
  else if (a->kind == ST_ACTION_DELETE)
    st_buffer_append_string(out, type_name(a->before.type));
  else
    say_change(out, a);
}

/* ---- As JSON --------------------------------------------------------------------------------- */

static json_t *json_name(const char *name)
{
  return name ? st_json_bytes(name, strlen(name)) : json_null();
}

/* No digest and no size: a secret's say something of it. */
static json_t *json_state(const struct st_state *s)
{
  if (s->type == 0)
    return json_null();
  char type[2] = {s->type, 0};
  json_t *o = json_object();
  json_object_set_new(o, "type", json_string(type));
  if (s->known & ST_KNOWN_MODE) {
    ST_AUTO_FREE char *mode = st_format("%04o", s->mode);
    json_object_set_new(o, "mode", json_string(mode));
  }
  if (s->known & ST_KNOWN_OWNER) {
    json_object_set_new(o, "uid", json_integer(s->uid));
    json_object_set_new(o, "owner", json_name(s->owner));
  }
  if (s->known & ST_KNOWN_GROUP) {
    json_object_set_new(o, "gid", json_integer(s->gid));
    json_object_set_new(o, "group", json_name(s->group));
  }
  if (s->known & ST_KNOWN_TIME) {
    json_object_set_new(o, "mtime", json_integer(s->mtime));
    json_object_set_new(o, "mtime_nsec", json_integer(s->mtime_nsec));
  }
  if (s->target)
    json_object_set_new(o, "target", json_name(s->target));
  if (s->known & ST_KNOWN_XATTRS)
    json_object_set_new(o, "xattrs", st_xattrs_json(s->xattrs ? s->xattrs : "", s->xattrs_length));
  if (s->known & ST_KNOWN_FLAGS)
    json_object_set_new(o, "flags", st_flags_json(s->flags));
  if (s->known & ST_KNOWN_LINKS) {
    json_object_set_new(o, "link_group", json_name(s->links));
    json_object_set_new(o, "links_outside", json_integer((json_int_t)s->links_outside));
  }
  return o;
}

static json_t *json_differences(unsigned d)
{
  json_t *list = json_array();
  for (size_t i = 0; i < ST_COUNT(difference_names); i++) {
    if (d & difference_names[i].bit)
      json_array_append_new(list, json_string(difference_names[i].name));
  }
  return list;
}

static void print_action_json(const struct st_action *a)
{
  json_t *o = json_object();
  json_object_set_new(o, "action", json_string(action_words[a->kind]));
  json_object_set_new(o, "path", st_json_path(a->path));
  if (a->why)
    json_object_set_new(o, "why", st_json_words(a->why));
  json_object_set_new(o, "differs", json_differences(st_state_differences(&a->before, &a->after)));
  json_object_set_new(o, "before", json_state(&a->before));
  json_object_set_new(o, "after", json_state(&a->after));
  st_cli_json(o);
}

/* ---- The plan -------------------------------------------------------------------------------- */

static void print_action(const struct st_cli *cli, const struct st_action *a)
{
  if (cli->json) {
    print_action_json(a);
    return;
  }
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  say_action(&words, a);
  printf("%-8s %s  (%s)\n", action_words[a->kind], st_quote(a->path), words.data ? words.data : "");
}

static void print_item(const struct st_cli *cli, const char *action, const struct st_plan_item *i)
{
  if (!cli->json) {
    printf("%-8s %s: %s\n", action, i->plugin, i->words);
    return;
  }
  json_t *o = json_object();
  json_object_set_new(o, "action", json_string(action));
  json_object_set_new(o, "plugin", json_string(i->plugin));
  json_object_set_new(o, "words", st_json_words(i->words));
  st_cli_json(o);
}

/* Said apart as well: whoever has it done by a script does not read the plan. */
static void warn_of_links(const struct st_actions *actions)
{
  uint64_t n = 0;
  for (size_t i = 0; i < actions->count; i++) {
    const struct st_action *a = actions->items[i];
    n += a->kind == ST_ACTION_REPLACE && a->before.links_outside > 0;
  }
  if (n > 0)
    fprintf(stderr,
            "systracker: %llu %s hard links outside of what is tracked, which keep what is there "
            "now\n",
            (unsigned long long)n,
            n == 1 ? "path that is replaced has" : "paths that are replaced have");
}

void st_report_plan(const struct st_cli *cli, const struct st_actions *actions,
                    const struct st_plan *plugins, const struct st_plan *packages, bool changed)
{
  warn_of_links(actions);
  if (cli->quiet)
    return;
  for (size_t i = 0; i < actions->count; i++)
    print_action(cli, actions->items[i]);
  for (size_t i = 0; plugins && i < plugins->count; i++)
    print_item(cli, plugins->items[i].possible ? "apply" : "leave", &plugins->items[i]);
  for (size_t i = 0; packages && i < packages->count; i++)
    print_item(cli, changed && packages->items[i].possible ? "apply" : "keep", &packages->items[i]);
  fflush(stdout);
}

static void print_step_json(const struct st_package_step *s)
{
  json_t *o = json_object();
  json_object_set_new(o, "action", json_string(st_package_step_verb(s)));
  json_object_set_new(o, "package", st_json_words(s->name));
  json_object_set_new(o, "architecture", st_json_words(s->architecture));
  json_object_set_new(o, "before", *s->before ? st_json_words(s->before) : json_null());
  json_object_set_new(o, "after", *s->after ? st_json_words(s->after) : json_null());
  if (st_package_source_word(s))
    json_object_set_new(o, "file", json_string(st_package_source_word(s)));
  st_cli_json(o);
}

void st_report_packages(const struct st_cli *cli, const struct st_package_steps *steps, bool needed)
{
  if (cli->quiet)
    return;
  for (size_t i = 0; i < steps->count; i++) {
    if (steps->items[i].optional != needed || !st_package_step_counts(&steps->items[i]))
      continue;
    ST_AUTO_FREE char *words = st_package_step_words(&steps->items[i]);
    if (cli->json)
      print_step_json(&steps->items[i]);
    else
      printf("%s\n", words);
  }
  fflush(stdout);
}

/* ---- The sum --------------------------------------------------------------------------------- */

void st_report_sum_up(struct st_report_sum *sum, const struct st_actions *actions)
{
  sum->created += st_actions_count(actions, ST_ACTION_CREATE);
  sum->replaced += st_actions_count(actions, ST_ACTION_REPLACE);
  sum->metadata += st_actions_count(actions, ST_ACTION_METADATA);
  sum->deleted += st_actions_count(actions, ST_ACTION_DELETE);
  sum->cannot += st_actions_count(actions, ST_ACTION_CANNOT);
  sum->left += actions->left;
}

static void print_summary_json(const struct st_report_sum *s)
{
  json_t *o = json_object();
  json_object_set_new(o, "summary", json_true());
  json_object_set_new(o, "dry_run", json_boolean(s->dry_run));
  json_object_set_new(o, "packages", json_integer((json_int_t)s->packages));
  json_object_set_new(o, "created", json_integer((json_int_t)s->created));
  json_object_set_new(o, "replaced", json_integer((json_int_t)s->replaced));
  json_object_set_new(o, "metadata", json_integer((json_int_t)s->metadata));
  json_object_set_new(o, "deleted", json_integer((json_int_t)s->deleted));
  json_object_set_new(o, "not_restored", json_integer((json_int_t)s->cannot));
  json_object_set_new(o, "left", json_integer((json_int_t)s->left));
  st_cli_json(o);
}

void st_report_summary(const struct st_cli *cli, const struct st_report_sum *s)
{
  if (cli->quiet)
    return;
  if (cli->json) {
    print_summary_json(s);
    return;
  }
  if (s->packages + s->created + s->replaced + s->metadata + s->deleted == 0)
    printf("nothing to restore");
  else if (s->packages > 0)
    printf("%s%zu packages, ", s->dry_run ? "would be: " : "", s->packages);
  if (s->packages + s->created + s->replaced + s->metadata + s->deleted > 0)
    printf("%s%zu created, %zu replaced, %zu metadata, %zu deleted",
           s->dry_run && s->packages == 0 ? "would be: " : "", s->created, s->replaced, s->metadata,
           s->deleted);
  if (s->cannot > 0)
    printf("; %zu cannot be restored", s->cannot);
  if (s->left > 0)
    printf("; %zu newer left (--exact deletes them)", s->left);
  printf("\n");
}

/* ---- Journals -------------------------------------------------------------------------------- */

static void print_journal_json(const struct st_journal *j)
{
  ST_AUTO_FREE char *when = st_format_time_utc(j->time);
  json_t *o = json_object();
  json_object_set_new(o, "journal", json_integer(j->number));
  json_object_set_new(o, "time", json_string(when));
  json_object_set_new(o, "state", json_string(st_journal_state_name(j->state)));
  json_object_set_new(o, "checkpoint", j->checkpoint ? json_integer(j->checkpoint) : json_null());
  json_object_set_new(o, "undoes", j->undoes ? json_integer(j->undoes) : json_null());
  json_object_set_new(o, "undoable", json_boolean(j->undoable));
  json_object_set_new(o, "part_of", j->part_of ? json_integer(j->part_of) : json_null());
  json_object_set_new(o, "before", j->before ? json_integer(j->before) : json_null());
  json_object_set_new(o, "packages", json_integer((json_int_t)j->packages.count));
  json_object_set_new(o, "inodes", json_integer((json_int_t)st_moves_count(&j->moves)));
  json_object_set_new(o, "actions", json_integer((json_int_t)j->actions.count));
  json_object_set_new(o, "done", json_integer(j->done));
  st_cli_json(o);
}

void st_report_journal(const struct st_cli *cli, const struct st_journal *j)
{
  if (cli->json) {
    print_journal_json(j);
    return;
  }
  ST_AUTO_FREE char *when = st_format_time(j->time);
  ST_AUTO_FREE char *what = j->undoes
                                ? st_format("undo of %lld", (long long)j->undoes)
                                : st_format("restore of checkpoint %lld", (long long)j->checkpoint);
  bool phases = j->kind == ST_JOURNAL_PHASES, packages = j->packages.count > 0;
  printf("%lld  %s  %s%s: %s", (long long)j->number, when, what,
         !phases    ? ""
         : packages ? ", packages"
                    : ", accounts",
         st_journal_state_name(j->state));
  if (j->state == ST_JOURNAL_APPLYING && !phases)
    printf(", %lld of %zu done", (long long)j->done, j->actions.count);
  else if (phases && packages)
    printf(", %zu packages", j->packages.count);
  else if (!phases)
    printf(", %zu actions", j->actions.count);
  if (j->moves.count > 0)
    printf(", %zu inodes", st_moves_count(&j->moves));
  printf("%s\n", j->undoable ? "" : ", cannot be undone");
}
