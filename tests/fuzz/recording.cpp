// Recorded answers, some of them moderations of texts.
#include "judge/recording.h"

#include "fuzz/fuzz.h"
#include "judge/completion.h"

namespace holdfast::fuzz {
namespace {

void read(std::string_view input) {
  Recording recording(as_file(input));
  if (const auto answer = recording.find("a")) moderation_from(*answer);
}

const Added added("recording", read);

}  // namespace
}  // namespace holdfast::fuzz
