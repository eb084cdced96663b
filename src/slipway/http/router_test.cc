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

TEST(Router, NeverServesARouteThatSaysNoPermission) {
  const Handler handler = [](const Request&) -> Result<Response> { return Response(); };
  for (const char* permission : {"", "reed", "everybody"}) {
    Router router;
    EXPECT_DEATH(router.Add({"GET", "/x", permission, "a route", handler}), "no permission")
        << permission;
  }
}

TEST(Router, ChecksTheKeysThatARouteDeclares) {
  Router router;
  router.Add({"POST",
              "/x",
              "write",
              "takes keys",
              [](const Request&) -> Result<Response> { return JsonResponse({{"ok", true}}); },
              {.body = std::vector<RouteKey>{{"name", "string", true},
                                             {"mode", "a|b"},
                                             {"flag", "boolean"},
                                             {"list", "strings"}},
               .query = std::vector<RouteKey>{{"rows", "integer"}}}});
  const auto ask = [&](const std::string& body, std::map<std::string, std::string> query = {}) {
    return router
        .Dispatch({.method = "POST", .path = "/x", .query = std::move(query), .body = body})
        .status;
  };
  EXPECT_EQ(ask(R"({"name":"n","mode":"b","flag":false,"list":["x"]})"), 200);
  EXPECT_EQ(ask(R"({"name":"n"})", {{"rows", "3"}}), 200);
  for (const char* wrong :
       {"", "[]", "{}", R"({"name":1})", R"({"name":"n","mode":"c"})", R"({"name":"n","nam":1})",
        R"({"name":"n","flag":"true"})", R"({"name":"n","list":[1]})", "{"}) {
    EXPECT_EQ(ask(wrong), 400) << wrong;
  }
  EXPECT_EQ(ask(R"({"name":"n"})", {{"rows", "x"}}), 400);
  EXPECT_EQ(ask(R"({"name":"n"})", {{"row", "3"}}), 400);
}

TEST(Router, SaysWhatAPathTakes) {
  const Response response = MakeRouter().Dispatch({.method = "PUT", .path = "/missing"});
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.headers.at("Allow"), "GET");
}

}  // namespace
}  // namespace slipway
