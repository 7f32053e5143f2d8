// Asking a model beside the one under test, local or behind an endpoint: what judges, and stages that moderate, share. The
// program sends the requests, keeps the recordings and reads the key from the environment; a plugin sees neither a secret nor a
// socket.
#pragma once

#include <holdfast/json.h>
#include <holdfast/model.h>
#include <holdfast/params.h>

#include <filesystem>
#include <optional>

namespace HOLDFAST_PUBLIC holdfast {

/// Models that a judge may ask: each is loaded, and its content part of the stage's key, only when it is announced here.
struct JudgeNeeds {
  bool aligned_model = false;
  bool served_model = false;
  std::string model = {};  // path of a local model of the judge's own
  std::string device = "cpu";
  std::string dtype = "default";
};

/// How a model is asked: one behind an endpoint (read_endpoint_options), or a judge's own, which may be local as well
/// (read_ask_options).
struct AskOptions {
  std::string model;     // path of a checkpoint; with an endpoint, the model's name there
  std::string endpoint;  // up to and with "/v1"; empty: the model is local
  std::string key_env;   // the environment variable that holds the endpoint's key; empty: there is none
  double timeout = 120;  // seconds of one request
  std::int64_t retries = 6;
  double backoff = 1;  // seconds
  std::int64_t concurrency = 4;
  std::filesystem::path recording;  // of the endpoint's answers; empty: none
  bool replay = false;              // answers come from the recording alone
  std::int64_t max_tokens = 512;    // of an answer
  std::int64_t batch_size = 8;      // of a local model
  JudgeNeeds needs;                 // names the local model, or nothing
};

/// What a model said to one question.
struct ModelAnswer {
  std::string text;         // outside its thoughts
  std::string whole;        // with them
  bool unfinished = false;  // it ends within a thought
  std::string declined;     // why the service gave no answer to this question; empty: it did
  JsonText record;          // {"text", "usage", "declined"?}, for Verdict::raw
};

/// What a moderation service said of one text.
struct ModerationAnswer {
  bool flagged = false;
  std::map<std::string, double> scores = {};  // by category; empty where the service gives none
  std::string declined = {};                  // why it gave no answer to this text; empty: it did
};

/// Two answers to one question, of which a model's likelihoods are compared.
struct TwoAnswers {
  std::string first;
  std::string second;
  /// None: each is rendered as the reply to the question by the chat template. Given: the template asks for the answer itself
  /// (Llama Guard), and this is what the model writes before it.
  std::optional<std::string> lead = {};
};

/// Log-probabilities (natural) of the tokens in which two answers part.
struct TwoLogProbs {
  double first = 0;
  double second = 0;
};

/// JudgeContext and Context each give one.
class Asker {
 public:
  virtual ~Asker();

  /// One answer a question, in order; equal ones are asked once, and decoding is greedy. Without options.endpoint the judge's
  /// local model is asked, which only judges have. Throws Error when the endpoint does not answer, when options.replay is set
  /// and the recording lacks an answer, and when a local model has no room for a question.
  virtual std::vector<ModelAnswer> ask(const std::vector<Conversation>& questions, const AskOptions& options) = 0;
  /// What the endpoint's /moderations says of each text, in order; equal ones are asked about once. Throws Error as ask().
  virtual std::vector<ModerationAnswer> moderations(const std::vector<std::string>& texts, const AskOptions& options) = 0;
  /// Of a local model, one of the context's; one entry a question, without sampling: a forward over the tokens that the two
  /// answers have in common. Throws Error when its tokenizer does not tell them apart, and when it has no room for a question.
  virtual std::vector<TwoLogProbs> two_log_probs(const Model& model, const std::vector<Conversation>& questions,
                                                 const TwoAnswers& answers) = 0;
  /// A question as the chat template of a local model renders it, up to the answer.
  virtual std::string rendered(const Model& model, const Conversation& question) = 0;
};

// Settings of those who ask. Mistakes are noted as Params says.

/// Where a judge's model is and how it is asked.
AskOptions read_ask_options(Params& params);
/// The same of a stage, whose model is behind an endpoint. Whether it needs one is the caller's to say: without it,
/// AskOptions::endpoint is empty.
AskOptions read_endpoint_options(Params& params);
/// The text of the file that the setting "policy" names, or our own general usage policy.
std::string read_policy(Params& params);
/// The setting "max_characters".
std::size_t read_max_characters(Params& params);

}  // namespace holdfast
