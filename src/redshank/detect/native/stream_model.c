/* One row through one fitted model: forecast, components per channel, pooling, evidence.
 *
 * Sums run in eight lanes whose order is fixed in the source, so that every compiler, vectorising
 * or not, adds in the same order and gives the same bits.
 */
#include "stream.h"

#define CLIP_VALUE 20.0f
#define CLIP_RESIDUAL 30.0f
#define CLIP_ROUGHNESS 20.0f
#define SMOOTH .4f          /* of components, of the cross-channel residual and of the blame */
#define RECALIBRATION 4000.0f
#define GROWTH 3.0f         /* a long event must not hide the next: at most .05 % a row */
#define SLOW .1f            /* of the slow mean that the forecast uses */
#define LOAD .02f           /* ridge of the cross-channel covariance */
#define MEMORY 1000         /* rows of the cross-channel covariance */
#define RENEW 32            /* rows between inversions */
#define VIEW_FLOOR .02f
#define MOST_AXES 16        /* of the subspace of windows */

static const float WEIGHT[VIEWS] = {2, 1, 1, 1, 1, 1, 0, 0, 2, 1, 1, 1};

static inline float clip(float x, float low, float high) {
    return x < low ? low : (x > high ? high : x);
}

static inline float lanes(const float *a) {
    return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
}

static float dot(const float *restrict a, const float *restrict b, int n) {
    float sum[8] = {0};
    int i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) sum[k] += a[i + k] * b[i + k];
    for (int k = 0; i < n; i++, k++) sum[k] += a[i] * b[i];
    return lanes(sum);
}

typedef float Four __attribute__((vector_size(16)));

static inline Four four(const float *a) {
    Four out;
    memcpy(&out, a, sizeof out);
    return out;
}

/* Products of `count` rows, `stride` apart, with x; each as `dot` adds it. Four at a time, because
 * one alone mostly waits for its own sums. */
static void dots(const float *restrict rows, int stride, int count, const float *restrict x, int n,
                 float *restrict out) {
    int r = 0;
    for (; r + 4 <= count; r += 4) {
        const float *const a = rows + (size_t)r * (size_t)stride;
        Four low[4] = {{0}}, high[4] = {{0}};
        int i = 0;
        for (; i + 8 <= n; i += 8) {
            const Four first = four(x + i), last = four(x + i + 4);
#define ADD(q) \
    (low[q] += four(a + q * stride + i) * first, high[q] += four(a + q * stride + i + 4) * last)
            ADD(0), ADD(1), ADD(2), ADD(3);
#undef ADD
        }
        for (int q = 0; q < 4; q++) {
            float sum[8];
            memcpy(sum, low + q, sizeof low[q]);
            memcpy(sum + 4, high + q, sizeof high[q]);
            for (int k = 0; i + k < n; k++) sum[k] += a[q * stride + i + k] * x[i + k];
            out[r + q] = lanes(sum);
        }
    }
    for (; r < count; r++) out[r] = dot(rows + (size_t)r * (size_t)stride, x, n);
}

static float total(const float *restrict a, int n) {
    float sum[8] = {0};
    int i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) sum[k] += a[i + k];
    for (int k = 0; i < n; i++, k++) sum[k] += a[i];
    return lanes(sum);
}

static void add_scaled(float *restrict out, const float *restrict a, float by, int n) {
    for (int i = 0; i < n; i++) out[i] += by * a[i];
}

Shape stream_shape(int channels) {
    Shape s = {.channels = channels};
    s.lags = channels <= 3 ? 16 : (channels <= 64 ? 5 : 2);
    s.window = channels * (s.lags + 1);
    s.features = s.window + 1;
    s.rank = s.window - 1 < MOST_AXES ? s.window - 1 : MOST_AXES;
    s.centres = channels > 3 ? 0 : (channels == 1 ? 12 : 32);
    Model m;
    model_view(&s, NULL, &m);
    s.model_bytes = ((int)(intptr_t)(m.rows + 1) + 7) / 8 * 8;
    s.core_bytes = ((int)sizeof(Stage) + 12 * channels + 7) / 8 * 8;
    s.ring_bytes = 16 * channels + 2 * KEPT * (channels + 1);
    return s;
}

