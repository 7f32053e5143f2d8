#include "learn/chat_of_source.h"

#include "learn/adapter_folder.h"
#include "learn/checkpoint.h"
#include "learn/gguf_model.h"

namespace holdfast {
namespace {

FilesBeside files_of(const fs::path& path) {
  if (!fs::is_directory(path)) return gguf_files_beside(path);
  if (!is_adapter_folder(path)) return files_beside(path);
  return laid_over(files_of(checkpoint_path(adapter_base(path))), files_beside(path));
}

}  // namespace

std::shared_ptr<const ChatTemplate> load_chat(const std::string& source) {
  checkpoint_files(source);  // refuses what is no checkpoint, and an adapter that stands on itself
  return chat_template(files_of(checkpoint_path(source)));
}

}  // namespace holdfast
