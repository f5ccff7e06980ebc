/*
 * One verdict over several roles: those that surely do well, those that may, those that do not.
 */
#include <string.h>

#include "eval/internal.h"

static void add(char *list, size_t size, const char *role, rg_interval gain, const char *unit)
{
    size_t used = strlen(list);
    rg_format(list + used, size - used, "%s%s (%+.2f %s", used ? ", " : "", role, gain.mean, unit);
    used = strlen(list);
    if (gain.n > 1)
        rg_format(list + used, size - used, ", %+.2f … %+.2f)", gain.low, gain.high);
    else
        rg_format(list + used, size - used, ", one song)");
}

void rg__judge(judgement *j, const char *role, rg_interval gain, const char *unit)
{
    if (gain.n == 0) return;
    if (!(gain.mean > 0)) {
        add(j->no, sizeof j->no, role, gain, unit);
        j->n_no++;
    } else if (!rg_interval_excludes_zero(gain)) {
        add(j->maybe, sizeof j->maybe, role, gain, unit);
        j->n_maybe++;
    } else {
        add(j->yes, sizeof j->yes, role, gain, unit);
        j->n_yes++;
    }
}

void rg__judge_say(rg_report *report, const judgement *j, const char *what)
{
    if (j->n_yes + j->n_maybe + j->n_no == 0) return;
    rg_report_verdict(report,
                      j->n_no      ? RG_BAD
                      : j->n_maybe ? RG_NOTE
                                   : RG_GOOD,
                      "%s: %s%s%s%s%s%s%s%s.", what, j->n_yes ? "yes for " : "", j->yes,
                      j->n_yes && j->n_maybe ? "; " : "", j->n_maybe ? "not surely for " : "",
                      j->maybe, j->n_no && (j->n_yes || j->n_maybe) ? "; " : "",
                      j->n_no ? "no for " : "", j->no);
}
