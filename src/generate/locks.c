/*
 * Locks (locks.h).
 */
#include "generate/locks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

void rg_kept_free(rg_kept_role *kept, int32_t n)
{
    for (int32_t r = 0; r < n; r++) rg_stem_lock_free(&kept[r].lock);
}

static rg_status find_role(const rg_track_config *config, const char *name, const char *where,
                           int32_t *role, rg_error *err)
{
    rg_text names;
    *role = rg_track_find_role(config, name);
    if (*role >= 0) return RG_OK;
    rg_text_init(&names, 4096);
    for (int32_t r = 0; r < config->n_roles; r++)
        rg_text_printf(&names, "%s%s", r ? ", " : "", config->roles[r].name);
    rg_status status = rg_fail(err, RG_ERR_USAGE, "%s: the bundle has no role '%s'; it has %s",
                               where, name, names.data ? names.data : "none");
    rg_text_free(&names);
    return status;
}

/* "A-B" in seconds; false when the text is not of this form. */
static bool parse_span(const char *text, double *start, double *end)
{
    char first[32];
    const char *dash = strchr(text, '-');
    if (!dash || dash == text || (size_t)(dash - text) >= sizeof first) return false;
    memcpy(first, text, (size_t)(dash - text));
    first[dash - text] = 0;
    return rg_parse_double(first, start) && rg_parse_double(dash + 1, end);
}

static rg_status check_span(const char *where, double start, double end, rg_error *err)
{
    if (start >= 0 && end > start) return RG_OK;
    return rg_fail(err, RG_ERR_USAGE,
                   "%s: a span from %g to %g s is empty; START-END in seconds was expected", where,
                   start, end);
}

rg_status rg_parse_role_span(const char *text, const rg_track_config *config, int32_t *role,
                             double *start, double *end, rg_error *err)
{
    char name[RG_TRACK_NAME + 1];
    size_t n = strcspn(text, "@");
    *start = 0;
    *end = INFINITY;
    if (n >= sizeof name) n = sizeof name - 1;
    memcpy(name, text, n);
    name[n] = 0;
    RG_TRY(find_role(config, name, text, role, err));
    if (!text[n]) return RG_OK;
    if (!parse_span(text + n + 1, start, end))
        return rg_fail(err, RG_ERR_USAGE, "%s: '%s' is not START-END in seconds", text,
                       text + n + 1);
    return check_span(text, *start, *end, err);
}

rg_status rg_parse_role_value(const char *option, const char *text, const rg_track_config *config,
                              int32_t *role, const char **value, rg_error *err)
{
    char name[RG_TRACK_NAME + 1];
    size_t n = strcspn(text, "=");
    if (!text[n] || !text[n + 1])
        return rg_fail(err, RG_ERR_USAGE, "%s: '%s' is not ROLE=VALUE", option, text);
    if (n >= sizeof name) n = sizeof name - 1;
    memcpy(name, text, n);
    name[n] = 0;
    *value = strchr(text, '=') + 1;
    return find_role(config, name, text, role, err);
}

rg_status rg_keep_file(rg_kept_role *kept, const rg_track_config *config, const char *argument,
                       int32_t *role, rg_error *err)
{
    char path[RG_SCENE_PATH];
    const char *value;
    double start = 0, end = INFINITY;
    RG_TRY(rg_parse_role_value("--lock", argument, config, role, &value, err));
    if (!rg_copy_text(path, sizeof path, value))
        return rg_fail(err, RG_ERR_USAGE, "--lock %s: path is too long", argument);
    char *at = strrchr(path, '@'); /* a file may have an @ in its name: only @A-B is a span */
    if (at && parse_span(at + 1, &start, &end)) *at = 0;
    RG_TRY(check_span(argument, start, end, err));
    if (kept[*role].has_file)
        return rg_fail(err, RG_ERR_USAGE, "--lock %s: the role is locked twice", argument);
    RG_TRY(rg_pcm_read(path, &kept[*role].lock.pcm, err));
    kept[*role].has_file = true;
    return rg_stem_lock_add(&kept[*role].lock, start, end, path, err);
}

/* Locks what the spans to be made leave of the file; they may overlap. */
static rg_status lock_the_rest(rg_stem_lock *lock, double (*made)[2], int32_t n, const char *name,
                               rg_error *err)
{
    double seconds = (double)lock->pcm.frames / lock->pcm.rate, at = 0;
    while (at < seconds) {
        double next = seconds, end = at;
        for (int32_t i = 0; i < n; i++) {
            if (made[i][0] <= at && made[i][1] > end) end = made[i][1];
            if (made[i][0] > at && made[i][0] < next) next = made[i][0];
        }
        if (end > at)
            at = end;
        else {
            RG_TRY(rg_stem_lock_add(lock, at, next, name, err));
            at = next;
        }
    }
    return RG_OK;
}

rg_status rg_keep_from_scene(rg_kept_role *kept, const rg_scene *scene, int32_t role,
                             double (*made)[2], int32_t n, rg_error *err)
{
    char path[RG_SCENE_PATH];
    rg_kept_role *k = kept + role;
    const char *name = scene->roles[role].name;
    if (scene->roles[role].absent)
        return n ? rg_fail(err, RG_ERR_USAGE, "--regenerate %s: the role does not play in %s", name,
                           scene->folder)
                 : RG_OK;
    RG_TRY(rg_scene_wav(scene, name, path, err));
    RG_TRY(rg_pcm_read(path, &k->lock.pcm, err));
    k->has_file = k->from_scene = true;
    k->whole = n == 0;
    return lock_the_rest(&k->lock, made, n, path, err);
}
