/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/error.h"

#include <errno.h>
#include <stdarg.h>

#include "systracker/base/buffer.h"

/* Takes the message; the old one is freed last, as the new one may have been made from it. */
static int set(struct st_error *err, char *message, int status, int code)
{
  if (!err) {
    free(message);
    return -1;
  }
  free(err->message);
  *err = (struct st_error){message, status, code};
  return -1;
}

int st_fail(struct st_error *err, int code, const char *fmt, ...)
{
  if (!err)
    return -1;
  va_list ap;
  va_start(ap, fmt);
  char *message = st_vformat(fmt, ap);
  va_end(ap);
  if (code) {
    ST_AUTO_FREE char *outer = message;
    errno = code;
    message = st_format("%s: %m", outer);
  }
  return set(err, message, ST_EXIT_TROUBLE, code);
}

int st_error_move(struct st_error *err, struct st_error *from)
{
  if (err) {
    st_error_clear(err);
    *err = *from;
    *from = ST_ERROR_INIT;
  }
  return -1;
}

bool st_error_is_full(const struct st_error *err)
{
  return err->code == ENOSPC || err->code == EDQUOT;
}

int st_refuse(struct st_error *err, const char *fmt, ...)
{
  if (!err)
    return -1;
  va_list ap;
  va_start(ap, fmt);
  char *message = st_vformat(fmt, ap);
  va_end(ap);
  return set(err, message, ST_EXIT_INCOMPLETE, 0);
}

int st_wrap(struct st_error *err, const char *fmt, ...)
{
  if (!err)
    return -1;
  va_list ap;
  va_start(ap, fmt);
  ST_AUTO_FREE char *outer = st_vformat(fmt, ap);
  va_end(ap);
  int status = err->message ? err->status : ST_EXIT_TROUBLE;
  return set(err, st_format("%s: %s", outer, st_error_text(err)), status, err->code);
}

const char *st_error_text(const struct st_error *err)
{
  return err && err->message ? err->message : "unknown error";
}

void st_error_clear(struct st_error *err)
{
  free(err->message);
  *err = ST_ERROR_INIT;
}
