/* Cadence: how a sensor reports, learned from its event times alone.
 *
 * Three kinds of deviation get a return rate, each from counts of what the sensor did before:
 * silence, from the lengths of past pauses; stutter, from past peaks of a cumulative sum of missing
 * readings (Page 1954); and readings at hours of the week, or in a season, in which there were
 * none. A sensor that is known to be off at some hours or for a season is not due then: pauses are
 * measured in the readings that were due in them.
 */
#include <math.h>
#include <string.h>

#include "cadence.h"
#include "kernels.h"
#include "lengths.h"

#define LEAST_ROWS 64
#define MONTH_DAYS 30.0f
#define MEMORY_DAYS 112.0f /* then all counts are halved */
#define LEARN_ABOVE 1.0f /* a month; rarer peaks are most likely faults and count half */

/* interval */
#define SLOWEST 0.003f
#define WARM_UP 32
/* pauses */
#define PAUSE 1.5f
#define PAUSE_TAIL 1.0f
#define UNSEEN 0.25f /* pauses of a kind that has not come yet, in the time that it is known */
/* stutter; intervals in medians */
#define SHORTEST 0.75f
#define LONGEST 12.0f
#define SLACK 1.3f
#define MEAN_ROWS 1024.0f
#define RECENT_ROWS 12.0f
#define BACK 1.15f
#define BACK_ROWS 16
#define LEAST_PEAK 4.0f
#define LEAST_CAME 3
#define LEAST_DAYS 3.0f
#define STUTTER_TAIL 2.0f
#define STEADY_ROWS 32
#define STEADY 0.8f

static void count(uint16_t *bins, float length, int twice) {
    uint16_t *bin = bins + length_bin(length, BINS);
    if (*bin < UINT16_MAX - 2) *bin = (uint16_t)(*bin + twice);
}

static float per_month(const cadence_state *s, const uint16_t *bins, float length, float tail) {
    if (s->rows < LEAST_ROWS || s->days <= 0.0f) return INFINITY;
    return lengths_beyond(bins, BINS, length, tail) * MONTH_DAYS / s->days;
}

static float longest(const uint16_t *bins) {
    int k = BINS - 1;
    while (k > 0 && !bins[k]) k--;
    return exp2f((float)k / 2.0f);
}

/* However steep the tail of lost readings is, a sensor that is known for days may have outages that did
 * not happen yet. Beyond the longest pause so far they are taken to be as rare as they are long. */
static float silence_rate(const cadence_state *s, float length) {
    float seen = per_month(s, s->pauses, length, PAUSE_TAIL);
    return fmaxf(seen, UNSEEN * MONTH_DAYS / s->days * fminf(longest(s->pauses) / length, 1.0f));
}

/* --- outside the usual times --- */

static float odd_rate(const cadence_state *s) {
    if (s->odd_rows < 2) return INFINITY;
    float times = s->odd_times + 0.5f, far = (float)s->odd_far;
    if (s->odd_season) return times / (12.0f * SEASON_YEARS) * powf(far - SEASON_SLACK, -3.0f);
    return times * MONTH_DAYS / fmaxf(s->days, 1.0f) * powf(fmaxf(far, 1.0f), -3.0f);
}

static void end_odd(cadence_state *s) {
    s->odd_times += odd_rate(s) > LEARN_ABOVE ? 1.0f : 0.5f;
    s->odd_rows = s->odd_far = 0;
    s->odd_season = 0;
}

static void note_odd(cadence_state *s, int64_t time, int64_t local) {
    int weeks = far_from_season(s, local);
    int far = weeks ? weeks : far_from_usual(s, local);
    if (s->odd_rows && time - s->odd_last > DAY_US) end_odd(s);
    if (!far) return;
    if (!s->odd_rows) s->odd_since = time;
    if (s->odd_rows < UINT16_MAX) s->odd_rows++;
    s->odd_last = time;
    if (weeks && !s->odd_season) s->odd_season = 1, s->odd_far = 0;
    if (!weeks && s->odd_season) return;
    if (far > s->odd_far) s->odd_far = (uint16_t)far;
}

/* --- stutter --- */

static float stutter_rate(const cadence_state *s) {
    if (s->peak < LEAST_PEAK || s->came < LEAST_CAME || s->days < LEAST_DAYS) return INFINITY;
    return per_month(s, s->peaks, s->peak, STUTTER_TAIL);
}

static void end_stutter(cadence_state *s, int64_t time) {
    if (s->peak >= 1.0f) count(s->peaks, s->peak, stutter_rate(s) > LEARN_ABOVE ? 2 : 1);
    s->sum = s->largest = s->peak = s->pause = s->due = 0.0f;
    s->came = 0;
    s->before = s->mean;
    s->since = time;
}

static float clipped(float medians) { return fminf(fmaxf(medians, SHORTEST), LONGEST); }

/* A sensor that has kept another interval for a while has another rhythm; bursts are none. */
static int new_rhythm(cadence_state *s) {
    if (s->came < STEADY_ROWS || s->steady < STEADY) return 0;
    if (fabsf(s->log_recent - s->log_median) < 0.3f) return 0;
    float kept = clipped(expf(s->log_recent - s->log_median));
    if (fabsf(s->recent - kept) > 0.3f * kept) return 0;
    s->log_median = s->log_recent;
    s->mean = s->recent = 1.0f;
    return 1;
}

