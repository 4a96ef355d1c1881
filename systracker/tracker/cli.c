/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/cli.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "systracker/base/error.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/log.h"
#include "systracker/base/process.h"

enum { OPT_CONFIG = 1000, OPT_ROOT, OPT_STORE, OPT_JSON, OPT_QUIET, OPT_VERSION };

/* The first ones choose a host and its store: an archive's program has neither. */
#define OF_A_HOST 3
static const struct st_cli_option globals[] = {
    {"config", OPT_CONFIG, "FILE", "read this configuration (and conf.d beside it)"},
    {"root", OPT_ROOT, "DIR", "look at the host whose root is DIR (needs --store)"},
    {"store", OPT_STORE, "DIR", "keep what is recorded there"},
    {"json", OPT_JSON, NULL, "print one JSON object a line"},
    {"quiet", OPT_QUIET, NULL, "print nothing but errors and what was asked for"},
    {"help", 'h', NULL, "print this"},
    {NULL, 0, NULL, NULL},
};

static void look_at_terminal(struct st_cli *cli)
{
  const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
  cli->terminal = isatty(STDOUT_FILENO);
  cli->colour = cli->terminal && !(no_colour && *no_colour) && term && strcmp(term, "dumb") != 0;
}

/* ---- Options --------------------------------------------------------------------------------- */

/* The two tables of options as getopt_long(3) wants them. */
struct options {
  const struct st_cli_option *tables[2];
  struct option *longs;
  struct st_buffer shorts;
};

static size_t count_options(const struct st_cli_option *table)
{
  size_t n = 0;
  while (table && table[n].name)
    n++;
  return n;
}

static const struct st_cli_option *globals_of(const struct st_cli *cli)
{
  return cli->of_archive ? globals + OF_A_HOST : globals;
}

static void options_init(struct options *o, const struct st_cli *cli,
                         const struct st_cli_option *own, const char *mode)
{
  *o = (struct options){.tables = {own, globals_of(cli)}};
  o->longs = st_calloc(count_options(own) + ST_COUNT(globals) + 1, sizeof(*o->longs));
  st_buffer_append_string(&o->shorts, mode);
  struct option *next = o->longs;
  for (size_t t = 0; t < ST_COUNT(o->tables); t++)
    for (const struct st_cli_option *opt = o->tables[t]; opt && opt->name; opt++) {
      *next++ = (struct option){opt->name, opt->argument ? required_argument : no_argument, NULL,
                                opt->letter};
      if (opt->letter <= 255)
        st_buffer_printf(&o->shorts, "%c%s", opt->letter, opt->argument ? ":" : "");
    }
}

static void options_free(struct options *o)
{
  free(o->longs);
  st_buffer_free(&o->shorts);
}

static const struct st_cli_option *option_of(const struct options *o, int letter)
{
  for (size_t t = 0; t < ST_COUNT(o->tables); t++)
    for (const struct st_cli_option *opt = o->tables[t]; opt && opt->name; opt++)
      if (opt->letter == letter)
        return opt;
  return NULL;
}

/* Whether the letter was one of ours; OPT_VERSION and 'h' are the callers'. */
static bool set_global(struct st_cli *cli, int letter, const char *value)
{
  switch (letter) {
  case OPT_CONFIG:
    cli->tracker.config = value;
    return true;
  case OPT_ROOT:
    cli->tracker.root = value;
    return true;
  case OPT_STORE:
    cli->tracker.store = value;
    return true;
  case OPT_JSON:
    cli->json = true;
    return true;
  case OPT_QUIET:
    cli->quiet = true;
    st_log_quiet(true);
    return true;
  default:
    return false;
  }
}

/* getopt_long said '?' or ':'. */
static int bad_option(const struct options *o, int c, const char *last, const char *who,
                      struct st_error *err)
{
  const struct st_cli_option *opt = optopt ? option_of(o, optopt) : NULL;
  if (c == ':' && opt)
    return st_fail(err, 0, "cannot read the command line: --%s needs its %s (%s)", opt->name,
                   opt->argument, who);
  if (opt)
    return st_fail(err, 0, "cannot read the command line: --%s takes no value (%s)", opt->name,
                   who);
  const char letter[] = {'-', (char)optopt, 0};
  return st_fail(err, 0, "cannot read the command line: no such option: %s (%s)",
                 st_quote(optopt ? letter : last), who);
}

