#include "slipway/registry/model_ref.h"

#include <optional>

#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr const char* kForms =
    "write PROJECT/MODEL, PROJECT/MODEL@3, PROJECT/MODEL@active or PROJECT/MODEL@latest; a file's "
    "path begins with "
    "'/' or './'";

Error Bad(std::string_view text, std::string_view why) {
  return InvalidArgument(
      "'" + std::string(text) + "' is not a model reference: " + std::string(why), kForms);
}

// Splits "fare@3" and fills in model, select and number.
Status ParseNameAndVersion(std::string_view part, std::string_view whole, ModelRef* ref) {
  const size_t at = part.find('@');
  ref->model = part.substr(0, at);
  if (ref->model.empty()) return Bad(whole, "the model's name is missing");
  if (!IsValidName(ref->model)) return Bad(whole, "'" + ref->model + "' is not a valid name");
  if (at == std::string_view::npos || part.substr(at + 1) == "active") return {};
  const std::string_view version = part.substr(at + 1);
  if (version == "latest") {
    ref->select = ModelRef::Select::kLatest;
    return {};
  }
  const std::optional<int64_t> number = ParseInt64(version);
  if (!number || *number <= 0 || version.front() == '+') {
    return Bad(whole, version.empty() ? "nothing follows the '@'"
                                      : "'" + std::string(version) + "' is not a version number");
  }
  ref->select = ModelRef::Select::kNumber;
  ref->number = *number;
  return {};
}

}  // namespace

std::string FullModelName(std::string_view project, std::string_view model) {
  return std::string(project) + "/" + std::string(model);
}

std::string ModelRef::ToText() const {
  std::string text = project + "/" + model;
  if (select == Select::kLatest) text += "@latest";
  if (select == Select::kNumber) text += "@" + std::to_string(number);
  return text;
}

Result<ModelRef> ParseModelRef(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return Bad(text, "the project is missing");
  ModelRef ref;
  ref.project = text.substr(0, slash);
  if (ref.project.empty()) return Bad(text, "the project is missing");
  if (!IsValidName(ref.project)) return Bad(text, "'" + ref.project + "' is not a valid name");
  RETURN_IF_ERROR(ParseNameAndVersion(text.substr(slash + 1), text, &ref));
  return ref;
}

Result<ModelRef> ParseModelRefIn(std::string_view project, std::string_view text) {
  if (text.find('/') != std::string_view::npos) {
    ASSIGN_OR_RETURN(ModelRef ref, ParseModelRef(text));
    if (ref.project == project) return ref;
    return Bad(text, "a recipe uses the models of its own project, '" + std::string(project) + "'");
  }
  ModelRef ref;
  ref.project = project;
  RETURN_IF_ERROR(ParseNameAndVersion(text, text, &ref));
  return ref;
}

}  // namespace slipway
