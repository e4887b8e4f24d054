/* Rows of many sensors through their detectors: one call a batch. */
#include <float.h>

#include "stream.h"

#define CALM_ROWS 32
#define CALM .8f           /* mean evidence below which a later fit may happen */
#define STORED 2048.0f     /* fixed point of the evidence that is kept for later fits, */
#define EVIDENCE 0x3fffu   /* in 14 bits; above them, whether the row stood out in a fit, */
#define DISTRUST 0x8000u   /* and whether it was itself an anomaly */
#define DOUBTED 1.0f       /* rate from which it counts as one */

enum { GOES_ON = 0, FIT_DUE = 1, BUFFER_FULL = 2 };
enum { CAUSES_S = 3, CAUSES_F = 5, CAUSES_X = 7, CAUSES_M = 8 };
enum { CAUSES_RECORD = 10, CAUSES_L = 11, CAUSES_A = 12 };

/* What belongs to a sensor whatever its model. */
typedef struct {
    Stage *stage;
    float *first, *second; /* [c] the levels that a channel has shown, until it shows a third */
    int32_t *levels;       /* [c] how many, 3: a measurement */
} Core;

/* Rows kept for later fits. */
typedef struct {
    double *mean, *scale;
    uint16_t *values, *evidence;
} Kept;

typedef struct {
    const double *values;
    const int64_t *time;
    const float *records; /* return rates of values outside everything seen; NULL: none */
    double young;         /* age of a sensor, in microseconds, at which rare rates are half known */
    float *score, *rate, *contributions, *forecast;
    uint8_t *cause;
} Rows;

static void core_view(const Shape *shape, char *block, Core *core) {
    core->stage = (Stage *)block;
    core->first = (float *)(block + sizeof(Stage));
    core->second = core->first + shape->channels;
    core->levels = (int32_t *)(core->second + shape->channels);
}

static void kept_view(const Shape *shape, char *block, Kept *kept) {
    kept->mean = (double *)block;
    kept->scale = kept->mean + shape->channels;
    kept->values = (uint16_t *)(kept->scale + shape->channels);
    kept->evidence = kept->values + KEPT * shape->channels;
}

/* Nearest half-precision number, as IEEE 754 rounds it. */
static uint16_t half_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    const uint32_t sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) return 0x7e00u;
    if (size >= 0x477ff000u) return (uint16_t)(sign | 0x7bffu);
    if (size < 0x38800000u) {
        const float scaled = fabsf(value) * 16777216.0f;
        return (uint16_t)(sign | (uint32_t)(scaled + .5f));
    }
    const uint32_t rounded = size + 0xfffu + (size >> 13 & 1u);
    return (uint16_t)(sign | (rounded - 0x38000000u) >> 13);
}

static void keep_values(const Shape *shape, const Kept *kept, int64_t at, const double *values) {
    const int c = shape->channels;
    uint16_t *out = kept->values + at * c;
    for (int j = 0; j < c; j++)
        out[j] = isfinite(values[j]) ? half_of((float)((values[j] - kept->mean[j]) * kept->scale[j]))
                                     : 0x7e00u;
}

static uint16_t stored_evidence(float evidence, float rate) {
    const float fixed = evidence * STORED;
    const uint32_t bits = fixed < (float)EVIDENCE ? (uint32_t)fixed : EVIDENCE;
    return (uint16_t)(bits | (rate <= DOUBTED ? DISTRUST : 0));
}

static int is_calm(const Kept *kept, int64_t rows) {
    float sum = 0;
    for (int64_t i = rows - CALM_ROWS; i < rows; i++)
        sum += (float)(kept->evidence[i % KEPT] & EVIDENCE);
    return sum < CALM * CALM_ROWS * STORED;
}

/* Passes are counted: the first fit, then two for each later one, whose rows double; the second one
 * comes with the next row, so that a batch of one row waits for one pass at most. */
