/* The streaming detector: layout of a sensor's state and the steps of one row.
 *
 * A sensor owns up to three blocks of memory, all allocated by Python:
 *   buffer  its first rows, as they came, until the first model is fitted;
 *   model   parameters and running state of the fitted model;
 *   core    what belongs to the sensor whatever its model: known levels, memory, alarm stage;
 *   ring    the latest rows in 16 bits each, for later fits, only while it learns.
 */
#ifndef REDSHANK_STREAM_H
#define REDSHANK_STREAM_H

#include <math.h>
#include <string.h>

#include "kernels.h"

enum {
    RING = 30,        /* rows of the roughness window */
    SHORT_RING = 10,  /* rows of the short one */
    FIRST_FIT = 256,  /* rows before the first model */
    KEPT = 2048,      /* rows kept for later fits */
    USUAL = 6,        /* V Q S X F M: how a row fits to what is usual */
    LEVEL = USUAL,    /* L A: how far level and activity are outside what was seen */
    PARTS = 8,
    VIEWS = 12,       /* 8 of the measurements, V Q S X of all channels */
    RECORD = VIEWS,   /* what records add stands behind the views */
    TERMS = 13,
    BODY = 96,        /* bins of the body histogram */
    PEAKS = 64,       /* bins of a peak histogram */
    SHAPES = 6        /* tail shapes */
};

typedef struct {
    int channels, lags, window, features, rank, centres;
    int model_bytes, core_bytes, ring_bytes;
} Shape;

/* Where the pieces of a model block are. */
typedef struct {
    double *mean, *scale; /* scale = 1 / standard deviation */
    float *weights;       /* [c][features]: lags, slow mean, constant */
    float *basis;         /* [rank][window] */
    float *v_scale, *q_scale, *x_scale;
    float *s_mid, *s_up, *s_low, *f_mid, *f_up, *f_low; /* ups and lows are reciprocals */
    float *mid, *span;                                  /* [VIEWS]; span is a reciprocal */
    float *window;                                      /* [lags + 1][c], newest first */
    float *slow;                                        /* [c], follows window directly */
    float *ring;                                        /* [RING][c], newest first */
    float *q_drift, *s_drift, *f_drift;
    float *now[2], *low[2], *high[2], *unit[2]; /* [c] of L and A: slow mean, its usual range */
    float *strange, *strange_drift;             /* [2] size of pooled L and A, and its growth */
    float *level, *covariance, *precision, *x_norm, *x_memory;
    float *evidence; /* [VIEWS] */
    float *blame;    /* [c] */
    uint16_t *centres; /* [centres][window], upper halves of floats */
    int32_t *rank, *rows;
} Model;

/* One track of the alarm stage. */
typedef struct {
    float peaks[PEAKS];
    float base, start, mass, power;       /* tail above `start`, made of `mass` peaks */
    float share[SHAPES], spread[SHAPES];  /* weight of a shape and its b + S */
    float top, lowest;                    /* of the open incident */
    int32_t below;                        /* rows below the base level; -1: no incident */
} Track;

/* The alarm stage and the memory of one sensor. */
typedef struct {
    float body[BODY];
    uint16_t old_body[BODY];
    uint8_t recent[BODY];
    Track track[2];
    float body_mass, informed, mid, fast_span, slow_span, gathered, trusted, memory, old_high;
    int32_t rows, open_rows, quiet_rows, returning; /* open_rows 0: closed; returning -1: none */
} Stage;

/* What C knows of a slot; mirrored by a NumPy structured array. */
typedef struct {
    int64_t rows;      /* seen so far */
    int64_t fitted_at; /* rows at the last fit */
    int64_t since;     /* time of the first one, microseconds */
    uint64_t buffer, model, core, ring;
    int64_t fits;      /* so far; -1: primed, never fitted again */
} Slot;

/* Scratch of one row; all [c] except where noted. */
typedef struct {
    float *forecast, *value, *seen; /* normalised; seen is 1 where a value came */
    float *part[PARTS];             /* a component per channel, then its power for pooling */
    float *record;                  /* how rare the channel's value is as a record, else 0 */
    float *noisy;                   /* sign of roughness: above or below its middle */
    float *noisy_short;
    float *spare;                   /* [window] */
    float *blame;
    float shape;                    /* distance to the nearest centre (part M before scaling) */
    int observed;
} Row;

Shape stream_shape(int channels);
void model_view(const Shape *shape, char *block, Model *model);
int row_floats(const Shape *shape);
void row_view(const Shape *shape, float *scratch, Row *row);

void model_observe(const Shape *shape, Model *model, const double *values, Row *row);
void model_scale(const Shape *shape, Model *model, Row *row, int learn);
void model_pool(const Shape *shape, Model *model, const float *measured, Row *row, int learn);
float model_judge(const Shape *shape, const Model *model, const float *evidence, int views,
                  float record, float *parts);
void model_blame(const Shape *shape, Model *model, const float *measured, const float *parts,
                 Row *row);
void model_learn(const Shape *shape, Model *model, const Row *row, double *workspace);
void model_advance(const Shape *shape, Model *model, const Row *row);
void model_renew(const Shape *shape, Model *model, double *workspace);
int views_of(const Shape *shape, const float *measured);

void novelty_observe(const Shape *shape, Model *model, Row *row);
void novelty_scale(const Shape *shape, const Model *model, Row *row);
void novelty_pool(const Shape *shape, Model *model, const float *measured, Row *row, int learn);
float novelty_add(const Model *model, const float *evidence, float usual, float record,
                  float *parts);
float record_of(const Shape *shape, const float *rates, const float *measured, Row *row);

void stage_clear(Stage *stage);
void stage_seed(Stage *stage, const float *evidence, int rows);
void stage_renew(Stage *stage);
float stage_row(Stage *stage, float evidence, float age, float *rate);

#endif
