/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/tracker/transaction.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/lock.h"
#include "systracker/base/log.h"
#include "systracker/tracker/capture.h"

#define WAIT_MS 60000
#define WORDS_MAX 1000 /* bytes of a message: the rest is left out */
#define CMDLINE_MAX ((size_t)4 << 20)
#define ANCESTORS_MAX 16
#define LAUNCH_SECONDS 10
#define WAITING "waiting" /* the lock of the one who waits */
#define MASK "***"

/* ---- Words ---------------------------------------------------------------------------------- */

/* Whether what is called so may be a secret: "--setopt=lab.password", "--auth-token". */
static bool is_secret_name(const char *name, size_t length)
{
  static const char *const marks[] = {"passw",  "passphrase", "secret", "token",
                                      "apikey", "api_key",    "api-key"};
  for (size_t i = 0; i < ST_COUNT(marks); i++)
    for (size_t at = 0, n = strlen(marks[i]); at + n <= length; at++)
      if (strncasecmp(name + at, marks[i], n) == 0)
        return true;
  return false;
}

/* "NAME=VALUE", with more than one "=" perhaps: where the value of such a name begins, or NULL. */
static const char *find_secret_value(const char *word)
{
  const char *name = word;
  for (const char *s = strchr(word, '='); s; s = strchr(s + 1, '=')) {
    if (is_secret_name(name, (size_t)(s - name)))
      return s + 1;
    name = s + 1;
  }
  return NULL;
}

/* The word without its secrets.  A password may hold a "/" or an "@" that should have been escaped,
 * so all up to the last "@" goes.  malloc'ed. */
static char *masked(const char *word)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  const char *secret = find_secret_value(word);
  const char *end = secret ? secret : word + strlen(word);
  const char *address = strstr(word, "://");
  const char *at = address ? memrchr(word, '@', (size_t)(end - word)) : NULL;
  if (at && at > address) {
    st_buffer_append(&out, word, (size_t)(address + 3 - word));
    st_buffer_append_string(&out, MASK);
    word = at;
  }
  st_buffer_append(&out, word, (size_t)(end - word));
  if (secret)
    st_buffer_append_string(&out, MASK);
  return st_buffer_steal(&out, NULL);
}

static void add_word(struct st_buffer *out, const char *word)
{
  static const char plain[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@%+=:,./-_*~^";
  if (out->length > 0)
    st_buffer_append_byte(out, ' ');
  if (*word && word[strspn(word, plain)] == 0) {
    st_buffer_append_string(out, word);
    return;
  }
  st_buffer_append_byte(out, '\'');
  for (; *word; word++)
    if (*word == '\'')
      st_buffer_append_string(out, "'\\''");
    else
      st_buffer_append_byte(out, (uint8_t)*word);
  st_buffer_append_byte(out, '\'');
}

static const char *base_of(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash && slash[1] ? slash + 1 : path;
}

static bool is_interpreter(const char *program)
{
  static const char *const names[] = {"python", "perl", "ruby", "platform-python"};
  for (size_t i = 0; i < ST_COUNT(names); i++)
    if (strncmp(program, names[i], strlen(names[i])) == 0 &&
        program[strlen(names[i])] <= '9') /* python3.11 */
      return true;
  return false;
}

/* Where the program's own name is: "python3 -I /usr/bin/dnf install" is dnf's. */
static size_t first_word(const struct st_strings *words)
{
  size_t i = 0;
  if (!is_interpreter(base_of(words->items[0])))
    return 0;
  do
    i++;
  while (i < words->count && words->items[i][0] == '-');
  return i < words->count && words->items[i][0] == '/' ? i : 0;
}

static void cut(struct st_buffer *words)
{
  if (words->length <= WORDS_MAX)
    return;
  size_t n = WORDS_MAX;
  while (n > 0 && ((uint8_t)words->data[n] & 0xc0) == 0x80)
    n--; /* not within a character */
  words->length = n;
  st_buffer_append_string(words, "...");
}

char *st_command_words(const char *data, size_t length)
{
  ST_AUTO_STRINGS words = {0};
  ST_AUTO_BUFFER line = ST_BUFFER_INIT, escaped = ST_BUFFER_INIT;
  for (size_t at = 0; at < length;) {
    size_t n = strnlen(data + at, length - at);
    st_strings_take(&words, st_memdup(data + at, n));
    at += n + 1;
  }
  bool mask = false;
  for (size_t i = words.count ? first_word(&words) : 0, first = i; i < words.count; i++) {
    const char *word = words.items[i];
    ST_AUTO_FREE char *shown = mask ? st_strdup(MASK) : masked(i == first ? base_of(word) : word);
    add_word(&line, shown);
    mask = *word == '-' && !strchr(word, '=') && is_secret_name(word, strlen(word));
  }
  st_escape_message(&escaped, line.data ? line.data : "", line.length);
  cut(&escaped);
  return st_buffer_steal(&escaped, NULL);
}

/* ---- Who it is ------------------------------------------------------------------------------ */

/* A file of /proc/PID; empty where it cannot be read. */
static void read_process(pid_t pid, const char *name, struct st_buffer *out)
{
  ST_AUTO_FREE char *path = st_format("/proc/%ld/%s", (long)pid, name);
  ST_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || st_read_all(fd, CMDLINE_MAX, out, NULL) < 0)
    st_buffer_clear(out);
  st_buffer_append(out, "", 1);
  out->length--;
}

