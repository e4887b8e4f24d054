/* How often is something as long as this? Counts of past lengths, and a tail beyond the longest.
 *
 * Lengths are counted in bins of half an octave, twice each, so that doubtful ones count one half.
 * Beyond the longest ENOUGH a Pareto tail is assumed whose exponent is Hill's estimate (1975) drawn
 * towards a prior.
 */
#ifndef REDSHANK_LENGTHS_H
#define REDSHANK_LENGTHS_H

#include <math.h>
#include <stdint.h>

#define ENOUGH 8.0f /* lengths that a tail needs to start from */
#define PRIOR_LENGTHS 4.0f
#define STEEPEST 4.0f
#define HALF_OCTAVE 0.34657359f /* its natural logarithm */

static inline int length_bin(float length, int bins) {
    int b = (int)(2.0f * log2f(length));
    return b < 0 ? 0 : b < bins ? b : bins - 1;
}

/* Expected number of lengths at least as great, among those counted so far. */
static inline float lengths_beyond(const uint16_t *twice, int bins, float length, float prior_tail) {
    float longer = 0.0f, weight = 0.0f, logs = 0.0f;
    int b = length_bin(length, bins), k = bins - 1;
    for (; k > 0; k--) { /* the longest, from bin k on: at least ENOUGH */
        weight += 0.5f * (float)twice[k];
        if (k >= b) longer += 0.5f * (float)twice[k];
        if (weight >= ENOUGH) break;
    }
    if (k >= b) { /* enough of that length: count them all */
        for (int i = k - 1; i >= b; i--) longer += 0.5f * (float)twice[i];
        return longer;
    }
    weight = fmaxf(weight, ENOUGH);
    for (int i = k; i < bins; i++)
        logs += 0.5f * (float)twice[i] * HALF_OCTAVE * ((float)(i - k) + 0.5f);
    float tail = (weight + PRIOR_LENGTHS) / (logs + PRIOR_LENGTHS / prior_tail);
    if (tail > STEEPEST) tail = STEEPEST;
    return fmaxf(weight * powf(exp2f((float)k / 2.0f) / length, tail), longer);
}

#endif
