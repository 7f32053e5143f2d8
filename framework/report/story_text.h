// Text as a terminal shows it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace holdfast {

/// Without what could steer a terminal: control characters, but for the ends of lines and tabs, as "\xNN".
std::string printable(const std::string& text);

/// The text, printable, with `before` in front of each of its lines.
std::string indented(const std::string& text, const std::string& before);

/// A word of a command line, in quotes where a shell would take it apart.
std::string shell_word(const std::string& text);

/// How many columns it takes: names may hold UTF-8, of which each character takes one.
std::size_t shown_width(const std::string& text);

/// Lines whose pieces stand below one another. The last piece of a line may be as long as it likes.
class Columns {
 public:
  void add(std::vector<std::string> pieces) { lines_.push_back(std::move(pieces)); }
  std::size_t rows() const { return lines_.size(); }
  std::string text(const std::string& before) const;

 private:
  std::vector<std::vector<std::string>> lines_;
};

/// Values as a row of bars, at most `width` of them, each the mean of its share of the values; '!' where one is not finite.
std::string sparkline(const std::vector<double>& values, std::size_t width);

}  // namespace holdfast