static int due(const Slot *slot, const Kept *kept) {
    if (!slot->ring) return GOES_ON;
    if (slot->fits % 2 == 0) return FIT_DUE;
    const int64_t wanted = (int64_t)FIRST_FIT << (slot->fits + 1) / 2;
    if (slot->rows < wanted) return GOES_ON;
    return is_calm(kept, slot->rows) || slot->rows >= wanted + wanted / 2 ? FIT_DUE : GOES_ON;
}

/* A channel is a measurement from its third value on. */
static void note_level(const Core *core, int j, double value, float *measured) {
    const float v = (float)value;
    int32_t *levels = core->levels + j;
    if (*levels == 0) core->first[j] = v, *levels = 1;
    else if (*levels == 1 && v != core->first[j]) core->second[j] = v, *levels = 2;
    else if (*levels == 2 && v != core->first[j] && v != core->second[j]) *levels = 3;
    measured[j] = *levels == 3 ? 1.0f : 0.0f;
}

static void note_levels(const Shape *shape, const Core *core, const double *values,
                        float *measured) {
    for (int j = 0; j < shape->channels; j++)
        if (core->levels[j] < 3 && isfinite(values[j])) note_level(core, j, values[j], measured);
}

static void read_measured(const Shape *shape, const Core *core, float *measured) {
    for (int j = 0; j < shape->channels; j++) measured[j] = core->levels[j] == 3 ? 1.0f : 0.0f;
}

static float model_row(const Shape *shape, Model *m, const double *values, const float *measured,
                       float record, Row *row, float *parts, double *workspace) {
    model_observe(shape, m, values, row);
    model_scale(shape, m, row, 1);
    model_pool(shape, m, measured, row, 1);
    const int views = views_of(shape, measured);
    const float x = model_judge(shape, m, m->evidence, views, record, parts);
    model_blame(shape, m, measured, parts, row);
    model_learn(shape, m, row, workspace);
    model_advance(shape, m, row);
    return x;
}

static int largest(const Shape *shape, const float *part) {
    int most = 0;
    for (int j = 1; j < shape->channels; j++)
        if (part[j] > part[most]) most = j;
    return most;
}

static int leans_up(const Shape *shape, const float *part, const float *sign) {
    return sign[largest(shape, part)] >= 0;
}

static int calmer(const Shape *shape, const Model *m, const float *part) {
    const int most = largest(shape, part);
    return m->now[1][most] < m->low[1][most];
}

/* Which component adds most now: 0 none, 1 V, 2 Q, 3/4 S up/down, 5/6 F up/down, 7 X, 8 M,
 * 10 a record, 11 L, 12/13 A up/down. */
static uint8_t cause_of(const Shape *shape, const Model *m, const float *parts, const Row *row) {
    float most = 0;
    int cause = -1;
    for (int k = 0; k < PARTS; k++) {
        const float part = parts[k] + (k < 4 ? parts[PARTS + k] : 0);
        if (part > most) most = part, cause = k;
    }
    if (parts[RECORD] > most) return CAUSES_RECORD;
    switch (cause) {
        case 2: return (uint8_t)(CAUSES_S + !leans_up(shape, row->part[2], row->noisy));
        case 3: return CAUSES_X;
        case 4: return (uint8_t)(CAUSES_F + !leans_up(shape, row->part[4], row->noisy_short));
        case 5: return CAUSES_M;
        case LEVEL: return CAUSES_L;
        case LEVEL + 1: return (uint8_t)(CAUSES_A + calmer(shape, m, row->part[LEVEL + 1]));
        default: return (uint8_t)(cause + 1);
    }
}

static void write_shares(const Shape *shape, const Model *m, float *out) {
    const int c = shape->channels;
    float sum = 0;
    for (int j = 0; j < c; j++) sum += out[j] = m->blame[j];
    for (int j = 0; j < c; j++) out[j] = sum > 1e-12f ? out[j] / sum : 1.0f / (float)c;
}

static void write_forecast(const Shape *shape, const Model *m, const Row *row, float *out) {
    for (int j = 0; j < shape->channels; j++) {
        const double value = m->mean[j] + (double)row->forecast[j] / m->scale[j];
        out[j] = (float)(value > FLT_MAX ? FLT_MAX : (value < -FLT_MAX ? -FLT_MAX : value));
    }
}

