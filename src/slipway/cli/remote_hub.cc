#include "slipway/cli/remote_hub.h"

#include <chrono>
#include <cstdlib>
#include <optional>
#include <thread>
#include <utility>

#include "slipway/base/clock.h"
#include "slipway/base/json.h"
#include "slipway/base/process.h"
#include "slipway/base/text.h"
#include "slipway/registry/home.h"

namespace slipway {
namespace {

constexpr size_t kMaxKeyFile = 4096;
constexpr int kReconnects = 20;  // in a row without an event

// The lines of server-sent events, cut into events.
class EventReader {
 public:
  explicit EventReader(std::function<void(const Json&)> on_event)
      : on_event_(std::move(on_event)) {}

  void Take(std::string_view bytes) {
    rest_ += bytes;
    for (size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n')) {
      Line(rest_.substr(0, end));
      rest_.erase(0, end + 1);
    }
  }
  void Restart() {
    rest_.clear();
    data_.clear();
  }
  const std::string& last_id() const { return last_id_; }

 private:
  void Line(const std::string& line) {
    if (line.empty()) {
      if (auto event = ParseJson(data_); !data_.empty() && event.ok()) on_event_(*event);
      data_.clear();
    } else if (line.starts_with("data: ")) {
      data_ += line.substr(6);
    } else if (line.starts_with("id: ")) {
      last_id_ = line.substr(4);
    }
  }

  const std::function<void(const Json&)> on_event_;
  std::string rest_, data_, last_id_;
};

ActivityRecord ActivityFromJson(const Json& json) {
  ActivityRecord activity;
  activity.recipe = json.value("recipe", "");
  activity.output = json.value("output", "");
  activity.status = json.value("status", "");
  activity.reason = json.value("reason", "");
  activity.seconds = json.value("seconds", 0.0);
  if (const Json* rows = FindMember(json, "rows"); rows != nullptr && rows->is_number_integer())
    activity.rows = rows->get<int64_t>();
  if (const Json* error = FindMember(json, "error"); error != nullptr && error->is_string())
    activity.error = error->get<std::string>();
  if (const Json* details = FindMember(json, "details")) activity.details_json = DumpJson(*details);
  return activity;
}

JobEvent EventFromJson(const Json& json) {
  JobEvent event;
  const std::string kind = json.value("kind", "");
  event.kind = kind == "started"    ? JobEvent::Kind::kStarted
               : kind == "finished" ? JobEvent::Kind::kFinished
                                    : JobEvent::Kind::kProgress;
  event.index = json.value("index", int64_t{0});
  if (const Json* activity = FindMember(json, "activity"); activity != nullptr)
    event.activity = ActivityFromJson(*activity);
  event.progress.stage = json.value("stage", "");
  event.progress.part = json.value("part", -1.0);
  event.progress.rows = json.value("rows", int64_t{0});
  event.progress.detail = json.value("detail", "");
  return event;
}

bool IsJson(const HttpAnswer& answer) {
  const std::string type = answer.Header("content-type");
  return type.starts_with("application/json") || type.starts_with("application/problem+json");
}

}  // namespace

Result<std::string> ReadApiKey(const std::string& key_file) {
  if (!key_file.empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadFile(key_file, kMaxKeyFile));
    std::string key(Trim(text));
    if (key.empty())
      return InvalidArgument("'" + key_file + "' holds no API key",
                             "slipway key create --label NAME > FILE makes one");
    return key;
  }
  const char* key = std::getenv("SLIPWAY_API_KEY");
  return std::string(key != nullptr ? key : "");
}

