/* Local calendar: hours of the week, weeks of the year, and short histories of whether anything
 * came in them. All times are local microseconds: UTC plus the zone's offset at that moment. */
#ifndef REDSHANK_CALENDAR_H
#define REDSHANK_CALENDAR_H

#include <stdint.h>

#define HOUR_US 3600000000LL
#define DAY_US (24 * HOUR_US)
#define HOURS 168
#define WEEKS 53

static inline int64_t floor_div(int64_t a, int64_t b) {
    int64_t q = a / b;
    return q - (a % b < 0);
}

static inline int hour_of_week(int64_t hour) { return (int)(hour - floor_div(hour, HOURS) * HOURS); }

/* Week of the year, 0 to 52, of a day since the epoch; the civil calendar after Hinnant (2013). */
static inline int week_of_year(int64_t day) {
    int64_t z = day + 719468, era = floor_div(z, 146097);
    int64_t of_era = z - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t from_march = of_era - (365 * year + year / 4 - year / 100);
    int64_t leap_year = year + (from_march >= 306); /* year of era in which January and February lie */
    int leap = leap_year % 4 == 0 && (leap_year % 100 != 0 || leap_year % 400 == 0);
    int64_t from_january = from_march >= 306 ? from_march - 306 : from_march + 59 + leap;
    int week = (int)(from_january / 7);
    return week < WEEKS ? week : WEEKS - 1;
}

/* A history of up to seven times: bits below the highest one that is set, the latest lowest. */
static inline uint8_t history_with(uint8_t bits, int came) {
    if (!bits) bits = 1;
    int full = bits & 0x80;
    bits = (uint8_t)(bits << 1 | came);
    return full ? (uint8_t)(bits | 0x80) : bits;
}

static inline int history_times(uint8_t bits) {
    int n = 0;
    while (bits > 1) bits >>= 1, n++;
    return n;
}

static inline int history_came(uint8_t bits) {
    int n = -1;
    for (; bits; bits &= (uint8_t)(bits - 1)) n++;
    return n < 0 ? 0 : n;
}

#endif
