#include "slipway/serve/page.h"

#include <algorithm>
#include <array>

#include <sodium.h>

#include "slipway/base/json.h"
#include "slipway/serve/user_request.h"

namespace slipway {
namespace {

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #0b6bcb; --bad: #c22; --good: #18794e; }
@media (prefers-color-scheme: dark) { :root { --accent: #6cb4ff; --bad: #ff8a80; --good: #6fd3a0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem; font: 16px/1.5 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: baseline; border-bottom: 1px solid var(--line); }
h1 { font-size: 1.4rem; margin: 0 0 .6rem; }
h2 { font-size: 1.2rem; margin: 2rem 0 .3rem; }
h3 { font-size: 1rem; margin: 0; }
a { color: var(--accent); }
code, textarea, pre { font: 13px/1.45 ui-monospace, monospace; }
.muted { opacity: .7; }
.endpoint { border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem; margin: .8rem 0; }
.endpoint p { margin: .2rem 0; overflow-wrap: anywhere; }
textarea { width: 100%; min-height: 8rem; padding: .5rem; border: 1px solid var(--line); border-radius: .35rem; background: var(--soft); resize: vertical; }
input { font: inherit; padding: .25rem .5rem; border: 1px solid var(--line); border-radius: .35rem; background: var(--soft); color: inherit; }
button { font: inherit; padding: .3rem 1.1rem; border: 0; border-radius: .35rem; background: var(--accent); color: Canvas; cursor: pointer; }
button:disabled { opacity: .5; }
pre { margin: .6rem 0 0; padding: .6rem; border-radius: .35rem; background: var(--soft); overflow: auto; max-height: 24rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.good { color: var(--good); } .bad { color: var(--bad); }
table { border-collapse: collapse; margin: .3rem 0; }
th, td { text-align: left; padding: .1rem 1.2rem .1rem 0; font-weight: normal; }
th { opacity: .7; }
)css";

constexpr std::string_view kScript = R"js(
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  for (const child of children) node.append(child);
  return node;
}
const key = make("input", {type: "password", autocomplete: "off", placeholder: "API key", "aria-label": "API key"});
async function ask(path, body, status, output, button) {
  button.disabled = true;
  status.className = "muted";
  status.textContent = "asking \u2026";
  const headers = {"Content-Type": "application/json"};
  if (key.value) headers.Authorization = "Bearer " + key.value;
  const began = performance.now();
  try {
    const answer = await fetch(path, {method: "POST", headers, body, credentials: "same-origin"});
    const text = await answer.text();
    const milliseconds = performance.now() - began;
    status.className = answer.ok ? "good" : "bad";
    status.textContent = answer.status + " " + answer.statusText + " in " + milliseconds.toFixed(1) + " ms (with the way there and back)";
    try { output.textContent = JSON.stringify(JSON.parse(text), null, 2); } catch { output.textContent = text; }
  } catch (error) {
    status.className = "bad";
    status.textContent = "no answer: " + error.message;
    output.textContent = "";
  }
  output.hidden = output.textContent === "";
  button.disabled = false;
}
function endpointCard(service, endpoint) {
  const body = make("textarea", {spellcheck: "false", "aria-label": "Request of " + endpoint.id});
  body.value = JSON.stringify(endpoint.example, null, 2);
  body.rows = Math.min(24, body.value.split("\n").length + 1);
  const status = make("span", {role: "status"});
  const output = make("pre", {tabindex: "0", "aria-label": "Answer of " + endpoint.id});
  output.hidden = true;
  const button = make("button", {type: "button"}, "Try it");
  button.disabled = !service.enabled;
  button.addEventListener("click", () => ask(endpoint.path, body.value, status, output, button));
  const card = make("section", {class: "endpoint"}, make("h3", {}, endpoint.id + " ", make("span", {class: "muted"}, endpoint.type)));
  if (endpoint.description) card.append(make("p", {}, endpoint.description));
  card.append(make("p", {}, make("code", {}, "POST " + endpoint.path)), body, make("p", {}, button, " ", status), output);
  return card;
}
const main = document.getElementById("main");
if (data.needs_key) main.append(make("p", {}, "Scoring asks for an API key (or token) here: ", key));
if (data.services.length === 0) main.append(make("p", {}, "Nothing is served yet. Import a package: ", make("code", {}, "slipway-apinode admin service-import-generation SERVICE FILE.zip")));
for (const service of data.services) {
  main.append(make("h2", {}, service.id, service.enabled ? "" : make("span", {class: "bad"}, " disabled"), service.needs_key ? make("span", {class: "muted"}, " asks for a key") : ""));
  const table = make("table", {}, make("tr", {}, make("th", {}, "generation"), make("th", {}, "share"), make("th", {}, "made")));
  for (const generation of service.generations)
    table.append(make("tr", {}, make("td", {}, generation.id), make("td", {}, (100 * generation.weight).toLocaleString() + " %"), make("td", {}, generation.created_at)));
  main.append(table);
  for (const endpoint of service.endpoints) main.append(endpointCard(service, endpoint));
}
)js";

// 'sha256-...' of an inline script or style.
std::string PolicyHash(std::string_view text) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash{};
  crypto_hash_sha256(hash.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size());
  char encoded[sodium_base64_ENCODED_LEN(crypto_hash_sha256_BYTES, sodium_base64_VARIANT_ORIGINAL)];
  sodium_bin2base64(encoded, sizeof encoded, hash.data(), hash.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  return "'sha256-" + std::string(encoded) + "'";
}

// The generation that gets most of the requests; nullptr: none is mapped.
const ServedGeneration* MainGeneration(const ServedService& service) {
  const auto most =
      std::max_element(service.generations.begin(), service.generations.end(),
                       [](const auto& a, const auto& b) { return a.probability < b.probability; });
  return most == service.generations.end() || most->probability <= 0 ? nullptr : &*most;
}

Json EmptyRequest(const PackageEndpoint& endpoint) {
  return {{endpoint.type == EndpointType::kLookup ? "data" : "features", Json::object()}};
}

// Any of it.
bool Scores(const MayScore& scores, const std::string& service) {
  if (scores.contains(service)) return true;
  const auto next = scores.lower_bound(service + "/");
  return next != scores.end() && next->starts_with(service + "/");
}

Json PageData(const ServiceTable& table, bool open, const MayScore& scores, bool all) {
  Json services = Json::array();
  bool any_needs_key = !open;
  for (const auto& [id, service] : table.services) {
    if (!all && !Scores(scores, id)) continue;
    bool needs_key = ServiceNeedsKey(service, open);
    Json generations = Json::array(), endpoints = Json::array();
    for (const ServedGeneration& served : service.generations)
      generations.push_back({{"id", served.generation->id()},
                             {"weight", served.probability},
                             {"created_at", served.generation->manifest().created_at}});
    if (const ServedGeneration* served = MainGeneration(service)) {
      for (const PackageEndpoint& endpoint : served->generation->manifest().endpoints) {
        const std::string_view verb =
            endpoint.type == EndpointType::kLookup ? "/lookup" : "/predict";
        const bool own_key = EndpointNeedsKey(service, endpoint.id, open);
        needs_key = needs_key || own_key;
        endpoints.push_back(
            {{"id", endpoint.id},
             {"type", EndpointTypeName(endpoint.type)},
             {"description", endpoint.description},
             {"path", "/public/api/v1/" + id + "/" + endpoint.id + std::string(verb)},
             {"example", scores.contains(id + "/" + endpoint.id)
                             ? ExampleRequest(*served->generation, endpoint)
                             : EmptyRequest(endpoint)}});
      }
    }
    any_needs_key = any_needs_key || needs_key;
    services.push_back({{"id", id},
                        {"enabled", service.enabled},
                        {"needs_key", needs_key},
                        {"generations", std::move(generations)},
                        {"endpoints", std::move(endpoints)}});
  }
  return {{"needs_key", any_needs_key}, {"services", std::move(services)}};
}

// JSON inside of a script element: no '<' may end it.
std::string ForScriptElement(const Json& json) {
  std::string out;
  for (char c : DumpJson(json)) {
    if (c == '<') {
      out.append("\\u003c");
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

Json ExampleRequest(const Generation& generation, const PackageEndpoint& endpoint) {
  for (const TestQuery& query : generation.test_queries()) {
    if (query.endpoint == endpoint.id && query.request.is_object()) return query.request;
  }
  const bool lookup = endpoint.type == EndpointType::kLookup;
  const std::string path = "/public/api/v1/" + generation.service() + "/" + endpoint.id +
                           (lookup ? "/lookup" : "/predict");
  // FindMember of what is no object gives nullptr, so that a foreign description cannot surprise.
  const Json* at = &generation.openapi();
  for (std::string_view name :
       {std::string_view("paths"), std::string_view(path), std::string_view("post"),
        std::string_view("requestBody"), std::string_view("content"),
        std::string_view("application/json")}) {
    at = at->is_object() ? FindMember(*at, name) : nullptr;
    if (at == nullptr) break;
  }
  if (at != nullptr && at->is_object()) {
    if (const Json* example = FindMember(*at, "example");
        example != nullptr && example->is_object())
      return *example;
    const Json* examples = FindMember(*at, "examples");
    if (examples != nullptr && examples->is_object() && !examples->empty()) {
      const Json& first = examples->begin().value();
      const Json* value = first.is_object() ? FindMember(first, "value") : nullptr;
      if (value != nullptr && value->is_object()) return *value;
    }
  }
  return EmptyRequest(endpoint);
}

const std::string& PagePolicy() {
  static const std::string policy =
      "default-src 'none'; script-src " + PolicyHash(kScript) + "; style-src " +
      PolicyHash(kStyle) +
      "; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
      "frame-ancestors 'none'";
  return policy;
}

std::string BuiltInPage(const ServiceTable& table, bool open, const MayScore& scores, bool all) {
  std::string out =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>Slipway API node</title>\n<style>";
  out.append(kStyle).append("</style>\n</head>\n<body>\n<header><h1>Slipway API node</h1>\n");
  out.append(
      "<nav><a href=\"/openapi.json\">OpenAPI</a> \xc2\xb7 <a href=\"/metrics\">metrics</a> "
      "\xc2\xb7 <a href=\"/ready\">ready</a></nav>\n"
      "<span class=\"muted\">" SLIPWAY_VERSION "</span></header>\n<main id=\"main\"></main>\n");
  out.append(
      "<noscript><p>The forms need JavaScript; <a href=\"/openapi.json\">/openapi.json</a> "
      "describes every endpoint.</p></noscript>\n");
  out.append("<script type=\"application/json\" id=\"data\">");
  out.append(ForScriptElement(PageData(table, open, scores, all)));
  out.append("</script>\n<script>").append(kScript).append("</script>\n</body>\n</html>\n");
  return out;
}

}  // namespace slipway
