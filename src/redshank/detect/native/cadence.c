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

#include "calendar.h"
#include "kernels.h"
#include "lengths.h"

#define NEVER INT64_MIN
#define BINS 24 /* lengths of up to 2^12 */
#define LEAST_ROWS 64
#define MONTH_DAYS 30.0f
#define MEMORY_DAYS 112.0f /* then all counts are halved */
#define ABSENT_US (4 * DAY_US) /* longer pauses say nothing of the week */
#define LEARN_ABOVE 1.0f /* a month; rarer peaks are most likely faults and count half */

/* interval */
#define SLOWEST 0.003f
#define WARM_UP 32
/* pauses */
#define PAUSE 1.5f
#define PAUSE_TAIL 1.0f
#define LONG_PAUSE_S 21600.0f
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
/* hours */
#define KNOWN_WEEKS 3
#define LEAST_OFF 12
#define MOST_MIXED 34
#define SLOWEST_HOURLY 1200.0f /* seconds between readings, on average */
#define ON_SHARE 0.667f
#define SEASON_WEEKS 6
#define SEASON_SLACK 2
#define SEASON_YEARS 2
#define LONGEST_HOURS (400 * 24)
#define ALL_HOURS 0xFFFFFFu

typedef struct {
    int64_t last;      /* newest row; NEVER before the first */
    int64_t local;     /* the same on the local clock */
    int64_t since;     /* the row after which the present cumulative sum began */
    int64_t odd_since; /* first and last row outside the usual times */
    int64_t odd_last;
    uint64_t season; /* bit of each week of the year in which nothing is due */
    uint32_t hours;  /* bit of each hour of the day in which readings have ever come */
    uint32_t rows;
    uint32_t came;    /* rows since `since` */
    float log_median; /* natural log of the interval in seconds */
    float log_recent; /* the same of the latest rows */
    float steady;     /* share of the latest rows that are close to it */
    float mean;       /* interval in medians, between SHORTEST and LONGEST */
    float recent;     /* the same of the latest rows */
    float sum;        /* missing readings, cumulated */
    float largest;    /* part of the longest interval in it */
    float peak;       /* greatest sum so far without that part */
    float pause;      /* longest interval since `since`, in seconds */
    float due;        /* readings that were due since `since` */
    float before;     /* `mean` then */
    float days;       /* observed, halved with the counts */
    float odd_times;  /* spells of readings outside the usual times, halved with the counts */
    uint16_t odd_rows;
    uint16_t odd_far; /* how far from the usual times, in hours or weeks */
    uint16_t calm;    /* latest rows with `recent` near `mean` */
    uint8_t usual;    /* 1: the hours of the week are known */
    uint8_t odd_season;
    uint16_t pauses[BINS]; /* twice the number */
    uint16_t peaks[BINS];
    uint8_t week[HOURS]; /* histories */
    uint8_t year[WEEKS];
} cadence_state;

static void count(uint16_t *bins, float length, int twice) {
    uint16_t *bin = bins + length_bin(length, BINS);
    if (*bin < UINT16_MAX - 2) *bin = (uint16_t)(*bin + twice);
}

static float per_month(const cadence_state *s, const uint16_t *bins, float length, float tail) {
    if (s->rows < LEAST_ROWS || s->days <= 0.0f) return INFINITY;
    return lengths_beyond(bins, BINS, length, tail) * MONTH_DAYS / s->days;
}

/* --- what is due when --- */

static float due_in(uint8_t bits) { /* share of an hour of the week */
    int times = history_times(bits), on = history_came(bits);
    if (times == 0) return 1.0f;
    float share = (float)on / (float)times;
    return on == 0 && times >= KNOWN_WEEKS ? 0.0f : share >= ON_SHARE ? 1.0f : share;
}

static int in_season(const cadence_state *s, int64_t day) {
    return !s->season || !(s->season >> week_of_year(day) & 1);
}

/* Whether an hour without a reading says anything. */
static int hourly(const cadence_state *s) {
    return expf(s->log_median) * s->mean <= SLOWEST_HOURLY;
}

/* Before the week is known, the sensor is due at hours of the day at which it has ever reported. */
static float due_at(const cadence_state *s, int64_t hour) {
    if (s->usual) return due_in(s->week[hour_of_week(hour)]);
    if (!hourly(s)) return 1.0f;
    return s->hours >> (hour - floor_div(hour, 24) * 24) & 1 ? 1.0f : 0.0f;
}

static int always_due(const cadence_state *s) {
    return !s->usual && !s->season && (s->hours == ALL_HOURS || !hourly(s));
}