typedef struct {
    Shape shape;
    Row row;
    float *measured;
    double *workspace;
    float parts[TERMS];
} Bench;

/* In units of that age; without bounds where only rows count. */
static float age_of(const Slot *slot, const Rows *rows, int64_t i) {
    const double known = (double)(rows->time[i] - slot->since);
    return rows->young > 0 ? (float)((known > 0 ? known : 0) / rows->young) : INFINITY;
}

static void score_row(Bench *b, Model *m, const Core *core, const Rows *rows, int64_t i, float age,
                      float *evidence) {
    const Shape *shape = &b->shape;
    const int c = shape->channels;
    const double *values = rows->values + i * c;
    note_levels(shape, core, values, b->measured);
    const float *rates = rows->records ? rows->records + i * c : NULL;
    const float record = record_of(shape, rates, b->measured, &b->row);
    *evidence = model_row(shape, m, values, b->measured, record, &b->row, b->parts, b->workspace);
    rows->score[i] = stage_row(core->stage, *evidence, age, rows->rate + i);
    rows->cause[i] = cause_of(shape, m, b->parts, &b->row);
    write_shares(shape, m, rows->contributions + i * c);
    write_forecast(shape, m, &b->row, rows->forecast + i * c);
}

static void withhold(const Shape *shape, const Rows *rows, int64_t i) {
    rows->score[i] = 0;
    rows->rate[i] = INFINITY;
    rows->cause[i] = 0;
    for (int j = 0; j < shape->channels; j++) {
        rows->contributions[i * shape->channels + j] = 0;
        rows->forecast[i * shape->channels + j] = NAN;
    }
}

/* Rows that a buffer has room for: it grows twice, since most new sensors are many. */
static int64_t room(int64_t rows) { return rows < 16 ? 16 : (rows < 64 ? 64 : FIRST_FIT); }

/* Rows of a sensor without a model, time and values of each; returns how many were taken. */
static int64_t fill_buffer(Bench *b, Slot *slot, const Rows *rows, const int64_t *order,
                           int64_t count, uint8_t *event) {
    const int c = b->shape.channels;
    const int64_t end = room(slot->rows);
    int64_t i = 0;
    if (!slot->rows && count) slot->since = rows->time[order[0]];
    for (; i < count && slot->rows < end; i++, slot->rows++) {
        double *line = (double *)slot->buffer + slot->rows * (c + 1);
        memcpy(line, rows->time + order[i], sizeof(int64_t));
        memcpy(line + 1, rows->values + order[i] * c, sizeof(double) * (size_t)c);
        withhold(&b->shape, rows, order[i]);
    }
    if (slot->rows == end) *event = end == FIRST_FIT ? FIT_DUE : BUFFER_FULL;
    return i;
}

/* Rows of a sensor with a model; stops early where its owner must act. */
static int64_t score_rows(Bench *b, Slot *slot, const Rows *rows, const int64_t *order,
                          int64_t count, uint8_t *event) {
    Model model;
    Core core;
    Kept kept = {0};
    model_view(&b->shape, (char *)slot->model, &model);
    core_view(&b->shape, (char *)slot->core, &core);
    if (slot->ring) kept_view(&b->shape, (char *)slot->ring, &kept);
    read_measured(&b->shape, &core, b->measured);
    for (int64_t i = 0; i < count; i++) {
        float x;
        score_row(b, &model, &core, rows, order[i], age_of(slot, rows, order[i]), &x);
        if (slot->ring) {
            const int64_t at = slot->rows % KEPT;
            keep_values(&b->shape, &kept, at, rows->values + order[i] * b->shape.channels);
            kept.evidence[at] = stored_evidence(x, rows->rate[order[i]]);
        }
        slot->rows++;
        *event = (uint8_t)due(slot, &kept);
        if (*event) return i + 1;
    }
    return count;
}

