#include "base/option.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace holdfast {
namespace {

struct Engine {
  std::string fuel = "coal";
  std::string name = {};
  std::int64_t cylinders = 4;
  double pressure = 1.5;
  bool horn = true;
  std::vector<std::string> crew = {};
  bool whistle = false;
};

const OptionTable<Engine>& table() {
  static const OptionTable<Engine> rows = {
      Option<Engine>("fuel", &Engine::fuel, "what burns").among({"coal", "wood", "oil"}),
      Option<Engine>("name", &Engine::name, "painted on it"),
      Option<Engine>("cylinders", &Engine::cylinders, "of iron").within(1),
      Option<Engine>("pressure", &Engine::pressure, "bar").within(0, 20),
      Option<Engine>("horn", &Engine::horn, "to be heard"),
      Option<Engine>("crew", &Engine::crew, "by name"),
      Option<Engine>("whistle", &Engine::whistle, "came later").only_if_set(),
  };
  return rows;
}

TEST(Options, AreTheSameAfterJson) {
  const Engine engine{"wood", "Puffing Billy", 2, 0.125, false, {"Ann", "Bo"}};
  const Json json = to_json(table(), engine);
  EXPECT_EQ(canonical(json), R"({"crew":["Ann","Bo"],"cylinders":2,"fuel":"wood","horn":false,"name":"Puffing Billy",)"
                             R"("pressure":0.125})");
  EXPECT_EQ(to_json(table(), from_json(table(), json)), json);
  Json lacking = json;
  lacking.erase("horn");
  EXPECT_THROW(from_json(table(), lacking), Json::exception);
}

TEST(Options, OneThatCameLaterIsNamedOnlyWhereItIsSet) {
  Engine engine;
  EXPECT_FALSE(to_json(table(), engine).contains("whistle")) << "JSON stays what it was before there was such an option";
  EXPECT_FALSE(from_json(table(), to_json(table(), engine)).whistle);
  engine.whistle = true;
  const Json json = to_json(table(), engine);
  EXPECT_EQ(json.at("whistle"), true);
  EXPECT_TRUE(from_json(table(), json).whistle);
}

std::string refusal(const Engine& engine) {
  try {
    check_options(table(), engine, "engine");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Options, EachThatIsNotAllowedIsASentence) {
  EXPECT_EQ(refusal({}), "");
  EXPECT_EQ(refusal({.fuel = "hay"}), "the engine option \"fuel\" is \"hay\", expected \"coal\", \"wood\" or \"oil\"");
  EXPECT_EQ(refusal({.cylinders = 0}), "the engine option \"cylinders\" is 0, expected an integer of at least 1");
  EXPECT_EQ(refusal({.pressure = 20.5}), "the engine option \"pressure\" is 20.5, expected a number from 0 to 20");
  EXPECT_EQ(refusal({.pressure = -1}), "the engine option \"pressure\" is -1, expected a number from 0 to 20");
  EXPECT_EQ(refusal({.pressure = std::nan("")}), "the engine option \"pressure\" is nan, expected a number from 0 to 20");
}

TEST(Options, AValueOfAnotherKindDoesNotFit) {
  const std::vector<std::pair<std::size_t, Json>> wrong = {{0, 1}, {1, false}, {2, 1.0}, {3, "1"},
                                                           {4, 1}, {5, "Ann"}, {5, {1}}};
  for (const auto& [row, value] : wrong) EXPECT_FALSE(fits(table()[row], value)) << table()[row].name << " " << value;
  EXPECT_TRUE(fits(table()[3], 2)) << "a whole number is a number";
}

}  // namespace
}  // namespace holdfast
