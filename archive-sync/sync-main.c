/* SPDX-License-Identifier: GPL-2.0-or-later */
/* systracker-sync, and under the name systracker-fetch its opposite. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "archive-sync/join.h"
#include "archive-sync/pull.h"
#include "archive-sync/push.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/log.h"
#include "systracker/base/process.h"
#include "systracker/base/text.h"

enum { OPT_WAIT = 256, OPT_CONFIGURED, OPT_HOST, OPT_CHECKPOINT, OPT_JOIN };

static const struct st_cli_option sync_options[] = {
    {"configured", OPT_CONFIGURED, NULL, "do nothing where the configuration names no archive"},
    {"join-file", OPT_JOIN, "FILE", "what is behind the # of the URL, from a file"},
    {"wait", OPT_WAIT, "SECONDS", "wait so long for another host, or a server (600)"},
    {0},
};

static const struct st_cli_option fetch_options[] = {
    {"host", OPT_HOST, "HOST", "which host's: its id, its first digits, or its name"},
    {"checkpoint", OPT_CHECKPOINT, "CHECKPOINT", "this one alone, with what it needs"},
    {"join-file", OPT_JOIN, "FILE", "what is behind the # of the URL, from a file"},
    {"wait", OPT_WAIT, "SECONDS", "wait so long for a server (600)"},
    {0},
};

struct request {
  int64_t wait;
  bool configured;
  char *behind; /* of a join string, for a URL without; NULL: none */
  struct st_pull_options pull;
};

static void request_clear(struct request *r)
{
  if (r->behind)
    explicit_bzero(r->behind, strlen(r->behind));
  free(r->behind);
}

static int set(void *arg, int letter, const char *value, struct st_error *err)
{
  struct request *r = arg;
  if (letter == OPT_HOST)
    r->pull.host = value;
  else if (letter == OPT_CHECKPOINT)
    r->pull.checkpoint = value;
  else if (letter == OPT_JOIN)
    return st_join_read(value, &r->behind, err);
  else if (letter == OPT_CONFIGURED)
    r->configured = true;
  else if (st_parse_number(value, &r->wait, err) < 0 || r->wait > 86400)
    return st_fail(err, 0, "--wait takes seconds, a day of them at most");
  return 0;
}

static const struct st_cli_verb sync_verb = {
    "sync",
    "[URL...]",
    "send the new checkpoints to the archives of the configuration, or these",
    sync_options,
    set,
    NULL};
static const struct st_cli_verb fetch_verb = {"fetch",
                                              "URL [--] [PATH...]",
                                              "bring the checkpoints of a host from an archive",
                                              fetch_options,
                                              set,
                                              NULL};

/* ---- sync ---------------------------------------------------------------------------------------
 */

static void print_push_json(const char *url, const struct st_push_result *r)
{
  json_t *o = json_object();
  json_object_set_new(o, "archive", st_json_path(url));
  json_object_set_new(o, "first", r->first ? json_integer(r->first) : json_null());
  json_object_set_new(o, "last", r->first ? json_integer(r->last) : json_null());
  json_object_set_new(o, "objects", json_integer(r->objects));
  json_object_set_new(o, "packages", json_integer(r->packages));
  json_object_set_new(o, "bytes", json_integer((json_int_t)r->bytes));
  json_object_set_new(o, "missing", json_integer(r->missing));
  json_object_set_new(o, "new_epoch", r->set_back ? json_integer(r->epoch) : json_null());
  json_object_set_new(o, "pending", json_boolean(r->pending));
  st_cli_json(o);
}

