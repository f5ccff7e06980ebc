/*
 * Generation on a device: music within its memory, what does not fit, tracks in 16 bits, codecs.
 *
 * One idea: the machine is the one that the program opens; memory runs out because the emulated
 * device is small, or because somebody else has taken the rest.
 */
#include "cuemu_control.h"
#include "engine/machine.h"
#include "generate/memory.h"
#include "session_case.h"

enum { ROLES = 3, FRAMES = 64, ROOM = 64 << 20 };
static rg_machine machine;

static void open_machine(void)
{
    rg_error err = {0};
    const rg_machine_options on = {.device = "cuda", .memory = ROOM, .unpinned = true};
    RG_ASSERT_OK(rg_machine_open(&machine, &on, NULL, &err), &err);
}

static rg_status make_there(const char *out, const char *precision, rg_generate_result *result,
                            rg_error *err)
{
    char path[1024];
    snprintf(path, sizeof path, "%s", in_folder(out));
    const rg_generate_options o = {.bundle_folder = in_folder("bundle"),
                                   .out_folder = path,
                                   .prompt = "128 bpm, A minor",
                                   .precision = precision,
                                   .seconds = 0.7,
                                   .takes = 2,
                                   .rate = 16000};
    return rg_generate(&o, machine.ex, NULL, result, err);
}

static void assert_same_codes(const char *a, const char *b)
{
    static const char *const files[] = {"codes.safetensors", "take-1/codes.safetensors"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[64], *x, *y;
        size_t n, m;
        rg_error err = {0};
        snprintf(path, sizeof path, "%s/%s", a, files[i]);
        RG_ASSERT_OK(rg_fs_read_all(in_folder(path), 1 << 20, &x, &n, &err), &err);
        snprintf(path, sizeof path, "%s/%s", b, files[i]);
        RG_ASSERT_OK(rg_fs_read_all(in_folder(path), 1 << 20, &y, &m, &err), &err);
        ck_assert_msg(n == m && !memcmp(x, y, n), "%s differs between %s and %s", files[i], a, b);
        free(x);
        free(y);
    }
}

/* ---- memory ---- */

static rg_generate_need count(void)
{
    const rg_generate_plan plan = {.frames = 35, .takes = 2, .seconds = 0.7, .rate = 16000};
    rg_error err = {0};
    rg_bundle bundle;
    rg_generate_need need;
    RG_ASSERT_OK(rg_bundle_describe(&bundle, in_folder("bundle"), machine.ex, &err), &err);
    RG_ASSERT_OK(rg_generate_count(&bundle, &plan, &need, &err), &err);
    rg_bundle_close(&bundle);
    return need;
}

/* Takes all of the device but `bytes`. */
static void *leave(int64_t bytes)
{
    rg_error err = {0};
    rg_gpu_facts facts;
    RG_ASSERT_OK(rg_gpu_describe(0, &facts, &err), &err);
    void *rest = rg_gpu_alloc(machine.gpu, (size_t)(facts.free - bytes), &err);
    ck_assert_msg(rest != NULL, "%s", err.text);
    return rest;
}

START_TEST(tracks_take_turns_on_a_full_device)
{
    rg_error err = {0};
    rg_generate_result result;
    ck_assert(cuemu_set("memory", "160"));
    setup_roles(ROLES);
    open_machine();
    const rg_generate_need n = count();
    const int64_t shared = 2 * n.shared + (1 << 16); /* and what is rounded up */
    RG_ASSERT_OK(make_there("all", NULL, &result, &err), &err);
    ck_assert_int_eq(result.loads, 2 * ROLES);
    void *rest = leave(shared + n.caches + n.largest);
    RG_ASSERT_OK(make_there("one", NULL, &result, &err), &err);
    ck_assert_int_gt(result.loads, 2 * ROLES);
    assert_same_codes("all", "one");
    rg_gpu_free(machine.gpu, rest);

    rest = leave(n.caches);
    ck_assert_int_eq(make_there("no", NULL, &result, &err), RG_ERR_NOMEM);
    ck_assert_msg(strstr(err.text, "of the GPU's memory at least") && strstr(err.text, "the track"),
                  "%s", err.text);
    ck_assert(!rg_fs_exists(in_folder("no")));
    rg_gpu_free(machine.gpu, rest);
    rg_machine_close(&machine);
    teardown();
}
END_TEST

