#include "slipway/serve/prediction_endpoint.h"

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/bundle/model.h"
#include "slipway/serve/allocation_for_test.h"
#include "slipway/serve/serve_for_test.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

using ::testing::HasSubstr;

class PredictionEndpointTest : public ::testing::Test {
 protected:
  PredictionEndpointTest() : generation_(package_.Load()) {}
  const ServedEndpoint& endpoint(const char* id) const { return *generation_->Find(id); }
  // The result of one record; null on an error, which error() then tells.
  Json Predict(const char* id, const std::string& body) {
    const EndpointAnswerForTest answer = AskEndpoint(endpoint(id), Verb::kPredict, body);
    error_ = answer.outcome.error ? answer.outcome.error->message : "";
    return error_.empty() ? (*ParseJson(answer.text))["result"] : Json();
  }
  Json PredictMulti(const char* id, const std::string& body, int64_t most = 0) {
    const EndpointAnswerForTest answer = AskEndpoint(endpoint(id), Verb::kPredictMulti, body, most);
    error_ = answer.outcome.error ? answer.outcome.error->message : "";
    outcome_ = answer.outcome;
    return error_.empty() ? (*ParseJson(answer.text))["results"] : Json();
  }
  const std::string& error() const { return error_; }

  const ServedPackageForTest package_;
  std::shared_ptr<const Generation> generation_;
  std::string error_;
  CallOutcome outcome_;
};

// What batch scoring gives for rows of CSV texts: one column per output.
std::vector<std::vector<std::string>> BatchTexts(
    const Model& model, const std::vector<std::vector<std::string>>& rows) {
  OwnedBatch batch(model.inputs());
  batch.rows = static_cast<int>(rows.size());
  for (int row = 0; row < batch.rows; ++row) {
    for (int i = 0; i < model.inputs().size(); ++i) {
      EXPECT_TRUE(ParseCellInto(rows[static_cast<size_t>(row)][static_cast<size_t>(i)], row,
                                &batch.column(i)));
    }
  }
  ModelScratch scratch;
  std::vector<std::vector<std::string>> out(rows.size());
  const std::span<const ColumnView> columns = model.Score(batch.View(), &scratch);
  for (int row = 0; row < batch.rows; ++row) {
    for (const ColumnView& column : columns)
      AppendCell(column, row, &out[static_cast<size_t>(row)].emplace_back());
  }
  return out;
}

TEST_F(PredictionEndpointTest, EqualsBatchScoringBitForBit) {
  const auto model = Model::Open(package_.bundle(), {.explain = 2});
  ASSERT_TRUE(model.ok());
  std::vector<std::vector<std::string>> rows;
  for (const char* size : {"1", "2.5", "", "-0", "1e3", " 7 ", "nan", "-200", "0.1"}) {
    for (const char* kind : {"red", "green", "blue", "", "unheard of"})
      rows.push_back({size, kind});
  }
  const auto batch = BatchTexts(**model, rows);
  std::string items;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string features = DumpJson(Json{{"size", rows[i][0]}, {"kind", rows[i][1]}});
    items += (i == 0 ? "" : ",") + ("{\"features\":" + features + "}");
    const Json found =
        Predict("sold", "{\"features\":" + features + R"(,"explanations":{"enabled":true}})");
    ASSERT_EQ(error(), "");
    if (batch[i][0].empty()) {
      EXPECT_EQ(found, (Json{{"ignored", true}, {"ignoreReason", "DROPPED_BY_MODEL"}}));
      continue;
    }
    EXPECT_EQ(FormatDouble(found["probas"]["false"]), batch[i][0]);
    EXPECT_EQ(FormatDouble(found["probas"]["true"]), batch[i][1]);
    EXPECT_EQ(found["prediction"], batch[i][2]);
    EXPECT_EQ(DumpJson(found["explanations"]), batch[i][3]);
    EXPECT_EQ(found["ignored"], false);
  }
  const Json many = PredictMulti("sold", "{\"items\":[" + items + "]}");
  ASSERT_EQ(many.size(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    if (batch[i][0].empty()) continue;
    EXPECT_EQ(FormatDouble(many[i]["probas"]["true"]), batch[i][1]);
    EXPECT_FALSE(many[i].contains("explanations"));
  }
}

