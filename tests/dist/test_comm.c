/*
 * Collective calls on 1 to 5 processes over shared memory and TCP against plain sums; calls that do
 * not match, ranks that die, leave or give up; launchers' variables.
 */
#include <signal.h>

#include "base/process.h"
#include "dist/comm_private.h"
#include "ranks.h"

static const char *const backends[] = {"shm", "tcp"};

/* Value i of a rank: anything that rounds. */
static float value(int32_t rank, int64_t i)
{
    uint32_t x = (uint32_t)i * 2654435761u + (uint32_t)rank * 40503u;
    x = (x ^ (x >> 15)) * 2246822519u;
    return (float)(x >> 8) / (float)(1 + (x & 255)) - 3000;
}

/* The sum over ranks in halves, one element at a time. */
static float sum_at(int32_t world, int64_t i)
{
    float v[RG_RANKS_MOST] = {0};
    for (int32_t r = 0; r < world; r++) v[r] = value(r, i);
    for (int32_t left = world; left > 1; left = (left + 1) / 2)
        for (int32_t r = 0, half = (left + 1) / 2; r + half < left; r++) v[r] += v[r + half];
    return v[0];
}

static int check_allreduce(rg_comm *comm, int64_t n)
{
    rg_error err = {0};
    float *data = malloc((size_t)n * sizeof *data);
    for (int64_t i = 0; i < n; i++) data[i] = value(rg_comm_rank(comm), i);
    rg_status status = rg_comm_allreduce(comm, RG_COMM_SUM_F32, data, n, &err);
    RG_RANK_EXPECT(comm, status == RG_OK, "%s", err.text);
    for (int64_t i = 0; i < n; i++) {
        float expected = sum_at(rg_comm_world(comm), i);
        RG_RANK_EXPECT(comm, data[i] == expected, "element %lld of %lld: %.9g, not %.9g",
                       (long long)i, (long long)n, data[i], expected);
    }
    free(data);
    return 0;
}

/* Several at once, more than a wire holds, into their own place, while others are under way. */
static int check_scatter(rg_comm *comm, int64_t n)
{
    enum { CALLS = 5 };
    rg_error err = {0};
    rg_comm_request requests[CALLS];
    int32_t world = rg_comm_world(comm), rank = rg_comm_rank(comm);
    float *in = malloc((size_t)(CALLS * world * n) * sizeof *in);
    for (int64_t i = 0; i < CALLS * world * n; i++) in[i] = value(rank, i);
    for (int64_t c = 0; c < CALLS; c++) {
        float *part = in + c * world * n;
        RG_RANK_EXPECT(comm,
                       rg_comm_start_reduce_scatter(comm, part, part + rank * n, n, &requests[c],
                                                    &err) == RG_OK,
                       "%s", err.text);
        RG_RANK_EXPECT(comm, rg_comm_progress(comm, &err) == RG_OK, "%s", err.text);
    }
    for (int64_t c = 0; c < CALLS; c++) {
        float *part = in + c * world * n;
        RG_RANK_EXPECT(comm, rg_comm_wait(comm, &requests[c], &err) == RG_OK, "%s", err.text);
        for (int64_t i = 0; i < n; i++) {
            float expected = sum_at(world, c * world * n + rank * n + i);
            RG_RANK_EXPECT(comm, part[rank * n + i] == expected,
                           "call %lld, element %lld: %.9g, not %.9g", (long long)c, (long long)i,
                           part[rank * n + i], expected);
        }
        RG_RANK_EXPECT(comm,
                       rg_comm_start_all_gather(comm, part + rank * n, part, (size_t)n * 4,
                                                &requests[c], &err) == RG_OK,
                       "%s", err.text);
    }
    RG_RANK_EXPECT(comm, rg_comm_wait(comm, &requests[CALLS - 1], &err) == RG_OK, "%s", err.text);
    for (int64_t i = 0; i < CALLS * world * n; i++) {
        float expected = sum_at(world, i);
        RG_RANK_EXPECT(comm, in[i] == expected, "gathered element %lld", (long long)i);
    }
    free(in);
    return 0;
}

