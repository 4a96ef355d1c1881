/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/manager.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "restore/sources.h"
#include "restore/tools.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/process.h"
#include "systracker/base/text.h"

#define MAX_LOG (64UL << 20) /* bytes */
#define POLICY "usr/sbin/policy-rc.d"

static bool is_ours(const struct st_package_step *s)
{
  return s->manager == ST_DPKG && st_package_step_counts(s);
}

/* ---- Programs of the root -------------------------------------------------------------------- */

/* The beginning of a command that changes packages: nobody is asked anything, and what it says goes
 * to a file, so that a daemon it starts holds nothing of ours open. */
static void begin_command(struct st_strings *words, const char *log)
{
  st_tools_add(words,
               (const char *const[]){
                   "env", "DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true",
                   "APT_LISTCHANGES_FRONTEND=none", "NEEDRESTART_SUSPEND=1", "UCF_FORCE_CONFFOLD=1",
                   "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c",
                   "exec >\"$0\" 2>&1; exec \"$@\"", log, NULL});
}

static void say_log(int dir, struct st_strings *ret)
{
  ST_AUTO_BUFFER log = ST_BUFFER_INIT;
  if (st_read_file(dir, "log", MAX_LOG, &log, NULL) == 0)
    st_package_say_log(log.data, log.length, ret);
}

/* Runs it with its output in the repository's log. */
static int run_logged(const struct st_package_phase *p, const struct st_strings *command,
                      struct st_error *err)
{
  ST_AUTO_STRINGS words = {0};
  ST_AUTO_FREE char *log = st_format("%s/log", p->repository.path), *said = NULL;
  size_t length;
  begin_command(&words, log);
  for (size_t i = 0; i < command->count; i++)
    st_strings_add(&words, command->items[i]);
  return st_tools_run(p->tracker, &words, &said, &length, err);
}

/* ---- apt ------------------------------------------------------------------------------------- */

static void add_option(struct st_strings *words, char *setting)
{
  st_strings_add(words, "-o");
  st_strings_take(words, setting);
}

/* apt with nothing but our repository: neither its sources, lists and caches nor its preferences
 * are the host's.  confold: what an administrator wrote stays until the entries are put back; the
 * version of the package then lies beside it and goes with --exact. */
static void begin_apt(const struct st_package_phase *p, struct st_strings *words)
{
  static const char *const options[] = {"Dir::Etc::sourceparts=-",
                                        "Dir::Etc::preferences=/dev/null",
                                        "Dir::Etc::preferencesparts=/dev/null",
                                        "Dir::Cache::pkgcache=",
                                        "Dir::Cache::srcpkgcache=",
                                        "Acquire::Languages=none",
                                        "APT::Sandbox::User=root",
                                        "APT::Install-Recommends=false",
                                        "APT::Get::AutomaticRemove=false",
                                        "APT::Get::HideAutoRemove=true",
                                        "Dpkg::Use-Pty=0",
                                        "Dpkg::Options::=--force-confold"};
  const char *folder = p->repository.path;
  st_tools_add(words, (const char *const[]){"apt-get", "-q", "-y", "-c", NULL});
  st_strings_take(words, st_format("%s/apt.conf", folder));
  add_option(words, st_format("Dir::Etc::sourcelist=%s/sources.list", folder));
  add_option(words, st_format("Dir::State::lists=%s/lists/", folder));
  add_option(words, st_format("Dir::Cache::archives=%s/archives/", folder));
  for (size_t i = 0; i < ST_COUNT(options); i++)
    add_option(words, st_strdup(options[i]));
}

/* The step as apt-get install takes it; NULL: it is not apt's. */
static char *apt_argument(const struct st_package_step *s)
{
  ST_AUTO_FREE char *name = st_package_full_name(s->name, s->architecture);
  if (!is_ours(s) || s->kind == ST_PACKAGE_REMNANT ||
      (s->kind == ST_PACKAGE_PURGE && !s->installed))
    return NULL;
  return st_package_step_installs(s) ? st_format("%s=%s", name, s->after) : st_format("%s-", name);
}

