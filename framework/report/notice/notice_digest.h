// Identifiers that follow from what they name: the same results give the same ones.
#pragma once

#include <string>

#include "report/notice/notice.h"

namespace holdfast {

/// A UUID made of a digest's first 32 digits, in the shape of version 4, which some schemas ask for.
std::string uuid_of(std::string digest);

/// Of the cell's rows and of those of its baselines: what the notice is a function of, with the words of its issuer.
std::string digest_of(const Notice& notice);

}  // namespace holdfast
