/* Reporting rhythm: a running median of the interval between rows, in the log domain.
 *
 * The median moves by a fixed share of itself towards each new interval (Robbins and Monro 1951,
 * stochastic approximation of a quantile), fast for the first rows and slowly later on.
 */
#include <math.h>

#include "kernels.h"

#define SLOWEST 0.003
#define GAP 5.0

typedef struct {
    int64_t last_time; /* INT64_MIN before the first row */
    float log_median;  /* natural log of the interval in seconds */
    uint32_t rows;
} rhythm_state;

/* interval: (n) running median in seconds, NaN before the second row; gap: (n) 1 after a silence. */
API void rs_rhythm(int64_t n, const int32_t *slot, const int64_t *time, rhythm_state *states,
                   float *interval, uint8_t *gap) {
    for (int64_t i = 0; i < n; i++) {
        rhythm_state *state = states + slot[i];
        gap[i] = 0;
        if (state->last_time != INT64_MIN && time[i] > state->last_time) {
            double seconds = (double)(time[i] - state->last_time) * 1e-6;
            float now = (float)log(seconds);
            if (state->rows == 1) state->log_median = now;
            else {
                gap[i] = state->rows > 8 && now > state->log_median + (float)log(GAP);
                float step = 2.0f / (float)state->rows;
                if (step < SLOWEST) step = SLOWEST;
                if (step > 0.5f) step = 0.5f;
                float away = now - state->log_median;
                if (away > step) away = step;
                if (away < -step) away = -step;
                state->log_median += away;
            }
        }
        if (state->rows < UINT32_MAX) state->rows++;
        state->last_time = time[i];
        interval[i] = state->rows > 1 ? expf(state->log_median) : NAN;
    }
}

API int64_t rs_rhythm_state_size(void) { return sizeof(rhythm_state); }
