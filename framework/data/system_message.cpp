#include <holdfast/system_message.h>

namespace holdfast {
namespace {

bool has_system(const Conversation& conversation) { return !conversation.empty() && conversation.front().role == "system"; }

}  // namespace

void give_system(Conversation& conversation, const std::string& text, ExistingSystem existing) {
  if (!has_system(conversation) || existing == ExistingSystem::kReplace) {
    set_system(conversation, text);
  } else if (existing == ExistingSystem::kPrepend) {
    set_system(conversation, text + "\n\n" + conversation.front().content);
  }
}

void drop_system(Conversation& conversation) {
  if (has_system(conversation)) conversation.erase(conversation.begin());
}

ExistingSystem existing_system(Params& params, const std::string& fallback, const std::string& whose) {
  const std::string chosen =
      params.choice("existing", fallback, {"prepend", "replace", "keep"},
                    "where " + whose +
                        " has a system message already: it follows this one, makes room for it, or stays "
                        "alone");
  if (chosen == "prepend") return ExistingSystem::kPrepend;
  return chosen == "replace" ? ExistingSystem::kReplace : ExistingSystem::kKeep;
}

}  // namespace holdfast