/* False: there is nothing for apt to do. */
static bool install_command(const struct st_package_phase *p, bool simulate,
                            struct st_strings *words)
{
  const struct st_package_steps *steps = &p->journal->packages;
  size_t before, repairs = 0;
  begin_apt(p, words);
  if (simulate) { /* also of what it considered nothing is to stay */
    add_option(words, st_format("Dir::Log=%s/", p->repository.path));
    st_strings_add(words, "-s");
  }
  for (size_t i = 0; i < steps->count; i++)
    repairs += is_ours(&steps->items[i]) && steps->items[i].kind == ST_PACKAGE_REPAIR;
  if (repairs > 0)
    st_strings_add(words, "--reinstall");
  st_tools_add(words, (const char *const[]){"--allow-downgrades", "--allow-change-held-packages",
                                            "install", NULL});
  before = words->count;
  for (size_t i = 0; i < steps->count; i++) {
    char *argument = apt_argument(&steps->items[i]);
    if (argument)
      st_strings_take(words, argument);
  }
  return words->count > before;
}

/* ---- The simulation -------------------------------------------------------------------------- */

static bool is_planned(const struct st_package_phase *p, const char *name, size_t length,
                       bool installs)
{
  const struct st_package_steps *steps = &p->journal->packages;
  for (size_t i = 0; i < steps->count; i++) {
    const struct st_package_step *s = &steps->items[i];
    if (is_ours(s) && strlen(s->name) == length && memcmp(s->name, name, length) == 0 &&
        s->kind != ST_PACKAGE_REMNANT && (!installs || st_package_step_installs(s)))
      return true;
  }
  return false;
}

/* "Inst NAME[:ARCH] ...", "Remv NAME ...": what apt would do beyond the plan is a reason against
 * it.
 */
static void check_simulated(const struct st_package_phase *p, const char *line, size_t length,
                            struct st_strings *refusals)
{
  bool installs = length > 5 && memcmp(line, "Inst ", 5) == 0;
  bool removes = length > 5 && memcmp(line, "Remv ", 5) == 0;
  if (!installs && !removes)
    return;
  const char *name = line + 5;
  size_t n = 0;
  while (n < length - 5 && name[n] != ' ' && name[n] != ':')
    n++;
  if (is_planned(p, name, n, installs))
    return;
  ST_AUTO_BUFFER word = ST_BUFFER_INIT;
  st_escape(&word, name, n);
  st_strings_take(refusals, st_format("package %s: apt would %s it, which the checkpoint does not "
                                      "ask for: --packages=none leaves packages alone",
                                      word.data ? (const char *)word.data : "",
                                      installs ? "install" : "remove"));
}

static void read_simulation(const struct st_package_phase *p, struct st_strings *refusals)
{
  ST_AUTO_BUFFER log = ST_BUFFER_INIT;
  if (st_read_file(p->repository.dir, "log", MAX_LOG, &log, NULL) < 0 || log.length == 0)
    return;
  const char *at = (const char *)log.data, *end = at + log.length;
  while (at < end) {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    const char *stop = newline ? newline : end;
    check_simulated(p, at, (size_t)(stop - at), refusals);
    at = stop + 1;
  }
}

static int run_apt(const struct st_package_phase *p, const struct st_strings *words,
                   const char *what, struct st_strings *said, struct st_error *err)
{
  int status = run_logged(p, words, err);
  if (status > 0) {
    st_strings_take(said, st_format("%s ended with status %d; its last lines:", what, status));
    say_log(p->repository.dir, said);
  }
  return status;
}

static int simulate(struct st_package_phase *p, struct st_strings *refusals, struct st_error *err)
{
  ST_AUTO_STRINGS update = {0}, install = {0};
  if (!install_command(p, true, &install))
    return 0;
  begin_apt(p, &update);
  st_strings_add(&update, "update");
  int status = run_apt(p, &update, "apt, asked to read the kept package files,", refusals, err);
  if (status == 0)
    status = run_apt(p, &install, "apt's simulation", refusals, err);
  if (status == 0)
    read_simulation(p, refusals);
  return status < 0 ? -1 : 0;
}

/* ---- Preflight ------------------------------------------------------------------------------- */

static void check_architecture(const struct st_package_step *s, const char *known,
                               struct st_strings *refusals)
{
  if (strcmp(s->architecture, "all") == 0 || !known)
    return;
  size_t n = strlen(s->architecture);
  for (const char *at = known; *at; at += strcspn(at, "\n"), at += *at == '\n') {
    if (strcspn(at, "\n") == n && memcmp(at, s->architecture, n) == 0)
      return;
  }
  ST_AUTO_FREE char *why =
      st_format("it is for %s, which this system's dpkg does not know (dpkg --add-architecture)",
                s->architecture);
  st_package_refuse(refusals, s, why);
}

