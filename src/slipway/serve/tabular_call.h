// From a request in a protocol of columns (Open Inference Protocol, MLflow) to the answers of a
// prediction endpoint: who may ask, which generation, loop or worker, statistics, query log. As the
// user API does it; the words are the protocol's own.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/http/server.h"
#include "slipway/serve/node.h"
#include "slipway/serve/tabular_answers.h"
#include "slipway/serve/tabular_rows.h"
#include "slipway/serve/user_request.h"

namespace slipway {

struct TabularTarget {
  std::string service;
  std::string endpoint;    // empty: the only one that predicts
  std::string generation;  // empty: as mapped
  std::string name;        // as the request had it
};

// What a protocol's reader works with while it answers one request.
class TabularSession {
 public:
  virtual ~TabularSession() = default;
  virtual const EndpointColumns& columns() const = 0;
  virtual const TabularTarget& target() const = 0;
  virtual std::string_view generation() const = 0;
  // Scores all rows into *answers. Errors are the request's.
  virtual Status Score(TabularRows* rows, TabularAnswers* answers) = 0;
  // The status for the error that Answer returns, when its code does not say it.
  virtual void SetStatus(int status) = 0;
};

// How a protocol reads and words things. Immutable and thread-safe.
class TabularDialect {
 public:
  virtual ~TabularDialect() = default;
  virtual std::string_view verb() const = 0;  // in the query log
  virtual void WriteError(int status, const Error& error, HttpReply* reply) const = 0;
  // Fills the reply. `body` is inflated; kHttpPadding readable bytes follow it. On a loop's thread
  // or a worker's.
  virtual Status Answer(const HttpRequest& request, std::string_view body, TabularSession* session,
                        HttpReply* reply) const = 0;
};

// Endpoints that predict; the names are views into the table.
struct TabularModel {
  const ServedService* service = nullptr;
  const ServedGeneration* generation = nullptr;
  std::string_view endpoint;
  CallRules rules;
  bool alone = false;  // the service has no other: its name is enough
};

// Thread-safe: every slot (loop or worker) has a state of its own.
class TabularCalls {
 public:
  explicit TabularCalls(NodeParts* parts);
  ~TabularCalls();

  // `dialect` must outlive the node's workers.
  HttpOutcome Run(const TabularTarget& target, const TabularDialect& dialect,
                  const HttpRequest& request, HttpReply* reply, HttpExchange* exchange);

  // For the calls that only tell about models, on a loop's thread.
  std::shared_ptr<const ServiceTable> table(int loop);
  // Every endpoint that predicts of every service that this caller may ask.
  std::vector<TabularModel> Models(const ServiceTable& table, int loop, const HttpRequest& request);
  // One of them. Nullopt with *status and *error: there is none, or the caller may not ask it
  // (`open`: anyone may).
  std::optional<TabularModel> Find(const ServiceTable& table, const TabularTarget& target, int loop,
                                   const HttpRequest& request, bool open, int* status,
                                   Error* error);
  void Tick(int loop);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slipway
