/* Decision: return rates and an alarm budget in, alarm bits out.
 *
 * An incident opens at a row whose return rate is within the budget, if `needed` of the latest
 * `window` rows are (N of M, as in alarm management standards: ISA 18.2, IEC 62682). It is over
 * after REARM rows in a row above CLEAR times the budget, or after LEAST_REARM of them and
 * REARM_TIME: a process that comes back to normal for less is one incident, not many.
 */
#include "kernels.h"

#define REARM 60
#define LEAST_REARM 12
#define REARM_TIME 18000000000 /* 5 h in microseconds */
#define CLEAR 5.0f

#define OPEN 1
#define OPENED 2
#define CLOSED 4
#define WARNING 8

typedef struct {
    int64_t unusual_at; /* event time of the latest row within CLEAR times the budget */
    uint32_t hits; /* the latest rows, newest in bit 0: 1 where within the budget */
    uint8_t open;
    uint8_t quiet; /* rows in a row above the clearing level */
} alarm_state;

static int bits_set(uint32_t x) {
    int n = 0;
    for (; x; x &= x - 1) n++;
    return n;
}

static int is_over(const alarm_state *state, int64_t time) {
    return state->quiet >= REARM ||
           (state->quiet >= LEAST_REARM && time - state->unusual_at >= REARM_TIME);
}

/* needed <= window <= 32 */
API void rs_alarm(int64_t n, int32_t needed, int32_t window, const int32_t *slot,
                  const int64_t *time, const float *rate, const float *budget,
                  alarm_state *states, uint8_t *out) {
    const uint32_t seen = window >= 32 ? UINT32_MAX : (1u << window) - 1;
    for (int64_t i = 0; i < n; i++) {
        alarm_state *state = states + slot[i];
        uint8_t bits = 0;
        int unusual = rate[i] <= CLEAR * budget[i], within = rate[i] <= budget[i];
        state->hits = state->hits << 1 | (uint32_t)within;
        if (unusual) state->unusual_at = time[i];
        if (state->open) {
            state->quiet = unusual ? 0 : (uint8_t)(state->quiet + 1);
            if (is_over(state, time[i])) {
                state->open = state->quiet = 0;
                bits |= CLOSED;
            }
        }
        if (!state->open && within && bits_set(state->hits & seen) >= needed) {
            state->open = 1;
            state->quiet = 0;
            bits |= OPENED;
        }
        if (state->open) bits |= OPEN;
        if (unusual) bits |= WARNING;
        out[i] = bits;
    }
}

API int64_t rs_alarm_state_size(void) { return sizeof(alarm_state); }