/* The architectures that the root's dpkg installs for, a line each. */
static int read_architectures(struct st_tracker *t, char **ret, struct st_strings *refusals)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  ST_AUTO_FREE char *own = NULL, *others = NULL;
  size_t length;
  int status = st_tools_ask(t, "dpkg", "--print-architecture", &own, &length, &why);
  if (status == 0)
    status = st_tools_ask(t, "dpkg", "--print-foreign-architectures", &others, &length, &why);
  if (status == 0) {
    *ret = st_format("%s%s", own, others);
    return 0;
  }
  st_strings_take(refusals,
                  st_format("packages cannot be put back: %s: --packages=none leaves them "
                            "alone",
                            status < 0 ? st_error_text(&why) : "dpkg does not answer"));
  return -1;
}

/* For apt's simulation alone: what the root's lists say of a file that is not there yet. */
static char *add_promised(struct st_package_phase *p, const struct st_package_step *s)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  ST_AUTO_FREE char *control = NULL;
  int r = st_sources_show(p->tracker, s, &control, &why);
  if (r == 0)
    r = st_repository_promise(&p->repository, control, s->kind != ST_PACKAGE_REMNANT, &why);
  if (r == 0)
    return NULL;
  return st_format("%s: what its own sources say of it cannot be read: %s; " ST_PACKAGES_ELSE,
                   s->after, st_error_text(&why));
}

static void add_file(struct st_package_phase *p, const struct st_packages *kept,
                     const struct st_package_step *s, struct st_strings *refusals)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  const struct st_package *file = st_package_file_of(kept, s, s->after, s->source);
  ST_AUTO_FREE char *words = NULL;
  if (!file && s->source == ST_PACKAGE_OBTAINABLE)
    words = add_promised(p, s);
  else if (!file)
    words = st_package_why_missing(s);
  else if (st_repository_add(&p->repository, kept, file, s->kind != ST_PACKAGE_REMNANT, &why) < 0)
    words = st_format("%s: %s: `systracker packages --keep FILE` keeps it anew; " ST_PACKAGES_ELSE,
                      s->after, st_error_text(&why));
  if (words)
    st_package_refuse(refusals, s, words);
}

/* What undo needs has to be there, and whole. */
static void check_undo(const struct st_packages *kept, const struct st_package_step *s,
                       struct st_strings *refusals)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (!st_package_step_loses(s))
    return;
  const struct st_package *file = st_package_file_of(kept, s, s->before, s->source_before);
  if (!file && s->source_before == ST_PACKAGE_OBTAINABLE)
    return;
  struct st_repository nowhere = ST_REPOSITORY_INIT;
  int r = file ? st_repository_add(&nowhere, kept, file, false, &why) : -1;
  st_repository_close(&nowhere);
  if (r == 0)
    return;
  ST_AUTO_FREE char *words = st_package_why_no_undo(s, file ? st_error_text(&why) : NULL);
  st_package_refuse(refusals, s, words);
}

static int check_steps(struct st_package_phase *p, const struct st_packages *kept, bool undo,
                       struct st_strings *refusals)
{
  const struct st_package_steps *steps = &p->journal->packages;
  for (size_t i = 0; i < steps->count; i++) {
    const struct st_package_step *s = &steps->items[i];
    if (is_ours(s) && st_package_step_installs(s))
      add_file(p, kept, s, refusals);
  }
  bool possible = refusals->count == 0; /* else undo is not the question yet */
  for (size_t i = 0; i < steps->count && undo && possible; i++) {
    if (is_ours(&steps->items[i]))
      check_undo(kept, &steps->items[i], refusals);
  }
  uint64_t needed = p->repository.installed;
  if (needed > 0 && p->repository.dir < 0 &&
      __builtin_add_overflow(needed, p->repository.bytes, &needed))
    needed = UINT64_MAX;
  st_package_check_space(p->tracker, needed, refusals);
  return 0;
}

static void check_architectures(struct st_package_phase *p, struct st_strings *refusals)
{
  const struct st_package_steps *steps = &p->journal->packages;
  ST_AUTO_FREE char *known = NULL;
  if (read_architectures(p->tracker, &known, refusals) < 0)
    return;
  for (size_t i = 0; i < steps->count; i++) {
    if (is_ours(&steps->items[i]) && st_package_step_installs(&steps->items[i]))
      check_architecture(&steps->items[i], known, refusals);
  }
}

