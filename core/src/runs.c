#include "runs.h"

#include <stdlib.h>
#include <string.h>

/* MAX_LENGTH: longest run. MAX_TRIES: attempts to exchange items before a length is given up. NEAR: groups that
 * `distribute` compares for each item. FULL: a length is tried only if the groups are at most this full on average. */
enum { MAX_LENGTH = 16, MAX_TRIES = 4000, NEAR = 24 };
static const double FULL = 0.94;

/* An item to sum: a quad or half of a quad. */
typedef struct Item {
    int16_t load[LANES16]; /* sum of its |weights| in each lane */
    uint16_t entry;
    int16_t peak; /* largest number in `load` */
} Item;

/* The groups of one block while they are being formed. Each group has `length` slots; the last one has the rest. */
typedef struct Packing {
    int items, length, groups, cap;
    Item *item;
    int *by_peak, *place; /* items sorted by peak, the largest first; item in each slot */
    int *count, *excess;  /* per group: used slots; sum over all lanes of the amount above `cap` */
    int16_t (*sum)[LANES16];
} Packing;

static int places(const Packing *p, int group) {
    return group < p->groups - 1 ? p->length : p->items - (p->groups - 1) * p->length;
}

static int excess(const int16_t *sum, int cap) {
    int total = 0;
    for (int l = 0; l < LANES16; l++) total += sum[l] > cap ? sum[l] - cap : 0;
    return total;
}

static int peak_with(const int16_t *a, const int16_t *b) {
    int16_t peak = 0;
    for (int l = 0; l < LANES16; l++) {
        int16_t sum = (int16_t)(a[l] + b[l]);
        peak = sum > peak ? sum : peak;
    }
    return peak;
}

/* Check whether this length can succeed: the groups must not be too full on average. */
static int may_fit(const Packing *p) {
    int total[LANES16] = {0}, most = 0;
    for (int i = 0; i < p->items; i++)
        for (int l = 0; l < LANES16; l++) total[l] += p->item[i].load[l];
    for (int l = 0; l < LANES16; l++) most = total[l] > most ? total[l] : most;
    return most <= FULL * p->cap * p->items / p->length;
}

/* Distribute the items over the groups, those with the largest peak first. Of the next NEAR groups with a free slot,
 * each item goes to the one whose largest lane is then smallest. */
static void distribute(Packing *p) {
    memset(p->count, 0, (size_t)p->groups * sizeof *p->count);
    memset(p->sum, 0, (size_t)p->groups * sizeof *p->sum);
    for (int i = 0, at = 0; i < p->items; i++, at = (at + 7) % p->groups) {
        const int which = p->by_peak[i];
        const Item *item = &p->item[which];
        int best = -1, least = 0;
        for (int s = 0, tried = 0; s < p->groups && tried < NEAR; s++) {
            int g = (at + s) % p->groups;
            if (p->count[g] >= places(p, g)) continue;
            int peak = peak_with(p->sum[g], item->load) * MAX_LENGTH + p->count[g];
            if (best < 0 || peak < least) best = g, least = peak;
            tried++;
        }
        p->place[best * p->length + p->count[best]++] = which;
        for (int l = 0; l < LANES16; l++) p->sum[best][l] = (int16_t)(p->sum[best][l] + item->load[l]);
    }
}

/* Exchange random items between a group that is too full and any other group if this does not increase the excess.
 * Returns whether all groups fit. */
static int exchange(Packing *p) {
    uint32_t seed = 12345;
    int total = 0;
    for (int g = 0; g < p->groups; g++) total += p->excess[g] = excess(p->sum[g], p->cap);
    for (int tries = 0; total > 0 && tries < MAX_TRIES; tries++) {
        uint32_t draw[3];
        for (int i = 0; i < 3; i++) draw[i] = (seed = seed * 1664525u + 1013904223u) >> 8;
        int g = (int)(draw[0] % (uint32_t)p->groups), h = (int)(draw[1] % (uint32_t)p->groups);
        while (!p->excess[g]) g = (g + 1) % p->groups;
        if (g == h) continue;
        int *a = &p->place[g * p->length + (int)(draw[2] % 4099u) % places(p, g)];
        int *b = &p->place[h * p->length + (int)(draw[2] / 4099u) % places(p, h)];
        const int16_t *from = p->item[*a].load, *to = p->item[*b].load;
        int16_t in_g[LANES16], in_h[LANES16];
        for (int l = 0; l < LANES16; l++) {
            in_g[l] = (int16_t)(p->sum[g][l] + to[l] - from[l]);
            in_h[l] = (int16_t)(p->sum[h][l] + from[l] - to[l]);
        }
        int over_g = excess(in_g, p->cap), over_h = excess(in_h, p->cap);
        int change = over_g + over_h - p->excess[g] - p->excess[h];
        if (change > 0) continue;
        memcpy(p->sum[g], in_g, sizeof in_g);
        memcpy(p->sum[h], in_h, sizeof in_h);
        int moved = *a;
        *a = *b, *b = moved;
        total += change, p->excess[g] = over_g, p->excess[h] = over_h;
    }
    return total == 0;
}

