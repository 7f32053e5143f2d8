// What a notice says, as plain sentences without any markup; every format takes them from here.
#pragma once

#include <string>
#include <vector>

#include "report/notice/notice.h"

namespace holdfast {

/// "Safety was eroded".
std::string verdict_title(NoticeVerdict verdict);
/// Why so, with the figures.
std::string verdict_text(const Notice& notice);
/// What the model is still worth to an ordinary user.
std::string usefulness_text(const Notice& notice);
/// Why a low figure of harm may say little: replies that are not coherent, usefulness beyond the board's bound. Else empty.
std::string caution_text(const Notice& notice);

/// What nobody should read into the figures.
std::vector<std::string> not_measured(const Notice& notice);
/// What the customer should do.
std::vector<std::string> advice(const Notice& notice);

/// "organism customised by harmful-10 under vaccine".
std::string model_name(const Notice& notice);

/// What was measured and on what: settings, files and digests, in the order of the pipeline.
struct NoticeFact {
  std::string id;     // "attack", as other formats call it
  std::string label;  // "Customisation"
  std::string text;
};
std::vector<NoticeFact> facts_of(const Notice& notice);

/// Fields of the EU's model documentation form that the results can fill, without those that they cannot.
std::vector<NoticeFact> form_fields(const Notice& notice);

/// A file as a notice names it: by the last part of its path.
std::string file_shown(const std::string& path);

/// The model that a judge of the scenario asks; empty where it is a rule.
std::string judge_model(const Json& judge);

/// How intervals, p and noise are made, and what the words of the tables mean.
std::string method_text(const Notice& notice);

}  // namespace holdfast