/* The index is there; what changes nothing can still go wrong, which is a reason of its own. */
static int simulate_privately(struct st_package_phase *p, struct st_strings *refusals,
                              struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (st_repository_make_private(&p->repository, p->tracker->root, &why) < 0 ||
      st_repository_finish(&p->repository, &why) < 0) {
    st_strings_take(refusals,
                    st_format("%s: what apt would say cannot be told", st_error_text(&why)));
    return 0;
  }
  return simulate(p, refusals, err);
}

static int check(struct st_package_phase *p, const struct st_packages *kept, bool undo,
                 bool dry_run, struct st_strings *refusals, struct st_error *err)
{
  /* First without a copy: nothing is written where a package file is missing. */
  check_steps(p, kept, undo, refusals);
  if (refusals->count == 0)
    check_architectures(p, refusals);
  if (refusals->count > 0)
    return 0;
  if (dry_run)
    return simulate_privately(p, refusals, err);
  st_repository_close(&p->repository);
  if (st_repository_make(&p->repository, p->tracker->root, p->journal, err) < 0)
    return -1;
  check_steps(p, kept, false, refusals);
  if (refusals->count > 0)
    return 0;
  return st_repository_finish(&p->repository, err) < 0 ? -1 : simulate(p, refusals, err);
}

/* ---- Services stay as they are --------------------------------------------------------------- */

static char *policy_text(const struct st_journal *j)
{
  ST_AUTO_FREE char *mark = st_journal_beside(j);
  return st_format("#!/bin/sh\n# Put here by a restore for as long as it lasts: %s\nexit 101\n",
                   mark);
}

/* In another root than the running system's nothing is started (invoke-rc.d(8)).  What the root has
 * for it already stays. */
static int put_policy(const struct st_package_phase *p, struct st_error *err)
{
  if (p->tracker->live_root)
    return 0;
  ST_AUTO_FREE char *text = policy_text(p->journal);
  ST_AUTO_CLOSE int dir = st_open_in(p->tracker->root, "usr/sbin", O_RDONLY | O_DIRECTORY, 0);
  ST_AUTO_CLOSE int fd =
      dir < 0
          ? -1
          : openat(dir, "policy-rc.d", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755);
  if (fd < 0)
    return dir >= 0 && errno == EEXIST ? 0 : st_fail(err, errno, "cannot make " POLICY);
  if (st_write_all(fd, text, strlen(text), err) < 0 || fchmod(fd, 0755) < 0)
    return st_wrap(err, "cannot make " POLICY);
  return 0;
}

static void remove_policy(struct st_tracker *t, const struct st_journal *j)
{
  ST_AUTO_FREE char *text = policy_text(j);
  ST_AUTO_BUFFER found = ST_BUFFER_INIT;
  ST_AUTO_CLOSE int dir = st_open_in(t->root, "usr/sbin", O_RDONLY | O_DIRECTORY, 0);
  if (dir < 0 || st_read_file(dir, "policy-rc.d", 4096, &found, NULL) < 0)
    return;
  /* Ours, also when a kill cut it off. */
  if (found.length <= strlen(text) &&
      memcmp(found.data ? found.data : (void *)"", text, found.length) == 0)
    unlinkat(dir, "policy-rc.d", 0);
}

/* ---- Apply ----------------------------------------------------------------------------------- */

/* What dpkg says of packages that are not as they should be. */
static void say_audit(struct st_tracker *t, struct st_strings *problems)
{
  ST_AUTO_FREE char *said = NULL;
  size_t length;
  if (st_tools_ask(t, "dpkg", "--audit", &said, &length, NULL) < 0 || length == 0)
    return;
  st_strings_add(problems, "dpkg --audit says:");
  for (char *rest = NULL, *line = strtok_r(said, "\n", &rest); line;
       line = strtok_r(NULL, "\n", &rest)) {
    ST_AUTO_BUFFER escaped = ST_BUFFER_INIT;
    st_escape(&escaped, line, strlen(line));
    st_strings_take(problems, st_format("  %s", (const char *)escaped.data));
  }
}

static int run_step(const struct st_package_phase *p, const struct st_strings *words,
                    const char *what, struct st_strings *problems, struct st_error *err)
{
  int status = run_apt(p, words, what, problems, err);
  return status > 0 ? st_fail(err, 0, "%s failed", what) : status;
}