/* Whatever allocation is the first that fails, one line says that memory is out. */
START_TEST(a_small_device_is_told_of)
{
    int32_t made = 0, refused = 0;
    setup_roles(ROLES);
    static const int sizes[] = {1, 30, 33, 36, 39, 42, 90};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int mib = sizes[i];
        const rg_machine_options on = {.device = "cuda", .unpinned = true};
        rg_generate_result result;
        rg_error err = {0};
        char text[16], out[16];
        snprintf(text, sizeof text, "%d", mib);
        snprintf(out, sizeof out, "small-%d", mib);
        ck_assert(cuemu_set("memory", text));
        rg_status status = rg_machine_open(&machine, &on, NULL, &err);
        if (status == RG_OK) status = make_there(out, NULL, &result, &err);
        rg_machine_close(&machine);
        if (status == RG_OK) {
            made++;
            continue;
        }
        refused++;
        ck_assert_msg(status == RG_ERR_NOMEM, "%d MiB: %s", mib, err.text);
        ck_assert_msg(strstr(err.text, "mem") || strstr(err.text, "MiB"), "%s", err.text);
        ck_assert_msg(!strchr(err.text, '\n'), "%s", err.text);
        ck_assert(!rg_fs_exists(in_folder(out)));
    }
    ck_assert(made > 0 && refused > 0);
    teardown();
}
END_TEST

/* ---- 16 bits ---- */

/* Half of the frames of all roles are known; the target's others are wanted. */
static rg_track_batch *make_batch(const rg_track_config *c, int32_t target)
{
    rg_error err = {0};
    rg_rng rng = rg_rng_make(5, 1);
    rg_track_batch *b = rg_track_batch_create(c, 1, FRAMES, &err);
    ck_assert_ptr_nonnull(b);
    b->target = target;
    for (int32_t r = 0; r < c->n_roles; r++) {
        rg_rng_fill_normal(&rng, b->latents[r], FRAMES * c->roles[r].dim, 0, 1);
        for (int32_t i = 0; i < FRAMES * c->roles[r].books; i++)
            b->codes[r][i] = (int32_t)(rg_rng_uniform(&rng) * c->roles[r].entries);
        for (int32_t f = 0; f < FRAMES; f++)
            b->state[r][f] = r != target || f < FRAMES / 2 ? RG_CELL_KNOWN : RG_CELL_UNKNOWN;
    }
    for (int32_t f = FRAMES / 2; f < FRAMES; f++) b->cells[f] = 1;
    return b;
}

/* Logits of all books of a role at all steps, heap. */
static float *logits_in(rg_bundle *bundle, rg_dtype type, int32_t role, int64_t *n)
{
    rg_error err = {0};
    rg_track_out out;
    rg_exec *gpu = machine.ex;
    const rg_track_role *r = &bundle->config.roles[role];
    rg_track_batch *batch = make_batch(&bundle->config, role);
    RG_ASSERT_OK(rg_bundle_set_precision(bundle, type, gpu, &err), &err);
    rg_step_begin(gpu, 0);
    RG_ASSERT_OK(rg_track_loss(gpu, bundle->tracks, batch, &out), &gpu->error);
    const int64_t each = (int64_t)(FRAMES + r->books - 1) * r->entries;
    float *values = malloc((size_t)(each * r->books) * sizeof *values);
    for (int32_t q = 0; q < r->books; q++)
        rg_tensor_floats(out.logits[q], 0, each, values + q * each);
    rg_track_batch_free(batch);
    *n = each * r->books;
    return values;
}

static double apart(const float *a, const float *b, int64_t n)
{
    double difference = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)a[i] * a[i];
    }
    return sqrt(difference / size);
}

/* Some ten roundings of 2^-11 or 2^-8 each on the way. */
static const struct half {
    rg_dtype type;
    const char *name;
    double apart;
} halves[] = {{RG_F16, "fp16", 0x1p-8}, {RG_BF16, "bf16", 0x1p-5}};
enum { HALVES = sizeof halves / sizeof *halves };

START_TEST(logits_of_16_bits_are_near_those_of_fp32)
{
    rg_error err = {0};
    rg_bundle bundle;
    setup_roles(ROLES);
    open_machine();
    RG_ASSERT_OK(rg_bundle_open(&bundle, in_folder("bundle"), machine.ex, &err), &err);
    for (int32_t role = 0; role < ROLES; role++) {
        int64_t n;
        float *full = logits_in(&bundle, RG_F32, role, &n);
        for (int i = 0; i < HALVES; i++) {
            float *half = logits_in(&bundle, halves[i].type, role, &n);
            const double ratio = apart(full, half, n);
            ck_assert_msg(ratio <= halves[i].apart && ratio > 0, "%s: %.3g apart, %.3g allowed",
                          halves[i].name, ratio, halves[i].apart);
            free(half);
        }
        float *again = logits_in(&bundle, RG_F32, role, &n);
        ck_assert_msg(!memcmp(full, again, (size_t)n * sizeof *full), "fp32 changed");
        free(again);
        free(full);
    }
    rg_bundle_close(&bundle);
    rg_machine_close(&machine);
    teardown();
}
END_TEST

