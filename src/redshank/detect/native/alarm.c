/* Decision: return rates and an alarm budget in, alarm bits out.
 *
 * An incident opens at a row whose return rate is within the budget, if `needed` of the latest
 * `window` rows are (N of M, as in alarm management standards: ISA 18.2, IEC 62682). The rows after
 * it are anomalous until it settles (SETTLE rows after opening); it is over, and the next one can
 * open, after REARM rows in a row above CLEAR times the budget.
 */
#include "kernels.h"

#define SETTLE 50
#define REARM 20
#define CLEAR 5.0f

#define ANOMALOUS 1
#define OPEN 2
#define OPENED 4
#define CLOSED 8
#define WARNING 16

typedef struct {
    uint8_t open;
    uint8_t quiet; /* rows in a row above the clearing level */
    uint16_t age;  /* rows since opening, saturating */
    uint32_t hits; /* the latest rows, newest in bit 0: 1 where within the budget */
} alarm_state;

static int bits_set(uint32_t x) {
    int n = 0;
    for (; x; x &= x - 1) n++;
    return n;
}

/* needed <= window <= 32 */
API void rs_alarm(int64_t n, int32_t needed, int32_t window, const int32_t *slot, const float *rate, const float *budget,
                  alarm_state *states, uint8_t *out) {
    const uint32_t seen = window >= 32 ? UINT32_MAX : (1u << window) - 1;
    for (int64_t i = 0; i < n; i++) {
        alarm_state *state = states + slot[i];
        uint8_t bits = 0;
        int unusual = rate[i] <= CLEAR * budget[i], within = rate[i] <= budget[i];
        state->hits = state->hits << 1 | (uint32_t)within;
        if (state->open) {
            state->quiet = unusual ? 0 : (uint8_t)(state->quiet + 1);
            if (state->age < UINT16_MAX) state->age++;
            if (state->quiet >= REARM) {
                *state = (alarm_state){.hits = state->hits};
                bits |= CLOSED;
            }
        }
        if (!state->open && within && bits_set(state->hits & seen) >= needed) {
            *state = (alarm_state){.open = 1, .hits = state->hits};
            bits |= OPENED;
        }
        if (state->open) {
            bits |= OPEN;
            if (state->age < SETTLE) bits |= ANOMALOUS;
        }
        if (unusual) bits |= WARNING;
        out[i] = bits;
    }
}

API int64_t rs_alarm_state_size(void) { return sizeof(alarm_state); }
