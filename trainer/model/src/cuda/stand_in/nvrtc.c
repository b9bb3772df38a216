/* A stand-in for NVRTC: the code that it makes is its options and the source, and it knows sm_80, sm_86 and sm_90. */
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID_OPTION = 5, COMPILATION = 6 };

#ifndef MAJOR
#define MAJOR 12
#endif

typedef struct {
    char *text, log[128];
} Program;

int nvrtcVersion(int *major, int *minor) { *major = MAJOR, *minor = 3; return OK; }
int nvrtcGetNumSupportedArchs(int *count) { *count = 3; return OK; }
int nvrtcGetSupportedArchs(int *known) { known[0] = 80, known[1] = 86, known[2] = 90; return OK; }
const char *nvrtcGetErrorString(unsigned answer) { return answer == INVALID_OPTION ? "NVRTC_ERROR_INVALID_OPTION" : "?"; }
int nvrtcCreateProgram(
    Program **program, const char *source, const char *name, int headers, const char *const *texts, const char *const *names) {
    if (!strstr(name, ".cu") || headers < 1 || strcmp(names[0], "device.cuh")) return INVALID_OPTION;
    for (int i = 0; i < headers; i++) {
        if (!strstr(names[i], ".cuh") || !strstr(texts[i], "#pragma once")) return INVALID_OPTION;
    }
    *program = calloc(1, sizeof **program);
    (*program)->text = strdup(source);
    return OK;
}
int nvrtcCompileProgram(Program *program, int count, const char *const *options) {
    if (strstr(program->text, "without a word")) return INVALID_OPTION;
    if (strstr(program->text, "broken")) {
        strcpy(program->log, "broken.cu(1): error: this is broken\n");
        return COMPILATION;
    }
    size_t size = strlen(program->text) + 5;
    for (int i = 0; i < count; i++) size += strlen(options[i]) + 1;
    char *text = malloc(size);
    strcpy(text, "\x7f" "ELF");
    for (int i = 0; i < count; i++) strcat(strcat(text, options[i]), "\n");
    strcat(text, program->text);
    free(program->text);
    program->text = text;
    return OK;
}
int nvrtcGetProgramLogSize(Program *program, size_t *size) { *size = strlen(program->log) + 1; return OK; }
int nvrtcGetProgramLog(Program *program, char *log) { strcpy(log, program->log); return OK; }
int nvrtcGetCUBINSize(Program *program, size_t *size) { *size = strlen(program->text); return OK; }
int nvrtcGetCUBIN(Program *program, char *code) { memcpy(code, program->text, strlen(program->text)); return OK; }
int nvrtcDestroyProgram(Program **program) { free((*program)->text); free(*program); *program = NULL; return OK; }
