/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report.h - a plan and its outcome, for people and as JSON lines. */
#ifndef ST_RESTORE_REPORT_H
#define ST_RESTORE_REPORT_H

#include "restore/gather.h"
#include "systracker/tracker/cli.h"

/* "content, mode": malloc'ed. */
char *st_report_differences(unsigned differences);

/* One line an action, in the plan's order.  `packages`, and what belongs to them: stay as they are,
 * and are said so, unless they are to be `changed`. */
void st_report_plan(const struct st_cli *cli, const struct st_actions *actions,
                    const struct st_plan *plugins, const struct st_plan *packages, bool changed);

/* One line a package. */
void st_report_packages(const struct st_cli *cli, const struct st_package_steps *steps,
                        bool needed);

/* The last line. */
struct st_report_sum {
  size_t packages;
  size_t created, replaced, metadata, deleted, cannot, left;
  bool dry_run;
};
void st_report_sum_up(struct st_report_sum *sum, const struct st_actions *actions);
void st_report_summary(const struct st_cli *cli, const struct st_report_sum *sum);

/* One line a journal. */
void st_report_journal(const struct st_cli *cli, const struct st_journal *j);

#endif
