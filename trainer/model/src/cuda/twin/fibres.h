// The threads of a block as fibres: who runs, who waits for whom, and the block's shared memory.
#pragma once

#include <sys/mman.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if !defined(__x86_64__) || defined(TWIN_UCONTEXT)
#include <ucontext.h>
#endif

namespace twin {

constexpr int MOST_THREADS = 1024;
constexpr size_t STACK = 64 << 10, PAGE = 4 << 10;
constexpr size_t MOST_SHARED = 48 << 10, MOST_DYNAMIC = 227 << 10;
constexpr int PENDING = 64;

struct Triple {
    unsigned x, y, z;
};

enum class State { ready, at_barrier, with_warp, ended };

// A copy with cp.async that has not arrived.
struct Copy {
    void* to;
    const void* from;
    int bytes, size;
    unsigned group;
};

struct Fibre {
#if !defined(__x86_64__) || defined(TWIN_UCONTEXT)
    ucontext_t context;
#else
    void* stack_pointer;
#endif
    Triple thread;
    int lane;
    State state;
    // Where it waits.
    const char* what;
    int line;
    // Operations of the warp, and barriers, that it took part in.
    unsigned together, barriers;
    unsigned issued, landed, group;
    Copy pending[PENDING];
};

// An operation of a whole warp: what the lanes give, and what came of the last two, since a lane may still have to read
// the one while others complete the other.
struct Warp {
    // Lanes that could go on, and that have come to the operation.
    int ready, arrived;
    const char* what;
    int line;
    alignas(16) unsigned char given[32 * 48];
    alignas(16) unsigned char taken[2][1024];
};

// A piece of the machine's memory.
struct Piece {
    uint64_t start, bytes;
};

// An array in shared memory, known by the place that declares it.
struct Array {
    const void* site;
    size_t start, bytes;
};

struct Block {
    Triple index, threads, blocks;
    void (*run)(void**);
    void** arguments;
    int count, arrived, ended, line;
    // What came of the last two barriers.
    bool all[2];
    const Piece* pieces;
    size_t piece_count;
    Array arrays[32];
    int array_count;
    size_t shared_end, shared_bytes, dynamic_bytes;
    bool failed;
    char message[512];
};

static Block block;
// Changes behind the compiler's back, whenever a fibre stops.
static Fibre* volatile self;
static Fibre fibres[MOST_THREADS];
static Warp warps[MOST_THREADS / 32];
// Between the arrays lie gaps that nobody may write to.
constexpr size_t GAP = 64;
alignas(128) static unsigned char arena[MOST_SHARED + MOST_DYNAMIC + 33 * GAP];

static inline void enter();

#if !defined(__x86_64__) || defined(TWIN_UCONTEXT)
static ucontext_t main_context;
static inline void resume(Fibre* fibre) {
    self = fibre;
    swapcontext(&main_context, &fibre->context);
}
static inline void stop() { swapcontext(&self->context, &main_context); }
static inline void prepare(Fibre* fibre, unsigned char* stack) {
    getcontext(&fibre->context);
    fibre->context.uc_stack.ss_sp = stack;
    fibre->context.uc_stack.ss_size = STACK;
    fibre->context.uc_link = nullptr;
    makecontext(&fibre->context, reinterpret_cast<void (*)()>(enter), 0);
}
#else
// Keeps what a callee has to keep on the old stack and takes it from the new one.
extern "C" void twin_switch(void** old_stack, void* new_stack) __attribute__((visibility("hidden")));
asm(R"(
    .text
    .hidden twin_switch
    .globl twin_switch
    .type twin_switch, @function
twin_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size twin_switch, .-twin_switch
)");
static void* main_stack;
static inline void resume(Fibre* fibre) {
    self = fibre;
    twin_switch(&main_stack, fibre->stack_pointer);
}
static inline void stop() { twin_switch(&self->stack_pointer, main_stack); }
static inline void prepare(Fibre* fibre, unsigned char* stack) {
    void** top = reinterpret_cast<void**>(stack + STACK);
    // A function is entered with its return address on a stack that was a multiple of 16; nobody returns to this one.
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(enter);
    for (int saved = 0; saved < 6; saved++) *--top = nullptr;
    fibre->stack_pointer = top;
}
#endif

// Keeps the reason why the launch fails.
__attribute__((format(printf, 2, 0))) static inline void note(unsigned thread, const char* format, va_list list) {
    int length = std::snprintf(block.message, sizeof(block.message), "block (%u, %u, %u), thread %u: ", block.index.x,
                               block.index.y, block.index.z, thread);
    std::vsnprintf(block.message + length, sizeof(block.message) - size_t(length), format, list);
    block.failed = true;
}

// Ends the launch from within a fibre; all are left where they are.
[[noreturn]] __attribute__((format(printf, 1, 2))) static inline void fail(const char* format, ...) {
    va_list list;
    va_start(list, format);
    note(self->thread.x, format, list);
    va_end(list);
    stop();
    std::abort();
}

// Ends the launch from outside.
__attribute__((format(printf, 1, 2))) static inline void give_up(const char* format, ...) {
    va_list list;
    va_start(list, format);
    note(self->thread.x, format, list);
    va_end(list);
}

static inline void enter() {
    block.run(block.arguments);
    self->state = State::ended;
    block.ended++;
    stop();
    std::abort();
}

static inline void check_mask(unsigned mask) {
    if (mask != 0xFFFFFFFFu) fail("a mask that leaves lanes of the warp out");
}

// Lets threads that waited go on; the one that calls this never stopped.
static inline void release(int first, int count) {
    for (int i = first; i < first + count; i++) {
        if (fibres[i].state != State::ready) warps[i / 32].ready++;
        fibres[i].state = State::ready;
    }
}

// Whether `predicate` held for all of the block's threads.
static inline bool wait_for_block(int line, bool predicate) {
    if (block.arrived > 0 && block.line != line) {
        fail("at the __syncthreads of line %d, others at that of line %d", line, block.line);
    }
    block.line = line;
    unsigned turn = self->barriers++ % 2;
    block.all[turn] = predicate && (block.arrived == 0 || block.all[turn]);
    if (++block.arrived < block.count) {
        self->what = "__syncthreads";
        self->line = line;
        self->state = State::at_barrier;
        stop();
        return block.all[turn];
    }
    block.arrived = 0;
    release(0, block.count);
    return block.all[turn];
}

// Every lane gives `bytes`, and the last to come works out of all of them what all take; without `compute` that is what was
// given. It stays until the lane's operation after the next.
static inline const void* together(const char* what, int line, size_t bytes, const void* given,
                                   void (*compute)(const void*, void*) = nullptr) {
    int first = int(self - fibres) / 32 * 32;
    Warp& warp = warps[first / 32];
    bool other = warp.what != what && std::strcmp(warp.what, what) != 0;
    if (warp.arrived > 0 && (other || warp.line != line)) {
        fail("at %s of line %d, others of its warp at %s of line %d", what, line, warp.what, warp.line);
    }
    warp.what = what;
    warp.line = line;
    std::memcpy(warp.given + size_t(self->lane) * bytes, given, bytes);
    unsigned turn = self->together++ % 2;
    if (++warp.arrived == 32) {
        warp.arrived = 0;
        if (compute != nullptr) {
            compute(warp.given, warp.taken[turn]);
        } else {
            std::memcpy(warp.taken[turn], warp.given, 32 * bytes);
        }
        release(first, 32);
    } else {
        self->what = what;
        self->line = line;
        self->state = State::with_warp;
        stop();
    }
    return warp.taken[turn];
}

// The array that is declared at `site`, the same for all threads of the block.
static inline void* shared(const void* site, size_t bytes, const char* name, bool declared = true) {
    for (int i = 0; i < block.array_count; i++) {
        if (block.arrays[i].site == site) return arena + block.arrays[i].start;
    }
    size_t rounded = (bytes + 15) / 16 * 16;
    // The limit is for what sources declare.
    if (declared) block.shared_bytes += rounded;
    if (block.array_count == 32) fail("more than 32 shared arrays");
    if (block.shared_bytes > MOST_SHARED) fail("%zu bytes of shared memory with %s", block.shared_bytes, name);
    block.arrays[block.array_count++] = Array{site, block.shared_end, bytes};
    size_t start = block.shared_end;
    block.shared_end += rounded + GAP;
    return arena + start;
}

// How much of the arena a block may have to do with.
static inline size_t arena_bytes() { return MOST_SHARED + block.dynamic_bytes + 33 * GAP; }

// What the launch asked for.
static inline void* dynamic_shared() {
    static const char site = 0;
    for (int i = 0; i < block.array_count; i++) {
        if (block.arrays[i].site == &site) return arena + block.arrays[i].start;
    }
    if (block.dynamic_bytes == 0) fail("the launch asks for no dynamic shared memory");
    return shared(&site, block.dynamic_bytes, "the launch's", false);
}

static inline bool in_shared(const void* address, size_t bytes) {
    size_t offset = size_t(static_cast<const unsigned char*>(address) - arena);
    for (int i = 0; i < block.array_count; i++) {
        const Array& array = block.arrays[i];
        size_t end = array.start + array.bytes;
        if (offset >= array.start && offset < end && end - offset >= bytes) return true;
    }
    return false;
}

// Whether the bytes lie in one piece of the machine's memory; most often in the one that the last ones were in.
static inline bool in_memory(const void* address, size_t bytes) {
    static size_t last = 0;
    uint64_t start = reinterpret_cast<uint64_t>(address);
    for (size_t i = 0; i < block.piece_count; i++) {
        size_t at = (last + i) % block.piece_count;
        const Piece& piece = block.pieces[at];
        if (start >= piece.start && start < piece.start + piece.bytes && piece.start + piece.bytes - start >= bytes) {
            last = at;
            return true;
        }
    }
    return false;
}

// Fails unless the bytes lie in one shared array, or in a piece of memory, at a multiple of `bytes`.
static inline void check_access(const void* address, size_t bytes, bool shared_only, const char* what) {
    if (reinterpret_cast<uintptr_t>(address) % bytes != 0) fail("%s at no multiple of %zu", what, bytes);
    if (in_shared(address, bytes) || (!shared_only && in_memory(address, bytes))) return;
    fail("%s outside of memory", what);
}

static inline void check_gaps() {
    size_t next = 0;
    for (int i = 0; i <= block.array_count; i++) {
        size_t end = i < block.array_count ? block.arrays[i].start : arena_bytes();
        for (size_t at = next; at < end; at++) {
            if (arena[at] != 0xFF) return give_up("something was written beside shared array %d of the block", i);
        }
        if (i < block.array_count) next = block.arrays[i].start + block.arrays[i].bytes;
    }
}

static inline unsigned char* stacks() {
    static unsigned char* memory = nullptr;
    if (memory != nullptr) return memory;
    void* mapped = mmap(nullptr, MOST_THREADS * (STACK + PAGE), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) std::abort();
    memory = static_cast<unsigned char*>(mapped);
    // Below every stack a page that cannot be touched.
    for (int i = 0; i < MOST_THREADS; i++) mprotect(memory + size_t(i) * (STACK + PAGE), PAGE, PROT_NONE);
    return memory;
}

// Says who waits where, when nobody can go on.
static inline void explain() {
    int counts[4] = {0, 0, 0, 0}, waiting = 0;
    for (int i = block.count - 1; i >= 0; i--) {
        counts[int(fibres[i].state)]++;
        if (fibres[i].state != State::ended) waiting = i;
    }
    self = &fibres[waiting];
    give_up("waits for ever at %s of line %d; %d threads wait at barriers, %d for their warps, %d have ended", self->what,
            self->line, counts[int(State::at_barrier)], counts[int(State::with_warp)], counts[int(State::ended)]);
}

// Runs the ready lanes of a warp, each until it has to wait.
static inline void run_warp(int warp, bool backwards) {
    for (int turn = 0; turn < 32 && !block.failed; turn++) {
        Fibre& fibre = fibres[warp * 32 + (backwards ? 31 - turn : turn)];
        if (fibre.state != State::ready) continue;
        resume(&fibre);
        warps[warp].ready--;
    }
}

// One block. The first warp, or `backwards` the last, goes as far as it can before the next one begins.
static inline void run_block(bool backwards) {
    std::memset(arena, 0xFF, arena_bytes());
    block.arrived = block.ended = block.array_count = 0;
    block.shared_end = GAP;
    block.shared_bytes = 0;
    for (int i = 0; i < block.count; i++) {
        Fibre& fibre = fibres[i];
        fibre.thread = Triple{unsigned(i), 0, 0};
        fibre.lane = i % 32;
        fibre.state = State::ready;
        fibre.together = fibre.barriers = fibre.issued = fibre.landed = fibre.group = 0;
        prepare(&fibre, stacks() + size_t(i) * (STACK + PAGE) + PAGE);
        warps[i / 32].arrived = 0;
        warps[i / 32].ready = 32;
        warps[i / 32].what = "";
    }
    int count = block.count / 32;
    while (block.ended < block.count && !block.failed) {
        int turn = 0;
        while (turn < count && warps[backwards ? count - 1 - turn : turn].ready == 0) turn++;
        if (turn == count) return explain();
        run_warp(backwards ? count - 1 - turn : turn, backwards);
    }
}

// Runs a kernel; 0, or 1 and the reason in `message`.
static inline int launch(void (*run)(void**), void** arguments, const unsigned* blocks, unsigned threads, size_t dynamic,
                         const Piece* pieces, size_t piece_count, int backwards, char* message, size_t room) {
    block = Block{};
    block.run = run;
    block.arguments = arguments;
    block.pieces = pieces;
    block.piece_count = piece_count;
    block.threads = Triple{threads, 1, 1};
    block.blocks = Triple{blocks[0], blocks[1], blocks[2]};
    block.count = int(threads);
    block.dynamic_bytes = dynamic;
    if (threads == 0 || threads % 32 != 0 || threads > MOST_THREADS) {
        std::snprintf(message, room, "%u threads are no whole warps of a block", threads);
        return 1;
    }
    if (dynamic > MOST_DYNAMIC) {
        std::snprintf(message, room, "%zu bytes of dynamic shared memory", dynamic);
        return 1;
    }
    size_t total = size_t(blocks[0]) * blocks[1] * blocks[2];
    for (size_t turn = 0; turn < total && !block.failed; turn++) {
        size_t i = backwards ? total - 1 - turn : turn;
        block.index = Triple{unsigned(i % blocks[0]), unsigned(i / blocks[0] % blocks[1]),
                             unsigned(i / blocks[0] / blocks[1])};
        run_block(backwards != 0);
        if (!block.failed) check_gaps();
    }
    std::snprintf(message, room, "%s", block.message);
    return block.failed ? 1 : 0;
}

}  // namespace twin
