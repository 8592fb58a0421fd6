/* Fuzzing of model files by libFuzzer. Bytes are opened and run; the header's size is made to fit, since otherwise
 * nearly nothing would get further. docs/contributing/testing.md says how to build and run it. */
#include "damage.h"
#include "probe.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned int seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A change to the description half of the time, else any. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned int seed) {
    drawn = seed;
    if (draw(2)) damage(data, size);
    else size = LLVMFuzzerMutate(data, size, most);
    uint64_t bytes = size;
    if (size >= HEADER_BYTES) memcpy(data + 16, &bytes, sizeof bytes);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* The kernel by a byte of the file's content, so that the same bytes always do the same. */
    probe(data, size, size > 128 && data[size / 2] % 2 ? "portable" : NULL, 1, 1);
    return 0;
}