static int check_doubles(rg_comm *comm)
{
    rg_error err = {0};
    int32_t world = rg_comm_world(comm), rank = rg_comm_rank(comm);
    double sums[2] = {rank + 1, 0.1}, most[3] = {rank, -rank, rank == world - 1 ? NAN : 1};
    RG_RANK_EXPECT(comm, rg_comm_allreduce(comm, RG_COMM_SUM_F64, sums, 2, &err) == RG_OK, "%s",
                   err.text);
    RG_RANK_EXPECT(comm, sums[0] == world * (world + 1) / 2, "sum %g", sums[0]);
    RG_RANK_EXPECT(comm, fabs(sums[1] - 0.1 * world) < 1e-15, "sum %.17g", sums[1]);
    RG_RANK_EXPECT(comm, rg_comm_allreduce(comm, RG_COMM_MAX_F64, most, 3, &err) == RG_OK, "%s",
                   err.text);
    RG_RANK_EXPECT(comm, most[0] == world - 1 && most[1] == 0 && isnan(most[2]), "max %g %g %g",
                   most[0], most[1], most[2]);
    return 0;
}

static int check_rest(rg_comm *comm)
{
    rg_error err = {0};
    int32_t world = rg_comm_world(comm), rank = rg_comm_rank(comm);
    for (int32_t root = 0; root < world; root++) {
        char text[5000];
        memset(text, rank == root ? 'a' + root : '-', sizeof text);
        RG_RANK_EXPECT(comm, rg_comm_broadcast(comm, text, sizeof text, root, &err) == RG_OK, "%s",
                       err.text);
        for (size_t i = 0; i < sizeof text; i++)
            RG_RANK_EXPECT(comm, text[i] == 'a' + root, "byte %zu from %d: %c", i, root, text[i]);
    }
    for (int32_t root = 0; root < world; root++) {
        int32_t own[3] = {rank, root, 7}, all[3 * RG_RANKS_MOST] = {0};
        RG_RANK_EXPECT(comm, rg_comm_gather(comm, own, all, sizeof own, root, &err) == RG_OK, "%s",
                       err.text);
        for (int32_t r = 0; r < world; r++)
            RG_RANK_EXPECT(comm,
                           all[3 * r + 2] == (rank == root ? 7 : 0) &&
                               all[3 * r] == (rank == root ? r : 0),
                           "gathered of rank %d", r);
    }
    for (int i = 0; i < 50; i++)
        RG_RANK_EXPECT(comm, rg_comm_barrier(comm, &err) == RG_OK, "%s", err.text);
    return 0;
}

/* Children of one process run where it does; mpirun may bind each of its own to other CPUs. */
static int check_sharing(rg_comm *comm, bool forked)
{
    int32_t index, count;
    rg_comm_sharing(comm, &index, &count);
    RG_RANK_EXPECT(comm, index >= 0 && index < count, "shares CPUs as %d of %d", index, count);
    RG_RANK_EXPECT(comm, !forked || (index == rg_comm_rank(comm) && count == rg_comm_world(comm)),
                   "shares CPUs as %d of %d", index, count);
    return 0;
}

static int all_calls(rg_comm *comm, void *ctx)
{
    static const int64_t sizes[] = {1, 7, 1023, 1025, 100001};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (check_allreduce(comm, sizes[i])) return 1;
    if (check_scatter(comm, 128) || check_scatter(comm, 300000)) return 1;
    return check_doubles(comm) || check_rest(comm) || check_sharing(comm, *(const bool *)ctx);
}

START_TEST(calls_are_plain_sums)
{
    bool forked = true;
    for (int32_t world = 1; world <= 5; world++)
        for (size_t b = 0; b < 2; b++) rg_ranks_all_good(world, backends[b], all_calls, &forked);
}
END_TEST

