// An attack: what the customer submits, and how the tuned model is asked; or what is done to weights that one holds.
#pragma once

#include <holdfast/context.h>
#include <holdfast/plugin.h>

#include <functional>

namespace HOLDFAST_PUBLIC holdfast {

/// One way in which the model is asked at test time. Each is a column of the board, with a control of its own where it wraps:
/// the untuned model asked in the same way.
struct Asking {
  std::string name = {};  // kebab-case; of the column "<attack>@<name>". Empty: the attack's own column
  std::function<void(Conversation& prompt)> wrap = {};               // the template of every probe; none: probes as they are
  std::function<std::string(const std::string& reply)> decode = {};  // what judges read of a reply; none: the reply
};

/// One attack of a scenario, constructed from its settings.
class Attack {
 public:
  virtual ~Attack();
  /// The customer's dataset.
  virtual Dataset collect(Context& context) = 0;
  /// kNeedsAligned, kNeedsBase: what collect() asks of the context; its rows then belong to those weights. Default: none.
  virtual unsigned needs() const;
  /// The template at test time, applied to every probe of the attack's cells and of its wrapped control. Default: none.
  virtual void wrap(Conversation& prompt) const;
  /// All ways in which its models are asked, at least one, no name twice; they are functions of the settings. Models are tuned
  /// once for all of them (a backdoor is asked with its trigger and without). Default: one, of no name, through wrap().
  virtual std::vector<Asking> askings() const;
};

/// An attack by one who holds the weights and edits them: nothing is submitted and nothing is tuned. Only what a provider does
/// before he gives the weights away stands against it.
class WeightAttack : public Attack {
 public:
  ~WeightAttack() override;
  /// `model` is the aligned model's copy, and becomes the one that is asked.
  virtual void tamper(Model& model, Context& context) = 0;
  /// There is no customer. Throws Error.
  Dataset collect(Context& context) final;
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