void model_view(const Shape *shape, char *block, Model *m) {
    intptr_t at = (intptr_t)block;
    const int c = shape->channels;
#define TAKE(field, type, count) (m->field = (type *)at, at += (intptr_t)sizeof(type) * (count))
    TAKE(mean, double, c);
    TAKE(scale, double, c);
    TAKE(weights, float, c * shape->features);
    TAKE(basis, float, shape->rank * shape->window);
    TAKE(v_scale, float, c);
    TAKE(q_scale, float, c);
    TAKE(x_scale, float, c);
    TAKE(s_mid, float, c);
    TAKE(s_up, float, c);
    TAKE(s_low, float, c);
    TAKE(f_mid, float, c);
    TAKE(f_up, float, c);
    TAKE(f_low, float, c);
    TAKE(mid, float, VIEWS);
    TAKE(span, float, VIEWS);
    TAKE(window, float, shape->window);
    TAKE(slow, float, c);
    TAKE(ring, float, RING * c);
    TAKE(q_drift, float, c);
    TAKE(s_drift, float, c);
    TAKE(f_drift, float, c);
    for (int k = 0; k < 2; k++) {
        TAKE(now[k], float, c);
        TAKE(low[k], float, c);
        TAKE(high[k], float, c);
        TAKE(unit[k], float, c);
    }
    TAKE(strange, float, 2);
    TAKE(strange_drift, float, 2);
    TAKE(level, float, c);
    TAKE(covariance, float, c * c);
    TAKE(precision, float, c * c);
    TAKE(x_norm, float, c);
    TAKE(x_memory, float, c);
    TAKE(evidence, float, VIEWS);
    TAKE(blame, float, c);
    TAKE(centres, uint16_t, (shape->centres * shape->window + 1) / 2 * 2);
    TAKE(rank, int32_t, 1);
    TAKE(rows, int32_t, 1);
#undef TAKE
}

int row_floats(const Shape *shape) { return 15 * shape->channels + 2 * shape->window; }

void row_view(const Shape *shape, float *scratch, Row *row) {
    const int c = shape->channels;
    row->forecast = scratch;
    row->value = scratch + c;
    row->seen = scratch + 2 * c;
    for (int k = 0; k < PARTS; k++) row->part[k] = scratch + (3 + k) * c;
    row->record = scratch + (3 + PARTS) * c;
    row->noisy = row->record + c;
    row->noisy_short = row->noisy + c;
    row->blame = row->noisy_short + c;
    row->spare = row->blame + c;
}

/* Forecast from the rows before, then the normalised values; missing ones take the forecast. */
static void take_row(const Shape *shape, Model *m, const double *values, Row *row) {
    const int c = shape->channels, n = shape->features - 1;
    memmove(m->window + c, m->window, sizeof(float) * (size_t)(shape->lags * c));
    const float *features = m->window + c;
    row->observed = 0;
    dots(m->weights, shape->features, c, features, n, row->forecast);
    for (int j = 0; j < c; j++) {
        const float constant = m->weights[j * shape->features + n];
        row->forecast[j] = clip(row->forecast[j] + constant, -CLIP_VALUE, CLIP_VALUE);
    }
    for (int j = 0; j < c; j++) {
        const int seen = isfinite(values[j]);
        const double z = seen ? (values[j] - m->mean[j]) * m->scale[j] : 0;
        const float y = z < -20 ? -CLIP_VALUE : (z > 20 ? CLIP_VALUE : (float)z);
        row->seen[j] = seen ? 1.0f : 0.0f;
        row->value[j] = seen ? y : row->forecast[j];
        row->observed += seen;
    }
    memcpy(m->window, row->value, sizeof(float) * (size_t)c);
}

static void residuals(const Shape *shape, Row *row) {
    float *restrict v = row->part[0];
    for (int j = 0; j < shape->channels; j++)
        v[j] = fabsf(row->value[j] - row->forecast[j]) * row->seen[j];
}

/* Distance of the window from the subspace of the history, per channel over its lags. */
static void reconstruction(const Shape *shape, const Model *m, Row *row) {
    const int c = shape->channels, n = shape->window;
    float *restrict rest = row->spare, *restrict q = row->part[1];
    memcpy(rest, m->window, sizeof(float) * (size_t)n);
    float along[MOST_AXES];
    dots(m->basis, n, *m->rank, m->window, n, along);
    for (int k = 0; k < *m->rank; k++) add_scaled(rest, m->basis + k * n, -along[k], n);
    memset(q, 0, sizeof(float) * (size_t)c);
    for (int lag = 0; lag <= shape->lags; lag++) {
        const float *restrict r = rest + lag * c;
        for (int j = 0; j < c; j++) q[j] += r[j] * r[j];
    }
    const float each = 1.0f / (float)(shape->lags + 1);
    for (int j = 0; j < c; j++) q[j] = sqrtf(q[j] * each);
}