/* A process that holds the values of several ranks adds them alike. */
START_TEST(the_tree_of_ranks_is_the_tree_of_parts)
{
    enum { N = 1000, MOST = 7 };
    static float parts[MOST][N], out[N];
    const float *at[MOST];
    for (int32_t count = 1; count <= MOST; count++) {
        for (int32_t r = 0; r < count; r++) {
            at[r] = parts[r];
            for (int64_t i = 0; i < N; i++) parts[r][i] = value(r, i);
        }
        rg_tree_add(at, count, out, N);
        for (int64_t i = 0; i < N; i++) {
            float expected = sum_at(count, i);
            ck_assert_msg(out[i] == expected, "%d parts, element %lld", count, (long long)i);
        }
    }
}
END_TEST

/* ---- what goes wrong ---- */

/* The error of the next calls, or of none, within 10 s. */
static int wait_for_error(rg_comm *comm, const char *first, const char *second)
{
    rg_error err = {0};
    double began = rg_clock_seconds();
    rg_status status = RG_OK;
    while (status == RG_OK && rg_clock_seconds() - began < 10) status = rg_comm_barrier(comm, &err);
    RG_RANK_EXPECT(comm, status != RG_OK, "nothing was noticed for 10 s");
    RG_RANK_EXPECT(comm, rg_clock_seconds() - began < 10, "noticed too late");
    RG_RANK_EXPECT(comm, strstr(err.text, first) && strstr(err.text, second), "'%s'", err.text);
    rg_error again = {0};
    RG_RANK_EXPECT(comm, rg_comm_barrier(comm, &again) == status, "the next call goes on");
    return 0;
}

static int other_counts(rg_comm *comm, void *ctx)
{
    rg_error err = {0};
    float data[100] = {0};
    (void)ctx;
    int64_t n = rg_comm_rank(comm) == 1 ? 99 : 100;
    rg_status status = rg_comm_allreduce(comm, RG_COMM_SUM_F32, data, n, &err);
    RG_RANK_EXPECT(comm, status == RG_ERR_MISMATCH, "%s", err.text);
    RG_RANK_EXPECT(comm, strstr(err.text, "rank 1") && strstr(err.text, "396 x 1"), "%s", err.text);
    return 0;
}

static int other_calls(rg_comm *comm, void *ctx)
{
    rg_error err = {0};
    char data[100] = {0};
    (void)ctx;
    rg_status status = rg_comm_rank(comm) == 1 ? rg_comm_barrier(comm, &err)
                                               : rg_comm_broadcast(comm, data, 100, 0, &err);
    RG_RANK_EXPECT(comm, status == RG_ERR_MISMATCH, "%s", err.text);
    RG_RANK_EXPECT(comm, strstr(err.text, "barrier") && strstr(err.text, "broadcast"), "%s",
                   err.text);
    return 0;
}

static int other_types(rg_comm *comm, void *ctx)
{
    rg_error err = {0};
    double data[4] = {0};
    rg_comm_request request;
    (void)ctx;
    rg_status status =
        rg_comm_rank(comm)
            ? rg_comm_start_reduce_scatter(comm, (float *)data, (float *)data, 1, &request, &err)
            : rg_comm_start_all_gather(comm, data, data, 4, &request, &err);
    if (status == RG_OK) status = rg_comm_wait(comm, &request, &err);
    RG_RANK_EXPECT(comm, status == RG_ERR_MISMATCH, "%s", err.text);
    return 0;
}

START_TEST(calls_that_do_not_match_are_named)
{
    for (size_t b = 0; b < 2; b++) {
        rg_ranks_all_good(2, backends[b], other_counts, NULL);
        rg_ranks_all_good(2, backends[b], other_calls, NULL);
        rg_ranks_all_good(2, backends[b], other_types, NULL);
    }
}
END_TEST

