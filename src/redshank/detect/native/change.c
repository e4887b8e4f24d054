/* Change: is the step from the value before far beyond what the channel has shown?
 *
 * Per channel a running 99 % quantile of |step| among the values that moved at all (stochastic
 * approximation, Robbins and Monro 1951) and the largest step of late. A step beyond both by far
 * is a jump. A jump is learned only when many have come. Steps over several reporting intervals
 * count as those of a random walk do: by the square root of the time.
 * After the rate-of-change and spike tests of QARTOD (IOOS), with limits learned instead of set.
 *
 * A jump's return rate: the next of n steps is the largest yet with probability 1 / n; that it is k
 * times as large as the largest of late is taken to be k^-a times as likely (a Pareto tail), with the
 * exponent a that the distance of that largest one from the quantile shows. Jumps of late make the next likelier.
 *
 * A spike is a jump that is taken back within SPIKE_ROWS values; it is told at the value that came
 * back, as nothing is known before. A jump after which the value goes on where the one before stood,
 * once converted, is a change of unit; it is told until the values fit no more, or a gap.
 *
 * A channel that its sensor's rows lack for far longer than ever before is absent.
 */
#include <math.h>

#include "kernels.h"

#define LEVEL 0.99f
#define MEMORY 2000.0f
#define DECAY 0.9998f /* of the largest step and of the jumps, by value that moved */
#define FAR 3.0f      /* times the quantile */
#define BEYOND 1.5f   /* times the largest of late */
#define LEAST 60      /* moves before anything is said */
#define OFTEN 20      /* so many jumps are no jumps */
#define FORGET 64     /* moves after which one jump is forgotten */
#define STEEPEST 2.5f
#define FLATTEST 1.0f
#define CAUTION 4.0f  /* so many times as often as the tail says */
#define SPIKE_ROWS 3
#define BACK 0.3      /* part of a jump that may be left when it is taken back */
#define FITS 0.2      /* part of a jump that may be left after a conversion */
#define NEAR 0.5      /* part of a value that may be left after one without an offset: a thousandth of anything is near 0 */
#define LONG 5.0      /* reporting intervals after which a step says nothing */
#define UNITS 8       /* most conversions of a channel */
#define PRESENT 200   /* values after which a channel can be absent at all */
#define LACKING 15    /* rows that it must lack at least */
#define LONGER 6      /* times the longest absence of late */
#define ABSENT_OFTEN 4 /* part of an absence that was told that is learned */
#define FADE 2048     /* values after which a quarter of the longest absence is forgotten */

#define MONTH_ROWS 8640.0f

#define JUMP 1
#define SPIKE 2
#define UNIT 4
#define ABSENT 8

typedef struct {
    double last; /* in the channel's own unit */
    int64_t time;
    float base, jump; /* value before the latest jump, and its step */
    float quantile, spread, largest;
    float level; /* slow mean, to tell the usual unit from the other one */
    float jumps; /* of late */
    uint16_t moves;
    uint16_t present, lacked, longest; /* values; rows without one now, and at most */
    uint8_t often;
    uint8_t away : 2; /* values since the latest jump, 0 if it was taken back or stayed */
    uint8_t unit : 6; /* number of the conversion, 0 for none */
} change_state;

static void learn(change_state *state, float step) {
    if (state->moves == 0) state->quantile = state->spread = state->largest = step;
    if (state->moves < UINT16_MAX) state->moves++;
    float memory = fminf((float)state->moves, MEMORY);
    state->spread += (step - state->spread) / memory;
    float pace = 10.0f * state->spread / memory;
    if (pace > state->spread) pace = state->spread;
    state->quantile += pace * (LEVEL - (step < state->quantile ? 1.0f : 0.0f));
    state->largest = fmaxf(state->largest * DECAY, step);
    state->jumps *= DECAY;
    if (state->moves % FORGET == 0 && state->often) state->often--;
}

static float jump_rate(const change_state *state, double step) {
    float n = fminf((float)state->moves, 1.0f / (1.0f - DECAY));
    float gap = state->largest / state->quantile;
    float a = gap > 1.0f ? logf(fmaxf(n * (1.0f - LEVEL), 1.0f)) / logf(gap) : STEEPEST;
    a = fmaxf(FLATTEST, fminf(STEEPEST, a));
    float larger = CAUTION * powf((float)(step / state->largest), -a);
    return MONTH_ROWS / (n + 1.0f) * (larger + state->jumps);
}

static double converted(const double *units, int unit, double raw) {
    return unit ? raw * units[2 * unit - 2] + units[2 * unit - 1] : raw;
}

/* Back from another unit, a channel is where it usually is without any conversion. */
static int still_in_unit(const change_state *state, const double *units, double raw) {
    double left = fabs(converted(units, state->unit, raw) - state->level);
    return 0.5 * left <= fabs(raw - state->level);
}

