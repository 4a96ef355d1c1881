/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/units.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/set.h"
#include "systracker/plugin.h"

#define MOST ((size_t)16 << 20) /* bytes that systemctl, or a file of /proc, may have to say */
#define ASK_SECONDS 60
#define RESTART_SECONDS 300 /* systemd itself gives up on most services after 90 */

void st_units_free(struct st_units *u)
{
  for (size_t i = 0; i < u->count; i++) {
    free(u->items[i].id);
    free(u->items[i].fragment);
    free(u->items[i].group);
    st_strings_free(&u->items[i].files);
  }
  free(u->items);
  *u = (struct st_units){0};
}

bool st_units_are_here(void)
{
  return access("/run/systemd/system", F_OK) == 0;
}

/* ---- What systemctl says --------------------------------------------------------------------- */

/* A block while it is read. */
struct block {
  struct st_unit unit;
  bool runs;
};

/* Absolute paths in a value: its words, or what stands behind a "=" in one; "/etc/app;" is
 * /etc/app. */
static void add_paths(struct st_strings *to, const char *value)
{
  while (*value) {
    size_t n = strcspn(value, " \t\"';");
    const char *word = value, *path = memchr(value, '=', n);
    if (*word != '/')
      word = path && path[1] == '/' ? path + 1 : NULL;
    if (word) {
      ST_AUTO_FREE char *text = st_memdup(word, (size_t)(value + n - word));
      if (!st_strings_has(to, text))
        st_strings_add(to, text);
    }
    value += n + (value[n] != 0);
  }
}

static void set_text(char **to, const char *value)
{
  free(*to);
  *to = st_strdup(value);
}

static void set_number(int64_t *to, const char *value)
{
  char *end;
  errno = 0;
  long long n = strtoll(value, &end, 10);
  *to = errno == 0 && *end == 0 && n > 0 ? n : 0;
}

static void take_property(struct block *b, const char *key, const char *value)
{
  static const char *const with_paths[] = {"FragmentPath", "SourcePath",       "DropInPaths",
                                           "ExecStart",    "EnvironmentFiles", "ExecStartPre",
                                           "ExecStartPost"};
  struct st_unit *u = &b->unit;
  if (strcmp(key, "Id") == 0)
    set_text(&u->id, value);
  else if (strcmp(key, "FragmentPath") == 0)
    set_text(&u->fragment, value);
  else if (strcmp(key, "ControlGroup") == 0)
    set_text(&u->group, value);
  else if (strcmp(key, "MainPID") == 0)
    set_number(&u->pid, value);
  else if (strcmp(key, "ActiveEnterTimestampMonotonic") == 0)
    set_number(&u->since_usec, value);
  else if (strcmp(key, "SubState") == 0)
    b->runs = strcmp(value, "running") == 0 || strcmp(value, "reload") == 0;
  else if (strncmp(key, "RefuseManual", 12) == 0)
    u->manual |= strcmp(value, "yes") == 0;
  for (size_t i = 0; i < ST_COUNT(with_paths); i++)
    if (strcmp(key, with_paths[i]) == 0)
      add_paths(&u->files, value);
}

static void end_block(struct block *b, struct st_units *ret)
{
  struct st_unit *u = &b->unit;
  if (b->runs && u->id && *u->id) {
    u->fragment = u->fragment ? u->fragment : st_strdup("");
    u->group = u->group ? u->group : st_strdup("");
    ret->items = st_realloc(ret->items, ret->count + 1, sizeof(*ret->items));
    ret->items[ret->count++] = *u;
  } else {
    struct st_units none = {st_memdup(u, sizeof(*u)), 1};
    st_units_free(&none);
  }
  *b = (struct block){0};
}

void st_units_parse(const char *text, struct st_units *ret)
{
  struct block b = {0};
  while (*text) {
    size_t n = strcspn(text, "\n");
    ST_AUTO_FREE char *line = st_memdup(text, n);
    char *equals = strchr(line, '=');
    if (n == 0)
      end_block(&b, ret);
    if (equals) {
      *equals = 0;
      take_property(&b, line, equals + 1);
    }
    text += n + (text[n] != 0);
  }
  end_block(&b, ret);
}

/* systemctl's end other than 0 is an error; `last` is the unit it was about, or NULL. */
static int run_systemctl(const char *const words[], unsigned seconds, const char *last, char **ret,
                         struct st_error *err)
{
  const char *argv[8] = {"systemctl", "--no-pager"};
  size_t n = 2, length;
  for (; *words && n < ST_COUNT(argv) - 2; words++)
    argv[n++] = *words;
  argv[n] = last;
  int status = st_run((char *const *)argv, MOST, seconds, ret, &length, err);
  if (status == 0)
    return 0;
  return status < 0 ? -1 : st_fail(err, 0, "systemctl %s ended with status %d", argv[2], status);
}

int st_units_ask(struct st_units *ret, struct st_error *err)
{
  ST_AUTO_FREE char *said = NULL;
  if (run_systemctl((const char *const[]){"show", "--all", "--property",
                                          "Id,SubState,FragmentPath,SourcePath,DropInPaths,"
                                          "ExecStart,ExecStartPre,ExecStartPost,EnvironmentFiles,"
                                          "ControlGroup,MainPID,ActiveEnterTimestampMonotonic,"
                                          "RefuseManualStart,RefuseManualStop",
                                          NULL},
                    ASK_SECONDS, "*.service", &said, err) < 0)
    return st_wrap(err, "cannot tell which services run");
  st_units_parse(said, ret);
  return 0;
}

/* ---- What is left alone ---------------------------------------------------------------------- */