static void bench_make(Bench *b, int channels, char *scratch) {
    b->shape = stream_shape(channels);
    b->workspace = (double *)scratch;
    float *floats = (float *)(b->workspace + 2 * channels * channels);
    row_view(&b->shape, floats, &b->row);
    b->measured = floats + row_floats(&b->shape);
}

API int64_t rs_stream_scratch(int channels) {
    const Shape shape = stream_shape(channels);
    return 16 * (int64_t)channels * channels + 4 * (int64_t)(row_floats(&shape) + channels);
}

/* Score and learn. Group g owns order[from[g] .. to[g]); from is moved on, event says why it
 * stopped. Returns how many groups stopped early or need their owner. */
API int64_t rs_stream_score(int channels, Slot *slots, int64_t groups, const int32_t *group,
                            int64_t *from, const int64_t *to, const int64_t *order,
                            const int64_t *time, const double *values, const float *records,
                            double young, float *score, float *rate,
                            float *contributions, float *forecast, uint8_t *cause,
                            uint8_t *event, char *scratch) {
    const Rows rows = {values, time, records, young, score, rate, contributions, forecast, cause};
    Bench b;
    int64_t stopped = 0;
    bench_make(&b, channels, scratch);
    for (int64_t g = 0; g < groups; g++) {
        Slot *slot = slots + group[g];
        event[g] = GOES_ON;
        from[g] += (slot->model ? score_rows : fill_buffer)(
            &b, slot, &rows, order + from[g], to[g] - from[g], event + g);
        stopped += event[g] != GOES_ON;
    }
    return stopped;
}

/* --- Fitting: passes over a history ---------------------------------------------------------- */

/* Rows [y(t), y(t-1) .. y(t-L), slow(t-1), 1] of normalised values without gaps. */
API void rs_stream_features(int channels, const float *y, int64_t rows, float *out) {
    const Shape shape = stream_shape(channels);
    const int c = channels, width = shape.window + c + 1;
    for (int64_t t = 0; t < rows; t++) {
        float *line = out + t * width, *slow = line + shape.window;
        const float *before = line - width;
        memcpy(line, y + t * c, sizeof(float) * (size_t)c);
        for (int j = 0; j < c * shape.lags; j++) line[c + j] = t ? before[j] : y[j % c];
        for (int j = 0; j < c; j++) {
            const float last = t ? before[shape.window + j] : y[j];
            slow[j] = t ? last + .1f * (before[j] - last) : last;
        }
        line[width - 1] = 1;
    }
}

/* Known levels after a history, and which channels are measurements. */
API void rs_stream_levels(int channels, char *block, const double *values, int64_t rows,
                          float *measured) {
    const Shape shape = stream_shape(channels);
    Core core;
    core_view(&shape, block, &core);
    for (int64_t t = 0; t < rows; t++) note_levels(&shape, &core, values + t * channels, measured);
    read_measured(&shape, &core, measured);
}

/* Unscaled components of a history: per row V Q S X F M L A seen (c each) and the shape distance.
 * The block holds what is fitted so far; its running state is the last row's afterwards. */
API void rs_stream_observe(int channels, char *block, const double *values, int64_t rows,
                           float *out, char *scratch) {
    Bench b;
    Model m;
    const int c = channels;
    bench_make(&b, channels, scratch);
    model_view(&b.shape, block, &m);
    model_renew(&b.shape, &m, b.workspace);
    for (int64_t t = 0; t < rows; t++) {
        float *line = out + t * ((PARTS + 1) * c + 1);
        memset(b.row.part[5], 0, sizeof(float) * (size_t)c);
        model_observe(&b.shape, &m, values + t * c, &b.row);
        for (int k = 0; k < PARTS; k++)
            memcpy(line + k * c, b.row.part[k], sizeof(float) * (size_t)c);
        memcpy(line + PARTS * c, b.row.seen, sizeof(float) * (size_t)c);
        line[(PARTS + 1) * c] = b.row.shape;
        model_advance(&b.shape, &m, &b.row);
    }
}

