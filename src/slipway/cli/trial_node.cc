#include "slipway/cli/trial_node.h"

#include <cerrno>

#include <signal.h>
#include <sys/wait.h>

#include "slipway/base/text.h"
#include "slipway/cli/context.h"
#include "slipway/deploy/node_process.h"

namespace slipway {

Result<std::unique_ptr<TrialNode>> TrialNode::Start() {
  std::unique_ptr<TrialNode> node(new TrialNode());
  ASSIGN_OR_RETURN(node->folder_, TempDir::Make());
  const std::string home = node->folder_.File("home");
  RETURN_IF_ERROR(MakeDirs(home, 0700));
  ASSIGN_OR_RETURN(node->pid_, StartNodeProcess({.home = home,
                                                 .log = node->folder_.File("log"),
                                                 .dies_with_parent = true,
                                                 .cancel = &g_interrupted}));
  ASSIGN_OR_RETURN(const std::string key, ReadFile(JoinPath(home, "admin.key"), 1 << 16));
  ASSIGN_OR_RETURN(const std::string text, ReadFile(JoinPath(home, "node.json"), 1 << 16));
  ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  ASSIGN_OR_RETURN(const std::string url, GetString(json, "url"));
  node->client_ = std::make_unique<NodeClient>(&node->http_, url, std::string(Trim(key)));
  node->client_->set_cancel(&g_interrupted);
  return node;
}

TrialNode::~TrialNode() {
  if (pid_ <= 0) return;
  // Nothing that it holds is to be kept: there is nothing to drain.
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Status TrialNode::Import(const std::string& package, const std::string& service) {
  return client_->Upload(service, package, &g_interrupted);
}

Result<Json> TrialNode::Test(const std::string& service, const std::string& generation) {
  return client_->Test(service, generation);
}

}  // namespace slipway
