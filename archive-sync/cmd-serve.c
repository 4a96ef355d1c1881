/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd-serve.c - systracker-archive serve DIR */
#include "archive-sync/administer.h"
#include "archive-sync/serve/options.h"
#include "archive-sync/serve/server.h"
#include "systracker/base/process.h"
#include "systracker/base/text.h"

enum {
  OPT_LISTEN = 256,
  OPT_USER,
  OPT_PLAIN,
  OPT_PUBLIC,
  OPT_LOG,
  OPT_THREADS,
  OPT_WORKERS,
  OPT_CONNECTIONS,
  OPT_PER_ADDRESS,
  OPT_TIMEOUT,
  OPT_GRACE,
};

static const struct st_cli_option options[] = {
    {"listen", OPT_LISTEN, "WHERE", "ADDRESS:PORT, [ADDRESS]:PORT or PORT (all addresses, 7440)"},
    {"user", OPT_USER, "NAME", "become this user (the archive's owner)"},
    {"plain", OPT_PLAIN, NULL, "HTTP, behind a proxy on this machine that does TLS"},
    {"public", OPT_PUBLIC, "URL",
     "how hosts know a proxy of it: https://HOST/#DIGEST; several times"},
    {"log", OPT_LOG, "FILE", "log requests there: a path, stderr or none (stderr)"},
    {"threads", OPT_THREADS, "N", "threads that answer (as many as processors, at most 8)"},
    {"workers", OPT_WORKERS, "N", "threads for what takes its time (16)"},
    {"connections", OPT_CONNECTIONS, "N", "connections at most (1000)"},
    {"per-address", OPT_PER_ADDRESS, "N", "connections at most from one address (100)"},
    {"timeout", OPT_TIMEOUT, "SECONDS", "without a byte, that end a connection (30)"},
    {"grace", OPT_GRACE, "SECONDS", "how long what runs may take at the end (30)"},
    {NULL, 0, NULL, NULL},
};

static int set_count(unsigned *ret, const char *value, int64_t least, int64_t most,
                     struct st_error *err)
{
  int64_t n;
  if (st_parse_number(value, &n, err) < 0)
    return -1;
  if (n < least || n > most)
    return st_fail(err, 0, "a number from %lld to %lld is wanted, not %s", (long long)least,
                   (long long)most, value);
  *ret = (unsigned)n;
  return 0;
}

static int set_option(void *arg, int letter, const char *value, struct st_error *err)
{
  struct st_serve_options *o = arg;
  switch (letter) {
  case OPT_LISTEN:
    o->listen = value;
    return 0;
  case OPT_USER:
    o->user = value;
    return 0;
  case OPT_PLAIN:
    o->plain = true;
    return 0;
  case OPT_PUBLIC:
    st_strings_add(&o->publics, value);
    return 0;
  case OPT_LOG:
    o->log = value;
    return 0;
  case OPT_THREADS:
    return set_count(&o->threads, value, 1, 64, err);
  case OPT_WORKERS:
    return set_count(&o->workers, value, 1, 64, err);
  case OPT_CONNECTIONS:
    return set_count(&o->connections, value, 16, 100000, err);
  case OPT_PER_ADDRESS:
    return set_count(&o->per_address, value, 1, 100000, err);
  case OPT_TIMEOUT:
    return set_count(&o->timeout, value, 1, 3600, err);
  default:
    return set_count(&o->grace, value, 0, 3600, err);
  }
}

static const struct st_cli_verb verb = {
    .name = "serve",
    .usage = "DIR",
    .summary = "serve it to hosts and people, over HTTPS",
    .options = options,
    .set = set_option,
    .program = "systracker-archive",
};

static unsigned count_threads(void)
{
  unsigned n = st_processors(8);
  return n < 2 ? 2 : n;
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  struct st_serve_options o = {
      .log = "stderr",
      .threads = count_threads(),
      .workers = 16, /* most of them wait for the committer, which takes all that wait at once */
      .waiting = 256,
      .connections = 1000,
      .per_address = 100,
      .timeout = 30,
      .grace = 30,
  };
  int first = st_cli_parse(cli, &verb, argc, argv, &o, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 1, 1, err) < 0)
    return -1;
  o.dir = argv[first];
  int r = st_serve(&o, err);
  st_strings_free(&o.publics);
  return r;
}

const struct st_command archive_serve = {&verb, run};
