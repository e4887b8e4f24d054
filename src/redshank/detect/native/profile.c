/* Profile: what is normal for a channel at this hour of the day.
 *
 * Per channel and two hours of the day (on the sensor's own clock) three running quantiles, 5 %, 50 % and 95 %, by
 * stochastic approximation (Robbins and Monro 1951) with a memory of about DAYS days, and one more
 * set over all hours with a memory of a few hours for the first days, when most parts of the day
 * have not been seen often enough. Only for showing what is expected; detection does not read it.
 *
 * A few days of one hour tell little of what the next day brings, so the edges are moved out (or in)
 * by factors of their own, until 5 % of the values are beyond each: adaptive conformal inference
 * (Gibbs and Candes 2021), on the logarithm of the factor. Values at rest calibrate nothing.
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
#define BEYOND 0.05f
#define PACE 0.3f       /* of the logarithm of a factor, by hour of values beyond the edge */
#define START 0.7f      /* what it begins with for parts of the day: few days tell too little */
#define NARROWEST 0.2f
#define WIDEST 20.0f

typedef struct {
    float q[3]; /* 5 %, 50 %, 95 % */
    float rows; /* learned from, saturating at the memory */
    float away; /* mean distance from the median */
} band;

typedef struct {
    band part[PARTS_OF_DAY];
    band recent;
    float wide[2][2]; /* logarithms of the factors; of recent, of parts; below, above */
} profile_state;

static const float LEVEL[3] = {0.05f, 0.5f, 0.95f};

static void learn(band *b, float value, float memory) {
    float away = b->rows > 0.0f ? fabsf(value - b->q[1]) : 0.0f;
    if (b->rows < memory) b->rows += 1.0f;
    b->away += (away - b->away) / b->rows;
    float spread = fmaxf(b->away, 1e-6f * fabsf(value) + 1e-9f);
    if (b->rows == 1.0f) b->q[0] = value - spread, b->q[1] = value, b->q[2] = value + spread;
    float step = 4.0f * spread / sqrtf(b->rows * memory);
    float fast = fminf(4.0f * spread / b->rows, 0.5f * spread);
    if (b->rows < memory && fast > step) step = fast;
    for (int k = 0; k < 3; k++) b->q[k] += step * (LEVEL[k] - (value < b->q[k] ? 1.0f : 0.0f));
    if (b->q[0] > b->q[1]) b->q[0] = b->q[1];
    if (b->q[2] < b->q[1]) b->q[2] = b->q[1];
}

static const band *known(const profile_state *state, int part, float per_hour) {
    const band *b = state->part + part;
    return b->rows >= SEEN_DAYS * PART_HOURS * per_hour * 0.8f ? b : &state->recent;
}

/* The calibrated band; returns which factors it goes by: 0 those of recent, 1 those of parts. */
static int between(const profile_state *state, int64_t time, float per_hour, float *out) {
    int64_t of_day = ((time % DAY_US) + DAY_US) % DAY_US;
    float position = (float)of_day / (float)PART_US - 0.5f;
    int lower = (int)floorf(position);
    float share = position - (float)lower;
    const band *x = known(state, (lower + PARTS_OF_DAY) % PARTS_OF_DAY, per_hour);
    const band *y = known(state, (lower + 1) % PARTS_OF_DAY, per_hour);
    for (int k = 0; k < 3; k++) out[k] = x->q[k] + share * (y->q[k] - x->q[k]);
    int parts = x != &state->recent && y != &state->recent;
    float start = parts ? START : 0.0f;
    out[0] = out[1] - expf(state->wide[parts][0] + start) * (out[1] - out[0]);
    out[2] = out[1] + expf(state->wide[parts][1] + start) * (out[2] - out[1]);
    return parts;
}

static void calibrate(float *wide, const float *q, float value, float per_hour) {
    if (q[2] <= q[0]) return;
    float pace = PACE / per_hour;
    wide[0] += pace * ((value < q[0] ? 1.0f : 0.0f) - BEYOND);
    wide[1] += pace * ((value > q[2] ? 1.0f : 0.0f) - BEYOND);
    for (int k = 0; k < 2; k++) wide[k] = fminf(fmaxf(wide[k], logf(NARROWEST)), logf(WIDEST));
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
            float q[3];
            int parts = 0, there = state->recent.rows > 0.0f;
            if (there) {
                parts = between(state, time[i], per_hour, q);
                *l = q[0], *e = q[1], *u = q[2];
            }
            double value = values[i * c + j];
            if (!isfinite(value) || fabs(value) > 1e30 || !learn_row[i]) continue;
            if (there) calibrate(state->wide[parts], q, (float)value, per_hour);
            learn(&state->recent, (float)value, RECENT_HOURS * per_hour);
            learn(&state->part[part], (float)value, DAYS * PART_HOURS * per_hour);
        }
    }
}

API int64_t rs_profile_state_size(void) { return sizeof(profile_state); }