static void print_push(const char *url, const struct st_push_result *r)
{
  if (r->set_back)
    printf("this store was set back: the archive has checkpoints up to %" PRId64
           " that do not follow from it\n"
           "they stay there as epoch %" PRId64 ", and epoch %" PRId64 " begins\n",
           r->set_back, r->epoch - 1, r->epoch);
  if (r->packages > 0)
    printf("sent %" PRId64 " package files\n", r->packages);
  if (r->first == 0 && r->objects > 0)
    printf("sent %" PRId64 " objects again that the archive had lost\n", r->objects);
  if (r->first == 0) {
    printf(r->packages + r->objects > 0 ? "no new checkpoint to send (%s)\n"
                                        : "nothing new to send (%s)\n",
           st_quote(url));
    return;
  }
  ST_AUTO_FREE char *size = st_format_size(r->bytes);
  if (r->first == r->last)
    printf("sent checkpoint %" PRId64, r->first);
  else
    printf("sent checkpoints %" PRId64 " to %" PRId64, r->first, r->last);
  printf(" with %" PRId64 " objects (%s) to %s\n", r->objects, size, st_quote(url));
}

static int push_one(const struct st_cli *cli, const char *whole, const struct request *request)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_FREE char *url = st_join_shown(whole);
  struct st_push_result result;
  if (st_push(cli, whole, request->behind, (unsigned)request->wait, &result, &err) < 0) {
    if (st_join_is_remote(url))
      st_wrap(&err, "cannot sync to %s", st_quote(url));
    else
      st_wrap(&err, "cannot sync");
    return st_cli_fail(&err);
  }
  if (result.unsealed)
    fprintf(stderr, "systracker: the archive has no recovery key, so this host's secrets can be "
                    "read from it by nobody else\n");
  if (result.pending)
    fprintf(stderr,
            "systracker: %s has not approved this host yet: `systracker-archive approve` there, or "
            "its page, does; what was sent so far waits\n",
            st_quote(url));
  if (cli->json)
    print_push_json(url, &result);
  else if (!cli->quiet)
    print_push(url, &result);
  fflush(stdout);
  return result.missing > 0 || result.pending ? ST_EXIT_INCOMPLETE : ST_EXIT_OK;
}

/* A file that others can read must not have a token. */
static void warn_readable(const char *url, const char *file)
{
  struct stat st;
  const char *behind = strchr(url, '#');
  if (!st_join_is_remote(url) || !behind || !strchr(behind, '.') || stat(file, &st) < 0 ||
      !(st.st_mode & 077))
    return;
  fprintf(stderr,
          "systracker: %s has a token of an archive and can be read by others: chmod 600 keeps it, "
          "and once this host is let in it may be left out\n",
          st_quote(file));
}

static int configured(const struct st_cli *cli, bool quietly, struct st_strings *urls,
                      struct st_error *err)
{
  ST_CLEANUP(st_tracker_closep) struct st_tracker *t = NULL;
  if (st_tracker_open_config(&t, &cli->tracker, err) < 0)
    return -1;
  for (size_t i = 0; i < t->conf->archives.count; i++) {
    st_strings_add(urls, t->conf->archives.items[i]);
    warn_readable(t->conf->archives.items[i], t->conf->archive_files.items[i]);
  }
  if (urls->count == 0 && !quietly)
    return st_fail(err, 0,
                   "no archive is named: give a URL, or archive { url = \"...\" } in the "
                   "configuration");
  return 0;
}

static int run_sync(struct st_cli *cli, const struct request *request, int count, char **operands,
                    struct st_error *err)
{
  ST_AUTO_STRINGS urls = {0};
  int worst = ST_EXIT_OK;
  for (int i = 0; i < count; i++)
    st_strings_take(&urls, st_join_take(operands[i]));
  if (count == 0 && configured(cli, request->configured, &urls, err) < 0)
    return -1;
  for (size_t i = 0; i < urls.count; i++) {
    int status = push_one(cli, urls.items[i], request);
    worst = status > worst ? status : worst;
  }
  return worst;
}

/* ---- fetch --------------------------------------------------------------------------------------
 */

static void print_pull_json(const char *url, const struct st_pull_result *r)
{
  json_t *o = json_object();
  json_object_set_new(o, "archive", st_json_path(url));
  json_object_set_new(o, "host", json_string(r->host));
  json_object_set_new(o, "first", r->first ? json_integer(r->first) : json_null());
  json_object_set_new(o, "last", r->first ? json_integer(r->last) : json_null());
  json_object_set_new(o, "alone", json_boolean(r->first && r->alone));
  json_object_set_new(o, "objects", json_integer(r->objects));
  json_object_set_new(o, "packages", json_integer(r->packages));
  json_object_set_new(o, "missing", json_integer(r->missing));
  st_cli_json(o);
}

