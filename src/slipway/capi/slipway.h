/* libslipway: scores Slipway bundles and the model files of training libraries.
 *
 * Version. SLIPWAY_ABI_VERSION counts changes that break callers; a library whose
 * slipway_abi_version() differs from the header's must not be used. Functions and constants may be
 * added without a new number; structs that may grow begin with their size.
 *
 * Threads. A model is immutable: any number of threads may use one at the same time, without a
 * lock. Only slipway_close() must come after all else. `threads` is how many threads one call may
 * use; 0: as many as the machine has. What a call starts has ended when the call returns.
 *
 * Ownership. What the caller passes is borrowed until the call returns, Arrow arrays too: they are
 * never released here. What is given back belongs to the caller (Arrow structs by their release
 * callback, models by slipway_close()), except for the strings, which belong to the model or the
 * library.
 *
 * Errors. Functions that can fail return a slipway_status as int; SLIPWAY_OK is 0. The message is
 * slipway_last_error(), of the calling thread. On an error nothing is given back, and an output
 * array may hold part of the answer. Sizes, types and counts are checked; pointers must point to
 * what the size beside them says.
 *
 * docs/c-api.md has an example.
 */
#ifndef SLIPWAY_CAPI_SLIPWAY_H_
#define SLIPWAY_CAPI_SLIPWAY_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLIPWAY_ABI_VERSION 1
#define SLIPWAY_API __attribute__((visibility("default")))

enum slipway_status {
  SLIPWAY_OK = 0,
  SLIPWAY_INVALID_ARGUMENT = 1, /* the call or its data is wrong */
  SLIPWAY_NOT_FOUND = 2,        /* no such file */
  SLIPWAY_CONFLICT = 3,
  SLIPWAY_PERMISSION_DENIED = 4,
  SLIPWAY_CORRUPTION = 5,  /* the bytes are not the model that they claim to be */
  SLIPWAY_UNAVAILABLE = 6, /* no memory, a file cannot be read now */
  SLIPWAY_DEADLINE_EXCEEDED = 7,
  SLIPWAY_CANCELLED = 8,
  SLIPWAY_INTERNAL = 9 /* a bug of ours */
};

/* "0.1.0". */
SLIPWAY_API const char* slipway_version(void);
SLIPWAY_API int slipway_abi_version(void);
/* Why this thread's last call failed: what, where and how to mend it; "" after one that did not.
   Valid until the thread's next call. */
SLIPWAY_API const char* slipway_last_error(void);
/* "invalid_argument", ...; "unknown" for a number that is no status. */
SLIPWAY_API const char* slipway_status_name(int status);

/* ---- Models ---- */

typedef struct slipway_model slipway_model;

/* A bundle or a model file, told apart by its content. */
SLIPWAY_API int slipway_open(const char* path, slipway_model** model);
/* The same from the file's bytes, of which a copy is kept until slipway_explain was called. After
   slipway_open the file stays open for the first slipway_explain, which reads it again (so it may
   be moved or removed): SLIPWAY_CONFLICT when it was changed in its place. */
SLIPWAY_API int slipway_open_bytes(const void* bytes, size_t size, slipway_model** model);
/* NULL is allowed. */
SLIPWAY_API void slipway_close(slipway_model* model);

/* One JSON object, owned by the model: "kind" (regression, binary, multiclass, raw), "bundle",
   "inputs" ([{"name", "type", "categories"?}]: the columns that it takes, in order), "features"
   (names of what the trees see), "outputs" ([{"name", "type"}] of slipway_score_arrow), "scores"
   (numbers per row of slipway_predict), "classes", "class_type", "threshold", "engine", "reason",
   "memory_bytes", "objective", "library", "average", "info". */
SLIPWAY_API const char* slipway_describe(const slipway_model* model);
/* Columns that the model takes: the length of "inputs". */
SLIPWAY_API int64_t slipway_input_count(const slipway_model* model);
/* Numbers per row that slipway_predict writes: one, or one per class of a multiclass model. */
SLIPWAY_API int64_t slipway_score_count(const slipway_model* model);
/* What the trees see: of a model file its inputs. slipway_explain writes one number more per row
   and score. */