static int fits(Packing *p, int length) {
    p->length = length;
    p->groups = (p->items + length - 1) / length;
    if (length == 1) {
        for (int i = 0; i < p->items; i++) p->place[i] = i;
        return 1;
    }
    if (!may_fit(p)) return 0;
    distribute(p);
    return exchange(p);
}

static void add_item(Packing *p, const int8_t *w, int quad, int inputs) {
    Item *item = &p->item[p->items++];
    item->entry = (uint16_t)(quad << 2 | inputs);
    item->peak = 0;
    for (int l = 0; l < LANES16; l++) {
        int even = abs(w[2 * l]), odd = abs(w[2 * l + 1]);
        item->load[l] = (int16_t)((inputs & EVEN ? even : 0) + (inputs & ODD ? odd : 0));
        if (item->load[l] > item->peak) item->peak = item->load[l];
    }
}

static int saturates(const int8_t *w, int most) {
    int any = 0;
    for (int l = 0; l < LANES16; l++) {
        int a = w[2 * l], b = w[2 * l + 1], high = (a > 0 ? a : 0) + (b > 0 ? b : 0), low = a + b - high;
        any |= high * most > INT16_MAX || low * most < INT16_MIN;
    }
    return any;
}

static void sort_by_peak(Packing *p) {
    int first[4 * 128 + 2] = {0};
    for (int i = 0; i < p->items; i++) first[512 - p->item[i].peak + 1]++;
    for (int k = 1; k <= 513; k++) first[k] += first[k - 1];
    for (int i = 0; i < p->items; i++) p->by_peak[first[512 - p->item[i].peak]++] = i;
}

/* Set the offsets of a group, and subtract them from the start values of its columns. */
static void set_offsets(const Packing *p, const int8_t *weights, int group, int most, int8_t *offsets, int32_t *start) {
    int low[LANES16] = {0}, high[LANES16] = {0};
    for (int i = 0; i < places(p, group); i++) {
        const int entry = p->item[p->place[group * p->length + i]].entry;
        const int8_t *w = weights + (size_t)(entry >> 2) * QUAD_BYTES;
        for (int k = 0; k < QUAD_BYTES; k++)
            if (entry & (k % 2 ? ODD : EVEN)) *(w[k] > 0 ? &high[k / 2] : &low[k / 2]) += most * w[k];
    }
    for (int l = 0; l < LANES16; l++) {
        /* The offset nearest to 0 with low + 256 * offset >= -32768 and high + 256 * offset <= 32767. */
        int least = -((32768 + low[l]) >> 8), largest = (32767 - high[l]) >> 8;
        int offset = least > 0 ? least : largest < 0 ? largest : 0;
        offsets[offset_place(l)] = (int8_t)offset;
        start[l / 2] -= offset * 256;
    }
}

static int compare_entries(const void *a, const void *b) { return *(const uint16_t *)a - *(const uint16_t *)b; }

