/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "archive-sync/serve/command.h"

#include <inttypes.h>
#include <string.h>

#include "systracker/base/escape.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

static bool is_of(const char *s, size_t length, const char *others)
{
  for (size_t i = 0; i < length; i++)
    if (!s[i] || (!strchr(letters, s[i]) && !strchr(others, s[i])))
      return false;
  return true;
}

/* With single quotes written as `instead`. */
static void append_quoted(struct st_buffer *out, const char *s, size_t length, const char *instead)
{
  for (size_t i = 0; i < length; i++) {
    if (s[i] == '\'')
      st_buffer_append_string(out, instead);
    else
      st_buffer_append_byte(out, (uint8_t)s[i]);
  }
  st_buffer_append_byte(out, '\'');
}

void st_command_word(struct st_buffer *out, const void *data, size_t length)
{
  ST_AUTO_BUFFER shown = ST_BUFFER_INIT;
  if (length > 0 && is_of(data, length, "/._-+:,@%=")) {
    st_buffer_append(out, data, length);
    return;
  }
  st_escape_message(&shown, data, length);
  if (shown.length == length) {
    st_buffer_append_byte(out, '\'');
    append_quoted(out, data, length, "'\\''");
    return;
  }
  /* The escapes of escape.h are among those of $'...'. */
  st_buffer_clear(&shown);
  st_escape(&shown, data, length);
  st_buffer_append_string(out, "$'");
  append_quoted(out, shown.data, shown.length, "\\'");
}

bool st_command_is_address(const char *address)
{
  return address && *address && *address != '-' && is_of(address, strlen(address), ".-:[]");
}

char *st_command_join(const char *address, const char *pin, const char *token)
{
  return st_format("https://%s/%s%s%s%s", st_command_is_address(address) ? address : "ARCHIVE",
                   pin || token ? "#" : "", pin ? pin : "", token ? "." : "", token ? token : "");
}

char *st_command_sync(const char *url)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  st_buffer_append_string(&out, "systracker sync ");
  st_command_word(&out, url, strlen(url));
  return st_buffer_steal(&out, NULL);
}

char *st_command_restore_from(const char *url, const char *host)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  st_buffer_append_string(&out, "systracker restore --from ");
  st_command_word(&out, url, strlen(url));
  st_buffer_append_string(&out, " --host ");
  st_command_word(&out, host, strlen(host));
  st_buffer_append_string(&out, " --checkpoint latest --as same");
  return st_buffer_steal(&out, NULL);
}

/* "ID" of "ID/epoch-N", too, is said as it is: restore takes it. */
char *st_command_restore(const char *url, const char *host, int64_t number, const char *path)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  st_buffer_append_string(&out, "systracker restore --from ");
  st_command_word(&out, url, strlen(url));
  st_buffer_append_string(&out, " --host ");
  st_command_word(&out, host, strlen(host));
  st_buffer_printf(&out, " --checkpoint %" PRId64, number);
  if (path) {
    st_buffer_append_string(&out, " -- ");
    st_command_word(&out, path, strlen(path));
  }
  return st_buffer_steal(&out, NULL);
}
