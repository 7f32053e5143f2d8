#include "plugin/plugin_kind.h"

namespace holdfast {

std::string to_string(PluginKind kind) {
  switch (kind) {
    case PluginKind::kAttack:
      return "attack";
    case PluginKind::kDefense:
      return "defense";
    case PluginKind::kJudge:
      return "judge";
  }
  throw Error("a plugin of a kind that this program does not know");
}

PluginKind plugin_kind(const std::string& word) {
  if (word == "attack") return PluginKind::kAttack;
  HOLDFAST_CHECK(word == "defense" || word == "judge");
  return word == "defense" ? PluginKind::kDefense : PluginKind::kJudge;
}

}  // namespace holdfast
