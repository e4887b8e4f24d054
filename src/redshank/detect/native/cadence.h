/* What is kept of a sensor's reporting: shared by cadence.c (intervals, pauses, stutter) and
 * cadence_calendar.c (hours of the week, seasons). */
#ifndef REDSHANK_CADENCE_H
#define REDSHANK_CADENCE_H

#include <stdint.h>

#include "calendar.h"

#define NEVER INT64_MIN
#define BINS 24 /* lengths of up to 2^12 */
#define ABSENT_US (4 * DAY_US) /* longer pauses say nothing of the week */
#define SEASON_SLACK 2
#define SEASON_YEARS 2

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

/* Seconds between two local times in which the sensor is due. */
double due_between(const cadence_state *s, int64_t from, int64_t to);

/* Learn which hours and weeks have passed between the newest row and one at this local time. */
void learn_calendar(cadence_state *s, int64_t local);

/* Hours from here to the nearest hour of the week in which readings came, 0 if they come now. */
int far_from_usual(const cadence_state *s, int64_t local);

/* Weeks to the nearest week of the year in which readings came in any year; 0 without seasons. */
int far_from_season(const cadence_state *s, int64_t local);

#endif
