/* Fuzz model files with libFuzzer: open the bytes and run the model. The size in the header is corrected, because
 * otherwise almost every input would be refused there. docs/contributing/testing.md says how to build and run it. */
#include "damage.h"
#include "probe.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned int seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Half of the mutations are those of damage.h, the others are libFuzzer's own. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned int seed) {
    drawn = seed;
    if (draw(2)) damage(data, size);
    else size = LLVMFuzzerMutate(data, size, most);
    uint64_t bytes = size;
    if (size >= HEADER_BYTES) memcpy(data + 16, &bytes, sizeof bytes);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* A byte of the file selects the kernel, so that the same bytes always have the same effect. */
    probe(data, size, size > 128 && data[size / 2] % 2 ? "portable" : NULL, 1, 1);
    return 0;
}
