// The one owner of the vtable and type information of every interface that crosses the plugin border: without these
// destructors each library would carry its own copy, and catch and dynamic_cast across libraries could fail.
#include <holdfast/attack.h>
#include <holdfast/defense.h>
#include <holdfast/error.h>

namespace holdfast {

Model::~Model() = default;
Stream::~Stream() = default;
Optimizer::~Optimizer() = default;
Archive::~Archive() = default;
Trainer::~Trainer() = default;
Context::~Context() = default;
std::map<std::string, at::Tensor> Context::tuned_factors() const { return {}; }
std::vector<double> Context::kept_of_aligned(const std::string&, const std::function<std::vector<double>()>& find) {
  return find();
}

Attack::~Attack() = default;
void Attack::wrap(Conversation&) const {}
unsigned Attack::needs() const { return 0; }
std::vector<Asking> Attack::askings() const {
  return {{"", [this](Conversation& prompt) { wrap(prompt); }}};
}

WeightAttack::~WeightAttack() = default;
Dataset WeightAttack::collect(Context&) { throw Error("an attack on weights submits no rows"); }

TrainingStage::~TrainingStage() = default;
void TrainingStage::prepare(TrainingOptions&, Dataset&, Context&) {}
void TrainingStage::begin(Trainer&) {}
double TrainingStage::step(Trainer& trainer) { return trainer.backward(trainer.rows().next()); }
void TrainingStage::finish(Trainer&) {}
bool TrainingStage::archive(Archive&) { return false; }
bool TrainingStage::draws_itself() const { return false; }
unsigned TrainingStage::needs() const { return 0; }
PretrainStage::~PretrainStage() = default;
AlignStage::~AlignStage() = default;
TuneStage::~TuneStage() = default;

ScreenStage::~ScreenStage() = default;
unsigned ScreenStage::needs() const { return 0; }

RepairStage::~RepairStage() = default;
unsigned RepairStage::needs() const { return 0; }

ServeStage::~ServeStage() = default;
void ServeStage::before_generation(std::vector<Exchange>&, Context&) {}
void ServeStage::after_generation(std::vector<Exchange>&, Context&) {}
unsigned ServeStage::needs() const { return 0; }

}  // namespace holdfast
