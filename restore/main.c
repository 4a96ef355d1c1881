/* SPDX-License-Identifier: GPL-2.0-or-later */
/* systracker-restore, and under the name systracker-undo its opposite. */
#include <string.h>

#include "restore/run.h"
#include "systracker/base/file.h"
#include "systracker/base/process.h"

enum letter {
  OPT_CHECKPOINT = 256,
  OPT_DRY_RUN,
  OPT_YES,
  OPT_EXACT,
  OPT_PACKAGES,
  OPT_AS,
  OPT_RESTART,
  OPT_NO_UNDO,
  OPT_NUMERIC_OWNER,
  OPT_HOST,
  OPT_FROM,
  OPT_JOIN_FILE,
  OPT_RECOVERY_KEY,
  OPT_RESUME,
  OPT_STATUS,
  OPT_FORCE,
  OPT_VERIFY,
};

static const struct st_cli_option restore_options[] = {
    {"checkpoint", OPT_CHECKPOINT, "CHECKPOINT", "what to put back: a number, tag, date, latest"},
    {"dry-run", OPT_DRY_RUN, NULL, "print the plan, change nothing"},
    {"yes", OPT_YES, NULL, "do not ask on a terminal"},
    {"exact", OPT_EXACT, NULL, "delete what the checkpoint does not have, and change packages"},
    {"packages", OPT_PACKAGES, "exact|keep|none",
     "what becomes of packages: exact with --exact, else they stay"},
    {"as", OPT_AS, "same|clone",
     "clone (so it is on another host): leave the files of machine identity as they are"},
    {"restart", OPT_RESTART, NULL,
     "restart the services that the restored files and packages are of"},
    {"no-undo", OPT_NO_UNDO, NULL, "do not keep what is overwritten"},
    {"numeric-owner", OPT_NUMERIC_OWNER, NULL, "owners and ACLs by number, whatever their names"},
    {"host", OPT_HOST, "HOST", "of another host, whose chain was fetched"},
    {"from", OPT_FROM, "URL", "fetch it from an archive first"},
    {"join-file", OPT_JOIN_FILE, "FILE", "what is behind the # of the URL, from a file"},
    {"recovery-key", OPT_RECOVERY_KEY, "FILE", "opens another host's secrets"},
    {"verify", OPT_VERIFY, "quick|full", "full: also read again what was proved as it was put"},
    {"resume", OPT_RESUME, NULL, "go on with an interrupted restore"},
    {"status", OPT_STATUS, NULL, "list the restores that were made"},
    {0},
};

static const struct st_cli_option undo_options[] = {
    {"dry-run", OPT_DRY_RUN, NULL, "print the plan, change nothing"},
    {"yes", OPT_YES, NULL, "do not ask on a terminal"},
    {"verify", OPT_VERIFY, "quick|full", "full: also read again what was proved as it was put"},
    {"force", OPT_FORCE, NULL, "also where somebody changed it since the restore"},
    {0},
};

/* What a server's URL has behind its "#" is a secret: it leaves the list of processes, which shows
 * our arguments as they are in our memory. */
static void take_from(struct st_request *r, const char *value)
{
  char *hash = strncmp(value, "https://", 8) == 0 ? strchr(value, '#') : NULL;
  r->from = value;
  if (!hash)
    return;
  free(r->join);
  r->join = st_strdup(hash + 1);
  memset(hash, 0, strlen(hash));
}

static int set_packages(struct st_request *r, const char *value, struct st_error *err)
{
  static const struct {
    const char *word;
    enum st_request_packages packages;
  } words[] = {
      {"exact", ST_PACKAGES_EXACT}, {"keep", ST_PACKAGES_KEEP}, {"none", ST_PACKAGES_NONE}};
  for (size_t i = 0; i < ST_COUNT(words); i++) {
    if (strcmp(value, words[i].word) == 0) {
      r->packages = words[i].packages;
      return 0;
    }
  }
  return st_fail(err, 0, "--packages takes exact, keep or none");
}

static int set_as(struct st_request *r, const char *value, struct st_error *err)
{
  if (strcmp(value, "same") != 0 && strcmp(value, "clone") != 0)
    return st_fail(err, 0, "--as takes same or clone");
  r->clone = strcmp(value, "clone") == 0;
  r->as_same = !r->clone;
  return 0;
}