static void learn_stutter(cadence_state *s, int64_t time, float medians, float seconds) {
    float length = clipped(medians);
    s->recent += (length - s->recent) / RECENT_ROWS;
    float part = length - SLACK * s->mean;
    s->mean += (length - s->mean) / fminf((float)s->rows, MEAN_ROWS);
    if (s->rows <= WARM_UP) {
        s->before = s->mean;
        s->since = time;
        return;
    }
    s->sum += part;
    s->came++;
    s->due += medians / s->before;
    if (part > s->largest) s->largest = part;
    if (seconds > s->pause) s->pause = seconds;
    if (s->sum - s->largest > s->peak) s->peak = s->sum - s->largest;
    if (s->recent > BACK * s->mean) s->calm = 0;
    else if (s->calm < BACK_ROWS) s->calm++;
    int back = s->peak > 2.0f * LEAST_PEAK && s->calm == BACK_ROWS;
    if (s->sum <= 0.0f || back || new_rhythm(s)) end_stutter(s, time);
}

/* --- rows --- */

static void learn_interval(cadence_state *s, float now) {
    if (s->rows == 1) {
        s->log_median = s->log_recent = now;
        s->mean = s->recent = 1.0f;
        return;
    }
    float step = fminf(fmaxf(2.0f / (float)s->rows, SLOWEST), 0.5f);
    float away = now - s->log_median;
    if (s->peak < LEAST_PEAK) s->log_median += fminf(fmaxf(away, -step), step);
    away = now - s->log_recent;
    s->log_recent += fminf(fmaxf(away, -0.1f), 0.1f);
    s->steady += ((fabsf(away) < 0.25f ? 1.0f : 0.0f) - s->steady) / 16.0f;
}

static void learn_days(cadence_state *s, int64_t passed) {
    s->days += (float)((double)(passed < ABSENT_US ? passed : ABSENT_US) / (double)DAY_US);
    if (s->days < MEMORY_DAYS) return;
    s->days *= 0.5f;
    s->odd_times *= 0.5f;
    for (int b = 0; b < BINS; b++) s->pauses[b] /= 2, s->peaks[b] /= 2;
}

static void learn_row(cadence_state *s, int64_t time, int64_t local) {
    if (s->last != NEVER) {
        float seconds = (float)((double)(time - s->last) * 1e-6);
        double due = due_between(s, s->local, local);
        float medians = (float)due / expf(s->log_median);
        if (s->rows > 8 && medians > PAUSE) count(s->pauses, medians, 2);
        learn_days(s, time - s->last);
        if (s->rows > 1) learn_stutter(s, time, medians, seconds);
        learn_interval(s, logf(seconds));
        learn_calendar(s, local);
    }
    note_odd(s, time, local);
    s->hours |= 1u << (floor_div(local, HOUR_US) - 24 * floor_div(local, DAY_US));
    if (s->rows < UINT32_MAX) s->rows++;
    s->last = time;
    s->local = local;
}

/* Rows in event-time order for each sensor; older ones than the newest are left out.
 * shift: (n) the zone's offset from UTC at each row, microseconds. */
API void rs_cadence(int64_t n, const int32_t *slot, const int64_t *time, const int64_t *shift,
                    cadence_state *states) {
    for (int64_t i = 0; i < n; i++) {
        cadence_state *s = states + slot[i];
        if (s->last == NEVER || time[i] > s->last) learn_row(s, time[i], time[i] + shift[i]);
    }
}

typedef struct {
    int64_t since;
    int64_t odd_since;
    int64_t odd_last;
    float silence; /* return rates per 30 days; INFINITY while too little is known */
    float stutter;
    float odd;
    float interval; /* seconds */
    float came;
    float expected;
    float pause; /* seconds */
    float odd_rows;
    float odd_season;
    float usual;
} attendance;

/* How it stands with each sensor. quiet: (n) since when nothing came; shift: (n) at now. */
API void rs_attendance(int64_t n, const int32_t *slot, const int64_t *quiet, const int64_t *now,
                       const int64_t *shift, const cadence_state *states, attendance *out) {
    for (int64_t i = 0; i < n; i++) {
        const cadence_state *s = states + slot[i];
        attendance *a = out + i;
        memset(a, 0, sizeof(*a));
        a->silence = a->stutter = a->odd = INFINITY;
        a->interval = NAN;
        if (s->rows < 2) continue;
        a->interval = expf(s->log_median);
        double due = due_between(s, quiet[i] + shift[i], now[i] + shift[i]);
        float length = (float)due / a->interval;
        if (length > 2.0f) a->silence = silence_rate(s, length);
        a->stutter = stutter_rate(s);
        a->since = s->since;
        a->came = (float)s->came;
        a->expected = s->due;
        a->pause = s->pause;
        a->odd = odd_rate(s);
        a->odd_since = s->odd_since;
        a->odd_last = s->odd_last;
        a->odd_rows = (float)s->odd_rows;
        a->odd_season = (float)s->odd_season;
        a->usual = (float)s->usual;
    }
}

/* The usual times in another zone are to be learned anew. */
API void rs_cadence_forget_calendar(int64_t n, const int32_t *slot, cadence_state *states) {
    for (int64_t i = 0; i < n; i++) {
        cadence_state *s = states + slot[i];
        memset(s->week, 0, sizeof(s->week));
        s->usual = 0;
        s->hours = 0;
        s->odd_rows = s->odd_far = 0;
        s->odd_season = 0;
    }
}

API int64_t rs_cadence_state_size(void) { return sizeof(cadence_state); }
API int64_t rs_attendance_size(void) { return sizeof(attendance); }
