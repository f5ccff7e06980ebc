/*
 * Stores that other programs changed, carelessly or to harm: read through HDF5 with the same
 * samples, or refused with the shard's and the song's name.
 */
#include <hdf5.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "toy_store.h"

static const rg_toy toy = {2, 3, 8000, 2, 0};
enum { FRAMES = 16000, SAMPLES = 2 * FRAMES };
static int32_t channels = 1; /* of the store that is built */

static char folder[700], shard[800];

static void name_paths(void)
{
    snprintf(folder, sizeof folder, "%s/store", rg_test_folder());
    snprintf(shard, sizeof shard, "%s/stems-00000-of-00001.h5", folder);
}

static void build(void)
{
    rg_error err = {0};
    name_paths();
    RG_ASSERT_OK(rg_fs_remove_tree(folder, &err), &err);
    rg_store_close(rg_toy_build_of(&toy, channels, folder));
}

/* The index says how long the shard is. */
static void mend_index(void)
{
    char path[800], *text;
    size_t n;
    rg_error err = {0};
    snprintf(path, sizeof path, "%s/index.jsonl", folder);
    RG_ASSERT_OK(rg_fs_read_all(path, 1 << 20, &text, &n, &err), &err);
    char *second = strchr(text, '\n') + 1;
    json_t *line = rg_json_parse(second, strcspn(second, "\n"), path, &err);
    ck_assert_ptr_nonnull(line);
    json_object_set_new(line, "bytes", json_integer(rg_fs_size(shard)));
    char *dump = json_dumps(line, JSON_COMPACT);
    FILE *file = fopen(path, "w");
    fprintf(file, "%.*s%s\n", (int)(second - text), text, dump);
    ck_assert_int_eq(fclose(file), 0);
    json_decref(line);
    free(dump);
    free(text);
}

/* ---- what is done to the first song's array ---- */

typedef struct array {
    hid_t type;
    int rank;
    hsize_t dims[3];
    hid_t plist; /* 0: the default */
} array;

