/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/access-verbs.h"

#include <fcntl.h>
#include <gnutls/x509.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <termios.h>

#include "archive-sync/serve/options.h"
#include "archive-sync/serve/tls.h"
#include "systracker/base/file.h"
#include "systracker/base/keys.h"

#define NAME_MAX_LENGTH 253 /* of a host name */

/* ---- The archive --------------------------------------------------------------------------------
 */

int st_keeper_open(struct st_keeper *k, const char *dir, struct st_error *err)
{
  const struct passwd *p = getpwuid(getuid());
  snprintf(k->by, sizeof(k->by), "%s", p ? p->pw_name : "root");
  return st_archive_open(&k->archive, dir, false, err) < 0 ||
                 st_access_open(&k->access, k->archive->dir, err) < 0
             ? -1
             : 0;
}

void st_keeper_close(struct st_keeper *k)
{
  if (k->access)
    st_access_close(k->access);
  if (k->archive)
    st_archive_close(k->archive);
}

struct search {
  const char *text;
  char found[ST_HOST_ID_SIZE];
  size_t count;
};

static int match_host(void *arg, const struct st_access_host *host, struct st_error *err)
{
  struct search *s = arg;
  (void)err;
  if (!st_host_id_begins(host->id, s->text, strlen(s->text)))
    return 0;
  s->count++;
  memcpy(s->found, host->id, sizeof(s->found));
  return 0;
}

int st_keeper_find_host(struct st_keeper *k, const char *text, char ret[ST_HOST_ID_SIZE],
                        struct st_error *err)
{
  uint8_t raw[(ST_HOST_ID_SIZE - 1) / 2];
  ST_AUTO_FREE char *host = NULL;
  struct search s = {.text = text};
  if (st_unhex(raw, sizeof(raw), text)) {
    snprintf(ret, ST_HOST_ID_SIZE, "%s", text);
    return 0;
  }
  if (*text && st_access_hosts(k->access, -1, match_host, &s, err) < 0)
    return -1;
  if (s.count > 1)
    return st_refuse(err, "several hosts' ids begin like this (%s)", st_quote(text));
  if (s.count == 0) {
    if ((!k->archive->store && st_archive_objects(k->archive, ST_STORE_READ, NULL, err) < 0) ||
        st_archive_find_host(k->archive, text, &host, err) < 0)
      return -1;
    if (strchr(host, '/'))
      return st_fail(err, 0, "not an epoch, a host is meant here (%s)", st_quote(text));
  }
  snprintf(ret, ST_HOST_ID_SIZE, "%s", host ? host : s.found);
  return 0;
}

/* ---- Join strings -------------------------------------------------------------------------------
 */

static void deinit_certificate(gnutls_x509_crt_t *c)
{
  if (*c)
    gnutls_x509_crt_deinit(*c);
}

/* By the first name in the certificate, what `init --name` said; else by what this machine calls
 * itself. */
static char *default_url(int dir)
{
  ST_CLEANUP(deinit_certificate) gnutls_x509_crt_t crt = NULL;
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  char name[NAME_MAX_LENGTH + 1] = "";
  size_t size = NAME_MAX_LENGTH;
  bool there = st_read_file(dir, "tls.crt", 1 << 20, &text, NULL) == 0 && text.length;
  const gnutls_datum_t pem = {(unsigned char *)text.data, (unsigned)text.length};
  if (!there || gnutls_x509_crt_init(&crt) < 0 ||
      gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM) < 0 ||
      gnutls_x509_crt_get_subject_alt_name(crt, 0, name, &size, NULL) != GNUTLS_SAN_DNSNAME ||
      strlen(name) != size || strchr(name, '*')) {
    memset(name, 0, sizeof(name));
    if (gethostname(name, sizeof(name) - 1) < 0 || !*name)
      snprintf(name, sizeof(name), "localhost");
  }
  return st_format("https://%s:%d", name, ST_SERVE_PORT);
}

