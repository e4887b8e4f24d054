/* From evidence to a return rate: normal incidents at least this extreme per 8,640 rows.
 *
 * The body of the evidence gives a unit, two tracks measure how far and how long evidence stays
 * above it, the peaks of past incidents on each track give the tail, and the tail gives the rate.
 */
#include "stream.h"

#define MONTH 8640.0f
#define BIN .055f          /* of the body */
#define BODY_MASS 400.0f
#define BODY_REFRESH 16
#define TAIL_REFRESH 64
#define STEP .065f         /* of a peak bin, in logs */
#define PEAK_MEMORY 17000.0f
#define FAST_UNIT .4f      /* of evidence, where nothing is known of a sensor yet */
#define SLOW_UNIT .4f
#define LEAST_UNIT .05f
#define OWN_UNIT 30000.0f  /* rows after which half of the unit is the sensor's own */
#define TOP 25.0f          /* peaks that make the tail */
#define ENDS 8             /* rows below the base level that end an incident on a track */
#define LEAST_COUNT .1f    /* of a peak that opened it: counted in full, a fault hides the next */
#define OUTLIVED .5f       /* of what is remembered, when a later model takes over */
#define STRONG .3f         /* nominal rate that opens the internal incident */
#define CLOSES 20
#define REGIME 400         /* rows open: a new regime */
#define RECENT 125         /* its latest rows make the new body */
#define RETURNS 60
#define RELEASE .01f       /* of the memory term */
#define SAVED 64.0f        /* fixed point of a body that is put aside */
#define RESTING .02f       /* evidence of a row in which nothing happened */
#define REST_TELLS .1f     /* so much of what another row tells */
#define YOUNG 250.0f       /* telling rows with which a rare rate is half known, in logs */
#define FREQUENT 10.0f     /* a rate that is known at any age */

static const float SHAPE[SHAPES] = {.35f, .5f, .75f, 1, 1.5f, 2};
static const float PRIOR[SHAPES] = {.002f, .01f, .1f, .4f, .3f, .188f};
#define PRIOR_PEAKS 3.0f
#define PRIOR_EXCESS .3f /* their size, in units */

static float quantile(const Stage *s, float part) {
    const float wanted = part * s->body_mass;
    float below = 0;
    for (int i = 0; i < BODY; i++) {
        if (below + s->body[i] >= wanted && s->body[i] > 0)
            return BIN * ((float)i + (wanted - below) / s->body[i]);
        below += s->body[i];
    }
    return BIN * BODY;
}

static float at_least(float x, float floor) { return x > floor ? x : floor; }

/* Evidence is in the same unit for all sensors: it is counted from their 99 % quantiles. A sensor's
 * own spread is a better unit only once much of it has been seen; the two are mixed in logs. */
static float unit(float own, float common, float trusted) {
    const float part = trusted / (trusted + OWN_UNIT);
    return common * powf(at_least(own, LEAST_UNIT) / common, part);
}

static void refresh_body(Stage *s) {
    if (s->body_mass <= 0) return;
    s->mid = quantile(s, .5f);
    s->fast_span = unit(quantile(s, .95f) - s->mid, FAST_UNIT, s->trusted);
    s->slow_span = unit(quantile(s, .985f) - s->mid, SLOW_UNIT, s->trusted);
}

static int body_bin(float evidence) {
    const int bin = (int)(evidence / BIN);
    return bin < 0 ? 0 : (bin < BODY ? bin : BODY - 1);
}

static void add_body(Stage *s, float evidence, float weight) {
    s->body[body_bin(evidence)] += weight;
    s->body_mass += weight;
    if (s->body_mass <= BODY_MASS) return;
    s->body_mass = 0;
    for (int i = 0; i < BODY; i++) s->body_mass += s->body[i] *= .5f;
}

static float peak_level(int bin) { return expf(STEP * ((float)bin + .5f)); }

static int peak_bin(float level) {
    const int bin = (int)(logf(level) / STEP);
    return bin < 0 ? 0 : (bin < PEAKS ? bin : PEAKS - 1);
}

