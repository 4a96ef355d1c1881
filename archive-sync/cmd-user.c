/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-user.c - systracker-archive user DIR */
#include <string.h>

#include "archive-sync/access-verbs.h"

enum { OPT_ROLE = 256 };

static const struct st_cli_option options[] = {
    {"role", OPT_ROLE, "ROLE", "add: none, viewer, operator or admin, of all hosts (none)"},
    {NULL, 0, NULL, NULL},
};

static int role_of(const char *text, enum st_role *ret, struct st_error *err)
{
  return st_role_of(text, ret)
             ? 0
             : st_fail(err, 0, "a role is none, viewer, operator or admin (%s)", st_quote(text));
}

static int set_option(void *arg, int letter, const char *value, struct st_error *err)
{
  (void)letter;
  return role_of(value, arg, err);
}

static const struct st_cli_verb verb = {
    .program = "systracker-archive",
    .name = "user",
    .usage = "DIR [list | add NAME | password NAME | role NAME ROLE | remove NAME]",
    .summary = "the people who may look at it, or look after it",
    .options = options,
    .set = set_option,
};

static int list_user(void *arg, const struct st_access_user *u, struct st_error *err)
{
  const struct st_cli *cli = arg;
  (void)err;
  if (!cli->json) {
    printf("%-24s %s\n", u->name, st_role_name(u->role));
    return 0;
  }
  json_t *o = json_object();
  json_object_set_new(o, "user", json_string(u->name));
  json_object_set_new(o, "role", json_string(st_role_name(u->role)));
  json_object_set_new(o, "created", st_json_time(u->created));
  return st_cli_json(o);
}

static int with_password(struct st_keeper *k, const char *name, const enum st_role *role,
                         struct st_error *err)
{
  ST_CLEANUP(st_wipe_password) char *password = NULL;
  if (st_read_password(name, &password, err) < 0)
    return -1;
  return role ? st_access_add_user(k->access, name, *role, password, err)
              : st_access_set_password(k->access, name, password, err);
}

static int act(struct st_cli *cli, struct st_keeper *k, enum st_role role, int count, char **args,
               struct st_error *err)
{
  const char *what = count > 0 ? args[0] : "list";
  if (strcmp(what, "list") == 0 && count <= 1)
    return st_access_users(k->access, list_user, cli, err);
  if (strcmp(what, "add") == 0 && count == 2)
    return with_password(k, args[1], &role, err);
  if (strcmp(what, "password") == 0 && count == 2)
    return with_password(k, args[1], NULL, err);
  if (strcmp(what, "role") == 0 && count == 3)
    return role_of(args[2], &role, err) < 0 ? -1
                                            : st_access_set_role(k->access, args[1], role, err);
  if (strcmp(what, "remove") == 0 && count == 2)
    return st_access_remove_user(k->access, args[1], err);
  return st_fail(err, 0, "usage: systracker-archive user %s", verb.usage);
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  ST_AUTO_KEEPER k = {0};
  enum st_role role = ST_ROLE_NONE;
  int first = st_cli_parse(cli, &verb, argc, argv, &role, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 1, 4, err) < 0 ||
      st_keeper_open(&k, argv[first], err) < 0)
    return -1;
  return act(cli, &k, role, argc - first - 1, argv + first + 1, err) < 0 ? -1 : ST_EXIT_OK;
}

const struct st_command archive_user = {&verb, run};
