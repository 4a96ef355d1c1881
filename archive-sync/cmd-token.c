/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-token.c - systracker-archive token DIR */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "archive-sync/access-verbs.h"

enum { OPT_RESTORE = 256, OPT_API, OPT_GROUP, OPT_USES, OPT_HOURS, OPT_URL, OPT_NO_DIGEST };

#define HOURS_MAX (24 * 3660)

struct options {
  const char *restore, *api, *group, *url;
  int64_t uses, hours; /* -1: not said */
  bool no_digest;
};

static const struct st_cli_option options[] = {
    {"restore", OPT_RESTORE, "HOST", "add: for one machine that takes up where this host ended"},
    {"api", OPT_API, "ROLE", "add: for programs; viewer, operator or admin"},
    {"group", OPT_GROUP, "GROUP", "add, with --api: for the hosts of this group alone"},
    {"uses", OPT_USES, "N", "add: how many hosts may join by it (any number)"},
    {"hours", OPT_HOURS, "N", "add: how long it is good (for ever; to restore 24)"},
    {"url", OPT_URL, "URL", "add: the server's address (https://NAME-IN-CERTIFICATE:7440)"},
    {"no-digest", OPT_NO_DIGEST, NULL, "add: the systems' authorities know the certificate"},
    {NULL, 0, NULL, NULL},
};

static int set_number(int64_t *ret, const char *value, int64_t most, struct st_error *err)
{
  if (st_parse_number(value, ret, err) < 0)
    return -1;
  return *ret >= 1 && *ret <= most
             ? 0
             : st_fail(err, 0, "not a number from 1 to %" PRId64 ": %s", most, value);
}

static int set_option(void *arg, int letter, const char *value, struct st_error *err)
{
  struct options *o = arg;
  switch (letter) {
  case OPT_RESTORE:
    o->restore = value;
    return 0;
  case OPT_API:
    o->api = value;
    return 0;
  case OPT_GROUP:
    o->group = value;
    return 0;
  case OPT_USES:
    return set_number(&o->uses, value, INT32_MAX, err);
  case OPT_HOURS:
    return set_number(&o->hours, value, HOURS_MAX, err);
  case OPT_URL:
    o->url = value;
    return 0;
  default:
    o->no_digest = true;
    return 0;
  }
}

static const struct st_cli_verb verb = {
    .program = "systracker-archive",
    .name = "token",
    .usage = "DIR [list | add [NAME] | revoke NAME]",
    .summary = "let hosts join or be restored, and programs ask",
    .options = options,
    .set = set_option,
};

/* ---- Listing ------------------------------------------------------------------------------------
 */

static const char *kind_of(const struct st_access_token *t)
{
  return t->kind == ST_TOKEN_API ? "api" : t->kind == ST_TOKEN_RESTORE ? "restore" : "join";
}

static void set_text(json_t *o, const char *name, const char *text)
{
  json_object_set_new(o, name, *text ? json_string(text) : json_null());
}

static json_t *token_json(const struct st_access_token *t)
{
  json_t *o = json_object();
  json_object_set_new(o, "name", json_string(t->name));
  json_object_set_new(o, "kind", json_string(kind_of(t)));
  json_object_set_new(o, "created", st_json_time(t->created));
  json_object_set_new(o, "expires", st_json_time(t->expires));
  json_object_set_new(o, "uses", t->uses >= 0 ? json_integer(t->uses) : json_null());
  json_object_set_new(o, "revoked", json_boolean(t->revoked));
  json_object_set_new(o, "role", t->role ? json_string(st_role_name(t->role)) : json_null());
  json_object_set_new(o, "by", st_json_text(t->by));
  set_text(o, "host", t->host);
  set_text(o, "used_by", t->bound);
  set_text(o, "group", t->group);
  return o;
}

static void print_token(const struct st_access_token *t)
{
  printf("%-16s %-8s", t->name, kind_of(t));
  if (t->role)
    printf(" %s", st_role_name(t->role));
  if (*t->group)
    printf(" of group %s", t->group);
  if (*t->host)
    printf(" of host %s", t->host);
  if (*t->bound)
    printf(", used by %s", t->bound);
  if (t->uses >= 0)
    printf(" %" PRId64 " uses left", t->uses);
  if (t->revoked)
    printf(", revoked");
  if (t->expires) {
    ST_AUTO_FREE char *time_text = st_format_time(t->expires);
    printf(", %s %s", t->expires <= time(NULL) ? "expired" : "expires", time_text);
  }
  putchar('\n');
}

static int list_token(void *arg, const struct st_access_token *t, struct st_error *err)
{
  const struct st_cli *cli = arg;
  (void)err;
  if (cli->json)
    return st_cli_json(token_json(t));
  print_token(t);
  return 0;
}

