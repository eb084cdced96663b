/* The C ABI from C99, linked with nothing but libslipway.so. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slipway/capi/slipway.h"

static int checks = 0, failures = 0;

#define CHECK(condition)                                                                \
  do {                                                                                  \
    ++checks;                                                                           \
    if (!(condition)) {                                                                 \
      ++failures;                                                                       \
      printf("%s:%d: %s [%s]\n", __FILE__, __LINE__, #condition, slipway_last_error()); \
    }                                                                                   \
  } while (0)

/* Two features; tree: size <= 2.5 ? (kind in {1} ? 0.25 : -1.5) : 0.3. */
static const char kModel[] =
    "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=1\n"
    "objective=binary sigmoid:1\nfeature_names=size kind\nfeature_infos=[0:5] 0:1:2\n\n"
    "Tree=0\nnum_leaves=3\nnum_cat=1\nsplit_feature=0 1\nthreshold=2.5 0\ndecision_type=10 1\n"
    "left_child=1 -1\nright_child=-3 -2\nleaf_value=0.25 -1.5 0.3\ncat_boundaries=0 1\n"
    "cat_threshold=2\nis_linear=0\nshrinkage=1\n\n\nend of trees\n\nfeature_importances:\n";

static slipway_model* open_model(void) {
  slipway_model* model = NULL;
  CHECK(slipway_open_bytes(kModel, sizeof kModel - 1, &model) == SLIPWAY_OK);
  CHECK(strcmp(slipway_last_error(), "") == 0);
  return model;
}

static void test_versions(void) {
  CHECK(slipway_abi_version() == SLIPWAY_ABI_VERSION);
  CHECK(strlen(slipway_version()) >= 5);
  CHECK(strcmp(slipway_status_name(SLIPWAY_OK), "ok") == 0);
  CHECK(strcmp(slipway_status_name(SLIPWAY_CORRUPTION), "corruption") == 0);
  CHECK(strcmp(slipway_status_name(SLIPWAY_INTERNAL), "internal") == 0);
  CHECK(strcmp(slipway_status_name(99), "unknown") == 0);
}

static void test_description(const slipway_model* model) {
  const char* text = slipway_describe(model);
  CHECK(strstr(text, "\"kind\":\"binary\"") != NULL);
  CHECK(strstr(text, "\"features\":[\"size\",\"kind\"]") != NULL);
  CHECK(strstr(text, "\"engine\":\"") != NULL);
  CHECK(slipway_input_count(model) == 2);
  CHECK(slipway_feature_count(model) == 2);
  CHECK(slipway_score_count(model) == 1);
}

static void test_matrices(const slipway_model* model) {
  const double rows[3][2] = {{1, 1}, {1, 0}, {3, 1}};
  const float columns[2][3] = {{1, 1, 3}, {1, 0, 1}};
  const double expected[3] = {0.25, -1.5, 0.3};
  double raw[3], scores[3];
  int i;
  slipway_matrix matrix = {NULL, 3, 2, 0, 0, SLIPWAY_FLOAT64};
  matrix.data = rows;
  matrix.row_stride = sizeof rows[0];
  matrix.column_stride = sizeof rows[0][0];
  CHECK(slipway_predict(model, &matrix, SLIPWAY_RAW_SCORES, 1, raw, 3) == SLIPWAY_OK);
  CHECK(memcmp(raw, expected, sizeof raw) == 0);
  CHECK(slipway_predict(model, &matrix, SLIPWAY_SCORES, 0, scores, 3) == SLIPWAY_OK);
  for (i = 0; i < 3; ++i) CHECK(fabs(scores[i] - 1 / (1 + exp(-expected[i]))) < 1e-15);
  matrix.data = columns; /* column-major float32 */
  matrix.type = SLIPWAY_FLOAT32;
  matrix.row_stride = sizeof columns[0][0];
  matrix.column_stride = sizeof columns[0];
  memset(raw, 0, sizeof raw);
  CHECK(slipway_predict(model, &matrix, SLIPWAY_RAW_SCORES, 1, raw, 3) == SLIPWAY_OK);
  CHECK(memcmp(raw, expected, sizeof raw) == 0);
  matrix.data = &rows[2][0]; /* backwards */
  matrix.type = SLIPWAY_FLOAT64;
  matrix.row_stride = -(int64_t)sizeof rows[0];
  matrix.column_stride = sizeof rows[0][0];
  CHECK(slipway_predict(model, &matrix, SLIPWAY_RAW_SCORES, 1, raw, 3) == SLIPWAY_OK);
  CHECK(raw[0] == 0.3 && raw[1] == -1.5 && raw[2] == 0.25);
  CHECK(slipway_predict(model, &matrix, SLIPWAY_RAW_SCORES, 1, raw, 2) == SLIPWAY_INVALID_ARGUMENT);
  CHECK(strstr(slipway_last_error(), "room for 2") != NULL);
  matrix.columns = 3;
  CHECK(slipway_predict(model, &matrix, SLIPWAY_SCORES, 1, raw, 3) == SLIPWAY_INVALID_ARGUMENT);
  CHECK(strstr(slipway_last_error(), "3 columns") != NULL);
  matrix.columns = 2;
  matrix.rows = -1;
  CHECK(slipway_predict(model, &matrix, SLIPWAY_SCORES, 1, raw, 3) == SLIPWAY_INVALID_ARGUMENT);
  matrix.rows = 3;
  matrix.type = 77;
  CHECK(slipway_predict(model, &matrix, SLIPWAY_SCORES, 1, raw, 3) == SLIPWAY_INVALID_ARGUMENT);
  matrix.type = SLIPWAY_FLOAT64;
  matrix.data = NULL;
  CHECK(slipway_predict(model, &matrix, SLIPWAY_SCORES, 1, raw, 3) == SLIPWAY_INVALID_ARGUMENT);
  matrix.rows = 0;
  CHECK(slipway_predict(model, &matrix, SLIPWAY_SCORES, 1, NULL, 0) == SLIPWAY_OK);
}

