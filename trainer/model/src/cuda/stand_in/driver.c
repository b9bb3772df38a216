#include "stand_in.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, INVALID_IMAGE = 200, NOT_FOUND = 500,
    ILLEGAL_ADDRESS = 700, CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901
};

typedef struct {
    Work *work;
    size_t count, room;
} List;

struct Stream {
    List list;
    size_t done, capture_count;
    int capturing, spoilt;
    List captured;
};

typedef struct {
    Stream *stream;
    size_t mark;
} Event;

typedef struct {
    char name[64];
    int shared;
} Function;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread int current;
static int lost;

/* What a test sets and asks. */
static char failing[64];
static int failing_answer;
static struct { char name[64]; long count; } calls[128];
static size_t capacity = (size_t)1 << 30, used, held;
static long live;
static int version = 12040, capability_major = 9, capability_minor = 0, pools = 1;
static char last_name[64];
static unsigned last[5];

void stand_in_fail(const char *name, int answer) {
    strncpy(failing, name, sizeof failing - 1);
    failing_answer = answer;
}
void stand_in_capacity(size_t bytes) { capacity = bytes; }
void stand_in_gpu(int new_version, int major, int minor, int has_pools) {
    version = new_version, capability_major = major, capability_minor = minor, pools = has_pools;
}
/* Things that were made and not given back, memory included. */
long stand_in_live(void) { return live; }
long stand_in_calls(const char *name) {
    for (int i = 0; i < 128; i++)
        if (!strcmp(calls[i].name, name)) return calls[i].count;
    return 0;
}
/* The last kernel that ran: its name, and blocks, threads and shared memory. */
const char *stand_in_last(unsigned *numbers) {
    memcpy(numbers, last, sizeof last);
    return last_name;
}

int stand_in_enter(const char *name) {
    pthread_mutex_lock(&lock);
    int i = 0;
    while (calls[i].name[0] && strcmp(calls[i].name, name)) i++;
    strncpy(calls[i].name, name, sizeof calls[i].name - 1);
    calls[i].count++;
    int answer = lost;
    if (!answer && !strcmp(failing, name)) {
        answer = failing_answer;
        failing[0] = 0;
        if (answer == ILLEGAL_ADDRESS) lost = answer;
    }
    pthread_mutex_unlock(&lock);
    return answer;
}

static void append(List *list, const Work *work) {
    if (list->count == list->room) {
        list->room = list->room * 2 + 16;
        list->work = realloc(list->work, list->room * sizeof *list->work);
    }
    list->work[list->count++] = *work;
}

static void add_bias(const Work *work) {
    float *x = (float *)work->values[0];
    const float *bias = (const float *)work->values[1];
    int width = (int)work->values[2];
    for (unsigned row = 0; row < work->blocks[0]; row++)
        for (int i = 0; i < width; i++) x[(size_t)row * width + i] += bias[i];
}

static void matmul(const Work *work) {
    const float *x = (const float *)work->values[0], *w = (const float *)work->values[1];
    float *out = (float *)work->values[2];
    int m = (int)work->values[3], n = (int)work->values[4], k = (int)work->values[5], into = (int)work->values[6];
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            float sum = 0;
            for (int l = 0; l < k; l++) sum += x[(size_t)i * k + l] * w[(size_t)j * k + l];
            out[(size_t)i * n + j] = into == 2 ? out[(size_t)i * n + j] + sum : sum;
        }
}

static void release(void *start) {
    size_t *block = (size_t *)start - 8;
    used -= *block;
    free(block);
    live--;
}

static void run_until(Stream *stream, size_t mark) {
    for (; stream->done < mark && stream->done < stream->list.count; stream->done++) {
        const Work *work = &stream->list.work[stream->done];
        if (work->kind == COPY) memcpy(work->to, work->from, work->bytes);
        if (work->kind == RELEASE) release(work->to);
        if (work->kind == PRODUCT) stand_in_multiply(work);
        if (work->kind == KERNEL) {
            strcpy(last_name, work->name);
            memcpy(last, work->blocks, sizeof work->blocks);
            last[3] = work->threads, last[4] = work->shared;
            if (!strcmp(work->name, "add_bias_f32")) add_bias(work);
            if (!strcmp(work->name, "matmul_f32")) matmul(work);
        }
    }
}

