/* How AVX2 adds products in 16 bits without ever losing one.
 *
 * VPMADDUBSW sums two products into 16 bits, and saturates; adding such sums in 16 bits wraps around. Neither happens
 * if the weights forbid it. With activations from 0 to `most`, a lane's sum over some quads lies in a range that is
 * `most` times the sum of its |weights| wide, whatever the activations are. If that fits 16 bits, the lane starts at an
 * offset that puts the range where 16 bits are, and all is exact. So the quads of a block are divided into groups
 * ("runs") of equal length whose 32 lanes all fit; heavy quads go beside light ones. What the offsets add up to is
 * taken away at the end.
 *
 * A quad of large weights may saturate by itself. It is summed in two halves: its even inputs, then its odd ones; the
 * weights of the others are masked. One product always fits.
 */
#ifndef RUNS_H
#define RUNS_H

#include "matrix.h"

/* Entries of `order`: four times the quad, plus its inputs: 1 the even ones, 2 the odd ones, 3 or (unless the block is
 * masked) 0 all. Matrices of more quads have no runs. */
enum { EVEN = 1, ODD = 2, ALL = 3, MAX_QUADS = 1 << 14 };
/* Lanes of 16 bits: two a column. */
enum { LANES16 = 2 * BLOCK };

/* Make the runs of a matrix for activations from 0 to `most`. Returns 0, or -1: too little memory, or too many quads.
 * `free_runs` gives the memory back. */
int make_runs(const int8_t *weights, int quads, int blocks, int most, Runs *runs);
void free_runs(Runs *runs);

/* Whether every quad of every block is summed exactly once, and nothing beyond. The ranges are not proven again: with
 * wrong ones sums are wrong, but nothing is read out of bounds. */
int runs_fit(const Runs *runs, int quads, int blocks);

/* Byte of lane `lane` among a group's offsets: where unpacking with zeros finds it. */
static inline int offset_place(int lane) { return lane % 16 / 8 * 16 + lane / 16 * 8 + lane % 8; }

#endif