/* Seconds between two local times in which the sensor is due. */
static double due_between(const cadence_state *s, int64_t from, int64_t to) {
    if (to <= from) return 0.0;
    if (always_due(s)) return (double)(to - from) * 1e-6;
    int64_t first = floor_div(from, HOUR_US), last = floor_div(to, HOUR_US), end = last;
    if (end - first > LONGEST_HOURS) end = first + LONGEST_HOURS;
    double seconds = 0.0;
    int64_t day = first - 1;
    int due = 1;
    for (int64_t hour = first; hour <= end; hour++) {
        int64_t start = hour == first ? from : hour * HOUR_US;
        int64_t stop = hour == last ? to : (hour + 1) * HOUR_US;
        if (day != floor_div(hour, 24)) day = floor_div(hour, 24), due = in_season(s, day);
        if (due) seconds += due_at(s, hour) * (double)(stop - start) * 1e-6;
    }
    return seconds;
}

/* --- hours of the week, weeks of the year --- */

static void learn_usual(cadence_state *s) {
    int known = 0, off = 0, mixed = 0;
    for (int h = 0; h < HOURS; h++) {
        float share = due_in(s->week[h]);
        known += history_times(s->week[h]) >= KNOWN_WEEKS;
        off += share == 0.0f;
        mixed += share > 0.0f && share < 1.0f;
    }
    int usual = hourly(s) && known >= HOURS - 8 && off >= LEAST_OFF && mixed <= MOST_MIXED;
    if (usual && !s->usual) { /* the long pauses so far were days on which nothing comes */
        int from = length_bin(fmaxf(LONG_PAUSE_S / expf(s->log_median), 1.0f), BINS);
        memset(s->pauses + from, 0, sizeof(s->pauses[0]) * (size_t)(BINS - from));
    }
    s->usual = (uint8_t)usual;
}

static int off_week(const cadence_state *s, int week) {
    return history_times(s->year[week]) > 0 && history_came(s->year[week]) == 0;
}

/* Runs of at least SEASON_WEEKS weeks without a reading in any year, and SEASON_SLACK around. */
static void learn_season(cadence_state *s) {
    s->season = 0;
    for (int start = 0; start < WEEKS; start++) {
        if (off_week(s, (start + WEEKS - 1) % WEEKS)) continue;
        int run = 0;
        while (run < WEEKS && off_week(s, (start + run) % WEEKS)) run++;
        if (run < SEASON_WEEKS) continue;
        for (int k = -SEASON_SLACK; k < run + SEASON_SLACK; k++)
            s->season |= 1ULL << ((start + k + WEEKS) % WEEKS);
    }
}

static void learn_year(cadence_state *s, int64_t before, int64_t now) {
    int week = week_of_year(before), then = week_of_year(now);
    if (week == then && now - before < 7) return;
    s->year[week] = history_with(s->year[week], 1);
    if (now - before < 365)
        for (int k = (week + 1) % WEEKS; k != then; k = (k + 1) % WEEKS)
            s->year[k] = history_with(s->year[k], 0);
    learn_season(s);
}

static void learn_calendar(cadence_state *s, int64_t local) {
    int64_t before = floor_div(s->local, HOUR_US), now = floor_div(local, HOUR_US);
    if (now <= before) return;
    s->week[hour_of_week(before)] = history_with(s->week[hour_of_week(before)], 1);
    if (local - s->local <= ABSENT_US)
        for (int64_t hour = before + 1; hour < now; hour++)
            s->week[hour_of_week(hour)] = history_with(s->week[hour_of_week(hour)], 0);
    int64_t yesterday = floor_div(before, 24), today = floor_div(now, 24);
    if (today == yesterday) return;
    learn_year(s, yesterday, today);
    learn_usual(s);
}

/* Hours from here to the nearest hour of the week in which readings came, 0 if they come now. */
static int far_from_usual(const cadence_state *s, int64_t local) {
    int here = hour_of_week(floor_div(local, HOUR_US));
    if (!s->usual || due_in(s->week[here]) > 0.0f) return 0;
    int far = 1;
    while (far < HOURS / 2 && due_in(s->week[(here + far) % HOURS]) == 0.0f &&
           due_in(s->week[(here + HOURS - far) % HOURS]) == 0.0f)
        far++;
    return far;
}

/* Weeks to the nearest week of the year in which readings came in any year; 0 without seasons. */
static int far_from_season(const cadence_state *s, int64_t local) {
    int here = week_of_year(floor_div(local, DAY_US));
    if (!s->season || !off_week(s, here) || history_times(s->year[here]) < SEASON_YEARS) return 0;
    int far = 1;
    while (far < WEEKS / 2 && off_week(s, (here + far) % WEEKS) &&
           off_week(s, (here + WEEKS - far) % WEEKS))
        far++;
    return far > SEASON_SLACK ? far : 0;
}

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
        if (length > 2.0f) a->silence = per_month(s, s->pauses, length, PAUSE_TAIL);
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