const char *st_unit_stays(const struct st_unit *u, const char *own_group)
{
  static const struct {
    const char *pattern, *why;
  } stay[] = {
      {"dbus.service", "what talks over the bus would lose it: restart the machine"},
      {"dbus-broker.service", "what talks over the bus would lose it: restart the machine"},
      {"systemd-logind.service", "sessions hang on it: restart the machine"},
      {"user@*.service", "it holds a user's session"},
      {"*getty@*.service", "it holds a user's session"},
      {"console-getty.service", "it holds a user's session"},
      {"display-manager.service", "it holds users' sessions"},
      {"gdm*.service", "it holds users' sessions"},
      {"sddm.service", "it holds users' sessions"},
      {"lightdm.service", "it holds users' sessions"},
  };
  for (size_t i = 0; i < ST_COUNT(stay); i++)
    if (fnmatch(stay[i].pattern, u->id, 0) == 0)
      return stay[i].why;
  if (u->manual)
    return "systemd does not let it be restarted by hand";
  size_t n = strlen(u->group);
  if (n > 1 && strncmp(own_group, u->group, n) == 0 && (own_group[n] == 0 || own_group[n] == '/'))
    return "this restore runs in it";
  return NULL;
}

/* "0::/PATH" (one hierarchy), "N:name=systemd:/PATH". */
char *st_units_own_group(void)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  ST_AUTO_FREE char *found = st_strdup("");
  if (st_read_file(AT_FDCWD, "/proc/self/cgroup", MOST, &text, NULL) < 0 || !text.data)
    return st_steal(&found);
  for (const char *line = text.data; *line;) {
    size_t n = strcspn(line, "\n");
    const char *colon = memchr(line, ':', n);
    bool v2 = n > 3 && strncmp(line, "0::", 3) == 0 && !*found;
    bool v1 = colon && strncmp(colon, ":name=systemd:", 14) == 0;
    if (v1 || v2) {
      const char *path = v1 ? colon + 14 : line + 3;
      free(found);
      found = st_memdup(path, (size_t)(line + n - path));
    }
    line += n + (line[n] != 0);
  }
  return st_steal(&found);
}

/* ---- Processes ------------------------------------------------------------------------------- */

/* "ADDRESS PERMS OFFSET DEVICE INODE     PATH"; of a file that is gone the path ends with
 * " (deleted)". */
static void parse_maps(const char *text, struct st_set *seen, struct st_strings *ret,
                       struct st_strings *ret_gone)
{
  static const char gone[] = " (deleted)";
  const size_t ending = sizeof(gone) - 1;
  while (*text) {
    size_t n = strcspn(text, "\n");
    const char *path = memchr(text, '/', n);
    size_t length = path ? (size_t)(text + n - path) : 0;
    bool is_gone = length > ending && memcmp(path + length - ending, gone, ending) == 0;
    if (length > 0 && st_set_add(seen, path, length, 0))
      st_strings_take(is_gone ? ret_gone : ret, st_memdup(path, length - (is_gone ? ending : 0)));
    text += n + (text[n] != 0);
  }
}

void st_units_parse_maps(const char *text, struct st_strings *ret, struct st_strings *ret_gone)
{
  ST_CLEANUP(st_set_freep) struct st_set *seen = st_set_new();
  parse_maps(text, seen, ret, ret_gone);
}

static void read_maps(int64_t pid, struct st_set *seen, struct st_strings *ret,
                      struct st_strings *ret_gone)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  ST_AUTO_FREE char *name = st_format("/proc/%lld/maps", (long long)pid);
  if (st_read_file(AT_FDCWD, name, MOST, &text, NULL) == 0 && text.data)
    parse_maps(text.data, seen, ret, ret_gone);
}

/* The processes of a control group, wherever systemd's hierarchy is mounted. */
static void read_group(const char *group, struct st_buffer *ret)
{
  static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/systemd",
                                       "/sys/fs/cgroup/unified"};
  for (size_t i = 0; *group && i < ST_COUNT(mounts); i++) {
    ST_AUTO_FREE char *name = st_format("%s%s/cgroup.procs", mounts[i], group);
    st_buffer_clear(ret);
    if (st_read_file(AT_FDCWD, name, MOST, ret, NULL) == 0)
      return;
  }
}

void st_unit_mapped(const struct st_unit *u, struct st_strings *ret, struct st_strings *ret_gone)
{
  ST_CLEANUP(st_set_freep) struct st_set *seen = st_set_new();
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  read_group(u->group, &list);
  if (u->pid > 0)
    st_buffer_printf(&list, "%lld\n", (long long)u->pid);
  for (const char *line = list.data ? list.data : ""; *line;) {
    size_t n = strcspn(line, "\n");
    int64_t pid = 0;
    ST_AUTO_FREE char *word = st_memdup(line, n);
    set_number(&pid, word);
    if (pid > 0)
      read_maps(pid, seen, ret, ret_gone);
    line += n + (line[n] != 0);
  }
}

/* ---- Acting ---------------------------------------------------------------------------------- */

int st_units_reload(struct st_error *err)
{
  ST_AUTO_FREE char *said = NULL;
  if (run_systemctl((const char *const[]){"daemon-reload", NULL}, RESTART_SECONDS, NULL, &said,
                    err) < 0)
    return st_wrap(err, "systemd did not read its units again");
  return 0;
}

int st_unit_restart(const struct st_unit *u, struct st_error *err)
{
  ST_AUTO_FREE char *said = NULL, *state = NULL;
  if (run_systemctl((const char *const[]){"try-restart", "--", NULL}, RESTART_SECONDS, u->id, &said,
                    err) < 0 ||
      run_systemctl((const char *const[]){"is-active", "--", NULL}, ASK_SECONDS, u->id, &state,
                    err) < 0)
    return st_wrap(err, "%s was not restarted, `journalctl -u %s` may say why", st_quote(u->id),
                   st_quote(u->id));
  return 0;
}