static void test_columns(const slipway_model* model) {
  const int64_t size[3] = {1, 1, 3};
  const uint8_t kind[3] = {1, 0, 1}, valid[1] = {0x0B}; /* bits 1, 2 and 3: 1, 0, 1 */
  slipway_column columns[2] = {{NULL, 8, NULL, 0, SLIPWAY_INT64},
                               {NULL, 1, NULL, 0, SLIPWAY_UINT8}};
  double raw[3];
  columns[0].data = size;
  columns[1].data = kind;
  columns[1].validity = valid;
  columns[1].validity_offset = 1;
  CHECK(slipway_predict_columns(model, columns, 2, 3, SLIPWAY_RAW_SCORES, 1, raw, 3) == SLIPWAY_OK);
  CHECK(raw[0] == 0.25 && raw[1] == -1.5 && raw[2] == 0.3);
  columns[0].data = NULL; /* missing goes left, then by kind */
  CHECK(slipway_predict_columns(model, columns, 2, 3, SLIPWAY_RAW_SCORES, 1, raw, 3) == SLIPWAY_OK);
  CHECK(raw[0] == 0.25 && raw[1] == -1.5 && raw[2] == 0.25);
  CHECK(slipway_predict_columns(model, columns, 1, 3, SLIPWAY_RAW_SCORES, 1, raw, 3) ==
        SLIPWAY_INVALID_ARGUMENT);
  CHECK(slipway_predict_columns(model, NULL, 2, 3, SLIPWAY_RAW_SCORES, 1, raw, 3) ==
        SLIPWAY_INVALID_ARGUMENT);
  CHECK(slipway_predict_columns(model, columns, 2, 3, 5, 1, raw, 3) == SLIPWAY_INVALID_ARGUMENT);
}

/* Arrow structs on the stack: release does nothing, as the caller keeps what it lends. */
static void keep_schema(struct ArrowSchema* schema) { schema->release = NULL; }
static void keep_array(struct ArrowArray* array) { array->release = NULL; }

struct lent_batch {
  struct ArrowSchema schema, fields[2], *field_pointers[2];
  struct ArrowArray array, columns[2], *column_pointers[2];
  const void *size_buffers[2], *kind_buffers[2], *none[1];
  double size[4];
  int32_t kind[4];
  uint8_t kind_valid[1];
};

