/* Random damage to a model file: unusual values in its header, its description and its tensors. */
#ifndef DAMAGE_H
#define DAMAGE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { HEADER_BYTES = 64, ENTRY_BYTES = 24, ODD_VALUES = 40 };

static uint32_t drawn = 1;

static uint32_t draw(uint32_t below) {
    drawn = drawn * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(drawn >> 4) * below) >> 28);
}

static uint32_t get32(const uint8_t *p) {
    uint32_t value;
    memcpy(&value, p, 4);
    return value;
}

static void put32(uint8_t *p, uint32_t value) { memcpy(p, &value, 4); }

/* A value to replace another one. */
static uint32_t odd_value(uint32_t value, uint32_t number) {
    static const uint32_t fixed[] = {0, 1, 2, 3, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256,
                                     4096, 65535, 65536, 65537, 1u << 20, 1048577, 1u << 24, 0x7fffffff, 1u << 31, ~0u};
    const uint32_t count = sizeof fixed / sizeof *fixed;
    if (number < count) return fixed[number];
    const uint32_t near[] = {value + 1,  value - 1,  value * 2,  value / 2,
                             value + 16, value - 16, value + 64, value ^ 1u << 31};
    return near[(number - count) % 8];
}

/* Size of the header and the description in bytes. The data of the tensors follows. */
static size_t described(const uint8_t *file, size_t size) {
    if (size < HEADER_BYTES) return size;
    uint64_t end = HEADER_BYTES + ENTRY_BYTES * (uint64_t)get32(file + 24) + 4 * (uint64_t)get32(file + 28);
    return end < size ? (size_t)end : size;
}

/* Numbers that are difficult for FP32 arithmetic. */
static uint32_t odd_float(uint32_t number) {
    static const uint32_t bits[] = {0x7fc00000, 0xffc00000, 0x7f800000, 0xff800000, 0x7f7fffff, 0xff7fffff,
                                    0x00000000, 0x80000000, 0x00000001, 0x00800000, 0x7149f2ca, 0x3f800000};
    return bits[number % (sizeof bits / sizeof *bits)];
}

/* Make one random change: mostly in the description, sometimes in the data of the tensors. */
static void damage(uint8_t *file, size_t size) {
    size_t end = described(file, size);
    if (size < HEADER_BYTES + 8 || end < HEADER_BYTES + 8) return;
    uint8_t *word = file + HEADER_BYTES + 4 * (size_t)draw((uint32_t)(end - HEADER_BYTES) / 4);
    switch (draw(8)) {
    case 0: file[draw((uint32_t)size)] ^= (uint8_t)(1u << draw(8)); break;
    case 1: file[draw((uint32_t)end)] = (uint8_t)draw(256); break;
    case 2: put32(word, get32(file + HEADER_BYTES + 4 * (size_t)draw((uint32_t)(end - HEADER_BYTES) / 4))); break;
    case 3:
        if (end + 4 < size) put32(file + end + 4 * (size_t)draw((uint32_t)(size - end) / 4), odd_float(draw(12)));
        break;
    default: put32(word, odd_value(get32(word), draw(ODD_VALUES)));
    }
}

#endif
