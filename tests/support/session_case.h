/*
 * Scenes of an untrained toy bundle, for tests of sessions. Included by one file of a test program.
 */
#ifndef RG_TESTS_SESSION_CASE_H
#define RG_TESTS_SESSION_CASE_H

#include "generate/session.h"
#include "toy_bundle.h"

static char folder[512];
static rg_pool *pool;
static rg_exec *ex;

static inline void setup_roles(int32_t roles)
{
    rg_error err = {0};
    static int n;
    snprintf(folder, sizeof folder, "%s/%d", rg_test_folder(), n++);
    pool = rg_pool_create(2, 0, false, &err);
    ex = rg_toy_exec(pool);
    rg_toy_bundle(ex, folder, roles);
}

static inline void teardown(void)
{
    rg_exec_destroy(ex);
    rg_pool_destroy(pool);
}

static inline const char *in_folder(const char *name)
{
    static char paths[8][1024];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, 1024, "%s/%s", folder, name);
    return path;
}

static inline rg_status make(const char *out, rg_generate_options o, rg_error *err)
{
    char path[1024];
    rg_generate_result result;
    snprintf(path, sizeof path, "%s", in_folder(out));
    o.bundle_folder = in_folder("bundle");
    o.out_folder = path;
    if (!o.rate) o.rate = 16000;
    if (!o.prompt && !o.from_folder) o.prompt = "128 bpm, A minor";
    return rg_generate(&o, ex, NULL, &result, err);
}

static inline void make_ok(const char *out, rg_generate_options o)
{
    rg_error err = {0};
    RG_ASSERT_OK(make(out, o, &err), &err);
}

#endif