static void lend(struct lent_batch* lent) {
  static const double size[4] = {9, 1, 1, 3};
  static const int32_t kind[4] = {0, 1, 1, 1};
  int i;
  memset(lent, 0, sizeof *lent);
  memcpy(lent->size, size, sizeof size);
  memcpy(lent->kind, kind, sizeof kind);
  lent->kind_valid[0] = 0x0A; /* row 2 is null */
  lent->size_buffers[1] = lent->size;
  lent->kind_buffers[0] = lent->kind_valid;
  lent->kind_buffers[1] = lent->kind;
  lent->schema.format = "+s";
  lent->fields[0].format = "g";
  lent->fields[0].name = "size";
  lent->fields[1].format = "i";
  lent->fields[1].name = "kind";
  lent->schema.n_children = lent->array.n_children = 2;
  lent->schema.children = lent->field_pointers;
  lent->array.children = lent->column_pointers;
  lent->array.n_buffers = 1;
  lent->array.buffers = lent->none;
  lent->array.length = 3;
  lent->array.offset = 1;
  lent->schema.release = keep_schema;
  lent->array.release = keep_array;
  for (i = 0; i < 2; ++i) {
    lent->field_pointers[i] = &lent->fields[i];
    lent->column_pointers[i] = &lent->columns[i];
    lent->fields[i].release = keep_schema;
    lent->columns[i].release = keep_array;
    lent->columns[i].length = 4;
    lent->columns[i].n_buffers = 2;
    lent->columns[i].null_count = i;
  }
  lent->columns[0].buffers = lent->size_buffers;
  lent->columns[1].buffers = lent->kind_buffers;
}

static void test_arrow(const slipway_model* model) {
  struct lent_batch lent;
  struct ArrowSchema out_schema;
  struct ArrowArray out;
  double raw[3];
  lend(&lent);
  CHECK(slipway_predict_arrow(model, &lent.schema, &lent.array, SLIPWAY_RAW_SCORES, 1, raw, 3) ==
        SLIPWAY_OK);
  CHECK(raw[0] == 0.25 && raw[1] == -1.5 && raw[2] == 0.3);
  CHECK(slipway_score_arrow(model, &lent.schema, &lent.array, 1, &out_schema, &out) == SLIPWAY_OK);
  CHECK(out.length == 3 && out.n_children == 3 && out_schema.n_children == 3);
  CHECK(strcmp(out_schema.format, "+s") == 0);
  CHECK(strcmp(out_schema.children[1]->name, "proba_1") == 0);
  CHECK(strcmp(out_schema.children[2]->name, "prediction") == 0);
  CHECK(strcmp(out_schema.children[2]->format, "l") == 0);
  CHECK(((const int64_t*)out.children[2]->buffers[1])[1] == 0);
  CHECK(((const int64_t*)out.children[2]->buffers[1])[2] == 1);
  out_schema.release(&out_schema);
  out.release(&out);
  CHECK(out_schema.release == NULL && out.release == NULL);
  CHECK(slipway_output_schema(model, &out_schema) == SLIPWAY_OK);
  CHECK(strcmp(out_schema.children[0]->name, "proba_0") == 0);
  out_schema.release(&out_schema);
  CHECK(lent.schema.release != NULL && lent.array.release != NULL); /* borrowed, not released */
}

