// Pictures, read back.
#pragma once

#include <algorithm>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace holdfast {

struct DrawnElement {
  std::string name;
  std::map<std::string, std::string> attributes;
  std::string words;  // of the element and those inside it
};

/// A reader of what our pictures are made of: elements, attributes in double quotes, the four entities. Throws where the text
/// is not well-formed.
class Drawing {
 public:
  explicit Drawing(std::string xml) : xml_(std::move(xml)) {
    if (xml_.starts_with("<?xml")) at_ = xml_.find("?>") + 2;
    skip_space();
    element();
    skip_space();
    if (at_ != xml_.size()) fail("more than one element");
  }

  const std::vector<DrawnElement>& elements() const { return elements_; }

  std::vector<std::string> words(const std::string& name, const std::string& classes = "") const {
    std::vector<std::string> found;
    for (const auto& one : elements_) {
      const auto its = one.attributes.find("class");
      const bool fits = classes.empty() || (its != one.attributes.end() && its->second.find(classes) != std::string::npos);
      if (one.name == name && fits) found.push_back(one.words);
    }
    return found;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw std::runtime_error("not well-formed at " + std::to_string(at_) + ", " + why + ": " + xml_.substr(at_, 60));
  }
  char here() const { return at_ < xml_.size() ? xml_[at_] : '\0'; }
  void skip_space() {
    while (here() == ' ' || here() == '\n') ++at_;
  }
  void expect(const std::string& text) {
    if (xml_.compare(at_, text.size(), text) != 0) fail("expected " + text);
    at_ += text.size();
  }
  std::string name() {
    const std::size_t from = at_;
    while (std::isalnum(static_cast<unsigned char>(here())) != 0 || here() == '-' || here() == ':') ++at_;
    if (at_ == from) fail("expected a name");
    return xml_.substr(from, at_ - from);
  }
  std::string words_until(char end) {
    static const std::map<std::string, std::string> entities = {{"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}};
    std::string words;
    while (here() != end && here() != '<') {
      if (here() == '\0' || (here() < ' ' && here() != '\n' && here() > 0)) fail("a character that XML forbids");
      if (here() != '&') {
        words += xml_[at_++];
        continue;
      }
      const std::size_t semicolon = xml_.find(';', at_);
      const auto entity = entities.find(xml_.substr(at_ + 1, semicolon - at_ - 1));
      if (entity == entities.end()) fail("no entity");
      words += entity->second;
      at_ = semicolon + 1;
    }
    return words;
  }

  std::string element() {
    expect("<");
    const std::size_t place = elements_.size();
    elements_.push_back({name(), {}, ""});
    for (skip_space(); here() != '>' && here() != '/'; skip_space()) {
      const std::string attribute = name();
      expect("=\"");
      if (!elements_[place].attributes.emplace(attribute, words_until('"')).second) fail("twice " + attribute);
      expect("\"");
    }
    if (here() == '/') {
      expect("/>");
      return "";
    }
    expect(">");
    std::string words;
    while (xml_.compare(at_, 2, "</") != 0) words += here() == '<' ? element() : words_until('<');
    expect("</" + elements_[place].name + ">");
    elements_[place].words = words;
    return words;
  }

  std::string xml_;
  std::size_t at_ = 0;
  std::vector<DrawnElement> elements_;
};

/// The lines of a CSV file, by the names of its first.
inline std::vector<std::map<std::string, std::string>> csv_rows(const std::string& csv) {
  std::vector<std::vector<std::string>> lines(1, std::vector<std::string>(1));
  bool quoted = false;
  for (std::size_t i = 0; i < csv.size(); ++i) {
    const char c = csv[i];
    if (c == '"' && quoted && i + 1 < csv.size() && csv[i + 1] == '"') {
      lines.back().back() += csv[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      lines.back().emplace_back();
    } else if (c == '\n' && !quoted) {
      lines.emplace_back(1);
    } else {
      lines.back().back() += c;
    }
  }
  lines.pop_back();
  std::vector<std::map<std::string, std::string>> rows;
  for (std::size_t line = 1; line < lines.size(); ++line) {
    std::map<std::string, std::string> row;
    if (lines[line].size() != lines[0].size()) throw std::runtime_error("a line of another length");
    for (std::size_t i = 0; i < lines[0].size(); ++i) row[lines[0][i]] = lines[line][i];
    rows.push_back(row);
  }
  return rows;
}

}  // namespace holdfast
