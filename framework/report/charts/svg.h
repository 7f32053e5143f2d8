// Scalable vector graphics as text: escaped words, short numbers, shapes by class. What the classes look like: chart_style.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace holdfast {

/// A coordinate or a figure with two decimals at most and none that say nothing: "12.5", "0".
std::string short_number(double value);

/// Words that may stand between tags and in attributes: what XML reserves is escaped, what it forbids becomes U+FFFD.
std::string xml_text(const std::string& words);

/// Letters, digits, "." and "-" stay, each other byte becomes "_" and its two digits: distinct names stay distinct, and one may
/// stand in a file's name and in an id.
std::string safe_name(const std::string& name);

/// How wide words are at most, about: a reader's font is not known here.
double text_width(const std::string& words, double size = 11);

/// The words, or their beginning and "..." where they are longer than so many characters.
std::string shortened_label(const std::string& words, std::size_t most = 36);

/// A drawing that grows. Coordinates go right and down from the upper left corner; classes may be empty.
class Svg {
 public:
  void text(double x, double y, const std::string& words, const std::string& classes = "");
  /// Turned by so many degrees about its beginning.
  void turned_text(double x, double y, double degrees, const std::string& words, const std::string& classes);
  void line(double x1, double y1, double x2, double y2, const std::string& classes);
  void rect(double x, double y, double width, double height, const std::string& classes);
  void circle(double x, double y, double radius, const std::string& classes);
  /// A square that stands on its corner.
  void diamond(double x, double y, double radius, const std::string& classes);
  void triangle(double x, double y, double radius, const std::string& classes);
  void path(const std::string& d, const std::string& classes);
  /// Text of the caller's own, which is whole elements.
  void add(const std::string& elements) { body_ += elements; }

  /// The whole drawing on its own ground, with a margin about `width` and `height`. `id`: distinct among the drawings of a
  /// page. `title` and `about` are what it says to who cannot see it.
  std::string document(double width, double height, const std::string& id, const std::string& title,
                       const std::string& about) const;

 private:
  std::string body_;
};

/// A point of a line to be drawn.
struct PlotPoint {
  double x = 0, y = 0;
};
/// The `d` of a path through the points.
std::string path_through(const std::vector<PlotPoint>& points);
/// The same closed: forth along `upper` and back along `lower`.
std::string path_around(const std::vector<PlotPoint>& upper, std::vector<PlotPoint> lower);

}  // namespace holdfast
