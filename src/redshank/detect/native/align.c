/* Alignment: channels of one row that arrive in separate messages become one row again.
 *
 * A sensor is taken to report split once two messages with disjoint channels share a time (within
 * the tolerance). From then on a row waits until every channel that took part in one of the last
 * ALIVE rows is there, or until a message that does not belong to it arrives. Only messages and
 * their event times decide, so the result does not depend on how they were batched.
 */
#include <math.h>
#include <string.h>

#include "kernels.h"

#define ALIVE 8

typedef struct {
    int64_t last_time;    /* event time of the newest row handed on; INT64_MIN before any */
    int64_t pending_time; /* event time of the waiting row */
    uint8_t pending;      /* a row waits */
    uint8_t split;        /* the sensor reports its channels separately */
    uint8_t unused[6];
} align_sensor;

typedef struct {
    double value;   /* of the waiting row */
    uint8_t misses; /* rows handed on since the channel took part, saturating */
    uint8_t unused[7];
} align_channel;

static int disjoint(const align_channel *channel, const double *row, int c) {
    for (int j = 0; j < c; j++)
        if (!isnan(row[j]) && !isnan(channel[j].value)) return 0;
    return 1;
}

static int joins_last(const align_channel *channel, const double *row, int c) {
    for (int j = 0; j < c; j++)
        if (!isnan(row[j]) && channel[j].misses == 0) return 0;
    return 1;
}

static int complete(const align_channel *channel, const double *row, int c) {
    for (int j = 0; j < c; j++)
        if (isnan(row[j]) && channel[j].misses < ALIVE) return 0;
    return 1;
}

static void hand_on(align_sensor *sensor, align_channel *channel, int64_t time, const double *row,
                    int c, int64_t *out_time, double *out_row) {
    *out_time = time;
    memcpy(out_row, row, sizeof(double) * (size_t)c);
    for (int j = 0; j < c; j++) {
        if (!isnan(row[j])) channel[j].misses = 0;
        else if (channel[j].misses < 255) channel[j].misses++;
    }
    sensor->last_time = time;
}

static int64_t release(align_sensor *sensor, align_channel *channel, int c, int64_t *out_time,
                       double *out_row) {
    double row[256];
    for (int j = 0; j < c; j++) {
        row[j] = channel[j].value;
        channel[j].value = NAN;
    }
    sensor->pending = 0;
    hand_on(sensor, channel, sensor->pending_time, row, c, out_time, out_row);
    return 1;
}

/* Rows in arrival order in, aligned rows out (at most 2n). c <= 256. Returns the number of rows. */
API int64_t rs_align(int64_t n, int32_t c, int64_t tolerance, const int32_t *slot,
                     const int64_t *first, const int64_t *time, const double *values,
                     align_sensor *sensors, align_channel *channels, int32_t *out_slot,
                     int64_t *out_time, double *out_values) {
    int64_t m = 0;
    for (int64_t i = 0; i < n; i++) {
        const double *row = values + i * c;
        align_sensor *sensor = sensors + slot[i];
        align_channel *channel = channels + first[i];
        if (sensor->pending) {
            int64_t away = time[i] - sensor->pending_time;
            if (away >= -tolerance && away <= tolerance && disjoint(channel, row, c)) {
                for (int j = 0; j < c; j++)
                    if (!isnan(row[j])) channel[j].value = row[j];
                double merged[256];
                for (int j = 0; j < c; j++) merged[j] = channel[j].value;
                if (complete(channel, merged, c)) {
                    out_slot[m] = slot[i];
                    m += release(sensor, channel, c, out_time + m, out_values + m * c);
                }
                continue;
            }
            if (away <= 0) continue; /* late: stored, not scored */
            out_slot[m] = slot[i];
            m += release(sensor, channel, c, out_time + m, out_values + m * c);
        }
        if (sensor->last_time != INT64_MIN && time[i] <= sensor->last_time + tolerance &&
            joins_last(channel, row, c) && time[i] >= sensor->last_time - tolerance) {
            sensor->split = 1; /* its first half is gone; from the next row on they wait */
            continue;
        }
        if (sensor->last_time != INT64_MIN && time[i] <= sensor->last_time) continue;
        if (sensor->split && !complete(channel, row, c)) {
            for (int j = 0; j < c; j++) channel[j].value = row[j];
            sensor->pending = 1;
            sensor->pending_time = time[i];
            continue;
        }
        out_slot[m] = slot[i];
        hand_on(sensor, channel, time[i], row, c, out_time + m, out_values + m * c);
        m++;
    }
    return m;
}

API int64_t rs_align_sensor_size(void) { return sizeof(align_sensor); }

API int64_t rs_align_channel_size(void) { return sizeof(align_channel); }
