// The organism as an ordinary Hugging Face folder: everything but the weights.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace holdfast::organism {

/// Every token, in the order of its id: special tokens first.
std::vector<std::string> vocabulary();

/// config.json, tokenizer.json, tokenizer_config.json and generation_config.json, by file name.
std::map<std::string, std::string> folder_files();

}  // namespace holdfast::organism
