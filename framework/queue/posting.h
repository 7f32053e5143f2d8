// Work that waits to be taken, and how its name tells all that a worker must know to choose.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"

namespace holdfast {

struct Posting {
  std::string id;              // distinct name of the work: letters, digits, hyphens
  double path = 0;             // seconds of the longest way to the end, itself included
  double seconds = 0;          // its estimate
  double gib = 0;              // memory that it is expected to take
  bool finishes = false;       // nothing but what finishes cells comes after it
  std::string device = "cpu";  // "cpu", or the kind of accelerator that it needs; "cuda:2" for two of them
  std::string weights = {};    // content digest of the weights that it works on; empty: none
  Json work = {};              // what the worker is told; no part of the name, nor is the next one
  double lost_after = 60;      // seconds after which who took it and never showed a beat counts as lost
};

/// How often a posting was taken by a worker, and how often that worker was lost with it.
struct Takes {
  std::int64_t taken = 0;
  std::int64_t lost = 0;
};

/// The name of a posting, and back: all but `work`, the seconds rounded to milliseconds and of the weights the first 16
/// characters.
std::string posting_name(const Posting& posting, const Takes& takes);
struct NamedPosting {
  std::string name;
  Posting posting;
  Takes takes;
};
/// Nothing for what is no posting's name.
std::optional<NamedPosting> posting_named(const std::string& name);

/// What a worker has to offer.
struct Offer {
  std::set<std::string> warm;               // content digests of the weights that it has in memory
  std::set<std::string> devices = {"cpu"};  // what it may be asked for
  std::optional<double> seconds = {};       // until its end; none: it has no end
  std::optional<double> whole = {};         // what those were when it began; none: as many
  std::optional<double> gib = {};           // that it may use; none: it does not know
};

/// The places of the postings that fit, the first to be taken first: what finishes cells on warm weights or on none, the
/// nearest to its end first; else the longest way first, but for one on warm weights whose way is at most half shorter.
std::vector<std::size_t> in_order(const std::vector<NamedPosting>& postings, const Offer& offer);

}  // namespace holdfast
