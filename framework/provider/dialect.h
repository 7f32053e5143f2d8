// The interfaces of fine-tuning services, as data: where each of them has its files, jobs and chats, and how it calls them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace holdfast {

/// How a training option is said. Places are JSON pointers into the request that creates a job.
struct Hyperparameter {
  enum class Said {
    kAlways,      // as it is
    kIfSet,       // as it is, where it differs from the option's default: else the provider's own counts
    kWithLora,    // as it is, where the method is "lora"
    kMultiplier,  // as a multiple of the base_lr of [[model]]
    kInWords,     // as what stands in `words` for it; a value that is not there cannot be said, unless it is the default
  };
  std::string option;  // its name in [finetune]
  std::string place;
  Said said = Said::kAlways;
  std::vector<std::pair<std::string, Json>> words = {};
};

/// A sum of money is what stands at these places, each times its unit, added up.
struct PricePart {
  std::string place;
  double unit = 1;
};

/// Paths stand below the url of [[model]]. In paths and requests {account}, {model}, {file}, {tag}, {key}, {seed}, {rows} and
/// {job} stand for what is asked; in a request such a text becomes the value itself. Places are JSON pointers into replies.
/// What is empty a service does not have.
struct Dialect {
  std::string name;
  std::string address;       // of its provider, as messages show one
  bool has_account = false;  // its paths hold one

  // A file of rows.
  std::string register_path;  // asked first, with
  Json register_body;         // which names the file; that there is one already (409) is no trouble
  std::string upload_path;    // a form
  std::vector<std::pair<std::string, std::string>> upload_fields;
  std::string file_id;        // place in the reply
  std::string file_name;      // or: what it is called, in place of an id
  std::string file_is_there;  // place of the id in the reply to a file that the service has already (409)
  std::string file_path;      // where it is looked at until it is ready
  std::string file_status;    // place
  std::vector<std::string> file_waits, file_ready, file_refused;  // words of it
  std::vector<std::string> file_reasons;                          // places of why not

  // A job.
  std::string create_path;
  Json create_body;
  std::vector<Hyperparameter> hyperparameters;
  bool names_jobs = false;  // the path gives a job its name, so that there is never a second one (409)
  std::string job_id;       // place; of a path its last part
  std::string job_path;
  std::string list_path, listed;  // where jobs are listed, and the place of the list
  std::string list_next = {};     // added to list_path for what comes behind the job {job}, while the reply "has_more"
  std::string job_tag, job_file;  // places of what a job was created with: a tag of ours, and the file
  std::string status;             // place
  std::vector<std::string> waits, succeeded, refused, failed;  // words of it; refused: for its rows
  std::string error_code, error_param;                         // places, of a job that failed
  std::vector<std::string> reasons;                            // places of why it failed; of a list its last item
  std::vector<std::string> refusing_codes;                     // codes that say that it is the rows' fault
  std::string events_path, events;                             // where the events of a job are, and the place of their list
  std::string tuned_model, trained_tokens;                     // places
  std::vector<PricePart> price;
  std::string price_currency;  // place; empty: what it bills is in `currency`
  std::string currency = {};

  // What a job would cost.
  std::string estimate_path;
  std::vector<std::string> estimate_fields;  // of create_body; none: all of it
  std::string estimate_price;                // place
  std::string estimate_currency = {};        // place

  // A chat.
  std::string chat_path = "/chat/completions";
  std::string chat_seed = "seed";  // what the request calls it

  bool estimates() const { return !estimate_path.empty(); }
  bool multiplies_lr() const;
};

const std::vector<Dialect>& dialects();
std::vector<std::string> dialect_names();
/// Throws Error for another name.
const Dialect& dialect(const std::string& name);

}  // namespace holdfast