/* Structs that lie are errors, never crashes. */
static void test_foreign_structs(const slipway_model* model) {
  struct lent_batch lent;
  double raw[3];
  int row;
#define REFUSED(change)                                                                         \
  do {                                                                                          \
    lend(&lent);                                                                                \
    change;                                                                                     \
    CHECK(slipway_predict_arrow(model, &lent.schema, &lent.array, SLIPWAY_SCORES, 1, raw, 3) == \
          SLIPWAY_INVALID_ARGUMENT);                                                            \
    CHECK(slipway_last_error()[0] != '\0');                                                     \
  } while (0)
  REFUSED(lent.schema.format = "g");
  REFUSED(lent.schema.format = NULL);
  REFUSED(lent.schema.release = NULL);
  REFUSED(lent.array.release = NULL);
  REFUSED(lent.schema.n_children = 3);
  REFUSED(lent.schema.n_children = -1);
  REFUSED(lent.array.n_children = 1);
  REFUSED(lent.schema.children = NULL);
  REFUSED(lent.array.children = NULL);
  REFUSED(lent.field_pointers[1] = NULL);
  REFUSED(lent.column_pointers[1] = NULL);
  REFUSED(lent.array.length = -1);
  REFUSED(lent.array.offset = -1);
  REFUSED(lent.array.length = INT64_MAX);
  REFUSED(lent.array.offset = INT64_MAX);
  REFUSED(lent.array.length = 4); /* one more than the columns have behind the offset */
  REFUSED(lent.columns[0].length = 3);
  REFUSED(lent.columns[0].length = -4);
  REFUSED(lent.columns[0].offset = -1);
  REFUSED(lent.columns[0].offset = INT64_MAX);
  REFUSED(lent.columns[0].n_buffers = 1);
  REFUSED(lent.columns[0].n_buffers = -2);
  REFUSED(lent.columns[0].buffers = NULL);
  REFUSED(lent.size_buffers[1] = NULL);
  REFUSED(lent.fields[0].format = NULL);
  REFUSED(lent.fields[0].format = "d:10,2");
  REFUSED(lent.fields[0].format = "");
  REFUSED(lent.fields[0].format = "u");
  REFUSED(lent.fields[0].format = "tsu:");
  REFUSED(lent.fields[0].name = "mass");
  REFUSED(lent.fields[0].name = NULL);
  REFUSED(lent.fields[1].name = "size");
  REFUSED(lent.fields[1].dictionary = &lent.fields[0]);
  REFUSED((lent.fields[1].dictionary = &lent.fields[0],
           lent.columns[1].dictionary = &lent.columns[0],
           lent.columns[0].length = 1)); /* index 1 of a dictionary of 1 */
  REFUSED((lent.array.null_count = 1, lent.none[0] = lent.kind_valid));
  for (row = 0; row < 3; ++row) raw[row] = 0;
  CHECK(slipway_predict_arrow(model, NULL, NULL, SLIPWAY_SCORES, 1, raw, 3) ==
        SLIPWAY_INVALID_ARGUMENT);
  lend(&lent);
  lent.fields[0].name = "mass";
  lent.fields[1].name = "color";
  CHECK(slipway_predict_arrow(model, &lent.schema, &lent.array, SLIPWAY_SCORES, 1, raw, 3) ==
        SLIPWAY_INVALID_ARGUMENT);
  CHECK(strstr(slipway_last_error(), "'size', 'kind'") != NULL ||
        strstr(slipway_last_error(), "'size' and 'kind'") != NULL);
}

static void test_build(void) {
  static const int64_t node_begin[3] = {0, 1, 1};
  static const int32_t feature[1] = {1}, left[1] = {-1}, right[1] = {-2};
  static const double threshold[1] = {0.5}, leaf[3] = {1, 2, 0.25}, base[1] = {10};
  static const uint8_t default_left[1] = {1};
  const double rows[3][2] = {{0, 0.5}, {0, 0.6}, {0, 0}};
  double raw[3];
  slipway_model* model = NULL;
  slipway_forest forest;
  slipway_matrix matrix = {NULL, 3, 2, 16, 8, SLIPWAY_FLOAT64};
  matrix.data = rows;
  memset(&forest, 0, sizeof forest);
  forest.struct_size = sizeof forest;
  forest.feature_count = 2;
  forest.score_count = 1;
  forest.tree_count = 2;
  forest.value_rule = SLIPWAY_VALUES_PLAIN;
  forest.sigmoid = 1;
  forest.base = base;
  forest.node_begin = node_begin;
  forest.split_feature = feature;
  forest.threshold = threshold;
  forest.left = left;
  forest.right = right;
  forest.default_left = default_left;
  forest.leaf_value = leaf;
  CHECK(slipway_build(&forest, &model) == SLIPWAY_OK);
  CHECK(slipway_predict(model, &matrix, SLIPWAY_RAW_SCORES, 1, raw, 3) == SLIPWAY_OK);
  CHECK(raw[0] == 11.25 && raw[1] == 12.25 && raw[2] == 11.25);
  slipway_close(model);
  model = NULL;
  {
    static const int32_t bad_left[1] = {0}, bad_feature[1] = {2};
    forest.left = bad_left; /* a cycle */
    CHECK(slipway_build(&forest, &model) == SLIPWAY_CORRUPTION);
    forest.left = left;
    forest.split_feature = bad_feature;
    CHECK(slipway_build(&forest, &model) == SLIPWAY_CORRUPTION);
    forest.split_feature = NULL;
    CHECK(slipway_build(&forest, &model) == SLIPWAY_INVALID_ARGUMENT);
    forest.split_feature = feature;
    forest.tree_count = -1;
    CHECK(slipway_build(&forest, &model) == SLIPWAY_INVALID_ARGUMENT);
    forest.tree_count = 2;
    forest.struct_size = 8;
    CHECK(slipway_build(&forest, &model) == SLIPWAY_INVALID_ARGUMENT);
  }
  CHECK(model == NULL);
}