int st_keeper_join_string(struct st_keeper *k, const char *url, bool digest, const char *token,
                          char **ret, struct st_error *err)
{
  ST_AUTO_FREE char *pin = NULL;
  ST_AUTO_FREE char *address = url ? st_strdup(url) : default_url(k->archive->dir);
  size_t n = strlen(address);
  if (strncmp(address, "https://", 8) != 0 || n == 8 || strpbrk(address, "#? \t\n"))
    return st_fail(err, 0, "an address of a server is https://HOST:PORT (%s)", st_quote(address));
  if (digest && st_tls_digest(k->archive->dir, &pin, err) < 0)
    return st_wrap(err, "cannot make the join string (behind a proxy: --no-digest)");
  *ret = st_format("%s%s#%s.%s", address, address[n - 1] == '/' ? "" : "/", pin ? pin : "", token);
  return 0;
}

/* ---- Passwords ----------------------------------------------------------------------------------
 */

void st_wipe_password(char **password)
{
  if (*password)
    explicit_bzero(*password, strlen(*password));
  free(*password);
}

/* Without the newline; byte by byte, so that no buffer of the library holds it. */
static int read_line(struct st_buffer *out, struct st_error *err)
{
  char c;
  st_buffer_reserve(out, ST_PASSWORD_MAX + 1); /* it does not move, and leave a copy */
  for (;;) {
    ssize_t n = read(STDIN_FILENO, &c, 1);
    if (n < 0)
      return st_fail(err, errno, "cannot read the password");
    if (n == 0 || c == '\n')
      return 0;
    if (c == 0 || out->length > ST_PASSWORD_MAX)
      return st_fail(err, 0, "a password has %d to %d bytes, without NUL", ST_PASSWORD_MIN,
                     ST_PASSWORD_MAX);
    st_buffer_append_byte(out, (uint8_t)c);
  }
}

static void wake(int signal_number)
{
  (void)signal_number;
}

/* An interruption ends the reading, so that the terminal shows again what is typed. */
static int read_unseen(const struct termios *old, struct st_buffer *out, struct st_error *err)
{
  const struct sigaction end = {.sa_handler = wake};
  struct sigaction before;
  struct termios hidden = *old;
  hidden.c_lflag &= ~(tcflag_t)ECHO;
  sigaction(SIGINT, &end, &before);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  int r = read_line(out, err);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, old);
  sigaction(SIGINT, &before, NULL);
  fputc('\n', stderr);
  return r;
}

static int read_hidden(const char *prompt, char **ret, struct st_error *err)
{
  ST_AUTO_BUFFER line = ST_BUFFER_INIT;
  struct termios terminal;
  int r;
  if (tcgetattr(STDIN_FILENO, &terminal) == 0) {
    fputs(prompt, stderr);
    r = read_unseen(&terminal, &line, err);
  } else {
    r = read_line(&line, err);
  }
  if (r < 0) {
    explicit_bzero(line.data, line.length);
    return -1;
  }
  *ret = st_buffer_steal(&line, NULL);
  return 0;
}

int st_read_password(const char *user, char **ret, struct st_error *err)
{
  ST_CLEANUP(st_wipe_password) char *first = NULL, *second = NULL;
  ST_AUTO_FREE char *prompt = st_format("Password of %s: ", st_quote(user));
  if (read_hidden(prompt, &first, err) < 0)
    return -1;
  if (isatty(STDIN_FILENO)) {
    if (read_hidden("Once more: ", &second, err) < 0)
      return -1;
    if (strcmp(first, second) != 0)
      return st_refuse(err, "the two differ: nothing was changed");
  }
  *ret = st_steal(&first);
  return 0;
}

json_t *st_json_time(int64_t seconds)
{
  ST_AUTO_FREE char *text = seconds ? st_format_time_utc(seconds) : NULL;
  return text ? json_string(text) : json_null();
}
