// One reader a section of the scenario file, each in a file of its name. What is wrong becomes a mistake with its place, and
// reading goes on.
#pragma once

#include "scenario/reading.h"

namespace holdfast {

void read_run_settings(Reading& reading, ScenarioTable& root);  // [scenario]
void read_gated(Reading& reading, ScenarioTable& root);
void read_training(Reading& reading, ScenarioTable& root);  // [align] and [finetune]
void read_corpora(Reading& reading, ScenarioTable& root);
void read_models(Reading& reading, ScenarioTable& root, const std::vector<const toml::table*>& models);
/// Ends a [[model]].
void add_model(Reading& reading, ScenarioTable& table, ModelSpec model);
/// A [[model]] that names a provider.
void read_provider_model(Reading& reading, ScenarioTable& table);
void read_attacks(Reading& reading, ScenarioTable& root);
void read_defenses(Reading& reading, ScenarioTable& root);
void read_moderators(Reading& reading, ScenarioTable& root);
void read_leaderboard(Reading& reading, ScenarioTable& root);
void read_prices(Reading& reading, ScenarioTable& root);
void read_cluster(Reading& reading, ScenarioTable& root);
void read_service(Reading& reading, ScenarioTable& root);

void read_evaluate(Reading& reading, ScenarioTable& root);
void read_judges(Reading& reading, ScenarioTable& evaluate);
void read_probes(Reading& reading, ScenarioTable& evaluate);
/// Judges that no matrix goes without: coherence, and the one that scores the replies to utility tasks where there are some.
void add_standing_judges(Reading& reading);

/// Once all is read: dtypes that cannot be trained are mistakes where something trains. A model that is only asked may have
/// any.
void check_dtypes(Reading& reading);
/// Once all is read: where a defense has a part in the pre-training, every model is pre-trained here, on a corpus that it gets.
void read_pretraining(Reading& reading, ScenarioTable& root);
/// Once all is read: who needs the base model gets one with every model.
void check_bases(Reading& reading, ScenarioTable& root);
/// Once all is read: what needs weights has no part in a scenario whose models are all behind providers' interfaces, judges and
/// measurements that need them in none that has one, and attacks say only what a provider has words for.
void check_providers(Reading& reading, ScenarioTable& root);
/// Once all is read and right: the models' probes as each attack with a template asks them.
void wrap_probes(Reading& reading);

}  // namespace holdfast
