/* Novelty: level, activity and values outside everything that was seen.
 *
 * Where the other components compare a row with what the rows before make likely, these compare it
 * with the range that the history had. Inside that range they are silent, so they add to the
 * evidence without diluting it. A lasting change is tuned out, like that of the other components.
 */
#include "stream.h"

#define SLOW .05f        /* of the level and of the activity */
#define SMOOTH .4f
#define RECALIBRATION 1000.0f
#define GROWTH 9.0f
#define SILENT 1.0f      /* evidence of L and A that does not count: about the 99 % quantile */
#define LEVEL_ADDS .6f
#define ACTIVITY_ADDS .4f
#define RECORD_ADDS .14f
#define RECORD_RATE 100.0f /* records a month that are nothing special */
#define RECORD_MOST 9.0f
#define AS_USUAL 6.0f    /* weight of the usual components together, for shares and causes */

static const float ADDS[2] = {LEVEL_ADDS, ACTIVITY_ADDS};

/* Slow means of the values and of the sizes of their steps; before the ring moves on. */
void novelty_observe(const Shape *shape, Model *m, Row *row) {
    const int c = shape->channels;
    for (int j = 0; j < c; j++) {
        if (row->seen[j] != 0) {
            const float step = fabsf(row->value[j] - m->ring[j]);
            m->now[0][j] += SLOW * (row->value[j] - m->now[0][j]);
            m->now[1][j] += SLOW * (step - m->now[1][j]);
        }
        row->part[LEVEL][j] = m->now[0][j];
        row->part[LEVEL + 1][j] = m->now[1][j];
    }
}

/* How far outside the usual range, in its widths. */
void novelty_scale(const Shape *shape, const Model *m, Row *row) {
    for (int k = 0; k < 2; k++) {
        float *restrict part = row->part[LEVEL + k];
        for (int j = 0; j < shape->channels; j++) {
            const float above = part[j] - m->high[k][j], below = m->low[k][j] - part[j];
            const float outside = above > below ? above : below;
            part[j] = outside > 0 ? outside * m->unit[k][j] : 0;
        }
    }
}

static float tuned(Model *m, int k, float pooled, int learn) {
    float *drift = m->strange_drift + k;
    const float by = *drift > 1 ? *drift : 1, most = GROWTH * by;
    const float size = pooled / m->strange[k], square = size * size;
    if (learn) *drift += ((square < most ? square : most) - *drift) / RECALIBRATION;
    return pooled / sqrtf(by);
}

/* Fourth-power mean over the measurements, tuned out slowly, smoothed. */
void novelty_pool(const Shape *shape, Model *m, const float *measured, Row *row, int learn) {
    for (int k = 0; k < 2; k++) {
        float *restrict part = row->part[LEVEL + k];
        float sum = 0, count = 0;
        for (int j = 0; j < shape->channels; j++) {
            part[j] *= part[j];
            part[j] *= part[j];
            sum += measured[j] * part[j];
            count += measured[j];
        }
        const float pooled = count > 0 ? sqrtf(sqrtf(sum / count)) : 0;
        float *evidence = m->evidence + LEVEL + k;
        *evidence += SMOOTH * (tuned(m, k, pooled, learn) - *evidence);
    }
}

/* Evidence of the usual components and of novelty; every part's share goes to parts. */
float novelty_add(const Model *m, const float *evidence, float usual, float record,
                  float *parts) {
    float square = usual * usual;
    for (int k = 0; k < 2; k++) {
        const float raised = (evidence[LEVEL + k] - m->mid[LEVEL + k]) * m->span[LEVEL + k];
        const float above = raised > 0 ? log1pf(raised) - SILENT : 0;
        const float adds = above > 0 ? ADDS[k] * above : 0;
        parts[LEVEL + k] = AS_USUAL * adds * adds;
        square += adds * adds;
    }
    const float adds = RECORD_ADDS * record;
    parts[RECORD] = AS_USUAL * adds * adds;
    return sqrtf(square + adds * adds);
}

/* The rarest record among the measurements, in logs, and each channel's for the blame. */
float record_of(const Shape *shape, const float *rates, const float *measured, Row *row) {
    float most = 0;
    for (int j = 0; j < shape->channels; j++) {
        const float rare = rates ? logf(RECORD_RATE / (rates[j] > 1e-9f ? rates[j] : 1e-9f)) : 0;
        row->record[j] = rare < 0 ? 0 : (rare < RECORD_MOST ? rare : RECORD_MOST);
        if (measured[j] != 0 && row->record[j] > most) most = row->record[j];
    }
    return most;
}
