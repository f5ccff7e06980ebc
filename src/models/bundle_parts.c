/*
 * The models of a bundle in memory (bundle.h): loaded when they are needed, gone when others need
 * their room.
 *
 * One idea: a part is the weights of one file. Its tensors stay where they are while it is away, so
 * nobody who holds them hears of it.
 */
#include "models/bundle_files.h"

static const char *const kinds[RG_PART_KINDS] = {"track", "codec"};

int64_t rg_bundle_part_bytes(const rg_bundle *bundle, enum rg_bundle_kind kind, int32_t role)
{
    if (kind == RG_PART_CODEC && bundle->ex->gpu) return 0;
    return bundle->parts[kind][role].size.bytes;
}

int64_t rg_bundle_elements(const rg_bundle *bundle)
{
    int64_t n = rg_params_elements(bundle->params);
    for (int32_t r = 0; r < bundle->config.n_roles; r++)
        n += bundle->parts[RG_PART_TRACK][r].size.elements;
    return n;
}

/* The part that was not needed for the longest time; NULL: none is here. */
static rg_bundle_part *find_oldest(rg_bundle *bundle)
{
    rg_bundle_part *oldest = NULL;
    for (int32_t k = 0; k < RG_PART_KINDS; k++)
        for (int32_t r = 0; r < bundle->config.n_roles; r++) {
            rg_bundle_part *part = &bundle->parts[k][r];
            if (part->here && rg_bundle_part_bytes(bundle, k, r) > 0 &&
                (!oldest || part->used < oldest->used))
                oldest = part;
        }
    return oldest;
}

static bool drop_oldest(rg_bundle *bundle)
{
    rg_bundle_part *oldest = find_oldest(bundle);
    if (!oldest) return false;
    rg_params_release(oldest->params);
    oldest->here = false;
    return true;
}

/* What the parts that are here take. */
static int64_t bytes_here(const rg_bundle *bundle)
{
    int64_t bytes = 0;
    for (int32_t k = 0; k < RG_PART_KINDS; k++)
        for (int32_t r = 0; r < bundle->config.n_roles; r++)
            if (bundle->parts[k][r].here) bytes += rg_bundle_part_bytes(bundle, k, r);
    return bytes;
}

static rg_status load(rg_bundle *bundle, enum rg_bundle_kind kind, int32_t r, rg_error *err)
{
    rg_bundle_part *part = &bundle->parts[kind][r];
    char prefix[RG_TRACK_NAME + 16];
    if (kind == RG_PART_CODEC)
        return rg_codec_fetch(&bundle->codecs[r], part->path, bundle->ex->host, err);
    RG_TRY(rg_params_finish(part->params, bundle->ex, 0, false, err));
    snprintf(prefix, sizeof prefix, "track.%s.", bundle->config.roles[r].name);
    return rg_weights_load_part(part->path, prefix, part->params, bundle->ex, err);
}

/* Others of the system may take memory too: as long as there is something to give up, it is. */
static rg_status load_somehow(rg_bundle *bundle, enum rg_bundle_kind kind, int32_t r, rg_error *err)
{
    rg_status status;
    do {
        *err = (rg_error){0};
        status = load(bundle, kind, r, err);
        if (status != RG_OK) rg_params_release(bundle->parts[kind][r].params);
    } while (status == RG_ERR_NOMEM && drop_oldest(bundle));
    return status;
}

rg_status rg_bundle_need(rg_bundle *bundle, enum rg_bundle_kind kind, int32_t role, rg_error *err)
{
    rg_bundle_part *part = &bundle->parts[kind][role];
    if (!part->path[0]) return RG_OK;
    part->used = ++bundle->needs;
    if (part->here) return RG_OK;
    const int64_t bytes = rg_bundle_part_bytes(bundle, kind, role);
    if (bytes > bundle->limit)
        return rg_fail(err, RG_ERR_NOMEM, "the %s of %s takes %.1f MiB, and models may take %.1f",
                       kinds[kind], bundle->config.roles[role].name, (double)bytes / 1048576,
                       (double)bundle->limit / 1048576);
    while (bytes_here(bundle) > bundle->limit - bytes && drop_oldest(bundle)) continue;
    RG_TRY(load_somehow(bundle, kind, role, err));
    part->here = true;
    bundle->loads++;
    return RG_OK;
}

rg_status rg_bundle_load_shared(rg_bundle *bundle, rg_error *err)
{
    RG_TRY(rg_params_finish(bundle->params, bundle->ex, 0, false, err));
    return rg_weights_load_part(bundle->shared_path, "shared.", bundle->params, bundle->ex, err);
}

/* ---- precision ---- */

static rg_status refresh_on_cpu(rg_bundle *bundle, rg_dtype type, rg_exec *ex, rg_error *err)
{
    if (type == RG_F16)
        return rg_fail(err, RG_ERR_UNSUPPORTED,
                       "precision fp16 is for GPUs; use bf16 or int8, or --device cuda");
    rg_params_set_packed_type(bundle->params, type);
    rg_status status = rg_params_refresh(bundle->params, ex);
    for (int32_t r = 0; r < bundle->config.n_roles; r++) {
        const rg_bundle_part *part = &bundle->parts[RG_PART_TRACK][r];
        rg_params_set_packed_type(part->params, type);
        if (part->here && status == RG_OK) status = rg_params_refresh(part->params, ex);
    }
    return status == RG_OK ? RG_OK : rg_fail(err, status, "%s", ex->error.text);
}

/* Weights take the memory of their type there, so all are laid out anew. */
static rg_status reload_on_gpu(rg_bundle *bundle, rg_dtype type, rg_exec *ex, rg_error *err)
{
    if (type == RG_I8)
        return rg_fail(err, RG_ERR_UNSUPPORTED, "precision int8 is for the CPU; use --device cpu");
    const rg_kernels *stored = type == RG_F32 ? NULL : rg_gpu_kernels(ex->gpu, type, err);
    if (type != RG_F32 && !stored) return err->code;
    if (stored == ex->stored) return RG_OK;
    ex->stored = stored;
    rg_params_release(bundle->params);
    RG_TRY(rg_bundle_load_shared(bundle, err));
    for (int32_t r = 0; r < bundle->config.n_roles; r++) {
        rg_bundle_part *part = &bundle->parts[RG_PART_TRACK][r];
        const bool here = part->here;
        part->here = false;
        rg_params_release(part->params);
        part->size = rg_params_count_bytes(part->params, ex);
        if (here) RG_TRY(rg_bundle_need(bundle, RG_PART_TRACK, r, err));
    }
    return RG_OK;
}

rg_status rg_bundle_set_precision(rg_bundle *bundle, rg_dtype type, rg_exec *ex, rg_error *err)
{
    return (ex->gpu ? reload_on_gpu : refresh_on_cpu)(bundle, type, ex, err);
}
