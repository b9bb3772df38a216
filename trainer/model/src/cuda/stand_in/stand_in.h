/* A stand-in for the driver and for cuBLASLt, for tests on machines without a GPU: device memory is the host's, and what is asked of a
   stream is done no sooner than somebody waits for it. Two kernels are known by name; others do nothing. */
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct Stream Stream;

/* What a stream is to do. */
typedef struct {
    enum { COPY, KERNEL, PRODUCT, RELEASE } kind;
    void *to;
    const void *from;
    size_t bytes;
    char name[64];
    unsigned blocks[3], threads, shared;
    uint64_t values[16];
    /* A product's. */
    const void *x, *w;
    void *out;
    uint64_t m, n, k;
    int stored, written;
    /* Whether w lies as [n, k] and not as [k, n], and whether x lies as [k, m] and not as [m, k]. */
    int w_by_columns, x_by_columns;
    float beta;
} Work;

/* Does it later, or notes it in a graph. */
int stand_in_ask(Stream *stream, const Work *work);
void stand_in_multiply(const Work *work);
/* The answer that a test wants of a function, and the count of its calls. */
int stand_in_enter(const char *name);

#define ENTER()                                                                                    \
    do {                                                                                           \
        int answer = stand_in_enter(__func__);                                                     \
        if (answer) return answer;                                                                 \
    } while (0)
