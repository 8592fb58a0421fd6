/* Exact sums of products in 16-bit lanes with AVX2.
 *
 * VPMADDUBSW adds two products into 16 bits and saturates. Further 16-bit additions of such sums wrap around. Neither
 * happens if the weights are small enough. For activations from 0 to `most`, the sum of a lane over some quads lies in
 * a range of width `most` times the sum of the lane's |weights|. If this width fits 16 bits, the lane starts at an
 * offset that shifts the range into 16 bits, and the sum is exact. Therefore the quads of a block are divided into
 * groups ("runs") of equal length. In each group all 32 lanes must fit, so a group combines quads with large and with
 * small weights. At the end, the sum of the offsets is subtracted.
 *
 * A single quad with large weights can saturate. It is then summed in two halves: first its even inputs, then its odd
 * inputs, with the other weights masked. A single product always fits.
 */
#ifndef RUNS_H
#define RUNS_H

#include "matrix.h"

/* An entry of `order` is four times the number of the quad, plus its inputs: 1 the even ones, 2 the odd ones, 3 all. In
 * a block without masks, 0 also means all. Matrices with more than MAX_QUADS quads have no runs. */
enum { EVEN = 1, ODD = 2, ALL = 3, MAX_QUADS = 1 << 14 };
/* Lanes of 16 bits: two per column. */
enum { LANES16 = 2 * BLOCK };

/* Make the runs of a matrix for activations from 0 to `most`. Returns 0, or -1 if there is too little memory or the
 * matrix has too many quads. `free_runs` frees the memory. */
int make_runs(const int8_t *weights, int quads, int blocks, int most, Runs *runs);
void free_runs(Runs *runs);

/* Check that the runs sum every quad of every block exactly once. The ranges of the sums are not checked: wrong groups
 * or offsets give wrong sums, but no read out of bounds. */
int runs_fit(const Runs *runs, int quads, int blocks);

/* Position of a lane's byte in a group's offsets. The kernel unpacks them in this order. */
static inline int offset_place(int lane) { return lane % 16 / 8 * 16 + lane / 16 * 8 + lane % 8; }

#endif