static void advance_ring(const Shape *shape, Model *m, const Row *row) {
    const int c = shape->channels;
    if (row->observed == c) {
        memmove(m->ring + c, m->ring, sizeof(float) * (size_t)((RING - 1) * c));
        memcpy(m->ring, row->value, sizeof(float) * (size_t)c);
        return;
    }
    for (int j = 0; j < c; j++) {
        if (row->seen[j] == 0) continue;
        for (int r = RING - 1; r > 0; r--) m->ring[r * c + j] = m->ring[(r - 1) * c + j];
        m->ring[j] = row->value[j];
    }
}

static void log_deviation(float *restrict out, const float *restrict sum,
                          const float *restrict square, int rows, int c) {
    const float each = 1.0f / (float)rows;
    for (int j = 0; j < c; j++) {
        const float mean = sum[j] * each, variance = square[j] * each - mean * mean;
        out[j] = sqrtf(variance > 0 ? variance : 0) + .01f;
    }
    for (int j = 0; j < c; j++) out[j] = logf(out[j]);
}

/* Log deviation over the last 30 and 10 observed values, taken around the newest one. */
static void roughness(const Shape *shape, const Model *m, Row *row) {
    const int c = shape->channels;
    float *restrict sum = row->spare, *restrict square = row->spare + c;
    memset(sum, 0, sizeof(float) * 2 * (size_t)c);
    for (int r = 1; r < RING; r++) {
        const float *restrict at = m->ring + r * c, *restrict newest = m->ring;
        for (int j = 0; j < c; j++) {
            const float d = at[j] - newest[j];
            sum[j] += d;
            square[j] += d * d;
        }
        if (r == SHORT_RING - 1) log_deviation(row->part[4], sum, square, SHORT_RING, c);
    }
    log_deviation(row->part[2], sum, square, RING, c);
}

/* Each channel minus its regression on all others at the same time, in its own deviations. */
static void cross_channel(const Shape *shape, Model *m, Row *row) {
    const int c = shape->channels;
    float *restrict d = row->spare, *restrict x = row->part[3];
    for (int j = 0; j < c; j++) d[j] = row->value[j] - m->level[j];
    dots(m->precision, c, c, d, c, x);
    for (int j = 0; j < c; j++) {
        m->x_memory[j] += SMOOTH * (x[j] * m->x_norm[j] - m->x_memory[j]);
        x[j] = fabsf(m->x_memory[j]);
    }
}

