// config.json. What is written of a shape that was read says the same.
#include "model/config.h"
#include "fuzz/fuzz.h"

namespace holdfast::fuzz {
namespace {

void read(std::string_view input) {
  const auto config = ModelConfig::from_json(parse_json(std::string(input), "config.json"), "config.json");
  const Json written = config.to_json("float32");
  must([&] {
    expect(ModelConfig::from_json(written, "config.json").to_json("float32") == written,
           "a written config.json reads the same");
  });
}

const Added added("config", read);

}  // namespace
}  // namespace holdfast::fuzz
