#include "text/token_model.h"

#include "text/bpe.h"
#include "text/word_level.h"

namespace holdfast {

namespace {
constexpr std::int64_t kIdLimit = 1 << 22;  // a lying file must not make us reserve gigabytes
}

Vocabulary::Vocabulary(const Definition& definition) {
  if (!definition.json().is_object())
    definition.fail(std::string("expected an object of token ids, found ") + definition.json().type_name());
  std::int64_t largest = -1;
  for (const auto& [token, id] : definition.json().items()) {
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() >= kIdLimit)
      definition.fail("the token \"" + token + "\" has the id " + id.dump() + "; expected an integer from 0 to " +
                      std::to_string(kIdLimit - 1));
    largest = std::max(largest, id.get<std::int64_t>());
  }
  tokens_.resize(static_cast<std::size_t>(largest + 1));
  ids_.reserve(definition.json().size());
  for (const auto& [token, value] : definition.json().items()) {
    const auto id = value.get<std::int32_t>();
    std::optional<std::string>& name = tokens_[static_cast<std::size_t>(id)];
    if (name) definition.fail("the tokens \"" + *name + "\" and \"" + token + "\" have the same id " + std::to_string(id));
    name = token;
    ids_.emplace(*name, id);
  }
}

std::optional<std::int32_t> Vocabulary::id_of(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

const std::string* Vocabulary::token_of(std::int64_t id) const {
  if (id < 0 || id >= size()) return nullptr;
  const std::optional<std::string>& name = tokens_[static_cast<std::size_t>(id)];
  return name ? &*name : nullptr;
}

std::unique_ptr<const TokenModel> TokenModel::from_json(const Definition& definition) {
  // Old files name no type for the one model that has merges.
  const std::string type = definition.string("type", definition.has("merges") ? "BPE" : "");
  if (type == "BPE") return std::make_unique<Bpe>(definition);
  if (type == "WordLevel") return std::make_unique<WordLevel>(definition);
  if (type.empty()) definition.fail("the key \"type\" is missing");
  definition.unsupported("tokenizer model", "BPE, WordLevel");
}

}  // namespace holdfast