TEST_F(PredictionEndpointTest, AnswersHaveOneOrderOfMembers) {
  const EndpointAnswerForTest answer = AskEndpoint(
      endpoint("sold"), Verb::kPredict,
      R"({"features":{"size":1,"kind":"green"},"explanations":{"enabled":true,"nExplanations":1}})");
  EXPECT_THAT(answer.text, ::testing::MatchesRegex(
                               R"(\{"result":\{"prediction":"true","probas":\{"false":0[.0-9e-]+,)"
                               R"("true":0[.0-9e-]+\},"explanations":\{"[a-z]+":[-.0-9e]+\},)"
                               R"("ignored":false\}\})"));
}

TEST_F(PredictionEndpointTest, TheQuirksOfClientsAreTaken) {
  const Json plain = Predict("sold", R"({"features":{"kind":"red"}})");
  ASSERT_EQ(error(), "");
  for (const char* body :
       {R"({"features":{"size":NaN,"kind":"red"}})",
        R"({"features":{"size":Infinity,"kind":"red"}})",
        R"({"features":{"size":-Infinity,"kind":"red"}})",
        R"({"explanations":{"enabled":null,"method":null,"nExplanations":null,)"
        R"("nMonteCarloSteps":null},"features":{"size":null,"kind":"red"}})",
        R"({"features":{"kind":"red","other":[1,{"a":null}]},"context":{"user":1},)"
        R"("dispatch":{"dispatchKey":"x"},"explanations":null})",
        R"({"features":{"k\u0069nd":"r\u0065d","size":""}})"}) {
    EXPECT_EQ(Predict("sold", body), plain) << body << error();
  }
  const EndpointAnswerForTest query =
      AskEndpoint(endpoint("sold"), Verb::kPredictSimple, "kind=red&size=&other=True");
  EXPECT_EQ((*ParseJson(query.text))["result"], plain);
}

TEST_F(PredictionEndpointTest, ErrorsOfOneRecordNameFeatureValueAndType) {
  Predict("sold", R"({"features":{"size":"big"}})");
  EXPECT_EQ(error(), "feature 'size': 'big' is not a number");
  Predict("sold", R"({"features":{"size":[1]}})");
  EXPECT_EQ(error(), "feature 'size': '[1]' is not a number");
  Predict("sold", R"({"features":{"size":true}})");
  EXPECT_EQ(error(), "feature 'size': 'true' is not a number");
  Predict("sold", R"({"features":{"size":1,"size":1}})");
  EXPECT_EQ(error(), "feature 'size' stands twice");
  Predict("sold", R"({"features":{"size":1},"features":{}})");
  EXPECT_THAT(error(), HasSubstr("stands twice"));
  Predict("sold", R"({"features":[]})");
  EXPECT_EQ(error(), "features is no object");
  Predict("sold", "");
  EXPECT_EQ(error(), "the body has no 'features'");
  Predict("sold", R"({"features":{"size":1}} {})");
  EXPECT_THAT(error(), HasSubstr("line 1, column 24"));
}

TEST_F(PredictionEndpointTest, ExplanationsAreCheckedAndBounded) {
  const std::string features = R"({"features":{"size":1,"kind":"red"},"explanations":)";
  EXPECT_EQ(Predict("sold", features + R"({"enabled":true}})")["explanations"].size(), 2u);
  EXPECT_EQ(Predict("sold",
                    features +
                        R"({"enabled":true,"nExplanations":1,"method":"SHAPLEY"}})")["explanations"]
                .size(),
            1u);
  EXPECT_FALSE(Predict("sold", features + R"({"enabled":false}})").contains("explanations"));
  for (const char* wrong :
       {R"({"enabled":1}})", R"({"enabled":true,"method":"ICE"}})", R"({"nExplanations":0}})",
        R"({"nExplanations":1.5}})", R"({"nExplanations":10001}})", R"("yes"})",
        R"({"nMonteCarloSteps":"x"}})"}) {
    Predict("sold", features + wrong);
    EXPECT_THAT(error(), HasSubstr("explanations")) << wrong;
  }
}