/* Pooled, smoothed components of a history (VIEWS a row) from those of rs_stream_observe. */
API void rs_stream_pool(int channels, char *block, const float *components, const float *measured,
                        int64_t rows, float *out, char *scratch) {
    Bench b;
    Model m;
    const int c = channels;
    bench_make(&b, channels, scratch);
    model_view(&b.shape, block, &m);
    for (int64_t t = 0; t < rows; t++) {
        const float *line = components + t * ((PARTS + 1) * c + 1);
        b.row.observed = 0;
        for (int k = 0; k < PARTS; k++)
            memcpy(b.row.part[k], line + k * c, sizeof(float) * (size_t)c);
        memcpy(b.row.seen, line + PARTS * c, sizeof(float) * (size_t)c);
        for (int j = 0; j < c; j++) b.row.observed += b.row.seen[j] > 0;
        b.row.shape = line[(PARTS + 1) * c];
        model_scale(&b.shape, &m, &b.row, 0);
        model_pool(&b.shape, &m, measured, &b.row, 0);
        memcpy(out + t * VIEWS, m.evidence, sizeof m.evidence[0] * VIEWS);
    }
}

/* Evidence of a history from its pooled components. */
API void rs_stream_judge(int channels, char *block, const float *pooled, const float *measured,
                         int64_t rows, float *out) {
    const Shape shape = stream_shape(channels);
    const int views = views_of(&shape, measured);
    Model m;
    float parts[TERMS];
    model_view(&shape, block, &m);
    for (int64_t t = 0; t < rows; t++)
        out[t] = model_judge(&shape, &m, pooled + t * VIEWS, views, 0, parts);
}

/* Evidence of further rows under a fitted model, which goes along with them as it would live. */
API void rs_stream_follow(int channels, char *block, const double *values, const float *measured,
                          int64_t rows, float *out, char *scratch) {
    Bench b;
    Model m;
    bench_make(&b, channels, scratch);
    model_view(&b.shape, block, &m);
    for (int64_t t = 0; t < rows; t++)
        out[t] = model_row(&b.shape, &m, values + t * channels, measured, 0, &b.row, b.parts,
                           b.workspace);
}

/* A fresh alarm stage that has lived through this evidence, which was another model's: the score
 * remembers none of it. */
API void rs_stream_replay(char *core, const float *evidence, int64_t rows) {
    Stage *stage = (Stage *)core;
    float rate;
    stage_clear(stage);
    stage_seed(stage, evidence, (int)rows);
    for (int64_t t = 0; t < rows; t++) stage_row(stage, evidence[t], INFINITY, &rate);
    stage->memory = 0;
}

/* Tell the alarm stage that a later model judges from now on. */
API void rs_stream_renew(char *core) { stage_renew((Stage *)core); }

/* Sizes of the blocks: channels lags window features rank centres model core ring. */
API void rs_stream_shape(int channels, int32_t *out) {
    const Shape s = stream_shape(channels);
    const int32_t all[] = {s.channels, s.lags, s.window, s.features, s.rank, s.centres,
                           s.model_bytes, s.core_bytes, s.ring_bytes};
    memcpy(out, all, sizeof all);
}

/* Where each field of a model block starts, in the order of `Model`. */
API void rs_stream_offsets(int channels, int64_t *out) {
    const Shape shape = stream_shape(channels);
    Model m;
    model_view(&shape, NULL, &m);
    const void *all[] = {m.mean, m.scale, m.weights, m.basis, m.v_scale, m.q_scale, m.x_scale,
                         m.s_mid, m.s_up, m.s_low, m.f_mid, m.f_up, m.f_low, m.mid, m.span,
                         m.window, m.slow, m.ring, m.q_drift, m.s_drift, m.f_drift, m.now[0],
                         m.low[0], m.high[0], m.unit[0], m.now[1], m.low[1], m.high[1],
                         m.unit[1], m.strange, m.strange_drift, m.level, m.covariance, m.precision, m.x_norm, m.x_memory, m.evidence, m.blame,
                         m.centres, m.rank, m.rows};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) out[k] = (int64_t)(intptr_t)all[k];
}