Result<std::unique_ptr<RemoteHubClient>> RemoteHubClient::Make(const RemoteHubOptions& options) {
  std::unique_ptr<RemoteHubClient> hub(new RemoteHubClient());
  hub->options_ = options;
  while (hub->options_.url.ends_with("/")) hub->options_.url.pop_back();
  if (!hub->options_.url.starts_with("http://") && !hub->options_.url.starts_with("https://"))
    return InvalidArgument("'" + options.url + "' is no hub's URL",
                           "for example --server http://127.0.0.1:7600");
  HttpClientOptions client;
  client.total_seconds = 0;  // a look at large files takes its time
  client.user_agent = "slipway-cli";
  client.insecure = options.insecure;
  if (const char* ca = std::getenv("SLIPWAY_CA_FILE"); ca != nullptr) client.ca_file = ca;
  hub->client_ = std::make_unique<HttpClient>(client);
  return hub;
}

Result<std::unique_ptr<RemoteHubClient>> RemoteHubClient::OfHome(const std::string& home,
                                                                 const std::string& key_file) {
  const auto none = [] { return std::unique_ptr<RemoteHubClient>(); };
  const auto text = ReadFile(JoinPath(home, "hub.json"), 1 << 16);
  if (!text.ok()) return none();
  const auto json = ParseJson(*text);
  // A live hub holds the home's lock, and says so.
  if (!json.ok() || !json->is_object() || !FileLock::IsHeld(JoinPath(home, "lock"))) return none();
  const auto holder = ReadFile(JoinPath(home, "lock.info"), 4096);
  const std::string process = "process " + std::to_string(json->value("pid", int64_t{0})) + ":";
  if (!holder.ok() || !holder->starts_with(process)) return none();
  const auto token = ReadFile(JoinPath(home, "hub.token"), kMaxKeyFile);
  if (key_file.empty() && !token.ok()) {
    if (token.error().code == ErrorCode::kNotFound) return none();  // it is just ending
    return PermissionDenied("a hub serves '" + home + "', and its hub.token cannot be read",
                            "as another user: give a key of your own with --key-file FILE");
  }
  const std::string url = json->value("url", "");
  const std::string host = json->value("host", "");
  const bool elsewhere = !host.empty() && host != HostName();
  if (elsewhere) {
    // Its token would cross the network; and 127.0.0.1 is another machine there.
    return Unavailable("a hub on '" + host + "' serves '" + home + "'",
                       "ask it with a key of your own: --server URL --key-file FILE");
  }
  // An address of this machine, where the process holds the home's lock: nobody is between us.
  const bool near =
      url.starts_with("https://127.") || url.starts_with("https://[::1]") || !host.empty();
  std::string key(key_file.empty() ? Trim(*token) : "");
  if (!key_file.empty()) {
    ASSIGN_OR_RETURN(key, ReadApiKey(key_file));
  }
  ASSIGN_OR_RETURN(auto hub, Make({.url = url, .key = std::move(key), .insecure = near}));
  hub->home_ = home;
  hub->key_file_ = key_file;
  return hub;
}

bool RemoteHubClient::TakeNewHub() {
  if (home_.empty()) return false;
  auto found = OfHome(home_, key_file_);
  if (!found.ok() || *found == nullptr) return false;
  if ((*found)->options_.key == options_.key && (*found)->options_.url == options_.url)
    return false;
  options_ = (*found)->options_;
  client_ = std::move((*found)->client_);
  return true;
}