TEST_F(PredictionEndpointTest, OneBadRecordDoesNotFailTheOthers) {
  const Json results = PredictMulti(
      "sold", R"({"items":[{"features":{"size":1,"kind":"red"}},{"features":{"size":"big"}},7,{},)"
              R"({"features":{"size":-200}},{"context":{},"features":{"size":1,"kind":"red"}}]})");
  ASSERT_EQ(error(), "");
  ASSERT_EQ(results.size(), 6u);
  EXPECT_EQ(results[0]["ignored"], false);
  EXPECT_EQ(results[1]["ignored"], true);
  EXPECT_EQ(results[1]["ignoreReason"], "BAD_RECORD");
  EXPECT_EQ(results[1]["error"]["errorType"], "InvalidArgumentException");
  EXPECT_EQ(results[1]["error"]["message"], "feature 'size': 'big' is not a number");
  EXPECT_TRUE(results[1]["error"].contains("detailedMessage"));
  EXPECT_EQ(results[2]["error"]["message"], "the record is no object");
  EXPECT_EQ(results[3]["error"]["message"], "the record has no object 'features'");
  EXPECT_EQ(results[4]["ignoreReason"], "DROPPED_BY_MODEL");
  EXPECT_EQ(results[5], results[0]);
  EXPECT_EQ(outcome_.records, 6);
  EXPECT_EQ(outcome_.failed, 3);
  EXPECT_EQ(outcome_.ignored, 1);
}

TEST_F(PredictionEndpointTest, ManyRecordsAreBlocksAndTheWholeBodyIsChecked) {
  std::string body = "{\"items\":[";
  constexpr int kRecords = 2 * kBatchRows + 5;
  for (int i = 0; i < kRecords; ++i)
    body += (i == 0 ? "" : ",") + std::string(R"({"features":{"kind":"r\u0065d","size":)") +
            std::to_string(i % 7) + "}}";
  const std::string explained = body + R"(],"explanations":{"enabled":true}})";
  const Json results = PredictMulti("sold", explained);
  ASSERT_EQ(error(), "");
  ASSERT_EQ(results.size(), static_cast<size_t>(kRecords));
  for (size_t i = 7; i < results.size(); ++i) ASSERT_EQ(results[i], results[i - 7]);
  EXPECT_EQ(results[kRecords - 1]["explanations"].size(), 2u);

  PredictMulti("sold", body + "],}");
  EXPECT_THAT(error(), HasSubstr("key in double quotes"));
  PredictMulti("sold", body + "],\"items\":[]}");
  EXPECT_THAT(error(), HasSubstr("stands twice"));
  PredictMulti("sold", body + "]}", kRecords - 1);
  EXPECT_THAT(error(), HasSubstr("more than " + std::to_string(kRecords - 1) + " records"));
  EXPECT_EQ(outcome_.status, 413);
  EXPECT_EQ(PredictMulti("sold", body + "]}", kRecords).size(), static_cast<size_t>(kRecords));
  EXPECT_EQ(PredictMulti("sold", R"({"items":[]})"), Json::array());
  PredictMulti("sold", R"({"items":{}})");
  EXPECT_EQ(error(), "items is no array");
  PredictMulti("sold", "{}");
  EXPECT_EQ(error(), "the body has no 'items'");
}