SLIPWAY_API int64_t slipway_feature_count(const slipway_model* model);

/* ---- Numbers ---- */

enum slipway_type {
  SLIPWAY_FLOAT64 = 0,
  SLIPWAY_FLOAT32 = 1,
  SLIPWAY_INT8 = 2,
  SLIPWAY_INT16 = 3,
  SLIPWAY_INT32 = 4,
  SLIPWAY_INT64 = 5,
  SLIPWAY_UINT8 = 6,
  SLIPWAY_UINT16 = 7,
  SLIPWAY_UINT32 = 8,
  SLIPWAY_UINT64 = 9
};

enum slipway_what {
  SLIPWAY_SCORES = 0,    /* after the output transform: probabilities, means */
  SLIPWAY_RAW_SCORES = 1 /* the sums of the trees */
};

/* Value (r, c) is at data + r * row_stride + c * column_stride; strides are bytes and may be
   negative. NaN is missing. Columns are the model's inputs in order; categories of a model file
   are their codes. Not copied. */
typedef struct slipway_matrix {
  const void* data;
  int64_t rows;
  int64_t columns;
  int64_t row_stride;
  int64_t column_stride;
  int32_t type; /* slipway_type */
} slipway_matrix;

/* One column apart: the value of row r is at data + r * stride. */
typedef struct slipway_column {
  const void* data;        /* NULL: every value is missing */
  int64_t stride;          /* bytes */
  const uint8_t* validity; /* a bit per row, least significant first, 0: missing; NULL: all are */
  int64_t validity_offset; /* the bit of row 0 */
  int32_t type;            /* slipway_type */
} slipway_column;

/* rows x slipway_score_count() numbers, row by row, into `out`, which has room for `out_count`
   doubles. A row that a bundle's filter drops gets NaN. */
SLIPWAY_API int slipway_predict(const slipway_model* model, const slipway_matrix* matrix, int what,
                                int threads, double* out, size_t out_count);
/* The same from slipway_input_count() columns. */
SLIPWAY_API int slipway_predict_columns(const slipway_model* model, const slipway_column* columns,
                                        int64_t column_count, int64_t rows, int what, int threads,
                                        double* out, size_t out_count);
/* What each feature adds to the raw scores (exact path-dependent TreeSHAP): per row and score
   slipway_feature_count() + 1 numbers, the last one the base value; their sum is the raw score.
   The first call prepares the model for it. NaN where a filter drops the row. Refused for trees
   with linear leaves or without counts. */
SLIPWAY_API int slipway_explain(const slipway_model* model, const slipway_matrix* matrix,
                                int threads, double* out, size_t out_count);
SLIPWAY_API int slipway_explain_columns(const slipway_model* model, const slipway_column* columns,
                                        int64_t column_count, int64_t rows, int threads,
                                        double* out, size_t out_count);

/* ---- Arrow ---- */

/* The Arrow C Data Interface, as its specification defines it. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};

#endif

/* A record batch (a struct array) holds the model's inputs by name; other columns are ignored.
   Types: null, boolean, integers, half, float, double, utf8, large utf8, utf8 view, date,
   timestamp, and dictionaries of these. Columns of a model file are numbers and booleans, or texts
   where it knows categories. */

/* The model's output columns ("outputs" of slipway_describe) as a struct array, rows as given. A
   row that a bundle's filter drops is null in all of them. */
SLIPWAY_API int slipway_score_arrow(const slipway_model* model, const struct ArrowSchema* schema,
                                    const struct ArrowArray* batch, int threads,
                                    struct ArrowSchema* out_schema, struct ArrowArray* out_batch);
/* The schema alone. */
SLIPWAY_API int slipway_output_schema(const slipway_model* model, struct ArrowSchema* out_schema);
/* As slipway_predict and slipway_explain. */
SLIPWAY_API int slipway_predict_arrow(const slipway_model* model, const struct ArrowSchema* schema,
                                      const struct ArrowArray* batch, int what, int threads,
                                      double* out, size_t out_count);