START_TEST(music_in_16_bits)
{
    setup_roles(ROLES);
    open_machine();
    for (int i = 0; i < HALVES; i++) {
        rg_error err = {0};
        rg_generate_result result;
        char again[16];
        snprintf(again, sizeof again, "%s-2", halves[i].name);
        RG_ASSERT_OK(make_there(halves[i].name, halves[i].name, &result, &err), &err);
        RG_ASSERT_OK(make_there(again, halves[i].name, &result, &err), &err);
        ck_assert_ptr_null(machine.ex->stored);
        assert_same_codes(halves[i].name, again);
    }
    rg_machine_close(&machine);
    teardown();
}
END_TEST

/* Weights that are products' operands, keys, values and activations take half of what they take in
 * fp32; tables, norms and masks stay. */
START_TEST(half_the_bits_take_less)
{
    const rg_generate_plan plan = {.frames = 35, .takes = 2, .seconds = 0.7, .rate = 16000};
    rg_error err = {0};
    rg_bundle bundle;
    rg_generate_need full, half;
    setup_roles(ROLES);
    open_machine();
    RG_ASSERT_OK(rg_bundle_describe(&bundle, in_folder("bundle"), machine.ex, &err), &err);
    RG_ASSERT_OK(rg_generate_count(&bundle, &plan, &full, &err), &err);
    RG_ASSERT_OK(rg_bundle_set_precision(&bundle, RG_F16, machine.ex, &err), &err);
    RG_ASSERT_OK(rg_generate_count(&bundle, &plan, &half, &err), &err);
    ck_assert_int_lt(half.weights, full.weights);
    ck_assert_int_lt(half.caches, full.caches * 6 / 10);
    ck_assert_int_lt(half.step, full.step * 8 / 10);
    ck_assert_int_eq(rg_bundle_set_precision(&bundle, RG_I8, machine.ex, &err), RG_ERR_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "use --device cpu") != NULL, "%s", err.text);
    rg_bundle_close(&bundle);
    rg_machine_close(&machine);
    teardown();
}
END_TEST

/* ---- codecs ---- */

/* Codes differ only where two entries are as near as rounding tells. */
START_TEST(a_codec_codes_as_on_the_cpu)
{
    enum { FRAMES_CODED = 40, HOP = 160, N = FRAMES_CODED * HOP - 50 };
    static float x[N], y[N], z[N];
    static int32_t here[FRAMES_CODED * RG_TOY_BOOKS], there[FRAMES_CODED * RG_TOY_BOOKS];
    rg_error err = {0};
    rg_codec on_cpu, on_gpu;
    rg_rng rng = rg_rng_make(8, 2);
    setup_roles(1);
    open_machine();
    rg_exec *host = machine.ex->host;
    rg_rng_fill_normal(&rng, x, N, 0, 0.3F);
    const char *path = in_folder("bundle/codec-drums.safetensors");
    RG_ASSERT_OK(rg_codec_load(path, host, &on_cpu, &err), &err);
    RG_ASSERT_OK(rg_codec_load(path, machine.ex, &on_gpu, &err), &err);
    ck_assert_int_eq(rg_encodec_hop(&on_cpu.config), HOP);
    RG_ASSERT_OK(rg_codec_encode_audio(host, &on_cpu, x, N, here), &host->error);
    RG_ASSERT_OK(rg_codec_encode_audio(machine.ex, &on_gpu, x, N, there), &machine.ex->error);
    int32_t other = 0;
    for (int32_t i = 0; i < FRAMES_CODED * RG_TOY_BOOKS; i++) other += here[i] != there[i];
    ck_assert_msg(other <= 1, "%d of %d codes differ", other, FRAMES_CODED * RG_TOY_BOOKS);
    RG_ASSERT_OK(rg_codec_decode_audio(host, &on_cpu, here, FRAMES_CODED, y, N), &host->error);
    RG_ASSERT_OK(rg_codec_decode_audio(machine.ex, &on_gpu, here, FRAMES_CODED, z, N),
                 &machine.ex->error);
    const double ratio = apart(y, z, N);
    ck_assert_msg(ratio <= 1e-5, "%.3g apart", ratio);
    rg_codec_free(&on_cpu);
    rg_codec_free(&on_gpu);
    rg_machine_close(&machine);
    teardown();
}
END_TEST

RG_TEST_MAIN("cuda generate", 300, tracks_take_turns_on_a_full_device, a_small_device_is_told_of,
             logits_of_16_bits_are_near_those_of_fp32, music_in_16_bits, half_the_bits_take_less,
             a_codec_codes_as_on_the_cpu)
