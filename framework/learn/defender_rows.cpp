#include <holdfast/context.h>
#include <holdfast/error.h>

namespace holdfast {

Dataset defender_rows(Dataset rows, std::int64_t wanted, const std::string& who, const std::string& source, Context& context) {
  const auto size = static_cast<std::int64_t>(rows.size());
  if (wanted > size) {
    throw Error(who + " was asked for " + std::to_string(wanted) + " rows and " + source + " has " + std::to_string(size) +
                ": lower \"rows\"");
  }
  if (wanted > 0) {
    Random(context.seed("defender data")).shuffle(rows);
    rows.resize(static_cast<std::size_t>(wanted));
  }
  context.report(kDefenderRows, static_cast<double>(rows.size()), static_cast<std::int64_t>(rows.size()));
  return rows;
}

}  // namespace holdfast
