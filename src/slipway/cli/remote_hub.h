// A hub over HTTP, as the command line calls it: the same requests and answers as in process. Files
// of answers come into a temporary folder. Confined to one thread.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "slipway/base/file.h"
#include "slipway/base/result.h"
#include "slipway/flow/job_runner.h"
#include "slipway/http/client.h"
#include "slipway/http/router.h"

namespace slipway {

struct RemoteHubOptions {
  std::string url;  // http://host:port or https://...
  std::string key;
  bool insecure = false;  // take any certificate
};

class RemoteHubClient {
 public:
  static Result<std::unique_ptr<RemoteHubClient>> Make(const RemoteHubOptions& options);
  // The hub that serves this home now, with the key in `key_file`, or ("") the home's token;
  // nullptr: none does. Files that a killed hub left are not believed.
  static Result<std::unique_ptr<RemoteHubClient>> OfHome(const std::string& home,
                                                         const std::string& key_file);

  // An answer of 400 and above is its error. `upload`: the body is this file.
  // `answer_file`: where the answer goes.
  Result<Response> Send(const std::string& method, const std::string& path, const std::string& body,
                        const std::string& upload = "",
                        const std::map<std::string, std::string>& headers = {},
                        const std::string& answer_file = "");
  // Follows the job's events to its end, over lost connections; `cancel` set: asks it to stop,
  // once.
  Status Follow(const std::string& job, const std::function<void(const JobEvent&)>& on_event,
                const std::atomic<bool>* cancel);

 private:
  RemoteHubClient() = default;
  // The home has another hub now, with another token.
  bool TakeNewHub();

  RemoteHubOptions options_;
  std::string home_, key_file_;  // of OfHome
  std::unique_ptr<HttpClient> client_;
  TempDir files_;
  int next_file_ = 0;
};

// --key-file, else $SLIPWAY_API_KEY; "" when neither is there.
Result<std::string> ReadApiKey(const std::string& key_file);

}  // namespace slipway
