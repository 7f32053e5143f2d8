#include "service/offers.h"

#include <algorithm>

namespace holdfast {

const OfferSpec* find_offer(const ServiceSpec& service, const std::string& id) {
  const auto found =
      std::find_if(service.offers.begin(), service.offers.end(), [&](const OfferSpec& offer) { return offer.id == id; });
  return found == service.offers.end() ? nullptr : &*found;
}

}  // namespace holdfast
