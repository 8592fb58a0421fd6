/* The functions of the C interface that an export calls. */
#include "runs.h"

#include "../edgebert_core.h"

#include <stdlib.h>

/* `seen` must be the first member: the caller's pointer to it is also the pointer to this structure. */
typedef struct Made {
    EdgebertRuns seen;
    Runs runs;
} Made;

EdgebertRuns *edgebert_make_runs(const int8_t *weights, int32_t inputs, int32_t outputs, int32_t most) {
    if (inputs < 1 || inputs > QUAD * MAX_QUADS || outputs < 1 || most < 1 || most > 255) return NULL;
    const int quads = (inputs + QUAD - 1) / QUAD, blocks = outputs / BLOCK + (outputs % BLOCK != 0);
    Made *made = calloc(1, sizeof *made);
    if (!made || make_runs(weights, quads, blocks, most, &made->runs)) {
        free(made);
        return NULL;
    }
    const Runs *r = &made->runs;
    made->seen = (EdgebertRuns){.most = r->most, .blocks = blocks, .entries = r->entries, .groups = r->groups,
                                .block = (const uint32_t *)r->block, .order = r->order, .offsets = r->offsets,
                                .start = r->start};
    return &made->seen;
}

void edgebert_free_runs(EdgebertRuns *runs) {
    if (!runs) return;
    Made *made = (Made *)runs;
    free_runs(&made->runs);
    free(made);
}
