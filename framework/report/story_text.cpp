#include "report/story_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstring>
#include <limits>

namespace holdfast {
namespace {

constexpr std::array<const char*, 8> kSparkBars = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

}  // namespace

std::string printable(const std::string& text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string shown;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool second_of_c1 = i > 0 && static_cast<unsigned char>(text[i - 1]) == 0xC2 && byte >= 0x80 && byte < 0xA0;
    if (second_of_c1) shown.pop_back();
    if (second_of_c1 || (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F) {
      shown += std::string("\\x") + kDigits[byte >> 4] + kDigits[byte & 15];
    } else {
      shown += text[i];
    }
  }
  return shown;
}

std::string indented(const std::string& text, const std::string& before) {
  const std::string shown = printable(text);
  std::string lines;
  for (std::size_t begin = 0; begin <= shown.size();) {
    const std::size_t end = std::min(shown.find('\n', begin), shown.size());
    lines += before + shown.substr(begin, end - begin) + "\n";
    begin = end + 1;
  }
  return lines;
}

std::string shell_word(const std::string& text) {
  const auto is_plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr("_./@:+,=-", c) != nullptr;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_plain)) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::size_t shown_width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string Columns::text(const std::string& before) const {
  std::vector<std::size_t> widths;
  for (const auto& line : lines_) {
    for (std::size_t i = 0; i + 1 < line.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], shown_width(line[i]));
    }
  }
  std::string text;
  for (const auto& line : lines_) {
    std::string shown = before;
    for (std::size_t i = 0; i < line.size(); ++i) {
      shown += line[i];
      if (i + 1 < line.size()) shown.append(widths[i] - shown_width(line[i]) + 2, ' ');
    }
    shown.erase(shown.find_last_not_of(' ') + 1);
    text += shown + "\n";
  }
  return text;
}

std::string sparkline(const std::vector<double>& values, std::size_t width) {
  const std::size_t bars = std::min(width, values.size());
  std::vector<double> means;
  for (std::size_t bar = 0; bar < bars; ++bar) {
    const std::size_t begin = bar * values.size() / bars, end = (bar + 1) * values.size() / bars;
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += values[i];
    means.push_back(sum / static_cast<double>(end - begin));
  }
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const double mean : means) {
    if (!std::isfinite(mean)) continue;
    low = std::min(low, mean);
    high = std::max(high, mean);
  }
  std::string line;
  for (const double mean : means) {
    if (!std::isfinite(mean)) {
      line += "!";
    } else {
      const double height = high > low ? (mean - low) / (high - low) : 0;
      line += kSparkBars[std::min<std::size_t>(kSparkBars.size() - 1, static_cast<std::size_t>(height * kSparkBars.size()))];
    }
  }
  return line;
}

}  // namespace holdfast