int st_cli_global(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  static const struct st_cli_option version[] = {
      {"version", OPT_VERSION, NULL, "print the version"},
      {NULL, 0, NULL, NULL},
  };
  __attribute__((cleanup(options_free))) struct options o;
  options_init(&o, cli, version, "+:");
  look_at_terminal(cli);
  opterr = 0;
  optind = 0;
  int c;
  while ((c = getopt_long(argc, argv, o.shorts.data, o.longs, NULL)) != -1) {
    if (c == '?' || c == ':')
      return bad_option(&o, c, argv[optind - 1],
                        cli->of_archive ? "see systracker-archive --help" : "see systracker --help",
                        err);
    if (c == 'h')
      cli->help = true;
    else if (c == OPT_VERSION)
      cli->version = true;
    else
      set_global(cli, c, optarg);
  }
  return optind;
}

/* What one pass over a verb's arguments has found. */
struct operands {
  char **items; /* as many as argv has places */
  int count;
  bool dashes;
};

static const char *program_of(const struct st_cli_verb *verb)
{
  return verb->program ? verb->program : "systracker";
}

/* A verb of systracker's own works on one host of an archive, too. */
static const char *program_here(const struct st_cli *cli, const struct st_cli_verb *verb)
{
  return cli->of_archive ? "systracker-archive" : program_of(verb);
}

static int parse_each(struct st_cli *cli, const struct st_cli_verb *verb, const struct options *o,
                      int argc, char **argv, void *arg, struct operands *found,
                      struct st_error *err)
{
  ST_AUTO_FREE char *who = st_format("see %s %s --help", program_here(cli, verb), verb->name);
  const char *value = NULL; /* the last option's: it may be "--" itself */
  int c;
  opterr = 0;
  optind = 0;
  while ((c = getopt_long(argc, argv, o->shorts.data, o->longs, NULL)) != -1) {
    value = optarg;
    if (c == '?' || c == ':')
      return bad_option(o, c, argv[optind - 1], who, err);
    if (c == 1) {
      found->items[found->count++] = optarg;
    } else if (c == 'h') {
      st_cli_help(stdout, cli, verb);
      exit(st_cli_end(ST_EXIT_OK));
    } else if (!set_global(cli, c, optarg) && verb->set(arg, c, optarg, err) < 0) {
      return -1;
    }
  }
  found->dashes = optind > 1 && strcmp(argv[optind - 1], "--") == 0 && argv[optind - 1] != value;
  return 0;
}

int st_cli_parse(struct st_cli *cli, const struct st_cli_verb *verb, int argc, char **argv,
                 void *arg, int *ret_dashes, struct st_error *err)
{
  __attribute__((cleanup(options_free))) struct options o;
  options_init(&o, cli, verb->options, "-:");
  ST_AUTO_FREE char **items = st_calloc((size_t)argc + 1, sizeof(*items));
  struct operands found = {.items = items};
  look_at_terminal(cli);
  if (parse_each(cli, verb, &o, argc, argv, arg, &found, err) < 0)
    return -1;

  int first = optind - found.count;
  for (int i = 0; i < found.count; i++)
    argv[first + i] = found.items[i];
  if (ret_dashes)
    *ret_dashes = found.dashes ? found.count : -1;
  return first;
}

int st_cli_operands(const struct st_cli_verb *verb, int count, int least, int most,
                    struct st_error *err)
{
  if (count >= least && (most < 0 || count <= most))
    return 0;
  return st_fail(err, 0, "cannot read the command line: too %s operands: usage: %s %s%s%s",
                 count < least ? "few" : "many", program_of(verb), verb->name,
                 *verb->usage ? " " : "", verb->usage);
}

int st_cli_path(const struct st_cli *cli, const char *text, char **ret, struct st_error *err)
{
  if (*text == '/')
    return st_normal_path(text, ret, err);
  if (cli->tracker.root && strcmp(cli->tracker.root, "/") != 0)
    return st_fail(err, 0, "a path within another root must begin with / (%s)", st_quote(text));
  ST_AUTO_FREE char *cwd = getcwd(NULL, 0);
  if (!cwd)
    return st_fail(err, errno, "cannot tell the working directory");
  ST_AUTO_FREE char *full = st_format("%s/%s", cwd, text);
  return st_normal_path(full, ret, err);
}

