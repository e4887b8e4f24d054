/* Profile: what is normal for a channel at this hour of the day.
 *
 * Per channel and two hours of the day (UTC) three running quantiles, 5 %, 50 % and 95 %, by
 * stochastic approximation (Robbins and Monro 1951) with a memory of about DAYS days, and one more
 * set over all hours with a memory of a few hours for the first days, when most parts of the day
 * have not been seen often enough. Only for showing what is expected; detection does not read it.
 */
#include <math.h>
#include <string.h>

#include "kernels.h"

#define PARTS_OF_DAY 12
#define DAYS 7.0f
#define RECENT_HOURS 3.0f
#define SEEN_DAYS 3
#define DAY_US 86400000000LL
#define PART_US (DAY_US / PARTS_OF_DAY)
#define PART_HOURS (24.0f / PARTS_OF_DAY)

typedef struct {
    float q[3]; /* 5 %, 50 %, 95 % */
    float rows; /* learned from, saturating at the memory */
} band;

typedef struct {
    band part[PARTS_OF_DAY];
    band recent;
    float spread; /* mean distance from the recent median */
} profile_state;

static const float LEVEL[3] = {0.05f, 0.5f, 0.95f};

static void learn(band *b, float value, float spread, float memory) {
    if (b->rows == 0.0f) {
        for (int k = 0; k < 3; k++) b->q[k] = value;
        b->q[0] -= spread;
        b->q[2] += spread;
    }
    if (b->rows < memory) b->rows += 1.0f;
    float step = 4.0f * spread / sqrtf(b->rows < memory ? b->rows * memory : memory * memory);
    float fast = 4.0f * spread / b->rows;
    if (fast > 0.5f * spread) fast = 0.5f * spread;
    if (b->rows < memory && fast > step) step = fast;
    for (int k = 0; k < 3; k++) b->q[k] += step * (LEVEL[k] - (value < b->q[k] ? 1.0f : 0.0f));
    if (b->q[0] > b->q[1]) b->q[0] = b->q[1];
    if (b->q[2] < b->q[1]) b->q[2] = b->q[1];
}

static const band *known(const profile_state *state, int part, float per_hour) {
    const band *b = state->part + part;
    return b->rows >= SEEN_DAYS * PART_HOURS * per_hour * 0.8f ? b : &state->recent;
}

static void between(const profile_state *state, int64_t time, float per_hour, float *out) {
    int64_t of_day = ((time % DAY_US) + DAY_US) % DAY_US;
    float position = (float)of_day / (float)PART_US - 0.5f;
    int lower = (int)floorf(position);
    float share = position - (float)lower;
    const band *x = known(state, (lower + PARTS_OF_DAY) % PARTS_OF_DAY, per_hour);
    const band *y = known(state, (lower + 1) % PARTS_OF_DAY, per_hour);
    for (int k = 0; k < 3; k++) out[k] = x->q[k] + share * (y->q[k] - x->q[k]);
}

/* expected, lower, upper: (n, c), as known before the row; NaN before the first value.
 * learn_row: (n) 0 leaves the row out of the learning. interval: (n) seconds, NaN if unknown. */
API void rs_profile(int64_t n, int32_t c, const int64_t *first, const int64_t *time,
                    const double *values, const float *interval, const uint8_t *learn_row,
                    profile_state *states, float *expected, float *lower, float *upper) {
    for (int64_t i = 0; i < n; i++) {
        float seconds = isnan(interval[i]) ? 60.0f : interval[i];
        float per_hour = fmaxf(3600.0f / fmaxf(seconds, 0.01f), 1.0f);
        int part = (int)((((time[i] % DAY_US) + DAY_US) % DAY_US) / PART_US);
        for (int j = 0; j < c; j++) {
            profile_state *state = states + first[i] + j;
            float *e = expected + i * c + j, *l = lower + i * c + j, *u = upper + i * c + j;
            *e = *l = *u = NAN;
            if (state->recent.rows > 0.0f) {
                float q[3];
                between(state, time[i], per_hour, q);
                *l = q[0], *e = q[1], *u = q[2];
            }
            double value = values[i * c + j];
            if (!isfinite(value) || fabs(value) > 1e30 || !learn_row[i]) continue;
            float away = state->recent.rows > 0.0f ? fabsf((float)value - state->recent.q[1]) : 0.0f;
            float share = state->recent.rows > 0.0f ? 1.0f / fminf(state->recent.rows + 1.0f, 12.0f * per_hour) : 1.0f;
            state->spread += share * (away - state->spread);
            float spread = fmaxf(state->spread, 1e-6f * fabsf((float)value) + 1e-9f);
            learn(&state->recent, (float)value, spread, RECENT_HOURS * per_hour);
            learn(&state->part[part], (float)value, spread, DAYS * PART_HOURS * per_hour);
        }
    }
}

API int64_t rs_profile_state_size(void) { return sizeof(profile_state); }
