/*
 * `resonant codec stream` as a process: pipes, what is refused, signals.
 *
 * One idea: every command line is a row with its exit status and what it must say; the sound is
 * compared with what the codec makes of it in this process.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/rng.h"
#include "models/encodec.h"
#include "test.h"

enum { SAMPLES = 2345, RATE = 4000 };
static char folder[512];

/* An untrained codec of hop 20 in a file. */
static void save_codec(rg_exec *ex, const char *name, bool causal)
{
    rg_error err = {0};
    char path[600];
    rg_encodec_config c = rg_encodec_defaults();
    c.sample_rate = RATE, c.filters = 4, c.dimension = 8, c.n_ratios = 2, c.lstm_layers = 1;
    c.ratios[0] = 5, c.ratios[1] = 4, c.codebooks = 3, c.entries = 16;
    c.causal = causal, c.pad_mode = RG_PAD_REFLECT;
    rg_params *params = rg_params_create(&err);
    rg_encodec *model = rg_encodec_create(params, "", &c, &err);
    ck_assert_msg(model != NULL, "%s", err.text);
    RG_ASSERT_OK(rg_params_finish(params, ex, 1, false, &err), &err);
    float vectors[64 * 8];
    rg_rng rng = rg_rng_make(5, 7);
    rg_rng_fill_normal(&rng, vectors, 64 * 8, 0, 1);
    RG_ASSERT_OK(rg_quantizer_start(rg_encodec_quantizer(model), ex, vectors, 64, 64, 1),
                 &ex->error);
    char *text = rg_encodec_config_to_json(&c);
    const char *keys[] = {"format", "version", "codec", "role"};
    const char *values[] = {"resonant-codec", "1.0", text, "bass"};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    RG_ASSERT_OK(rg_weights_save(path, "", params, false, keys, values, 4, &err), &err);
    free(text);
    rg_encodec_destroy(model);
    rg_params_destroy(params);
}

