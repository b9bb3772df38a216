#include "stand_in.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID_VALUE = 7, NOT_SUPPORTED = 15, FLOAT = 0, HALF = 2, BRAIN = 14 };

typedef struct { int compute, scale, transposed_w, transposed_x; } Operation;
typedef struct { int type; uint64_t rows, columns; int64_t stride; } Layout;
typedef struct { uint64_t workspace; uint32_t reductions, alignments; } Preference;
/* The first words are ours: number, splits, reduction, workspace. */
typedef struct { uint64_t words[8]; } Algorithm;
typedef struct { Algorithm algorithm; size_t workspace; int status; float waves; int reserved[4]; } Result;

/* One that splits sums, one that cannot do a single row, one that is as it should be. */
static const Algorithm known[] = {
    {{1, 4, 2, 4096}}, {{2, 1, 0, 0}}, {{3, 1, 0, 0}},
};
static uint64_t last_algorithm, last_workspace;
static int refuses;

void stand_in_algorithm(uint64_t *numbers) { numbers[0] = last_algorithm, numbers[1] = last_workspace; }
void stand_in_refuse(int all) { refuses = all; }

size_t cublasLtGetVersion(void) { return 120103; }
size_t cublasLtGetCudartVersion(void) { return 12010; }
int cublasLtCreate(void **handle) { ENTER(); *handle = malloc(1); return OK; }
int cublasLtDestroy(void *handle) { ENTER(); free(handle); return OK; }
int cublasLtMatmulDescCreate(Operation **operation, int compute, int scale) {
    ENTER();
    *operation = calloc(1, sizeof **operation);
    **operation = (Operation){compute, scale, 0, 0};
    return scale == FLOAT ? OK : INVALID_VALUE;
}
int cublasLtMatmulDescSetAttribute(Operation *operation, int attribute, const void *value, size_t size) {
    ENTER();
    if ((attribute != 3 && attribute != 4) || size != 4) return INVALID_VALUE;
    memcpy(attribute == 3 ? &operation->transposed_w : &operation->transposed_x, value, 4);
    return OK;
}
int cublasLtMatmulDescDestroy(Operation *operation) { ENTER(); free(operation); return OK; }
int cublasLtMatrixLayoutCreate(Layout **layout, int type, uint64_t rows, uint64_t columns, int64_t stride) {
    ENTER();
    *layout = malloc(sizeof **layout);
    **layout = (Layout){type, rows, columns, stride};
    return OK;
}
int cublasLtMatrixLayoutDestroy(Layout *layout) { ENTER(); free(layout); return OK; }
int cublasLtMatmulPreferenceCreate(Preference **preference) {
    ENTER();
    *preference = calloc(1, sizeof **preference);
    (*preference)->reductions = 7;
    return OK;
}
int cublasLtMatmulPreferenceSetAttribute(Preference *preference, int attribute, const void *value, size_t size) {
    ENTER();
    if (attribute == 1 && size == 8) memcpy(&preference->workspace, value, 8);
    else if (attribute == 3 && size == 4) memcpy(&preference->reductions, value, 4);
    else if (attribute >= 5 && attribute <= 8 && size == 4) preference->alignments++;
    else return INVALID_VALUE;
    return OK;
}
int cublasLtMatmulPreferenceDestroy(Preference *preference) { ENTER(); free(preference); return OK; }
int cublasLtMatmulAlgoConfigGetAttribute(const Algorithm *algorithm, int attribute, void *value, size_t size, size_t *written) {
    ENTER();
    if (size != 4) return INVALID_VALUE;
    uint64_t word = attribute == 0 ? algorithm->words[0] : attribute == 2 ? algorithm->words[1] : attribute == 3 ? algorithm->words[2] : 20;
    memcpy(value, &word, 4);
    *written = 4;
    return OK;
}
static int fits(const Operation *operation, const Layout *w, const Layout *x, const Layout *c, const Layout *out) {
    int halves = w->type != FLOAT, turned = operation->transposed_w;
    uint64_t n = turned ? w->columns : w->rows, k = turned ? w->rows : w->columns;
    uint64_t depth = operation->transposed_x ? x->columns : x->rows, m = operation->transposed_x ? x->rows : x->columns;
    /* 68 is f32; 69 is f32 and nothing else. */
    return operation->compute == (halves ? 68 : 69) && c == out && x->type == w->type && k == depth && n == out->rows
        && m == out->columns && w->stride == (int64_t)w->rows
        && x->stride == (int64_t)x->rows && out->stride == (int64_t)out->rows;
}
int cublasLtMatmulAlgoGetHeuristic(
    void *handle, const Operation *operation, const Layout *w, const Layout *x, const Layout *c, const Layout *out,
    const Preference *preference, int wanted, Result *results, int *count) {
    (void)handle; ENTER();
    if (!fits(operation, w, x, c, out) || preference->alignments != 4) return INVALID_VALUE;
    *count = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known && *count < wanted && !refuses; i++) {
        if (known[i].words[3] > preference->workspace) continue;
        results[(*count)++] = (Result){.algorithm = known[i], .workspace = known[i].words[3]};
    }
    return *count ? OK : NOT_SUPPORTED;
}
int cublasLtMatmulAlgoCheck(
    void *handle, const Operation *operation, const Layout *w, const Layout *x, const Layout *c, const Layout *out,
    const Algorithm *algorithm, Result *result) {
    (void)handle; ENTER();
    if (!fits(operation, w, x, c, out)) return INVALID_VALUE;
    if (algorithm->words[0] == 2 && x->columns == 1) return NOT_SUPPORTED;
    result->workspace = algorithm->words[3];
    return OK;
}
int cublasLtMatmul(
    void *handle, const Operation *operation, const float *alpha, const void *w, const Layout *w_layout, const void *x,
    const Layout *x_layout, const float *beta, const void *c, const Layout *c_layout, void *out, const Layout *out_layout,
    const Algorithm *algorithm, void *workspace, size_t size, Stream *stream) {
    (void)handle; ENTER();
    if (!fits(operation, w_layout, x_layout, c_layout, out_layout) || c != out || *alpha != 1) return INVALID_VALUE;
    if (algorithm->words[3] > size || (size && !workspace)) return INVALID_VALUE;
    last_algorithm = algorithm->words[0], last_workspace = size;
    Work work = {
        .kind = PRODUCT, .x = x, .w = w, .out = out, .m = out_layout->columns, .n = out_layout->rows,
        .k = operation->transposed_w ? w_layout->rows : w_layout->columns,
        .w_by_columns = operation->transposed_w, .x_by_columns = operation->transposed_x,
        .stored = w_layout->type, .written = out_layout->type, .beta = *beta,
    };
    return stand_in_ask(stream, &work) ? 13 : OK;
}

static float read(const void *values, int type, size_t at) {
    if (type == FLOAT) return ((const float *)values)[at];
    uint32_t bits = (uint32_t)((const uint16_t *)values)[at] << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

void stand_in_multiply(const Work *work) {
    for (size_t i = 0; i < work->m; i++)
        for (size_t j = 0; j < work->n; j++) {
            float sum = 0;
            for (size_t l = 0; l < work->k; l++) {
                size_t of_x = work->x_by_columns ? l * work->m + i : i * work->k + l;
                size_t of_w = work->w_by_columns ? j * work->k + l : l * work->n + j;
                sum += read(work->x, work->stored, of_x) * read(work->w, work->stored, of_w);
            }
            size_t at = i * work->n + j;
            if (work->beta != 0) sum += work->beta * read(work->out, work->written, at);
            if (work->written == FLOAT) {
                ((float *)work->out)[at] = sum;
            } else {
                uint32_t bits;
                memcpy(&bits, &sum, 4);
                ((uint16_t *)work->out)[at] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
            }
        }
}
