/* SPDX-License-Identifier: GPL-2.0-or-later */
/* systracker-archive - an archive in a directory, looked at and looked after on the spot. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <string.h>

#include "archive-sync/administer.h"
#include "systracker/base/file.h"
#include "systracker/base/log.h"
#include "systracker/base/process.h"
#include "systracker/commands/command.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

/* Verbs of systracker that look at one host work on one of the archive too. */
static const struct st_command *const host_verbs[] = {&cmd_log, &cmd_show, &cmd_diff, &cmd_cat};

static const struct {
  const char *name, *summary;
  int (*run)(struct st_cli *cli, const char *dir, struct st_error *err);
} verbs[] = {
    {"hosts", "the hosts that have sent checkpoints", st_administer_hosts},
    {"verify", "read the whole archive again, and name what is damaged", st_administer_verify},
    {"gc", "remove what no checkpoint of any host needs", st_administer_gc},
};

/* Verbs that have options of their own. */
static const struct st_command *const own_verbs[] = {
    &archive_init,  &archive_backup,    &archive_policy, &archive_prune,
    &archive_serve, &archive_enrolment, &archive_token,  &archive_approve,
    &archive_deny,  &archive_user,      &archive_group,  &archive_recovery,
};

#define HANGING "                              "

static void print_help(void)
{
  printf("usage: systracker-archive [OPTION...] VERB DIR [HOST [ARGUMENT...]]\n"
         "Looks at and after an archive of many hosts in a directory.\n\nVerbs:\n");
  for (size_t i = 0; i < ST_COUNT(verbs); i++)
    printf("  %-7s DIR                 %s\n", verbs[i].name, verbs[i].summary);
  for (size_t i = 0; i < ST_COUNT(own_verbs); i++) {
    const struct st_cli_verb *v = own_verbs[i]->verb;
    bool wide = strlen(v->usage) > 19;
    printf("  %-7s %-*s%s%s\n", v->name, wide ? 0 : 20, v->usage, wide ? "\n" HANGING : "",
           v->summary);
  }
  for (size_t i = 0; i < ST_COUNT(host_verbs); i++) {
    const struct st_cli_verb *v = host_verbs[i]->verb;
    printf("  %-7s DIR HOST [ARGUMENT]  %s\n", v->name, v->summary);
  }
  printf("\nHOST is an id, four or more digits that it begins with, or a host name;\n"
         "ID/epoch-N is an older epoch.\n"
         "Options:\n  --json   print one JSON object a line\n"
         "  --quiet  print nothing but errors and what was asked for\n"
         "  --help, --version\n");
}

/* A log ends with the epoch: of what came before, in another one, it says where that is. */
static void tell_epochs(struct st_archive *a, const char *host)
{
  ST_AUTO_STRINGS epochs = {0};
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  if (strchr(host, '/') || st_archive_epochs(a, host, &epochs, &ignored) < 0 || epochs.count == 0)
    return;
  fflush(stdout);
  fprintf(stderr, "systracker: this host was set back; what it had sent before is there as");
  for (size_t i = 0; i < epochs.count; i++)
    fprintf(stderr, "%s %s/epoch-%s", i ? "," : "", host, epochs.items[i]);
  fputc('\n', stderr);
}

static int run_host_verb(struct st_cli *cli, const struct st_command *command, int argc,
                         char **argv, struct st_error *err)
{
  ST_AUTO_ARCHIVE *a = NULL;
  ST_AUTO_FREE char *host = NULL;
  if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
    return command->run(cli, argc, argv, err); /* prints it, and ends */
  if (argc < 3)
    return st_fail(err, 0, "usage: systracker-archive %s DIR HOST [ARGUMENT...]", argv[0]);
  if (st_archive_open(&a, argv[1], true, err) < 0 ||
      st_archive_objects(a, ST_STORE_READ, NULL, err) < 0 ||
      st_archive_find_host(a, argv[2], &host, err) < 0)
    return -1;
  cli->tracker.archive = a->path;
  cli->tracker.host = host;
  argv[2] = argv[0];
  int status = command->run(cli, argc - 2, argv + 2, err);
  if (status >= 0 && command == &cmd_log && !cli->quiet)
    tell_epochs(a, host);
  return status;
}

/* Only --json, --quiet and --help stand behind these. */
static int run_verb(struct st_cli *cli, size_t which, int argc, char **argv, struct st_error *err)
{
  const struct st_cli_verb verb = {.name = verbs[which].name,
                                   .usage = "DIR",
                                   .summary = verbs[which].summary,
                                   .program = "systracker-archive"};
  int first = st_cli_parse(cli, &verb, argc, argv, NULL, NULL, err);
  if (first < 0)
    return -1;
  if (argc - first != 1)
    return st_fail(err, 0, "usage: systracker-archive %s DIR", verb.name);
  return verbs[which].run(cli, argv[first], err);
}

static int dispatch(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  for (size_t i = 0; i < ST_COUNT(verbs); i++)
    if (strcmp(argv[0], verbs[i].name) == 0)
      return run_verb(cli, i, argc, argv, err);
  for (size_t i = 0; i < ST_COUNT(own_verbs); i++)
    if (strcmp(argv[0], own_verbs[i]->verb->name) == 0)
      return own_verbs[i]->run(cli, argc, argv, err);
  for (size_t i = 0; i < ST_COUNT(host_verbs); i++)
    if (strcmp(argv[0], host_verbs[i]->verb->name) == 0)
      return run_host_verb(cli, host_verbs[i], argc, argv, err);
  return st_fail(err, 0, "no such verb '%s'; see systracker-archive --help", st_quote(argv[0]));
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  int verb = st_cli_global(cli, argc, argv, err);
  if (verb < 0)
    return -1;
  if (cli->version) {
    printf("systracker-archive %s\n", PACKAGE_VERSION);
    return ST_EXIT_OK;
  }
  if (cli->help) {
    print_help();
    return ST_EXIT_OK;
  }
  if (verb >= argc)
    return st_fail(err, 0, "no verb given; see systracker-archive --help");
  if (st_check_kernel(err) < 0)
    return -1;
  return dispatch(cli, argc - verb, argv + verb, err);
}

int main(int argc, char **argv)
{
  struct st_cli cli = {.of_archive = true};
  st_leave_no_core();
  return st_cli_main(&cli, argc, argv, run);
}