SLIPWAY_API int slipway_explain_arrow(const slipway_model* model, const struct ArrowSchema* schema,
                                      const struct ArrowArray* batch, int threads, double* out,
                                      size_t out_count);

/* ---- Models from arrays ---- */

enum slipway_kind {
  SLIPWAY_REGRESSION = 0,
  SLIPWAY_BINARY = 1,     /* one score: the probability of class 1 after the transform */
  SLIPWAY_MULTICLASS = 2, /* a score per class */
  SLIPWAY_RAW = 3         /* scores without a meaning of their own */
};

enum slipway_transform {
  SLIPWAY_IDENTITY = 0,
  SLIPWAY_SIGMOID = 1, /* 1 / (1 + exp(-sigmoid * x)) */
  SLIPWAY_SOFTMAX = 2,
  SLIPWAY_SIGMOID_PER_CLASS = 3,
  SLIPWAY_EXP = 4,
  SLIPWAY_SIGNED_SQUARE = 5,
  SLIPWAY_LOG1P_EXP = 6,
  SLIPWAY_STEP = 7
};

enum slipway_missing {
  SLIPWAY_MISSING_NONE = 0, /* NaN is 0 */
  SLIPWAY_MISSING_ZERO = 1, /* NaN and 0 go the default way */
  SLIPWAY_MISSING_NAN = 2   /* NaN goes the default way */
};

enum slipway_value_rule {
  SLIPWAY_VALUES_LIGHTGBM = 0, /* magnitudes up to 1e-35 are 0; categories are cut off towards 0 */
  SLIPWAY_VALUES_XGBOOST = 1,  /* categories are rounded to float32, then cut off */
  SLIPWAY_VALUES_PLAIN = 2     /* numbers as they are; categories are cut off */
};

/* Trees, struct of arrays: all arrays hold the trees one after the other. Tree t has the inner
   nodes node_begin[t] .. node_begin[t + 1], numbered from 0 (the root) within the tree, and one
   leaf more; its leaves begin at node_begin[t] + t. A child >= 0 is an inner node of the tree, < 0
   the leaf -1 - child. Tree t adds to score t % score_count. A row goes left where its value <=
   threshold, or where its category is in the node's set; a category that is missing goes the
   default way. Everything is checked: cycles, ranges, finite leaves. Copied. */
typedef struct slipway_forest {
  size_t struct_size; /* sizeof(slipway_forest) */
  int64_t feature_count;
  int64_t score_count;
  int64_t tree_count;               /* a multiple of score_count */
  const char* const* feature_names; /* UTF-8, feature_count of them; NULL: "f0", "f1", ... */
  const char* library;              /* "scikit-learn 1.7.2"; NULL: "arrays" */
  const char* objective;            /* NULL: "" */
  int32_t kind;                     /* slipway_kind */
  int32_t transform;                /* slipway_transform */
  int32_t value_rule;               /* slipway_value_rule */
  int32_t average;                  /* 1: the sum is divided by tree_count / score_count */
  int32_t float32_sums;             /* 1: each sum is rounded to float32 */
  double sigmoid;                   /* > 0; 1 where it plays no part */
  const double* base;               /* what each score starts from; NULL: 0 */
  const int64_t* node_begin;        /* tree_count + 1 */
  const int32_t* split_feature;
  const double* threshold;
  const int32_t* left;
  const int32_t* right;
  const uint8_t* default_left;
  const uint8_t* missing_type; /* slipway_missing; NULL: all SLIPWAY_MISSING_NAN */
  const int32_t* category_set; /* -1: numerical; NULL: all are */
  const double* node_count;    /* training rows or their weight, for slipway_explain; NULL: none */
  const double* leaf_value;
  const double* leaf_count; /* NULL: none */
  int64_t set_count;
  const int64_t* set_begin; /* set_count + 1, words */
  const uint32_t* set_bits; /* bit c of a set: category c goes left */
} slipway_forest;

SLIPWAY_API int slipway_build(const slipway_forest* forest, slipway_model** model);

#ifdef __cplusplus
}
#endif

#endif