static rg_exec *setup(void)
{
    rg_error err = {0};
    snprintf(folder, sizeof folder, "%s", rg_test_folder());
    ck_assert_msg(getenv("RESONANT") != NULL, "RESONANT does not name the program");
    rg_exec *ex = rg_exec_create(&(rg_exec_options){.kernels = rg_kernels_cpu(&err)}, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    rg_set_recording(ex, false);
    save_codec(ex, "c", true);
    save_codec(ex, "whole", false);
    return ex;
}

static void write_file(const char *name, const void *data, size_t n)
{
    rg_error err = {0};
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    RG_ASSERT_OK(rg_fs_write_atomic(path, data, n, &err), &err);
}

static char *read_file(const char *name, size_t *n)
{
    rg_error err = {0};
    char path[600], *data;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    RG_ASSERT_OK(rg_fs_read_all(path, 1 << 20, &data, n, &err), &err);
    return data;
}

/* Runs `line` by the shell, in the folder, with `s` short for `resonant codec stream`. */
static int shell(const char *line)
{
    char command[2000];
    snprintf(command, sizeof command, "cd '%s' && s() { \"$RESONANT\" codec stream \"$@\"; } && %s",
             folder, line);
    int how = system(command); /* NOLINT(cert-env33-c): the shell is what makes the pipes */
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

static float *noise(void)
{
    float *x = malloc(SAMPLES * sizeof *x);
    rg_rng rng = rg_rng_make(9, 1);
    rg_rng_fill_normal(&rng, x, SAMPLES, 0, 0.2F);
    return x;
}

/* c: causal; whole: its frames wait for what comes after them. */
static void check_live(const char *name)
{
    rg_error err = {0};
    rg_exec *ex = setup();
    rg_codec codec;
    char path[600];
    size_t n;
    float *x = noise(), want[SAMPLES];
    int32_t codes[SAMPLES / 20 * 3 + 3];
    write_file("in", x, SAMPLES * sizeof *x);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    RG_ASSERT_OK(rg_codec_load(path, ex, &codec, &err), &err);
    RG_ASSERT_OK(rg_codec_encode_audio(ex, &codec, x, SAMPLES, codes), &ex->error);
    RG_ASSERT_OK(rg_codec_decode_audio(ex, &codec, codes, (SAMPLES + 19) / 20, want, SAMPLES),
                 &ex->error);
    static const char *const lines[] = {
        "s $C --pcm f32le <in >out 2>report && grep -q 'times real time' report",
        "s $C --encode --pcm f32le <in 2>report | s $C --decode --pcm f32le >out 2>report",
        "(head -c 1001 in; sleep 0.2; tail -c +1002 in) | s $C --pcm f32le >out 2>report",
    };
    ck_assert_int_eq(setenv("C", name, 1), 0);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        ck_assert_msg(shell(lines[i]) == 0, "%s", lines[i]);
        char *got = read_file("out", &n);
        ck_assert_uint_eq(n, sizeof want);
        ck_assert_mem_eq(got, want, n);
        free(got);
    }
    ck_assert_int_eq(shell("s $C --encode --codebooks 1 --pcm f32le <in 2>report >less"), 0);
    free(read_file("less", &n));
    ck_assert_uint_eq(n, 56 + SAMPLES / 20 * 2 + 6 + 1); /* header, frames, a rest, the end */
    free(x);
    rg_codec_free(&codec);
    rg_exec_destroy(ex);
}

START_TEST(two_processes_and_a_pipe_are_the_codec)
{
    check_live("c");
    check_live("whole");
}
END_TEST

/* Integers: as many as came, in range, within rounding of the floats. */
START_TEST(sixteen_bits)
{
    rg_exec *ex = setup();
    int16_t in[SAMPLES];
    float as_float[SAMPLES];
    size_t n, n_wide;
    float *x = noise();
    for (int i = 0; i < SAMPLES; i++) {
        in[i] = (int16_t)(x[i] * 20000);
        as_float[i] = (float)in[i] / 32768;
    }
    write_file("in", in, sizeof in);
    write_file("wide", as_float, sizeof as_float);
    ck_assert_int_eq(shell("s c <in >out 2>report && s c --pcm f32le <wide >out32 2>report"), 0);
    char *out = read_file("out", &n), *wide = read_file("out32", &n_wide);
    ck_assert(n == sizeof in && n_wide == sizeof as_float);
    for (int i = 0; i < SAMPLES; i++) {
        int16_t got;
        float value;
        memcpy(&got, out + 2 * i, sizeof got);
        memcpy(&value, wide + 4 * i, sizeof value);
        double v = 32768 * (double)value, clipped = v > 32767 ? 32767 : v < -32768 ? -32768 : v;
        RG_ASSERT_NEAR((double)got, clipped, 0.5);
    }
    free(x), free(out), free(wide);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(faults_are_one_line)
{
    static const struct {
        const char *line;
        int code;
        const char *words;
    } rows[] = {
        {"s absent <in", 2, "absent"},
        {"s c --encode --decode <in", 2, "exclude each other"},
        {"s c --pcm s24le <in", 2, "s16le or f32le"},
        {"s c --codebooks 4 <in", 2, "codebooks"},
        {"head -c 31 in | s c", 1, "inside a sample"},
        {"printf '\\0\\0\\200\\177' | s c --pcm f32le", 1, "sample 0 of standard input"},
        {"s c --decode <in", 1, "no stream of codes"},
        {"s c --decode </dev/null", 1, "no stream of codes"},
        {"head -c 60 codes | s c --decode", 1, "cut off behind frame 1"},
        {"head -c 62 codes | s c --decode", 1, "cut off behind frame 2"},
        {"(head -c 59 codes; printf 7) | s c --decode", 1, "damaged behind frame 1"},
        {"(head -c 24 codes; tail -c +26 codes; echo) | s c --decode", 1, "made by codec"},
        {"s c <in >/dev/full", 1, "cannot write to standard output"},
    };
    rg_exec *ex = setup();
    char line[600];
    size_t n;
    float *x = noise();
    write_file("in", x, SAMPLES * sizeof *x);
    ck_assert_int_eq(shell("s c --encode --pcm f32le <in >codes 2>report"), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(line, sizeof line, "{ %s; } >out 2>said", rows[i].line);
        int code = shell(line);
        char *said = read_file("said", &n), *at = strstr(said, "resonant: ");
        ck_assert_msg(code == rows[i].code && at && strstr(at, rows[i].words) &&
                          !strstr(at + 1, "resonant: "),
                      "%s: exit %d, %s", rows[i].line, code, said);
        free(said);
    }
    free(x);
    rg_exec_destroy(ex);
}
END_TEST

/* Ctrl-C: what is there is finished, and a stream of codes ends as one. */
START_TEST(a_signal_ends_a_stream_in_order)
{
    rg_exec *ex = setup();
    size_t n;
    ck_assert_int_eq(shell("mkfifo f; sleep 60 >f & q=$!; \"$RESONANT\" codec stream c --encode <f "
                           ">codes 2>report & p=$!; for i in $(seq 300); do [ -s codes ] && break; "
                           "sleep 0.1; done; kill -INT $p; wait $p; code=$?; kill $q; exit $code"),
                     128 + SIGINT);
    char *codes = read_file("codes", &n);
    ck_assert_uint_eq(n, 57);
    ck_assert_int_eq(codes[56], 0);
    free(codes);
    rg_exec_destroy(ex);
}
END_TEST

RG_TEST_MAIN("codec stream", 120, two_processes_and_a_pipe_are_the_codec, sixteen_bits,
             faults_are_one_line, a_signal_ends_a_stream_in_order)
