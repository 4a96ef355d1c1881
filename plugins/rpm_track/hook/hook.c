/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * systracker-rpm-hook - keeps each .rpm that rpm or dnf is about to install.
 *
 * rpm's plug-in (plugin.c) starts it before a transaction, with its socket as standard input, and
 * passes the open package files; they are kept while rpm goes on.  The arguments are the root, and
 * another store than the configured one.  Whatever goes wrong here is logged, and rpm does not hear
 * of it.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "plugins/rpm_track/hook/messages.h"
#include "systracker/base/escape.h"
#include "systracker/base/log.h"
#include "systracker/tracker/capture.h"
#include "systracker/tracker/transaction.h"

#define PROGRAM "systracker-rpm-hook"

/* One message as it came. */
struct message {
  char text[MESSAGE_MAX + 1];
  int fd; /* -1: none came along */
};

static void message_clear(struct message *m)
{
  if (m->fd >= 0)
    close(m->fd);
}

static void take_descriptor(struct message *m, struct msghdr *header)
{
  for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c))
    if (m->fd < 0 && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
      memcpy(&m->fd, CMSG_DATA(c), sizeof(m->fd));
}

/* Returns its length; 0: there are no more. */
static ssize_t receive(struct message *m, struct st_error *err)
{
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct iovec piece = {m->text, MESSAGE_MAX};
  struct msghdr header = {.msg_iov = &piece,
                          .msg_iovlen = 1,
                          .msg_control = control.space,
                          .msg_controllen = sizeof(control.space)};
  ssize_t n;
  m->fd = -1;
  do
    n = recvmsg(STDIN_FILENO, &header, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    return st_fail(err, errno, "cannot hear what rpm says");
  m->text[n] = 0;
  take_descriptor(m, &header);
  return n;
}

/* The texts behind the letter, in place. */
static bool split(char *text, size_t length, struct st_package *ret)
{
  char *texts[MESSAGE_TEXTS], *at = text + 2;
  for (int i = 0; i < MESSAGE_TEXTS; i++) {
    if (length < 2 || at >= text + length || text[1])
      return false;
    texts[i] = at;
    at += strlen(at) + 1;
  }
  *ret = (struct st_package){
      .name = texts[0], .version = texts[1], .architecture = texts[2], .kind = (char *)"rpm"};
  return true;
}

static int take(struct st_capture *c, struct message *m, size_t length, struct st_error *err)
{
  struct st_package is;
  if (!split(m->text, length, &is))
    return st_fail(err, 0, "a message of rpm's plug-in that is not understood");
  if (m->text[0] != MESSAGE_PACKAGE || m->fd < 0)
    st_fail(err, 0, "its file was not seen");
  else if (st_capture_keep(c, m->fd, &is, err) >= 0)
    return 0;
  return st_wrap(err, "%s %s %s", st_quote(is.name), st_quote(is.version),
                 st_quote(is.architecture));
}

static int keep_all(struct st_capture *c, struct st_error *err)
{
  for (;;) {
    ST_AUTO_ERROR mine = ST_ERROR_INIT;
    ST_CLEANUP(message_clear) struct message m = {.fd = -1};
    ssize_t n = receive(&m, err);
    if (n <= 0)
      return (int)n;
    if (c->packages && take(c, &m, (size_t)n, &mine) < 0)
      st_log(ST_LOG_WARNING, "a package file is not kept: %s", st_error_text(&mine));
  }
}

/* Into the background, with a session of its own: rpm waits for the socket, and no longer than it
 * wants to. */
static void leave(void)
{
  pid_t pid = fork();
  if (pid != 0)
    _exit(pid < 0);
  setsid();
}

/* rpm's own root, with the configured store, or another with a store of its own: the chain of one
 * is not the other's. */
static int after(const struct st_capture *c, pid_t rpm, const char *words, const char *root,
                 const char *store, struct st_error *err)
{
  bool live = !root || strcmp(root, "/") == 0;
  if (!c->conf->after_transaction || c->store < 0 || (!live && !store))
    return 0;
  return st_transaction_checkpoint(rpm, words, live ? NULL : root, store, err);
}

static int run(pid_t rpm, const char *words, const char *root, const char *store,
               struct st_error *err)
{
  ST_CLEANUP(st_capture_closep) struct st_capture *c = NULL;
  if (st_capture_open(&c, PROGRAM, NULL, store, err) < 0)
    return -1;
  int r = keep_all(c, err);
  close(STDIN_FILENO); /* rpm need not wait any longer */
  if (after(c, rpm, words, root, store, err) < 0)
    return st_wrap(err, "no checkpoint after the transaction");
  return r;
}

int main(int argc, char **argv)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  pid_t rpm = getppid();
  leave();
  umask(077);
  st_digest_init();
  ST_AUTO_FREE char *words = st_transaction_words(rpm);
  if (run(rpm, words, argc > 1 ? argv[1] : NULL, argc > 2 ? argv[2] : NULL, &err) < 0)
    st_log(ST_LOG_WARNING, "package files are not kept: %s", st_error_text(&err));
  st_log_close();
  return 0;
}