TEST_F(PredictionEndpointTest, TablesFillWhatTheRecordLacks) {
  const auto sold = [&](const std::string& features) {
    return Predict("sold", "{\"features\":" + features + "}");
  };
  const auto enriched = [&](const std::string& features) {
    return Predict("enriched", "{\"features\":" + features + "}");
  };
  EXPECT_EQ(enriched(R"({"shop_id":1})"), sold(R"({"size":1,"kind":"green"})"));
  EXPECT_EQ(enriched(R"({"shop_id":"1","size":4})"), sold(R"({"size":4,"kind":"green"})"));
  EXPECT_EQ(enriched(R"({"shop_id":3})"), sold("{}"));  // the row's cells are null
  EXPECT_EQ(enriched(R"({"size":4,"kind":"red","shop_id":99})"),
            sold(R"({"size":4,"kind":"red"})"));
  EXPECT_EQ(enriched("{}"), sold("{}"));  // missing_key: continue
  EXPECT_EQ(enriched(R"({"shop_id":99})"),
            (Json{{"ignored", true}, {"ignoreReason", "NO_LOOKUP_MATCH"}}));
  EXPECT_TRUE(enriched(R"({"shop_id":2})").is_null());
  EXPECT_THAT(error(), HasSubstr("several rows"));
  const Json many = PredictMulti(
      "enriched", R"({"items":[{"features":{"shop_id":2}},{"features":{"shop_id":1}}]})");
  EXPECT_EQ(many[0]["ignoreReason"], "MULTIPLE_LOOKUP_MATCHES");
  EXPECT_THAT(many[0]["error"]["message"].get<std::string>(), HasSubstr("several rows"));
  EXPECT_EQ(many[1]["ignored"], false);
}

TEST_F(PredictionEndpointTest, GatheredCallsAreAnsweredAsEachWouldBeAlone) {
  const std::string on = R"(,"explanations":{"enabled":true}})";
  std::vector<std::string> bodies = {
      R"({"features":{"size":1,"kind":"green"})" + on,
      R"({"features":{"size":"two"})" + on,
      R"({"features":{"size":-200})" + on,  // dropped by the model
      R"({"explanations":{"enabled":true,"nExplanations":1},"features":{"size":7,"kind":"red"}})",
      R"({"features":{"size":1,"kind":"green"},"explanations":{"enabled":false}})",
      R"({"features":{"size":1)",
      R"({"explanations":{"enabled":true}})",
      R"({"features":{"size":1},"explanations":{"nExplanations":0,"enabled":true}})",
      R"({"features":{"shop_id":2})" + on,
      R"({"features":{"shop_id":99})" + on,
      R"({"context":{"a":[1]},"features":{"shop_id":1,"size":4})" + on};
  while (bodies.size() < kMostGathered)
    bodies.push_back(R"({"features":{"size":)" + std::to_string(bodies.size()) + "}" + on);
  for (const char* id : {"sold", "enriched"}) {
    const ServedEndpoint& asked = endpoint(id);
    const auto scratch = asked.MakeScratch();
    for (const size_t count : {size_t{1}, size_t{5}, bodies.size()}) {
      std::vector<std::string> padded(count), texts(count);
      std::vector<CallOutcome> outcomes(count);
      std::vector<GatheredCall> calls(count);
      for (size_t i = 0; i < count; ++i) {
        padded[i] = bodies[i] + std::string(kHttpPadding, '}');
        texts[i] = "{";
        calls[i].call.input = std::string_view(padded[i]).substr(0, bodies[i].size());
        calls[i].out = &texts[i];
        calls[i].log = true;
        calls[i].outcome = &outcomes[i];
      }
      asked.AnswerGathered(calls, scratch.get());
      for (size_t i = 0; i < count; ++i) {
        const EndpointAnswerForTest alone =
            AskEndpoint(asked, Verb::kPredict, bodies[i], 0, nullptr, true);
        SCOPED_TRACE(std::string(id) + " " + bodies[i]);
        EXPECT_EQ(texts[i] + "}", alone.text);
        ASSERT_EQ(outcomes[i].error.has_value(), alone.outcome.error.has_value());
        if (alone.outcome.error) {
          EXPECT_EQ(outcomes[i].error->message, alone.outcome.error->message);
          continue;
        }
        EXPECT_EQ(outcomes[i].ignored, alone.outcome.ignored);
        EXPECT_EQ(outcomes[i].records, 1);
        ASSERT_EQ(outcomes[i].logged.size(), 1u);
        EXPECT_EQ("{\"result\":" + std::string(outcomes[i].logged[0].result) + "}", alone.text);
        const bool context = bodies[i].find("context") != std::string::npos;
        EXPECT_EQ(outcomes[i].logged[0].context, context ? R"({"a":[1]})" : "");
      }
    }
  }
}