int stand_in_ask(Stream *stream, const Work *work) {
    pthread_mutex_lock(&lock);
    int answer = current ? OK : INVALID_CONTEXT;
    if (!answer && stream->capturing) {
        if (work->kind == KERNEL || work->kind == PRODUCT) append(&stream->captured, work);
        else stream->spoilt = answer = CAPTURE_UNSUPPORTED;
    } else if (!answer) {
        append(&stream->list, work);
    }
    pthread_mutex_unlock(&lock);
    return answer;
}

int cuInit(unsigned flags) { (void)flags; ENTER(); return OK; }
int cuDriverGetVersion(int *number) { ENTER(); *number = version; return OK; }
int cuDeviceGetCount(int *count) { ENTER(); *count = 1; return OK; }
int cuDeviceGet(int *device, int ordinal) { ENTER(); *device = 7; return ordinal ? 101 : OK; }
int cuDeviceGetName(char *name, int length, int device) {
    (void)device; ENTER(); strncpy(name, "Stand-in", length); return OK;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device; ENTER(); *bytes = capacity; return OK; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device; ENTER();
    *value = attribute == 75 ? capability_major : attribute == 76 ? capability_minor : attribute == 115 ? pools : 0;
    return OK;
}
int cuDeviceGetDefaultMemPool(void **pool, int device) { (void)device; ENTER(); *pool = &capacity; return OK; }
int cuDevicePrimaryCtxRetain(void **context, int device) { (void)device; ENTER(); live++; *context = &current; return OK; }
int cuDevicePrimaryCtxRelease_v2(int device) { (void)device; live--; current = 0; ENTER(); return OK; }
int cuCtxSetCurrent(void *context) { ENTER(); current = context != NULL; return OK; }
int cuMemGetInfo_v2(size_t *free_bytes, size_t *all) {
    ENTER();
    *all = capacity;
    *free_bytes = capacity - (used > held ? used : held);
    return current ? OK : INVALID_CONTEXT;
}
int cuMemPoolSetAttribute(void *pool, int attribute, void *value) { (void)pool; (void)attribute; (void)value; ENTER(); return OK; }
int cuMemPoolGetAttribute(void *pool, int attribute, void *value) {
    (void)pool; ENTER();
    *(uint64_t *)value = attribute == 5 ? (used > held ? used : held) : attribute == 7 ? used : 0;
    return OK;
}
int cuMemPoolTrimTo(void *pool, size_t bytes) { (void)pool; (void)bytes; ENTER(); held = used; return OK; }

