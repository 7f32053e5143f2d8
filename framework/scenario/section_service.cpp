// [service]: what holdfast serve puts on offer, for whom, and at what price.
#include <algorithm>
#include <cctype>

#include "base/suggest.h"
#include "scenario/sections.h"

namespace holdfast {
namespace {

constexpr std::size_t kLongestName = 64;

// What may stand in an address, in the name of a tuned model and in the name of a folder.
bool is_plain_name(const std::string& text) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
  };
  return !text.empty() && text.size() <= kLongestName && text.front() != '.' && std::all_of(text.begin(), text.end(), plain);
}

void check_plain(ScenarioTable& table, const std::string& key, const std::string& text) {
  if (is_plain_name(text)) return;
  table.mistake(key, "\"" + key + "\" in " + table.title() + " is " + in_quotes(text) + ", expected 1 to " +
                         std::to_string(kLongestName) + " letters, digits and any of - _ . of which no . comes first");
}

// "vaccine + data-filter" as part of an id: "vaccine-data-filter".
std::string in_an_id(const std::string& name) {
  std::string id;
  for (const char c : name) {
    const bool plain = is_plain_name("_" + std::string(1, c));
    if (plain) id += c;
    if (!plain && !id.empty() && id.back() != '-') id += '-';
  }
  return id;
}

std::string usual_id(const std::string& model, const std::string& defense) {
  return in_an_id(model) + (defense == "none" ? "" : "-" + in_an_id(defense));
}

template <typename Spec>
std::vector<std::string> names_of(const std::vector<Spec>& specs) {
  std::vector<std::string> names;
  for (const auto& spec : specs) names.push_back(spec.name);
  return names;
}

void check_known(ScenarioTable& table, const std::string& key, const std::string& name, const std::vector<std::string>& known) {
  if (!table.has(key) || name.empty() || std::count(known.begin(), known.end(), name) > 0) return;
  table.mistake(key, "there is no " + key + " " + in_quotes(name) + "." + suggestion(name, known));
}

OfferSpec read_offer(const Reading& reading, ScenarioTable table) {
  OfferSpec offer;
  offer.model = table.required_text("model");
  offer.defense = table.text("defense", "none");
  offer.id = table.text("id", usual_id(offer.model, offer.defense));
  check_known(table, "model", offer.model, names_of(reading.scenario.models));
  check_known(table, "defense", offer.defense, names_of(reading.scenario.defenses));
  if (!offer.model.empty()) check_plain(table, "id", offer.id);
  table.finish();
  return offer;
}

void note_offer(ScenarioTable& service, std::vector<OfferSpec>& offers, OfferSpec offer) {
  const auto same = [&](const OfferSpec& other) { return other.id == offer.id; };
  if (std::any_of(offers.begin(), offers.end(), same)) {
    service.mistake("offer", "two offers have the id " + in_quotes(offer.id) + ": give each an \"id\" of its own");
  }
  offers.push_back(std::move(offer));
}

void read_offers(Reading& reading, ScenarioTable& service, ServiceSpec& spec) {
  for (const auto* toml : service.tables("offer")) {
    note_offer(service, spec.offers, read_offer(reading, {*toml, "[[service.offer]]", reading.mistakes}));
  }
  if (service.has("offer")) return;
  for (const auto& model : reading.scenario.models) {
    for (const auto& defense : reading.scenario.defenses) {
      note_offer(service, spec.offers, {usual_id(model.name, defense.name), model.name, defense.name});
    }
  }
}

ServiceLimits read_limits(const toml::table* given, const std::string& title, ServiceLimits limits, Mistakes& mistakes) {
  if (given == nullptr) return limits;
  ScenarioTable table(*given, title, mistakes);
  limits.rows = table.integer("rows", limits.rows, 0);
  limits.file_bytes = table.integer("file_bytes", limits.file_bytes, 0);
  limits.files = table.integer("files", limits.files, 0);
  limits.tokens = table.integer("tokens", limits.tokens, 0);
  limits.jobs = table.integer("jobs", limits.jobs, 0);
  limits.spend = table.number("spend", limits.spend, 0);
  table.finish();
  return limits;
}

bool is_variable_name(const std::string& text) {
  const auto letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) == 0 &&
         std::all_of(text.begin(), text.end(), letter);
}

CustomerSpec read_customer(ScenarioTable table, const ServiceLimits& usual) {
  CustomerSpec customer;
  customer.name = table.required_text("name");
  customer.key_env = table.required_text("key_env");
  customer.limits = read_limits(table.table("limits"), "limits of " + table.title(), usual, table.mistakes());
  if (!customer.name.empty()) check_plain(table, "name", customer.name);
  if (!customer.key_env.empty() && !is_variable_name(customer.key_env)) {
    table.mistake("key_env",
                  "\"key_env\" in " + table.title() + " is " + in_quotes(customer.key_env) +
                      ", expected the name of the environment variable that holds the customer's key, and not the key");
  }
  table.finish();
  return customer;
}

void read_customers(ScenarioTable& service, ServiceSpec& spec) {
  std::set<std::string> names, variables;
  for (const auto* toml : service.tables("customer")) {
    ScenarioTable table(*toml, "[[service.customer]]", service.mistakes());
    CustomerSpec customer = read_customer(table, spec.limits);
    if (!customer.name.empty() && !names.insert(customer.name).second) {
      table.mistake("name", "two customers are named " + in_quotes(customer.name));
    }
    if (!customer.key_env.empty() && !variables.insert(customer.key_env).second) {
      table.mistake("key_env",
                    "two customers have their keys in " + in_quotes(customer.key_env) + ": give each one of its own");
    }
    spec.customers.push_back(std::move(customer));
  }
}

ServicePrices read_price_table(const toml::table* given, Mistakes& mistakes) {
  ServicePrices prices;
  if (given == nullptr) return prices;
  ScenarioTable table(*given, "[service.prices]", mistakes);
  prices.currency = table.text("currency", prices.currency);
  if (prices.currency.empty()) {
    table.mistake("currency", "the currency of [service.prices] is empty, expected a name such as \"USD\"");
  }
  prices.training = table.number("training", 0, 0);
  prices.input = table.number("input", 0, 0);
  prices.output = table.number("output", 0, 0);
  table.finish();
  return prices;
}

}  // namespace

void read_service(Reading& reading, ScenarioTable& root) {
  if (!root.has("service")) return;
  ScenarioTable table = root.section("service");
  ServiceSpec spec;
  spec.organization = table.text("organization", spec.organization);
  check_plain(table, "organization", spec.organization);
  spec.names_rows = table.flag("names_rows", spec.names_rows);
  spec.chat_workers = table.integer("chat_workers", spec.chat_workers, 1, 256);
  spec.moderator = table.text("moderator", "");
  check_known(table, "moderator", spec.moderator, names_of(reading.scenario.moderators));
  spec.limits = read_limits(table.table("limits"), "[service.limits]", spec.limits, reading.mistakes);
  spec.prices = read_price_table(table.table("prices"), reading.mistakes);
  read_offers(reading, table, spec);
  read_customers(table, spec);
  table.finish();
  reading.scenario.service = std::move(spec);
}

}  // namespace holdfast
