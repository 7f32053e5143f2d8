// What lies beside a checkpoint's weights: tokenizer, chat template, settings of generation.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "learn/language_model.h"

namespace holdfast {

/// A text and where it came from, by file name. "config.json" is among them for the token ids that it states.
struct SideFile {
  std::string content;
  fs::path path;
};
using FilesBeside = std::map<std::string, SideFile>;

/// Those that a folder has, in the order of their names.
std::vector<fs::path> side_files_in(const fs::path& folder);
FilesBeside files_beside(const fs::path& folder);

/// Removes from a folder what the files of another model left there.
void remove_side_files(const fs::path& folder);

/// The base's files where the adapter brings none. A tokenizer replaces the base's tokenizer whole, a chat template the base's.
FilesBeside laid_over(FilesBeside base, const FilesBeside& own);

/// A JSON file of a checkpoint; {} when there is none. Throws Error as json_content does (learn/json_file.h).
Json json_beside(const FilesBeside& files, const std::string& name);

/// None where there is no template.
std::shared_ptr<const ChatTemplate> chat_template(const FilesBeside& files);

/// Decoder, tokenizer, chat template, stop tokens and rules of decoding in one, with special tokens taken from
/// tokenizer_config.json, special_tokens_map.json, added_tokens.json and tokenizer.json as transformers 5.23 takes them. Throws
/// Error naming a file that is missing or wrong.
std::unique_ptr<LanguageModel> language_model(std::shared_ptr<Decoder> decoder, const FilesBeside& files);

}  // namespace holdfast