static int take(uint64_t *start, size_t bytes) {
    if (!current) return INVALID_CONTEXT;
    /* What the pool holds is of no use to another size until it is trimmed. */
    if ((used > held ? used : held) + bytes > capacity) return OUT_OF_MEMORY;
    size_t *block = malloc(64 + bytes);
    *block = bytes;
    memset(block + 8, 0xff, bytes);
    *start = (uint64_t)(block + 8);
    used += bytes;
    held = held > used ? held : used;
    live++;
    return OK;
}
int cuMemAllocAsync(uint64_t *start, size_t bytes, Stream *stream) { (void)stream; ENTER(); return take(start, bytes); }
int cuMemAlloc_v2(uint64_t *start, size_t bytes) { ENTER(); return take(start, bytes); }
int cuMemFreeAsync(uint64_t start, Stream *stream) {
    ENTER();
    return stand_in_ask(stream, &(Work){.kind = RELEASE, .to = (void *)start});
}
int cuMemFree_v2(uint64_t start) { ENTER(); release((void *)start); held = used; return OK; }
int cuMemHostAlloc(void **start, size_t bytes, unsigned flags) {
    (void)flags; ENTER(); *start = malloc(bytes); live++; return OK;
}
int cuMemFreeHost(void *start) { ENTER(); free(start); live--; return OK; }
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, Stream *stream) {
    ENTER();
    return stand_in_ask(stream, &(Work){.kind = COPY, .to = (void *)to, .from = from, .bytes = bytes});
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, Stream *stream) {
    ENTER();
    return stand_in_ask(stream, &(Work){.kind = COPY, .to = to, .from = (void *)from, .bytes = bytes});
}
int cuStreamCreate(Stream **stream, unsigned flags) { ENTER(); *stream = calloc(1, sizeof **stream); live++; return flags == 1 && current ? OK : INVALID_VALUE; }
int cuStreamDestroy_v2(Stream *stream) { ENTER(); free(stream->list.work); free(stream); live--; return OK; }
int cuStreamSynchronize(Stream *stream) {
    ENTER();
    if (stream->capturing) return stream->spoilt = CAPTURE_UNSUPPORTED;
    pthread_mutex_lock(&lock);
    run_until(stream, stream->list.count);
    pthread_mutex_unlock(&lock);
    return OK;
}
int cuStreamBeginCapture_v2(Stream *stream, int mode) {
    ENTER();
    stream->capturing = 1, stream->spoilt = 0;
    return mode == 1 ? OK : INVALID_VALUE;
}
int cuStreamEndCapture(Stream *stream, List **graph) {
    /* Whatever the answer, the capture is over. */
    List captured = stream->captured;
    stream->capturing = 0;
    stream->captured = (List){0};
    ENTER();
    if (stream->spoilt) return CAPTURE_INVALIDATED;
    *graph = malloc(sizeof **graph);
    **graph = captured;
    live++;
    return OK;
}
int cuGraphInstantiateWithFlags(List **ready, List *graph, unsigned long long flags) {
    (void)flags; ENTER();
    *ready = calloc(1, sizeof **ready);
    for (size_t i = 0; i < graph->count; i++) append(*ready, &graph->work[i]);
    live++;
    return OK;
}
int cuGraphLaunch(List *ready, Stream *stream) {
    ENTER();
    for (size_t i = 0; i < ready->count; i++) {
        int answer = stand_in_ask(stream, &ready->work[i]);
        if (answer) return answer;
    }
    return OK;
}
int cuGraphExecDestroy(List *ready) { ENTER(); free(ready->work); free(ready); live--; return OK; }
int cuGraphDestroy(List *graph) { ENTER(); free(graph->work); free(graph); live--; return OK; }
int cuEventCreate(Event **event, unsigned flags) { (void)flags; ENTER(); *event = calloc(1, sizeof **event); live++; return OK; }
int cuEventDestroy_v2(Event *event) { ENTER(); free(event); live--; return OK; }
int cuEventRecord(Event *event, Stream *stream) { ENTER(); *event = (Event){stream, stream->list.count}; return OK; }
int cuEventSynchronize(Event *event) {
    ENTER();
    pthread_mutex_lock(&lock);
    if (event->stream) run_until(event->stream, event->mark);
    pthread_mutex_unlock(&lock);
    return OK;
}
int cuModuleLoadData(void **module, const void *code) {
    ENTER();
    if (memcmp(code, "\x7f" "ELF", 4)) return INVALID_IMAGE;
    *module = calloc(64, sizeof(Function));
    live++;
    return OK;
}
int cuModuleUnload(void *module) { ENTER(); free(module); live--; return OK; }
int cuModuleGetFunction(Function **function, void *module, const char *name) {
    ENTER();
    Function *free_one = module;
    while (free_one->name[0]) free_one++;
    strncpy(free_one->name, name, sizeof free_one->name - 1);
    *function = free_one;
    return OK;
}
int cuFuncSetAttribute(Function *function, int attribute, int value) {
    ENTER();
    function->shared = value;
    return attribute == 8 ? OK : INVALID_VALUE;
}
int cuLaunchKernel(
    Function *function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned ty, unsigned tz, unsigned shared,
    Stream *stream, void **parameters, void **extra) {
    ENTER();
    if (!x || !y || !z || ty != 1 || tz != 1 || extra) return INVALID_VALUE;
    if (shared > 49152 && (int)shared > function->shared) return INVALID_VALUE;
    Work work = {.kind = KERNEL, .blocks = {x, y, z}, .threads = threads, .shared = shared};
    strcpy(work.name, function->name);
    /* Sizes of the parameters; of other kernels they are not read. */
    const char *sizes = !strcmp(work.name, "add_bias_f32") ? "884" : !strcmp(work.name, "matmul_f32") ? "8884444" : "";
    for (int i = 0; sizes[i]; i++) memcpy(&work.values[i], parameters[i], sizes[i] - '0');
    return stand_in_ask(stream, &work);
}
int cuGetErrorName(int answer, const char **name) {
    *name = answer == ILLEGAL_ADDRESS ? "CUDA_ERROR_ILLEGAL_ADDRESS"
        : answer == CAPTURE_INVALIDATED ? "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"
        : answer == INVALID_VALUE ? "CUDA_ERROR_INVALID_VALUE" : NULL;
    return *name ? OK : INVALID_VALUE;
}
