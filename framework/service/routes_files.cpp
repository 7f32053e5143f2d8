// /v1/files
#include <string_view>

#include "service/routes.h"
#include "service/training_file.h"
#include "service/upload_form.h"

namespace holdfast {
namespace {

constexpr std::int64_t kFormBytes = 64 << 10;  // of an upload beside its file

// Together's client gets an address, to which it sends the file.
void announce(Call& call, Desk& desk, const UploadOrder& order) {
  const AnnouncedUpload upload{call.customer.name, Files::new_file_id(), order};
  const std::string host = call.request.get_header_value("Host");
  call.response.set_header("Location", "http://" + host + kIncoming + desk.announced.add(upload));
  call.response.set_header("X-Together-File-Id", upload.file_id);
  call.response.status = 302;
}

void create_file(Call& call, Desk& desk) {
  call.no_query();
  Upload upload(desk.folder.upload());
  const ServiceLimits& limits = call.customer.limits;
  UploadForm form(call.request.get_header_value(kFormType), limits.file_bytes,
                  [&](std::string_view bytes) { upload.write(bytes.data(), bytes.size()); });
  call.read_body([&](std::string_view bytes) { form.read(bytes); });
  const UploadOrder order = form.finish();
  if (order.announced) return announce(call, desk, order);
  const std::int64_t rows = check_training_file(upload.path(), limits.rows);
  answer(call, file_object(desk.files.add(call.customer, upload, order.filename, order.purpose, rows)));
}

void list_files(Call& call, Desk& desk) {
  const Paging paging = read_paging(call.query(), {.usual = 10000, .most = 10000, .order = true, .filters = {"purpose"}});
  const auto purpose = paging.filters.find("purpose");
  std::vector<Json> objects;
  for (const auto& file : desk.files.list(call.customer.name)) {
    if (purpose == paging.filters.end() || purpose->second == file.purpose) objects.push_back(file_object(file));
  }
  answer(call, page_of(std::move(objects), paging));
}

void retrieve_file(Call& call, Desk& desk) {
  call.no_query();
  answer(call, file_object(desk.files.find(call.customer.name, call.names[0])));
}

void content(Call& call, Desk& desk) {
  call.no_query();
  answer_file(call, desk.files.content(desk.files.find(call.customer.name, call.names[0])));
}

void remove_file(Call& call, Desk& desk) {
  call.no_query();
  desk.files.remove(call.customer.name, call.names[0]);
  answer(call, {{"id", call.names[0]}, {"object", "file"}, {"deleted", true}});
}

}  // namespace

void add_file_routes(Routes& routes, Desk& desk) {
  routes.add({"POST", "/v1/files", [&desk](Call& call) { create_file(call, desk); },
              [](const Customer& customer) {
                const std::int64_t most = customer.limits.file_bytes;
                return static_cast<std::uint64_t>(most == 0 ? 0 : most + kFormBytes);
              }});
  routes.add({"GET", "/v1/files", [&desk](Call& call) { list_files(call, desk); }});
  routes.add({"GET", "/v1/files/{}", [&desk](Call& call) { retrieve_file(call, desk); }});
  routes.add({"GET", "/v1/files/{}/content", [&desk](Call& call) { content(call, desk); }});
  routes.add({"DELETE", "/v1/files/{}", [&desk](Call& call) { remove_file(call, desk); }});
}

}  // namespace holdfast
