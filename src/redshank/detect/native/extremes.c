/* Extremes: how unusual is a value outside everything seen before?
 *
 * Among n exchangeable values the next one is a new extreme on a given side with probability
 * 1 / (n + 1). That it lies k ranges beyond the old extreme is taken to be (1 + k)^-TAIL times as
 * likely (a Pareto tail). Every record adds to the streaming score; a gross one, of more than GROSS
 * ranges, is rare from the first minutes on and judged by itself as well. The gross range test of QARTOD (IOOS), with limits learned instead of set.
 * A value that is taken for a fault widens the range only when ACCEPT such values have come.
 */
#include <math.h>

#include "kernels.h"

#define TAIL 4.0f
#define GROSS 2.0f       /* ranges beyond the old extreme from which a value counts at all */
#define LEAST_ROWS 30.0f
#define LEAST_CHANGES 20 /* a channel that hardly ever moved has no range yet */
#define ACCEPT 20
#define MONTH_ROWS 8640.0f

typedef struct {
    double low, high; /* of the values learned */
    double last;
    float rows;
    uint16_t changes;
    uint16_t beyond; /* unlearned values outside since the last inside */
} extremes_state;

static void widen(extremes_state *state, double value) {
    if (value < state->low) state->low = value;
    if (value > state->high) state->high = value;
    state->beyond = 0;
}

/* record, gross: (n, c) rate of such records and of the gross ones among them, per MONTH_ROWS rows;
 * INFINITY inside the range or while it is unknown.
 * learn_above: rate below which a gross record is taken for a fault. */
API void rs_extremes(int64_t n, int32_t c, const int64_t *first, const double *values,
                     float learn_above, extremes_state *states, float *record, float *gross) {
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < c; j++) {
            extremes_state *state = states + first[i] + j;
            double value = values[i * c + j];
            float *r = record + i * c + j, *g = gross + i * c + j;
            *r = *g = INFINITY;
            if (!isfinite(value)) continue;
            if (state->rows == 0.0f) state->low = state->high = state->last = value;
            if (value != state->last && state->changes < UINT16_MAX) state->changes++;
            state->last = value;
            double range = state->high - state->low;
            double outside = fmax(value - state->high, state->low - value);
            if (outside > 0.0 && range > 0.0 && state->rows >= LEAST_ROWS &&
                state->changes >= LEAST_CHANGES) {
                float k = (float)fmin(outside / range, 1e6);
                *r = 2.0f * MONTH_ROWS / (state->rows + 1.0f) * powf(1.0f + k, -TAIL);
                if (k > GROSS) *g = *r;
            }
            state->rows += 1.0f;
            if (*g >= learn_above) widen(state, value);
            else if (++state->beyond >= ACCEPT) widen(state, value);
        }
    }
}

API int64_t rs_extremes_state_size(void) { return sizeof(extremes_state); }