/* Who runs us, as restore does, sees this line alone. */
static void print_error_json(const char *url, const struct st_error *err)
{
  json_t *o = json_object();
  json_object_set_new(o, "archive", st_json_path(url));
  json_object_set_new(o, "error", st_json_words(st_error_text(err)));
  st_cli_json(o);
}

static void print_fetched(const struct st_pull_result *r)
{
  if (r->first == r->last)
    printf("fetched checkpoint %" PRId64, r->first);
  else
    printf("fetched checkpoints %" PRId64 " to %" PRId64, r->first, r->last);
  printf(" of host %s with %" PRId64 " objects\n", r->host, r->objects);
  if (r->alone && r->first > 1)
    printf("it came alone: fetch without --checkpoint brings the others\n");
}

static void print_pull(const struct st_pull_result *r)
{
  if (r->retired)
    printf("the host was set back: what was fetched before stays as epoch %" PRId64 "\n",
           r->retired);
  if (r->packages > 0)
    printf("fetched %" PRId64 " package files\n", r->packages);
  if (r->first == 0 && r->objects == 0 && r->packages == 0)
    printf("nothing new to fetch of host %s\n", r->host);
  else if (r->first == 0 && r->objects > 0)
    printf("fetched %" PRId64 " objects of host %s\n", r->objects, r->host);
  else if (r->first != 0)
    print_fetched(r);
}

static int take_paths(const struct st_cli *cli, int count, char **operands, struct st_strings *ret,
                      struct st_error *err)
{
  for (int i = 0; i < count; i++) {
    char *path;
    if (st_cli_path(cli, operands[i], &path, err) < 0)
      return -1;
    st_strings_take(ret, path);
  }
  return 0;
}

static int run_fetch(struct st_cli *cli, struct request *request, int count, char **operands,
                     struct st_error *err)
{
  ST_AUTO_STRINGS paths = {0};
  struct st_pull_result result;
  if (st_cli_operands(&fetch_verb, count, 1, -1, err) < 0 ||
      take_paths(cli, count - 1, operands + 1, &paths, err) < 0)
    return -1;
  request->pull.paths = &paths;
  request->pull.behind = request->behind;
  request->pull.wait = (unsigned)request->wait;
  ST_AUTO_FREE char *whole = st_join_take(operands[0]), *url = st_join_shown(whole);
  if (st_pull(cli, whole, &request->pull, &result, err) < 0) {
    if (st_join_is_remote(url))
      st_wrap(err, "cannot fetch from %s", st_quote(url));
    else
      st_wrap(err, "cannot fetch");
    if (cli->json)
      print_error_json(url, err);
    return -1;
  }
  if (cli->json)
    print_pull_json(url, &result);
  else if (!cli->quiet)
    print_pull(&result);
  return result.missing > 0 ? ST_EXIT_INCOMPLETE : ST_EXIT_OK;
}

/* -------------------------------------------------------------------------------------------------
 */

static bool is_fetch(const char *program)
{
  size_t n = strlen(program);
  return n >= 5 && strcmp(program + n - 5, "fetch") == 0;
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  ST_CLEANUP(request_clear) struct request request = {.wait = 600};
  bool fetch = is_fetch(argv[0]);
  int first = st_cli_parse(cli, fetch ? &fetch_verb : &sync_verb, argc, argv, &request, NULL, err);
  if (first < 0 || st_check_kernel(err) < 0)
    return -1;
  if (!request.behind && getenv("SYSTRACKER_JOIN"))
    request.behind = st_strdup(getenv("SYSTRACKER_JOIN"));
  return fetch ? run_fetch(cli, &request, argc - first, argv + first, err)
               : run_sync(cli, &request, argc - first, argv + first, err);
}

int main(int argc, char **argv)
{
  struct st_cli cli = {0};
  st_leave_no_core();
  return st_cli_main(&cli, argc, argv, run);
}