/* Weights of the shapes: marginal likelihood of the excesses under an inverse gamma scale. */
static void refresh_tail(Track *t) {
    float above[PEAKS], mass = 0, sum_log = 0, sums[SHAPES] = {0};
    int first = PEAKS;
    while (first > 0 && mass < TOP) {
        first--;
        above[first] = t->peaks[first];
        mass += above[first];
    }
    t->start = first > 0 ? expf(STEP * (float)first) : 1.0f;
    t->mass = mass;
    t->base = mass;
    for (int i = 0; i < first; i++) t->base += t->peaks[i];
    for (int i = first; i < PEAKS; i++) {
        if (above[i] <= 0) continue;
        const float log_excess = logf(peak_level(i) - t->start);
        sum_log += above[i] * log_excess;
        for (int k = 0; k < SHAPES; k++) sums[k] += above[i] * expf(SHAPE[k] * log_excess);
    }
    float best = -1e30f, whole = 0;
    t->power = PRIOR_PEAKS + mass;
    for (int k = 0; k < SHAPES; k++) {
        const float b = PRIOR_PEAKS * powf(PRIOR_EXCESS, SHAPE[k]);
        t->spread[k] = b + sums[k];
        t->share[k] = logf(PRIOR[k]) + mass * logf(SHAPE[k]) + (SHAPE[k] - 1) * sum_log +
                      PRIOR_PEAKS * logf(b) - t->power * logf(t->spread[k]);
        if (t->share[k] > best) best = t->share[k];
    }
    for (int k = 0; k < SHAPES; k++) whole += t->share[k] = expf(t->share[k] - best);
    for (int k = 0; k < SHAPES; k++) t->share[k] /= whole;
}

/* Peaks expected above a level, out of those that the stage remembers; below the base level, where
 * nothing counts as an incident, every row. */
static float expected(const Track *t, float level, float rows) {
    if (level <= 1) return rows;
    if (level <= t->start) {
        float count = t->mass;
        const int bin = peak_bin(level), start = peak_bin(t->start * 1.0001f);
        for (int i = bin; i < start; i++) count += t->peaks[i];
        return count + .5f;
    }
    const float log_excess = logf(level - t->start);
    float tail = 0;
    for (int k = 0; k < SHAPES; k++)
        tail += t->share[k] *
                expf(-t->power * log1pf(expf(SHAPE[k] * log_excess) / t->spread[k]));
    return (t->mass + .5f) * tail;
}

/* Nominal to measured rate, the same for all sensors: log-log linear between four points. */
static float fleet_curve(float nominal) {
    static const float from[4] = {-5.3f, -1.45f, 2.35f, 3.25f};
    static const float to[4] = {-2.302585f, 0, 2.302585f, 2.944439f};
    const float at = logf(nominal > 1e-12f ? nominal : 1e-12f);
    const int k = at < from[1] ? 0 : (at < from[2] ? 1 : 2);
    return expf(to[k] + (at - from[k]) * (to[k + 1] - to[k]) / (from[k + 1] - from[k]));
}

static float known(float age) { return 1 - 1 / (1 + age * age); }

/* How far beyond the few rows of a young sensor rates go is assumed, not known, and its model is a
 * rough one: what looks rare came far more often in young sensors of all kinds. */
static float at_age(float rate, float informed, float age) {
    if (rate >= FREQUENT) return rate;
    return FREQUENT * powf(rate / FREQUENT, known(informed / YOUNG) * known(age));
}

void stage_clear(Stage *s) {
    memset(s, 0, sizeof *s);
    s->fast_span = FAST_UNIT;
    s->slow_span = SLOW_UNIT;
    s->returning = -1;
    for (int k = 0; k < 2; k++) {
        s->track[k].below = -1;
        refresh_tail(&s->track[k]);
    }
}

/* A first body from evidence that is known already. */
void stage_seed(Stage *s, const float *evidence, int rows) {
    const float weight = rows > 400 ? 400.0f / (float)rows : 1.0f;
    for (int i = 0; i < rows; i++) add_body(s, evidence[i], weight);
    refresh_body(s);
}

/* A peak that opened the internal incident was most likely a fault. It counts for as much as makes
 * the next like it one in a month; were it left out, heavy tails would be taken for faults. */
static void record(Track *t, float trusted) {
    const float part = at_least(trusted / MONTH, LEAST_COUNT);
    t->peaks[peak_bin(t->top)] += t->lowest < STRONG && part < 1 ? part : 1.0f;
    t->below = -1;
}