static herr_t copy_attribute(hid_t from, const char *name, const H5A_info_t *info, void *ctx)
{
    (void)info;
    hid_t a = H5Aopen(from, name, H5P_DEFAULT), type = H5Aget_type(a), space = H5Aget_space(a);
    hid_t b = H5Acreate2(*(hid_t *)ctx, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    char value[4096];
    ck_assert(H5Aread(a, type, value) >= 0 && H5Awrite(b, type, value) >= 0);
    H5Aclose(b);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(a);
    return 0;
}

static void replace(hid_t file, array made, bool write)
{
    static int16_t x[2 * SAMPLES];
    hid_t old = H5Dopen2(file, "/audio/toy-000", H5P_DEFAULT);
    ck_assert(H5Dread(old, H5T_NATIVE_INT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    ck_assert(H5Ldelete(file, "/audio/toy-000", H5P_DEFAULT) >= 0);
    hid_t space = H5Screate_simple(made.rank, made.dims, NULL);
    hid_t new = H5Dcreate2(file, "/audio/toy-000", made.type, space, H5P_DEFAULT,
                           made.plist ? made.plist : H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(new >= 0);
    if (write) ck_assert(H5Dwrite(new, H5T_NATIVE_INT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    ck_assert(H5Aiterate2(old, H5_INDEX_NAME, H5_ITER_INC, NULL, copy_attribute, &new) >= 0);
    H5Dclose(new);
    H5Sclose(space);
    H5Dclose(old);
}

static void stereo_chunked(hid_t f)
{
    const hsize_t dims[3] = {1, 2, 4000};
    hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    ck_assert(H5Pset_chunk(plist, 3, dims) >= 0);
    replace(f, (array){H5T_STD_I16LE, 3, {2, 2, FRAMES}, plist}, true);
}

static void stereo_big_endian(hid_t f)
{
    replace(f, (array){H5T_STD_I16BE, 3, {2, 2, FRAMES}, 0}, true);
}

static void of_rank_2(hid_t f)
{
    replace(f, (array){H5T_STD_I16LE, 2, {4, FRAMES}, 0}, true);
}

static void of_one_channel(hid_t f)
{
    replace(f, (array){H5T_STD_I16LE, 3, {2, 1, FRAMES}, 0}, true);
}

static void of_three_channels(hid_t f)
{
    replace(f, (array){H5T_STD_I16LE, 3, {2, 3, FRAMES}, 0}, false);
}

static void roles_within_channels(hid_t f)
{
    replace(f, (array){H5T_STD_I16LE, 3, {2, FRAMES, 2}, 0}, true);
}

static hid_t chunks(int level)
{
    const hsize_t dims[2] = {1, 4000};
    hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    ck_assert(H5Pset_chunk(plist, 2, dims) >= 0);
    if (level) ck_assert(H5Pset_shuffle(plist) >= 0 && H5Pset_deflate(plist, (unsigned)level) >= 0);
    return plist;
}

static void chunked(hid_t f)
{
    replace(f, (array){H5T_STD_I16LE, 2, {2, FRAMES}, chunks(0)}, true);
}

static void compressed(hid_t f)
{
    replace(f, (array){H5T_STD_I16LE, 2, {2, FRAMES}, chunks(4)}, true);
}

static void big_endian(hid_t f)
{
    replace(f, (array){H5T_STD_I16BE, 2, {2, FRAMES}, 0}, true);
}

static void of_floats(hid_t f)
{
    replace(f, (array){H5T_IEEE_F32LE, 2, {2, FRAMES}, 0}, true);
}

static void of_32_bits(hid_t f)
{
    replace(f, (array){H5T_STD_I32LE, 2, {2, FRAMES}, 0}, true);
}

static void without_sign(hid_t f)
{
    replace(f, (array){H5T_STD_U16LE, 2, {2, FRAMES}, 0}, true);
}

static void of_rank_1(hid_t f)
{
    replace(f, (array){H5T_STD_I16LE, 1, {SAMPLES}, 0}, true);
}

static void of_rank_3(hid_t f)
{
    replace(f, (array){H5T_STD_I16LE, 3, {2, 1, FRAMES}, 0}, true);
}

static void shorter(hid_t f)
{
    replace(f, (array){H5T_STD_I16LE, 2, {2, FRAMES - 1}, 0}, false);
}

static void more_roles(hid_t f)
{
    replace(f, (array){H5T_STD_I16LE, 2, {3, FRAMES}, 0}, false);
}

/* Never written: reads as zeros, of which no role may be. */
static void unwritten(hid_t f)
{
    replace(f, (array){H5T_STD_I16LE, 2, {2, FRAMES}, 0}, false);
}

static void in_another_file(hid_t f)
{
    hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    ck_assert(H5Pset_external(plist, "/etc/passwd", 0, SAMPLES * 2) >= 0);
    replace(f, (array){H5T_STD_I16LE, 2, {2, FRAMES}, plist}, false);
}

static void linked_to_itself(hid_t f)
{
    ck_assert(H5Ldelete(f, "/audio/toy-000", H5P_DEFAULT) >= 0);
    ck_assert(H5Lcreate_soft("/audio/toy-000", f, "/audio/toy-000", H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void a_group_instead(hid_t f)
{
    ck_assert(H5Ldelete(f, "/audio/toy-000", H5P_DEFAULT) >= 0);
    H5Gclose(H5Gcreate2(f, "/audio/toy-000", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
}

/* ---- attributes and columns ---- */

static void drop(hid_t f, const char *where, const char *name)
{
    hid_t at = H5Oopen(f, where, H5P_DEFAULT);
    ck_assert(at >= 0 && H5Adelete(at, name) >= 0);
    H5Oclose(at);
}

static void put(hid_t f, const char *where, const char *name, hid_t type, hsize_t n,
                const void *value)
{
    drop(f, where, name);
    hid_t at = H5Oopen(f, where, H5P_DEFAULT), space = H5Screate_simple(1, &n, NULL);
    hid_t a = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(a >= 0 && H5Awrite(a, type, value) >= 0);
    H5Aclose(a);
    H5Sclose(space);
    H5Oclose(at);
}

static void without_checksum(hid_t f)
{
    drop(f, "/audio/toy-000", "xxh3");
}

static void without_rate(hid_t f)
{
    drop(f, "/", "sample_rate");
}

static void not_complete(hid_t f)
{
    drop(f, "/", "complete");
}

static void present_for_three(hid_t f)
{
    put(f, "/audio/toy-000", "present", H5T_NATIVE_UINT8, 3, "\1\1\1");
}

static void present_as_text(hid_t f)
{
    hid_t text = H5Tcopy(H5T_C_S1);
    put(f, "/audio/toy-000", "present", text, 2, "ab");
    H5Tclose(text);
}

static void roles_upwards(hid_t f)
{
    hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, 9);
    put(f, "/", "roles", text, 1, "a,../../b");
    H5Tclose(text);
}

static void write_column(hid_t f, const char *name, hid_t type, const void *rows)
{
    hid_t set = H5Dopen2(f, name, H5P_DEFAULT);
    ck_assert(set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) >= 0);
    H5Dclose(set);
}

static void ids_upwards(hid_t f)
{
    static const char ids[3][64] = {"../\33[2J", "b", "c"};
    hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, 64);
    H5Tset_cset(text, H5T_CSET_UTF8);
    H5Tset_strpad(text, H5T_STR_NULLPAD);
    write_column(f, "/songs/id", text, ids);
    H5Tclose(text);
}

static void endless(hid_t f)
{
    const int64_t frames[3] = {(int64_t)1 << 61, FRAMES, FRAMES};
    write_column(f, "/songs/frames", H5T_NATIVE_INT64, frames);
    replace(f, (array){H5T_STD_I16LE, 2, {2, (hsize_t)1 << 61}, chunks(0)}, false);
}

static void without_frames(hid_t f)
{
    const int64_t frames[3] = {0, -5, FRAMES};
    write_column(f, "/songs/frames", H5T_NATIVE_INT64, frames);
}

static void without_songs(hid_t f)
{
    ck_assert(H5Ldelete(f, "/songs", H5P_DEFAULT) >= 0);
}

static void short_activity(hid_t f)
{
    ck_assert(H5Ldelete(f, "/activity/toy-000", H5P_DEFAULT) >= 0);
    const hsize_t dims[2] = {2, 5};
    hid_t space = H5Screate_simple(2, dims, NULL);
    H5Dclose(H5Dcreate2(f, "/activity/toy-000", H5T_STD_U8LE, space, H5P_DEFAULT, H5P_DEFAULT,
                        H5P_DEFAULT));
    H5Sclose(space);
}

static void without_provenance(hid_t f)
{
    ck_assert(H5Ldelete(f, "/provenance/toy-000", H5P_DEFAULT) >= 0);
}

static void claims_channels(hid_t f, int32_t n)
{
    hid_t a = H5Aopen(f, "channels", H5P_DEFAULT);
    ck_assert(H5Awrite(a, H5T_NATIVE_INT32, &n) >= 0);
    H5Aclose(a);
}

static void claims_none(hid_t f)
{
    claims_channels(f, 0);
}

static void claims_two(hid_t f)
{
    claims_channels(f, 2);
}

static void claims_many(hid_t f)
{
    claims_channels(f, INT32_MAX);
}

static void claims_one(hid_t f)
{
    claims_channels(f, 1);
}

static void without_channels(hid_t f)
{
    ck_assert(H5Adelete(f, "channels") >= 0);
}

#define CASE(change, refusal)       \
    {                               \
#change, change, refusal, 1 \
    }
#define STEREO(change, refusal)     \
    {                               \
#change, change, refusal, 2 \
    }

static const struct {
    const char *name;
    void (*change)(hid_t file);
    const char *refusal; /* NULL: reads as before */
    int32_t channels;
} cases[] = {
    CASE(chunked, NULL),
    CASE(compressed, NULL),
    CASE(big_endian, NULL),
    CASE(of_floats, "'toy-000' are not 16-bit integers"),
    CASE(of_32_bits, "'toy-000' are not 16-bit integers"),
    CASE(without_sign, "'toy-000' are not 16-bit integers"),
    CASE(of_rank_1, "'toy-000' are cut or of wrong shape"),
    CASE(of_rank_3, "'toy-000' are cut or of wrong shape"),
    CASE(shorter, "'toy-000' are cut or of wrong shape"),
    CASE(more_roles, "'toy-000' are cut or of wrong shape"),
    CASE(in_another_file, "'toy-000' lie in another file"),
    CASE(linked_to_itself, "song 'toy-000' is malformed"),
    CASE(a_group_instead, "song 'toy-000' is malformed"),
    CASE(without_checksum, "song 'toy-000' is malformed"),
    CASE(without_rate, "sample rate or roles are missing"),
    CASE(not_complete, "is not complete"),
    CASE(present_for_three, "song 'toy-000' is malformed"),
    CASE(present_as_text, "song 'toy-000' is malformed"),
    CASE(roles_upwards, "list of roles is malformed"),
    CASE(ids_upwards, "song id '../?[2J' is not allowed"),
    CASE(endless, "song 'toy-000' is longer than 4 hours"),
    CASE(without_frames, "/songs is missing or malformed"),
    CASE(without_songs, "/songs is missing or malformed"),
    CASE(short_activity, "song 'toy-000' is malformed"),
    CASE(without_provenance, "song 'toy-000' is malformed"),
    CASE(claims_none, "has 0 channels; stems of 1 or 2 are read"),
    CASE(claims_two, "'toy-000' are cut or of wrong shape"),
    CASE(claims_many, "has 2147483647 channels"),
    CASE(without_channels, "has 0 channels"),
    STEREO(stereo_chunked, NULL),
    STEREO(stereo_big_endian, NULL),
    STEREO(of_rank_1, "'toy-000' are cut or of wrong shape"),
    STEREO(of_rank_2, "'toy-000' are cut or of wrong shape"),
    STEREO(of_one_channel, "'toy-000' are cut or of wrong shape"),
    STEREO(of_three_channels, "'toy-000' are cut or of wrong shape"),
    STEREO(roles_within_channels, "'toy-000' are cut or of wrong shape"),
    STEREO(claims_one, "'toy-000' are cut or of wrong shape"),
};

static void reads_as_before(const char *name)
{
    static int16_t expected[2 * SAMPLES];
    static float got[FRAMES];
    rg_error err = {0};
    rg_store *store = rg_store_open(folder, &err);
    ck_assert_msg(store != NULL, "%s: %s", name, err.text);
    rg_toy_rows(&toy, channels, 0, FRAMES, expected);
    for (int32_t row = 0; row < toy.roles * channels; row++) {
        RG_ASSERT_OK(
            rg_store_read_channel(store, 0, row / channels, row % channels, 0, FRAMES, got, &err),
            &err);
        for (int i = 0; i < FRAMES; i++)
            ck_assert_msg(got[i] == (float)expected[row * FRAMES + i] / 32768, "%s: row %d, %d",
                          name, row, i);
    }
    rg_store_close(store);
}

/* What is left then is a store as version 1.0 wrote it, which is read song by song. */
static void remove_summary(hid_t file)
{
    ck_assert(H5Ldelete(file, "/summary", H5P_DEFAULT) >= 0);
}

static void change_shard(void (*change)(hid_t))
{
    hid_t file = H5Fopen(shard, H5F_ACC_RDWR, H5P_DEFAULT);
    ck_assert(file >= 0);
    change(file);
    H5Fclose(file);
    mend_index();
}

START_TEST(changed_stores)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rg_error err = {0};
        channels = cases[i].channels;
        build();
        change_shard(cases[i].change);
        if (!cases[i].refusal) {
            reads_as_before(cases[i].name);
            change_shard(remove_summary);
            reads_as_before(cases[i].name);
            continue;
        }
        change_shard(remove_summary);
        rg_store *store = rg_store_open(folder, &err);
        ck_assert_msg(store == NULL, "%s opens", cases[i].name);
        ck_assert_msg(strstr(err.text, cases[i].refusal) && strstr(err.text, "stems-00000"),
                      "%s: %s", cases[i].name, err.text);
        ck_assert(!strchr(err.text, '\33'));
    }
}
END_TEST

static void keep_fault(void *ctx, const char *song, const char *what)
{
    snprintf(ctx, 256, "%s: %s", song, what);
}

/* A link to what would be a whole song. The store is made by another process, since one that opened
 * a store makes no such links either. */
START_TEST(linked_to_another_file)
{
    char other[800], *data;
    size_t n;
    int status = 0;
    rg_error err = {0};
    name_paths();
    pid_t child = fork();
    if (child == 0) {
        rg_store_close(rg_toy_build(&toy, folder));
        _exit(0);
    }
    ck_assert(waitpid(child, &status, 0) == child && status == 0);
    snprintf(other, sizeof other, "%s/other.h5", folder);
    RG_ASSERT_OK(rg_fs_read_all(shard, 1 << 24, &data, &n, &err), &err);
    RG_ASSERT_OK(rg_fs_write_atomic(other, data, n, &err), &err);
    free(data);
    hid_t file = H5Fopen(shard, H5F_ACC_RDWR, H5P_DEFAULT);
    const char *name = "/audio/toy-000";
    ck_assert(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
    ck_assert(H5Lcreate_external("other.h5", name, file, name, H5P_DEFAULT, H5P_DEFAULT) >= 0);
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    ck_assert_msg(set >= 0, "the link is of no use to begin with");
    H5Dclose(set);
    H5Fclose(file);
    mend_index();
    ck_assert_ptr_null(rg_store_open(folder, &err));
    ck_assert_msg(strstr(err.text, "song 'toy-000' is malformed"), "%s", err.text);
}
END_TEST

START_TEST(never_written_samples)
{
    char fault[256] = "";
    int64_t faults = 0;
    rg_error err = {0};
    build();
    change_shard(unwritten);
    RG_ASSERT_OK(rg_store_verify(folder, keep_fault, fault, &faults, &err), &err);
    ck_assert_int_ge(faults, 1);
    ck_assert_msg(strstr(fault, "toy-000"), "%s", fault);
}
END_TEST

/* Titles and licences are shown: escape sequences in them do nothing. */
START_TEST(texts_are_harmless)
{
    static const char titles[3][128] = {"\33[31mred", "caf\xe9", "caf\xc3\xa9"};
    build();
    hid_t file = H5Fopen(shard, H5F_ACC_RDWR, H5P_DEFAULT), text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, 128);
    H5Tset_cset(text, H5T_CSET_UTF8);
    H5Tset_strpad(text, H5T_STR_NULLPAD);
    write_column(file, "/songs/title", text, titles);
    H5Tclose(text);
    H5Fclose(file);
    mend_index();
    rg_error err = {0};
    rg_store *store = rg_store_open(folder, &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    ck_assert_str_eq(rg_store_song(store, 0)->title, "?[31mred");
    ck_assert_str_eq(rg_store_song(store, 1)->title, "caf?");
    ck_assert_str_eq(rg_store_song(store, 2)->title, "caf\xc3\xa9");
    rg_store_close(store);
}
END_TEST

RG_TEST_MAIN("hostile stores", 120, changed_stores, linked_to_another_file, never_written_samples,
             texts_are_harmless)
