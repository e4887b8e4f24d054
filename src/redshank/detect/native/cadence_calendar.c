/* Cadence by the calendar: the hours of the week and the weeks of the year in which a sensor is due.
 *
 * Each has a history of its last seven times. A sensor that is known to be off at some hours or for
 * a season is not due then.
 */
#include <math.h>
#include <string.h>

#include "cadence.h"
#include "lengths.h"

#define LONG_PAUSE_S 21600.0f /* of seconds that were due */
#define KNOWN_WEEKS 3
#define LEAST_OFF 12
#define MOST_MIXED 34
#define SLOWEST_HOURLY 1200.0f /* seconds between readings, on average */
#define ON_SHARE 0.667f
#define SEASON_WEEKS 6
#define LONGEST_HOURS (400 * 24)
#define ALL_HOURS 0xFFFFFFu

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

double due_between(const cadence_state *s, int64_t from, int64_t to) {
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

/* --- what is learned --- */

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

void learn_calendar(cadence_state *s, int64_t local) {
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

int far_from_usual(const cadence_state *s, int64_t local) {
    int here = hour_of_week(floor_div(local, HOUR_US));
    if (!s->usual || due_in(s->week[here]) > 0.0f) return 0;
    int far = 1;
    while (far < HOURS / 2 && due_in(s->week[(here + far) % HOURS]) == 0.0f &&
           due_in(s->week[(here + HOURS - far) % HOURS]) == 0.0f)
        far++;
    return far;
}

int far_from_season(const cadence_state *s, int64_t local) {
    int here = week_of_year(floor_div(local, DAY_US));
    if (!s->season || !off_week(s, here) || history_times(s->year[here]) < SEASON_YEARS) return 0;
    int far = 1;
    while (far < WEEKS / 2 && off_week(s, (here + far) % WEEKS) &&
           off_week(s, (here + WEEKS - far) % WEEKS))
        far++;
    return far > SEASON_SLACK ? far : 0;
}
