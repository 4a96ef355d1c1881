/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-recovery.c - systracker-archive recovery DIR */
#include <string.h>

#include "archive-sync/administer.h"
#include "archive-sync/serve/privileges.h"
#include "systracker/base/age.h"

#define LOCK_SECONDS 60

static const struct st_cli_verb verb = {
    .program = "systracker-archive",
    .name = "recovery",
    .usage = "DIR [list | add [RECIPIENT] | remove RECIPIENT]",
    .summary = "whose keys open the hosts' secrets",
};

static int list(const struct st_cli *cli, const struct st_strings *names)
{
  for (size_t i = 0; i < names->count; i++) {
    if (!cli->json) {
      printf("%s\n", names->items[i]);
      continue;
    }
    json_t *o = json_object();
    json_object_set_new(o, "recipient", json_string(names->items[i]));
    st_cli_json(o);
  }
  return ST_EXIT_OK;
}

/* ---- add ----------------------------------------------------------------------------------------
 */

/* An identity file, as init prints one; `identity` NULL: somebody else has it. */
static void print_added(const struct st_cli *cli, const char *recipient, const char *identity)
{
  if (cli->json) {
    json_t *o = json_object();
    json_object_set_new(o, "recipient", json_string(recipient));
    json_object_set_new(o, "recovery_key", identity ? json_string(identity) : json_null());
    st_cli_json(o);
    return;
  }
  if (identity)
    printf("# A recovery key: it is printed this once and kept nowhere.\n"
           "# public key: %s\n%s\n",
           recipient, identity);
  if (!cli->quiet)
    fprintf(stderr, "each host seals its key to it with its next sync\n");
}

static int add_name(struct st_archive *a, struct st_strings *names, const char *recipient,
                    struct st_error *err)
{
  struct st_age_recipient checked;
  if (st_age_recipient(&checked, recipient, err) < 0)
    return -1;
  if (st_strings_has(names, recipient))
    return st_refuse(err, "it is one of them already (%s)", recipient);
  if (names->count >= ST_AGE_RECIPIENTS)
    return st_refuse(err, "there are %d already: remove one first", ST_AGE_RECIPIENTS);
  st_strings_add(names, recipient);
  return st_archive_set_recipients(a, names, err);
}

static int add(const struct st_cli *cli, struct st_archive *a, struct st_strings *names,
               const char *given, struct st_error *err)
{
  char identity[ST_AGE_IDENTITY_SIZE] = "", recipient[ST_AGE_RECIPIENT_SIZE];
  if (!given && st_age_make(identity, recipient, err) < 0)
    return -1;
  int r = add_name(a, names, given ? given : recipient, err);
  if (r == 0)
    print_added(cli, given ? given : recipient, given ? NULL : identity);
  explicit_bzero(identity, sizeof(identity));
  return r < 0 ? -1 : ST_EXIT_OK;
}

/* ---- remove -------------------------------------------------------------------------------------
 */

static int remove_name(const struct st_cli *cli, struct st_archive *a,
                       const struct st_strings *names, const char *recipient, struct st_error *err)
{
  ST_AUTO_STRINGS left = {0};
  for (size_t i = 0; i < names->count; i++)
    if (strcmp(names->items[i], recipient) != 0)
      st_strings_add(&left, names->items[i]);
  if (left.count == names->count)
    return st_refuse(err, "it is none of them: systracker-archive recovery DIR lists them");
  if (left.count == 0)
    return st_refuse(err, "nobody could open the hosts' secrets then: add another one first");
  if (st_archive_set_recipients(a, &left, err) < 0)
    return -1;
  if (!cli->quiet)
    fprintf(stderr, "each host seals its key to the others with its next sync; who has the key "
                    "and a copy of the archive from before can open what was sealed then\n");
  return ST_EXIT_OK;
}

/* ---- The verb -----------------------------------------------------------------------------------
 */

static int act(const struct st_cli *cli, struct st_archive *a, int count, char **args,
               struct st_error *err)
{
  ST_AUTO_STRINGS names = {0};
  const char *what = count > 0 ? args[0] : "list";
  bool lists = strcmp(what, "list") == 0 && count <= 1;
  bool adds = strcmp(what, "add") == 0 && count <= 2;
  if (!lists && !adds && !(strcmp(what, "remove") == 0 && count == 2))
    return st_fail(err, 0, "usage: systracker-archive recovery %s", verb.usage);
  if ((!lists && st_archive_lock(a, LOCK_SECONDS, err) < 0) ||
      st_archive_recipients(a, &names, err) < 0)
    return -1;
  return lists  ? list(cli, &names)
         : adds ? add(cli, a, &names, count > 1 ? args[1] : NULL, err)
                : remove_name(cli, a, &names, args[1], err);
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  ST_AUTO_ARCHIVE *a = NULL;
  int first = st_cli_parse(cli, &verb, argc, argv, NULL, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 1, 3, err) < 0 ||
      st_archive_open(&a, argv[first], false, err) < 0 || st_privileges_follow(a->dir, err) < 0)
    return -1;
  return act(cli, a, argc - first - 1, argv + first + 1, err);
}

const struct st_command archive_recovery = {&verb, run};