/* The conversion under which a value goes on where the last one stood, 0 for none. */
static int unit_of(const double *units, double value, double last, double most) {
    int best = 0;
    most = fmin(most, FITS * fabs(value - last));
    for (int k = 0; k < UNITS && units[2 * k] != 0.0 && value != 0.0; k++) {
        double left = fabs(value * units[2 * k] + units[2 * k + 1] - last);
        if (units[2 * k + 1] == 0.0 && left > NEAR * fabs(last)) continue;
        if (left <= most) most = left, best = k + 1;
    }
    return best;
}

static uint8_t spike_or_jump(change_state *state, double value, double step, int jumped) {
    if (state->away && fabs(value - state->base) <= BACK * fabs(state->jump)) {
        state->away = 0;
        return SPIKE;
    }
    if (state->away) {
        state->away = state->away < SPIKE_ROWS ? state->away + 1 : 0;
    } else if (jumped) {
        state->away = 1;
        state->base = (float)state->last;
        state->jump = (float)step;
    }
    return jumped ? JUMP : 0;
}

static int absent(change_state *state) {
    if (state->lacked < UINT16_MAX) state->lacked++;
    return state->present >= PRESENT && state->lacked > LACKING &&
           (int)state->lacked > LONGER * (int)state->longest;
}

static void back(change_state *state) {
    uint16_t lacked = state->lacked;
    if (state->present >= PRESENT && lacked > LACKING && (int)lacked > LONGER * (int)state->longest)
        lacked /= ABSENT_OFTEN;
    if (state->present && lacked > state->longest) state->longest = lacked;
    state->lacked = 0;
    if (++state->present < PRESENT + FADE) return;
    state->present = PRESENT;
    state->longest -= state->longest / 4;
}

/* What a value says that came so many reporting intervals after the last one; last moves on. */
static uint8_t judge(change_state *state, const double *units, double raw, double intervals,
                     float *rate) {
    double scale = sqrt(intervals < 1.0 ? 1.0 : intervals);
    double limit = fmax(FAR * state->quantile, BEYOND * state->largest) * scale;
    int known = state->moves >= LEAST;
    int was = state->unit;
    if (was && !still_in_unit(state, units, raw)) state->unit = 0;
    double value = converted(units, state->unit, raw), step = value - state->last;
    if (known && fabs(step) > limit) {
        int usual = fabs(state->last - state->level) < fabs(raw - state->level);
        int settled = !was && usual && state->often == 0;
        int better = fabs(raw - state->last) < fabs(step);
        if (!was || better) state->unit = settled ? unit_of(units, raw, state->last, limit) : 0;
        value = converted(units, state->unit, raw);
        step = value - state->last;
        if (state->unit) state->away = 0;
    }
    int jumped = known && fabs(step) > limit;
    if (jumped) *rate = jump_rate(state, fabs(step) / scale);
    uint8_t said = spike_or_jump(state, value, step, jumped);
    if (jumped && state->often < UINT8_MAX) state->often++;
    if (jumped) state->jumps += 1.0f;
    if (step != 0.0 && (!jumped || state->often >= OFTEN)) learn(state, (float)(fabs(step) / scale));
    state->last = value;
    state->level += (float)(value - state->level) / fminf((float)state->moves + 1.0f, MEMORY);
    if (!state->unit) return said;
    return said | UNIT | (was ? 0 : JUMP);
}

/* said: (n, c) bits of JUMP, SPIKE, UNIT, ABSENT. rate: (n, c) of such jumps per MONTH_ROWS rows,
 * INFINITY where there is none. interval: (n) seconds, NaN if unknown.
 * units: (c, UNITS, 2) factor and offset from another unit to the channel's own; factor 0 ends. */
API void rs_change(int64_t n, int32_t c, const int64_t *first, const int64_t *time,
                   const double *values, const float *interval, const double *units,
                   change_state *states, uint8_t *said, float *rate) {
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < c; j++) {
            change_state *state = states + first[i] + j;
            double value = values[i * c + j];
            said[i * c + j] = 0;
            rate[i * c + j] = INFINITY;
            if (isnan(value) && absent(state)) said[i * c + j] = ABSENT;
            if (!isfinite(value) || fabs(value) > 1e30) continue;
            back(state);
            double seconds = (double)(time[i] - state->time) * 1e-6;
            double intervals = interval[i] > 0.0f ? seconds / interval[i] : 1.0;
            if (state->time && intervals <= LONG) {
                said[i * c + j] = judge(state, units + (int64_t)j * UNITS * 2, value, intervals,
                                        rate + i * c + j);
            } else {
                state->away = state->unit = 0;
                state->last = value;
                if (!state->time) state->level = (float)value;
            }
            state->time = time[i];
        }
    }
}

API int64_t rs_change_state_size(void) { return sizeof(change_state); }