static int one_dies(rg_comm *comm, void *ctx)
{
    (void)ctx;
    if (rg_comm_rank(comm) == 1) kill(getpid(), SIGKILL);
    return wait_for_error(comm, "rank 1", "");
}

static int one_leaves(rg_comm *comm, void *ctx)
{
    (void)ctx;
    return rg_comm_rank(comm) == 2 ? 0 : wait_for_error(comm, "rank 2", "left");
}

static int one_gives_up(rg_comm *comm, void *ctx)
{
    (void)ctx;
    if (rg_comm_rank(comm) != 2) return wait_for_error(comm, "rank", "");
    rg_comm_abort(comm, "the disk is full");
    rg_error err = {0};
    RG_RANK_EXPECT(comm, rg_comm_barrier(comm, &err) != RG_OK, "goes on after giving up");
    return 0;
}

START_TEST(a_rank_that_is_gone_stops_the_others)
{
    for (size_t b = 0; b < 2; b++) {
        int results[RG_RANKS_MOST];
        rg_ranks_run(3, backends[b], one_dies, NULL, results);
        ck_assert_int_eq(results[0], 0);
        ck_assert_int_eq(results[1], RG_RANKS_KILLED + SIGKILL);
        ck_assert_int_eq(results[2], 0);
        rg_ranks_all_good(3, backends[b], one_leaves, NULL);
        rg_ranks_all_good(3, backends[b], one_gives_up, NULL);
    }
}
END_TEST

START_TEST(who_does_not_come_is_named)
{
    rg_error err = {0};
    rg_launch launch;
    rg_comm *comm;
    char meet[600];
    snprintf(meet, sizeof meet, "%s/lonely", rg_test_folder());
    rg_launch_flags flags = {.rank = 0, .world = 2, .meet = meet, .timeout = 0.2};
    RG_ASSERT_OK(rg_launch_find(&flags, rg_launch_variable, &launch, &err), &err);
    ck_assert_int_ne(rg_comm_open(&launch, &comm, &err), RG_OK);
    ck_assert_msg(strstr(err.text, "waits for rank 1") != NULL, "%s", err.text);
    ck_assert_ptr_null(comm);
}
END_TEST

/* ---- launchers ---- */

static const char *const *variables;

static const char *fake(const char *name)
{
    for (size_t i = 0; variables[i]; i += 2)
        if (!strcmp(variables[i], name)) return variables[i + 1];
    return NULL;
}

static void expect_launch(const char *const *set, int32_t rank, int32_t world, const char *launcher,
                          const char *meet)
{
    rg_error err = {0};
    rg_launch launch;
    rg_launch_flags flags = {.rank = -1};
    variables = set;
    RG_ASSERT_OK(rg_launch_find(&flags, fake, &launch, &err), &err);
    ck_assert_int_eq(launch.rank, rank);
    ck_assert_int_eq(launch.world, world);
    ck_assert_str_eq(launch.launcher, launcher);
    ck_assert_msg(strstr(launch.meet, meet) != NULL, "%s", launch.meet);
}

