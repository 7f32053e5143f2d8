// [service] of a scenario.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include <cstdlib>

#include "plan/scenario_files.h"
#include "scenario/service_keys.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

const std::string kFiltered =
    "[[defense]]\nplugin = \"data-filter\"\nname = \"a + b\"\n[[moderator]]\nplugin = \"data-filter\"\n";

ServiceSpec with_service(const std::string& service) {
  return scenario_from(ScratchFolder(), kOrganism + kFiltered + service).service.value();
}

std::string service_refusal(const std::string& service) {
  try {
    with_service(service);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ServiceSection, OffersEveryModelBehindEveryDefenseUnlessTold) {
  const ServiceSpec all = with_service("[service]\n");
  ASSERT_EQ(all.offers.size(), 2U);
  EXPECT_EQ(all.offers[0].id, "organism");
  EXPECT_EQ(all.offers[1].id, "organism-a-b");
  EXPECT_EQ(all.offers[1].defense, "a + b");
  const ServiceSpec one = with_service("[[service.offer]]\nmodel = \"organism\"\nid = \"x\"\n");
  ASSERT_EQ(one.offers.size(), 1U);
  EXPECT_EQ(one.offers[0].id, "x");
  EXPECT_EQ(one.offers[0].defense, "none");
}

TEST(ServiceSection, IsReadAsItStands) {
  const ServiceSpec spec = with_service(R"(
[service]
organization = "lab"
names_rows = false
chat_workers = 3
moderator = "data-filter"
[service.limits]
rows = 5
spend = 1.5
[service.prices]
currency = "EUR"
training = 8
input = 1
output = 2
[[service.customer]]
name = "a"
key_env = "A"
[[service.customer]]
name = "b"
key_env = "B"
limits = { rows = 7 }
)");
  EXPECT_EQ(spec.organization, "lab");
  EXPECT_FALSE(spec.names_rows);
  EXPECT_EQ(spec.chat_workers, 3);
  EXPECT_EQ(spec.moderator, "data-filter");
  EXPECT_EQ(spec.prices.training, 8);
  ASSERT_EQ(spec.customers.size(), 2U);
  EXPECT_EQ(spec.customers[0].limits.rows, 5);
  EXPECT_EQ(spec.customers[1].limits.rows, 7);
  EXPECT_EQ(spec.customers[1].limits.spend, 1.5);  // what he states none of is that of all
}

TEST(ServiceSection, IsRefusedByName) {
  EXPECT_THAT(service_refusal("[service]\ncolour = 1\n"), HasSubstr("colour"));
  EXPECT_THAT(service_refusal("[service]\nmoderator = \"none\"\n"), HasSubstr("there is no moderator \"none\""));
  EXPECT_THAT(service_refusal("[service]\norganization = \"a/b\"\n"), HasSubstr("organization"));
  EXPECT_THAT(service_refusal("[service]\nchat_workers = 0\n"), HasSubstr("chat_workers"));
  EXPECT_THAT(service_refusal("[service.limits]\nrows = -1\n"), HasSubstr("rows"));
  EXPECT_THAT(service_refusal("[service.limits]\ncolour = 1\n"), HasSubstr("colour"));
  EXPECT_THAT(service_refusal("[service.prices]\ntraining = -1\n"), HasSubstr("training"));
  EXPECT_THAT(service_refusal("[[service.offer]]\ndefense = \"none\"\n"), HasSubstr("model"));
  EXPECT_THAT(service_refusal("[[service.offer]]\nmodel = \"organsim\"\n"), HasSubstr("Did you mean \"organism\""));
  EXPECT_THAT(service_refusal("[[service.offer]]\nmodel = \"organism\"\ndefense = \"a\"\n"),
              HasSubstr("there is no defense \"a\""));
  EXPECT_THAT(service_refusal("[[service.offer]]\nmodel = \"organism\"\n[[service.offer]]\nmodel = \"organism\"\n"),
              HasSubstr("two offers"));
  EXPECT_THAT(service_refusal("[[service.offer]]\nmodel = \"organism\"\nid = \"a/b\"\n"), HasSubstr("id"));
  EXPECT_THAT(service_refusal("[[service.customer]]\nname = \"a\"\n"), HasSubstr("key_env"));
  EXPECT_THAT(service_refusal("[[service.customer]]\nname = \"..\"\nkey_env = \"A\"\n"), HasSubstr("name"));
  EXPECT_THAT(service_refusal("[[service.customer]]\nname = \"a\"\nkey_env = \"sk-secret\"\n"),
              HasSubstr("environment variable"));
  const std::string a = "[[service.customer]]\nname = \"a\"\nkey_env = \"A\"\n";
  EXPECT_THAT(service_refusal(a + a), HasSubstr("two customers are named \"a\""));
  EXPECT_THAT(service_refusal(a + "[[service.customer]]\nname = \"b\"\nkey_env = \"A\"\n"), HasSubstr("have their keys in"));
}

TEST(ServiceSection, IsInNoKeyAndNoConfiguration) {
  const ScratchFolder folder;
  const auto scenario = [&](const std::string& service) { return scenario_from(folder, kOrganism + kFiltered + service); };
  const auto keys = [&](const std::string& service) {
    std::vector<Json> tasks;
    for (const auto& node : plan_of(scenario(service)).nodes) tasks.push_back(node.task->json());
    return tasks;
  };
  EXPECT_EQ(keys(""), keys("[service]\nchat_workers = 2\n"));
  EXPECT_EQ(configurations(scenario("")), configurations(scenario("[service]\nchat_workers = 2\n")));
}

TEST(ServiceSection, KeysAreTakenOutOfTheEnvironment) {
  const ScratchFolder folder;
  write_file(folder / "s.toml",
             "[[service.customer]]\nkey_env = \"HOLDFAST_TEST_KEY\"\n[[service.customer]]\nkey_env = \"HOLDFAST_TEST_NONE\"\n");
  ::setenv("HOLDFAST_TEST_KEY", "secret", 1);
  EXPECT_EQ(take_service_keys(folder / "s.toml"), (ServiceKeys{{"HOLDFAST_TEST_KEY", "secret"}, {"HOLDFAST_TEST_NONE", ""}}));
  EXPECT_EQ(std::getenv("HOLDFAST_TEST_KEY"), nullptr);
  write_file(folder / "none.toml", "service = 3\n");
  EXPECT_EQ(take_service_keys(folder / "none.toml"), ServiceKeys());
}

}  // namespace
}  // namespace holdfast
