/*
 * Streams, events, launches and copies: queues of work that run when the mode says.
 *
 * One idea: eager runs work at once, lazy only when somebody waits for it, random lets any stream
 * that can run go first. What a missing event or an early reuse of a buffer breaks shows in one of
 * them. The null stream waits for all others, and they for it.
 */
#include <deque>

#include <time.h>
#include <unistd.h>

#include "cuemu_private.h"

struct CUevent_st {
    unsigned long recorded, reached; /* numbers of records: asked for, and done */
    double milliseconds;
};

namespace
{

struct work {
    std::function<void()> run;
    CUevent_st *record, *wait;
    unsigned long number; /* of the record that is made or waited for */
    const void *form;     /* what a graph's update must not change: the kernel; NULL: other work */
    bool (*ready)(void *) = nullptr; /* waits for others, too */
    void *of = nullptr;
};

} // namespace

/* Both are a captured stream's work in its order. */
struct CUgraph_st {
    std::vector<work> nodes;
};
struct CUgraphExec_st {
    std::vector<work> nodes;
};

struct CUstream_st {
    std::deque<work> queue;
    CUgraph_st *captured; /* NULL: it runs */
    bool broken;          /* by a call that cannot be captured */
};

namespace cuemu
{

namespace
{

std::vector<CUstream_st *> all_streams;
CUstream_st null_stream;
bool running; /* work that enqueues work does not run it */
cudaError_t last_error;
int waits, event_waits, launches;             /* of the host, since the start; of graphs */
std::map<const void *, size_t> dynamic_limit; /* of kernels that opted in */

double now()
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

bool can_run(const CUstream_st *s)
{
    if (s->queue.empty()) return false;
    const work &w = s->queue.front();
    if (w.ready && !w.ready(w.of)) return false;
    return !w.wait || w.wait->reached >= w.number;
}

/* Whether a stream stands still because of another process. */
bool waits_for_others()
{
    for (const CUstream_st *s : all_streams)
        if (!s->queue.empty() && s->queue.front().ready) return true;
    return false;
}

void run_first(CUstream_st *s)
{
    const work w = std::move(s->queue.front());
    s->queue.pop_front();
    if (w.run) {
        const bool before = running;
        running = true;
        w.run();
        running = before;
    }
    if (!w.record) return;
    w.record->milliseconds = now();
    w.record->reached = std::max(w.record->reached, w.number);
}

/* One piece of work of any stream that can; false: none can. */
bool run_any(CUstream_st *preferred)
{
    std::vector<CUstream_st *> able;
    if (can_run(&null_stream)) able.push_back(&null_stream);
    for (CUstream_st *s : all_streams)
        if (can_run(s)) able.push_back(s);
    if (able.empty()) return false;
    CUstream_st *next = able[opt.streams == STREAMS_RANDOM ? draw() % able.size() : 0];
    if (opt.streams != STREAMS_RANDOM)
        for (CUstream_st *s : able)
            if (s == preferred) next = s;
    run_first(next);
    return true;
}

/* Lets streams run, the preferred one first, until done() holds. */
template <class F> void drain(CUstream_st *preferred, F done)
{
    while (!done()) {
        if (run_any(preferred)) continue;
        if (!waits_for_others()) {
            report(false, "stream-deadlock", "streams wait for events that nobody records");
            return;
        }
        usleep(50); /* for ever, if they never come: as on hardware */
    }
}

void add(cudaStream_t stream, work w)
{
    if (stream && stream->captured) {
        stream->captured->nodes.push_back(std::move(w));
        return;
    }
    if (!stream) {
        drain_all();
        null_stream.queue.push_back(std::move(w));
        drain_all();
        return;
    }
    stream->queue.push_back(std::move(w));
    if (opt.streams != STREAMS_EAGER || running) return;
    while (!stream->queue.empty() && run_any(stream)) {
    }
    if (!waits_for_others()) drain(stream, [stream] { return stream->queue.empty(); });
}

} // namespace

cudaError_t failed(cudaError_t error)
{
    last_error = error;
    return error;
}

void enqueue(cudaStream_t stream, std::function<void()> run, const void *form)
{
    add(stream, {std::move(run), nullptr, nullptr, 0, form});
}

/* Whether the stream is captured, which this call does not allow. */
static bool breaks_capture(cudaStream_t stream, const char *call)
{
    if (!stream || !stream->captured) return false;
    stream->broken = true;
    report(false, "capture", "%s on a stream that is being captured", call);
    return true;
}

void drain_all()
{
    drain(nullptr, [] {
        if (!null_stream.queue.empty()) return false;
        for (const CUstream_st *s : all_streams)
            if (!s->queue.empty()) return false;
        return true;
    });
}

/* ---- launches ---- */

namespace
{

struct grid {
    const char *name;
    dim3 blocks, threads;
    size_t dynamic;
    void (*invoke)(const void *);
    std::vector<unsigned char> args;
};

/* Blocks in the order of the mode. */
std::vector<unsigned> block_order(size_t n)
{
    std::vector<unsigned> order(n);
    for (size_t i = 0; i < n; i++)
        order[i] = (unsigned)(opt.order == ORDER_REVERSE ? n - 1 - i : i);
    if (opt.order == ORDER_RANDOM)
        for (size_t i = n; i > 1; i--) std::swap(order[i - 1], order[draw() % i]);
    return order;
}

void run_grid(const grid &g)
{
    if (sticky) return;
    alignas(64) static unsigned char args[4096];
    device_open open;
    memcpy(args, g.args.data(), g.args.size());
    kernel_name = g.name;
    blk.threads_dim = g.threads;
    blk.grid_dim = g.blocks;
    blk.threads = g.threads.x * g.threads.y * g.threads.z;
    blk.warps = (blk.threads + 31) / 32;
    if (cuemu_check_kernel) cuemu_check_kernel();
    for (unsigned i : block_order((size_t)g.blocks.x * g.blocks.y * g.blocks.z)) {
        if (sticky) break;
        blk.index = {i % g.blocks.x, i / g.blocks.x % g.blocks.y, i / g.blocks.x / g.blocks.y};
        shared_begin(g.dynamic);
        run_block(g.invoke, args);
        async_begin();
    }
    kernel_name = "";
}

bool good_sizes(dim3 grid, dim3 threads)
{
    const size_t n = (size_t)threads.x * threads.y * threads.z;
    return n > 0 && n <= 1024 && threads.z <= 64 && grid.x > 0 && grid.y > 0 && grid.z > 0 &&
           grid.x <= 0x7fffffffu && grid.y <= 65535 && grid.z <= 65535;
}

} // namespace

cudaError_t launch_packed(const char *name, const void *kernel, dim3 blocks, dim3 threads,
                          size_t shared, cudaStream_t stream, void (*invoke)(const void *),
                          const void *args, size_t bytes)
{
    if (sticky) return failed(sticky);
    const auto opted = dynamic_limit.find(kernel);
    const size_t limit = opted == dynamic_limit.end() ? 48 * 1024 : opted->second;
    if (!good_sizes(blocks, threads)) {
        report(false, "launch-config", "%s: grid (%u,%u,%u), block (%u,%u,%u)", name, blocks.x,
               blocks.y, blocks.z, threads.x, threads.y, threads.z);
        return failed(cudaErrorInvalidConfiguration);
    }
    if (shared > limit) {
        report(false, "shared-limit",
               "%s asks for %zu bytes of dynamic shared memory; it has %zu on sm_%d (opt in with "
               "cudaFuncSetAttribute, at most %d KB)",
               name, shared, limit, opt.limit->sm, opt.limit->shared_optin_kb);
        return failed(cudaErrorInvalidValue);
    }
    const unsigned char *from = (const unsigned char *)args;
    const grid g = {name,   blocks, threads,
                    shared, invoke, std::vector<unsigned char>(from, from + bytes)};
    enqueue(
        stream, [g] { run_grid(g); }, kernel);
    return cudaSuccess;
}

/* ---- copies ---- */

namespace
{

/* The kind must be what the pointers are, and device memory allocated. */
cudaError_t check_copy(const void *to, const void *from, size_t n, cudaMemcpyKind kind)
{
    const bool to_device = in_device(to), from_device = in_device(from);
    const bool says_to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool says_from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (kind != cudaMemcpyDefault && (says_to != to_device || says_from != from_device)) {
        report(false, "memcpy-kind", "kind %d, but from %s to %s memory", (int)kind,
               from_device ? "device" : "host", to_device ? "device" : "host");
        return failed(cudaErrorInvalidValue);
    }
    if ((to_device && !is_allocated(to, n)) || (from_device && !is_allocated(from, n))) {
        report(false, "memcpy-range", "%zu bytes do not lie in an allocation", n);
        return failed(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

void copy_now(void *to, const void *from, size_t n)
{
    device_open open;
    const bool from_device = in_device(from);
    if (from_device && !in_device(to) && cuemu_check_read) cuemu_check_read(from, n);
    memmove(to, from, n);
    if (in_device(to) && cuemu_check_written)
        cuemu_check_written(to, n, from_device ? from : nullptr);
}

} // namespace

} // namespace cuemu

using namespace cuemu;

extern "C" {

void cuemu_enqueue(cudaStream_t stream, void (*fn)(void *), void *arg)
{
    enqueue(stream, [fn, arg] {
        device_open open;
        fn(arg);
    });
}

void cuemu_enqueue_when(cudaStream_t stream, bool (*ready)(void *), void (*fn)(void *), void *arg)
{
    work w = {[fn, arg] {
                  device_open open;
                  fn(arg);
              },
              nullptr, nullptr, 0, nullptr};
    w.ready = ready;
    w.of = arg;
    add(stream, std::move(w));
}

void cuemu_go_on(void)
{
    while (!running && run_any(nullptr)) {
    }
}

bool cuemu_is_stream(cudaStream_t stream)
{
    for (const CUstream_st *s : all_streams)
        if (s == stream) return !s->captured;
    return false;
}

/* Pageable memory is read when the call is made, pinned memory when the copy runs. */
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    memory_setup();
    if (n == 0) return cudaSuccess;
    if (const cudaError_t error = check_copy(to, from, n, kind)) return error;
    if (!in_device(to) && !is_pinned(to) && breaks_capture(stream, "a copy that is waited for"))
        return failed(cudaErrorStreamCaptureUnsupported);
    if (!in_device(from) && !is_pinned(from)) {
        const unsigned char *bytes = (const unsigned char *)from;
        const std::vector<unsigned char> kept(bytes, bytes + n);
        enqueue(stream, [to, kept] { copy_now(to, kept.data(), kept.size()); });
    } else {
        enqueue(stream, [to, from, n] { copy_now(to, from, n); });
    }
    return !in_device(to) && !is_pinned(to) ? cudaStreamSynchronize(stream) : cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t n, cudaMemcpyKind kind)
{
    if (const cudaError_t error = cudaMemcpyAsync(to, from, n, kind, nullptr)) return error;
    return cudaDeviceSynchronize();
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t n, cudaStream_t stream)
{
    if (n == 0) return cudaSuccess;
    if (!is_allocated(p, n)) {
        report(false, "memcpy-range", "memset of %zu bytes outside an allocation", n);
        return failed(cudaErrorInvalidValue);
    }
    enqueue(stream, [p, value, n] {
        device_open open;
        memset(p, value, n);
        if (cuemu_check_written) cuemu_check_written(p, n, nullptr);
    });
    return cudaSuccess;
}

cudaError_t cudaMemset(void *p, int value, size_t n)
{
    return cudaMemsetAsync(p, value, n, nullptr);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned)
{
    *out = new CUstream_st();
    all_streams.push_back(*out);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    drain(s, [s] { return s->queue.empty(); });
    for (size_t i = 0; i < all_streams.size(); i++)
        if (all_streams[i] == s) all_streams.erase(all_streams.begin() + (long)i);
    delete s;
    return cudaSuccess;
}

int cuemu_waits(void)
{
    return waits;
}

int cuemu_event_waits(void)
{
    return event_waits;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    waits++;
    if (breaks_capture(stream, "cudaStreamSynchronize"))
        return failed(cudaErrorStreamCaptureUnsupported);
    CUstream_st *s = stream ? stream : &null_stream;
    drain(s, [s] { return s->queue.empty(); });
    return sticky ? failed(sticky) : cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    cuemu_go_on();
    const CUstream_st *s = stream ? stream : &null_stream;
    return sticky ? failed(sticky) : s->queue.empty() ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize(void)
{
    waits++;
    drain_all();
    return sticky ? failed(sticky) : cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    if (event->recorded == 0)
        report(false, "event", "a stream waits for an event that nobody has recorded yet");
    add(stream, {nullptr, nullptr, event, event->recorded, nullptr});
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned)
{
    *out = new CUevent_st();
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *out)
{
    return cudaEventCreateWithFlags(out, 0);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    if (breaks_capture(stream, "cudaEventRecord")) return failed(cudaErrorStreamCaptureUnsupported);
    add(stream, {nullptr, event, nullptr, ++event->recorded, nullptr});
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    event_waits++;
    drain(nullptr, [event] { return event->reached >= event->recorded; });
    return sticky ? failed(sticky) : cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    cuemu_go_on();
    return event->reached >= event->recorded ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float *out, cudaEvent_t from, cudaEvent_t to)
{
    *out = (float)(to->milliseconds - from->milliseconds);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    drain_all();
    delete event;
    return cudaSuccess;
}

/* ---- graphs: a chain of one stream's work ---- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
    if (!stream || stream->captured) return failed(cudaErrorStreamCaptureUnsupported);
    stream->captured = new CUgraph_st();
    stream->broken = false;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    *graph = nullptr;
    if (!stream || !stream->captured) return failed(cudaErrorIllegalState);
    std::swap(*graph, stream->captured);
    if (!stream->broken) return cudaSuccess;
    delete *graph;
    *graph = nullptr;
    return failed(cudaErrorStreamCaptureInvalidated);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long)
{
    *out = new CUgraphExec_st{graph->nodes};
    return cudaSuccess;
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo *info)
{
    bool same = exec->nodes.size() == graph->nodes.size();
    for (size_t i = 0; same && i < graph->nodes.size(); i++)
        same = exec->nodes[i].form == graph->nodes[i].form;
    *info = {};
    info->result = same ? cudaGraphExecUpdateSuccess : cudaGraphExecUpdateErrorTopologyChanged;
    if (!same) return cudaErrorGraphExecUpdateFailure;
    exec->nodes = graph->nodes;
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    launches++;
    for (const work &w : exec->nodes) add(stream, w);
    return sticky ? failed(sticky) : cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    delete exec;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}

int cuemu_graph_launches(void)
{
    return launches;
}

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute, int value)
{
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value > opt.limit->shared_optin_kb * 1024) {
        report(false, "shared-limit", "%d bytes of dynamic shared memory; sm_%d has %d KB", value,
               opt.limit->sm, opt.limit->shared_optin_kb);
        return failed(cudaErrorInvalidValue);
    }
    dynamic_limit[kernel] = std::max((size_t)value, (size_t)48 * 1024);
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t error = sticky ? sticky : last_error;
    last_error = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError(void)
{
    return sticky ? sticky : last_error;
}
}
