// The stages of a defense, in the order of the pipeline.
#pragma once

#include <holdfast/plugin.h>

#include <string>
#include <utility>
#include <vector>

namespace holdfast::cli {

inline std::vector<std::string> stage_names(unsigned stages) {
  static const std::vector<std::pair<unsigned, const char*>> all = {{kStagePretrain, "pretrain"}, {kStageAlign, "align"},
                                                                    {kStageScreen, "screen"},     {kStageTune, "tune"},
                                                                    {kStageRepair, "repair"},     {kStageServe, "serve"}};
  std::vector<std::string> names;
  for (const auto& [bit, name] : all) {
    if ((stages & bit) != 0) names.push_back(name);
  }
  return names;
}

}  // namespace holdfast::cli
