/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-group.c - systracker-archive group DIR */
#include <string.h>

#include "archive-sync/access-verbs.h"

static const struct st_cli_verb verb = {
    .program = "systracker-archive",
    .name = "group",
    .usage = "DIR [ACTION [ARGUMENT...]]",
    .summary = "groups of hosts, with viewers and operators of their own",
};

static int list_member(void *arg, const struct st_access_member *m, struct st_error *err)
{
  const struct st_cli *cli = arg;
  (void)err;
  if (!cli->json) {
    if (m->host)
      printf("  host %s\n", m->host);
    else if (m->user)
      printf("  %s %s\n", st_role_name(m->role), m->user);
    else
      printf("%s\n", m->group);
    return 0;
  }
  json_t *o = json_object();
  json_object_set_new(o, "group", json_string(m->group));
  json_object_set_new(o, "host", m->host ? json_string(m->host) : json_null());
  json_object_set_new(o, "user", m->user ? json_string(m->user) : json_null());
  json_object_set_new(o, "role", m->user ? json_string(st_role_name(m->role)) : json_null());
  return st_cli_json(o);
}

static int change_hosts(struct st_keeper *k, const char *group, int count, char **hosts, bool in,
                        struct st_error *err)
{
  for (int i = 0; i < count; i++) {
    char id[ST_HOST_ID_SIZE];
    if (st_keeper_find_host(k, hosts[i], id, err) < 0 ||
        st_access_group_host(k->access, group, id, in, err) < 0)
      return -1;
  }
  return 0;
}

static int set_role(struct st_keeper *k, char **args, struct st_error *err)
{
  enum st_role role;
  if (!st_role_of(args[3], &role))
    return st_fail(err, 0, "of a group one is viewer, operator or none (%s)", st_quote(args[3]));
  return st_access_group_user(k->access, args[1], args[2], role, err);
}

static int act(struct st_cli *cli, struct st_keeper *k, int count, char **args,
               struct st_error *err)
{
  const char *what = count > 0 ? args[0] : "list";
  if (strcmp(what, "list") == 0 && count <= 1)
    return st_access_groups(k->access, list_member, cli, err);
  if (strcmp(what, "add") == 0 && count == 2)
    return st_access_add_group(k->access, args[1], err);
  if (strcmp(what, "remove") == 0 && count == 2)
    return st_access_remove_group(k->access, args[1], err);
  if (strcmp(what, "add-host") == 0 && count >= 3)
    return change_hosts(k, args[1], count - 2, args + 2, true, err);
  if (strcmp(what, "remove-host") == 0 && count >= 3)
    return change_hosts(k, args[1], count - 2, args + 2, false, err);
  if (strcmp(what, "role") == 0 && count == 4)
    return set_role(k, args, err);
  return st_fail(err, 0,
                 "usage: systracker-archive group DIR [list | add GROUP | remove GROUP | add-host "
                 "GROUP HOST... | remove-host GROUP HOST... | role GROUP USER ROLE]");
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  ST_AUTO_KEEPER k = {0};
  int first = st_cli_parse(cli, &verb, argc, argv, NULL, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 1, -1, err) < 0 ||
      st_keeper_open(&k, argv[first], err) < 0)
    return -1;
  return act(cli, &k, argc - first - 1, argv + first + 1, err) < 0 ? -1 : ST_EXIT_OK;
}

const struct st_command archive_group = {&verb, run};