/* "PID (NAME) S PARENT ...", where NAME may hold anything (proc(5)).  0: not known. */
static pid_t parent_of(pid_t pid, bool *ret_shell)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  static const char *const shells[] = {"(sh)", "(dash)", "(bash)", "(ksh)", "(busybox)"};
  read_process(pid, "stat", &text);
  char *name = strchr(text.data, '('), *end = strrchr(text.data, ')');
  *ret_shell = false;
  if (!name || !end || end[1] != ' ' || !end[2])
    return 0;
  long parent = strtol(end + 3, NULL, 10);
  end[1] = 0;
  for (size_t i = 0; i < ST_COUNT(shells); i++)
    *ret_shell = *ret_shell || strcmp(name, shells[i]) == 0;
  return (pid_t)parent;
}

pid_t st_transaction_manager(void)
{
  pid_t pid = getppid();
  for (int i = 0; i < ANCESTORS_MAX; i++) {
    bool shell;
    pid_t parent = parent_of(pid, &shell);
    if (!shell || parent <= 1)
      break;
    pid = parent;
  }
  return pid;
}

char *st_transaction_words(pid_t pid)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  read_process(pid, "cmdline", &text);
  char *words = st_command_words(text.data, text.length);
  if (*words)
    return words;
  free(words);
  return st_strdup("a package transaction");
}

/* ---- Starting it ---------------------------------------------------------------------------- */

static bool is_systemd(void)
{
  struct stat st;
  return stat("/run/systemd/system", &st) == 0 && S_ISDIR(st.st_mode);
}

/* A unit of its own: a service that runs a package manager ends all of its processes with it.
 * systemd takes "$" for a variable's.  Not 0: it could not be. */
static int start_unit(const struct st_strings *command)
{
  ST_AUTO_STRINGS args = {0};
  ST_AUTO_FREE char *output = NULL;
  size_t length;
  static const char *const first[] = {"systemd-run", "--quiet", "--no-block", "--collect", "--"};
  for (size_t i = 0; i < ST_COUNT(first); i++)
    st_strings_add(&args, first[i]);
  for (size_t i = 0; i < command->count; i++) {
    ST_AUTO_BUFFER word = ST_BUFFER_INIT;
    for (const char *s = command->items[i]; *s; s++) {
      st_buffer_append_byte(&word, (uint8_t)*s);
      if (*s == '$')
        st_buffer_append_byte(&word, '$');
    }
    st_strings_take(&args, st_buffer_steal(&word, NULL));
  }
  return st_run(args.items, 4096, LAUNCH_SECONDS, &output, &length, NULL);
}

/* In the child: nobody's terminal, files or session. */
static void run_detached(const struct st_strings *command)
{
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  setsid();
  for (int fd = 0; fd < 3 && null >= 0; fd++)
    dup2(null, fd);
  if (syscall(SYS_close_range, 3U, ~0U, 0) < 0)
    for (int fd = 3; fd < 1024; fd++)
      close(fd);
  if (chdir("/") == 0)
    execv(command->items[0], command->items);
  _exit(127);
}

static int start_process(const struct st_strings *command, struct st_error *err)
{
  pid_t pid = fork();
  if (pid == 0)
    run_detached(command);
  return pid < 0 ? st_fail(err, errno, "cannot start %s", st_quote(command->items[0])) : 0;
}

int st_transaction_checkpoint(pid_t manager, const char *words, const char *root, const char *store,
                              struct st_error *err)
{
  ST_AUTO_STRINGS command = {0};
  ST_AUTO_FREE char *folder = st_host_bin_dir();
  st_strings_take(&command, st_format("%s/systracker", folder));
  st_strings_add(&command, "--quiet");
  st_strings_add(&command, "--config");
  st_strings_take(&command, st_host_config_file());
  const char *const given[][2] = {{"--root", root}, {"--store", store}};
  for (size_t i = 0; i < ST_COUNT(given); i++)
    if (given[i][1]) {
      st_strings_add(&command, given[i][0]);
      st_strings_add(&command, given[i][1]);
    }
  st_strings_add(&command, "checkpoint");
  st_strings_take(&command, st_format("--after=%ld", (long)manager));
  st_strings_take(&command, st_format("--message=%s", words));
  if (is_systemd() && start_unit(&command) == 0)
    return 0;
  return start_process(&command, err);
}

/* ---- Waiting ----------------------------------------------------------------------------------
 */

static void wait_for(pid_t pid)
{
  ST_AUTO_CLOSE int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  struct pollfd p = {.fd = fd, .events = POLLIN};
  while (fd >= 0 && poll(&p, 1, WAIT_MS) < 0 && errno == EINTR)
    ;
}

int st_transaction_wait(const struct st_tracker_options *options, pid_t manager,
                        struct st_error *err)
{
  ST_CLEANUP(st_capture_closep) struct st_capture *c = NULL;
  ST_AUTO_ERROR held = ST_ERROR_INIT;
  if (st_capture_open(&c, "systracker", options->config, options->store, err) < 0)
    return -1;
  if (c->store < 0)
    return st_refuse(err, "there is no store yet: systracker checkpoint makes one");
  ST_AUTO_CLOSE int lock = st_lock(c->store, WAITING, &held);
  if (lock < 0 && held.status == ST_EXIT_INCOMPLETE)
    return 1;
  if (lock < 0)
    return st_fail(err, 0, "%s", st_error_text(&held));
  wait_for(manager);
  return 0;
}

void st_transaction_missed(const struct st_tracker_options *options, const struct st_error *why)
{
  ST_CLEANUP(st_capture_closep) struct st_capture *c = NULL;
  if (st_capture_open(&c, "systracker", options->config, options->store, NULL) >= 0)
    st_log(ST_LOG_INFO, "no checkpoint after the transaction: %s", st_error_text(why));
}
