/* The slow scale: rows of a sensor that reports fast, averaged over minutes of event time.
 *
 * A month of a 1-second sensor has 2.6 million rows, and windows of a few rows cannot show that a
 * fault of hours is rarer than once in months; averages over minutes can. Each channel gives two
 * numbers per bucket: its mean, and how much it moved from row to row (the root of the mean squared
 * successive difference, von Neumann 1941), which shows noise and standing still. Buckets lie on a
 * fixed grid of event time and are handed on by the first row after them, so neither batches nor
 * the time of day at which a sensor began matter.
 */
#include <math.h>

#include "kernels.h"

#define FASTEST_SLOW 75.0f /* seconds between rows up to which there is a slow scale */
#define FORGET 150.0f      /* seconds from which on it is suspended */
#define SURE 64            /* rows in a row at such a cadence before the width is chosen */
#define MINUTES_5 300000000
#define MINUTES_10 600000000 /* for those slower than FEW, to have ten rows in a bucket */
#define FEW 45.0f
#define ENOUGH 0.5f /* of the usual number of values, or the bucket's mean is not comparable */
#define FOLLOW 0.1f
#define MEMORY 500.0f /* buckets of the usual movement */
#define CLIP 4.0f       /* times it, the most that one counts */

#define HELD (-1)    /* what the last bucket said is still in force */
#define UNKNOWN (-2) /* nothing is */

typedef struct {
    int64_t bucket; /* that is being filled; INT64_MIN for none */
    int64_t width;  /* microseconds, 0 until it is chosen */
    uint32_t sure;
    float rate; /* of the last bucket, per 8,640 buckets */
    float score;
    uint8_t cause;
    uint8_t known; /* the last bucket had a rate */
    uint8_t unused[2];
} coarse_sensor;

typedef struct {
    double sum, squares, last;
    uint32_t count;
    float usual; /* values in a bucket */
    float share; /* of the last bucket's evidence */
    float moves; /* usual movement, over */
    float moved; /* so many buckets */
    float unused;
} coarse_channel;

static int has_scale(coarse_sensor *sensor, float interval) {
    if (sensor->width == 0) {
        sensor->sure = interval <= FASTEST_SLOW ? sensor->sure + 1 : 0;
        if (sensor->sure < SURE) return 0;
        sensor->width = interval < FEW ? MINUTES_5 : MINUTES_10;
    }
    if (interval <= FORGET) return 1;
    sensor->bucket = INT64_MIN;
    return 0;
}

static int64_t bucket_of(int64_t time, int64_t width) {
    int64_t bucket = time / width;
    return bucket - (time % width < 0);
}

static void open_bucket(coarse_sensor *sensor, coarse_channel *channel, int c, int64_t bucket,
                        float interval) {
    sensor->bucket = bucket;
    for (int j = 0; j < c; j++) {
        channel[j].sum = channel[j].squares = 0.0;
        channel[j].count = 0;
        if (channel[j].usual == 0.0f)
            channel[j].usual = (float)((double)sensor->width * 1e-6) / fmaxf(interval, 1e-3f);
    }
}

static void fill(coarse_channel *channel, const double *row, int c) {
    for (int j = 0; j < c; j++) {
        if (!isfinite(row[j])) continue;
        const double step = row[j] - channel[j].last;
        if (channel[j].count) channel[j].squares += step * step;
        channel[j].sum += row[j];
        channel[j].last = row[j];
        channel[j].count++;
    }
}

/* How many times its usual movement a channel has moved, NaN where either is unknown. */
static float against_usual(coarse_channel *channel, double movement) {
    float now = (float)movement;
    if (!isfinite(now)) return NAN;
    const float ratio = channel->moves > 0.0f ? now / channel->moves : NAN;
    if (channel->moves > 0.0f) now = fminf(now, CLIP * channel->moves);
    channel->moved = fminf(channel->moved + 1.0f, MEMORY);
    channel->moves += (now - channel->moves) / channel->moved;
    return ratio;
}

/* Mean and movement of each channel, NaN where values are missing; 0 if all are. */
static int close_bucket(coarse_channel *channel, int c, double *out, float *ratio) {
    int any = 0;
    for (int j = 0; j < c; j++) {
        const float count = (float)channel[j].count;
        const int enough = count > 0.0f && count >= ENOUGH * channel[j].usual;
        out[2 * j] = enough ? channel[j].sum / count : NAN;
        out[2 * j + 1] = enough && count > 1.0f ? sqrt(channel[j].squares / (count - 1.0f)) : NAN;
        ratio[j] = against_usual(channel + j, out[2 * j + 1]);
        channel[j].usual += FOLLOW * (count - channel[j].usual);
        any |= enough;
    }
    return any;
}

