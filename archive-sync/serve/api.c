/* SPDX-License-Identifier: GPL-2.0-or-later */
/* api.c - the routes of the JSON interface. */
#include "archive-sync/serve/api.h"

#define READ(pattern, handler)                                                                     \
  {                                                                                                \
    "GET", "/v1/" pattern, ST_ROLE_VIEWER, ST_ROUTE_WORK, ST_BODY_NONE, 0, handler                 \
  }
#define HOST(pattern, handler)                                                                     \
  {                                                                                                \
    "GET", "/v1/hosts/*" pattern, ST_ROLE_VIEWER, ST_ROUTE_WORK | ST_ROUTE_HOST, ST_BODY_NONE, 0,  \
        handler                                                                                    \
  }
#define ASK(pattern, role, handler)                                                                \
  {                                                                                                \
    "GET", "/v1/" pattern, role, ST_ROUTE_WORK, ST_BODY_NONE, 0, handler                           \
  }
#define CHANGE(method, pattern, role, handler)                                                     \
  {                                                                                                \
    method, "/v1/" pattern, role, ST_ROUTE_WORK, ST_BODY_MEMORY, ST_API_BODY_MAX, handler          \
  }
#define ACT(method, pattern, role, handler)                                                        \
  {                                                                                                \
    method, "/v1/" pattern, role, ST_ROUTE_WORK, ST_BODY_NONE, 0, handler                          \
  }

const struct st_route st_api_routes[] = {
    ASK("hosts", ST_ROLE_HOST, st_api_hosts),
    HOST("", st_api_host),
    HOST("/checkpoints", st_api_checkpoints),
    HOST("/checkpoints/*", st_api_show),
    HOST("/checkpoints/*/changes", st_api_show_changes),
    HOST("/diff", st_api_diff),
    HOST("/patch", st_api_patch),
    HOST("/files/*", st_api_file),
    HOST("/files/*/content", st_api_content),
    HOST("/history", st_api_history),
    HOST("/installed", st_api_installed),
    HOST("/deviations", st_api_deviations),
    READ("diff", st_api_diff_of_two),
    READ("patch", st_api_patch_of_two),
    READ("search", st_api_search),
    ASK("policy", ST_ROLE_OPERATOR, st_api_policy),
    ASK("enrolment", ST_ROLE_OPERATOR, st_api_enrolment),
    CHANGE("PUT", "enrolment", ST_ROLE_ADMIN, st_api_set_enrolment),
    ASK("enrolment/hosts", ST_ROLE_OPERATOR, st_api_enrolled),
    ACT("POST", "enrolment/hosts/*/approve", ST_ROLE_OPERATOR, st_api_approve),
    ACT("POST", "enrolment/hosts/*/deny", ST_ROLE_OPERATOR, st_api_deny),
    ASK("tokens", ST_ROLE_OPERATOR, st_api_tokens),
    CHANGE("POST", "tokens", ST_ROLE_OPERATOR, st_api_add_token),
    ACT("DELETE", "tokens/*", ST_ROLE_OPERATOR, st_api_revoke_token),
    ASK("users", ST_ROLE_ADMIN, st_api_users),
    CHANGE("POST", "users", ST_ROLE_ADMIN, st_api_add_user),
    CHANGE("PUT", "users/*", ST_ROLE_ADMIN, st_api_change_user),
    ACT("DELETE", "users/*", ST_ROLE_ADMIN, st_api_remove_user),
    ASK("groups", ST_ROLE_ADMIN, st_api_groups),
    CHANGE("POST", "groups", ST_ROLE_ADMIN, st_api_add_group),
    ACT("DELETE", "groups/*", ST_ROLE_ADMIN, st_api_remove_group),
    ACT("PUT", "groups/*/hosts/*", ST_ROLE_ADMIN, st_api_add_group_host),
    ACT("DELETE", "groups/*/hosts/*", ST_ROLE_ADMIN, st_api_remove_group_host),
    CHANGE("PUT", "groups/*/users/*", ST_ROLE_ADMIN, st_api_add_group_user),
    ACT("DELETE", "groups/*/users/*", ST_ROLE_ADMIN, st_api_remove_group_user),
    {0},
};