START_TEST(launchers_are_understood)
{
    expect_launch((const char *const[]){NULL}, 0, 1, "none", "");
    expect_launch((const char *const[]){"RANK", "3", "WORLD_SIZE", "8", "MASTER_ADDR", "node1",
                                        "MASTER_PORT", "29500", "LOCAL_WORLD_SIZE", "4", NULL},
                  3, 8, "torchrun", "tcp://node1:29500");
    expect_launch((const char *const[]){"RANK", "0", "WORLD_SIZE", "4", "MASTER_ADDR", "a",
                                        "MASTER_PORT", "29500", "LOCAL_WORLD_SIZE", "4",
                                        "TORCHELASTIC_RUN_ID", "x/1", "TORCHELASTIC_RESTART_COUNT",
                                        "2", "TMPDIR", "/var/tmp", NULL},
                  0, 4, "torchrun", "torchrun-x_1-2-29500");
    expect_launch((const char *const[]){"SLURM_PROCID", "5", "SLURM_STEP_NUM_TASKS", "8",
                                        "SLURM_JOB_ID", "123456", "SLURM_STEP_NUM_NODES", "2",
                                        "SLURM_STEP_NODELIST", "gpu[07-08],gpu11", NULL},
                  5, 8, "slurm", "tcp://gpu07:23456");
    /* a batch script is no rank */
    expect_launch((const char *const[]){"SLURM_PROCID", "0", "SLURM_NTASKS", "8", NULL}, 0, 1,
                  "none", "");
    expect_launch((const char *const[]){"OMPI_COMM_WORLD_RANK", "1", "OMPI_COMM_WORLD_SIZE", "2",
                                        "OMPI_COMM_WORLD_LOCAL_SIZE", "2", "SLURM_PROCID", "0",
                                        "SLURM_STEP_NUM_TASKS", "1", "PMIX_NAMESPACE", "77", NULL},
                  1, 2, "openmpi", "openmpi-77");
}
END_TEST

static void expect_refused(rg_launch_flags flags, const char *const *set, const char *text)
{
    rg_error err = {0};
    rg_launch launch;
    variables = set;
    ck_assert_int_eq(rg_launch_find(&flags, fake, &launch, &err), RG_ERR_USAGE);
    ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
}

START_TEST(launches_that_cannot_be_are_refused)
{
    static const char *const none[] = {NULL};
    expect_refused((rg_launch_flags){.rank = 2, .world = 2}, none, "rank 2 of 2");
    expect_refused((rg_launch_flags){.rank = 0}, none, "give both");
    expect_refused((rg_launch_flags){.rank = -1, .backend = "nccl2"}, none, "not one of");
    expect_refused((rg_launch_flags){.rank = -1},
                   (const char *const[]){"RANK", "x", "WORLD_SIZE", "2", NULL}, "RANK is 'x'");
    expect_refused((rg_launch_flags){.rank = -1},
                   (const char *const[]){"RANK", "0", "WORLD_SIZE", "2", NULL}, "where they meet");
}
END_TEST

/* ---- MPI ---- */

static int one_of_mpirun(void)
{
    rg_launch_flags flags = {.rank = -1, .backend = "mpi"};
    bool forked = false;
    return rg_ranks_child(&flags, all_calls, &forked);
}

/* This program again, as the ranks of an MPI job, whose library does not give back all it takes. */
START_TEST(calls_over_mpi_are_plain_sums)
{
    rg_error err = {0};
    char self[1024], output[RG_PROCESS_OUTPUT];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    ck_assert(n > 0);
    self[n] = 0;
    for (int world = 2; world <= 3; world++) {
        const char *const argv[] = {"mpirun",
                                    "--allow-run-as-root",
                                    "--oversubscribe",
                                    "-np",
                                    world == 2 ? "2" : "3",
                                    "env",
                                    "LSAN_OPTIONS=detect_leaks=0",
                                    self,
                                    "as-rank",
                                    NULL};
        rg_status status = rg_process_run(rg_test_folder(), argv, 60, output, &err);
        if (status == RG_ERR_UNSUPPORTED) {
            printf("SKIP calls_over_mpi_are_plain_sums: mpirun is not installed\n");
            return;
        }
        ck_assert_msg(status == RG_OK, "%d ranks: %s\n%s", world, err.text, output);
    }
}
END_TEST

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "as-rank")) return one_of_mpirun();
    const TTest *const tests[] = {calls_are_plain_sums,
                                  the_tree_of_ranks_is_the_tree_of_parts,
                                  calls_that_do_not_match_are_named,
                                  a_rank_that_is_gone_stops_the_others,
                                  who_does_not_come_is_named,
                                  launchers_are_understood,
                                  launches_that_cannot_be_are_refused,
                                  calls_over_mpi_are_plain_sums};
    return rg_test_run("comm", tests, sizeof tests / sizeof *tests, 120);
}
