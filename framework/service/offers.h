// What is on offer, by its id.
#pragma once

#include <string>

#include "scenario/service.h"

namespace holdfast {

/// The offer of that id, or null.
const OfferSpec* find_offer(const ServiceSpec& service, const std::string& id);

}  // namespace holdfast
