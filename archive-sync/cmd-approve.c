/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-approve.c - systracker-archive approve, deny and enrolment: which hosts are let in. */
#include <inttypes.h>
#include <string.h>

#include "archive-sync/access-verbs.h"

static const struct st_cli_verb approve_verb = {
    .program = "systracker-archive",
    .name = "approve",
    .usage = "DIR [HOST...]",
    .summary = "let hosts in that wait for it; without HOST they are listed",
};
static const struct st_cli_verb deny_verb = {
    .program = "systracker-archive",
    .name = "deny",
    .usage = "DIR HOST...",
    .summary = "let hosts in no more; what they sent stays",
};
static const struct st_cli_verb enrolment_verb = {
    .program = "systracker-archive",
    .name = "enrolment",
    .usage = "DIR [token | open | closed]",
    .summary = "which new hosts are let in: with a token, all, or after approval",
};

static int list_pending(void *arg, const struct st_access_host *h, struct st_error *err)
{
  const struct st_cli *cli = arg;
  (void)err;
  if (!cli->json) {
    ST_AUTO_FREE char *since = st_format_time(h->since);
    ST_AUTO_FREE char *size = st_format_size((uint64_t)h->bytes);
    printf("%s  asked first %s from %s, sent %s\n", h->id, since, st_quote(h->address), size);
    return 0;
  }
  json_t *o = json_object();
  json_object_set_new(o, "host", json_string(h->id));
  json_object_set_new(o, "state", json_string(st_host_state_name(h->state)));
  json_object_set_new(o, "since", st_json_time(h->since));
  json_object_set_new(o, "address", st_json_text(h->address));
  json_object_set_new(o, "sent_bytes", json_integer(h->bytes));
  return st_cli_json(o);
}

static int open_verb(struct st_cli *cli, const struct st_cli_verb *verb, int argc, char **argv,
                     int least, int most, struct st_keeper *k, struct st_error *err)
{
  int first = st_cli_parse(cli, verb, argc, argv, NULL, NULL, err);
  if (first < 0 || st_cli_operands(verb, argc - first, least, most, err) < 0 ||
      st_keeper_open(k, argv[first], err) < 0)
    return -1;
  return first + 1;
}

static int run_approve(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  ST_AUTO_KEEPER k = {0};
  int first = open_verb(cli, &approve_verb, argc, argv, 1, -1, &k, err);
  if (first < 0)
    return -1;
  if (first == argc && st_access_hosts(k.access, ST_HOST_PENDING, list_pending, cli, err) < 0)
    return -1;
  for (int i = first; i < argc; i++) {
    char id[ST_HOST_ID_SIZE];
    if (st_keeper_find_host(&k, argv[i], id, err) < 0 ||
        st_access_approve(k.access, id, k.by, err) < 0)
      return -1;
  }
  return ST_EXIT_OK;
}

static int run_deny(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  ST_AUTO_KEEPER k = {0};
  int first = open_verb(cli, &deny_verb, argc, argv, 2, -1, &k, err);
  for (int i = first; first >= 0 && i < argc; i++) {
    char id[ST_HOST_ID_SIZE];
    if (st_keeper_find_host(&k, argv[i], id, err) < 0 ||
        st_access_deny(k.access, id, k.by, err) < 0)
      return -1;
  }
  return first < 0 ? -1 : ST_EXIT_OK;
}

static int run_enrolment(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  ST_AUTO_KEEPER k = {0};
  enum st_enrolment e;
  int first = open_verb(cli, &enrolment_verb, argc, argv, 1, 2, &k, err);
  if (first < 0)
    return -1;
  if (first < argc) {
    if (!st_enrolment_of(argv[first], &e))
      return st_fail(err, 0, "usage: systracker-archive enrolment %s", enrolment_verb.usage);
    return st_access_set_enrolment(k.access, e, err) < 0 ? -1 : ST_EXIT_OK;
  }
  const char *name = st_enrolment_name(st_access_enrolment(k.access));
  if (!cli->json) {
    printf("%s\n", name);
    return ST_EXIT_OK;
  }
  json_t *o = json_object();
  json_object_set_new(o, "enrolment", json_string(name));
  st_cli_json(o);
  return ST_EXIT_OK;
}

const struct st_command archive_approve = {&approve_verb, run_approve};
const struct st_command archive_deny = {&deny_verb, run_deny};
const struct st_command archive_enrolment = {&enrolment_verb, run_enrolment};