static void follow(Track *t, float level, float rate, float trusted) {
    if (level > 1) {
        if (t->below < 0) t->top = level, t->lowest = rate;
        if (level > t->top) t->top = level;
        if (rate < t->lowest) t->lowest = rate;
        t->below = 0;
    } else if (t->below >= 0 && ++t->below >= ENDS) {
        record(t, trusted);
    }
}

static void put_aside(Stage *s) {
    for (int i = 0; i < BODY; i++) s->old_body[i] = (uint16_t)(s->body[i] * SAVED + .5f);
    s->old_high = quantile(s, .95f);
    s->returning = 0;
}

static void new_regime(Stage *s) {
    if (s->returning < 0) put_aside(s);
    s->body_mass = 0;
    for (int i = 0; i < BODY; i++) s->body_mass += s->body[i] = (float)s->recent[i];
    s->gathered = 0;
    refresh_body(s);
}

static void old_regime(Stage *s) {
    s->body_mass = 0;
    for (int i = 0; i < BODY; i++) s->body_mass += s->body[i] = (float)s->old_body[i] / SAVED;
    s->returning = -1;
    s->gathered = 0;
    refresh_body(s);
}

static void watch_return(Stage *s, float evidence) {
    if (s->returning < 0) return;
    if (evidence <= s->old_high) s->returning++;
    else if (s->returning > 0) s->returning--;
    if (s->returning >= RETURNS) old_regime(s);
}

/* The internal incident: nothing is learned while it is open, and it cannot stay open. */
static void settle(Stage *s, float evidence, float rate) {
    if (rate <= STRONG) {
        if (s->open_rows == 0) memset(s->recent, 0, sizeof s->recent);
        s->quiet_rows = 0;
        if (s->open_rows == 0) s->open_rows = 1;
    } else if (s->open_rows && ++s->quiet_rows >= CLOSES) {
        s->open_rows = 0;
    }
    if (!s->open_rows) return;
    if (++s->open_rows > REGIME - RECENT) s->recent[body_bin(evidence)]++;
    if (s->open_rows > REGIME) {
        new_regime(s);
        s->open_rows = 0;
    }
}

static void forget(Stage *s, float keep) {
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < PEAKS; i++) s->track[k].peaks[i] *= keep;
        refresh_tail(&s->track[k]);
    }
    s->trusted *= keep;
    s->informed *= keep;
}

/* One more row to go by; a channel that mostly rests shows little of how its moves look. */
static void trust(Stage *s, float evidence) {
    s->trusted += 1;
    s->informed += evidence < RESTING ? REST_TELLS : 1;
}

/* A later model judges from now on: incidents under the one before count for less. */
void stage_renew(Stage *s) { forget(s, OUTLIVED); }

static float gather(Stage *s, float evidence) {
    const float e = (evidence - s->mid) / s->slow_span;
    if (e <= 1.1f) {
        s->gathered *= .5f;
        return 0;
    }
    const float more = e - 1.1f;
    s->gathered = .97f * s->gathered + (more < 4 ? more : 4);
    return 1 + s->gathered;
}

/* Takes one row's evidence in; returns the reported score and sets its rate. `age`: how long
 * the sensor is known, in units of the time after which a rare rate is half known. */
float stage_row(Stage *s, float evidence, float age, float *rate) {
    const float eased = s->memory + RELEASE * (evidence - s->memory);
    s->memory = evidence > eased ? evidence : eased;
    if (s->rows++ % BODY_REFRESH == 0) refresh_body(s);
    const float fast = (evidence - s->mid) / s->fast_span, slow = gather(s, evidence);
    const float trusted = at_least(s->trusted, 1);
    const float a = expected(&s->track[0], fast, trusted);
    const float b = expected(&s->track[1], slow, trusted);
    const float nominal = MONTH / trusted * (a < b ? a : b);
    settle(s, evidence, nominal);
    watch_return(s, evidence);
    follow(&s->track[0], fast, nominal, trusted);
    follow(&s->track[1], slow, nominal, trusted);
    if (s->rows % TAIL_REFRESH == 0) forget(s, 1 - TAIL_REFRESH / PEAK_MEMORY);
    if (!s->open_rows) {
        add_body(s, evidence, nominal < 5 ? .3f : 1.0f);
        trust(s, evidence);
    }
    *rate = at_age(fleet_curve(nominal), s->informed, age);
    return .5f * (evidence + s->memory);
}
