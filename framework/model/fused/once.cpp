#include "model/fused/once.h"

#include <c10/core/GradMode.h>
#include <holdfast/error.h>

namespace holdfast::fused {

void refuse_second_derivatives() {
  if (!c10::GradMode::is_enabled()) return;
  throw Error(
      "a second derivative is asked for, and a model's own derivatives can be taken once: take differences of gradients at "
      "weights "
      "that are moved a little");
}

}  // namespace holdfast::fused
