/* Open and run thousands of truncated or altered model files. No file may cause a read out of bounds, and every text
 * must get the same answer alone and in a batch. Build with sanitizers (see probe.h for the flags of the linker).
 *
 *     damaged SEED COUNT STEP FILE...
 *
 * COUNT: number of random changes per file. STEP: of all lengths near boundaries, and of all unusual values of all
 * fields, one in STEP is tried.
 */
#include "damage.h"
#include "probe.h"

static int opened, refused, step;

/* Decide at random whether to make this attempt: one in `step` is made. */
static int chosen(void) { return draw((uint32_t)step) == 0; }

static const char *kernel_for(int number) {
    int kernels = 0;
    while (edgebert_kernel_name(kernels)) kernels++;
    const char *name = edgebert_kernel_name(number % kernels);
    /* Opening a model with AVX2 is slow, so few files are opened with it. */
    return strcmp(name, "avx2") || number % 40 < kernels ? name : "portable";
}

static int attempt(const uint8_t *file, size_t size) {
    const int number = opened + refused, opens = probe(file, size, kernel_for(number), 1 + number % 16 / 15, 1);
    opened += opens, refused += !opens;
    return opens;
}

static void put64(uint8_t *p, uint64_t value) { memcpy(p, &value, 8); }

/* Truncate the file at every length near a boundary, with the old and with the new size in the header. */
static void cut(const uint8_t *file, size_t size) {
    const uint32_t tensors = get32(file + 24);
    uint8_t *copy = malloc(size);
    memcpy(copy, file, size);
    for (uint32_t i = 0; i < tensors + 3; i++) {
        uint64_t at[] = {0, 0};
        if (i < tensors) memcpy(at, file + HEADER_BYTES + ENTRY_BYTES * (size_t)i + 8, sizeof at);
        size_t edge = size;
        if (i < tensors) edge = (size_t)at[0];
        else if (i == tensors) edge = HEADER_BYTES;
        else if (i == tensors + 1) edge = described(file, size);
        for (size_t near = edge > 9 ? edge - 9 : 0; near < edge + 9 && near < size; near++) {
            if (!chosen()) continue;
            put64(copy + 16, size);
            must(!attempt(copy, near), "a file that was cut short was opened");
            put64(copy + 16, near);
            attempt(copy, near);
        }
    }
    for (size_t length = 0; length < 2 * HEADER_BYTES && length < size; length++)
        must(!attempt(file, length), "the beginning of a file was opened");
    free(copy);
}

/* Flip every bit of the header, and replace every word of the description by every unusual value. */
static void alter(const uint8_t *file, size_t size) {
    uint8_t *copy = malloc(size);
    memcpy(copy, file, size);
    for (int at = 0; at < HEADER_BYTES; at++)
        for (int bit = 0; bit < 8; bit++) {
            if (!chosen()) continue;
            copy[at] ^= (uint8_t)(1 << bit);
            must(!attempt(copy, size), "a file with another header was opened");
            copy[at] = file[at];
        }
    for (size_t at = HEADER_BYTES; at + 4 <= described(file, size); at += 4)
        for (uint32_t i = 0; i < ODD_VALUES; i++) {
            if (!chosen()) continue;
            put32(copy + at, odd_value(get32(file + at), i));
            attempt(copy, size);
            memcpy(copy + at, file + at, 4);
        }
    free(copy);
}

static void alter_at_random(const uint8_t *file, size_t size, int count) {
    uint8_t *copy = malloc(size);
    for (int i = 0; i < count; i++) {
        memcpy(copy, file, size);
        for (uint32_t changes = 1 + draw(4); changes; changes--) damage(copy, size);
        attempt(copy, size);
    }
    free(copy);
}

static uint8_t *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    must(file && !fseek(file, 0, SEEK_END), path);
    *size = (size_t)ftell(file);
    uint8_t *data = malloc(*size);
    rewind(file);
    must(fread(data, 1, *size, file) == *size, path);
    fclose(file);
    return data;
}

int main(int count, char **arguments) {
    must(count > 4, "damaged SEED COUNT STEP FILE...");
    drawn = (uint32_t)strtoul(arguments[1], NULL, 10);
    step = atoi(arguments[3]);
    for (int i = 4; i < count; i++) {
        size_t size;
        uint8_t *file = read_file(arguments[i], &size);
        for (int k = 0; edgebert_kernel_name(k); k++)
            for (int threads = 1; threads <= 2; threads++)
                must(probe(file, size, edgebert_kernel_name(k), threads, 0), "a whole file was refused");
        cut(file, size);
        alter(file, size);
        alter_at_random(file, size, atoi(arguments[2]));
        free(file);
    }
    printf("%d opened, %d refused\n", opened, refused);
    return 0;
}