static int apply_apt(const struct st_package_phase *p, struct st_strings *problems,
                     struct st_error *err)
{
  ST_AUTO_STRINGS words = {0};
  if (!install_command(p, false, &words))
    return 0;
  return run_step(p, &words, "apt-get install", problems, err);
}

/* Packages that were not there at the checkpoint lose their configuration files, too. */
static int apply_purge(const struct st_package_phase *p, struct st_strings *problems,
                       struct st_error *err)
{
  const struct st_package_steps *steps = &p->journal->packages;
  ST_AUTO_STRINGS words = {0};
  st_tools_add(&words, (const char *const[]){"dpkg", "--purge", NULL});
  size_t before = words.count;
  for (size_t i = 0; i < steps->count; i++) {
    const struct st_package_step *s = &steps->items[i];
    if (is_ours(s) && s->kind == ST_PACKAGE_PURGE)
      st_strings_take(&words, st_package_full_name(s->name, s->architecture));
  }
  return words.count == before ? 0 : run_step(p, &words, "dpkg --purge", problems, err);
}

/* Its dependencies need not be there: what is to stay is its configuration files alone. */
static int apply_remnant(const struct st_package_phase *p, const struct st_package_step *s,
                         size_t file, struct st_strings *problems, struct st_error *err)
{
  ST_AUTO_STRINGS install = {0}, removal = {0};
  ST_AUTO_FREE char *name = st_repository_file(file);
  st_tools_add(&install, (const char *const[]){"dpkg", "--force-depends", "--force-confold",
                                               "--install", NULL});
  st_strings_take(&install, st_format("%s/%s", p->repository.path, name));
  st_tools_add(&removal, (const char *const[]){"dpkg", "--force-depends", "--remove", NULL});
  st_strings_take(&removal, st_package_full_name(s->name, s->architecture));
  if (run_step(p, &install, "dpkg --install", problems, err) < 0)
    return -1;
  return run_step(p, &removal, "dpkg --remove", problems, err);
}

static int apply_remnants(const struct st_package_phase *p, struct st_strings *problems,
                          struct st_error *err)
{
  const struct st_package_steps *steps = &p->journal->packages;
  size_t file = 0;
  for (size_t i = 0; i < steps->count; i++) {
    const struct st_package_step *s = &steps->items[i];
    if (!is_ours(s) || !st_package_step_installs(s))
      continue;
    if (s->kind == ST_PACKAGE_REMNANT && apply_remnant(p, s, file, problems, err) < 0)
      return -1;
    file++;
  }
  return 0;
}

static int apply(struct st_package_phase *p, struct st_strings *problems, struct st_error *err)
{
  int r = put_policy(p, err);
  if (r == 0)
    r = apply_apt(p, problems, err);
  if (r == 0)
    r = apply_purge(p, problems, err);
  if (r == 0)
    r = apply_remnants(p, problems, err);
  remove_policy(p->tracker, p->journal);
  say_audit(p->tracker, problems);
  return r;
}

/* The apt of a restore that was killed goes on without it: its end is waited for. */
static void wait_for_dpkg(struct st_tracker *t, struct st_strings *problems)
{
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  ST_AUTO_CLOSE int fd = st_open_in(t->root, "var/lib/dpkg/lock-frontend", O_RDWR, 0);
  if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
    return;
  st_strings_add(problems, "dpkg was still at work, its end was waited for");
  lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
  while (fcntl(fd, F_SETLKW, &lock) < 0 && errno == EINTR)
    ;
}

static int recover(struct st_tracker *t, const struct st_journal *j, struct st_strings *problems,
                   struct st_error *err)
{
  struct st_package_phase p = {
      .tracker = t, .journal = (struct st_journal *)j, .repository = ST_REPOSITORY_INIT};
  ST_AUTO_STRINGS words = {0};
  wait_for_dpkg(t, problems);
  remove_policy(t, j);
  if (st_repository_make(&p.repository, t->root, j, err) < 0)
    return -1;
  st_tools_add(&words, (const char *const[]){"dpkg", "--force-confold", "--configure", "-a", NULL});
  int r = put_policy(&p, err);
  if (r == 0)
    r = run_apt(&p, &words, "dpkg --configure -a", problems, err);
  remove_policy(t, j);
  st_package_phase_close(&p);
  return r < 0 ? -1 : 0; /* what it could not configure, the steps may */
}

const struct st_package_work st_apt_work = {
    .plugin = "dpkg_track",
    .table = "dpkg_track_package",
    .check = check,
    .apply = apply,
    .recover = recover,
};
