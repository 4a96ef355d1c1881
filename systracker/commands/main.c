/* SPDX-License-Identifier: GPL-2.0-or-later */
/* main.c - systracker VERB: a verb of the table below, or the program systracker-VERB. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <string.h>
#include <sys/stat.h>

#include "systracker/base/digest.h"
#include "systracker/base/log.h"
#include "systracker/commands/command.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

static const struct st_command *const commands[] = {
    &cmd_checkpoint, &cmd_status,   &cmd_log, &cmd_show,  &cmd_diff,   &cmd_cat,
    &cmd_explain,    &cmd_coverage, &cmd_tag, &cmd_prune, &cmd_verify, &cmd_check_config,
};

/* Verbs that may be there as programs of their own; any other such program works too. */
static const struct {
  const char *name, *summary;
} programs[] = {
    {"restore", "put back what was, wholly or some paths"},
    {"undo", "put back what the last restore changed"},
    {"setup", "write the configuration, take the baseline, start the timer"},
    {"sync", "send checkpoints to an archive"},
    {"fetch", "bring a checkpoint from an archive"},
    {"packages", "keep the files of installed packages"},
};

static const struct st_command *find_command(const char *name)
{
  for (size_t i = 0; i < ST_COUNT(commands); i++)
    if (strcmp(commands[i]->verb->name, name) == 0)
      return commands[i];
  return NULL;
}

/* The program of a verb that is not built in, or NULL: letters and dashes alone, so that no verb
 * names a file elsewhere. */
static char *find_program(const char *verb)
{
  if (!*verb || strspn(verb, "abcdefghijklmnopqrstuvwxyz-") != strlen(verb))
    return NULL;
  ST_AUTO_FREE char *dir = st_host_libexec_dir();
  char *path = st_format("%s/systracker-%s", dir, verb);
  if (access(path, X_OK) < 0) {
    free(path);
    return NULL;
  }
  return path;
}

static void print_help(const struct st_cli *cli)
{
  printf("usage: systracker [OPTION...] VERB [ARGUMENT...]\n"
         "Records what this host is made of, and puts any of its states back.\n\nVerbs:\n");
  for (size_t i = 0; i < ST_COUNT(commands); i++)
    printf("  %-14s%s\n", commands[i]->verb->name, commands[i]->verb->summary);
  for (size_t i = 0; i < ST_COUNT(programs); i++) {
    ST_AUTO_FREE char *program = find_program(programs[i].name);
    if (program)
      printf("  %-14s%s\n", programs[i].name, programs[i].summary);
  }
  printf("  %-14s%s\n\nOptions, before or after the verb:\n", "help",
         "this, or the help of a verb");
  st_cli_help(stdout, cli, NULL);
  printf("      %-20s  %s\n\n", "--version", "print the version");
  printf("CHECKPOINT is a number, a tag, latest, latest~N, baseline or a date.\n"
         "Exit status: 0 done (diff, status: same), 1 incomplete or refused (diff, status:\n"
         "differences), 2 trouble.  More: man systracker, systracker VERB --help\n");
}

/* Runs systracker-VERB with the global options that came before the verb, and the rest. */
static int run_program(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  ST_AUTO_FREE char *path = find_program(argv[0]);
  if (!path)
    return st_fail(err, 0, "no such verb '%s'; see systracker --help", st_quote(argv[0]));
  ST_AUTO_FREE char *name = st_format("systracker-%s", argv[0]);
  ST_AUTO_FREE char **args = st_calloc((size_t)argc + 10, sizeof(*args));
  size_t n = 0;
  args[n++] = name;
  const struct {
    const char *option, *value;
  } given[] = {
      {"--config", cli->tracker.config},
      {"--root", cli->tracker.root},
      {"--store", cli->tracker.store},
  };
  for (size_t i = 0; i < ST_COUNT(given); i++)
    if (given[i].value) {
      args[n++] = (char *)given[i].option;
      args[n++] = (char *)given[i].value;
    }
  if (cli->json)
    args[n++] = (char *)"--json";
  if (cli->quiet)
    args[n++] = (char *)"--quiet";
  for (int i = 1; i < argc; i++)
    args[n++] = argv[i];
  fflush(stdout);
  execv(path, args);
  return st_fail(err, errno, "cannot run the program of the verb (%s)", st_quote(path));
}

static int run_verb(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  const struct st_command *command = find_command(argv[0]);
  return command ? command->run(cli, argc, argv, err) : run_program(cli, argc, argv, err);
}

/* help [VERB]: as VERB --help. */
static int run_help(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  if (argc < 2 || argv[1][0] == '-') {
    print_help(cli);
    return ST_EXIT_OK;
  }
  char *args[] = {argv[1], (char *)"--help", NULL};
  return run_verb(cli, 2, args, err);
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  int verb = st_cli_global(cli, argc, argv, err);
  if (verb < 0)
    return -1;
  if (cli->version) {
    printf("systracker %s\n", PACKAGE_VERSION);
    return ST_EXIT_OK;
  }
  if (verb < argc && strcmp(argv[verb], "help") == 0)
    return run_help(cli, argc - verb, argv + verb, err);
  if (cli->help) {
    print_help(cli);
    return ST_EXIT_OK;
  }
  if (verb >= argc)
    return st_fail(err, 0, "no verb given; see systracker --help");
  return run_verb(cli, argc - verb, argv + verb, err);
}

int main(int argc, char **argv)
{
  struct st_cli cli = {0};
  return st_cli_main(&cli, argc, argv, run);
}
