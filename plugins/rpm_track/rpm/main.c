/* SPDX-License-Identifier: GPL-2.0-or-later */
/* systracker-rpm - what SysTracker has librpm do, in a process of its own: librpm keeps global
 * macros, calls chroot, and loads what its configuration says.  The root is descriptor 3.  All that
 * it says goes to standard output, as its caller has no other ear. */
#include <rpm/rpmlib.h>
#include <rpm/rpmmacro.h>
#include <string.h>

#include "plugins/rpm_track/rpm/verbs.h"
#include "systracker/base/digest.h"
#include "systracker/base/file.h"

/* LeakSanitizer looks into /proc, which is not there any more when the program ends in the root. */
#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
  return "detect_leaks=0";
}
#endif

static const struct verb {
  const char *name;
  rpm_verb_fn *run;
} verbs[] = {
    {"cookie", rpm_verb_cookie}, {"identify", rpm_verb_identify},       {"list", rpm_verb_list},
    {"repack", rpm_verb_repack}, {"transaction", rpm_verb_transaction},
};

static const struct verb *find_verb(const char *name)
{
  for (size_t i = 0; name && i < ST_COUNT(verbs); i++) {
    if (strcmp(verbs[i].name, name) == 0)
      return &verbs[i];
  }
  return NULL;
}

static int run(int argc, char **argv, struct rpm_words *words, struct st_buffer *out,
               struct st_error *err)
{
  const struct verb *verb = find_verb(argc > 1 ? argv[1] : NULL);
  const struct rpm_call call = {words, argc - 1, argv + 1};
  if (!verb)
    return st_fail(err, 0, "systracker-rpm is run by SysTracker, with a verb and a root");
  rpm_words_take(words);
  int r = verb->run(&call, out, err);
  return r;
}

static int say_failure(struct st_error *err)
{
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  st_buffer_printf(&words, "%s\n", st_error_text(err));
  st_write_all(STDOUT_FILENO, words.data, words.length, NULL);
  return RPM_EXIT_TROUBLE;
}

int main(int argc, char **argv)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  struct rpm_words words = {0};
  st_digest_init();
  int r = run(argc, argv, &words, &out, &err);
  if (r >= 0 && out.length > 0 && st_write_all(STDOUT_FILENO, out.data, out.length, &err) < 0)
    r = -1;
  if (r < 0)
    r = say_failure(&err);
  st_buffer_free(&words.error);
  rpmFreeMacros(NULL);
  rpmFreeRpmrc();
  return r;
}