/* Rows in arrival order in, complete buckets out (at most n).
 * place: (n) row among `sensors`, below 0 for sensors without the scale; first: (n) their first
 * row among `channels`; interval: (n) seconds.
 * out_values: (m, 2c), mean and movement of each channel in turn; out_time: (m) where it began;
 * out_ratio: (m, c) movement in parts of the usual one, NaN if unknown;
 * in_force: (n) number of the bucket that the row completed, HELD or UNKNOWN.
 * Returns m. */
API int64_t rs_coarse(int64_t n, int32_t c, const int32_t *place, const int64_t *first,
                      const int64_t *time, const double *values, const float *interval,
                      coarse_sensor *sensors, coarse_channel *channels, int32_t *out_place,
                      int64_t *out_time, double *out_values, float *out_ratio,
                      int64_t *in_force) {
    int64_t m = 0;
    for (int64_t i = 0; i < n; i++) {
        in_force[i] = UNKNOWN;
        if (place[i] < 0) continue;
        coarse_sensor *sensor = sensors + place[i];
        coarse_channel *channel = channels + first[i];
        if (!has_scale(sensor, interval[i])) continue;
        in_force[i] = HELD;
        const int64_t bucket = bucket_of(time[i], sensor->width);
        if (bucket != sensor->bucket) {
            if (sensor->bucket != INT64_MIN) {
                in_force[i] = UNKNOWN;
                out_place[m] = place[i];
                out_time[m] = sensor->bucket * sensor->width;
                if (close_bucket(channel, c, out_values + m * 2 * c, out_ratio + m * c))
                    in_force[i] = m++;
            }
            open_bucket(sensor, channel, c, bucket, interval[i]);
        }
        fill(channel, values + i * c, c);
    }
    return m;
}

static void hold(coarse_sensor *sensor, coarse_channel *channel, int c, float rate, float score,
                 uint8_t cause, const float *shares) {
    sensor->rate = rate;
    sensor->score = score;
    sensor->cause = cause;
    sensor->known = isfinite(rate);
    for (int j = 0; j < c; j++) channel[j].share = shares[j];
}

/* Which scale has the rarer evidence, each with its part of the budget?
 * part: of the budget that the fast scale keeps where there are two.
 * b_rate, b_score, b_cause (m), b_shares (m, c): what the buckets brought, per 8,640 buckets.
 * rate, score, cause (n), shares (n, c): of the fast scale, per 8,640 rows; the slow one's are
 * written over them where it is the rarer. slow: (n) 1 there. */
API void rs_coarse_merge(int64_t n, int32_t c, float part, const int32_t *place,
                         const int64_t *first, const int64_t *in_force, const float *interval,
                         const float *b_rate, const float *b_score, const uint8_t *b_cause,
                         const float *b_shares, coarse_sensor *sensors, coarse_channel *channels,
                         float *rate, float *score, uint8_t *cause, float *shares, uint8_t *slow) {
    for (int64_t i = 0; i < n; i++) {
        slow[i] = 0;
        if (place[i] < 0) continue;
        coarse_sensor *sensor = sensors + place[i];
        coarse_channel *channel = channels + first[i];
        const int64_t b = in_force[i];
        if (b == UNKNOWN) sensor->known = 0;
        else if (b != HELD)
            hold(sensor, channel, c, b_rate[b], b_score[b], b_cause[b], b_shares + b * c);
        if (!sensor->known) continue;
        const float per_row = interval[i] / (float)((double)sensor->width * 1e-6);
        const float theirs = sensor->rate * per_row / (1.0f - part);
        rate[i] /= part;
        if (sensor->score > score[i]) score[i] = sensor->score;
        if (theirs >= rate[i]) continue;
        slow[i] = 1;
        rate[i] = theirs;
        cause[i] = sensor->cause;
        for (int j = 0; j < c; j++) shares[i * c + j] = channel[j].share;
    }
}

API int64_t rs_coarse_sensor_size(void) { return sizeof(coarse_sensor); }

API int64_t rs_coarse_channel_size(void) { return sizeof(coarse_channel); }
