/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <rpm/rpmdb.h>
#include <rpm/rpmfiles.h>
#include <rpm/rpmlib.h>
#include <rpm/rpmlog.h>
#include <rpm/rpmmacro.h>
#include <rpm/rpmpgp.h>
#include <rpm/rpmps.h>
#include <rpm/rpmte.h>
#include <rpm/rpmts.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/tracker/rpmrequest.h"
#include "plugins/rpm_track/rpm/leftover.h"
#include "plugins/rpm_track/rpm/verbs.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/process.h"

#define MAX_REQUEST ((size_t)64 << 20)
/* An older version, and the same once more, are what is wanted. */
#define FILTER (RPMPROB_FILTER_OLDPACKAGE | RPMPROB_FILTER_REPLACEPKG)

struct job {
  struct st_rpm_request request;
  Header *headers;    /* of the steps' package files; NULL: none */
  bool *taken;        /* the steps that are part of the transaction */
  const char **files; /* the package file that is taken, of each */
  struct st_buffer *answer;
  rpmts ts;
  FD_t opened; /* the package file that librpm is reading */
  size_t refused;
};

static void job_free(struct job *j)
{
  for (size_t i = 0; j->headers && i < j->request.count; i++)
    headerFree(j->headers[i]);
  free(j->headers);
  free(j->taken);
  free(j->files);
  st_rpm_request_free(&j->request);
  if (j->ts)
    rpmtsFree(j->ts);
}
#define AUTO_JOB ST_CLEANUP(job_free) struct job

static void refuse(struct job *j, enum st_rpm_said what, size_t step, const char *text)
{
  st_rpm_say(j->answer, what, step, text);
  j->refused++;
}

static bool installs(const struct st_rpm_step *s)
{
  return s->kind <= ST_RPM_STEP_REINSTALL;
}

/* ---- The root -------------------------------------------------------------------------------- */

