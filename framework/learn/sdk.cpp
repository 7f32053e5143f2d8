// The one owner of the vtable and type information of every interface that crosses the plugin border: without these
// destructors each library would carry its own copy, and catch and dynamic_cast across libraries could fail.
#include <holdfast/attack.h>
#include <holdfast/defense.h>

namespace holdfast {

Model::~Model() = default;
Trainer::~Trainer() = default;
Context::~Context() = default;

Attack::~Attack() = default;
void Attack::wrap(Conversation&) const {}

TrainingStage::~TrainingStage() = default;
void TrainingStage::prepare(TrainingOptions&, Dataset&, Context&) {}
AlignStage::~AlignStage() = default;
TuneStage::~TuneStage() = default;

ScreenStage::~ScreenStage() = default;
bool ScreenStage::uses_aligned_model() const { return false; }

RepairStage::~RepairStage() = default;
bool RepairStage::uses_aligned_model() const { return false; }

ServeStage::~ServeStage() = default;
void ServeStage::before_generation(std::vector<Exchange>&, Context&) {}
void ServeStage::after_generation(std::vector<Exchange>&, Context&) {}
bool ServeStage::uses_aligned_model() const { return false; }

}  // namespace holdfast
