#include "report/notice/notice_digest.h"

#include "base/digest.h"

namespace holdfast {

std::string uuid_of(std::string digest) {
  digest.resize(32);
  digest[12] = '4';
  digest[16] = "89ab"[digest[16] % 4];
  for (const std::size_t place : {20, 16, 12, 8}) digest.insert(place, "-");
  return digest;
}

std::string digest_of(const Notice& notice) {
  Json rows = Json::array();
  const auto add = [&](const CellGroup& cells) {
    for (const auto& row : cells.rows) rows.push_back(to_json(static_cast<const CellRow&>(row)));
  };
  add(*notice.cells);
  for (const auto& baseline : notice.baselines) {
    if (baseline.cells != nullptr) add(*baseline.cells);
  }
  const NoticeIssuer& issuer = notice.issuer;
  return sha256(canonical({{"rows", rows},
                           {"issuer", {issuer.organization, issuer.relationship, issuer.base_model, issuer.license}},
                           {"scenario", notice.run.scenario}}));
}

}  // namespace holdfast
