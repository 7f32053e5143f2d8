#include "report/text_table.h"

namespace holdfast {

std::string marked(const TableCell& cell) {
  if (cell.mark == Mark::kHolds) return cell.text + " +";
  return cell.mark == Mark::kBroken ? cell.text + " x" : cell.text;
}

}  // namespace holdfast