static inline float widen(uint16_t half) {
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

/* Distance to the nearest window of the history; its square per channel goes to part M. */
static void shape_memory(const Shape *shape, const Model *m, Row *row) {
    const int c = shape->channels, n = shape->window;
    float best = 1e30f;
    int nearest = 0;
    for (int k = 0; k < shape->centres; k++) {
        const uint16_t *restrict centre = m->centres + k * n;
        float *restrict d = row->spare;
        for (int i = 0; i < n; i++) d[i] = m->window[i] - widen(centre[i]);
        const float far = dot(d, d, n);
        if (far < best) best = far, nearest = k;
    }
    row->shape = sqrtf(best);
    memset(row->part[5], 0, sizeof(float) * (size_t)c);
    for (int i = 0; i < n; i++) {
        const float d = m->window[i] - widen(m->centres[nearest * n + i]);
        row->part[5][i % c] += d * d;
    }
}

void model_observe(const Shape *shape, Model *m, const double *values, Row *row) {
    take_row(shape, m, values, row);
    residuals(shape, row);
    novelty_observe(shape, m, row);
    reconstruction(shape, m, row);
    if (row->observed) advance_ring(shape, m, row);
    roughness(shape, m, row);
    cross_channel(shape, m, row);
    row->shape = 0;
    if (shape->centres) shape_memory(shape, m, row);
}

/* Divide by a slowly growing size: a permanent change is tuned out in thousands of rows. */
static void recalibrate(float *restrict a, float *restrict drift, int c, int learn) {
    for (int j = 0; j < c; j++) {
        const float by = drift[j] > 1 ? drift[j] : 1, square = a[j] * a[j];
        const float most = GROWTH * by;
        if (learn) drift[j] += ((square < most ? square : most) - drift[j]) / RECALIBRATION;
        a[j] /= sqrtf(by);
    }
}

static void one_sided(float *restrict a, const float *restrict mid, const float *restrict up,
                      const float *restrict low, float *restrict sign, int c) {
    for (int j = 0; j < c; j++) {
        const float d = a[j] - mid[j];
        const float z = d * (d > 0 ? up[j] : -low[j]);
        a[j] = z < CLIP_ROUGHNESS ? z : CLIP_ROUGHNESS;
        sign[j] = d;
    }
}

static void divide_clip(float *restrict a, const float *restrict by, int c) {
    for (int j = 0; j < c; j++) {
        const float z = a[j] / by[j];
        a[j] = z < CLIP_RESIDUAL ? z : CLIP_RESIDUAL;
    }
}

/* Every component in units of the history. */
void model_scale(const Shape *shape, Model *m, Row *row, int learn) {
    const int c = shape->channels;
    divide_clip(row->part[0], m->v_scale, c);
    for (int j = 0; j < c; j++) row->part[1][j] /= m->q_scale[j];
    one_sided(row->part[2], m->s_mid, m->s_up, m->s_low, row->noisy, c);
    one_sided(row->part[4], m->f_mid, m->f_up, m->f_low, row->noisy_short, c);
    divide_clip(row->part[3], m->x_scale, c);
    recalibrate(row->part[1], m->q_drift, c, learn);
    recalibrate(row->part[2], m->s_drift, c, learn);
    recalibrate(row->part[4], m->f_drift, c, learn);
    novelty_scale(shape, m, row);
}

static void raise_powers(const Shape *shape, Row *row) {
    const int c = shape->channels;
    for (int k = 0; k < 5; k++) {
        float *restrict a = row->part[k];
        for (int j = 0; j < c; j++) a[j] *= a[j];
        if (k != 1)
            for (int j = 0; j < c; j++) a[j] *= a[j];
    }
}

static inline float pool_of(int part, float sum, float count) {
    const float mean = sqrtf(sum / count);
    return part == 1 ? mean : sqrtf(mean);
}

static inline void smooth(float *evidence, float pooled) {
    *evidence += SMOOTH * (pooled - *evidence);
}

/* How many views there are: 0 no measurement, 1 measurements only, 2 both kinds. */
int views_of(const Shape *shape, const float *measured) {
    const float count = total(measured, shape->channels);
    return count == 0 ? 0 : (count == (float)shape->channels ? 1 : 2);
}

/* Components over channels: fourth-power mean (Q: root mean square), then smoothed over rows. */
void model_pool(const Shape *shape, Model *m, const float *measured, Row *row, int learn) {
    const int c = shape->channels, views = views_of(shape, measured);
    const float outputs = total(measured, c), seen = dot(measured, row->seen, c);
    raise_powers(shape, row);
    for (int k = 0; k < 5; k++) {
        const float count = k == 0 ? seen : outputs;
        if (count > 0) smooth(m->evidence + k, pool_of(k, dot(row->part[k], measured, c), count));
        const float everything = k == 0 ? (float)row->observed : (float)c;
        if (k < 4 && views == 1)
            m->evidence[PARTS + k] = m->evidence[k];
        else if (k < 4 && everything > 0)
            smooth(m->evidence + PARTS + k, pool_of(k, total(row->part[k], c), everything));
    }
    smooth(m->evidence + 5, row->shape);
    novelty_pool(shape, m, measured, row, learn);
}

static float view_of(const Model *m, const float *evidence, int from, int to, float *parts) {
    float sum = 0, weight = 0;
    for (int k = from; k < to; k++) {
        const float raised = (evidence[k] - m->mid[k]) * m->span[k];
        const float n = raised > 0 ? log1pf(raised) : 0;
        parts[k] = WEIGHT[k] * n * n;
        sum += parts[k];
        weight += WEIGHT[k];
    }
    return sqrtf(sum / weight);
}

static float usual_of(const Shape *shape, const Model *m, const float *evidence, int views,
                      float *parts) {
    const int last = shape->centres ? USUAL : USUAL - 1;
    if (views == 1) return view_of(m, evidence, 0, last, parts);
    const float all = view_of(m, evidence, PARTS, VIEWS, parts);
    if (views == 0) return all;
    const float own = view_of(m, evidence, 0, last, parts);
    return sqrtf((own + VIEW_FLOOR) * (all + VIEW_FLOOR)) - VIEW_FLOOR;
}

/* Current evidence x, and what each component adds to it. */
float model_judge(const Shape *shape, const Model *m, const float *evidence, int views,
                  float record, float *parts) {
    memset(parts, 0, sizeof(float) * TERMS);
    const float usual = usual_of(shape, m, evidence, views, parts);
    return novelty_add(m, evidence, usual, record, parts);
}

/* Share the evidence of this row out to the channels, smoothed like the evidence itself. */
void model_blame(const Shape *shape, Model *m, const float *measured, const float *parts,
                 Row *row) {
    const int c = shape->channels;
    float *restrict blame = row->blame;
    memset(blame, 0, sizeof(float) * (size_t)c);
    for (int k = 0; k < TERMS; k++) {
        if (parts[k] <= 0) continue;
        const float *restrict part =
            k == RECORD ? row->record : row->part[k < PARTS ? k : k - PARTS];
        const int everywhere = k >= PARTS || k == 5;
        const float sum = everywhere ? total(part, c) : dot(part, measured, c);
        if (!(sum > 0)) continue;
        const float by = parts[k] / sum;
        if (everywhere)
            for (int j = 0; j < c; j++) blame[j] += by * part[j];
        else
            for (int j = 0; j < c; j++) blame[j] += by * part[j] * measured[j];
    }
    for (int j = 0; j < c; j++) m->blame[j] += SMOOTH * (blame[j] - m->blame[j]);
}

/* Inverse of the loaded covariance by Cholesky; workspace [2 c c]. */
void model_renew(const Shape *shape, Model *m, double *workspace) {
    const int c = shape->channels;
    double *low = workspace, *inverse = workspace + c * c;
    for (int j = 0; j < c; j++) {
        for (int i = j; i < c; i++) {
            double sum = m->covariance[i * c + j] + (i == j ? LOAD : 0.0);
            for (int k = 0; k < j; k++) sum -= low[i * c + k] * low[j * c + k];
            if (i == j) low[j * c + j] = sqrt(sum > 1e-6 ? sum : 1e-6);
            else low[i * c + j] = sum / low[j * c + j];
        }
    }
    memset(inverse, 0, sizeof(double) * (size_t)(c * c));
    for (int i = 0; i < c; i++) { /* inverse of the factor, row by row */
        double *restrict out = inverse + i * c;
        for (int k = 0; k < i; k++) {
            const double by = low[i * c + k];
            const double *restrict row = inverse + k * c;
            for (int j = 0; j <= k; j++) out[j] -= by * row[j];
        }
        const double pivot = 1 / low[i * c + i];
        for (int j = 0; j < i; j++) out[j] *= pivot;
        out[i] = pivot;
    }
    memset(low, 0, sizeof(double) * (size_t)(c * c));
    for (int k = 0; k < c; k++) {
        const double *restrict row = inverse + k * c;
        for (int i = 0; i <= k; i++) {
            double *restrict out = low + i * c;
            const double by = row[i];
            for (int j = 0; j <= k; j++) out[j] += by * row[j];
        }
    }
    for (int i = 0; i < c * c; i++) m->precision[i] = (float)low[i];
    for (int j = 0; j < c; j++) m->x_norm[j] = (float)(1 / sqrt(low[j * c + j]));
}

/* Cross-channel level and covariance move on; the inverse follows every 32 rows. */
void model_learn(const Shape *shape, Model *m, const Row *row, double *workspace) {
    const int c = shape->channels;
    const int rows = ++*m->rows;
    const float weight = 1.0f / (float)(rows < MEMORY ? rows : MEMORY);
    float *restrict d = row->spare;
    for (int j = 0; j < c; j++) d[j] = row->value[j] - m->level[j];
    for (int i = 0; i < c; i++) {
        float *restrict line = m->covariance + i * c;
        const float di = d[i];
        for (int j = 0; j < c; j++) line[j] += weight * (di * d[j] - line[j]);
    }
    for (int j = 0; j < c; j++) m->level[j] += weight * d[j];
    if (rows % RENEW == 0) model_renew(shape, m, workspace);
}

/* The slow mean takes the row in. */
void model_advance(const Shape *shape, Model *m, const Row *row) {
    for (int j = 0; j < shape->channels; j++) m->slow[j] += SLOW * (row->value[j] - m->slow[j]);
}
