/* Recent: the rows before one at which an incident opened, to tell what kind of change it was.
 *
 * Per channel a ring of the latest ROWS values, and the mean size of its steps over MEMORY of them,
 * in which one step counts no more than CLIP usual ones. What opened an incident may have begun
 * before it did, and only against these a step, a slope and a burst can be told apart. What came
 * little by little began hours before: so it keeps the mean of each of the latest HOURS hours, too,
 * without the rows of incidents.
 */
#include <math.h>

#include "kernels.h"

#define ROWS 32
#define HOURS 48
#define HOUR 3600000000
#define MEMORY 2000.0f
#define MOST 1e30
#define CLIP 8.0f
#define LEAST 64.0f /* steps before one can be called large */

typedef struct {
    float ring[ROWS];
    uint16_t next;
    uint16_t rows; /* values in the ring */
    float last, step, steps;
    float level[HOURS]; /* of the hours before the present one, a ring by the hour's number */
    int64_t hour;              /* number of the present one */
    double sum;                /* of its values */
    int32_t count;             /* of its values */
    int32_t known;             /* how many hours before it the ring knows of */
} recent_state;

static float mean(const recent_state *state) {
    return state->count ? (float)(state->sum / state->count) : NAN;
}

static void learn_level(recent_state *state, int64_t time, float value, uint8_t skip) {
    int64_t hour = time / HOUR;
    if (hour > state->hour) {
        int64_t gone = state->hour ? hour - state->hour : 0;
        for (int64_t k = 0; k < gone && k < HOURS; k++)
            state->level[(hour - 1 - k) % HOURS] = k == gone - 1 ? mean(state) : NAN;
        state->known = gone + state->known < HOURS ? (int32_t)gone + state->known : HOURS;
        state->hour = hour, state->sum = 0.0, state->count = 0;
    }
    if (!skip && isfinite(value)) state->sum += value, state->count++;
}

static void latest_levels(const recent_state *state, int64_t time, int32_t c, float *out) {
    int64_t since = time / HOUR - state->hour;
    for (int k = 0; k <= HOURS; k++) {
        int64_t back = HOURS - k - since; /* hours before the present one of the state */
        float level = back == 0 ? mean(state) : NAN;
        if (back > 0 && back <= state->known) level = state->level[(state->hour - back) % HOURS];
        out[(int64_t)k * c] = level;
    }
}

static void learn(recent_state *state, float value) {
    if (!isfinite(value)) return;
    float step = fabsf(value - state->last);
    state->last = value;
    if (state->steps > LEAST && state->step > 0.0f) step = fminf(step, CLIP * state->step);
    if (state->steps > 0.0f) state->step += (step - state->step) / state->steps;
    state->steps = fminf(state->steps + 1.0f, MEMORY);
}

static void latest(const recent_state *state, int32_t c, float *out) {
    for (int k = 0; k < ROWS; k++) {
        int back = ROWS - k;
        out[(int64_t)k * c] = back > state->rows ? NAN : state->ring[(state->next + ROWS - back) % ROWS];
    }
}

/* chosen: (n) not 0 where the rows before are wanted. skip: (n) not 0 for rows of incidents.
 * before: (chosen rows, ROWS, c), oldest first, NaN before the first value. usual: (chosen rows, c)
 * mean size of a step before them. levels: (chosen rows, HOURS + 1, c) mean of each hour, oldest
 * first, the last of them that of the row itself as far as it has gone; NaN where there is none. */
API void rs_recent(int64_t n, int32_t c, const int64_t *first, const int64_t *time,
                   const double *values, const uint8_t *chosen, const uint8_t *skip,
                   recent_state *states, float *before, float *usual, float *levels) {
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < c; j++) {
            recent_state *state = states + first[i] + j;
            float value = fabs(values[i * c + j]) < MOST ? (float)values[i * c + j] : NAN;
            if (chosen[i]) {
                latest(state, c, before + j), usual[j] = state->step;
                latest_levels(state, time[i], c, levels + j);
            }
            learn_level(state, time[i], value, skip[i]);
            learn(state, value);
            state->ring[state->next] = value;
            state->next = (uint16_t)((state->next + 1) % ROWS);
            if (state->rows < ROWS) state->rows++;
        }
        if (chosen[i]) before += (int64_t)ROWS * c, usual += c, levels += (int64_t)(HOURS + 1) * c;
    }
}

API int64_t rs_recent_state_size(void) { return sizeof(recent_state); }