static int set_verify(struct st_request *r, const char *value, struct st_error *err)
{
  r->verify_full = strcmp(value, "full") == 0;
  if (!r->verify_full && strcmp(value, "quick") != 0)
    return st_fail(err, 0, "--verify takes quick or full");
  return 0;
}

static int set(void *arg, int letter, const char *value, struct st_error *err)
{
  struct st_request *r = arg;
  switch (letter) {
  case OPT_CHECKPOINT:
    r->checkpoint = value;
    return 0;
  case OPT_PACKAGES:
    return set_packages(r, value, err);
  case OPT_AS:
    return set_as(r, value, err);
  case OPT_VERIFY:
    return set_verify(r, value, err);
  case OPT_HOST:
    r->host = value;
    return 0;
  case OPT_FROM:
    take_from(r, value);
    return 0;
  case OPT_JOIN_FILE:
    r->join_file = value;
    return 0;
  case OPT_RECOVERY_KEY:
    r->recovery_key = value;
    return 0;
  case OPT_DRY_RUN:
    r->dry_run = true;
    return 0;
  case OPT_YES:
    r->yes = true;
    return 0;
  case OPT_EXACT:
    r->exact = true;
    return 0;
  case OPT_NO_UNDO:
    r->no_undo = true;
    return 0;
  case OPT_NUMERIC_OWNER:
    r->numeric_owner = true;
    return 0;
  case OPT_RESUME:
    r->resume = true;
    return 0;
  case OPT_STATUS:
    r->status = true;
    return 0;
  case OPT_FORCE:
    r->force = true;
    return 0;
  case OPT_RESTART:
    r->restart = true;
    return 0;
  default:
    return st_fail(err, 0, "unknown option");
  }
}

static const struct st_cli_verb restore_verb = {"restore",
                                                "--checkpoint CHECKPOINT [--] [PATH...]",
                                                "put entries back as they were at a checkpoint",
                                                restore_options,
                                                set,
                                                NULL};
static const struct st_cli_verb undo_verb = {
    "undo", "", "put back what the last restore changed", undo_options, set, NULL};

static bool is_undo(const char *program)
{
  const char *slash = strrchr(program, '/');
  const char *name = slash ? slash + 1 : program;
  size_t n = strlen(name);
  return n >= 4 && strcmp(name + n - 4, "undo") == 0;
}

static int take_paths(struct st_request *r, int argc, char **argv, struct st_error *err)
{
  for (int i = 0; i < argc; i++) {
    char *path;
    if (st_cli_path(r->cli, argv[i], &path, err) < 0)
      return -1;
    st_strings_take(&r->paths, path);
  }
  return 0;
}

static int run_restore(struct st_request *r, struct st_error *err)
{
  if (r->status && !r->resume && !r->checkpoint && r->paths.count == 0)
    return st_run_status(r, err);
  if (r->resume && !r->status && !r->checkpoint && r->paths.count == 0)
    return r->dry_run ? st_fail(err, 0, "--resume goes without --dry-run") : st_run_resume(r, err);
  if (r->resume || r->status)
    return st_fail(err, 0, "--resume and --status stand alone");
  if (!r->checkpoint)
    return st_fail(err, 0, "which checkpoint? --checkpoint names it, `systracker log` lists them");
  return st_run_restore(r, err);
}

static int run(struct st_request *r, struct st_cli *cli, bool undo, int argc, char **argv,
               struct st_error *err)
{
  int first = st_cli_parse(cli, undo ? &undo_verb : &restore_verb, argc, argv, r, NULL, err);
  if (first < 0)
    return -1;
  if (undo && first < argc)
    return st_fail(err, 0, "undo takes no path: it undoes the last restore as a whole");
  if (st_check_kernel(err) < 0 || take_paths(r, argc - first, argv + first, err) < 0)
    return -1;
  return undo ? st_run_undo(r, err) : run_restore(r, err);
}

int main(int argc, char **argv)
{
  st_leave_no_core();
  st_cli_begin();
  st_digest_init();
  struct st_cli cli = {0};
  struct st_request request = {.cli = &cli};
  struct st_error err = ST_ERROR_INIT;
  int status = run(&request, &cli, is_undo(argv[0]), argc, argv, &err);
  st_strings_free(&request.paths);
  if (request.join)
    explicit_bzero(request.join, strlen(request.join));
  free(request.join);
  return st_cli_end(status < 0 ? st_cli_fail(&err) : status);
}