/* ---- Help ------------------------------------------------------------------------------------ */

static void help_options(FILE *out, const struct st_cli_option *table)
{
  for (; table && table->name; table++) {
    ST_AUTO_FREE char *name = st_format("--%s%s%s", table->name, table->argument ? " " : "",
                                        table->argument ? table->argument : "");
    char letter[] = "    ";
    if (table->letter <= 255)
      memcpy(letter, (const char[]){'-', (char)table->letter, ',', ' '}, 4);
    fprintf(out, "  %s%-20s  %s\n", letter, name, table->help);
  }
}

void st_cli_help(FILE *out, const struct st_cli *cli, const struct st_cli_verb *verb)
{
  if (verb) {
    fprintf(out, "usage: %s %s%s [OPTION...]%s%s\n%s\n", program_here(cli, verb), verb->name,
            cli->of_archive && !verb->program ? " DIR HOST" : "", *verb->usage ? " " : "",
            verb->usage, verb->summary);
    if (count_options(verb->options) > 0) {
      fprintf(out, "\nOptions:\n");
      help_options(out, verb->options);
    }
    fprintf(out, "\nOptions of every verb:\n");
  }
  help_options(out, globals_of(cli));
}

/* ---- Ending, pager --------------------------------------------------------------------------- */

void st_cli_begin(void)
{
  /* The wrong way round: what is written there fails, and is not taken for written. */
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
      abort();
}

int st_cli_fail(struct st_error *err)
{
  int status = err->status ? err->status : ST_EXIT_TROUBLE;
  if (!err->message && ferror(stdout))
    return status; /* st_cli_end says it */
  const char *text = st_error_text(err);
  ST_AUTO_BUFFER line = ST_BUFFER_INIT;
  st_escape_content(&line, text, strlen(text));
  fflush(stdout);
  fprintf(stderr, "systracker: %s\n", line.data ? line.data : "");
  st_error_clear(err);
  return status;
}

int st_cli_end(int status)
{
  /* The reason is known only of what fails now; earlier ones left no more than their mark. */
  int code = fflush(stdout) != 0 ? errno : 0;
  if (code == 0 && !ferror(stdout))
    return status;
  fprintf(stderr, "systracker: cannot write the output%s%s\n", code ? ": " : "",
          code ? strerror(code) : "");
  return ST_EXIT_TROUBLE;
}

int st_cli_main(struct st_cli *cli, int argc, char **argv,
                int (*run)(struct st_cli *cli, int argc, char **argv, struct st_error *err))
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  umask(077);
  st_cli_begin();
  st_digest_init();
  int status = run(cli, argc, argv, &err);
  if (status < 0)
    status = st_cli_fail(&err);
  st_log_close();
  return st_cli_end(status);
}

pid_t st_cli_pager(const struct st_cli *cli)
{
  return cli->terminal && !cli->json ? st_pager_start() : -1;
}

void st_cli_pager_end(pid_t pid)
{
  fflush(stdout);
  if (pid > 0)
    st_pager_end(pid);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

int st_cli_json(json_t *object)
{
  int r = json_dumpf(object, stdout, JSON_COMPACT);
  json_decref(object);
  return r < 0 || putchar('\n') == EOF ? -1 : 0;
}

json_t *st_json_bytes(const void *data, size_t length)
{
  ST_AUTO_FREE char *text = st_escaped(data, length);
  return json_string(text);
}

json_t *st_json_path(const char *path)
{
  return st_json_bytes(path, strlen(path));
}

json_t *st_json_text(const char *text)
{
  return text ? st_json_path(text) : json_null();
}

json_t *st_json_words(const char *words)
{
  json_t *string = json_string(words);
  return string ? string : st_json_path(words);
}

json_t *st_json_words_each(const struct st_strings *words)
{
  json_t *array = json_array();
  for (size_t i = 0; i < words->count; i++)
    json_array_append_new(array, st_json_words(words->items[i]));
  return array;
}
