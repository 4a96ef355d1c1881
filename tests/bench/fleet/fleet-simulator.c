/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fleet-simulator.c - thousands of made-up hosts before one archive's server:
 *
 *   fleet-simulator [OPTION...] push URL HOSTS NUMBER    each host sends its checkpoints up to
 * NUMBER fleet-simulator [OPTION...] poll URL HOSTS COUNT     COUNT times some host asks: nothing
 * new fleet-simulator [OPTION...] sign URL HOSTS COUNT     the same, signed each time
 *   fleet-simulator [OPTION...] connect URL HOSTS COUNT  the same, each time over a new connection
 *   fleet-simulator [OPTION...] get URL COUNT TARGET     COUNT requests, one connection a thread
 *   fleet-simulator [OPTION...] make DIR HOSTS NUMBER    the hosts' catalogs, made without a server
 *   fleet-simulator [OPTION...] clone DIR HOSTS NUMBER   the same, quickly (clone.h), and the packs
 *
 *   --template DIR   a store that systracker made (fleet.sh): what all hosts have
 *   --state FILE     the hosts: keys, and how far they are; made, and kept
 *   --threads N      8
 *   --pid N          the server: its processor time and memory are told, too
 *   --header LINE    of a `get`
 *   --status N       that it has to be answered with (200)
 *   --each           what is told is what one of the tasks took, not all
 *   --results FILE ROW WHO ROUND   a line of JSON is appended, as measure.c does
 */
#include "config.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/text.h"
#include "tests/bench/fleet/clone.h"
#include "tests/bench/fleet/crew.h"

#define STATE_MAGIC 0x3174656c66745321 /* "!Stflet1", little-endian */

struct state {
  uint64_t magic, count;
  int64_t first_day;
  struct fleet_host *hosts;
};

struct simulator {
  const char *template_dir, *state_file;
  char *header; /* whole line, or "" */
  unsigned status;
  char *const *results; /* FILE ROW WHO ROUND, or NULL */
  unsigned threads;
  bool each;
  long pid;
  struct fleet_template *t;
  struct state state;
  struct fleet_server server;
  uint64_t hosts;
  int64_t upto;
  const char *target;
  int dir;
};

/* ---- The hosts ---------------------------------------------------------------------------------
 */

static int read_state(struct simulator *s, struct st_error *err)
{
  ST_AUTO_FCLOSE FILE *f = fopen(s->state_file, "re");
  if (!f)
    return 0;
  size_t head = sizeof(s->state) - sizeof(s->state.hosts);
  if (fread(&s->state, head, 1, f) != 1 || s->state.magic != STATE_MAGIC)
    return st_fail(err, 0, "no state of the simulator (%s)", st_quote(s->state_file));
  s->state.hosts = st_calloc(s->state.count, sizeof(*s->state.hosts));
  if (fread(s->state.hosts, sizeof(*s->state.hosts), s->state.count, f) != s->state.count)
    return st_fail(err, 0, "the state ends early (%s)", st_quote(s->state_file));
  return 0;
}

static int write_state(const struct simulator *s, struct st_error *err)
{
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  st_buffer_append(&bytes, &s->state, sizeof(s->state) - sizeof(s->state.hosts));
  st_buffer_append(&bytes, s->state.hosts, s->state.count * sizeof(*s->state.hosts));
  return st_write_file(AT_FDCWD, s->state_file, 0600, bytes.data, bytes.length, err);
}

/* As many as are asked for; the day of the template's last checkpoint is today. */
static int need_hosts(struct simulator *s, struct st_error *err)
{
  struct state *state = &s->state;
  if (state->magic == 0) {
    state->magic = STATE_MAGIC;
    state->first_day = time(NULL) - fleet_template_count(s->t) * FLEET_DAY;
  }
  if (state->count >= s->hosts)
    return 0;
  state->hosts = st_realloc(state->hosts, s->hosts, sizeof(*state->hosts));
  for (; state->count < s->hosts; state->count++) {
    struct fleet_host *host = &state->hosts[state->count];
    memset(host, 0, sizeof(*host));
    if (st_keys_make(&host->keys, err) < 0)
      return -1;
  }
  return write_state(s, err);
}

/* ---- Tasks -------------------------------------------------------------------------------------
 */

static struct fleet_talk talk_of(struct simulator *s, struct fleet_hand *hand, uint64_t n)
{
  return (struct fleet_talk){&hand->link, s->t, &s->state.hosts[n], &hand->count,
                             s->state.first_day};
}

static int push_host(struct fleet_hand *hand, uint64_t n, struct st_error *err)
{
  struct simulator *s = hand->arg;
  struct fleet_talk talk = talk_of(s, hand, n);
  if (talk.host->number >= s->upto)
    return 0;
  if (fleet_link_open(&hand->link, &s->server, n, err) < 0)
    return -1;
  int r = fleet_push(&talk, s->upto, err);
  fleet_link_close(&hand->link);
  return r < 0 ? st_wrap(err, "host %s", talk.host->keys.host_id) : 0;
}