static void test_errors(void) {
  slipway_model* model = NULL;
  CHECK(slipway_open("/nonexistent/model.txt", &model) == SLIPWAY_NOT_FOUND);
  CHECK(strstr(slipway_last_error(), "/nonexistent/model.txt") != NULL);
  CHECK(slipway_open(NULL, &model) == SLIPWAY_INVALID_ARGUMENT);
  CHECK(slipway_open_bytes("nonsense", 8, &model) == SLIPWAY_INVALID_ARGUMENT);
  CHECK(slipway_open_bytes(NULL, 0, &model) == SLIPWAY_INVALID_ARGUMENT);
  CHECK(slipway_open_bytes(kModel, 200, &model) == SLIPWAY_CORRUPTION);
  CHECK(slipway_open_bytes(kModel, sizeof kModel - 1, NULL) == SLIPWAY_INVALID_ARGUMENT);
  CHECK(slipway_build(NULL, &model) == SLIPWAY_INVALID_ARGUMENT);
  CHECK(model == NULL);
  slipway_close(NULL);
  CHECK(strcmp(slipway_describe(NULL), "") == 0);
}

/* ---- One model, many threads ---- */

enum { kThreads = 8, kRows = 3000, kRounds = 20 };

struct job {
  const slipway_model* model;
  const double* rows;
  const double* expected;
  int wrong;
};

static void* score_in_a_thread(void* argument) {
  struct job* job = argument;
  double* raw = malloc(kRows * sizeof *raw);
  int round;
  for (round = 0; round < kRounds; ++round) {
    slipway_matrix matrix = {NULL, kRows, 2, 16, 8, SLIPWAY_FLOAT64};
    matrix.data = job->rows;
    memset(raw, 0, kRows * sizeof *raw);
    if (slipway_predict(job->model, &matrix, SLIPWAY_RAW_SCORES, 1 + round % 3, raw, kRows) !=
            SLIPWAY_OK ||
        memcmp(raw, job->expected, kRows * sizeof *raw) != 0) {
      ++job->wrong;
    }
    /* The message of this thread's error is not another's. */
    matrix.columns = 100 + round;
    if (slipway_predict(job->model, &matrix, SLIPWAY_SCORES, 1, raw, kRows) == SLIPWAY_OK ||
        strstr(slipway_last_error(), "columns") == NULL) {
      ++job->wrong;
    }
  }
  free(raw);
  return NULL;
}

static void test_threads(const slipway_model* model) {
  double(*rows)[2] = malloc(kRows * sizeof *rows);
  double* expected = malloc(kRows * sizeof *expected);
  pthread_t threads[kThreads];
  struct job jobs[kThreads];
  int i;
  for (i = 0; i < kRows; ++i) {
    rows[i][0] = i % 5;
    rows[i][1] = i % 3;
    expected[i] = i % 5 > 2 ? 0.3 : i % 3 == 1 ? 0.25 : -1.5;
  }
  for (i = 0; i < kThreads; ++i) {
    jobs[i].model = model;
    jobs[i].rows = &rows[0][0];
    jobs[i].expected = expected;
    jobs[i].wrong = 0;
    CHECK(pthread_create(&threads[i], NULL, score_in_a_thread, &jobs[i]) == 0);
  }
  for (i = 0; i < kThreads; ++i) {
    pthread_join(threads[i], NULL);
    CHECK(jobs[i].wrong == 0);
  }
  free(rows);
  free(expected);
}

int main(void) {
  slipway_model* model = open_model();
  test_versions();
  if (model != NULL) {
    test_description(model);
    test_matrices(model);
    test_columns(model);
    test_arrow(model);
    test_foreign_structs(model);
    test_threads(model);
  }
  test_build();
  test_errors();
  slipway_close(model);
  printf("%d checks, %d failed\n", checks, failures);
  if (failures == 0) printf("[  PASSED  ] 9 tests.\n");
  return failures == 0 ? 0 : 1;
}
