#include "report/charts/svg.h"

#include <algorithm>
#include <cmath>

#include "report/figures.h"
#include "text/characters.h"

namespace holdfast {
namespace {

constexpr double kLetter = 0.6;          // of the size: the widest sans-serif fonts in common use
constexpr double kPaperMargin = 10;      // around a drawing
constexpr char32_t kFirstWide = 0x2E80;  // from here on scripts whose signs are as wide as high

std::string attribute(const char* name, double value) { return std::string(" ") + name + "=\"" + short_number(value) + "\""; }

std::string class_attribute(const std::string& classes) { return classes.empty() ? "" : " class=\"" + classes + "\""; }

bool allowed_in_xml(char32_t code) {
  if (code < 0x20) return code == '\t' || code == '\n';
  return code != 0x7F && code != 0xFFFE && code != 0xFFFF;
}

std::string xml_escaped(std::string_view character) {
  if (character == "&") return "&amp;";
  if (character == "<") return "&lt;";
  if (character == ">") return "&gt;";
  return character == "\"" ? "&quot;" : std::string(character);
}

}  // namespace

std::string short_number(double value) {
  std::string text = fixed(value, 2);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string xml_text(const std::string& words) {
  const std::string whole = lossy_utf8(words);
  std::string text;
  for (std::size_t at = 0; at < whole.size();) {
    const auto character = character_at(whole, at);
    text += allowed_in_xml(character.code) ? xml_escaped(std::string_view(whole).substr(at, character.size))
                                           : std::string(kReplacementCharacter);
    at += character.size;
  }
  return text;
}

std::string safe_name(const std::string& name) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string safe;
  for (const char letter : name) {
    const auto byte = static_cast<unsigned char>(letter);
    const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
                       byte == '-' || (byte == '.' && !safe.empty());
    if (plain) {
      safe += letter;
    } else {
      safe += {'_', kDigits[byte / 16], kDigits[byte % 16]};
    }
  }
  return safe;
}

double text_width(const std::string& words, double size) {
  const std::string whole = lossy_utf8(words);
  double width = 0;
  for (std::size_t at = 0; at < whole.size();) {
    const auto character = character_at(whole, at);
    width += character.code >= kFirstWide ? 1 : kLetter;
    at += character.size;
  }
  return width * size;
}

std::string shortened_label(const std::string& words, std::size_t most) {
  const std::string whole = lossy_utf8(words);
  std::size_t count = 0, cut = 0;
  for (std::size_t at = 0; at < whole.size(); ++count) {
    if (count == most - 3) cut = at;
    at += character_at(whole, at).size;
  }
  return count <= most ? whole : whole.substr(0, cut) + "...";
}

void Svg::text(double x, double y, const std::string& words, const std::string& classes) {
  body_ += "<text" + attribute("x", x) + attribute("y", y) + class_attribute(classes) + ">" + xml_text(words) + "</text>";
}

void Svg::turned_text(double x, double y, double degrees, const std::string& words, const std::string& classes) {
  body_ += "<text transform=\"translate(" + short_number(x) + " " + short_number(y) + ")rotate(" + short_number(degrees) +
           ")\"" + class_attribute(classes) + ">" + xml_text(words) + "</text>";
}

void Svg::line(double x1, double y1, double x2, double y2, const std::string& classes) {
  body_ += "<path" + class_attribute(classes) + " d=\"" + path_through({{x1, y1}, {x2, y2}}) + "\"/>";
}

void Svg::rect(double x, double y, double width, double height, const std::string& classes) {
  body_ += "<rect" + attribute("x", x) + attribute("y", y) + attribute("width", width) + attribute("height", height) +
           class_attribute(classes) + "/>";
}

void Svg::circle(double x, double y, double radius, const std::string& classes) {
  body_ += "<circle" + attribute("cx", x) + attribute("cy", y) + attribute("r", radius) + class_attribute(classes) + "/>";
}

void Svg::diamond(double x, double y, double radius, const std::string& classes) {
  path(path_through({{x, y - radius}, {x + radius, y}, {x, y + radius}, {x - radius, y}}) + "Z", classes);
}

void Svg::triangle(double x, double y, double radius, const std::string& classes) {
  path(path_through({{x, y - radius}, {x + radius, y + radius}, {x - radius, y + radius}}) + "Z", classes);
}

void Svg::path(const std::string& d, const std::string& classes) {
  body_ += "<path" + class_attribute(classes) + " d=\"" + d + "\"/>";
}

std::string Svg::document(double width, double height, const std::string& id, const std::string& title,
                          const std::string& about) const {
  const double across = std::ceil(width) + 2 * kPaperMargin, down = std::ceil(height) + 2 * kPaperMargin;
  const std::string size = attribute("width", across) + attribute("height", down);
  const std::string corner = short_number(-kPaperMargin);
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"" + corner + " " + corner + " " +
         short_number(across) + " " + short_number(down) + "\"" + size + " role=\"img\" aria-labelledby=\"" + id + "-t " + id +
         "-d\"><title id=\"" + id + "-t\">" + xml_text(title) + "</title><desc id=\"" + id + "-d\">" + xml_text(about) +
         "</desc><rect class=\"c-open\" x=\"" + corner + "\" y=\"" + corner + "\"" + size + "/>" + body_ + "</svg>\n";
}

std::string path_through(const std::vector<PlotPoint>& points) {
  std::string d;
  for (const auto& point : points) {
    d += (d.empty() ? "M" : "L") + short_number(point.x) + " " + short_number(point.y);
  }
  return d;
}

std::string path_around(const std::vector<PlotPoint>& upper, std::vector<PlotPoint> lower) {
  std::reverse(lower.begin(), lower.end());
  std::vector<PlotPoint> around = upper;
  around.insert(around.end(), lower.begin(), lower.end());
  return path_through(around) + "Z";
}

}  // namespace holdfast
