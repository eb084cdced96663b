#include "slipway/http/router.h"

#include <stdexcept>

#include <gtest/gtest.h>

#include "slipway/base/json.h"

namespace slipway {
namespace {

Router MakeRouter() {
  Router router;
  router.Add({"GET", "/api/v1/projects/{project}", "read", "one project",
              [](const Request& r) -> Result<Response> {
                return JsonResponse({{"name", r.params.at("project")}});
              }});
  router.Add({"GET", "/throws", "read", "throws",
              [](const Request&) -> Result<Response> { throw std::runtime_error("boom"); }});
  router.Add({"GET", "/missing", "read", "fails", [](const Request&) -> Result<Response> {
                return NotFound("no model 'x'", "did you mean 'y'?");
              }});
  return router;
}

TEST(Router, FillsTheParametersOfThePattern) {
  const Response response =
      MakeRouter().Dispatch({.method = "GET", .path = "/api/v1/projects/taxi"});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"name":"taxi"})");
}

TEST(Router, TellsAnUnknownPathFromAnotherMethod) {
  EXPECT_EQ(MakeRouter().Dispatch({.method = "GET", .path = "/nowhere"}).status, 404);
  EXPECT_EQ(MakeRouter().Dispatch({.method = "GET", .path = "/api/v1/projects/"}).status, 404);
  EXPECT_EQ(MakeRouter().Dispatch({.method = "DELETE", .path = "/api/v1/projects/taxi"}).status,
            405);
}

TEST(Router, ErrorsCrossAsProblemJsonAndBack) {
  const Response response = MakeRouter().Dispatch({.method = "GET", .path = "/missing"});
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.content_type, "application/problem+json");
  const Error error = ErrorFromResponse(response);
  EXPECT_EQ(error.code, ErrorCode::kNotFound);
  EXPECT_EQ(error.message, "no model 'x'");
  EXPECT_EQ(error.hint, "did you mean 'y'?");
}

TEST(Router, AThrowingHandlerIsAnAnswerNotACrash) {
  EXPECT_EQ(MakeRouter().Dispatch({.method = "GET", .path = "/throws"}).status, 500);
}

}  // namespace
}  // namespace slipway