/* ---- Making -------------------------------------------------------------------------------------
 */

static int check_options(const struct options *o, struct st_error *err)
{
  if (o->restore && o->api)
    return st_fail(err, 0, "a token is to restore or for the API");
  if (o->uses >= 0 && (o->restore || o->api))
    return st_fail(err, 0, "--uses is for tokens to join by");
  if (o->group && !o->api)
    return st_fail(err, 0, "--group goes with --api");
  if (o->api && (o->url || o->no_digest))
    return st_fail(err, 0, "--url and --no-digest are for join strings");
  return 0;
}

static int fill(struct st_keeper *k, const struct options *o, const char *name,
                struct st_access_token *t, struct st_error *err)
{
  *t = (struct st_access_token){.kind = ST_TOKEN_JOIN, .uses = o->uses, .created = time(NULL)};
  snprintf(t->by, sizeof(t->by), "%s", k->by);
  if (o->hours > 0)
    t->expires = t->created + 3600 * o->hours;
  if ((name && strlen(name) >= sizeof(t->name)) ||
      (o->group && strlen(o->group) >= sizeof(t->group)))
    return st_fail(err, 0, "the name is too long");
  snprintf(t->name, sizeof(t->name), "%s", name ? name : "");
  snprintf(t->group, sizeof(t->group), "%s", o->group ? o->group : "");
  if (o->api) {
    t->kind = ST_TOKEN_API;
    if (!st_role_of(o->api, &t->role) || t->role == ST_ROLE_NONE)
      return st_fail(err, 0, "a role is viewer, operator or admin (%s)", st_quote(o->api));
  }
  if (o->restore) {
    t->kind = ST_TOKEN_RESTORE;
    return st_keeper_find_host(k, o->restore, t->host, err);
  }
  return 0;
}

/* On standard output alone, and this once. */
static int print_new(struct st_cli *cli, const struct st_access_token *t, const char *token,
                     const char *join)
{
  if (!cli->json) {
    printf("%s\n", join ? join : token);
    return ST_EXIT_OK;
  }
  json_t *o = json_object();
  json_object_set_new(o, "kind", json_string(kind_of(t)));
  json_object_set_new(o, "token", json_string(token));
  json_object_set_new(o, "join", join ? json_string(join) : json_null());
  st_cli_json(o);
  return ST_EXIT_OK;
}

static int add(struct st_cli *cli, struct st_keeper *k, const struct options *o, const char *name,
               struct st_error *err)
{
  struct st_access_token t;
  char token[ST_ACCESS_TOKEN_SIZE] = "";
  ST_CLEANUP(st_wipe_password) char *join = NULL;
  if (check_options(o, err) < 0 || fill(k, o, name, &t, err) < 0)
    return -1;
  /* What cannot be printed is not made. */
  if (!o->api && st_keeper_join_string(k, o->url, !o->no_digest, "", &join, err) < 0)
    return -1;
  st_wipe_password(&join);
  join = NULL;
  if (st_access_add_token(k->access, &t, t.created, token, err) < 0 ||
      (!o->api && st_keeper_join_string(k, o->url, !o->no_digest, token, &join, err) < 0))
    return -1;
  int r = print_new(cli, &t, token, join);
  explicit_bzero(token, sizeof(token));
  return r;
}

/* ---- The verb -----------------------------------------------------------------------------------
 */

static int act(struct st_cli *cli, struct st_keeper *k, const struct options *o, int count,
               char **args, struct st_error *err)
{
  const char *what = count > 0 ? args[0] : "list";
  if (strcmp(what, "list") == 0 && count <= 1)
    return st_access_tokens(k->access, list_token, cli, err) < 0 ? -1 : ST_EXIT_OK;
  if (strcmp(what, "add") == 0 && count <= 2)
    return add(cli, k, o, count > 1 ? args[1] : NULL, err);
  if (strcmp(what, "revoke") == 0 && count == 2)
    return st_access_revoke_token(k->access, args[1], err) < 0 ? -1 : ST_EXIT_OK;
  return st_fail(err, 0, "usage: systracker-archive token %s", verb.usage);
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  ST_AUTO_KEEPER k = {0};
  struct options o = {.uses = -1, .hours = -1};
  int first = st_cli_parse(cli, &verb, argc, argv, &o, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 1, 3, err) < 0 ||
      st_keeper_open(&k, argv[first], err) < 0)
    return -1;
  return act(cli, &k, &o, argc - first - 1, argv + first + 1, err);
}

const struct st_command archive_token = {&verb, run};