static int reuse_link(struct fleet_hand *hand, const struct simulator *s, uint64_t n,
                      struct st_error *err)
{
  if (hand->link.fd >= 0 && !hand->link.ended)
    return 0;
  fleet_link_close(&hand->link);
  return fleet_link_open(&hand->link, &s->server, n, err);
}

static int poll(struct fleet_hand *hand, uint64_t n, bool sign, struct st_error *err)
{
  struct simulator *s = hand->arg;
  struct fleet_talk talk = talk_of(s, hand, n % s->hosts);
  if (reuse_link(hand, s, n, err) < 0)
    return -1;
  int r = fleet_poll(&talk, sign, err);
  return r > 0 ? st_fail(err, 0, "host %s: it has something new to send", talk.host->keys.host_id)
               : r;
}

static int poll_again(struct fleet_hand *hand, uint64_t n, struct st_error *err)
{
  return poll(hand, n, false, err);
}

static int poll_signed(struct fleet_hand *hand, uint64_t n, struct st_error *err)
{
  return poll(hand, n, true, err);
}

static int poll_anew(struct fleet_hand *hand, uint64_t n, struct st_error *err)
{
  fleet_link_close(&hand->link);
  return poll(hand, n, false, err);
}

static int get(struct fleet_hand *hand, uint64_t n, struct st_error *err)
{
  struct simulator *s = hand->arg;
  ST_AUTO_ANSWER answer = {0};
  const struct fleet_request request = {.method = "GET", .target = s->target, .headers = s->header};
  if (reuse_link(hand, s, n, err) < 0 || fleet_link_call(&hand->link, &request, &answer, err) < 0)
    return -1;
  hand->count.requests++;
  if (answer.received > hand->count.most_received)
    hand->count.most_received = answer.received;
  return answer.status == s->status ? 0
                                    : st_fail(err, 0, "%s: status %u", s->target, answer.status);
}

/* As a server would take them in, one after the other. */
static int make_host(struct fleet_hand *hand, uint64_t n, struct st_error *err)
{
  struct simulator *s = hand->arg;
  struct fleet_host *host = &s->state.hosts[n];
  hand->count.checkpoints += (uint64_t)(s->upto - host->number);
  return fleet_apply(s->dir, host, s->t, s->state.first_day, s->upto, err);
}

/* The first one is the model, and was made before. */
static int clone_host(struct fleet_hand *hand, uint64_t n, struct st_error *err)
{
  struct simulator *s = hand->arg;
  struct fleet_host *host = &s->state.hosts[n];
  if (n == 0 || host->number > 0)
    return 0;
  hand->count.checkpoints += (uint64_t)s->upto;
  return fleet_clone(s->dir, host, &s->state.hosts[0], s->t, s->state.first_day, err);
}

static int make_model(struct simulator *s, struct st_error *err)
{
  struct fleet_host *model = &s->state.hosts[0];
  if (fleet_apply(s->dir, model, s->t, s->state.first_day, s->upto, err) < 0)
    return -1;
  return fleet_keep(s->dir, s->t, model, s->upto, err);
}

/* ---- What was measured -------------------------------------------------------------------------
 */

static void tell_each(struct fleet_result *r, uint64_t tasks)
{
  r->wall_s = r->median_ms / 1e3;
  r->cpu_s /= (double)tasks;
  r->server_cpu_s /= (double)tasks;
}

static json_t *result_json(const struct fleet_result *r, const char *what, uint64_t tasks)
{
  return json_pack(
      "{s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I}",
      "what", what, "tasks", (json_int_t)tasks, "wall_s", r->wall_s, "rate",
      (double)tasks / r->wall_s, "cpu_s", r->cpu_s, "server_cpu_s", r->server_cpu_s, "peak_mb",
      r->peak_mb, "others", r->others > 0 ? r->others : 0, "median_ms", r->median_ms, "p99_ms",
      r->p99_ms, "most_ms", r->most_ms, "requests", (json_int_t)r->count.requests, "signatures",
      (json_int_t)r->count.signatures, "checkpoints", (json_int_t)r->count.checkpoints, "objects",
      (json_int_t)r->count.objects, "most_sent", (json_int_t)r->count.most_sent, "most_received",
      (json_int_t)r->count.most_received);
}

static int tell(const struct simulator *s, json_t *line, struct st_error *err)
{
  json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
  putchar('\n');
  if (!s->results)
    return 0;
  ST_AUTO_FCLOSE FILE *f = fopen(s->results[0], "ae");
  json_object_set_new(line, "row", json_string(s->results[1]));
  json_object_set_new(line, "who", json_string(s->results[2]));
  json_object_set_new(line, "round", json_string(s->results[3]));
  if (!f || json_dumpf(line, f, JSON_COMPACT | JSON_REAL_PRECISION(6)) < 0 || fputc('\n', f) < 0)
    return st_fail(err, errno, "cannot write (%s)", st_quote(s->results[0]));
  return 0;
}