static bool is_own_root(void)
{
  struct stat a, b;
  return fstat(RPM_ROOT_FD, &a) == 0 && stat("/", &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

/* The root becomes ours, and scriptlets find /proc and /dev in it.  Of another root's plug-ins of
 * librpm none is loaded; of the running system's all but SysTracker's own, whose work this is. */
static int enter(struct st_error *err)
{
  bool own = is_own_root();
  if (rpmReadConfigFiles(NULL, NULL) != 0)
    return st_fail(err, 0, "cannot read rpm's configuration");
  rpmPushMacro(NULL, "__transaction_systracker", NULL, "%{nil}", RMIL_CMDLINE);
  /* The digests, of whatever age the keys are: the package files were proved to be those that were
   * installed. */
  rpmPushMacro(NULL, "_pkgverify_level", NULL, "digest", RMIL_CMDLINE);
  if (own)
    return 0;
  rpmPushMacro(NULL, "__plugindir", NULL, "/nowhere", RMIL_CMDLINE);
  setenv("SYSTEMD_OFFLINE", "1", 1);
  return st_enter_root(RPM_ROOT_FD, err);
}

/* For a test it is opened for reading alone, and nothing beside it is made. */
static int open_database(struct job *j, const struct rpm_call *call, bool write,
                         struct st_error *err)
{
  ST_AUTO_RPM_DATABASE db = {0};
  int r = rpm_database_find(call->argc > 2 ? call->argv[2] : NULL, &db, err);
  if (r != 0)
    return r < 0 ? -1 : st_fail(err, 0, "there is no rpm database");
  if (!write)
    return rpm_database_read(&db, call->words, &j->ts, err);
  rpm_database_use(&db);
  j->ts = rpmtsCreate();
  rpmtsSetRootDir(j->ts, "/");
  rpmtsSetVSFlags(j->ts, RPMVSF_MASK_NOSIGNATURES);
  return 0;
}

/* ---- Package files --------------------------------------------------------------------------- */

static FD_t open_file(const char *path)
{
  ST_AUTO_CLOSE int fd = openat(ST_RPM_PACKAGES_FD, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 ? NULL : fdDup(fd);
}

/* NULL: it cannot be read. */
static Header read_header(struct job *j, const char *path)
{
  Header h = NULL;
  FD_t fd = open_file(path);
  rpmRC rc = fd ? rpmReadPackageFile(j->ts, fd, path, &h) : RPMRC_FAIL;
  if (fd)
    Fclose(fd);
  if (rc == RPMRC_OK || rc == RPMRC_NOTTRUSTED || rc == RPMRC_NOKEY)
    return h;
  headerFree(h);
  return NULL;
}

static bool is_text(Header h, rpmTagVal tag, const char *wanted)
{
  ST_AUTO_FREE char *text = headerGetAsString(h, tag);
  return strcmp(text ? text : "", wanted) == 0;
}

/* No epoch is epoch 0. */
static bool same_version(const char *a, const char *b)
{
  a += strncmp(a, "0:", 2) == 0 ? 2 : 0;
  b += strncmp(b, "0:", 2) == 0 ? 2 : 0;
  return strcmp(a, b) == 0;
}

static bool is_version(Header h, const char *wanted)
{
  ST_AUTO_FREE char *version = headerGetAsString(h, RPMTAG_EVR);
  return same_version(version ? version : "", wanted);
}

static bool is_package(Header h, const char *name, const char *version, const char *architecture)
{
  return is_text(h, RPMTAG_NAME, name) && is_version(h, version) &&
         is_text(h, RPMTAG_ARCH, architecture);
}

static void say_size(struct job *j, size_t step, Header h)
{
  rpm_loff_t size = headerGetNumber(h, RPMTAG_LONGSIZE);
  if (size == 0)
    size = headerGetNumber(h, RPMTAG_SIZE);
  ST_AUTO_FREE char *text = st_format("%llu", (unsigned long long)size);
  st_rpm_say(j->answer, ST_RPM_SAID_SIZE, step, text);
}

/* The first of the step's files that is the package, and that build of it. */
static void find_file(struct job *j, size_t step)
{
  const struct st_rpm_step *s = &j->request.items[step];
  const char *why = "no package file is kept";
  for (size_t i = 0; i < s->files.count; i++) {
    Header h = read_header(j, s->files.items[i]);
    if (!h)
      why = "its kept file is damaged or cut off";
    else if (!is_package(h, s->name, s->after, s->architecture))
      why = "its kept file is another package than its name says";
    else if (*s->digest && !is_text(h, RPMTAG_SHA256HEADER, s->digest))
      why = "its kept file is of another build than the one that was installed";
    else {
      say_size(j, step, h);
      j->headers[step] = h;
      j->files[step] = s->files.items[i];
      return;
    }
    headerFree(h);
  }
  refuse(j, ST_RPM_SAID_FILE, step, why);
}

static void check_key(struct job *j, size_t step)
{
  uint8_t *packet = NULL;
  size_t length;
  if (pgpParsePkts(j->request.items[step].key, &packet, &length) != PGPARMOR_PUBKEY)
    refuse(j, ST_RPM_SAID_FILE, step, "it is not kept as a public key");
  free(packet);
}

static void find_files(struct job *j)
{
  size_t count = j->request.count;
  j->headers = st_calloc(count + 1, sizeof(Header));
  j->files = st_calloc(count + 1, sizeof(char *));
  j->taken = st_calloc(count + 1, sizeof(bool));
  for (size_t i = 0; i < count; i++) {
    const struct st_rpm_step *s = &j->request.items[i];
    if (installs(s) || s->kind == ST_RPM_STEP_PROVE)
      find_file(j, i);
    else if (s->kind == ST_RPM_STEP_IMPORT)
      check_key(j, i);
    j->taken[i] = !s->optional && s->kind != ST_RPM_STEP_PROVE;
  }
}

/* ---- The transaction ------------------------------------------------------------------------- */

/* How many of that name are installed: an upgrade takes the place of all of them. */
static int count_installed(struct job *j, const char *name)
{
  rpmdbMatchIterator mi = rpmtsInitIterator(j->ts, RPMDBI_NAME, name, 0);
  int n = mi ? rpmdbGetIteratorCount(mi) : 0;
  rpmdbFreeIterator(mi);
  return n;
}

/* All of exactly that name, version and architecture. */
static int add_erase(struct job *j, const char *name, const char *version, const char *architecture,
                     struct st_error *err)
{
  rpmdbMatchIterator mi = rpmtsInitIterator(j->ts, RPMDBI_NAME, name, 0);
  int found = 0, r = 0;
  for (Header h; r == 0 && (h = rpmdbNextIterator(mi));) {
    if (!is_package(h, name, version, architecture))
      continue;
    found++;
    if (rpmtsAddEraseElement(j->ts, h, -1) != 0)
      r = st_fail(err, 0, "rpm does not take it into a transaction (%s)", st_quote(name));
  }
  rpmdbFreeIterator(mi);
  if (r == 0 && found == 0)
    return st_fail(err, 0, "rpm does not know it any more (%s)", st_quote(name));
  return r;
}

static int add_step(struct job *j, size_t step, struct st_error *err)
{
  struct st_rpm_step *s = &j->request.items[step];
  Header h = j->headers[step];
  bool alone = s->kind == ST_RPM_STEP_UPGRADE && count_installed(j, s->name) == 1;
  int r = 0;
  if (s->kind == ST_RPM_STEP_ERASE)
    return add_erase(j, s->name, s->before, s->architecture, err);
  if (s->kind == ST_RPM_STEP_REINSTALL)
    r = rpmtsAddReinstallElement(j->ts, h, s);
  else if (installs(s))
    r = rpmtsAddInstallElement(j->ts, h, s, alone, NULL);
  if (r != 0)
    return st_fail(err, 0, "rpm does not take it into a transaction (%s)", st_quote(s->name));
  if (s->kind == ST_RPM_STEP_UPGRADE && !alone)
    return add_erase(j, s->name, s->before, s->architecture, err);
  return 0;
}

/* What is installed comes first: what it replaces is then known to be replaced. */
static int add_steps(struct job *j, struct st_error *err)
{
  rpmtsEmpty(j->ts);
  for (int erases = 0; erases < 2; erases++) {
    for (size_t i = 0; i < j->request.count; i++) {
      bool erase = j->request.items[i].kind == ST_RPM_STEP_ERASE;
      if (j->taken[i] && erase == (bool)erases && add_step(j, i, err) < 0)
        return -1;
    }
  }
  return 0;
}

/* Whether a step says that this package goes. */
static bool is_planned(const struct job *j, rpmte te)
{
  const char *architecture = rpmteA(te) ? rpmteA(te) : "";
  for (size_t i = 0; i < j->request.count; i++) {
    const struct st_rpm_step *s = &j->request.items[i];
    if (j->taken[i] && s->kind != ST_RPM_STEP_INSTALL && strcmp(s->name, rpmteN(te)) == 0 &&
        strcmp(s->architecture, architecture) == 0 && same_version(s->before, rpmteEVR(te)))
      return true;
  }
  return false;
}

static void find_beyond(struct job *j)
{
  for (int i = 0; i < rpmtsNElements(j->ts); i++) {
    rpmte te = rpmtsElement(j->ts, i);
    if (rpmteType(te) != TR_REMOVED || is_planned(j, te))
      continue;
    ST_AUTO_FREE char *text = st_format("package %s: rpm would remove it, which the checkpoint "
                                        "does not ask for",
                                        rpmteNEVRA(te));
    refuse(j, ST_RPM_SAID_BEYOND, ST_RPM_NO_STEP, text);
  }
}

/* The package comes first, as in every other reason. */
static void say_problems(struct job *j, enum st_rpm_said what)
{
  rpmps problems = rpmtsProblems(j->ts);
  rpmpsi at = rpmpsInitIterator(problems);
  for (rpmProblem p; (p = rpmpsiNext(at));) {
    char *words = rpmProblemString(p);
    ST_AUTO_FREE char *text = st_format("package %s: %s", rpmProblemGetPkgNEVR(p), words);
    free(words);
    refuse(j, what, ST_RPM_NO_STEP, text);
  }
  rpmpsFreeIterator(at);
  rpmpsFree(problems);
}

static void *notify(const void *arg, rpmCallbackType what, rpm_loff_t amount, rpm_loff_t total,
                    fnpyKey key, rpmCallbackData data)
{
  (void)amount;
  struct job *j = data;
  const struct st_rpm_step *s = key;
  Header h = (Header)arg;
  const char *failed = what == RPMCALLBACK_UNPACK_ERROR || what == RPMCALLBACK_CPIO_ERROR
                           ? "its files could not be put in place"
                       : what == RPMCALLBACK_SCRIPT_ERROR && total != RPMRC_OK
                           ? "its scriptlet failed"
                           : NULL;
  if (what == RPMCALLBACK_INST_OPEN_FILE && s)
    return j->opened = open_file(j->files[s - j->request.items]);
  if (what == RPMCALLBACK_INST_CLOSE_FILE && j->opened) {
    Fclose(j->opened);
    j->opened = NULL;
  }
  if (failed && h) {
    char *name = headerGetAsString(h, RPMTAG_NEVRA);
    ST_AUTO_FREE char *text = st_format("package %s: %s", name, failed);
    free(name);
    refuse(j, ST_RPM_SAID_FAILED, ST_RPM_NO_STEP, text);
  }
  return NULL;
}

static int run(struct job *j, rpmtransFlags flags)
{
  rpmtsSetFlags(j->ts, flags);
  rpmtsSetNotifyCallback(j->ts, notify, j);
  FD_t log = fdDup(STDERR_FILENO);
  rpmtsSetScriptFd(j->ts, log);
  int r = rpmtsRun(j->ts, NULL, FILTER);
  rpmtsSetScriptFd(j->ts, NULL);
  Fclose(log);
  if (r > 0)
    say_problems(j, ST_RPM_SAID_PROBLEM);
  if (r != 0 && j->refused == 0)
    refuse(j, ST_RPM_SAID_PROBLEM, ST_RPM_NO_STEP, "rpm could not carry the transaction out");
  return r;
}

/* ---- What is optional ------------------------------------------------------------------------ */

static bool take(struct job *j, size_t step)
{
  if (j->taken[step] || !j->request.items[step].optional)
    return false;
  ST_AUTO_FREE char *text = st_strdup("");
  st_rpm_say(j->answer, ST_RPM_SAID_NEEDED, step, text);
  return j->taken[step] = true;
}

/* Whether the package has what is asked for. */
static bool provides(Header h, const char *wanted)
{
  size_t n = strcspn(wanted, " ");
  ST_AUTO_FREE char *name = st_memdup(wanted, n);
  rpmds provided = rpmdsNew(h, RPMTAG_PROVIDENAME, 0);
  bool found = false;
  while (rpmdsNext(provided) >= 0)
    found |= strcmp(rpmdsN(provided), name) == 0;
  rpmdsFree(provided);
  return found;
}

/* Whether the step changes the package that the problem names, or brings what it lacks. */
static bool helps(const struct job *j, size_t step, rpmProblem p)
{
  const struct st_rpm_step *s = &j->request.items[step];
  const char *named[] = {rpmProblemGetAltNEVR(p), rpmProblemGetPkgNEVR(p)};
  size_t n = strlen(s->name);
  for (size_t i = 0; i < ST_COUNT(named); i++) {
    if (named[i] && strncmp(named[i], s->name, n) == 0 && named[i][n] == '-' &&
        strncmp(named[i] + n + 1, s->before, strcspn(s->before, ":")) == 0)
      return true;
  }
  const char *wanted = rpmProblemGetStr(p);
  return rpmProblemGetType(p) == RPMPROB_REQUIRES && wanted && j->headers[step] &&
         provides(j->headers[step], wanted);
}

/* Takes what resolves the problems; false: nothing does. */
static bool take_needed(struct job *j)
{
  rpmps problems = rpmtsProblems(j->ts);
  rpmpsi at = rpmpsInitIterator(problems);
  bool some = false;
  for (rpmProblem p; (p = rpmpsiNext(at));) {
    for (size_t i = 0; i < j->request.count; i++) {
      if (helps(j, i, p))
        some |= take(j, i);
    }
  }
  rpmpsFreeIterator(at);
  rpmpsFree(problems);
  return some;
}

static int count_problems(struct job *j)
{
  rpmps problems = rpmtsProblems(j->ts);
  int n = rpmpsNumProblems(problems);
  rpmpsFree(problems);
  return n;
}

/* Each round takes at least one more of what is optional. */
static int resolve(struct job *j, struct st_error *err)
{
  do {
    if (add_steps(j, err) < 0)
      return -1;
    rpmtsCheck(j->ts);
  } while (count_problems(j) > 0 && take_needed(j));
  find_beyond(j);
  say_problems(j, ST_RPM_SAID_PROBLEM);
  return 0;
}

/* ---- Copies of configuration files ----------------------------------------------------------- */

/* Of all packages that come or go, the configuration files. */
static void list_configurations(const struct job *j, struct st_strings *ret)
{
  for (int i = 0; i < rpmtsNElements(j->ts); i++) {
    rpmfiles files = rpmteFiles(rpmtsElement(j->ts, i));
    for (int k = 0; k < (int)rpmfilesFC(files); k++) {
      char *path = rpmfilesFFlags(files, k) & RPMFILE_CONFIG ? rpmfilesFN(files, k) : NULL;
      if (path && !st_strings_has(ret, path))
        st_strings_add(ret, path);
      free(path);
    }
    rpmfilesFree(files);
  }
}

static void say_left(struct job *j, const struct st_strings *configurations)
{
  static const char *const suffixes[] = {".rpmnew", ".rpmsave", ".rpmorig"};
  for (size_t i = 0; i < configurations->count; i++) {
    for (size_t k = 0; k < ST_COUNT(suffixes); k++) {
      struct stat st;
      ST_AUTO_FREE char *path = st_format("%s%s", configurations->items[i], suffixes[k]);
      if (lstat(path, &st) == 0)
        st_rpm_say(j->answer, ST_RPM_SAID_LEFT, ST_RPM_NO_STEP, path);
    }
  }
}

/* ---- Public keys ----------------------------------------------------------------------------- */

static void import_keys(struct job *j)
{
  for (size_t i = 0; i < j->request.count; i++) {
    uint8_t *packet = NULL;
    size_t length;
    if (j->request.items[i].kind != ST_RPM_STEP_IMPORT)
      continue;
    bool done = pgpParsePkts(j->request.items[i].key, &packet, &length) == PGPARMOR_PUBKEY &&
                rpmtsImportPubkey(j->ts, packet, length) == RPMRC_OK;
    free(packet);
    if (!done)
      refuse(j, ST_RPM_SAID_FAILED, i, "rpm does not take the public key");
  }
}

/* ---- Recovery -------------------------------------------------------------------------------- */

/* The one that was put there first of two that are the same goes, in the database alone: a
 * reinstallation was killed between its two halves. */
static int drop_twins(struct job *j, struct st_error *err)
{
  ST_AUTO_STRINGS seen = {0};
  int dropped = 0;
  rpmtsEmpty(j->ts);
  rpmdbMatchIterator mi = rpmtsInitIterator(j->ts, RPMDBI_PACKAGES, NULL, 0);
  for (Header h; (h = rpmdbNextIterator(mi));) {
    char *name = headerGetAsString(h, RPMTAG_NEVRA);
    bool twin = st_strings_has(&seen, name) && rpmtsAddEraseElement(j->ts, h, -1) == 0;
    if (twin) {
      ST_AUTO_FREE char *text = st_format("package %s was in the database twice", name);
      st_rpm_say(j->answer, ST_RPM_SAID_NOTE, ST_RPM_NO_STEP, text);
      dropped++;
    }
    st_strings_add(&seen, name);
    free(name);
  }
  rpmdbFreeIterator(mi);
  if (dropped == 0)
    return 0;
  int r = run(j, RPMTRANS_FLAG_JUSTDB | RPMTRANS_FLAG_NOSCRIPTS | RPMTRANS_FLAG_NOTRIGGERS);
  return r == 0 ? 0 : st_fail(err, 0, "rpm's database has packages twice, and keeps them so");
}

/* Berkeley DB's environment names locks of processes that are gone. */
static void remove_environment(void)
{
  ST_AUTO_FREE char *folder = rpmExpand("%{_dbpath}", NULL);
  for (int i = 0; i < 10; i++) {
    ST_AUTO_FREE char *path = st_format("%s/__db.%03d", folder, i);
    unlink(path);
  }
}

/* The end of a transaction that still runs: librpm itself waits only on a terminal. */
static void wait_for_rpm(struct job *j)
{
  ST_AUTO_FREE char *path = rpmExpand("%{?_rpmlock_path}", NULL);
  ST_AUTO_CLOSE int fd = *path ? open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC) : -1;
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (fd < 0 || fcntl(fd, F_SETLK, &lock) == 0)
    return;
  st_rpm_say(j->answer, ST_RPM_SAID_NOTE, ST_RPM_NO_STEP,
             "rpm was still at work, its end was waited for");
  while (fcntl(fd, F_SETLKW, &lock) < 0 && errno == EINTR)
    ;
}

/* Of the packages that were to come or go: what is installed of them, and the package files. */
static void drop_leftovers(struct job *j)
{
  ST_AUTO_RPM_PLACES places = {0};
  for (size_t i = 0; i < j->request.count; i++) {
    const struct st_rpm_step *s = &j->request.items[i];
    rpmdbMatchIterator mi = rpmtsInitIterator(j->ts, RPMDBI_NAME, s->name, 0);
    for (Header h; (h = rpmdbNextIterator(mi));)
      rpm_places_add(&places, h);
    rpmdbFreeIterator(mi);
    for (size_t k = 0; k < s->files.count; k++) {
      Header h = read_header(j, s->files.items[k]);
      if (h)
        rpm_places_add(&places, h);
      headerFree(h);
    }
  }
  size_t removed = rpm_remove_leftovers(&places);
  ST_AUTO_FREE char *text =
      st_format("files that rpm had not put in place yet: %zu removed", removed);
  if (removed > 0)
    st_rpm_say(j->answer, ST_RPM_SAID_NOTE, ST_RPM_NO_STEP, text);
}

static int recover(struct job *j, struct st_error *err)
{
  wait_for_rpm(j);
  rpmtxn lock = rpmtxnBegin(j->ts, RPMTXN_WRITE);
  if (!lock)
    return st_fail(err, 0, "rpm's database cannot be locked");
  remove_environment();
  rpmtxnEnd(lock);
  if (rpmtsVerifyDB(j->ts) != 0) {
    st_rpm_say(j->answer, ST_RPM_SAID_NOTE, ST_RPM_NO_STEP, "rpm's database was built anew");
    if (rpmtsRebuildDB(j->ts) != 0)
      return st_fail(err, 0, "rpm's database is damaged, and cannot be built anew");
  }
  drop_leftovers(j);
  return drop_twins(j, err);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static int read_request(struct job *j, struct st_error *err)
{
  ST_AUTO_BUFFER asked = ST_BUFFER_INIT;
  if (st_read_all(ST_RPM_REQUEST_FD, MAX_REQUEST, &asked, err) < 0)
    return st_wrap(err, "cannot read what is asked for");
  return st_rpm_request_decode(asked.data, asked.length, &j->request, err);
}

static int change(struct job *j, bool test, struct st_error *err)
{
  ST_AUTO_STRINGS configurations = {0};
  find_files(j);
  if (j->refused > 0)
    return 0;
  if (resolve(j, err) < 0)
    return -1;
  if (j->refused > 0)
    return 0;
  if (!test)
    list_configurations(j, &configurations);
  if (rpmtsNElements(j->ts) > 0) {
    rpmtsOrder(j->ts);
    run(j, test ? RPMTRANS_FLAG_TEST : RPMTRANS_FLAG_NONE);
  }
  if (!test)
    import_keys(j);
  say_left(j, &configurations);
  return 0;
}

static int do_mode(struct job *j, const struct rpm_call *call, struct st_error *err)
{
  const char *mode = call->argc > 1 ? call->argv[1] : "";
  bool recovers = strcmp(mode, "recover") == 0, tests = strcmp(mode, "test") == 0;
  if (!recovers && !tests && strcmp(mode, "run") != 0)
    return st_fail(err, 0, "an unknown way of a transaction (%s)", st_quote(mode));
  if (read_request(j, err) < 0 || enter(err) < 0 || open_database(j, call, !tests, err) < 0)
    return -1;
  return recovers ? recover(j, err) : change(j, tests, err);
}

/* What librpm or a scriptlet prints is no answer; it is part of the log. */
static int divert_output(struct st_error *err)
{
  int saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
  if (saved >= 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0)
    return saved;
  return st_fail(err, errno, "no place for the answer");
}

int rpm_verb_transaction(const struct rpm_call *call, struct st_buffer *out, struct st_error *err)
{
  AUTO_JOB j = {.answer = out};
  rpmlogSetCallback(NULL, NULL);
  ST_AUTO_CLOSE int saved = divert_output(err);
  if (saved < 0)
    return -1;
  int r = do_mode(&j, call, err);
  fflush(stdout);
  dup2(saved, STDOUT_FILENO);
  if (r < 0)
    return -1;
  return j.refused > 0 ? RPM_EXIT_REFUSED : RPM_EXIT_OK;
}
