/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * systracker-apt-hook - keeps each .deb that apt is about to install.
 *
 * apt runs it (DPkg::Pre-Install-Pkgs, protocol version 3) before dpkg, when each file is there for
 * certain; a moment later it may be gone; and once more behind dpkg (DPkg::Post-Invoke), with the
 * argument "post", to have a checkpoint made where the configuration wants one.  Whatever goes
 * wrong here is logged and no reason for apt to stop: the status is 0, always.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/log.h"
#include "systracker/tracker/capture.h"
#include "systracker/tracker/transaction.h"

#define PROGRAM "systracker-apt-hook"
#define INPUT_MAX ((size_t)64 << 20)
#define FIELDS 9

enum field { NAME, OLD_VERSION, OLD_ARCH, OLD_MULTI, SIGN, VERSION, ARCHITECTURE, MULTI, PATH };

/* Splits "name oldversion oldarch oldmulti < version arch multi path" in place.  None of the first
 * eight can hold a space, so what is left is the path, whatever it holds. */
static bool split(char *line, char *fields[FIELDS])
{
  for (int i = 0; i < FIELDS - 1; i++) {
    fields[i] = strsep(&line, " ");
    if (!line || !*fields[i])
      return false;
  }
  fields[PATH] = line;
  return strlen(fields[SIGN]) == 1 && strchr("<>=", *fields[SIGN]);
}

/* Its file, if the package is to be installed from one: a path; "**REMOVE**" and its like are none.
 */
static int keep_line(struct st_capture *c, char *line, struct st_error *err)
{
  char *f[FIELDS];
  struct stat st;
  if (!split(line, f))
    return st_fail(err, 0, "a line of apt's that is not understood");
  if (*f[PATH] != '/')
    return 0;
  ST_AUTO_CLOSE int fd = open(f[PATH], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 || fstat(fd, &st) < 0)
    return st_fail(err, errno, "cannot open (%s)", st_quote(f[PATH]));
  /* apt has compared the file with what it says of it. */
  const struct st_package is = {.name = f[NAME],
                                .version = f[VERSION],
                                .architecture = f[ARCHITECTURE],
                                .kind = (char *)"deb"};
  if (st_capture_keep(c, fd, &is, err) < 0)
    return st_wrap(err, "%s", st_quote(f[PATH]));
  return 0;
}

/* The lines behind the version and the configuration, which ends with an empty one. */
static int keep_all(struct st_capture *c, char *text, struct st_error *err)
{
  char *rest = text;
  const char *version = strsep(&rest, "\n");
  if (!rest || strcmp(version, "VERSION 3") != 0)
    return st_fail(err, 0,
                   "apt does not speak version 3 of its protocol: no package file is kept "
                   "(DPkg::Tools::Options)");
  for (char *line = strsep(&rest, "\n"); line && *line;)
    line = strsep(&rest, "\n");
  for (char *line; (line = strsep(&rest, "\n"));) {
    ST_AUTO_ERROR mine = ST_ERROR_INIT;
    if (*line && keep_line(c, line, &mine) < 0)
      st_log(ST_LOG_WARNING, "a package file is not kept: %s", st_error_text(&mine));
  }
  return 0;
}

static int run(struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  ST_CLEANUP(st_capture_closep) struct st_capture *c = NULL;
  if (st_read_all(STDIN_FILENO, INPUT_MAX, &text, err) < 0)
    return st_wrap(err, "what apt says");
  st_buffer_append(&text, "", 1); /* terminated, also where it is empty */
  if (st_capture_open(&c, PROGRAM, NULL, NULL, err) < 0)
    return -1;
  return c->packages ? keep_all(c, text.data, err) : 0;
}

/* After the transaction. */
static int run_post(struct st_error *err)
{
  ST_CLEANUP(st_capture_closep) struct st_capture *c = NULL;
  if (st_capture_open(&c, PROGRAM, NULL, NULL, err) < 0)
    return -1;
  if (!c->conf->after_transaction || c->store < 0)
    return 0;
  pid_t apt = st_transaction_manager();
  ST_AUTO_FREE char *words = st_transaction_words(apt);
  return st_transaction_checkpoint(apt, words, NULL, NULL, err);
}

int main(int argc, char **argv)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  umask(077);
  st_digest_init();
  bool post = argc > 1 && strcmp(argv[1], "post") == 0;
  if ((post ? run_post : run)(&err) < 0)
    st_log(ST_LOG_WARNING, "%s: %s",
           post ? "no checkpoint after the transaction" : "package files are not kept",
           st_error_text(&err));
  st_log_close();
  return 0;
}