static void pack_block(Packing *p, const int8_t *weights, int quads, int most, Runs *runs, int number) {
    RunBlock *block = (RunBlock *)runs->block + number;
    int masked = 0;
    p->items = 0;
    for (int q = 0; q < quads; q++) {
        const int8_t *w = weights + (size_t)q * QUAD_BYTES;
        if (!saturates(w, most)) {
            add_item(p, w, q, ALL);
            continue;
        }
        add_item(p, w, q, EVEN);
        add_item(p, w, q, ODD);
        masked = 1;
    }
    sort_by_peak(p);
    for (int length = MAX_LENGTH; !fits(p, length); length--) {}
    *block = (RunBlock){runs->entries, runs->groups, (uint32_t)p->items, (uint32_t)(masked << 16 | p->length)};
    uint16_t *order = (uint16_t *)runs->order + runs->entries;
    int8_t *offsets = (int8_t *)runs->offsets + (size_t)runs->groups * LANES16;
    for (int g = 0; g < p->groups; g++, order += p->length) {
        set_offsets(p, weights, g, most, offsets + (size_t)g * LANES16, (int32_t *)runs->start + number * BLOCK);
        for (int i = 0; i < places(p, g); i++) {
            uint16_t entry = p->item[p->place[g * p->length + i]].entry;
            order[i] = masked ? entry : (uint16_t)(entry & ~ALL);
        }
        qsort(order, (size_t)places(p, g), sizeof *order, compare_entries);
    }
    runs->entries += (uint32_t)p->items;
    runs->groups += (uint32_t)p->groups;
}

int make_runs(const int8_t *weights, int quads, int blocks, int most, Runs *runs) {
    memset(runs, 0, sizeof *runs);
    if (quads > MAX_QUADS) return -1;
    const size_t items = 2 * (size_t)quads, all = items * (size_t)blocks;
    Packing p = {.cap = 65280 / most, .item = malloc(items * sizeof(Item)), .by_peak = malloc(items * sizeof(int)),
                 .place = malloc(items * sizeof(int)), .count = malloc(items * sizeof(int)),
                 .excess = malloc(items * sizeof(int)), .sum = malloc(items * sizeof *p.sum)};
    runs->most = most;
    runs->block = malloc((size_t)blocks * sizeof(RunBlock));
    runs->order = malloc(all * sizeof(uint16_t));
    runs->offsets = malloc(all * LANES16);
    runs->start = calloc((size_t)blocks * BLOCK, sizeof(int32_t));
    int made = p.item && p.by_peak && p.place && p.count && p.excess && p.sum && runs->block && runs->order &&
               runs->offsets && runs->start;
    for (int b = 0; b < blocks && made; b++)
        pack_block(&p, weights + (size_t)b * (size_t)quads * QUAD_BYTES, quads, most, runs, b);
    void *const scratch[] = {p.item, p.by_peak, p.place, p.count, p.excess, p.sum};
    for (size_t i = 0; i < sizeof scratch / sizeof *scratch; i++) free(scratch[i]);
    if (!made) return free_runs(runs), -1;
    /* The memory was allocated for the worst case: free the unused part. */
    void *order = realloc((void *)runs->order, runs->entries * sizeof(uint16_t));
    if (order) runs->order = order;
    void *offsets = realloc((void *)runs->offsets, (size_t)runs->groups * LANES16);
    if (offsets) runs->offsets = offsets;
    return 0;
}

void free_runs(Runs *runs) {
    const void *const parts[] = {runs->block, runs->order, runs->offsets, runs->start};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) free((void *)parts[i]);
    memset(runs, 0, sizeof *runs);
}

static int block_fits(const Runs *runs, const RunBlock *block, int quads, uint8_t *seen) {
    const int length = block->shape & 0xffff, masked = block->shape >> 16 & 1;
    if (block->shape >> 17 || length < 1 || block->entries < 1 || block->entries > 2 * (uint32_t)quads ||
        block->order > runs->entries || block->entries > runs->entries - block->order)
        return 0;
    const uint32_t groups = (block->entries + (uint32_t)length - 1) / (uint32_t)length;
    if (block->offsets > runs->groups || groups > runs->groups - block->offsets) return 0;
    memset(seen, 0, (size_t)quads);
    for (uint32_t i = 0; i < block->entries; i++) {
        int entry = runs->order[block->order + i], quad = entry >> 2, inputs = masked ? entry & ALL : ALL;
        if (quad >= quads || !inputs || seen[quad] & inputs || (!masked && entry & ALL)) return 0;
        seen[quad] |= (uint8_t)inputs;
    }
    for (int q = 0; q < quads; q++)
        if (seen[q] != ALL) return 0;
    return 1;
}

int runs_fit(const Runs *runs, int quads, int blocks) {
    uint8_t *seen = quads <= MAX_QUADS ? malloc((size_t)quads) : NULL;
    int fit = seen != NULL;
    for (int b = 0; b < blocks && fit; b++) fit = block_fits(runs, &runs->block[b], quads, seen);
    free(seen);
    return fit;
}
