/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-init.c - systracker-archive init DIR */
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "archive-sync/access-verbs.h"
#include "archive-sync/administer.h"
#include "archive-sync/serve/options.h"
#include "archive-sync/serve/tls.h"
#include "systracker/base/age.h"

enum { OPT_NAME = 256 };

#define NAME_MAX_LENGTH 253 /* of a host name */

static const struct st_cli_option options[] = {
    {"name", OPT_NAME, "HOST", "the server's name or address, for its certificate; several times"},
    {NULL, 0, NULL, NULL},
};

static int set_option(void *arg, int letter, const char *value, struct st_error *err)
{
  static const char allowed[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:*";
  (void)letter;
  if (!*value || strlen(value) > NAME_MAX_LENGTH || value[strspn(value, allowed)])
    return st_fail(err, 0, "--name wants a host name or an address, not %s", st_quote(value));
  st_strings_add(arg, value);
  return 0;
}

static const struct st_cli_verb verb = {
    .name = "init",
    .usage = "DIR",
    .summary = "make an archive of an empty folder",
    .options = options,
    .set = set_option,
    .program = "systracker-archive",
};

/* Without --name: what this machine calls itself. */
static void need_name(struct st_strings *names)
{
  char name[NAME_MAX_LENGTH + 1] = "";
  if (names->count > 0)
    return;
  if (gethostname(name, sizeof(name) - 1) < 0 || !*name)
    snprintf(name, sizeof(name), "localhost");
  st_strings_add(names, name);
}

/* With a first token, by which any number of hosts may join; `token DIR revoke init` ends it. */
static int make_join_string(const char *path, const char *name, bool again, char **ret,
                            struct st_error *err)
{
  ST_AUTO_KEEPER k = {0};
  struct st_access_token t = {.kind = ST_TOKEN_JOIN, .uses = -1};
  char token[ST_ACCESS_TOKEN_SIZE] = "";
  bool six = strchr(name, ':') != NULL;
  ST_AUTO_FREE char *url =
      st_format("https://%s%s%s:%d", six ? "[" : "", name, six ? "]" : "", ST_SERVE_PORT);
  t.created = time(NULL);
  if (!again) /* else the name may be taken: it gets another */
    snprintf(t.name, sizeof(t.name), "init");
  if (st_keeper_open(&k, path, err) < 0)
    return -1;
  snprintf(t.by, sizeof(t.by), "%s", k.by);
  int r = st_access_add_token(k.access, &t, t.created, token, err) < 0
              ? -1
              : st_keeper_join_string(&k, url, true, token, ret, err);
  explicit_bzero(token, sizeof(token));
  return r;
}

/* What there is to print. */
struct made {
  const char *dir;
  char *join;
  const char *identity, *recipient; /* NULL: there was an archive already */
};

static void print_json(const struct made *m)
{
  json_t *o = json_object();
  json_object_set_new(o, "archive", st_json_path(m->dir));
  json_object_set_new(o, "join", json_string(m->join));
  if (m->identity) {
    json_object_set_new(o, "recipient", json_string(m->recipient));
    json_object_set_new(o, "recovery_key", json_string(m->identity));
  }
  st_cli_json(o);
}

/* What is printed is an identity file: `systracker-archive init DIR > FILE` keeps it as one. */
static void print(const struct st_cli *cli, const struct made *m)
{
  if (cli->json) {
    print_json(m);
    return;
  }
  printf("# made %s; hosts send to it with: systracker sync %s\n"
         "# or, while systracker-archive serve runs on it: systracker sync '%s'\n",
         m->identity ? "an archive" : "a key and certificate of the archive", st_quote(m->dir),
         m->join);
  if (m->identity)
    printf("# The recovery key opens the secrets of its hosts.  It is printed this once and kept\n"
           "# nowhere: keep it safe, and elsewhere.\n"
           "# public key: %s\n%s\n",
           m->recipient, m->identity);
}

static int make_credentials(const char *path, struct st_strings *names, struct made *m,
                            struct st_error *err)
{
  ST_AUTO_CLOSE int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0)
    return st_fail(err, errno, "cannot open the folder (%s)", st_quote(path));
  need_name(names);
  return st_tls_make(dir, names, err) < 0
             ? -1
             : make_join_string(path, names->items[0], !m->identity, &m->join, err);
}

/* Whether it is an archive from before there was a server, or one whose key was taken away. */
static bool lacks_credentials(const char *path)
{
  ST_AUTO_ARCHIVE *a = NULL;
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  return st_archive_open(&a, path, false, &ignored) == 0 &&
         faccessat(a->dir, "tls.key", F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
         faccessat(a->dir, "tls.crt", F_OK, AT_SYMLINK_NOFOLLOW) < 0;
}

static int init(struct st_cli *cli, const char *path, struct made *m, struct st_strings *names,
                struct st_error *err)
{
  char identity[ST_AGE_IDENTITY_SIZE], recipient[ST_AGE_RECIPIENT_SIZE];
  bool there = lacks_credentials(path);
  if (!there) {
    m->identity = identity;
    m->recipient = recipient;
    if (st_age_make(identity, recipient, err) < 0)
      return -1;
  }
  int r = there ? 0 : st_archive_init(path, recipient, err);
  if (r == 0)
    r = make_credentials(path, names, m, err);
  if (r == 0)
    print(cli, m);
  explicit_bzero(identity, sizeof(identity));
  return r;
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  ST_AUTO_STRINGS names = {0};
  ST_AUTO_FREE char *path = NULL;
  struct made m = {0};
  int first = st_cli_parse(cli, &verb, argc, argv, &names, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 1, 1, err) < 0 ||
      st_archive_path(argv[first], &path, err) < 0)
    return -1;
  m.dir = argv[first];
  int r = init(cli, path, &m, &names, err);
  st_wipe_password(&m.join);
  return r < 0 ? -1 : ST_EXIT_OK;
}

const struct st_command archive_init = {&verb, run};
