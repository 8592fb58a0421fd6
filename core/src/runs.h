/* How AVX2 adds products in 16 bits without ever saturating.
 *
 * VPMADDUBSW sums two products into 16 bits, and saturates; adding such sums in 16 bits wraps around. Small enough
 * weights rule out both. With activations from 0 to `most`, a lane's sum over some quads lies in a range that is
 * `most` times the sum of its |weights| wide, whatever the activations are. If that fits 16 bits, the lane starts at an
 * offset that moves the range into 16 bits, and the sum is exact. So the quads of a block are divided into groups
 * ("runs") of equal length whose 32 lanes all fit; quads with large weights are grouped with small ones. The sum of
 * the offsets is subtracted at the end.
 *
 * A quad of large weights may saturate by itself. It is summed in two halves: its even inputs, then its odd ones; the
 * weights of the others are masked. One product always fits.
 */
#ifndef RUNS_H
#define RUNS_H

#include "matrix.h"

/* Entries of `order`: four times the quad, plus its inputs: 1 the even ones, 2 the odd ones, 3 or (unless the block is
 * masked) 0 all. Matrices with more quads have no runs. */
enum { EVEN = 1, ODD = 2, ALL = 3, MAX_QUADS = 1 << 14 };
/* Lanes of 16 bits: two per column. */
enum { LANES16 = 2 * BLOCK };

/* Make the runs of a matrix for activations from 0 to `most`. Returns 0, or -1: too little memory, or too many quads.
 * `free_runs` frees the memory. */
int make_runs(const int8_t *weights, int quads, int blocks, int most, Runs *runs);
void free_runs(Runs *runs);

/* Whether every quad of every block is summed exactly once, and nothing else. The ranges are not proven again: wrong
 * ones give wrong sums, but nothing is read out of bounds. */
int runs_fit(const Runs *runs, int quads, int blocks);

/* Byte of lane `lane` in a group's offsets, in the order in which they are unpacked. */
static inline int offset_place(int lane) { return lane % 16 / 8 * 16 + lane / 16 * 8 + lane % 8; }

#endif
