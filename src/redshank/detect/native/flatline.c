/* Flat line: how often does a channel hold one value for so long?
 *
 * Completed runs of equal values are counted by their length (lengths.h), and a run gets the return
 * rate of runs at least that long, so that a channel that never rests is called stuck soon and one
 * with long rests late.
 * After the flat-line test of QARTOD (IOOS, Manual for Real-Time Quality Control of In-situ
 * Temperature and Salinity Data), with the threshold learned instead of set.
 */
#include <math.h>
#include <string.h>

#include "kernels.h"
#include "lengths.h"

#define BINS 40       /* two a doubling: up to 2^20 rows */
#define PRIOR_TAIL 1.5f
#define LEAST_ROWS 256.0f
#define LEAST_RUNS 16.0f /* a channel that hardly varied has no rhythm of resting to compare with */
#define DOUBTFUL 1       /* half the weight of a run if it was taken for a fault: repeated, it is normal */
#define LEAST_RUN 30
#define MONTH_ROWS 8640.0f
#define MEMORY 100000.0f /* rows after which counts are halved */

#define DAY_SECONDS 86400.0f

enum { NEVER, ANYWHERE, AT_ZERO }; /* where a channel rests, for any time */

/* What is assumed of a channel that is known to move, beside its own runs, until LEAST_RUNS of them are
 * counted: rests of 4, 16 and 64 rows; one that stands still from the start is stuck after about a day. */
static const uint16_t ASSUMED[BINS] = {[4] = 16, [8] = 12, [12] = 4};

typedef struct {
    double value;
    int64_t since;  /* event time at which the run began */
    uint32_t run;   /* rows, this one included; 0 before any value */
    uint32_t unusual; /* 1 once the run's rate fell below learn_above */
    float rows;
    uint16_t twice[BINS]; /* twice the count of runs of that length */
} flat_state;

static void finish(flat_state *state) {
    if (state->run) {
        uint16_t *twice = state->twice + length_bin((float)state->run, BINS);
        *twice = (uint16_t)fmin((double)*twice + (state->unusual ? DOUBTFUL : 2), UINT16_MAX);
    }
    state->unusual = 0;
}

static float total_runs(const flat_state *state) {
    float total = 0.0f;
    for (int k = 0; k < BINS; k++) total += 0.5f * (float)state->twice[k];
    return total;
}

/* Whether a run can be told by what is assumed of the channel, before its own runs are known. What
 * rests at zero may rest beside it for a night, with an offset. */
static int is_foreseen(uint8_t rests, float held) {
    return rests == NEVER || (rests == AT_ZERO && held > DAY_SECONDS);
}

/* Expected number of runs at least as long as this one among those so far. */
static float longer_runs(const flat_state *state, int known) {
    uint16_t twice[BINS];
    if (known) return lengths_beyond(state->twice, BINS, (float)state->run, PRIOR_TAIL);
    for (int k = 0; k < BINS; k++) twice[k] = (uint16_t)(state->twice[k] + ASSUMED[k]);
    return lengths_beyond(twice, BINS, (float)state->run, PRIOR_TAIL);
}

/* rate: (n, c) per MONTH_ROWS rows, INFINITY where nothing can be said;
 * held: (n, c) seconds since the run began. rests: (c) where each channel rests.
 * learn_above: rate below which a run is taken for a fault and learned with half its weight. */
API void rs_flatline(int64_t n, int32_t c, const int64_t *first, const int64_t *time,
                     const double *values, const uint8_t *rests, float learn_above,
                     flat_state *states, float *rate, float *held) {
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < c; j++) {
            flat_state *state = states + first[i] + j;
            double value = values[i * c + j];
            float *r = rate + i * c + j, *h = held + i * c + j;
            *r = INFINITY;
            *h = 0.0f;
            if (!isfinite(value)) continue;
            state->rows += 1.0f;
            if (state->run && value == state->value) {
                if (state->run < UINT32_MAX) state->run++;
            } else {
                finish(state);
                state->value = value;
                state->since = time[i];
                state->run = 1;
            }
            *h = (float)((double)(time[i] - state->since) * 1e-6);
            if (state->rows > MEMORY) {
                state->rows *= 0.5f;
                for (int k = 0; k < BINS; k++) state->twice[k] /= 2;
            }
            if (state->run < LEAST_RUN || state->rows < LEAST_ROWS) continue;
            int known = total_runs(state) >= LEAST_RUNS;
            if (rests[j] != NEVER && value == 0.0) continue;
            if (!known && !is_foreseen(rests[j], *h)) continue;
            *r = MONTH_ROWS * longer_runs(state, known) / state->rows;
            if (*r < learn_above) state->unusual = 1;
        }
    }
}

API int64_t rs_flat_state_size(void) { return sizeof(flat_state); }
