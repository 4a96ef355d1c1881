/* SPDX-License-Identifier: GPL-2.0-or-later */
/* api.h - what the sources of the JSON interface share (api-values.c); one api-NAME.c a subject,
 * routes in api.c.
 * What it says is in doc/openapi.yaml. */
#ifndef ARCHIVE_SYNC_SERVE_API_H
#define ARCHIVE_SYNC_SERVE_API_H

#include "archive-sync/serve/request.h"
#include "archive-sync/serve/server.h"
#include "archive-sync/serve/view.h"

/* Entries of a list, unless the request says another limit. */
#define ST_API_LIMIT 100
/* Of requests that change something. */
#define ST_API_BODY_MAX (64 * 1024)

/* ---- What is asked for: 1 is a refusal, which is set
 * ----------------------------------------------
 */

/* offset= and limit=. */
int st_api_span(struct st_request *r, struct st_view_span *ret);
/* A parameter that is yes or no; absent: no. */
int st_api_flag(struct st_request *r, const char *name, bool *ret);
/* path=, bytes, absolute; malloc'ed. Absent: `*ret` is NULL, which is refused where `needed`. */
int st_api_path(struct st_request *r, bool needed, char **ret);
/* A host ("ID" or "ID/epoch-N") whom they may read; the request's first part is one. */
int st_api_open(struct st_request *r, const char *host, struct st_hostview **ret,
                struct st_error *err);
/* What `text` names; NULL: the latest. */
int st_api_checkpoint(struct st_request *r, struct st_hostview *v, const char *text, int64_t *ret);
/* The body: an object. Requests that change something and come with a browser's cookie are refused:
 * another site might have made the browser send them. */
int st_api_body(struct st_request *r, json_t **ret);
/* The same for those without a body. */
int st_api_change(struct st_request *r);
/* A string of the object; absent: NULL, refused where `needed`. */
int st_api_string(struct st_request *r, json_t *object, const char *name, bool needed,
                  const char **ret);
/* What went wrong because of what was asked, as 409 or 404; the error is cleared. */
int st_api_refused(struct st_request *r, unsigned status, struct st_error *err);

/* ---- What is answered
 * -----------------------------------------------------------------------------
 */

/* "2026-11-20T03:14:07Z"; null for 0. */
json_t *st_api_time(int64_t seconds);
json_t *st_api_letter(char letter);
/* A name that is "" where there is none: null then. */
json_t *st_api_name(const char *name);

/* ---- Handlers
 * -------------------------------------------------------------------------------------
 */

int st_api_hosts(struct st_request *r, struct st_error *err);
int st_api_host(struct st_request *r, struct st_error *err);
int st_api_checkpoints(struct st_request *r, struct st_error *err);
int st_api_show(struct st_request *r, struct st_error *err);
int st_api_show_changes(struct st_request *r, struct st_error *err);
int st_api_diff(struct st_request *r, struct st_error *err);
int st_api_patch(struct st_request *r, struct st_error *err);
int st_api_diff_of_two(struct st_request *r, struct st_error *err);
int st_api_patch_of_two(struct st_request *r, struct st_error *err);
int st_api_file(struct st_request *r, struct st_error *err);
int st_api_content(struct st_request *r, struct st_error *err);
int st_api_history(struct st_request *r, struct st_error *err);
int st_api_installed(struct st_request *r, struct st_error *err);
int st_api_deviations(struct st_request *r, struct st_error *err);
int st_api_search(struct st_request *r, struct st_error *err);

int st_api_policy(struct st_request *r, struct st_error *err);
int st_api_enrolment(struct st_request *r, struct st_error *err);
int st_api_set_enrolment(struct st_request *r, struct st_error *err);
int st_api_enrolled(struct st_request *r, struct st_error *err);
int st_api_approve(struct st_request *r, struct st_error *err);
int st_api_deny(struct st_request *r, struct st_error *err);
int st_api_tokens(struct st_request *r, struct st_error *err);
int st_api_add_token(struct st_request *r, struct st_error *err);
int st_api_revoke_token(struct st_request *r, struct st_error *err);
int st_api_users(struct st_request *r, struct st_error *err);
int st_api_add_user(struct st_request *r, struct st_error *err);
int st_api_change_user(struct st_request *r, struct st_error *err);
int st_api_remove_user(struct st_request *r, struct st_error *err);
int st_api_groups(struct st_request *r, struct st_error *err);
int st_api_add_group(struct st_request *r, struct st_error *err);
int st_api_remove_group(struct st_request *r, struct st_error *err);
int st_api_add_group_host(struct st_request *r, struct st_error *err);
int st_api_remove_group_host(struct st_request *r, struct st_error *err);
int st_api_add_group_user(struct st_request *r, struct st_error *err);
int st_api_remove_group_user(struct st_request *r, struct st_error *err);

#endif
