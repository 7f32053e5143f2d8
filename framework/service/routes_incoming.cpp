// Files that were announced (Together's client): sent without a key, to an address that only whoever announced them knows.
#include <algorithm>
#include <cctype>

#include "base/digest.h"
#include "service/routes.h"
#include "service/training_file.h"

namespace holdfast {
namespace {

void check_sum(const Upload& upload, std::string expected) {
  std::transform(expected.begin(), expected.end(), expected.begin(), [](unsigned char c) { return std::tolower(c); });
  if (expected.empty()) return;
  const std::string digest = sha256_file(upload.path());
  if (digest == expected) return;
  throw wrong_field("checksum", "the " + std::to_string(upload.bytes()) + " bytes that came have the SHA-256 " + digest +
                                    ", and " + in_quotes(expected) + " was announced: send the file again");
}

void take(Call& call, Desk& desk) {
  call.no_query();
  const std::string& address = call.names[0];
  const auto announced = desk.announced.find(address);
  if (!announced) throw no_such("address", address);
  Upload upload(desk.folder.upload());
  call.read_body([&](std::string_view bytes) { upload.write(bytes.data(), bytes.size()); });
  check_sum(upload, announced->order.checksum);
  const std::int64_t rows = check_training_file(upload.path(), call.customer.limits.rows);
  desk.announced.remove(address);
  const UploadOrder& order = announced->order;
  answer(call, file_object(desk.files.add(call.customer, upload, order.filename, order.purpose, rows, announced->file_id)));
}

// What would be done now was done when the file came.
void preprocess(Call& call, Desk& desk) {
  call.no_query();
  call.no_body();
  answer(call, file_object(desk.files.find(call.customer.name, call.names[0])));
}

}  // namespace

void add_incoming_routes(Routes& routes, Desk& desk) {
  routes.add({"PUT", std::string(kIncoming) + "{}", [&desk](Call& call) { take(call, desk); },
              [](const Customer& customer) { return static_cast<std::uint64_t>(customer.limits.file_bytes); },
              [&desk](const std::string& address) {
                const auto announced = desk.announced.find(address);
                return announced ? announced->customer : std::string();
              }});
  routes.add({"POST", "/v1/files/{}/preprocess", [&desk](Call& call) { preprocess(call, desk); }});
}

}  // namespace holdfast
