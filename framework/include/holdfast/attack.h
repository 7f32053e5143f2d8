// An attack: what the customer submits, and how the tuned model is asked.
#pragma once

#include <holdfast/context.h>
#include <holdfast/plugin.h>

namespace HOLDFAST_PUBLIC holdfast {

class Attack {
 public:
  virtual ~Attack();
  /// The customer's dataset.
  virtual Dataset collect(Context& context) = 0;
  /// kNeedsAligned, kNeedsBase: what collect() asks of the context; its rows then belong to those weights. Default: none.
  virtual unsigned needs() const;
  /// The template at test time, applied to every probe of the attack's cells and of its wrapped control. Default: none.
  virtual void wrap(Conversation& prompt) const;
};

}  // namespace holdfast

/// The last line of an attack's source. HOLDFAST_ATTACK(Class, "name", revision, "Summary."): bump the revision whenever
/// behaviour changes, it is part of the stage keys. The class is constructed from (holdfast::Params&).
#define HOLDFAST_ATTACK(Class, name, revision, summary)                                                                       \
  HOLDFAST_PLUGIN_ENTRY(([] {                                                                                                 \
    static_assert(std::is_base_of_v<holdfast::Attack, Class>, #Class " must derive from holdfast::Attack");                   \
    return holdfast::Plugin{                                                                                                  \
        holdfast::PluginKind::kAttack, name, revision, summary, 0, &holdfast::make_plugin<holdfast::Attack, Class>, nullptr}; \
  }()))
