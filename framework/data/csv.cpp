#include "data/csv.h"

#include <holdfast/error.h>

namespace holdfast {
namespace {

class Reader {
 public:
  Reader(const std::string& text, char separator, const std::string& source)
      : text_(text), separator_(separator), source_(source) {}

  std::vector<CsvRecord> records() {
    std::vector<CsvRecord> records;
    while (at_ < text_.size()) {
      CsvRecord record{line_, {cell()}};
      while (at_ < text_.size() && text_[at_] == separator_) {
        ++at_;
        record.cells.push_back(cell());
      }
      end_line();
      if (record.cells.size() > 1 || !record.cells.front().empty()) records.push_back(std::move(record));
    }
    return records;
  }

 private:
  bool at_end_of_cell() const {
    return at_ == text_.size() || text_[at_] == separator_ || text_[at_] == '\n' || text_.compare(at_, 2, "\r\n") == 0;
  }

  std::string cell() {
    if (at_ < text_.size() && text_[at_] == '"') return quoted_cell();
    const std::size_t begin = at_;
    while (!at_end_of_cell()) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  std::string quoted_cell() {
    const std::int64_t begun = line_;
    std::string cell;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"' && text_.compare(at_, 2, "\"\"") != 0) {
        ++at_;
        if (at_end_of_cell()) return cell;
        refuse(line_, "a cell in quotes goes on after its closing quote; double the quotes that belong to it");
      }
      if (text_[at_] == '"') ++at_;
      if (text_[at_] == '\n') ++line_;
      cell += text_[at_];
    }
    refuse(begun, "a cell in quotes begins here and does not end");
  }

  void end_line() {
    if (at_ < text_.size() && text_[at_] == '\r') ++at_;
    if (at_ < text_.size()) ++at_;
    ++line_;
  }

  [[noreturn]] void refuse(std::int64_t line, const std::string& sentence) const {
    throw Error(source_ + ":" + std::to_string(line) + " is not valid CSV: " + sentence);
  }

  const std::string& text_;
  const char separator_;
  const std::string& source_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
};

}  // namespace

std::vector<CsvRecord> parse_csv(const std::string& text, char separator, const std::string& source) {
  return Reader(text, separator, source).records();
}

}  // namespace holdfast