Result<Response> RemoteHubClient::Send(const std::string& method, const std::string& path,
                                       const std::string& body, const std::string& upload,
                                       const std::map<std::string, std::string>& headers,
                                       const std::string& answer_file) {
  HttpCall call;
  call.method = method;
  call.url = options_.url + path;
  call.headers.emplace_back("Accept", "*/*");
  for (const auto& [name, value] : headers) call.headers.emplace_back(name, value);
  if (!options_.key.empty()) call.headers.emplace_back("Authorization", "Bearer " + options_.key);
  if (!upload.empty()) {
    call.headers.emplace_back("Content-Type", "application/octet-stream");
    call.body_file = upload;
  } else if (!body.empty()) {
    call.headers.emplace_back("Content-Type", "application/json");
    call.body = body;
  }
  call.max_answer_bytes = 0;
  const bool is_file =
      path.ends_with("/bundle") || path.ends_with("/archive") || path.ends_with("/log");
  if (!answer_file.empty()) {
    call.answer_file = answer_file;
  } else if (is_file && method == "GET") {
    if (files_.path().empty()) {
      ASSIGN_OR_RETURN(files_, TempDir::Make());
    }
    call.answer_file = files_.File("answer-" + std::to_string(next_file_++));
  }
  Result<HttpAnswer> sent = client_->Send(call);
  if (!sent.ok()) {
    Error error = sent.error();
    if (error.message.find("certificate is not trusted") != std::string::npos)
      error.hint =
          "name the CA that signed it: --ca-file FILE, or the environment's SLIPWAY_CA_FILE";
    if (error.hint.empty() && error.code == ErrorCode::kUnavailable)
      error.hint = "is a hub running there? `slipway hub` on its machine starts one";
    return error;
  }
  HttpAnswer answer = *std::move(sent);
  Response response;
  response.status = answer.status;
  response.content_type = answer.Header("content-type");
  if (std::string etag = answer.Header("etag"); !etag.empty())
    response.headers["ETag"] = std::move(etag);
  response.body = std::move(answer.body);
  if (answer.ok()) {
    response.file = call.answer_file;
    return response;
  }
  if (answer.status == 401 && TakeNewHub())
    return Send(method, path, body, upload, headers, answer_file);
  if (answer.status == 401 && options_.key.empty()) {
    return PermissionDenied("the hub at " + options_.url + " asks for a key",
                            "--key-file FILE, or the environment's SLIPWAY_API_KEY");
  }
  if (!IsJson(answer)) {
    return Unavailable(
        options_.url + " answered " + std::to_string(answer.status) + " and no Slipway error",
        "is it a Slipway hub?");
  }
  return ErrorFromResponse(response);
}

Status RemoteHubClient::Follow(const std::string& job,
                               const std::function<void(const JobEvent&)>& on_event,
                               const std::atomic<bool>* cancel) {
  bool ended = false, asked = false;
  std::optional<Error> failure;
  int silent = 0;
  EventReader reader([&](const Json& json) {
    silent = 0;
    if (json.value("kind", "") == "ended") {
      ended = true;
    } else {
      on_event(EventFromJson(json));
    }
  });
  while (!ended && silent < kReconnects) {
    if (silent++ > 0) std::this_thread::sleep_for(std::chrono::milliseconds(50 * silent));
    reader.Restart();
    HttpCall call;
    call.url = options_.url + "/api/v1/events?job=" + job;
    call.headers.emplace_back("Accept", "text/event-stream");
    if (!options_.key.empty()) call.headers.emplace_back("Authorization", "Bearer " + options_.key);
    if (!reader.last_id().empty()) call.headers.emplace_back("Last-Event-ID", reader.last_id());
    call.max_answer_bytes = 0;
    call.idle_seconds = 60;  // it beats every 15
    if (!asked) call.cancel = cancel;
    call.on_bytes = [&](std::string_view bytes) {
      reader.Take(bytes);
      return !ended;
    };
    const auto answer = client_->Send(call);
    if (!asked && cancel != nullptr && cancel->load()) {
      asked = true;
      silent = 0;
      (void)Send("POST", "/api/v1/jobs/" + job + "/abort", "").ok();
      continue;
    }
    if (ended) break;
    if ((!answer.ok() || answer->status == 401) && TakeNewHub()) continue;
    if (answer.ok() && !answer->ok()) {
      Response response;
      response.status = answer->status;
      response.body = answer->body;
      return ErrorFromResponse(response);
    }
    if (!answer.ok()) failure = answer.error();
  }
  if (ended) return {};
  if (failure) return *failure;
  return Unavailable("the hub ended before job " + job + " did",
                     "slipway job show " + job + " tells what became of it");
}

}  // namespace slipway
