/* Recent: the rows before one at which an incident opened, to tell what kind of change it was.
 *
 * Per channel a ring of the latest ROWS values. What opened an incident may have begun before it
 * did, and only against these rows a step, a slope and a burst can be told apart.
 */
#include <math.h>

#include "kernels.h"

#define ROWS 32

typedef struct {
    float ring[ROWS];
    uint16_t next;
    uint16_t rows; /* values in the ring */
} recent_state;

static void latest(const recent_state *state, int32_t c, float *out) {
    for (int k = 0; k < ROWS; k++) {
        int back = ROWS - k;
        out[(int64_t)k * c] = back > state->rows ? NAN : state->ring[(state->next + ROWS - back) % ROWS];
    }
}

/* chosen: (n) not 0 where the rows before are wanted. before: (chosen rows, ROWS, c), oldest first,
 * NaN before the first value. */
API void rs_recent(int64_t n, int32_t c, const int64_t *first, const double *values,
                   const uint8_t *chosen, recent_state *states, float *before) {
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < c; j++) {
            recent_state *state = states + first[i] + j;
            if (chosen[i]) latest(state, c, before + j);
            state->ring[state->next] = (float)values[i * c + j];
            state->next = (uint16_t)((state->next + 1) % ROWS);
            if (state->rows < ROWS) state->rows++;
        }
        if (chosen[i]) before += (int64_t)ROWS * c;
    }
}

API int64_t rs_recent_state_size(void) { return sizeof(recent_state); }
