/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/rpm_track/rpm/caps.h"

#include <endian.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/capability.h>

#include "systracker/base/xattr.h"

static bool has(cap_t caps, cap_value_t n, cap_flag_t set)
{
  cap_flag_value_t value = CAP_CLEAR;
  return cap_get_flag(caps, n, set, &value) == 0 && value == CAP_SET;
}

/* False: a file has one bit for all that are effective, so all or none of them can be. */
static bool fill(cap_t caps, struct vfs_cap_data *data)
{
  bool any = false, all = true;
  for (cap_value_t n = 0; n < 32 * VFS_CAP_U32_2; n++) {
    bool permitted = has(caps, n, CAP_PERMITTED), inheritable = has(caps, n, CAP_INHERITABLE);
    bool effective = has(caps, n, CAP_EFFECTIVE);
    uint32_t bit = UINT32_C(1) << (n % 32);
    data->data[n / 32].permitted |= permitted ? bit : 0;
    data->data[n / 32].inheritable |= inheritable ? bit : 0;
    any |= effective;
    all &= effective || !(permitted || inheritable);
  }
  data->magic_etc = VFS_CAP_REVISION_2 | (any ? VFS_CAP_FLAGS_EFFECTIVE : 0);
  return all || !any;
}

static bool is_empty(const struct vfs_cap_data *data)
{
  static const struct vfs_cap_data none;
  return memcmp(data->data, none.data, sizeof(none.data)) == 0;
}

static void put(const struct vfs_cap_data *data, struct st_buffer *out)
{
  static const char name[] = "security.capability";
  uint32_t words[1 + 2 * VFS_CAP_U32_2] = {data->magic_etc};
  for (size_t i = 0; i < VFS_CAP_U32_2; i++) {
    words[1 + 2 * i] = data->data[i].permitted;
    words[2 + 2 * i] = data->data[i].inheritable;
  }
  for (size_t i = 0; i < ST_COUNT(words); i++)
    words[i] = htole32(words[i]);
  uint32_t length = htole32(sizeof(words));
  st_buffer_append_byte(out, sizeof(name) - 1);
  st_buffer_append_byte(out, ST_XATTR_BYTES);
  st_buffer_append(out, &length, sizeof(length));
  st_buffer_append(out, name, sizeof(name) - 1);
  st_buffer_append(out, words, sizeof(words));
}

int rpm_caps_list(const char *text, struct st_buffer *out)
{
  struct vfs_cap_data data = {0};
  if (*text == 0)
    return 0;
  cap_t caps = cap_from_text(text);
  if (!caps)
    return -1;
  bool right = fill(caps, &data);
  cap_free(caps);
  if (!right)
    return -1;
  if (!is_empty(&data))
    put(&data, out);
  return 0;
}