TEST_F(PredictionEndpointTest, LogsFeaturesAndResultsAsTheyLie) {
  const ServedEndpoint& sold = endpoint("sold");
  const auto scratch = sold.MakeScratch();
  std::string body = R"({"items":[{"features":{"size": 1}},{"features":{"size":"x"}}]})";
  const size_t size = body.size();
  body.append(kHttpPadding, ' ');
  EndpointCall call;
  call.verb = Verb::kPredictMulti;
  call.input = std::string_view(body).substr(0, size);
  std::string out;
  CallOutcome outcome;
  sold.Answer(call, scratch.get(), &out, true, &outcome);
  ASSERT_EQ(outcome.logged.size(), 2u);
  EXPECT_EQ(outcome.logged[0].features, R"({"size": 1})");
  EXPECT_EQ(outcome.logged[1].features, R"({"size":"x"})");
  const char* const data = out.data();
  out.append(kAnswerTail, '!');
  ASSERT_EQ(out.data(), data);
  EXPECT_EQ((*ParseJson(outcome.logged[0].result))["ignored"], false);
  EXPECT_EQ((*ParseJson(outcome.logged[1].result))["ignoreReason"], "BAD_RECORD");
}

TEST_F(PredictionEndpointTest, AWarmRecordAllocatesNothing) {
  for (const char* id : {"sold", "bare"}) {
    const ServedEndpoint& served = endpoint(id);
    const auto scratch = served.MakeScratch();
    std::string body = id == std::string("sold")
                           ? R"({"features":{"size":1.5,"kind":"gr\u0065en"}})"
                           : R"({"features":{"size":1.5,"kind":1}})";
    const size_t size = body.size();
    body.append(kHttpPadding, ' ');
    EndpointCall call;
    call.input = std::string_view(body).substr(0, size);
    std::string out;
    CallOutcome outcome;
    AllocationCounter counter;
    for (int i = 0; i < 20; ++i) {
      if (i == 10) counter.Start();
      out.clear();
      outcome.Clear();
      served.Answer(call, scratch.get(), &out, true, &outcome);
    }
    EXPECT_EQ(counter.Stop(), 0) << id;
    EXPECT_FALSE(outcome.error);
  }
}

TEST_F(PredictionEndpointTest, EstimatesGrowWithRecordsAndExplanations) {
  const ServedEndpoint& sold = endpoint("sold");
  const auto estimate = [&](Verb verb, std::string body) {
    EndpointCall call;
    call.verb = verb;
    call.input = body;
    return sold.EstimateMicros(call);
  };
  const double one = estimate(Verb::kPredict, R"({"features":{}})");
  const double explained =
      estimate(Verb::kPredict, R"({"features":{},"explanations": {"enabled" : true}})");
  const double client =
      estimate(Verb::kPredict, R"({"features":{},"explanations":{"enabled":null}})");
  EXPECT_GT(explained, 20 * one);
  EXPECT_LT(client, 3 * one);
  EXPECT_GT(estimate(Verb::kPredictMulti, std::string(100'000, ' ')), 100.0);
}

}  // namespace
}  // namespace slipway
