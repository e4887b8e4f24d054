/* Recent: the rows before one at which an incident opened, to tell what kind of change it was.
 *
 * Per channel a ring of the latest ROWS values, and the mean size of its steps over MEMORY of them,
 * in which one step counts no more than CLIP usual ones. What opened an incident may have begun
 * before it did, and only against these a step, a slope and a burst can be told apart.
 */
#include <math.h>

#include "kernels.h"

#define ROWS 32
#define MEMORY 2000.0f
#define MOST 1e30
#define CLIP 8.0f
#define LEAST 64.0f /* steps before one can be called large */

typedef struct {
    float ring[ROWS];
    uint16_t next;
    uint16_t rows; /* values in the ring */
    float last, step, steps;
} recent_state;

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

/* chosen: (n) not 0 where the rows before are wanted. before: (chosen rows, ROWS, c), oldest first,
 * NaN before the first value. usual: (chosen rows, c) mean size of a step before them. */
API void rs_recent(int64_t n, int32_t c, const int64_t *first, const double *values,
                   const uint8_t *chosen, recent_state *states, float *before, float *usual) {
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < c; j++) {
            recent_state *state = states + first[i] + j;
            float value = fabs(values[i * c + j]) < MOST ? (float)values[i * c + j] : NAN;
            if (chosen[i]) latest(state, c, before + j), usual[j] = state->step;
            learn(state, value);
            state->ring[state->next] = value;
            state->next = (uint16_t)((state->next + 1) % ROWS);
            if (state->rows < ROWS) state->rows++;
        }
        if (chosen[i]) before += (int64_t)ROWS * c, usual += c;
    }
}

API int64_t rs_recent_state_size(void) { return sizeof(recent_state); }