static int run(struct simulator *s, const char *what, fleet_task_fn *task, uint64_t tasks,
               struct st_error *err)
{
  const struct fleet_crew crew = {task, s, tasks, s->threads, s->pid};
  struct fleet_result result;
  int r = fleet_crew_run(&crew, &result, err);
  if (s->t && write_state(s, r < 0 ? NULL : err) < 0)
    return -1;
  if (r < 0)
    return -1;
  if (s->each)
    tell_each(&result, tasks);
  json_t *line = result_json(&result, what, tasks);
  r = tell(s, line, err);
  json_decref(line);
  return r;
}

/* ---- What is asked for -------------------------------------------------------------------------
 */

static int count_of(const char *text, uint64_t *ret, struct st_error *err)
{
  int64_t n = 0;
  int r = st_parse_number(text, &n, err);
  *ret = (uint64_t)n;
  return r;
}

static int prepare(struct simulator *s, const char *hosts, struct st_error *err)
{
  if (!s->template_dir || !s->state_file)
    return st_fail(err, 0, "--template and --state are needed");
  if (count_of(hosts, &s->hosts, err) < 0 || fleet_template_open(&s->t, s->template_dir, err) < 0 ||
      read_state(s, err) < 0)
    return -1;
  return need_hosts(s, err);
}

static int do_hosts(struct simulator *s, const char *what, char **args, struct st_error *err)
{
  static const struct {
    const char *what;
    fleet_task_fn *task;
  } kinds[] = {{"push", push_host},    {"poll", poll_again}, {"sign", poll_signed},
               {"connect", poll_anew}, {"make", make_host},  {"clone", clone_host}};
  uint64_t number = 0;
  bool clone = strcmp(what, "clone") == 0, in_folder = clone || strcmp(what, "make") == 0;
  bool each_host = in_folder || strcmp(what, "push") == 0;
  if (prepare(s, args[1], err) < 0 || count_of(args[2], &number, err) < 0)
    return -1;
  s->upto = (int64_t)number;
  if (each_host && s->upto > fleet_template_count(s->t))
    return st_fail(err, 0, "the template has %" PRId64 " checkpoints", fleet_template_count(s->t));
  if (in_folder)
    s->dir = open(args[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  else if (fleet_server_open(&s->server, args[0], err) < 0 || fleet_learn(&s->server, err) < 0)
    return -1;
  if (s->dir < 0)
    return st_fail(err, errno, "cannot open (%s)", st_quote(args[0]));
  if (clone && make_model(s, err) < 0)
    return -1;
  for (size_t i = 0; i < ST_COUNT(kinds); i++)
    if (strcmp(what, kinds[i].what) == 0)
      return run(s, what, kinds[i].task, each_host ? s->hosts : number, err);
  return st_fail(err, 0, "there is no %s", what);
}

static int do_get(struct simulator *s, char **args, struct st_error *err)
{
  uint64_t count = 0;
  s->target = args[2];
  if (fleet_server_open(&s->server, args[0], err) < 0 || count_of(args[1], &count, err) < 0)
    return -1;
  return run(s, "get", get, count, err);
}

static void simulator_free(struct simulator *s)
{
  if (s->t)
    fleet_template_close(s->t);
  fleet_server_close(&s->server);
  free(s->state.hosts);
  free(s->header);
}

static int usage(void)
{
  fputs("usage: fleet-simulator [OPTION...] push|poll|sign|connect|get|make|clone ...\n", stderr);
  return ST_EXIT_TROUBLE;
}

static int take_options(struct simulator *s, int argc, char **argv)
{
  static const struct option options[] = {
      {"template", 1, NULL, 't'}, {"state", 1, NULL, 's'},  {"threads", 1, NULL, 'n'},
      {"pid", 1, NULL, 'p'},      {"header", 1, NULL, 'h'}, {"status", 1, NULL, 'S'},
      {"results", 1, NULL, 'r'},  {"each", 0, NULL, 'e'},   {NULL, 0, NULL, 0}};
  for (int c; (c = getopt_long(argc, argv, "+", options, NULL)) >= 0;) {
    if (c == 't')
      s->template_dir = optarg;
    else if (c == 's')
      s->state_file = optarg;
    else if (c == 'n')
      s->threads = (unsigned)atoi(optarg);
    else if (c == 'p')
      s->pid = atol(optarg);
    else if (c == 'h')
      free(s->header), s->header = st_format("%s\r\n", optarg);
    else if (c == 'S')
      s->status = (unsigned)atoi(optarg);
    else if (c == 'e')
      s->each = true;
    else if (c == 'r' && optind + 3 <= argc)
      s->results = &argv[optind - 1], optind += 3;
    else
      return -1;
  }
  return argc - optind == 4 && s->threads > 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
  ST_CLEANUP(simulator_free)
  struct simulator s = {.threads = 8, .status = 200, .header = st_strdup("")};
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  st_digest_init();
  if (take_options(&s, argc, argv) < 0)
    return usage();
  const char *what = argv[optind];
  int r = strcmp(what, "get") == 0 ? do_get(&s, argv + optind + 1, &err)
                                   : do_hosts(&s, what, argv + optind + 1, &err);
  if (r < 0)
    fprintf(stderr, "fleet-simulator: %s\n", st_error_text(&err));
  return r < 0 ? ST_EXIT_TROUBLE : ST_EXIT_OK;
}
